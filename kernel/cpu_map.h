/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of CPUs: a bit for each, so that who looks for one does not ask them all. Atomic; each word
 * has a cache line of its own.
 */
#pragma once

#include "cpu/percpu.h"
#include "include/bits.h"
#include "kernel/cpu_set.h"

struct cpu_map {
	struct {
		uint64_t bits;
	} aligned(64) word[DIV_UP(CPU_MAX, 64)];
};

static inline bool cpu_map_has(const struct cpu_map *m, unsigned cpu)
{
	return READ_ONCE(m->word[cpu / 64].bits) & BIT(cpu % 64);
}

static inline void cpu_map_add(struct cpu_map *m, unsigned cpu)
{
	__atomic_or_fetch(&m->word[cpu / 64].bits, BIT(cpu % 64), __ATOMIC_SEQ_CST);
}

/* Was it in there? */
static always_inline bool cpu_map_remove(struct cpu_map *m, unsigned cpu)
{
	return cpu_map_has(m, cpu) && __atomic_fetch_and(&m->word[cpu / 64].bits, ~BIT(cpu % 64),
							 __ATOMIC_SEQ_CST) & BIT(cpu % 64);
}

/*
 * Goes round all CPUs, from `start` on: the next of the map that is `n` steps or more away. It is
 * moved on to the step behind; -1 when the round is over.
 */
int cpu_map_next(const struct cpu_map *m, unsigned start, unsigned *n);
/* Likewise of those that are in the set, too. */
int cpu_map_next_within(const struct cpu_map *m, const struct cpu_set *within, unsigned start,
			unsigned *n);
