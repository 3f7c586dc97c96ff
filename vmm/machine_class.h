/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The classes of devices that a machine may have: one table of names, of what makes one, and of
 * where their regions answer that do not move. For vmm/machine.c alone.
 */
#pragma once

#include "vdev/host.h"

struct vm;

#define MACHINE_REGION_MAX	5	/* of a class that do not move */

/* Devices that others of the machine call by name. */
enum part { PART_NONE, PART_PIC, PART_IOAPIC, PART_PIT, PART_UART, PART_ACPI, PART_FWCFG, PARTS };

struct region_row {
	uint8_t region;
	enum host_space space;
	uint64_t base, size;		/* base: behind the row's */
};

struct device_class {
	const char *name;		/* QEMU's, where that has it */
	int (*create)(struct vm *vm, struct vdev **out);
	enum part part;
	bool irqchip;			/* others' lines lead there */
	uint8_t intr;			/* 1 + the line that is the vCPUs' INTR */
	struct region_row region[MACHINE_REGION_MAX];
};

const struct device_class *machine_class_find(const char *name);	/* or NULL */
