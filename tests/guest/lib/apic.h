/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC by offset of its page, in either mode: by memory (xAPIC) or by MSR (x2APIC).
 * apic_mode_set() says which; at start it is xAPIC. The I/O APIC and the 8259s stand here too,
 * since a test of interrupts wants them quiet.
 */
#pragma once

#include "tests/guest/lib/guest.h"

#define LAPIC_BASE	0xfee00000ul
#define IOAPIC_BASE	0xfec00000ul

#define APIC_ID		0x20
#define APIC_VERSION	0x30
#define APIC_TPR	0x80
#define APIC_PPR	0xa0
#define APIC_EOI	0xb0
#define APIC_LDR	0xd0
#define APIC_DFR	0xe0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_ICR	0x300
#define APIC_ICR_HIGH	0x310
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF	0x340
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_LINT1	0x360
#define APIC_LVT_ERROR	0x370
#define APIC_TIMER_INIT	0x380
#define APIC_TIMER_NOW	0x390
#define APIC_TIMER_DIV	0x3e0
#define APIC_SELF_IPI	0x3f0		/* x2APIC only */

#define APIC_SVR_ENABLE	0x100
#define LVT_MASKED	0x10000
#define LVT_PERIODIC	0x20000
#define LVT_DEADLINE	0x40000
#define ICR_SELF	0x40000
#define ICR_NMI		0x400
#define ICR_LOGICAL	0x800
#define TIMER_DIV_1	0xb

enum apic_mode { APIC_XAPIC, APIC_X2APIC };

/* The mode, enabled with spurious vector 255, all LVT masked, 8259 masked. */
void apic_init(enum apic_mode mode);
void apic_mode_set(enum apic_mode mode);
enum apic_mode apic_mode(void);
uint32_t apic_read(unsigned offset);
void apic_write(unsigned offset, uint32_t value);
void apic_eoi(void);
void apic_self_ipi(uint8_t vector);
bool apic_bit(unsigned base, uint8_t vector);	/* in ISR, TMR or IRR */

uint32_t ioapic_read(uint8_t index);
void ioapic_write(uint8_t index, uint32_t value);
void ioapic_route(unsigned pin, uint64_t entry);

void pic_init(uint8_t base);		/* both, vectors from base, all masked */
void pic_mask(uint16_t mask);		/* one bit per line, 1 is masked */
