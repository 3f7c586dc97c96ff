/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of CPUs as a value: which ones a thread may run on. In text as libvirt has it: "0-3,^2,6"
 * are 0, 1, 3 and 6, read from left to right. Pure; what is shared between CPUs and changed by
 * them is a struct cpu_map.
 */
#pragma once

#include "cpu/percpu.h"
#include "include/bits.h"

struct cpu_set {
	uint64_t bits[DIV_UP(CPU_MAX, 64)];
};

#define CPU_SET_TEXT	768u	/* of the longest list, with its NUL */

static inline bool cpu_set_has(const struct cpu_set *s, unsigned cpu)
{
	return s->bits[cpu / 64] & BIT(cpu % 64);
}

static inline void cpu_set_add(struct cpu_set *s, unsigned cpu)
{
	s->bits[cpu / 64] |= BIT(cpu % 64);
}

static inline void cpu_set_remove(struct cpu_set *s, unsigned cpu)
{
	s->bits[cpu / 64] &= ~BIT(cpu % 64);
}

void cpu_set_fill(struct cpu_set *s);		/* also those that do not exist */
bool cpu_set_is_full(const struct cpu_set *s);
bool cpu_set_equal(const struct cpu_set *a, const struct cpu_set *b);
void cpu_set_join(struct cpu_set *s, const struct cpu_set *other);
unsigned cpu_set_count(const struct cpu_set *s);
/* The first from `from` on; -1: there is none. */
int cpu_set_next(const struct cpu_set *s, unsigned from);

/* 0; -EINVAL: it is no list, or an empty one; -ERANGE: it names CPU_MAX or more. */
int cpu_set_parse(struct cpu_set *s, const char *text, size_t n) must_check;
/* Of those below `count`, as "0-1,3". */
void cpu_set_format(const struct cpu_set *s, unsigned count, char text[CPU_SET_TEXT]);
