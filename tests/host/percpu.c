/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-CPU copies on the host: malloc'ed from the section that the linker bounds by __start_
 * and __stop_ symbols.
 */
#include "cpu/percpu.h"

#include <stdlib.h>
#include <string.h>

extern char __start_percpu_host[], __stop_percpu_host[];

uintptr_t percpu_distance[CPU_MAX];
unsigned cpu_count = 1;
__thread uintptr_t host_percpu_this;
PERCPU unsigned percpu_index = 0;

static void *copies[CPU_MAX];

void host_percpu_init(unsigned count)
{
	size_t size = (size_t)(__stop_percpu_host - __start_percpu_host);

	for (unsigned i = 0; i < count; i++) {
		free(copies[i]);
		copies[i] = aligned_alloc(64, (size + 63) & ~63ul);
		memcpy(copies[i], __start_percpu_host, size);
		percpu_distance[i] = (uintptr_t)copies[i] - (uintptr_t)__start_percpu_host;
		per_cpu(percpu_index, i) = i;
	}
	cpu_count = count;
	host_cpu_become(0);
}

void host_cpu_become(unsigned cpu)
{
	host_percpu_this = percpu_distance[cpu];
}
