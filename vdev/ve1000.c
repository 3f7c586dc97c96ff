/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ve1000.h and ve1000_core.h: the table of registers, and the card's life. A row is a register,
 * or several one behind the other: the bits of it that can be set, and functions where reading or
 * writing does more than that. What is in no row reads 0 and takes nothing.
 */
#include "vdev/ve1000_core.h"

#include "lib/string.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_msi.h"
#include "vdev/vpci_regs.h"

#define PIN_LINE	0
#define RETRY_NS	10000000u
#define MESSAGES_PENDING 0x2000u
#define ADDRESS_VALID	0x80000000u	/* of RAH */

/* What a write leads to, when the lock has been released. */
enum { AFTER_RESET = 1, AFTER_RX_OFF = 2, AFTER_TX_OFF = 4, AFTER_TX = 8, AFTER_RX = 16 };

struct vpci_function *ve1000_function(struct vdev *d)
{
	return &ve1000_of(d)->function;
}

/* ---- for the other parts ---- */

bool ve1000_place(struct ve1000 *e, unsigned first, unsigned queue, unsigned size,
		  struct ve1000_place *out)
{
	const uint32_t *r = ve1000_ring(e, first, queue);

	*out = (struct ve1000_place){
		.base = (uint64_t)r[RING_BASE_HIGH] << 32 | r[RING_BASE],
		.count = r[RING_LENGTH] / size, .head = r[RING_HEAD], .tail = r[RING_TAIL],
		.round = e->round,
	};
	return out->head < out->count && out->tail < out->count;
}

static bool is_wide(unsigned stat)
{
	return stat == STAT_RX_GOOD_BYTES || stat == STAT_TX_GOOD_BYTES || stat == STAT_RX_BYTES ||
	       stat == STAT_TX_BYTES;
}

void ve1000_count(struct ve1000 *e, unsigned stat, uint64_t n)
{
	uint32_t *r = &e->reg[R_STATS + stat];
	uint64_t v = r[0] | (is_wide(stat) ? (uint64_t)r[1] << 32 : 0);

	if (__builtin_add_overflow(v, n, &v))
		v = ~0ul;
	if (is_wide(stat))
		r[1] = (uint32_t)(v >> 32);
	r[0] = is_wide(stat) ? (uint32_t)v : (uint32_t)MIN(v, 0xfffffffful);
}

void ve1000_count_size(struct ve1000 *e, unsigned stat, uint32_t n)
{
	static const uint16_t up_to[] = { 64, 127, 255, 511, 1023 };
	unsigned i = 0;

	while (i < ARRAY_COUNT(up_to) && n > up_to[i])
		i++;
	ve1000_count(e, stat + i, 1);
}

bool ve1000_loops(const struct ve1000 *e)
{
	return e->reg[R_RCTL] & RCTL_LOOP || ve1000_phy_loops(e);
}

void ve1000_retry(struct ve1000 *e)
{
	e->due[DUE_RETRY] = host_clock_ns(&e->dev) + RETRY_NS;
	ve1000_irq_update(e);
}

/* ---- what registers do; lock held ---- */

static uint32_t read_status(struct ve1000 *e, unsigned place)
{
	uint32_t v = 0x80u | 0x200u;		/* 1000 Mb/s, so negotiated */

	(void)place;
	v |= e->reg[R_CTRL] & CTRL_NO_MASTER && e->express ? 0 : 0x80000u;
	return v | 1 | (ve1000_phy_link(e) ? 2 : 0);	/* full duplex; the link */
}

static uint32_t read_eecd(struct ve1000 *e, unsigned place)
{
	(void)place;
	return ve1000_phy_eecd_read(e);
}

static uint32_t read_icr(struct ve1000 *e, unsigned place)
{
	(void)place;
	return ve1000_irq_read(e);
}

