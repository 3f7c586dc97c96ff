/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which serial port is the console: the one that `serial=` on the command line names, else the one
 * that the firmware uses itself (ACPI's SPCR), else COM1. Boot CPU, while it is alone.
 *	serial=none
 *	serial=com1 ... com4, or an I/O port: serial=0x2f8
 *	serial=pci, pci2 ... pci9: a port of a PCI card, the first, second ... that there is
 *	serial=PORT,IRQ,BAUD	IRQ 0: none, the port is polled; either may be left out
 */
#pragma once

#include "include/addr.h"

struct pci_device;

struct serial_config {
	bool none;			/* nothing else counts then */
	uint16_t io;			/* 0: in memory */
	hpa_t memory;
	uint8_t width;			/* bits of a register in memory */
	uint8_t irq;			/* ISA line; 0: see gsi */
	bool gsi_known;
	uint32_t gsi;
	struct pci_device *card;	/* whose port it is; NULL: no card's */
	uint8_t card_number;		/* which one is wanted, from 1; 0: none */
	bool polled;			/* without the card's interrupt */
	uint32_t baud;			/* 0: as it is set already */
	uint32_t clock_hz;
};

/* What stands behind `serial=`; -EINVAL for anything else. */
int serial_parse(const char *text, struct serial_config *out) must_check;

/* When boot information is there: opens the port of the command line, or COM1. */
void serial_early(void);
/*
 * After acpi_init and kmap_init: settles on the port, and if that is another one tells it what the
 * log has so far.
 */
void serial_init(void);
/* Is the console to be on the `number`-th port of PCI cards, counted from 1? */
bool serial_wants_card(unsigned number);
/* There it is, in I/O space or in memory, decoded. -ENODEV: no chip answers. */
int serial_use_card(struct pci_device *card, uint16_t io, hpa_t memory) must_check;
/* When interrupts work, threads run and cards have been looked for. */
void serial_irq_init(void);
/* "COM2", "I/O port 0x1234" */
const char *serial_port_name(void);
/* "COM2 (0x2f8), IRQ 3, 115200 baud, by the command line" */
const char *serial_name(void);
