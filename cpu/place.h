/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where each CPU sits: with which others it shares a core, the last cache, a package. Read from
 * CPUID on each CPU, as parts of its APIC id; what a chip says that cannot be is as if it said
 * nothing. Memory nodes are the ACPI tables' (page_home, mm/page.h).
 * Source: Intel SDM 3, "Hierarchical Mapping of Shared Resources"; AMD64 APM 3, "CPUID Fn8000_001D,
 * Fn8000_001E".
 */
#pragma once

#include "cpu/percpu.h"

struct place {
	uint32_t apic_id;
	uint32_t core, cache, package;	/* numbers that its neighbours have, too, and no others */
	unsigned next;			/* of those in its core: a ring of CPU indices */
};

extern struct place place;		/* PERCPU */
extern bool place_matters;		/* cores have threads, or there are several caches */

/* On each CPU. */
void place_cpu_init(void);
/* Boot CPU, when all are up: who is next to whom. */
void place_link(void);

struct place_counts {
	unsigned packages, cores, threads;	/* cores in a package, threads in a core */
};

/* Where not all are alike: one package with as many cores as there are CPUs. */
struct place_counts place_count(void);