/* The high half ends a counter of 64 bits. */
static uint32_t read_stat(struct ve1000 *e, unsigned place)
{
	unsigned stat = place - R_STATS;
	uint32_t v = e->reg[place];

	if (is_wide(stat))
		return v;
	e->reg[place] = 0;
	if (stat && is_wide(stat - 1))
		e->reg[place - 1] = 0;
	return v;
}

/* Who reads it first has it. */
static uint32_t read_swsm(struct ve1000 *e, unsigned place)
{
	uint32_t v = e->reg[place];

	e->reg[place] |= 1;
	return v;
}

static uint32_t read_configured(struct ve1000 *e, unsigned place)
{
	(void)e, (void)place;
	return 0x80040000u;			/* what the NVM says of the PHY has been done */
}

static void load_mac(struct ve1000 *e)
{
	memcpy(&e->reg[R_RA], e->mac, 4);
	e->reg[R_RA + 1] = ADDRESS_VALID | e->mac[4] | (uint32_t)e->mac[5] << 8;
}

static unsigned write_ctrl(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	e->reg[place] = v & bits;
	if (v & CTRL_PHY_RESET)
		ve1000_phy_reset(e);
	return v & CTRL_RESET ? AFTER_RESET : 0;
}

static unsigned write_ctrl_ext(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	e->reg[place] = v & bits;
	if (v & CTRL_EXT_RELOAD)
		load_mac(e);
	return 0;
}

static unsigned write_eecd(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	(void)place, (void)bits;
	ve1000_phy_eecd_write(e, v);
	return 0;
}

static unsigned write_eerd(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	(void)place, (void)bits;
	ve1000_phy_eerd(e, v);
	return 0;
}

static unsigned write_mdic(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	(void)place, (void)bits;
	ve1000_phy_mdic(e, v);
	return 0;
}

static unsigned write_icr(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	(void)bits;
	e->reg[place] &= ~v;
	ve1000_irq_update(e);
	return 0;
}

/* A cause that waits may have a vector now. */
static unsigned write_ivar(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	e->reg[place] = v & bits;
	ve1000_irq_update(e);
	return 0;
}

static unsigned write_ics(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	(void)place, (void)bits;
	ve1000_irq_raise(e, v);
	return 0;
}

static unsigned write_ims(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	e->reg[place] |= v & bits;
	ve1000_irq_update(e);
	return 0;
}

static unsigned write_imc(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	(void)place, (void)bits;
	e->reg[R_IMS] &= ~v;
	ve1000_irq_update(e);
	return 0;
}

/* Who switches it off may use its memory for something else then. */
static unsigned write_switch(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	bool was = e->reg[place] & RCTL_ON;

	e->reg[place] = v & bits;
	if (was && !(v & RCTL_ON)) {
		e->round++;
		return place == R_RCTL ? AFTER_RX_OFF : AFTER_TX_OFF;
	}
	return place == R_RCTL ? AFTER_RX : AFTER_TX;
}

/* The flush bit ends the delay now. */
static unsigned write_delay(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	enum ve1000_deadline which = place == R_RDTR ? DUE_RX : DUE_TX;

	e->reg[place] = v & bits;
	if (v >> 31 && e->due[which] != VE1000_NEVER) {
		e->due[which] = e->due[which + 1] = VE1000_NEVER;
		ve1000_irq_raise(e, which == DUE_RX ? CAUSE_RECEIVED : CAUSE_SENT);
	}
	return 0;
}

/* A ring is somewhere else now, or its place in it. */
static unsigned write_ring(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	e->reg[place] = v & bits;
	e->round++;
	return 0;
}

static unsigned write_rx_tail(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	e->reg[place] = v & bits;
	return e->inbox.frames ? AFTER_RX : 0;
}

static unsigned write_tx_tail(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	e->reg[place] = v & bits;
	return AFTER_TX;
}

static unsigned write_nothing(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits)
{
	(void)e, (void)place, (void)v, (void)bits;
	return 0;
}

/* ---- the table ---- */

