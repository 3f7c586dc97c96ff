/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpit.h. "82C54 CHMOS Programmable Interval Timer" data sheet. Under the device's lock, in
 * timer callbacks too.
 */
#include "vdev/vpit.h"

#include "include/bits.h"

/* 1e9 * 2^32 / 1193182, rounded up; 1193182 * 2^64 / 1e9. */
#define TICK_NS(t)	((uint64_t)((__uint128_t)(t) * 3599591090044ul >> 32) + 1)
#define NS_TICKS(ns)	((uint64_t)((__uint128_t)(ns) * 22010322987356910ul >> 64))
#define PIT_HZ		1193182u
#define EDGE_GAP_NS	100000
#define UNHEARD_GAP_NS	1000000		/* while nobody takes the edges */
#define REFRESH_TICKS	18

/* What a saved state may say, so that a deadline cannot wrap into the past: some 150 years. */
#define START_MAX	BIT(62)
#define TICKS_MAX	BIT(52)

#define PORT61_GATE	0x01
#define PORT61_WRITABLE	0x0f
#define PORT61_REFRESH	0x10
#define PORT61_OUT2	0x20

#define CONTROL_READ_BACK 3
#define STATUS_OUT	0x80
#define STATUS_NULL	0x40

enum access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

struct channel {
	uint8_t control;	/* as written: access, mode, BCD */
	uint8_t low;		/* first byte of a count of two */
	uint8_t status;
	uint8_t latched;	/* bytes of `latch` that are left to read */
	uint16_t count;		/* as written; 0 is the largest */
	uint16_t latch;
	bool gate, loaded, running, low_written, high_next, status_latched;
	uint64_t start;		/* ns: when it last began to run */
	uint64_t before;	/* ticks counted before that */
};

struct vpit {
	struct vdev dev;
	struct channel channel[3];
	uint64_t next_edge;	/* of channel 0, in ticks since its count was loaded; 0 for none */
	uint64_t periods;	/* of channel 0 since then, at its last edge */
	uint32_t owed;		/* its edges that the guest had no time for */
	uint8_t port61;
};

static struct vpit *vpit_of(struct vdev *d)
{
	return container_of(d, struct vpit, dev);
}

static unsigned mode_of(const struct channel *c)
{
	unsigned mode = c->control >> 1 & 7;

	return mode > 5 ? mode - 4 : mode;
}

static unsigned access_of(const struct channel *c)
{
	return c->control >> 4 & 3;
}

static uint32_t modulus(const struct channel *c)
{
	return c->control & 1 ? 10000 : 65536;
}

static uint32_t from_bcd(uint32_t v)
{
	return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12 & 15) * 1000;
}

static uint32_t to_bcd(uint32_t v)
{
	return v % 10 | (v / 10 % 10) << 4 | (v / 100 % 10) << 8 | (v / 1000 % 10) << 12;
}

/* Never 0, whatever is written meanwhile. */
static uint32_t period(const struct channel *c)
{
	uint32_t n = READ_ONCE(c->count);

	if (c->control & 1)
		n = from_bcd(n) % 10000;
	return n ? n : modulus(c);
}

static uint64_t elapsed(const struct channel *c, uint64_t now)
{
	return c->before + (c->running && now > c->start ? NS_TICKS(now - c->start) : 0);
}

static uint16_t current(const struct channel *c, uint64_t now)
{
	uint64_t t = elapsed(c, now);
	uint32_t n = period(c), m = modulus(c), v;

	switch (mode_of(c)) {
	case 2:
		v = n - (uint32_t)(t % n);
		break;
	case 3:
		v = n - (uint32_t)(2 * t % n);
		break;
	default:
		v = (n + m - (uint32_t)(t % m)) % m;
	}
	return (uint16_t)(c->control & 1 ? to_bcd(v) : v);
}

static bool output(const struct channel *c, uint64_t now)
{
	uint64_t t;
	uint32_t n = period(c);

	if (!c->loaded)
		return mode_of(c) != 0;
	t = elapsed(c, now);
	switch (mode_of(c)) {
	case 0:
		return t >= n;
	case 1:
		return !(c->running && t < n);
	case 2:
		return !c->gate || t % n != n - 1;
	case 3:
		return !c->gate || t % n < (n + 1) / 2;
	default:
		return !(c->running && t == n);
	}
}

