/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vhpet.h. "IA-PC HPET (High Precision Event Timers) Specification" 1.0a. Under the device's
 * lock, in timer callbacks too.
 *
 * While the counter runs, time is in ticks since it was started: `base` is what it was then. Of
 * each timer it is worked out up to `seen` whether the counter has met its comparator; the next
 * such moment follows from that, and a host timer is set for it if the guest is to be told. A
 * periodic comparator that is far behind moves on in one step, and its interrupts keep a distance.
 * A comparator counts as met, too, if it was written a little after its time: the vCPU may not have
 * run since it read the counter.
 */
#include "vdev/vhpet.h"

#include "include/bits.h"

#define TIMERS		3

enum {
	REG_ID = 0x00, REG_CONFIG = 0x10, REG_STATUS = 0x20, REG_COUNTER = 0xf0, REG_TIMERS = 0x100,
};
enum { TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08, TIMER_MESSAGE = 0x10, TIMER_STRIDE = 0x20 };

#define CAPABILITIES	((uint64_t)VHPET_TICK_NS * 1000000 << 32 | VHPET_ID)
#define ENABLE		BIT(0)

#define LEVEL		BIT(1)
#define INTERRUPT	BIT(2)
#define PERIODIC	BIT(3)
#define VALUE_SET	BIT(6)
#define NARROW		BIT(8)
#define ROUTE(config)	FIELD(config, 13, 9)
#define ROUTE_BITS	BITS(13, 9)
#define MESSAGE		BIT(14)
#define WRITABLE	(LEVEL | INTERRUPT | PERIODIC | VALUE_SET | NARROW | ROUTE_BITS | MESSAGE)
#define ROUTES		((BIT(VHPET_LINES) - 1) << VHPET_GSI)
/* Periodic, 64 bits, messages. */
#define TIMER_CAPABILITIES (BIT(4) | BIT(5) | BIT(15) | ROUTES << 32)

#define UNHEARD_GAP_NS	1000000		/* while nobody takes the interrupts */
#define LATE_TICKS	10000000ul	/* so much after its time a comparator may be written */
#define NEVER_TICKS	BIT(56)		/* some 22 years */

/* What a saved state may say, so that a deadline cannot wrap into the past. */
#define CLOCK_MAX	BIT(62)
#define TICKS_MAX	BIT(58)

struct comparator {
	uint64_t config;	/* what may be written of it */
	uint64_t value;		/* to be met next */
	uint64_t period;	/* what was written last */
	uint64_t message;	/* data, and the address in the upper half */
	uint64_t seen;		/* ticks since the start */
	uint64_t rest;		/* ns: a periodic timer's next interrupt comes no sooner */
};

struct vhpet {
	struct vdev dev;
	bool running;
	uint8_t status;		/* of level-triggered timers that are due */
	uint8_t lines;		/* that are high */
	struct counter {	/* saved as it is: there is no padding */
		uint64_t base;	/* the counter at `start`, or where it stands */
		uint64_t start;	/* ns */
		struct comparator timer[TIMERS];
	} at;
};

static struct vhpet *vhpet_of(struct vdev *d)
{
	return container_of(d, struct vhpet, dev);
}

/* --- time */

static uint64_t elapsed(const struct vhpet *h, uint64_t now)
{
	return h->running && now > h->at.start ? (now - h->at.start) / VHPET_TICK_NS : 0;
}

static uint64_t width(const struct comparator *t)
{
	return t->config & NARROW ? BITS(31, 0) : ~0ul;
}

/* So many ticks behind the next one the comparator is met. */
static uint64_t ahead(const struct vhpet *h, const struct comparator *t)
{
	return (t->value - (h->at.base + t->seen) - 1) & width(t);
}

static bool is_level(const struct comparator *t)
{
	return (t->config & (LEVEL | MESSAGE)) == LEVEL;
}

