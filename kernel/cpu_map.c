/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs: the search; see kernel/cpu_map.h. */
#include "kernel/cpu_map.h"

/* The first CPU of the map in [from, end), or -1. */
static int find(const struct cpu_map *m, unsigned from, unsigned end)
{
	for (unsigned w = from / 64; w * 64 < end; w++) {
		uint64_t bits = READ_ONCE(m->word[w].bits);

		if (w == from / 64)
			bits &= ~0ul << from % 64;
		if (bits) {
			unsigned cpu = w * 64 + bit_lowest(bits);

			return cpu < end ? (int)cpu : -1;
		}
	}
	return -1;
}

int cpu_map_next(const struct cpu_map *m, unsigned start, unsigned *n)
{
	unsigned from = start + *n;
	int cpu = from < cpu_count ? find(m, from, cpu_count) : -1;

	if (cpu < 0)
		cpu = find(m, from < cpu_count ? 0 : from - cpu_count, start);
	*n = cpu < 0 ? cpu_count : ((unsigned)cpu + cpu_count - start) % cpu_count + 1;
	return cpu;
}
