/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs: the search; see kernel/cpu_map.h. */
#include "kernel/cpu_map.h"

/* The first CPU of the map and, if there is one, of the set in [from, end), or -1. */
static always_inline int find(const struct cpu_map *m, const struct cpu_set *within, unsigned from,
			      unsigned end)
{
	for (unsigned w = from / 64; w * 64 < end; w++) {
		uint64_t bits = READ_ONCE(m->word[w].bits) & (within ? within->bits[w] : ~0ul);

		if (w == from / 64)
			bits &= ~0ul << from % 64;
		if (bits) {
			unsigned cpu = w * 64 + bit_lowest(bits);

			return cpu < end ? (int)cpu : -1;
		}
	}
	return -1;
}

static always_inline int next(const struct cpu_map *m, const struct cpu_set *within,
			      unsigned start, unsigned *n)
{
	unsigned from = start + *n;
	int cpu = from < cpu_count ? find(m, within, from, cpu_count) : -1;

	if (cpu < 0)
		cpu = find(m, within, from < cpu_count ? 0 : from - cpu_count, start);
	*n = cpu < 0 ? cpu_count : ((unsigned)cpu + cpu_count - start) % cpu_count + 1;
	return cpu;
}

int cpu_map_next(const struct cpu_map *m, unsigned start, unsigned *n)
{
	return next(m, NULL, start, n);
}

int cpu_map_next_within(const struct cpu_map *m, const struct cpu_set *within, unsigned start,
			unsigned *n)
{
	return next(m, within, start, n);
}