static bool is_periodic(const struct comparator *t)
{
	return t->config & PERIODIC && t->period;
}

/* --- interrupts */

/* Is the guest to be told? */
static bool tells(const struct vhpet *h, const struct comparator *t)
{
	return h->running && t->config & INTERRUPT && t->config & (MESSAGE | ROUTE_BITS);
}

static unsigned line_of(const struct comparator *t)
{
	return (unsigned)ROUTE(t->config) - VHPET_GSI;
}

static void set_lines(struct vhpet *h)
{
	uint8_t lines = 0, changed;

	for (unsigned i = 0; i < TIMERS; i++)
		if (h->status & 1u << i && is_level(&h->at.timer[i]) && tells(h, &h->at.timer[i]))
			lines |= (uint8_t)(1u << line_of(&h->at.timer[i]));
	changed = h->lines ^ lines;
	h->lines = lines;
	for (unsigned i = 0; i < VHPET_LINES; i++)
		if (changed & 1u << i)
			host_line_set(&h->dev, i, lines & 1u << i);
}

/* False: nobody has taken the one before. */
static bool send_message(struct vhpet *h, const struct comparator *t)
{
	uint64_t address = t->message >> 32;
	uint32_t data = t->message & 0xffff;
	bool heard = !host_msi_busy(&h->dev, address, data);

	return host_msi(&h->dev, address, data) && heard;
}

/* The pulse leaves the line as the level-triggered ones have it, of other devices too. */
static bool send_edge(struct vhpet *h, const struct comparator *t)
{
	unsigned line = line_of(t);
	bool heard = host_line_heard(&h->dev, line);

	host_line_set(&h->dev, line, true);
	host_line_set(&h->dev, line, h->lines & 1u << line);
	return heard;
}

/* The comparator was met; what comes too soon after the last time merges with what follows. */
static void fire(struct vhpet *h, unsigned i, uint64_t now)
{
	struct comparator *t = &h->at.timer[i];
	bool heard = true;

	if (is_periodic(t) && now < t->rest)
		return;
	if (is_level(t)) {
		h->status |= (uint8_t)(1u << i);
		set_lines(h);
	} else if (tells(h, t)) {
		heard = t->config & MESSAGE ? send_message(h, t) : send_edge(h, t);
	}
	t->rest = now + (heard ? VHPET_GAP_NS : UNHEARD_GAP_NS);
}

static void arm(struct vhpet *h, unsigned i)
{
	const struct comparator *t = &h->at.timer[i];
	uint64_t ticks = ahead(h, t), at;

	if (!tells(h, t) || (is_level(t) && h->status & 1u << i) || ticks >= NEVER_TICKS) {
		host_timer_cancel(&h->dev, i);
		return;
	}
	at = h->at.start + (t->seen + ticks + 1) * VHPET_TICK_NS;
	host_timer_set(&h->dev, i, is_periodic(t) ? MAX(at, t->rest) : at);
}

/* Has the counter met it since it was looked at last? A periodic one is ahead again then. */
static bool was_met(struct vhpet *h, struct comparator *t, uint64_t now)
{
	uint64_t at = elapsed(h, now), passed = at > t->seen ? at - t->seen : 0;
	uint64_t ticks = ahead(h, t);

	t->seen += passed;
	if (ticks >= passed)
		return false;
	if (is_periodic(t))
		t->value += ((passed - ticks - 1) / t->period + 1) * t->period;
	t->value &= width(t);
	return true;
}

static void catch_up(struct vhpet *h, uint64_t now)
{
	for (unsigned i = 0; h->running && i < TIMERS; i++)
		if (was_met(h, &h->at.timer[i], now))
			fire(h, i, now);
}

/* Something was written. */
static void settle(struct vhpet *h)
{
	set_lines(h);
	for (unsigned i = 0; i < TIMERS; i++)
		arm(h, i);
}