struct row {
	uint16_t at;
	uint8_t count;
	bool express;			/* of the 82574 alone */
	uint16_t place;			/* in `reg`; R_NONE: it is kept nowhere */
	uint32_t bits;			/* that can be set */
	uint32_t (*read)(struct ve1000 *e, unsigned place);
	unsigned (*write)(struct ve1000 *e, unsigned place, uint32_t v, uint32_t bits);
};

#define ALL	0xffffffffu
#define RING(at, express, place, tail)					\
	{ at, 1, express, (place) + RING_BASE, 0xfffffff0u, NULL, write_ring },	\
	{ (at) + 4, 1, express, (place) + RING_BASE_HIGH, ALL, NULL, write_ring },	\
	{ (at) + 8, 1, express, (place) + RING_LENGTH, 0xfff80, NULL, write_ring },	\
	{ (at) + 0x10, 1, express, (place) + RING_HEAD, 0xffff, NULL, write_ring },	\
	{ (at) + 0x18, 1, express, (place) + RING_TAIL, 0xffff, NULL, tail }

/* By their offsets. */
static const struct row rows[] = {
	{ 0x0000, 1, false, R_CTRL, ~(CTRL_RESET | CTRL_PHY_RESET), NULL, write_ctrl },
	{ 0x0008, 1, false, R_NONE, 0, read_status, write_nothing },
	{ 0x0010, 1, false, R_EECD, VE1000_EECD_KEPT, read_eecd, write_eecd },
	{ 0x0014, 1, false, R_EERD, ALL, NULL, write_eerd },
	{ 0x0018, 1, false, R_CTRL_EXT, ~(uint32_t)CTRL_EXT_RELOAD, NULL, write_ctrl_ext },
	{ 0x0020, 1, false, R_MDIC, ALL, NULL, write_mdic },
	{ 0x0028, 1, false, R_FCAL, ALL, NULL, NULL },
	{ 0x002c, 1, false, R_FCAH, 0xffff, NULL, NULL },
	{ 0x0030, 1, false, R_FCT, 0xffff, NULL, NULL },
	{ 0x0038, 1, false, R_VET, ALL, NULL, NULL },
	{ 0x00c0, 1, false, R_ICR, 0x01ffffff, read_icr, write_icr },
	{ 0x00c4, 1, false, R_ITR, 0xffff, NULL, NULL },
	{ 0x00c8, 1, false, R_NONE, 0, NULL, write_ics },
	{ 0x00d0, 1, false, R_IMS, 0x01ffffff, NULL, write_ims },
	{ 0x00d8, 1, false, R_NONE, 0, NULL, write_imc },
	{ 0x00dc, 1, true, R_EIAC, 0x01f00000, NULL, NULL },
	{ 0x00e0, 1, true, R_IAM, ALL, NULL, NULL },
	{ 0x00e4, 1, true, R_IVAR, 0x800fffff, NULL, write_ivar },
	{ 0x00e8, VE1000_VECTORS, true, R_EITR, 0xffff, NULL, NULL },
	{ 0x0100, 1, false, R_RCTL, ALL, NULL, write_switch },
	{ 0x0170, 1, false, R_FCTTV, 0xffff, NULL, NULL },
	{ 0x0400, 1, false, R_TCTL, ALL, NULL, write_switch },
	{ 0x0410, 1, false, R_TIPG, 0x3fffffff, NULL, NULL },
	{ 0x0458, 1, false, R_AIT, 0xffff, NULL, NULL },
	{ 0x0e00, 1, false, R_LEDCTL, ALL, NULL, NULL },
	{ 0x0f00, 1, true, R_EXTCNF_CTRL, ALL, NULL, NULL },
	{ 0x0f08, 1, true, R_EXTCNF_SIZE, ALL, NULL, NULL },
	{ 0x1000, 1, false, R_PBA, ALL, NULL, NULL },
	{ 0x1008, 1, true, R_PBS, ALL, NULL, NULL },
	{ 0x1010, 1, true, R_NONE, 0, read_configured, write_nothing },
	{ 0x2008, 1, true, R_ERT, 0xffff, NULL, NULL },
	{ 0x2160, 1, false, R_FCRTL, 0x8000fff8, NULL, NULL },
	{ 0x2168, 1, false, R_FCRTH, 0xfff8, NULL, NULL },
	{ 0x2170, 1, true, R_PSRCTL, ALL, NULL, NULL },
	RING(0x2800, false, R_RX, write_rx_tail),
	{ 0x2820, 1, false, R_RDTR, 0xffff, NULL, write_delay },
	{ 0x2828, 1, false, R_RX + RING_CONTROL, ALL, NULL, NULL },
	{ 0x282c, 1, false, R_RADV, 0xffff, NULL, NULL },
	RING(0x2900, true, R_RX + RING_REGISTERS, write_rx_tail),
	{ 0x2928, 1, true, R_RX + RING_REGISTERS + RING_CONTROL, ALL, NULL, NULL },
	{ 0x2c00, 1, false, R_RSRPD, 0xfff, NULL, NULL },
	RING(0x3800, false, R_TX, write_tx_tail),
	{ 0x3820, 1, false, R_TIDV, 0xffff, NULL, write_delay },
	{ 0x3828, 1, false, R_TX + RING_CONTROL, ALL, NULL, NULL },
	{ 0x382c, 1, false, R_TADV, 0xffff, NULL, NULL },
	{ 0x3830, 1, false, R_TSPMT, ALL, NULL, NULL },
	{ 0x3840, 1, true, R_TARC, ALL, NULL, NULL },
	RING(0x3900, true, R_TX + RING_REGISTERS, write_tx_tail),
	{ 0x3928, 1, true, R_TX + RING_REGISTERS + RING_CONTROL, ALL, NULL, NULL },
	{ 0x3940, 1, true, R_TARC + 1, ALL, NULL, NULL },
	{ 0x4000, 74, false, R_STATS, ALL, read_stat, write_nothing },
	{ 0x5000, 1, false, R_RXCSUM, 0xffff, NULL, NULL },
	{ 0x5008, 1, true, R_RFCTL, ALL, NULL, NULL },
	{ 0x5200, 128, false, R_MTA, ALL, NULL, NULL },
	{ 0x5400, 32, false, R_RA, ALL, NULL, NULL },
	{ 0x5600, 128, false, R_VFTA, ALL, NULL, NULL },
	{ 0x5800, 1, false, R_WUC, ALL, NULL, NULL },
	{ 0x5808, 1, false, R_WUFC, ALL, NULL, NULL },
	{ 0x5810, 1, false, R_WUS, ALL, NULL, NULL },
	{ 0x5818, 1, true, R_MRQC, ALL, NULL, NULL },
	{ 0x5820, 1, false, R_MANC, ALL, NULL, NULL },
	{ 0x5864, 1, true, R_RSSIM, ALL, NULL, NULL },
	{ 0x5868, 1, true, R_RSSIR, ALL, NULL, NULL },
	{ 0x5b00, 1, true, R_GCR, ALL, NULL, NULL },
	{ 0x5b50, 1, true, R_SWSM, 0xf, read_swsm, NULL },
	{ 0x5b58, 1, true, R_SWSM2, ALL, NULL, NULL },
	{ 0x5b64, 1, true, R_GCR2, ALL, NULL, NULL },
	{ 0x5c00, 32, true, R_RETA, ALL, NULL, NULL },
	{ 0x5c80, 10, true, R_RSSRK, ALL, NULL, NULL },
};

