/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-CPU variables. `PERCPU int x;` places x in the section .percpu, which is a template: every
 * CPU has a copy of it, and GS points at the copy. The first word of each copy is its distance from
 * the template, so this_cpu(x) is one load and one access. Each layer keeps its own variables;
 * there is no central struct to couple them.
 *
 *	GS base -> [ distance | x | y | ... ]   one block per CPU, page-aligned, on the CPU's node
 *
 * Kernel threads move between CPUs only at waits and sched_point(): a pointer got from this_cpu()
 * is good until then.
 */
#pragma once

#include "include/compiler.h"

#define CPU_MAX	256

#define PERCPU	section(".percpu")

extern char percpu_start[], percpu_end[];	/* linker.ld: the template */
extern uintptr_t percpu_distance[CPU_MAX];	/* copy minus template, by CPU index */
/* CPUs that are up, 1 until the others have started. */
extern unsigned cpu_count;

static inline uintptr_t percpu_this(void)
{
	uintptr_t d;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(d));
	return d;
}

#define this_cpu(var)	(*(__typeof__(&(var)))((uintptr_t)&(var) + percpu_this()))
#define per_cpu(var, i)	(*(__typeof__(&(var)))((uintptr_t)&(var) + percpu_distance[i]))

/* Index of this CPU, 0 (the boot CPU) to cpu_count - 1. */
extern unsigned percpu_index;			/* PERCPU */
#define cpu_index()	(this_cpu(percpu_index))

void percpu_init(void);		/* boot CPU, first of all */
