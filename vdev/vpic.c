/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpic.h. "8259A Programmable Interrupt Controller" data sheet. One lock for the pair;
 * vpic_pending takes none.
 */
#include "vdev/vpic.h"

#include "include/bits.h"

#define SPURIOUS	7
#define CASCADE		2
#define ICW1		0x10
#define ICW1_ICW4	0x01
#define ICW1_SINGLE	0x02
#define ICW4_AEOI	0x02
#define ICW4_SFNM	0x10
#define OCW3		0x08
#define OCW3_READ	0x02
#define OCW3_READ_ISR	0x01
#define OCW3_POLL	0x04
#define OCW3_MASK	0x40
#define OCW3_MASK_ON	0x20

/* Inputs 0 to 2 of the master, 0 and 5 of the slave are edge inputs in every PC. */
static const uint8_t elcr_writable[2] = { 0xf8, 0xde };

enum init_step { READY, WANT_ICW2, WANT_ICW3, WANT_ICW4 };

struct chip {
	uint8_t lines;		/* inputs that are high */
	uint8_t edges;		/* edges seen and not acknowledged */
	uint8_t elcr;		/* inputs that are level-triggered */
	uint8_t masked, service;
	uint8_t base;		/* vector of input 0 */
	uint8_t lowest;		/* the input of least priority; the next one has the highest */
	uint8_t step;		/* enum init_step */
	uint8_t icw1;
	bool aeoi, aeoi_rotate, nested, special_mask, read_service, poll;
};

struct vpic {
	struct vdev dev;
	struct chip chip[2];
	bool intr;
	void (*acknowledged)(void *context, unsigned irq);
	void *context;
};

static struct vpic *vpic_of(struct vdev *d)
{
	return container_of(d, struct vpic, dev);
}

static uint8_t requests(const struct chip *c)
{
	return c->edges | (c->lines & c->elcr);
}

/* Place in the order of priority, 0 the first, of the foremost input in `set`; 8 when empty. */
static unsigned foremost(const struct chip *c, uint8_t set)
{
	unsigned first = (c->lowest + 1u) & 7;
	unsigned turned = (set >> first | set << (8 - first)) & 0xff;

	return turned ? bit_lowest(turned) : 8;
}

static unsigned input_at(const struct chip *c, unsigned place)
{
	return (c->lowest + 1 + place) & 7;
}

/* The input that the chip wants to have served now, or -1. */
static int due(const struct chip *c, uint8_t asked, bool master)
{
	uint8_t blocking = c->service;
	unsigned place;

	asked &= ~c->masked;
	if (!asked)
		return -1;
	place = foremost(c, asked);
	if (c->special_mask)
		blocking &= ~c->masked;
	if (c->nested && master)
		blocking &= ~BIT(CASCADE);
	return place < foremost(c, blocking) ? (int)input_at(c, place) : -1;
}

static int slave_due(const struct vpic *p)
{
	return due(&p->chip[1], requests(&p->chip[1]), false);
}

/*
 * The slave's INT is taken as a level: the chip drops it between two requests, which is the same.
 */
static int master_due(const struct vpic *p)
{
	uint8_t asked = requests(&p->chip[0]) & ~BIT(CASCADE);

	return due(&p->chip[0], asked | (slave_due(p) >= 0 ? BIT(CASCADE) : 0), true);
}

static noinline void update_intr(struct vpic *p)
{
	bool intr = master_due(p) >= 0;

	if (intr == p->intr)
		return;
	WRITE_ONCE(p->intr, intr);
	host_line_set(&p->dev, VPIC_INTR, intr);
}

/* Most often nothing asks for anything, and INTR is low. */
static inline void update(struct vpic *p)
{
	if (p->intr || requests(&p->chip[0]) || requests(&p->chip[1]))
		update_intr(p);
}

void vpic_line(struct vdev *d, unsigned irq, bool level)
{
	struct vpic *p = vpic_of(d);
	struct chip *c = &p->chip[irq >> 3 & 1];
	uint8_t bit = (uint8_t)BIT(irq & 7);
	uint64_t flags = host_lock(d);

	if (level) {
		if (!(c->lines & bit) && !(c->elcr & bit))
			c->edges |= bit;
		c->lines |= bit;
	} else {
		c->lines &= ~bit;
	}
	update(p);
	host_unlock(d, flags);
}

bool vpic_heard(struct vdev *d, unsigned irq)
{
	const struct chip *c = &vpic_of(d)->chip[irq >> 3 & 1];

	return !((READ_ONCE(c->masked) | READ_ONCE(c->edges)) & BIT(irq & 7));
}

bool vpic_busy(struct vdev *d, unsigned irq)
{
	const struct chip *c = &vpic_of(d)->chip[irq >> 3 & 1];
	uint8_t bit = (uint8_t)BIT(irq & 7);

	return !(READ_ONCE(c->masked) & bit) && !READ_ONCE(c->aeoi) &&
	       (READ_ONCE(c->edges) | READ_ONCE(c->service)) & bit;
}

