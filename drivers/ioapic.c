/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O APICs: an index register and a data register, hence the lock: ioapic_lock (LOCK_LEAF), taken
 * with interrupts off. The 8259s are remapped before they are masked, since their spurious
 * interrupts cannot be masked and must not look like exceptions.
 * Source: Intel 82093AA datasheet, "Register description"; Intel 8259A datasheet, "Programming".
 */
#include "drivers/ioapic.h"

#include "cpu/cpu.h"
#include "cpu/spinlock.h"
#include "drivers/acpi.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "mm/kmap.h"

#define IOAPIC_SELECT	0x00
#define IOAPIC_WINDOW	0x10

#define IOAPIC_VERSION	1
#define IOAPIC_ENTRY(n)	(0x10 + 2 * (n))

#define ENTRY_MODE	BITS(10, 8)
#define ENTRY_SMI	BIT(9)
#define ENTRY_LOW	BIT(13)
#define ENTRY_LEVEL	BIT(15)
#define ENTRY_MASKED	BIT(16)

#define PIC_BASE	0x20	/* vectors of what is left of the 8259s */

struct ioapic {
	uint8_t *registers;
	uint32_t gsi_base;
	unsigned pins;
};

static struct spinlock ioapic_lock = SPINLOCK_INIT("ioapic", LOCK_LEAF);
static struct ioapic ioapics[ACPI_IOAPIC_MAX];
static unsigned count;

static uint32_t reg_read(const struct ioapic *io, unsigned reg)
{
	*(volatile uint32_t *)(io->registers + IOAPIC_SELECT) = reg;
	return *(volatile uint32_t *)(io->registers + IOAPIC_WINDOW);
}

static void reg_write(const struct ioapic *io, unsigned reg, uint32_t v)
{
	*(volatile uint32_t *)(io->registers + IOAPIC_SELECT) = reg;
	*(volatile uint32_t *)(io->registers + IOAPIC_WINDOW) = v;
}

/* Masked while its halves differ. */
static void entry_write(const struct ioapic *io, unsigned pin, uint32_t low, uint32_t apic_id)
{
	reg_write(io, IOAPIC_ENTRY(pin), ENTRY_MASKED);
	reg_write(io, IOAPIC_ENTRY(pin) + 1, apic_id << 24);
	reg_write(io, IOAPIC_ENTRY(pin), low);
}

static const struct ioapic *find(uint32_t gsi)
{
	for (unsigned i = 0; i < count; i++)
		if (gsi - ioapics[i].gsi_base < ioapics[i].pins)
			return &ioapics[i];
	return NULL;
}

/*
 * Initialisation words: edge, cascade, ICW4; vector base; wiring of the cascade; 8086 mode.
 * Then all masked.
 */
static void pic_silence(void)
{
	static const struct { uint16_t port; uint8_t v; } steps[] = {
		{ 0x20, 0x11 }, { 0xa0, 0x11 },
		{ 0x21, PIC_BASE }, { 0xa1, PIC_BASE + 8 },
		{ 0x21, 4 }, { 0xa1, 2 },
		{ 0x21, 1 }, { 0xa1, 1 },
		{ 0x21, 0xff }, { 0xa1, 0xff },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(steps); i++)
		cpu_out8(steps[i].port, steps[i].v);
}

/* The firmware's own: its handler may watch heat or power by it. */
static bool is_smi(const struct ioapic *io, unsigned pin)
{
	return (reg_read(io, IOAPIC_ENTRY(pin)) & ENTRY_MODE) == ENTRY_SMI;
}

static void add(const struct acpi_ioapic *a)
{
	struct ioapic *io = &ioapics[count];

	io->registers = kmap_io(a->base, PAGE_SIZE, CACHE_UC);
	if (!io->registers) {
		log_warn("ioapic: no room to map the one at %#lx", a->base.v);
		return;
	}
	io->gsi_base = a->gsi_base;
	io->pins = (unsigned)FIELD(reg_read(io, IOAPIC_VERSION), 23, 16) + 1;
	for (unsigned pin = 0; pin < io->pins; pin++)
		if (!is_smi(io, pin))
			entry_write(io, pin, ENTRY_MASKED, 0);
	count++;
	log_info("ioapic: id %u at %#lx, interrupts %u to %u", a->id, a->base.v, io->gsi_base,
		 io->gsi_base + io->pins - 1);
}

void ioapic_init(void)
{
	pic_silence();
	for (unsigned i = 0; i < acpi_info.ioapic_count; i++)
		add(&acpi_info.ioapic[i]);
	if (!count)
		log_warn("ioapic: none found, devices cannot interrupt");
}

unsigned ioapic_count(void)
{
	return count;
}

int ioapic_route(uint32_t gsi, unsigned vector, uint32_t apic_id, bool low, bool level)
{
	const struct ioapic *io = find(gsi);
	uint32_t v = vector | ENTRY_MASKED | (low ? ENTRY_LOW : 0) | (level ? ENTRY_LEVEL : 0);
	uint64_t flags;

	if (!io)
		return -ENODEV;
	if (apic_id > 0xff) {
		log_warn("ioapic: APIC id %u needs interrupt remapping", apic_id);
		return -ERANGE;
	}
	flags = spin_lock_irq(&ioapic_lock);
	entry_write(io, gsi - io->gsi_base, v, apic_id);
	spin_unlock_irq(&ioapic_lock, flags);
	return 0;
}

void ioapic_mask(uint32_t gsi, bool masked)
{
	const struct ioapic *io = find(gsi);
	uint64_t flags;
	uint32_t v;
	unsigned reg;

	if (!io)
		return;
	reg = IOAPIC_ENTRY(gsi - io->gsi_base);
	flags = spin_lock_irq(&ioapic_lock);
	v = reg_read(io, reg) & ~(uint32_t)ENTRY_MASKED;
	reg_write(io, reg, v | (masked ? ENTRY_MASKED : 0));
	spin_unlock_irq(&ioapic_lock, flags);
}
