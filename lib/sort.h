/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sorting arrays in place: heap sort, n log n whatever the input, no memory, no
 * recursion. Not stable.
 */
#pragma once

#include "include/compiler.h"

/* `compare` gives less than, equal to or more than 0, as for qsort. */
void sort_array(void *base, size_t count, size_t size,
		int (*compare)(const void *a, const void *b));
