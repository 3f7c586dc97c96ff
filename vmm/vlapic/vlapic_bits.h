/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers and bits of the local APIC, as offsets in its page.
 * Source: Intel SDM 3, "Local APIC Register Address Map", "x2APIC Register Address Space".
 */
#pragma once

#include "include/bits.h"

#define REG_ID			0x020
#define REG_VERSION		0x030
#define REG_TPR			0x080
#define REG_PPR			0x0a0
#define REG_EOI			0x0b0
#define REG_LDR			0x0d0
#define REG_DFR			0x0e0
#define REG_SVR			0x0f0
#define REG_ISR			0x100
#define REG_TMR			0x180
#define REG_IRR			0x200
#define REG_ESR			0x280
#define REG_ICR			0x300
#define REG_ICR_HIGH		0x310
#define REG_LVT_TIMER		0x320
#define REG_LVT_THERMAL		0x330
#define REG_LVT_PERF		0x340
#define REG_LVT_LINT0		0x350
#define REG_LVT_LINT1		0x360
#define REG_LVT_ERROR		0x370
#define REG_TIMER_INITIAL	0x380
#define REG_TIMER_CURRENT	0x390
#define REG_TIMER_DIVIDE	0x3e0
#define REG_SELF_IPI		0x3f0

/* In the order of their registers, 0x320 to 0x370. */
enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

#define LVT_VECTOR		0xffu
#define LVT_MODE		0x700u
#define LVT_PENDING		0x1000u		/* read-only: delivery status */
#define LVT_POLARITY		0x2000u
#define LVT_REMOTE_IRR		0x4000u		/* read-only */
#define LVT_LEVEL		0x8000u
#define LVT_MASKED		0x10000u
#define LVT_TIMER_MODE		0x60000u
#define LVT_TIMER_DEADLINE	0x40000u

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

enum delivery {
	DELIVERY_FIXED, DELIVERY_LOWEST, DELIVERY_SMI, DELIVERY_NMI = 4, DELIVERY_INIT,
	DELIVERY_SIPI, DELIVERY_EXTINT,
};

#define ICR_LOGICAL		BIT(11)
#define ICR_ASSERT		BIT(14)
#define ICR_LEVEL		BIT(15)
#define ICR_WRITABLE		0x000ccfffu
enum icr_shorthand { ICR_SELF = 1, ICR_ALL, ICR_OTHERS };

#define SVR_ENABLE		0x100u
#define SVR_FOCUS		0x200u
#define ESR_SEND_ILLEGAL	0x20u

#define VLAPIC_VERSION		0x00050014u	/* six LVT entries */

/*
 * x2APIC: bit n = MSR 0x800 + n. Read: ID, version, TPR, PPR, LDR, SVR, ISR, TMR, IRR, ESR, ICR,
 * LVTs, counts, divide.
 */
#define X2APIC_READ_MASK	(BIT(0x02) | BIT(0x03) | BIT(0x08) | BIT(0x0a) | BIT(0x0d) | \
				 BITS(0x28, 0x0f) | BIT(0x30) | BITS(0x39, 0x32) | BIT(0x3e))
#define X2APIC_WRITE_MASK	(BIT(0x08) | BIT(0x0b) | BIT(0x0f) | BIT(0x28) | BIT(0x30) | \
				 BITS(0x38, 0x32) | BIT(0x3e) | BIT(0x3f))