static const struct row *find(const struct ve1000 *e, uint64_t at)
{
	unsigned low = 0, high = ARRAY_COUNT(rows);

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (rows[middle].at <= at)
			low = middle;
		else
			high = middle;
	}
	if (at >= rows[low].at + 4u * rows[low].count || (rows[low].express && !e->express))
		return NULL;
	return &rows[low];
}

static unsigned place_of(const struct row *r, uint64_t at)
{
	return r->place + (unsigned)(at - r->at) / 4;
}

static uint32_t read_register(struct ve1000 *e, uint64_t at)
{
	const struct row *r = find(e, at);

	if (!r)
		return 0;
	return r->read ? r->read(e, place_of(r, at)) : e->reg[place_of(r, at)];
}

static unsigned write_register(struct ve1000 *e, uint64_t at, uint32_t v)
{
	const struct row *r = find(e, at);

	if (!r)
		return 0;
	if (r->write)
		return r->write(e, place_of(r, at), v, r->bits);
	e->reg[place_of(r, at)] = v & r->bits;
	return 0;
}

/* ---- accesses ---- */

/* The ports: an index, and the register that it names. */
static bool find_register(const struct ve1000 *e, unsigned region, uint64_t *at)
{
	if (region == VE1000_PORTS) {
		if (ALIGN_DOWN(*at, 4ul) != 4)
			return false;
		*at = e->index + *at % 4;
	}
	return true;
}

