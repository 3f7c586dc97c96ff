/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware's ACPI tables say, gathered once at boot into one struct: CPUs, interrupt
 * controllers, power management ports, ECAM, HPET, memory nodes, console. Tables only, no AML: the
 * soft-off values are found by looking for the package _S5 in the DSDT's bytes. The input is not
 * trusted: a table that is cut or absurd is left out, with a warning; a wrong checksum, which other
 * systems overlook, is only warned of. Read-only after acpi_init_late. Source: Advanced
 * Configuration and Power Interface Specification 6.4, "ACPI Software Programming Model".
 */
#pragma once

#include "cpu/percpu.h"
#include "include/addr.h"

#define ACPI_IOAPIC_MAX		16
#define ACPI_OVERRIDE_MAX	32
#define ACPI_NMI_MAX		32
#define ACPI_ECAM_MAX		16
#define ACPI_MEMORY_MAX		128
#define ACPI_NODE_MAX		16

struct acpi_cpu {
	uint32_t apic_id;
	uint32_t uid;
	uint8_t node;
};

struct acpi_ioapic {
	hpa_t base;
	uint32_t gsi_base;
	uint8_t id;
};

/* An ISA interrupt that is not wired as ISA says. */
struct acpi_override {
	uint8_t irq;
	uint32_t gsi;
	bool low, level;	/* polarity, trigger mode */
};

#define ACPI_UID_ALL	0xffffffffu

struct acpi_nmi {
	uint32_t uid;		/* or ACPI_UID_ALL */
	uint8_t lint;
	bool low, level;
};

struct acpi_ecam {
	hpa_t base;		/* of bus 0, even when first_bus is not 0 */
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

struct acpi_memory {
	hpa_t start;
	uint64_t size;
	uint8_t node;
};

enum acpi_space { ACPI_SPACE_MEMORY, ACPI_SPACE_IO, ACPI_SPACE_PCI };

struct acpi_register {
	uint64_t address;	/* 0: there is none */
	uint8_t space;		/* enum acpi_space */
	uint8_t width;		/* bits */
};

/* The firmware's own console on a 16550. */
struct acpi_serial {
	struct acpi_register port;	/* address 0: there is none; width: of an access */
	bool irq_known, gsi_known;
	uint8_t irq;			/* ISA line */
	uint32_t gsi;
	uint32_t baud;			/* 0: as the chip is set already */
	uint32_t clock_hz;		/* 0: not told */
};

struct acpi_info {
	bool found;		/* a root table was */
	uint8_t revision;	/* of the RSDP */
	char oem[7];

	/* MADT */
	hpa_t lapic;
	bool pic;		/* there are 8259s to silence */
	bool x2apic_opt_out;	/* DMAR: firmware cannot cope with x2APIC */
	struct acpi_cpu cpu[CPU_MAX];
	unsigned cpu_count;
	struct acpi_ioapic ioapic[ACPI_IOAPIC_MAX];
	unsigned ioapic_count;
	struct acpi_override override[ACPI_OVERRIDE_MAX];
	unsigned override_count;
	struct acpi_nmi nmi[ACPI_NMI_MAX];
	unsigned nmi_count;

	/* FADT */
	uint16_t pm_timer_port;	/* 0: none */
	uint8_t pm_timer_bits;	/* 24 or 32 */
	uint16_t pm1a_control, pm1b_control;	/* ports; 0: none */
	uint16_t smi_command;
	uint8_t acpi_enable;
	uint8_t sci;
	bool s5;		/* the next two are known */
	uint8_t s5_a, s5_b;
	struct acpi_register reset;
	uint8_t reset_value;
	struct acpi_register sleep;	/* of hardware-reduced ACPI, instead of PM1 */
	bool no_keyboard;	/* firmware says that there is no controller at ports 60h and 64h */

	/* SPCR */
	struct acpi_serial serial;

	/* MCFG, HPET, SRAT */
	struct acpi_ecam ecam[ACPI_ECAM_MAX];
	unsigned ecam_count;
	hpa_t hpet;		/* 0: none */
	struct acpi_memory memory[ACPI_MEMORY_MAX];
	unsigned memory_count;
	uint32_t domain[ACPI_NODE_MAX];	/* proximity domain of each node */
	unsigned node_count;		/* at least 1 */
};

extern struct acpi_info acpi_info;

/* Copies n bytes of physical memory; false if they cannot be had. */
typedef bool acpi_reader(hpa_t a, void *buf, size_t n);

/*
 * Into *out, whatever the input; `rsdp` is a copy of it. -ENOENT: no RSDP or root table
 * that can be used.
 */
int acpi_parse(struct acpi_info *out, const void *rsdp, size_t rsdp_size,
	       acpi_reader *read) must_check;

/*
 * Into acpi_info, through the boot map's direct window: before kmap_init. -EAGAIN: some tables lie
 * beyond it, above 4 GiB; acpi_init_late will have them.
 */
int acpi_init(const void *rsdp, size_t rsdp_size) must_check;
/*
 * After kmap_init, before anything else looks at acpi_info: parses again what acpi_init could not
 * reach. Boot CPU alone.
 */
int acpi_init_late(const void *rsdp, size_t rsdp_size) must_check;

/*
 * Firmware may ask for xAPIC, whose ids end below 255. Is x2APIC wanted, by what the tables say?
 */
bool acpi_wants_x2apic(void);
/* Where ISA interrupt `irq` arrives. */
struct acpi_override acpi_isa_irq(unsigned irq);

/*
 * After kmap_init: maps the registers below that lie in memory, so that they can be used from
 * panic. Until then only ports are.
 */
void acpi_power_init(void);
bool acpi_can_poweroff(void);		/* by what the tables say */
/* Soft-off and reset, by whatever means there are; they return only if nothing worked. */
void acpi_poweroff(void);
void acpi_reset(void);
