/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a PC's firmware leaves in memory, for a machine that has none: ACPI's tables, the MP table,
 * the BIOS data areas, a table of real-mode vectors and behind them the little BIOS of
 * vmm/firmware/bios/. The same for every kind of kernel, so that each finds what it looks for. The
 * memory map (vmm/firmware/memory_map.h) says reserved where this lies above MEMORY_BASE_END; below
 * are the vectors and the data area, the first 0x500 bytes, which a kernel overwrites when it is
 * ready to.
 */
#pragma once

#include "vdev/vacpi_tables.h"

struct vm;

#define FIRMWARE_RSDP		0xe0000ul	/* then the other tables of ACPI, 64 KiB at most */

/* What ACPI's tables tell of that vm, with configuration space in memory there, or 0. */
struct vacpi_tables_config firmware_acpi_config(const struct vm *vm, uint64_t ecam);
/* Before the kernel is loaded. 0, or what gmem_write() or the tables' builders say. */
int firmware_write(struct vm *vm) must_check;
