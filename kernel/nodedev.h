/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of one device of the machine: facts only, which drivers give and management shows,
 * neither knowing the other.
 */
#pragma once

#include "include/compiler.h"

#define NODEDEV_NAME_MAX	24
#define NODEDEV_BAR_MAX		6

struct nodedev {
	char name[NODEDEV_NAME_MAX];	/* "pci_0000_00_1f_2" */
	char parent[NODEDEV_NAME_MAX];	/* the bridge it is behind; "computer": none */
	uint16_t segment;
	uint8_t bus, device, function;
	uint32_t class;
	const char *class_name;
	uint16_t vendor_id, device_id;
	uint8_t revision;
	const char *driver;		/* NULL: it is left alone */
	struct {
		uint64_t address;	/* 0: there is none */
		bool io, wide;
	} bar[NODEDEV_BAR_MAX];
	uint8_t irq_pin;		/* 0: none */
	uint8_t irq_line;
	unsigned msi, msix;		/* messages that it can send, by MSI and by MSI-X */
	const char *interrupts;		/* which of them are in use; NULL: none that is known */
	bool express, resets;		/* PCI Express; and a function-level reset */
};

/* Of the i-th device; false beyond the last. */
typedef bool nodedev_get(unsigned i, struct nodedev *out);
