/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host stand-in for per-CPU variables: the same macros over copies of a section of the test
 * program. Link tests/host/percpu.c. A test says which CPU it plays by host_cpu_become(); each host
 * thread plays its own.
 */
#pragma once

#include "include/compiler.h"

#define CPU_MAX	256

#define PERCPU	section("percpu_host")

extern uintptr_t percpu_distance[CPU_MAX];
extern unsigned cpu_count;
extern __thread uintptr_t host_percpu_this;

static inline uintptr_t percpu_this(void)
{
	return host_percpu_this;
}

#define this_cpu(var)	(*(__typeof__(&(var)))((uintptr_t)&(var) + percpu_this()))
#define per_cpu(var, i)	(*(__typeof__(&(var)))((uintptr_t)&(var) + percpu_distance[i]))

extern unsigned percpu_index;
#define cpu_index()	(this_cpu(percpu_index))

/*
 * Fresh copies for `count` CPUs; this thread plays CPU 0 afterwards. Without it CPU 0 uses
 * the template itself.
 */
void host_percpu_init(unsigned count);
void host_cpu_become(unsigned cpu);
