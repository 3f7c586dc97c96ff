/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ChaCha20's block function: 64 bytes that only who knows the key can tell from random ones. Pure.
 * RFC 8439, section 2.3.
 */
#pragma once

#include "include/compiler.h"

#define CHACHA_KEY	32u
#define CHACHA_BLOCK	64u

/* `nonce` is 12 bytes. */
void chacha_block(const uint8_t key[CHACHA_KEY], uint32_t counter, const uint8_t nonce[12],
		  uint8_t out[CHACHA_BLOCK]);