/* --- channel 0's edges */

static void pulse(struct vpit *p)
{
	host_line_set(&p->dev, VPIT_OUT0, false);
	host_line_set(&p->dev, VPIT_OUT0, true);
}

/* Where the pulses leave the line: low only in mode 0 until its count is over. */
static bool line_level(const struct vpit *p)
{
	const struct channel *c = &p->channel[0];

	return mode_of(c) != 0 || (c->loaded && !p->next_edge);
}

/*
 * Never sooner than a tick from now: after months NS_TICKS is a little short, and the callback
 * would find nothing.
 */
static void arm(struct vpit *p)
{
	const struct channel *c = &p->channel[0];
	uint64_t past = c->before, ticks = p->next_edge > past ? p->next_edge - past : 0;
	uint64_t soonest = host_clock_ns(&p->dev) + TICK_NS(1);

	if (p->next_edge && c->running)
		host_timer_set(&p->dev, 0, MAX(c->start + TICK_NS(ticks), soonest));
	else
		host_timer_cancel(&p->dev, 0);
}

/* A count or a mode of channel 0 is new. */
static void channel0_changed(struct vpit *p)
{
	const struct channel *c = &p->channel[0];
	unsigned mode = mode_of(c);

	p->periods = p->owed = 0;
	p->next_edge = c->running && mode != 1 && mode != 5 ? period(c) : 0;
	if (p->next_edge && mode != 0 && mode != 4)
		p->next_edge = MAX(p->next_edge, NS_TICKS(EDGE_GAP_NS));
	host_line_set(&p->dev, VPIT_OUT0, line_level(p));
	arm(p);
}

/*
 * Who counts ticks must get them all, also if he did not run for a while: an edge that would
 * meet one the guest has not done with yet is owed, and comes when it has. A second's worth at
 * most; what is masked meanwhile is forgotten.
 */
static void tick(struct vpit *p, uint32_t n, uint64_t periods)
{
	bool busy = host_line_busy(&p->dev, VPIT_OUT0);
	uint64_t owed = (busy ? p->owed : 0) + periods;

	if (!busy) {
		pulse(p);
		owed = host_line_busy(&p->dev, VPIT_OUT0) ? owed - 1 : 0;
	}
	p->owed = (uint32_t)MIN(owed, PIT_HZ / n + 1);
}

static void vpit_eoi(struct vdev *d, unsigned line)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = host_lock(d);

	if (line == VPIT_OUT0 && p->owed && !host_line_busy(d, VPIT_OUT0)) {
		p->owed--;
		pulse(p);
	}
	host_unlock(d, flags);
}

static void vpit_timer(struct vdev *d, unsigned timer)
{
	struct vpit *p = vpit_of(d);
	struct channel *c = &p->channel[0];
	unsigned mode = mode_of(c);
	uint64_t flags = host_lock(d), t = elapsed(c, host_clock_ns(d));
	uint32_t n = period(c);
	uint64_t gap;

	(void)timer;
	if (p->next_edge && t >= p->next_edge) {
		/* Before the edge: this is about the one before. */
		gap = host_line_heard(d, VPIT_OUT0) ? EDGE_GAP_NS : UNHEARD_GAP_NS;
		if (mode == 2 || mode == 3) {
			tick(p, n, MAX(t / n - MIN(p->periods, t / n), 1ul));
			p->periods = t / n;
			p->next_edge = MAX((t / n + 1) * n, t + NS_TICKS(gap));
		} else {
			pulse(p);
			p->next_edge = 0;
		}
	}
	arm(p);
	host_unlock(d, flags);
}

/* --- registers */

static void load_count(struct vpit *p, struct channel *c, uint16_t count)
{
	unsigned mode = mode_of(c);

	c->count = count;
	c->loaded = true;
	c->before = 0;
	c->start = host_clock_ns(&p->dev);
	c->running = c->gate && mode != 1 && mode != 5;
	if (c == &p->channel[0])
		channel0_changed(p);
}

