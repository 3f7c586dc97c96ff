/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC-32 as in Ethernet, zip and GPT: polynomial 0x04c11db7 reflected, inverted in and out.
 */
#pragma once

#include "include/compiler.h"

/* `crc` is 0 to begin, or the result so far to go on. */
uint32_t crc32(uint32_t crc, const void *data, size_t n);