static uint64_t read_part(struct ve1000 *e, unsigned region, uint64_t at, unsigned size)
{
	uint64_t v;

	if (region == VE1000_PORTS && at < 4)
		return e->index >> at * 8;
	if (!find_register(e, region, &at))
		return 0;
	v = read_register(e, ALIGN_DOWN(at, 4ul));
	if (size == 8)
		v |= (uint64_t)read_register(e, ALIGN_DOWN(at, 4ul) + 4) << 32;
	return v >> at % 4 * 8;
}

static uint64_t ve1000_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct ve1000 *e = ve1000_of(d);
	uint64_t flags, v;

	if (region == VE1000_MESSAGES)
		return vpci_msix_read(&e->function, offset, size);
	flags = host_lock(d);
	v = read_part(e, region, offset, size);
	host_unlock(d, flags);
	return v;
}

static bool rx_is_quiet(struct vdev *d)
{
	return turn_is_free(&ve1000_of(d)->rx_turn);
}

static bool tx_is_quiet(struct vdev *d)
{
	return turn_is_free(&ve1000_of(d)->tx_turn);
}

static void reset_card(struct ve1000 *e);

static void follow_up(struct ve1000 *e, unsigned after)
{
	if (after & AFTER_RESET)
		reset_card(e);
	if (after & AFTER_RX_OFF)
		host_wait_until(&e->dev, rx_is_quiet);
	if (after & AFTER_TX_OFF)
		host_wait_until(&e->dev, tx_is_quiet);
	if (after & AFTER_RX)
		ve1000_rx_kick(e);
	if (after & AFTER_TX)
		ve1000_tx_kick(e);
}

/* Registers are written whole: 4 bytes, or two of them. */
static void ve1000_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct ve1000 *e = ve1000_of(d);
	unsigned after = 0;
	uint64_t flags;

	if (region == VE1000_MESSAGES) {
		vpci_msix_write(&e->function, offset, size, value);
		return;
	}
	if (size < 4 || offset % 4)
		return;
	flags = host_lock(d);
	if (region == VE1000_PORTS && offset == 0) {
		e->index = (uint32_t)value & (VE1000_SIZE - 4);
	} else if (find_register(e, region, &offset)) {
		after = write_register(e, offset, (uint32_t)value);
		if (size == 8)
			after |= write_register(e, offset + 4, (uint32_t)(value >> 32));
	}
	host_unlock(d, flags);
	if (after)
		follow_up(e, after);
}

/* It may be a bus master now, or have another kind of interrupts. */
static void config_written(struct vpci_function *f, unsigned offset, unsigned size)
{
	struct ve1000 *e = ve1000_of(f->owner);
	uint64_t flags = host_lock(&e->dev);

	ve1000_irq_update(e);
	host_unlock(&e->dev, flags);
	if (offset <= PCI_COMMAND && offset + size > PCI_COMMAND && vpci_function_is_master(f)) {
		ve1000_rx_kick(e);
		ve1000_tx_kick(e);
	}
}

