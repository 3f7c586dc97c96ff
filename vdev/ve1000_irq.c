/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ve1000_core.h: causes, masks, and when an interrupt may come. A cause that nobody was told of
 * waits until the interval since the last interrupt is over; the pin, and MSI, have one interval,
 * each vector of MSI-X its own. All is derived anew from the registers whenever one changes.
 */
#include "vdev/ve1000_core.h"

#include "vdev/vpci_msi.h"

#define TIMER		0
#define INTERVAL_NS	256u		/* units of ITR and EITR */
#define DELAY_NS	1024u		/* of the delay timers */
#define DELAY_BITS	0xffffu
#define CAUSE_ASSERTED	0x80000000u
#define OTHERS		(CAUSE_LINK | CAUSE_RX_LOST | CAUSE_MDIO | CAUSE_RX_SMALL)
#define CAUSES_82540	0x0001ffffu
#define CAUSES_82574	0x01ffffffu
#define VECTOR_VALID	8u		/* of IVAR's fields, of four bits each */
#define FIRST_VECTORED	20u		/* bit of CAUSE_RX0, and the order of the fields */

static bool has_vectors(const struct ve1000 *e)
{
	return READ_ONCE(e->function.messages.kind) == VPCI_MSIX;
}

static uint64_t interval(const struct ve1000 *e, unsigned reg)
{
	return (uint64_t)e->reg[reg] * INTERVAL_NS;
}

/* ---- telling ---- */

static void set_pin(struct ve1000 *e, bool up)
{
	if (e->pin == up)
		return;
	e->pin = up;
	vpci_function_pin_set(&e->function, up);
}

/* Returns when it may be done, if not now. */
static uint64_t tell_all(struct ve1000 *e, uint64_t now)
{
	uint32_t pending = e->reg[R_ICR] & e->reg[R_IMS];
	bool messages = vpci_msi_enabled(&e->function);

	if (!pending || messages)
		set_pin(e, false);
	if (e->pin)
		e->told = pending;
	if (!(pending & ~e->told))
		return VE1000_NEVER;
	if (now < e->quiet[0])
		return e->quiet[0];
	if (messages)
		vpci_msi_send(&e->function, 0);
	else
		set_pin(e, true);
	e->told = pending;
	e->quiet[0] = now + interval(e, R_ITR);
	ve1000_count(e, STAT_INTERRUPTS, 1);
	return VE1000_NEVER;
}

/* Some causes are cleared, some are masked by their message. */
static void told(struct ve1000 *e, uint32_t cause)
{
	e->told |= cause;
	if (e->reg[R_CTRL_EXT] & CTRL_EXT_MASKS_MESSAGES)
		e->reg[R_IMS] &= ~cause;
	e->reg[R_ICR] &= ~(e->reg[R_EIAC] & cause);
	e->told &= e->reg[R_ICR] & e->reg[R_IMS];
}

static uint64_t tell_vector(struct ve1000 *e, unsigned i, uint64_t now)
{
	uint32_t cause = CAUSE_RX0 << i, entry = e->reg[R_IVAR] >> 4 * i & 15;
	unsigned vector = entry % VECTOR_VALID;

	if (!(e->reg[R_ICR] & e->reg[R_IMS] & ~e->told & cause) || !(entry & VECTOR_VALID) ||
	    vector >= VE1000_VECTORS)
		return VE1000_NEVER;
	if (now < e->quiet[1 + vector])
		return e->quiet[1 + vector];
	vpci_msi_send(&e->function, vector);
	e->quiet[1 + vector] = now + interval(e, R_EITR + vector);
	told(e, cause);
	ve1000_count(e, STAT_INTERRUPTS, 1);
	return VE1000_NEVER;
}

static uint64_t tell_vectors(struct ve1000 *e, uint64_t now)
{
	uint64_t next = VE1000_NEVER;

	set_pin(e, false);
	for (unsigned i = 0; i < VE1000_VECTORS; i++)
		next = MIN(next, tell_vector(e, i, now));
	return next;
}

static void arm(struct ve1000 *e, uint64_t next)
{
	if (e->armed == next)
		return;
	e->armed = next;
	if (next == VE1000_NEVER)
		host_timer_cancel(&e->dev, TIMER);
	else
		host_timer_set(&e->dev, TIMER, next);
}