bool vpic_pending(struct vdev *d)
{
	return READ_ONCE(vpic_of(d)->intr);
}

static void take(struct chip *c, unsigned input)
{
	c->edges &= ~BIT(input);
	if (!c->aeoi)
		c->service |= BIT(input);
	else if (c->aeoi_rotate)
		c->lowest = (uint8_t)input;
}

/* The input that INTA or a poll of this chip serves, or -1. */
static int acknowledge(struct vpic *p, unsigned chip)
{
	int input = chip ? slave_due(p) : master_due(p);

	if (input >= 0)
		take(&p->chip[chip], (unsigned)input);
	return input;
}

int vpic_acknowledge(struct vdev *d)
{
	struct vpic *p = vpic_of(d);
	uint64_t flags = host_lock(d);
	bool was_slave = slave_due(p) >= 0;
	int input = acknowledge(p, 0), vector;

	if (input == CASCADE && was_slave) {
		input = acknowledge(p, 1);
		vector = p->chip[1].base + (input < 0 ? SPURIOUS : input);
	} else {
		vector = p->chip[0].base + (input < 0 ? SPURIOUS : input);
	}
	update(p);
	host_unlock(d, flags);
	return vector;
}

static void initialize(struct chip *c, uint8_t icw1)
{
	uint8_t lines = c->lines, elcr = c->elcr, base = c->base;

	*c = (struct chip){
		.lines = lines, .elcr = elcr, .base = base, .lowest = 7, .icw1 = icw1,
		.step = WANT_ICW2,
	};
}

/* Ends the service of some input; which, or -1. */
static int end(struct chip *c, uint8_t command)
{
	bool rotate = command & 0x80, specific = command & 0x40;
	uint8_t set = c->special_mask ? c->service & ~c->masked : c->service;
	unsigned input = command & 7;

	if (!specific) {
		unsigned place = foremost(c, set);

		if (place == 8)
			return -1;
		input = input_at(c, place);
	}
	if (rotate)
		c->lowest = (uint8_t)input;
	if (!(c->service & BIT(input)))
		return -1;
	c->service &= ~BIT(input);
	return (int)input;
}

static int write_ocw2(struct chip *c, uint8_t v)
{
	switch (v >> 5) {
	case 0:
	case 4:
		c->aeoi_rotate = v >> 5;
		return -1;
	case 6:
		c->lowest = v & 7;
		return -1;
	case 2:
		return -1;
	default:
		return end(c, v);
	}
}

static void write_ocw3(struct chip *c, uint8_t v)
{
	if (v & OCW3_POLL)
		c->poll = true;
	else if (v & OCW3_READ)
		c->read_service = v & OCW3_READ_ISR;
	if (v & OCW3_MASK)
		c->special_mask = v & OCW3_MASK_ON;
}

static void write_init(struct chip *c, uint8_t v)
{
	switch (c->step) {
	case WANT_ICW2:
		c->base = v & 0xf8;
		c->step = c->icw1 & ICW1_SINGLE ? WANT_ICW4 : WANT_ICW3;
		break;
	case WANT_ICW3:
		c->step = WANT_ICW4;
		break;
	case WANT_ICW4:
		c->nested = v & ICW4_SFNM;
		c->aeoi = v & ICW4_AEOI;
		c->step = READY;
		return;
	}
	if (c->step == WANT_ICW4 && !(c->icw1 & ICW1_ICW4))
		c->step = READY;
}

/* Each way to a register locks for itself, so that the mask, which is written most, costs least. */
static noinline void write_odd_port(struct vpic *p, struct chip *c, uint8_t v)
{
	uint64_t flags = host_lock(&p->dev);

	if (likely(c->step == READY))
		c->masked = v;
	else
		write_init(c, v);
	update(p);
	host_unlock(&p->dev, flags);
}

static noinline void write_even_port(struct vpic *p, unsigned chip, uint8_t v)
{
	struct chip *c = &p->chip[chip];
	int ended = -1;
	uint64_t flags = host_lock(&p->dev);

	if (v & ICW1)
		initialize(c, v);
	else if (v & OCW3)
		write_ocw3(c, v);
	else
		ended = write_ocw2(c, v);
	update(p);
	host_unlock(&p->dev, flags);
	if (ended >= 0 && p->acknowledged)
		p->acknowledged(p->context, (unsigned)ended + 8 * chip);
}

static noinline void write_elcr(struct vpic *p, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t flags = host_lock(&p->dev);

	for (unsigned i = 0; i < size && offset < 2; i++, offset++, value >>= 8)
		p->chip[offset].elcr = (uint8_t)value & elcr_writable[offset];
	update(p);
	host_unlock(&p->dev, flags);
}

static void vpic_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vpic *p = vpic_of(d);

	if (region == VPIC_ELCR)
		write_elcr(p, offset, size, value);
	else if (offset == 1)
		write_odd_port(p, &p->chip[region & 1], (uint8_t)value);
	else
		write_even_port(p, region & 1, (uint8_t)value);
}