static void ve1000_timer(struct vdev *d, unsigned timer)
{
	uint64_t flags = host_lock(d);
	bool work = ve1000_irq_timer(ve1000_of(d));

	(void)timer;
	host_unlock(d, flags);
	if (work)
		host_work_queue(d);
}

static void ve1000_work(struct vdev *d)
{
	ve1000_rx_kick(ve1000_of(d));
	ve1000_tx_kick(ve1000_of(d));
}

static void ve1000_media_link(struct vdev *d, unsigned medium)
{
	struct ve1000 *e = ve1000_of(d);
	bool up = host_media_link(d, medium);
	uint64_t flags = host_lock(d);
	bool was = ve1000_phy_link(e);

	e->link = up;
	e->link_lost |= !ve1000_phy_link(e);
	if (ve1000_phy_link(e) != was)
		ve1000_irq_raise(e, CAUSE_LINK);
	host_unlock(d, flags);
}

/* ---- life ---- */

struct initial {
	uint16_t place;
	uint32_t value;
};

static const struct initial initials[] = {
	{ R_CTRL, 0x00140240 | CTRL_FULL_DUPLEX }, { R_PBA, 0x00100030 },
	{ R_LEDCTL, 0x07068302 }, { R_VET, 0x8100 }, { R_TIPG, 0x00602006 },
};

/* Lock held. */
static void reset_registers(struct ve1000 *e)
{
	e->round++;
	memset(e->reg, 0, sizeof(e->reg));
	for (unsigned i = 0; i < ARRAY_COUNT(initials); i++)
		e->reg[initials[i].place] = initials[i].value;
	load_mac(e);
	memset(&e->wire, 0, sizeof(e->wire));
	memset(e->tx, 0, sizeof(e->tx));
	vinbox_empty(&e->inbox, 0);
	ve1000_irq_reset(e);
}

/* What is under way ends, and nothing begins until all is as after power-on. */
static void stop(struct ve1000 *e)
{
	uint64_t flags = host_lock(&e->dev);

	e->stopping = true;
	e->round++;
	host_unlock(&e->dev, flags);
	host_wait_until(&e->dev, tx_is_quiet);
	host_wait_until(&e->dev, rx_is_quiet);
}

/* The PHY keeps its registers: it has a reset of its own. */
static void reset_card(struct ve1000 *e)
{
	uint64_t flags;

	stop(e);
	flags = host_lock(&e->dev);
	reset_registers(e);
	e->stopping = false;
	host_unlock(&e->dev, flags);
}

static void ve1000_reset(struct vdev *d)
{
	struct ve1000 *e = ve1000_of(d);
	bool up = host_media_link(d, 0);
	uint64_t flags;

	stop(e);
	flags = host_lock(d);
	reset_registers(e);
	ve1000_phy_reset(e);
	e->index = 0;
	e->link = up;
	e->link_lost = !up;
	e->stopping = false;
	host_unlock(d, flags);
	vpci_function_reset(&e->function);
}