static void write_count(struct vpit *p, struct channel *c, uint8_t v)
{
	switch (access_of(c)) {
	case ACCESS_LOW:
		load_count(p, c, v);
		break;
	case ACCESS_HIGH:
		load_count(p, c, (uint16_t)(v << 8));
		break;
	default:
		c->low_written = !c->low_written;
		if (!c->low_written)
			load_count(p, c, (uint16_t)(v << 8 | c->low));
		else
			c->low = v;
	}
}

static void latch_count(struct channel *c, uint64_t now)
{
	if (c->latched)
		return;
	c->latch = current(c, now);
	c->latched = access_of(c) == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(struct channel *c, uint64_t now)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)((c->control & 0x3f) | (output(c, now) ? STATUS_OUT : 0) |
		(c->loaded ? 0 : STATUS_NULL));
	c->status_latched = true;
}

/* Bits 5 and 4 low ask for count and status, bits 3 to 1 choose channels. */
static void read_back(struct vpit *p, uint8_t v, uint64_t now)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!(v & 2u << i))
			continue;
		if (!(v & 0x20))
			latch_count(&p->channel[i], now);
		if (!(v & 0x10))
			latch_status(&p->channel[i], now);
	}
}

static void write_control(struct vpit *p, uint8_t v)
{
	uint64_t now = host_clock_ns(&p->dev);
	struct channel *c = &p->channel[v >> 6 & 3];

	if (v >> 6 == CONTROL_READ_BACK) {
		read_back(p, v, now);
	} else if ((v >> 4 & 3) == ACCESS_LATCH) {
		latch_count(c, now);
	} else {
		*c = (struct channel){ .control = v & 0x3f, .gate = c->gate, .start = now };
		if (c == &p->channel[0])
			channel0_changed(p);
	}
}

static uint8_t read_count(struct channel *c, uint64_t now)
{
	unsigned access = access_of(c);
	uint16_t v;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched) {
		high = access == ACCESS_HIGH || (access == ACCESS_BOTH && c->latched == 1);
		c->latched--;
		return (uint8_t)(high ? c->latch >> 8 : c->latch);
	}
	v = current(c, now);
	high = access == ACCESS_HIGH;
	if (access == ACCESS_BOTH) {
		high = c->high_next;
		c->high_next = !high;
	}
	return (uint8_t)(high ? v >> 8 : v);
}

/*
 * A gate stops modes 0, 2, 3 and 4, and starts all but 0 and 4 afresh; modes 1 and 5
 * only start by it.
 */
static void set_gate(struct channel *c, bool gate, uint64_t now)
{
	unsigned mode = mode_of(c);
	bool oneshot = mode == 1 || mode == 5;

	if (gate == c->gate)
		return;
	if (!gate && !oneshot) {
		c->before = elapsed(c, now);
		c->running = false;
	} else if (gate && c->loaded) {
		if (mode != 0 && mode != 4)
			c->before = 0;
		c->start = now;
		c->running = true;
	}
	c->gate = gate;
}

static uint8_t read_port61(const struct vpit *p, uint64_t now)
{
	uint8_t v = p->port61;

	if (NS_TICKS(now) / REFRESH_TICKS & 1)
		v |= PORT61_REFRESH;
	if (output(&p->channel[2], now))
		v |= PORT61_OUT2;
	return v;
}

/*
 * Port 0x61 is polled and changes nothing: no lock. A guest that sets channel 2 meanwhile may
 * read either state.
 */
static uint64_t vpit_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vpit *p = vpit_of(d);
	uint64_t now = host_clock_ns(d), flags, v;

	(void)size;
	if (region == VPIT_PORT61)
		return read_port61(p, now);
	if (offset > 2)
		return 0xff;
	flags = host_lock(d);
	v = read_count(&p->channel[offset], now);
	host_unlock(d, flags);
	return v;
}

static void vpit_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = host_lock(d);

	(void)size;
	if (region == VPIT_PORT61) {
		p->port61 = value & PORT61_WRITABLE;
		set_gate(&p->channel[2], value & PORT61_GATE, host_clock_ns(d));
	} else if (offset < 3) {
		write_count(p, &p->channel[offset], (uint8_t)value);
	} else {
		write_control(p, (uint8_t)value);
	}
	host_unlock(d, flags);
}