static uint64_t poll(struct vpic *p, unsigned chip)
{
	int input = acknowledge(p, chip);

	p->chip[chip].poll = false;
	update(p);
	return input < 0 ? 0 : 0x80u | (unsigned)input;
}

static uint64_t read_chip(struct vpic *p, unsigned chip, uint64_t offset)
{
	struct chip *c = &p->chip[chip];

	if (c->poll)
		return poll(p, chip);
	if (offset == 1)
		return c->masked;
	if (c->read_service)
		return c->service;
	return requests(c) | (!chip && slave_due(p) >= 0 ? BIT(CASCADE) : 0);
}

static noinline uint64_t read_locked(struct vpic *p, unsigned region, uint64_t offset)
{
	uint64_t flags = host_lock(&p->dev), v;

	if (region == VPIC_ELCR)
		v = (p->chip[0].elcr | p->chip[1].elcr << 8) >> 8 * offset;
	else
		v = read_chip(p, region & 1, offset);
	host_unlock(&p->dev, flags);
	return v;
}

/* The mask, which kernels read most, is one byte and needs no lock. */
static uint64_t vpic_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vpic *p = vpic_of(d);
	const struct chip *c = &p->chip[region & 1];

	(void)size;
	if (offset == 1 && region != VPIC_ELCR && !READ_ONCE(c->poll))
		return READ_ONCE(c->masked);
	return read_locked(p, region, offset);
}

/* As a PC's firmware leaves them: all masked, vectors from 8 and 0x70 on. */
static void vpic_reset(struct vdev *d)
{
	static const uint8_t bases[2] = { 0x08, 0x70 };
	struct vpic *p = vpic_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned i = 0; i < 2; i++)
		p->chip[i] = (struct chip){
			.lines = p->chip[i].lines, .lowest = 7, .masked = 0xff, .base = bases[i],
		};
	p->intr = false;
	host_line_set(d, VPIC_INTR, false);
	host_unlock(d, flags);
}

static void save_chip(const struct chip *c, struct record_writer *w)
{
	const uint8_t bytes[] = { c->lines, c->edges, c->elcr, c->masked, c->service, c->base,
		c->lowest, c->step, c->icw1 };
	const bool bools[] = { c->aeoi, c->aeoi_rotate, c->nested, c->special_mask, c->read_service,
		c->poll };

	record_put(w, bytes, sizeof(bytes));
	for (unsigned i = 0; i < ARRAY_COUNT(bools); i++)
		record_put_bool(w, bools[i]);
}

static void vpic_save(struct vdev *d, struct record_writer *w)
{
	struct vpic *p = vpic_of(d);
	uint64_t flags = host_lock(d);

	save_chip(&p->chip[0], w);
	save_chip(&p->chip[1], w);
	host_unlock(d, flags);
}

static void load_chip(struct chip *c, uint8_t elcr_mask, struct record_reader *r)
{
	c->lines = record_get_u8(r);
	c->edges = record_get_u8(r);
	c->elcr = record_get_u8(r);
	c->masked = record_get_u8(r);
	c->service = record_get_u8(r);
	c->base = record_get_u8(r);
	c->lowest = (uint8_t)record_get_below(r, 1, 7);
	c->step = (uint8_t)record_get_below(r, 1, WANT_ICW4);
	c->icw1 = record_get_u8(r);
	c->aeoi = record_get_bool(r);
	c->aeoi_rotate = record_get_bool(r);
	c->nested = record_get_bool(r);
	c->special_mask = record_get_bool(r);
	c->read_service = record_get_bool(r);
	c->poll = record_get_bool(r);
	if (c->elcr & ~elcr_mask || c->base & 7)
		r->error = -EINVAL;
}

static int vpic_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpic *p = vpic_of(d);
	struct chip chip[2] = { 0 };
	uint64_t flags;

	load_chip(&chip[0], elcr_writable[0], r);
	load_chip(&chip[1], elcr_writable[1], r);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	flags = host_lock(d);
	p->chip[0] = chip[0];
	p->chip[1] = chip[1];
	p->intr = master_due(p) >= 0;
	host_line_set(d, VPIC_INTR, p->intr);
	host_unlock(d, flags);
	return 0;
}

static void vpic_destroy(struct vdev *d)
{
	host_free(vpic_of(d));
}

static const struct vdev_ops vpic_ops = {
	.name = "vpic", .version = 1, .read = vpic_read, .write = vpic_write, .reset = vpic_reset,
	.save = vpic_save, .load = vpic_load, .destroy = vpic_destroy,
};

int vpic_create(void (*acknowledged)(void *context, unsigned irq), void *context, struct vdev **out)
{
	struct vpic *p = host_alloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->dev.ops = &vpic_ops;
	p->acknowledged = acknowledged;
	p->context = context;
	*out = &p->dev;
	return 0;
}