/* Frames that wait are lost, as on a cable. */
static void ve1000_save(struct vdev *d, struct record_writer *w)
{
	struct ve1000 *e = ve1000_of(d);

	record_put_u32(w, e->index);
	for (unsigned i = 0; i < R_COUNT; i++)
		record_put_u32(w, e->reg[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(e->phy); i++)
		record_put_u16(w, e->phy[i]);
	record_put_bool(w, e->link_lost);
	record_put_u16(w, e->wire.in);
	record_put_u16(w, e->wire.at);
	record_put_u8(w, e->wire.count);
	record_put_bool(w, e->wire.reads);
	for (unsigned i = 0; i < ARRAY_COUNT(e->quiet); i++)
		record_put_u64(w, e->quiet[i]);
	for (unsigned i = 0; i < DUES; i++)
		record_put_u64(w, e->due[i]);
	record_put_u32(w, e->told);
	for (unsigned i = 0; i < VE1000_QUEUES; i++) {
		record_put_u32(w, e->tx[i].context.ip);
		record_put_u32(w, e->tx[i].context.tcp);
		record_put_u32(w, e->tx[i].context.command);
		record_put_u32(w, e->tx[i].context.mss);
		record_put_bool(w, e->tx[i].dropping);
	}
	vpci_function_save(&e->function, w);
}

/* As a card that goes nowhere: what is read and is right is copied from it. */
static void read_card(struct record_reader *r, struct ve1000 *s)
{
	s->index = record_get_u32(r);
	for (unsigned i = 0; i < R_COUNT; i++)
		s->reg[i] = record_get_u32(r);
	for (unsigned i = 0; i < ARRAY_COUNT(s->phy); i++)
		s->phy[i] = record_get_u16(r);
	s->link_lost = record_get_bool(r);
	s->wire.in = record_get_u16(r);
	s->wire.at = record_get_u16(r);
	s->wire.count = record_get_u8(r);
	s->wire.reads = record_get_bool(r);
	for (unsigned i = 0; i < ARRAY_COUNT(s->quiet); i++)
		s->quiet[i] = record_get_u64(r);
	for (unsigned i = 0; i < DUES; i++)
		s->due[i] = record_get_u64(r);
	s->told = record_get_u32(r);
	for (unsigned i = 0; i < VE1000_QUEUES; i++) {
		s->tx[i].context.ip = record_get_u32(r);
		s->tx[i].context.tcp = record_get_u32(r);
		s->tx[i].context.command = record_get_u32(r);
		s->tx[i].context.mss = record_get_u32(r);
		s->tx[i].dropping = record_get_bool(r);
	}
}

/* A register holds what can be set in it; of the other chip's, nothing. */
static bool registers_valid(const struct ve1000 *e, const struct ve1000 *s)
{
	bool known[R_COUNT] = { false };

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		for (unsigned k = 0; k < rows[i].count && rows[i].place != R_NONE; k++) {
			uint32_t bits = rows[i].express && !e->express ? 0 : rows[i].bits;

			known[rows[i].place + k] = true;
			if (s->reg[rows[i].place + k] & ~bits)
				return false;
		}
	for (unsigned i = 0; i < R_COUNT; i++)
		if (!known[i] && s->reg[i])
			return false;
	return true;
}

/* A pin that is up has a cause that was told of. */
static bool card_valid(const struct ve1000 *e, const struct ve1000 *s,
		       const struct vpci_saved *function)
{
	bool pin = function->config[PCI_STATUS] & STATUS_INTX;

	return registers_valid(e, s) && !(s->index & ~(VE1000_SIZE - 4)) &&
	       s->wire.count < 9 && !(s->told & ~(s->reg[R_ICR] & s->reg[R_IMS])) &&
	       (s->told || !pin);
}

/* The cable is as it is now, whatever it was. */
static void commit(struct ve1000 *e, const struct ve1000 *s, bool pin)
{
	bool up = host_media_link(&e->dev, 0);
	uint64_t flags;

	stop(e);
	flags = host_lock(&e->dev);
	e->index = s->index;
	memcpy(e->reg, s->reg, sizeof(e->reg));
	memcpy(e->phy, s->phy, sizeof(e->phy));
	e->link = up;
	e->link_lost = s->link_lost;
	e->wire = s->wire;
	memcpy(e->quiet, s->quiet, sizeof(e->quiet));
	memcpy(e->due, s->due, sizeof(e->due));
	e->told = s->told;
	memcpy(e->tx, s->tx, sizeof(e->tx));
	e->pin = pin;
	vinbox_empty(&e->inbox, 0);
	e->stopping = false;
	host_unlock(&e->dev, flags);
}

static int ve1000_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct ve1000 *e = ve1000_of(d), *s = host_alloc(sizeof(*s));
	struct vpci_saved function;
	uint64_t flags;

	if (!s)
		return -ENOMEM;
	read_card(r, s);
	vpci_function_read(&e->function, r, &function);
	if (version != d->ops->version || record_finish(r) || !card_valid(e, s, &function)) {
		host_free(s);
		return -EINVAL;
	}
	commit(e, s, function.config[PCI_STATUS] & STATUS_INTX);
	host_free(s);
	vpci_function_commit(&e->function, &function);
	flags = host_lock(d);
	ve1000_irq_update(e);
	host_unlock(d, flags);
	host_work_queue(d);
	return 0;
}

