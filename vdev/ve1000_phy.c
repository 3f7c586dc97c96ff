/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ve1000_core.h: the PHY, which is reached a register at a time and whose negotiation is over
 * as soon as it has begun, and the NVM: 64 words that nobody can change, made of what the card is.
 * 8254x manual, PHY Functionality and Features, EEPROM Interface; "IEEE 802.3" clause 22.
 */
#include "vdev/ve1000_core.h"

#include "lib/string.h"

/* ---- the PHY ---- */

enum {
	PHY_CONTROL, PHY_STATUS, PHY_ID1, PHY_ID2, PHY_ADVERTISES, PHY_PARTNER, PHY_EXPANSION,
	PHY_1000_CONTROL = 9, PHY_1000_STATUS = 10, PHY_EXTENDED = 15, PHY_SPECIFIC = 16,
	PHY_SPECIFIC_STATUS = 17, PHY_INTERRUPTS = 19, PHY_EXTENDED_SPECIFIC = 20, PHY_ERRORS = 21,
	PHY_PAGE = 22,			/* of the 82574's */
};
enum {
	CONTROL_RESTART = 0x200, CONTROL_DOWN = 0x800, CONTROL_LOOP = 0x4000,
	CONTROL_RESET = 0x8000,
};
#define STATUS_ABLE		0x7949u	/* all of 10 and 100, more elsewhere, negotiation */
#define STATUS_LINK		0x04u
#define STATUS_NEGOTIATED	0x20u

enum {
	MDIC_WRITE = 0x4000000, MDIC_READ = 0x8000000, MDIC_READY = 0x10000000,
	MDIC_INTERRUPT = 0x20000000, MDIC_ERROR = 0x40000000,
};
#define PHY_ADDRESS		1u

bool ve1000_phy_loops(const struct ve1000 *e)
{
	return e->phy[PHY_CONTROL] & CONTROL_LOOP;
}

bool ve1000_phy_link(const struct ve1000 *e)
{
	return (e->link || ve1000_phy_loops(e)) && !(e->phy[PHY_CONTROL] & CONTROL_DOWN);
}

void ve1000_phy_reset(struct ve1000 *e)
{
	memset(e->phy, 0, sizeof(e->phy));
	e->phy[PHY_CONTROL] = 0x1140;		/* 1000 Mb/s, full duplex, negotiation */
	e->phy[PHY_ADVERTISES] = 0x0de1;
	e->phy[PHY_1000_CONTROL] = 0x0e00;
	e->phy[PHY_SPECIFIC] = 0x0360;
	e->phy[PHY_EXTENDED_SPECIFIC] = 0x0d60;
}

/* That there was no link is seen once. */
static uint16_t read_status(struct ve1000 *e)
{
	bool up = ve1000_phy_link(e), shown = up && !e->link_lost;

	e->link_lost = !up;
	return STATUS_ABLE | (up ? STATUS_NEGOTIATED : 0) | (shown ? STATUS_LINK : 0);
}

static uint16_t phy_read(struct ve1000 *e, unsigned reg)
{
	bool up = ve1000_phy_link(e);

	if (e->phy[PHY_PAGE] && reg != PHY_PAGE)
		return 0;
	switch (reg) {
	case PHY_STATUS:
		return read_status(e);
	case PHY_ID1:
		return 0x0141;
	case PHY_ID2:
		return e->express ? 0x0cb1 : 0x0c20;
	case PHY_PARTNER:
		return up ? 0x41e1 : 0;
	case PHY_EXPANSION:
		return up;
	case PHY_1000_STATUS:
		return up ? 0x7c00 : 0;
	case PHY_EXTENDED:
		return 0x3000;
	case PHY_SPECIFIC_STATUS:
		return up ? 0xac08 : 0;		/* 1000 Mb/s, full duplex, resolved, link */
	case PHY_INTERRUPTS:
	case PHY_ERRORS:
		return 0;
	default:
		return e->phy[reg];
	}
}

/* A negotiation that is begun anew has a result at once. */
static void control_write(struct ve1000 *e, uint16_t v)
{
	bool was = ve1000_phy_link(e), up;

	if (v & CONTROL_RESET)
		ve1000_phy_reset(e);
	else
		e->phy[PHY_CONTROL] = v & (uint16_t)~CONTROL_RESTART;
	up = ve1000_phy_link(e);
	e->link_lost |= !up;
	if (up != was || (up && v & (CONTROL_RESTART | CONTROL_RESET)))
		ve1000_irq_raise(e, CAUSE_LINK);
}

static void phy_write(struct ve1000 *e, unsigned reg, uint16_t v)
{
	if (reg == PHY_PAGE && e->express)
		e->phy[PHY_PAGE] = v;
	else if (e->phy[PHY_PAGE] || reg == PHY_PAGE)
		return;
	else if (reg == PHY_CONTROL)
		control_write(e, v);
	else
		e->phy[reg] = v;
}

