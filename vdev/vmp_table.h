/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MP table of a Keel VM: processors, buses, I/O APIC and how interrupts run, for kernels that
 * do not know ACPI. It says what the MADT and _PRT say (vacpi_tables.c, dsdt.asl). Pure: built in a
 * caller's buffer as it will lie at a guest-physical address. (Intel, "MultiProcessor
 * Specification" 1.4, "MP Configuration Table".)
 */
#pragma once

#include "include/addr.h"
#include "include/errno.h"

struct vmp_table_config {
	unsigned vcpus;			/* at most 254 are told */
	uint32_t (*apic_id)(const void *context, unsigned index);	/* of each vCPU */
	const void *context;
	uint32_t signature, features;	/* CPUID 1: EAX, EDX */
	uint8_t ioapic_id;
};

#define VMP_TABLE_MAX	8192		/* enough for 254 processors */

/*
 * The floating pointer comes first, `base` is a multiple of 16 below 1 MiB. Gives the bytes used,
 * -ENOSPC when `size` is too small, -EINVAL for a place or count that cannot be.
 */
long vmp_table_build(const struct vmp_table_config *config, void *buf, size_t size,
		     gpa_t base) must_check;
