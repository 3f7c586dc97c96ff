/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt controllers, as the tests drive them. Intel SDM volume 3, "Advanced Programmable
 * Interrupt Controller".
 */
#include "tests/guest/lib/apic.h"

#define BASE_ENABLE	(1ul << 11)
#define BASE_X2APIC	(1ul << 10)
#define PIC1		0x20
#define PIC2		0xa0

static enum apic_mode now = APIC_XAPIC;

enum apic_mode apic_mode(void)
{
	return now;
}

void apic_mode_set(enum apic_mode mode)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if (mode == APIC_XAPIC && (base & BASE_X2APIC))
		wrmsr(MSR_APIC_BASE, base & ~(BASE_X2APIC | BASE_ENABLE));
	base = (base & ~BASE_X2APIC) | BASE_ENABLE;
	wrmsr(MSR_APIC_BASE, base);
	if (mode == APIC_X2APIC)
		wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
	now = mode;
}

uint32_t apic_read(unsigned offset)
{
	if (now == APIC_X2APIC)
		return (uint32_t)rdmsr(MSR_X2APIC + offset / 16);
	return mmio_read(LAPIC_BASE + offset);
}

void apic_write(unsigned offset, uint32_t value)
{
	if (now == APIC_X2APIC)
		wrmsr(MSR_X2APIC + offset / 16, value);
	else
		mmio_write(LAPIC_BASE + offset, value);
}

void apic_init(enum apic_mode mode)
{
	apic_mode_set(mode);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | 0xff);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_MASKED);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_TIMER_DIV, TIMER_DIV_1);
	pic_mask(0xffff);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_self_ipi(uint8_t vector)
{
	apic_write(APIC_ICR, ICR_SELF | vector);
}

bool apic_bit(unsigned base, uint8_t vector)
{
	return apic_read(base + vector / 32 * 16) & 1u << vector % 32;
}

uint32_t ioapic_read(uint8_t index)
{
	mmio_write(IOAPIC_BASE, index);
	return mmio_read(IOAPIC_BASE + 0x10);
}

void ioapic_write(uint8_t index, uint32_t value)
{
	mmio_write(IOAPIC_BASE, index);
	mmio_write(IOAPIC_BASE + 0x10, value);
}

void ioapic_route(unsigned pin, uint64_t entry)
{
	ioapic_write((uint8_t)(0x10 + pin * 2), (uint32_t)entry | LVT_MASKED);
	ioapic_write((uint8_t)(0x11 + pin * 2), (uint32_t)(entry >> 32));
	ioapic_write((uint8_t)(0x10 + pin * 2), (uint32_t)entry);
}

void pic_mask(uint16_t mask)
{
	outb(PIC1 + 1, (uint8_t)mask);
	outb(PIC2 + 1, (uint8_t)(mask >> 8));
}

void pic_init(uint8_t base)
{
	outb(PIC1, 0x11);
	outb(PIC2, 0x11);
	outb(PIC1 + 1, base);
	outb(PIC2 + 1, (uint8_t)(base + 8));
	outb(PIC1 + 1, 4);
	outb(PIC2 + 1, 2);
	outb(PIC1 + 1, 1);
	outb(PIC2 + 1, 1);
	pic_mask(0xffff);
}
