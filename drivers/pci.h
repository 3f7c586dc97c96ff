/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's PCI functions: a list of what is there, configuration access by ECAM where the MCFG
 * has the bus and by ports 0xcf8/0xcfc otherwise, one function's registers, its interrupts, and
 * drivers. Numbering and resources are the firmware's; nothing is moved, and what no driver takes
 * is not written to. What a function says of itself is not believed further than it can be checked.
 * Accesses from any context; the rest by who drives the function, in thread context.
 * Sources: PCI Local Bus Specification 3.0, "Configuration Space"; PCI Express Base 4.0, "ECAM",
 * "Function Level Reset".
 */
#pragma once

#include "include/addr.h"

struct pci_driver;
struct irq;
struct wire_user;

enum pci_messages { PCI_NO_MESSAGES, PCI_MSI, PCI_MSIX };

struct pci_device {
	uint16_t segment;
	uint8_t bus, device, function;
	uint8_t header_type;		/* bit 7: several functions */
	uint16_t vendor_id, device_id;
	uint32_t class;			/* class, subclass, programming interface */
	uint8_t revision;
	uint8_t irq_pin;		/* 0: none, 1 to 4: INTA to INTD */

	const struct pci_driver *driver;	/* NULL: it is left alone */
	struct pci_device *taken_before;
	uint16_t command;		/* as it was before it was taken */
	enum pci_messages messages;	/* that are open; the next four are theirs */
	uint16_t message_count;
	uint8_t message_cap;
	uint8_t *message_table;		/* of MSI-X */
};

/* After acpi_init_late and heap_init: finds the functions on all buses of all segments. */
void pci_init(void);
struct pci_device *pci_get(unsigned index);	/* NULL beyond the last */

/*
 * `size` is 1, 2 or 4, `reg` aligned to it; all ones where nothing is (extended registers
 * without ECAM too).
 */
uint32_t pci_read(const struct pci_device *d, unsigned reg, unsigned size);
void pci_write(const struct pci_device *d, unsigned reg, unsigned size, uint32_t v);

/* ---- one function (drivers/pci_function.c) ---- */

#define PCI_STATUS		0x06
#define PCI_COMMAND		0x04
#define PCI_COMMAND_IO		0x0001
#define PCI_COMMAND_MEMORY	0x0002
#define PCI_COMMAND_MASTER	0x0004
#define PCI_COMMAND_NO_INTX	0x0400
#define PCI_IRQ_LINE		0x3c

#define PCI_CAP_MSI		0x05
#define PCI_CAP_EXPRESS		0x10
#define PCI_CAP_MSIX		0x11
#define PCI_CAP_ADVANCED	0x13

/* Where the first capability `id` lies, of which `length` bytes are there; 0: there is none. */
unsigned pci_capability(const struct pci_device *d, unsigned id, unsigned length);

#define PCI_BAR_MAX	6

struct pci_bar {
	hpa_t address;			/* or the port */
	uint64_t size;			/* a power of two */
	bool io, wide;			/* wide: the next one is its upper half */
};

/*
 * Base address register `i` as the firmware has set it, without a word about its size. -ENOENT:
 * there is none, it is another's upper half, or it has no address.
 */
int pci_bar_peek(const struct pci_device *d, unsigned i, struct pci_bar *out) must_check;
/*
 * With its size, for which decoding is off for a moment: for who drives the function. -EINVAL: no
 * device can be there, as it is not aligned, not within what the CPU reaches, or over RAM.
 */
int pci_bar_get(struct pci_device *d, unsigned i, struct pci_bar *out) must_check;
/*
 * Maps `size` bytes at `offset` of it, uncached; NULL if they are not within it, or cannot be had.
 * kmap_io_unmap() undoes it.
 */
void *pci_bar_map(const struct pci_bar *bar, uint64_t offset, uint64_t size) must_check;
/* PCI_COMMAND_x on, and off. */
void pci_command(struct pci_device *d, uint16_t on, uint16_t off);
/*
 * Function-level reset: what it held is gone, its BARs and its command register are as before, its
 * bus mastering is off. Before interrupts are opened. -ENOSYS: it has no such thing, -EBUSY: it
 * has requests under way, -EIO: it does not come back.
 */
int pci_reset(struct pci_device *d) must_check;
bool pci_can_reset(const struct pci_device *d);

/* ---- its interrupts (drivers/pci_irq.c) ---- */

/*
 * INTx, by the firmware's word for where it arrives: who relies upon it asks for one interrupt
 * first. -ENODEV when it has said nothing; else as wire_open(), and wire_close() ends it.
 */
int pci_wire_open(struct pci_device *d, struct wire_user *u) must_check;
/* How many messages of that kind it could send; 0: it has none. */
unsigned pci_messages_max(const struct pci_device *d, enum pci_messages kind);
/*
 * Messages instead, all masked: how many there are, -ENOSYS when it has no such kind, -EINVAL when
 * its table lies nowhere, -ENOMEM.
 */
int pci_messages_open(struct pci_device *d, enum pci_messages kind) must_check;
/*
 * Message `i` goes to `irq`, whose name, handler and argument are filled in, on `cpu`, from now on.
 * -ENOSPC: that CPU has no vector left, -ERANGE: a message cannot name it (without interrupt
 * remapping none reaches an APIC id above 255).
 */
int pci_message_set(struct pci_device *d, unsigned i, struct irq *irq, unsigned cpu) must_check;
/* -ENOSYS: it cannot be masked, as some MSI. What comes meanwhile comes afterwards. */
int pci_message_mask(struct pci_device *d, unsigned i, bool masked) must_check;
/* When it returns the handler runs nowhere and never will. */
void pci_message_clear(struct pci_device *d, unsigned i, struct irq *irq);
/* When all are cleared: INTx again. Nothing is done if none are open. */
void pci_messages_close(struct pci_device *d);

/* ---- drivers (drivers/pci_driver.c) ---- */

#define PCI_ANY		0xffff

struct pci_match {
	uint16_t vendor, device;		/* or PCI_ANY */
	uint32_t class, class_mask;		/* the bits that count; 0: none does */
};

struct pci_driver {
	const char *name;
	const struct pci_match *match;
	unsigned match_count;
	/* Takes it: 0. -ENODEV: leaves it alone, without a word. After an error it is as before. */
	int (*probe)(struct pci_device *d);
	/* Silences it. NULL: it is used to the very end. */
	void (*remove)(struct pci_device *d);
};

/*
 * Offers the functions, in their order, to the drivers, the first of `drivers` first. One that is
 * taken stays with its driver.
 */
void pci_bind(const struct pci_driver *const *drivers, unsigned count);
/* Takes all back from drivers with a remove(), the last that was taken first. */
void pci_unbind(void);

/* ---- for people (drivers/pci_node.c) ---- */

struct nodedev;

/* Facts about the i-th function, without touching it; false beyond the last. */
bool pci_describe(unsigned i, struct nodedev *out);
