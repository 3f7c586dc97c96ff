/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions in memory, for tests of what stands on pci_read() and pci_write(): registers that
 * can be written where their masks say so, BARs that have a size, reset bits that reset. It stands
 * in for drivers/pci.c, kmap_io() and the CPU's vectors.
 */
#pragma once

#include "cpu/irq.h"
#include "drivers/pci.h"

#define FAKE_PCI_MAX	4

struct fake_pci {
	struct pci_device device;
	uint8_t space[4096];
	uint32_t bar_writable[PCI_BAR_MAX];	/* bits of each that can be set */
	uint32_t bar_lie;			/* read after all ones were written; 0: none */
	unsigned writes;			/* to anything */
	unsigned resets;
	unsigned reset_control;			/* where the reset bit is, 0: nowhere */
	uint16_t reset_bit;
	bool gone;				/* it answers nothing any more */
	bool decoding_while_sized;		/* a BAR was changed while it was decoded */
};

extern struct fake_pci fake_pci[FAKE_PCI_MAX];
extern unsigned fake_pci_count;
extern unsigned fake_pci_mapped;		/* windows */
extern uint8_t fake_pci_window[1 << 16];	/* what each of them shows */
extern uint64_t fake_pci_window_at;		/* and where the last one was said to be */
extern uint64_t fake_pci_slept_ns;
extern uint32_t fake_pci_apic_id[4];		/* by CPU */
extern struct irq *fake_pci_irq;		/* the last one allocated; NULL: freed */
extern int fake_pci_alloc_error;

/* All gone; then one function with this class and header, nothing else. */
void fake_pci_reset(void);
struct fake_pci *fake_pci_add(uint32_t id, uint32_t class, uint8_t header);
void fake_pci_put(struct fake_pci *f, unsigned reg, unsigned size, uint32_t v);
uint32_t fake_pci_get(const struct fake_pci *f, unsigned reg, unsigned size);
