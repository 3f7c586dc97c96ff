/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chip's I/O APICs: which wire raises which vector on which CPU. Every wire is masked until
 * it is routed. drivers/wire.h is who routes them. Any context; ioapic_lock is a leaf.
 * Source: Intel 82093AA datasheet, "Register description".
 */
#pragma once

#include "include/compiler.h"

/* After acpi_init and kmap_init: maps them, masks all, silences the 8259s. */
void ioapic_init(void);
unsigned ioapic_count(void);

/*
 * A global interrupt with its own polarity and trigger mode (PCI: low, level), masked afterwards.
 * -ENODEV when no I/O APIC has that wire, -ERANGE for a CPU that it cannot name.
 */
int ioapic_route(uint32_t gsi, unsigned vector, uint32_t apic_id, bool low, bool level) must_check;
void ioapic_mask(uint32_t gsi, bool masked);