static void vhpet_timer(struct vdev *d, unsigned timer)
{
	struct vhpet *h = vhpet_of(d);
	uint64_t flags = host_lock(d), now = host_clock_ns(d);

	if (h->running && was_met(h, &h->at.timer[timer], now))
		fire(h, timer, now);
	arm(h, timer);
	host_unlock(d, flags);
}

/* --- registers, of 64 bits each */

static struct comparator *timer_at(struct vhpet *h, uint64_t offset)
{
	uint64_t n = (offset - REG_TIMERS) / TIMER_STRIDE;

	return offset >= REG_TIMERS && n < TIMERS ? &h->at.timer[n] : NULL;
}

static uint64_t read_timer(const struct comparator *t, uint64_t offset)
{
	switch (offset % TIMER_STRIDE) {
	case TIMER_CONFIG:
		return t->config | TIMER_CAPABILITIES;
	case TIMER_COMPARATOR:
		return t->value;
	case TIMER_MESSAGE:
		return t->message;
	default:
		return 0;
	}
}

static uint64_t read_register(struct vhpet *h, uint64_t offset)
{
	const struct comparator *t = timer_at(h, offset);
	uint64_t now = host_clock_ns(&h->dev);

	if (offset == REG_COUNTER)
		return h->at.base + elapsed(h, now);
	if (offset == REG_ID)
		return CAPABILITIES;
	if (offset == REG_CONFIG)
		return h->running ? ENABLE : 0;
	catch_up(h, now);
	if (offset == REG_STATUS)
		return h->status;
	return t ? read_timer(t, offset) : 0;
}

/* The counter runs from where it stands, or stands where it is. */
static void run(struct vhpet *h, bool running, uint64_t now)
{
	if (running == h->running)
		return;
	h->at.base += elapsed(h, now);
	h->running = running;
	h->at.start = now;
	for (unsigned i = 0; i < TIMERS; i++)
		h->at.timer[i].seen = 0;
}

/* Of routes that are not there none is taken; a timer that is not level-triggered has no status. */
static void configure(struct vhpet *h, struct comparator *t, uint64_t value)
{
	uint64_t config = value & WRITABLE, was = t->config & ROUTE_BITS;

	if (ROUTE(config) && !(ROUTES >> ROUTE(config) & 1))
		config = (config & ~ROUTE_BITS) | was;
	t->config = config;
	t->value &= width(t);
	t->period &= width(t);
	if (!is_level(t))
		h->status &= (uint8_t)~(1u << (t - h->at.timer));
}

static uint64_t merge(const struct comparator *t, uint64_t old, uint64_t mask, uint64_t value)
{
	return ((old & ~mask) | (value & mask)) & width(t);
}

/* A periodic timer's comparator is set where that was asked for, else its period alone. */
static void compare(struct comparator *t, uint64_t mask, uint64_t value, uint64_t now)
{
	if (t->config & PERIODIC)
		t->period = merge(t, t->period, mask, value);
	if (!(t->config & PERIODIC) || t->config & VALUE_SET)
		t->value = merge(t, t->value, mask, value);
	t->config &= ~VALUE_SET;
	t->seen = now - MIN(now, LATE_TICKS);
	t->rest = 0;
}

static void write_timer(struct vhpet *h, uint64_t offset, uint64_t mask, uint64_t value,
	uint64_t now)
{
	struct comparator *t = timer_at(h, offset);

	if (!t)
		return;
	switch (offset % TIMER_STRIDE) {
	case TIMER_CONFIG:
		configure(h, t, (t->config & ~mask) | (value & mask));
		break;
	case TIMER_COMPARATOR:
		compare(t, mask, value, elapsed(h, now));
		break;
	case TIMER_MESSAGE:
		t->message = (t->message & ~mask) | (value & mask);
		break;
	}
}

