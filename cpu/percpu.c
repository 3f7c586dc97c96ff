/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the copies of the per-CPU variables lie. The boot CPU's is in the image, made by
 * boot/entry.asm before C runs; those of the others are made by kernel/smp.c.
 */
#include "cpu/percpu.h"

extern char percpu_boot[];	/* linker.ld */

uintptr_t percpu_distance[CPU_MAX];
unsigned cpu_count = 1;
unsigned percpu_index PERCPU;

void percpu_init(void)
{
	percpu_distance[0] = (uintptr_t)percpu_boot - (uintptr_t)percpu_start;
}