void ve1000_irq_update(struct ve1000 *e)
{
	uint64_t now = host_clock_ns(&e->dev), next;

	e->told &= e->reg[R_ICR] & e->reg[R_IMS];
	next = has_vectors(e) ? tell_vectors(e, now) : tell_all(e, now);
	for (unsigned i = 0; i < DUES; i++)
		next = MIN(next, e->due[i]);
	arm(e, next);
}

/* ---- causes ---- */

static void set_causes(struct ve1000 *e, uint32_t causes)
{
	e->reg[R_ICR] |= causes & (e->express ? CAUSES_82574 : CAUSES_82540);
	if (causes & OTHERS && has_vectors(e))
		e->reg[R_ICR] |= CAUSE_OTHER;
}

void ve1000_irq_raise(struct ve1000 *e, uint32_t causes)
{
	set_causes(e, causes);
	ve1000_irq_update(e);
}

/* Each event begins its delay anew; the absolute one runs since the first. */
static void delay(struct ve1000 *e, enum ve1000_deadline which, uint32_t n, uint32_t absolute)
{
	uint64_t now = host_clock_ns(&e->dev);

	e->due[which] = now + (uint64_t)n * DELAY_NS;
	if (absolute && e->due[which + 1] == VE1000_NEVER)
		e->due[which + 1] = now + (uint64_t)absolute * DELAY_NS;
	ve1000_irq_update(e);
}

void ve1000_irq_received(struct ve1000 *e, unsigned queue, bool low)
{
	uint32_t n = e->reg[R_RDTR] & DELAY_BITS, causes = low ? CAUSE_RX_LOW : 0;

	if (low)
		ve1000_count(e, STAT_RX_LOW, 1);
	if (has_vectors(e)) {
		ve1000_irq_raise(e, queue ? CAUSE_RX1 : CAUSE_RX0);
		return;
	}
	set_causes(e, n ? causes : causes | CAUSE_RECEIVED);
	if (n)
		delay(e, DUE_RX, n, e->reg[R_RADV]);
	else
		ve1000_irq_update(e);
}

void ve1000_irq_sent(struct ve1000 *e, unsigned queue, bool delayed)
{
	uint32_t n = e->reg[R_TIDV] & DELAY_BITS;

	if (has_vectors(e))
		ve1000_irq_raise(e, queue ? CAUSE_TX1 : CAUSE_TX0);
	else if (delayed && n)
		delay(e, DUE_TX, n, e->reg[R_TADV]);
	else
		ve1000_irq_raise(e, CAUSE_SENT);
}

uint32_t ve1000_irq_read(struct ve1000 *e)
{
	uint32_t v = e->reg[R_ICR];

	e->reg[R_ICR] = 0;
	if (v && e->express) {
		v |= CAUSE_ASSERTED;
		if (e->reg[R_CTRL_EXT] & CTRL_EXT_MASKS_READS)
			e->reg[R_IMS] &= ~e->reg[R_IAM];
	}
	ve1000_irq_update(e);
	return v;
}

/* ---- time ---- */

static bool take_due(struct ve1000 *e, enum ve1000_deadline which, uint64_t now)
{
	if (e->due[which] > now)
		return false;
	e->due[which] = VE1000_NEVER;
	return true;
}

/* The other delay of the pair ends with it. */
static void end_delay(struct ve1000 *e, enum ve1000_deadline which, uint32_t cause, uint64_t now)
{
	bool over = take_due(e, which, now), absolute = take_due(e, which + 1, now);

	if (!over && !absolute)
		return;
	e->due[which] = e->due[which + 1] = VE1000_NEVER;
	set_causes(e, cause);
}

bool ve1000_irq_timer(struct ve1000 *e)
{
	uint64_t now = host_clock_ns(&e->dev);
	bool work = take_due(e, DUE_RETRY, now);

	e->armed = VE1000_NEVER;
	end_delay(e, DUE_RX, CAUSE_RECEIVED, now);
	end_delay(e, DUE_TX, CAUSE_SENT, now);
	ve1000_irq_update(e);
	return work;
}

void ve1000_irq_reset(struct ve1000 *e)
{
	for (unsigned i = 0; i < ARRAY_COUNT(e->quiet); i++)
		e->quiet[i] = 0;
	for (unsigned i = 0; i < DUES; i++)
		e->due[i] = VE1000_NEVER;
	e->reg[R_ICR] = e->reg[R_IMS] = 0;
	e->told = 0;
	set_pin(e, false);
	arm(e, VE1000_NEVER);
}