void ve1000_phy_mdic(struct ve1000 *e, uint32_t v)
{
	unsigned reg = v >> 16 & 31, address = v >> 21 & 31;

	v &= ~(uint32_t)(MDIC_READY | MDIC_ERROR);
	if (address != PHY_ADDRESS)
		v |= MDIC_ERROR;
	else if (v & MDIC_READ)
		v = (v & ~0xffffu) | phy_read(e, reg);
	else if (v & MDIC_WRITE)
		phy_write(e, reg, (uint16_t)v);
	e->reg[R_MDIC] = v | MDIC_READY;
	if (v & MDIC_INTERRUPT)
		ve1000_irq_raise(e, CAUSE_MDIO);
}

/* ---- the NVM ---- */

#define WORDS		64u
#define CHECKSUM	0xbabau		/* of all words */
enum { WORD_LEDS = 4, WORD_SUBSYSTEM = 11, WORD_SUBVENDOR, WORD_DEVICE, WORD_VENDOR,
	WORD_CHECKSUM = WORDS - 1 };

static uint16_t content(const struct ve1000 *e, unsigned i)
{
	if (i < 3)
		return (uint16_t)(e->mac[2 * i] | e->mac[2 * i + 1] << 8);
	switch (i) {
	case WORD_LEDS:
		return 0xf746;			/* the usual ones */
	case WORD_SUBSYSTEM:
		return e->express ? 0 : 0x1100;
	case WORD_SUBVENDOR:
		return e->express ? 0x8086 : 0x1af4;
	case WORD_DEVICE:
		return e->express ? 0x10d3 : 0x100e;
	case WORD_VENDOR:
		return 0x8086;
	default:
		return 0;
	}
}

static uint16_t word(const struct ve1000 *e, unsigned i)
{
	uint16_t sum = CHECKSUM;

	if (i >= WORDS)
		return 0xffff;
	if (i != WORD_CHECKSUM)
		return content(e, i);
	for (unsigned k = 0; k < WORD_CHECKSUM; k++)
		sum = (uint16_t)(sum - content(e, k));
	return sum;
}

#define EERD_START	1u

/* The two chips have the address and the end elsewhere. */
void ve1000_phy_eerd(struct ve1000 *e, uint32_t v)
{
	unsigned shift = e->express ? 2 : 8;
	uint32_t done = e->express ? 0x2 : 0x10;
	uint32_t address = v & 0xffff & ~((1u << shift) - 1);

	if (v & EERD_START)
		e->reg[R_EERD] = address | done | (uint32_t)word(e, address >> shift) << 16;
}

enum {
	EECD_CLOCK = 0x1, EECD_SELECT = 0x2, EECD_IN = 0x4, EECD_OUT = 0x8, EECD_REQUEST = 0x40,
	EECD_GRANT = 0x80, EECD_PRESENT = 0x100, EECD_LOADED = 0x200,
};
_Static_assert((EECD_CLOCK | EECD_SELECT | EECD_IN | EECD_REQUEST) == VE1000_EECD_KEPT, "kept");
#define COMMAND_BITS	9u		/* a 1, two of the operation, six of the address */
#define COMMAND_READ	6u

uint32_t ve1000_phy_eecd_read(const struct ve1000 *e)
{
	const struct ve1000_wire *w = &e->wire;
	uint32_t v = e->reg[R_EECD] | EECD_PRESENT | (e->express ? EECD_LOADED : 0);

	v |= v & EECD_REQUEST ? EECD_GRANT : 0;
	if (!e->express && (!w->reads || word(e, w->at / 16 % WORDS) >> (15 - w->at % 16) & 1))
		v |= EECD_OUT;
	return v;
}

/* A bit comes with the clock's rise; the next one of a word is shown at its fall. */
static void wire_rise(struct ve1000_wire *w, bool bit)
{
	if (w->reads || (!w->count && !bit))
		return;
	w->in = (uint16_t)(w->in << 1 | bit);
	if (++w->count < COMMAND_BITS)
		return;
	w->reads = w->in >> 6 == COMMAND_READ;
	w->at = (uint16_t)((w->in & 63) * 16 - 1);
	w->in = w->count = 0;
}

void ve1000_phy_eecd_write(struct ve1000 *e, uint32_t v)
{
	uint32_t changed = e->reg[R_EECD] ^ v;

	e->reg[R_EECD] = v & VE1000_EECD_KEPT;
	if (e->express)
		return;
	if (!(v & EECD_SELECT))
		e->wire = (struct ve1000_wire){ 0 };
	else if (changed & v & EECD_CLOCK)
		wire_rise(&e->wire, v & EECD_IN);
	else if (changed & EECD_CLOCK && e->wire.reads)
		e->wire.at = (uint16_t)((e->wire.at + 1u) % (WORDS * 16));
}
