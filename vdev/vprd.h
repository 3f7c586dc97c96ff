/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What controllers have in common that find a command's memory by a table of physical regions
 * (PRD): its entries are of any size, and media take whole blocks. No locks.
 */
#pragma once

#include "include/bits.h"
#include "vdev/host.h"

/* Of *n segments, which hold `sum` bytes, only whole granules stay; so many bytes. */
static inline uint64_t vprd_round_down(struct host_segment *segment, unsigned *n, uint64_t sum,
				       unsigned granule)
{
	uint64_t over = sum % granule, left = over;

	while (left) {
		struct host_segment *s = &segment[*n - 1];
		uint64_t part = MIN(left, s->size);

		s->size -= part;
		left -= part;
		*n -= !s->size;
	}
	return sum - over;
}