/*
 * Channel 0 silent, where firmware leaves it ticking at 18.2 Hz for nobody; channels 1 and 2
 * without a count.
 */
static void vpit_reset(struct vdev *d)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned i = 0; i < 3; i++)
		p->channel[i] = (struct channel){ .control = ACCESS_BOTH << 4 | 3 << 1,
			.gate = i < 2 };
	p->port61 = 0;
	p->channel[0].control = ACCESS_BOTH << 4;
	p->next_edge = p->periods = p->owed = 0;
	host_timer_cancel(d, 0);
	host_line_set(d, VPIT_OUT0, line_level(p));
	host_unlock(d, flags);
}

static void save_channel(const struct channel *c, struct record_writer *w)
{
	record_put_u8(w, c->control);
	record_put_u8(w, c->low);
	record_put_u8(w, c->status);
	record_put_u8(w, c->latched);
	record_put_u16(w, c->count);
	record_put_u16(w, c->latch);
	record_put_bool(w, c->gate);
	record_put_bool(w, c->loaded);
	record_put_bool(w, c->running);
	record_put_bool(w, c->low_written);
	record_put_bool(w, c->high_next);
	record_put_bool(w, c->status_latched);
	record_put_u64(w, c->start);
	record_put_u64(w, c->before);
}

static void vpit_save(struct vdev *d, struct record_writer *w)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned i = 0; i < 3; i++)
		save_channel(&p->channel[i], w);
	record_put_u64(w, p->next_edge);
	record_put_u8(w, p->port61);
	record_put_u64(w, p->periods);
	record_put_u32(w, p->owed);
	host_unlock(d, flags);
}

static void load_channel(struct channel *c, struct record_reader *r)
{
	c->control = (uint8_t)record_get_below(r, 1, 0x3f);
	c->low = record_get_u8(r);
	c->status = record_get_u8(r);
	c->latched = (uint8_t)record_get_below(r, 1, 2);
	c->count = record_get_u16(r);
	c->latch = record_get_u16(r);
	c->gate = record_get_bool(r);
	c->loaded = record_get_bool(r);
	c->running = record_get_bool(r);
	c->low_written = record_get_bool(r);
	c->high_next = record_get_bool(r);
	c->status_latched = record_get_bool(r);
	c->start = record_get_below(r, 8, START_MAX);
	c->before = record_get_below(r, 8, TICKS_MAX);
}

static int vpit_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpit *p = vpit_of(d);
	struct channel channel[3];
	uint64_t next_edge, periods, flags;
	uint32_t owed;
	uint8_t port61;

	for (unsigned i = 0; i < 3; i++)
		load_channel(&channel[i], r);
	next_edge = record_get_below(r, 8, TICKS_MAX);
	port61 = (uint8_t)record_get_below(r, 1, PORT61_WRITABLE);
	periods = record_get_below(r, 8, TICKS_MAX);
	owed = (uint32_t)record_get_below(r, 4, PIT_HZ + 1);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	flags = host_lock(d);
	for (unsigned i = 0; i < 3; i++)
		p->channel[i] = channel[i];
	p->next_edge = next_edge;
	p->port61 = port61;
	p->periods = periods;
	p->owed = owed;
	host_line_set(d, VPIT_OUT0, line_level(p));
	arm(p);
	host_unlock(d, flags);
	return 0;
}

static void vpit_destroy(struct vdev *d)
{
	host_free(vpit_of(d));
}

static const struct vdev_ops vpit_ops = {
	.name = "vpit", .version = 2, .read = vpit_read, .write = vpit_write, .reset = vpit_reset,
	.save = vpit_save, .load = vpit_load, .destroy = vpit_destroy, .timer = vpit_timer,
	.line_eoi = vpit_eoi,
};

int vpit_create(struct vdev **out)
{
	struct vpit *p = host_alloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->dev.ops = &vpit_ops;
	*out = &p->dev;
	return 0;
}