static void write_register(struct vhpet *h, uint64_t offset, uint64_t mask, uint64_t value)
{
	uint64_t now = host_clock_ns(&h->dev);

	catch_up(h, now);
	if (offset == REG_CONFIG && mask & ENABLE)
		run(h, value & ENABLE, now);
	else if (offset == REG_STATUS)
		h->status &= (uint8_t)~(value & mask);
	else if (offset == REG_COUNTER && !h->running)
		h->at.base = (h->at.base & ~mask) | (value & mask);
	else
		write_timer(h, offset, mask, value, now);
	catch_up(h, now);
	settle(h);
}

/* Halves and wholes; others the specification does not have. */
static bool has_size(uint64_t offset, unsigned size)
{
	return size >= 4 && IS_ALIGNED(offset, size);
}

static uint64_t vhpet_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t flags, v;

	(void)region;
	if (!has_size(offset, size))
		return ~0ul;
	flags = host_lock(d);
	v = read_register(vhpet_of(d), offset & ~7ul);
	host_unlock(d, flags);
	return v >> 8 * (offset & 7);
}

static void vhpet_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	unsigned shift = 8 * (offset & 7);
	uint64_t flags;

	(void)region;
	if (!has_size(offset, size))
		return;
	flags = host_lock(d);
	write_register(vhpet_of(d), offset & ~7ul, bytes_mask(size) << shift, value << shift);
	host_unlock(d, flags);
}

/* --- life */

static void vhpet_reset(struct vdev *d)
{
	struct vhpet *h = vhpet_of(d);
	uint64_t flags = host_lock(d);

	h->running = false;
	h->status = 0;
	h->at = (struct counter){ 0 };
	for (unsigned i = 0; i < TIMERS; i++)
		h->at.timer[i].value = ~0ul;
	settle(h);
	host_unlock(d, flags);
}

static void vhpet_save(struct vdev *d, struct record_writer *w)
{
	struct vhpet *h = vhpet_of(d);
	uint64_t flags = host_lock(d);

	record_put_bool(w, h->running);
	record_put_u8(w, h->status);
	record_put(w, &h->at, sizeof(h->at));
	host_unlock(d, flags);
}

/* A route is none or one that there is. */
static bool timer_valid(const struct vhpet *h, unsigned i)
{
	const struct comparator *t = &h->at.timer[i];

	return !(t->config & ~WRITABLE) &&
	       (!(t->config & ROUTE_BITS) || ROUTES >> ROUTE(t->config) & 1) &&
	       !((t->value | t->period) & ~width(t)) &&
	       t->seen <= (h->running ? TICKS_MAX : 0) && t->rest <= CLOCK_MAX &&
	       (is_level(t) || !(h->status & 1u << i));
}

static int vhpet_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vhpet *h = vhpet_of(d), n;
	uint64_t flags;
	bool valid;

	n.running = record_get_bool(r);
	n.status = (uint8_t)record_get_below(r, 1, BIT(TIMERS) - 1);
	record_get(r, &n.at, sizeof(n.at));
	valid = version == d->ops->version && !record_finish(r) && n.at.start <= CLOCK_MAX;
	for (unsigned i = 0; i < TIMERS; i++)
		valid = valid && timer_valid(&n, i);
	if (!valid)
		return -EINVAL;
	flags = host_lock(d);
	h->running = n.running;
	h->status = n.status;
	h->at = n.at;
	settle(h);
	host_unlock(d, flags);
	return 0;
}

static void vhpet_destroy(struct vdev *d)
{
	host_free(vhpet_of(d));
}

static const struct vdev_ops vhpet_ops = {
	.name = "vhpet", .version = 1, .read = vhpet_read, .write = vhpet_write,
	.reset = vhpet_reset, .save = vhpet_save, .load = vhpet_load, .destroy = vhpet_destroy,
	.timer = vhpet_timer,
};

int vhpet_create(struct vdev **out)
{
	struct vhpet *h = host_alloc(sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->dev.ops = &vhpet_ops;
	*out = &h->dev;
	return 0;
}
