/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The classes of devices that a machine may have: one table of names, of what makes one, and of
 * where their regions answer that do not move. For vmm/machine.c alone.
 */
#pragma once

#include "cpu/spinlock.h"
#include "vdev/vpci.h"
#include "vmm/machine.h"

struct vm;
struct machine_row;

#define MACHINE_REGION_MAX	5	/* of a class that do not move */

/* Devices that others of the machine call by name. */
enum part { PART_NONE, PART_PIC, PART_IOAPIC, PART_PIT, PART_UART, PART_ACPI, PART_FWCFG, PART_PCI,
	PART_MCH, PART_SERIAL, PART_BALLOON, PART_KEYBOARD, PART_SCREEN, PARTS };

struct region_row {
	uint8_t region, space;		/* enum host_space */
	uint32_t base, size;		/* base: behind the row's */
};

struct device_class {
	const char *name;		/* QEMU's, where that has it */
	/* One of the two. */
	int (*plain)(struct vdev **out);
	int (*create)(struct vm *vm, const struct machine_row *row, struct vdev **out);
	/* Of a PCI device: what sits at its row's slot. */
	struct vpci_function *(*function)(struct vdev *d);
	bool is_bridge;
	enum part part;
	uint8_t lock;			/* LOCK_VDEV if 0 */
	uint8_t vram;			/* 1 + the region that shows the vm's video memory */
	uint8_t intr;			/* 1 + the line that is the vCPUs' INTR */
	struct machine_line line[4];	/* of all of the class, beside the row's */
	/* What medium 0 is: the VM's console is that of the first that is no PCI device. */
	enum host_media_kind medium;
	struct region_row region[MACHINE_REGION_MAX];
};

/* --- vmm/machine.c's, for who makes devices */
struct vdev *machine_part(struct vm *vm, enum part part);
/* The guest has done with that input of the 8259; `context` is the vm. */
void machine_input_acknowledged(void *context, unsigned irq);
/* PIRQA (0) to PIRQH lead to that input of the 8259 from now on, or nowhere (0xff). Likewise. */
void machine_pirq_route(void *context, unsigned pirq, uint8_t irq);

const struct device_class *machine_class_get(unsigned i);	/* NULL beyond the last */
const struct device_class *machine_class_find(const char *name);	/* or NULL */
