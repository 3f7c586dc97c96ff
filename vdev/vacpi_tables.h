/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of a Keel VM, for a guest that is started without firmware: RSDP, XSDT, RSDT,
 * FADT, FACS, MADT, MCFG where there is ECAM, HPET where there is one, and the DSDT that iasl made
 * of dsdt.asl. Pure: they are built in a caller's buffer as they will lie at a guest-physical
 * address. (ACPI 6.5, "ACPI Software Programming Model".)
 */
#pragma once

#include "include/addr.h"
#include "include/errno.h"

struct vacpi_tables_config {
	unsigned vcpus;
	uint32_t (*apic_id)(const void *context, unsigned index);	/* of each vCPU */
	const void *context;
	uint8_t ioapic_id;
	uint64_t ecam;			/* base of 1 MiB for each bus, or 0 */
	bool hpet;			/* there is a vhpet */
	unsigned buses;			/* 1 to 256: systems look at all that they are told of */
	/* first byte of the 32-bit MMIO window; it ends below 0xfec00000 */
	uint32_t pci_window;
	uint64_t pci_window64, pci_window64_size;	/* or 0 */
	bool mouse;			/* beside the keyboard */
};

#define VACPI_TABLES_MAX	(128 * 1024)	/* enough for 4096 vCPUs */

/* What somebody who moves the tables has to mend; places are bytes from the start. */
#define VACPI_LINKS_MAX		24
#define VACPI_SUMS_MAX		12

struct vacpi_layout {
	struct { uint32_t at; uint8_t size; } link[VACPI_LINKS_MAX];	/* addresses of tables */
	struct { uint32_t at, size, sum; } sum[VACPI_SUMS_MAX];	/* `sum`: where the byte is */
	unsigned link_count, sum_count;
};

/*
 * Builds everything into `buf`, which becomes guest memory at `base` (below 4 GiB, a multiple of
 * 64). The RSDP is at its start. Gives the bytes used, -ENOSPC when `size` is too small, -EINVAL
 * for a configuration that cannot be. `layout` may be NULL.
 */
long vacpi_tables_build(const struct vacpi_tables_config *config, void *buf, size_t size,
	gpa_t base, struct vacpi_layout *layout) must_check;
