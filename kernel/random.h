/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: random bytes that nobody can guess, who has seen all that were given before or learns
 * Keel's memory later. They come from the chip's own source where it has one (RDSEED, RDRAND), and
 * from the time that things take, which is the weaker the more regular the machine is. Any context.
 */
#pragma once

#include "include/compiler.h"

void random_get(void *dst, size_t n);
/* At boot, when the features are known; before, what random_get gives is from the time alone. */
void random_init(void);