static void ve1000_destroy(struct vdev *d)
{
	struct ve1000 *e = ve1000_of(d);

	vinbox_empty(&e->inbox, 0);
	vpci_function_fini(&e->function);
	host_free(e);
}

static const struct vdev_ops ops_82540 = {
	.name = "ve1000", .version = 1, .read = ve1000_read, .write = ve1000_write,
	.reset = ve1000_reset, .save = ve1000_save, .load = ve1000_load,
	.destroy = ve1000_destroy, .timer = ve1000_timer, .work = ve1000_work,
	.media_frame = ve1000_rx_frame, .media_link = ve1000_media_link,
};

static const struct vdev_ops ops_82574 = {
	.name = "ve1000e", .version = 1, .read = ve1000_read, .write = ve1000_write,
	.reset = ve1000_reset, .save = ve1000_save, .load = ve1000_load,
	.destroy = ve1000_destroy, .timer = ve1000_timer, .work = ve1000_work,
	.media_frame = ve1000_rx_frame, .media_link = ve1000_media_link,
};

static void add_bars(struct vpci_function *f, bool express)
{
	vpci_function_bar(f, 0, (struct vpci_bar){ .size = VE1000_SIZE, .space = HOST_MMIO,
		.region = VE1000_REGISTERS });
	vpci_function_bar(f, express ? 2 : 1, (struct vpci_bar){
		.size = express ? VE1000_PORTS_SIZE / 2 : VE1000_PORTS_SIZE,
		.space = HOST_PORT, .region = VE1000_PORTS });
	if (express)
		vpci_function_bar(f, 3, (struct vpci_bar){ .size = VE1000_MESSAGES_SIZE,
			.space = HOST_MMIO, .region = VE1000_MESSAGES });
	vpci_function_pin(f, 1, PIN_LINE);
}

static int add_capabilities(struct vpci_function *f)
{
	int err = vpci_express_power_init(f);

	err = err ?: vpci_msi_init(f, 1);
	err = err ?: vpci_msix_init(f, VE1000_VECTORS, 3, 0, MESSAGES_PENDING);
	return err ?: vpci_express_init(f, VPCI_ENDPOINT);
}

int ve1000_create(enum ve1000_model model, const uint8_t mac[6], struct vdev **out)
{
	struct ve1000 *e = host_alloc(sizeof(*e));
	struct vpci_function *f;
	int err;

	if (!e)
		return -ENOMEM;
	f = &e->function;
	e->express = model == VE1000_82574;
	e->dev.ops = e->express ? &ops_82574 : &ops_82540;
	e->armed = VE1000_NEVER;
	memcpy(e->mac, mac, sizeof(e->mac));
	vinbox_init(&e->inbox);
	if (e->express)
		vpci_function_init(f, &e->dev, 0x8086, 0x10d3, 0x02000000, 0x8086, 0);
	else
		vpci_function_init(f, &e->dev, 0x8086, 0x100e, 0x02000003, 0x1af4, 0x1100);
	f->written = config_written;
	add_bars(f, e->express);
	err = e->express ? add_capabilities(f) : 0;
	if (err) {
		vpci_function_fini(f);
		host_free(e);
		return err;
	}
	*out = &e->dev;
	return 0;
}
