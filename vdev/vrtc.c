/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vrtc.h. "MC146818 Real-Time Clock Plus RAM" data sheet; CMOS places as PC firmware uses them.
 * Everything is under the device's lock. All times are reckoned from `began`: second number n began
 * at began + n * 1e9.
 */
#include "vdev/vrtc.h"

#include "include/bits.h"
#include "lib/string.h"

#define SECOND		1000000000ul
#define DAY		86400u
#define UPDATE_NS	244000		/* UIP announces the update that long before */
#define HALF_SECOND	(SECOND / 2)
#define CLOCK_MAX	BIT(62)		/* bounds of a saved state, so that nothing wraps */
#define SECONDS_MAX	BIT(40)

/* Registers. */
enum {
	SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY_OF_MONTH,
	MONTH, YEAR,
	REG_A, REG_B, REG_C, REG_D, SHUTDOWN = 0x0f, SUMMED_FIRST, EQUIPMENT = 0x14, SUM = 0x2e,
	CENTURY = 0x32,
	BOOT_THIRD = 0x38, BOOT_ORDER = 0x3d,
};

#define A_UIP		0x80
#define A_RATE		0x0f
#define A_RESET(a)	(((a) & 0x60) == 0x60)	/* the divider is held */
#define B_SET		0x80
#define B_BINARY	0x04
#define B_24H		0x02
#define FLAG_PERIODIC	0x40	/* in C; the enabling bits of B are the same */
#define FLAG_ALARM	0x20
#define FLAG_UPDATE	0x10
#define FLAGS		0x70
#define C_IRQ		0x80
#define D_VALID		0x80
#define HOUR_PM		0x80
#define ANY		0xc0	/* an alarm register with both bits matches always */

struct vrtc {
	struct vdev dev;
	struct vrtc_config config;
	uint8_t ram[128];	/* time registers only while the clock is stopped */
	uint8_t index;
	uint64_t began;		/* VM clock at which second number 0 began */
	uint64_t epoch;		/* what second number 0 was, in seconds since 1970 */
	uint64_t seen;		/* VM clock up to which C's flags are worked out */
};

static struct vrtc *vrtc_of(struct vdev *d)
{
	return container_of(d, struct vrtc, dev);
}

/* --- dates from 1970 on (proleptic Gregorian; years begin in March inside) */

struct date {
	unsigned second, minute, hour, day, month, year, weekday;
};

static uint64_t date_to_seconds(const struct date *t)
{
	uint64_t y = t->month <= 2 ? t->year - 1 : t->year, era = y / 400, yoe = y % 400;
	uint64_t month = t->month > 2 ? t->month - 3ul : t->month + 9ul;
	uint64_t doy = (153 * month + 2) / 5 + t->day - 1;
	uint64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return (days - 719468) * DAY + t->hour * 3600ul + t->minute * 60ul + t->second;
}

static struct date date_of(uint64_t seconds)
{
	uint64_t z = seconds / DAY + 719468, era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = (unsigned)(doe - (365 * yoe + yoe / 4 - yoe / 100)),
		mp = (5 * doy + 2) / 153;
	unsigned rest = (unsigned)(seconds % DAY), month = mp < 10 ? mp + 3 : mp - 9;

	return (struct date){
		.second = rest % 60, .minute = rest / 60 % 60, .hour = rest / 3600,
		.day = doy - (153 * mp + 2) / 5 + 1, .month = month,
		.year = (unsigned)(yoe + era * 400) + (month <= 2),
		.weekday = (unsigned)((seconds / DAY + 4) % 7) + 1,
	};
}

static uint8_t encode(const struct vrtc *t, unsigned v)
{
	return (uint8_t)(t->ram[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(const struct vrtc *t, uint8_t v)
{
	return t->ram[REG_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15u);
}

static uint8_t encode_hour(const struct vrtc *t, unsigned hour)
{
	if (t->ram[REG_B] & B_24H)
		return encode(t, hour);
	return encode(t, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct vrtc *t, uint8_t v)
{
	if (t->ram[REG_B] & B_24H)
		return decode(t, v);
	return decode(t, v & ~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* --- time */

static bool stopped(const struct vrtc *t)
{
	return t->ram[REG_B] & B_SET || A_RESET(t->ram[REG_A]);
}

static uint64_t since_began(const struct vrtc *t, uint64_t now)
{
	return now > t->began ? now - t->began : 0;
}

/* Writes the time into the registers, which then hold it until they are read back. */
static void freeze(struct vrtc *t, uint64_t now)
{
	struct date at = date_of(t->epoch + since_began(t, now) / SECOND);

	t->ram[SECONDS] = encode(t, at.second);
	t->ram[MINUTES] = encode(t, at.minute);
	t->ram[HOURS] = encode_hour(t, at.hour);
	t->ram[WEEKDAY] = encode(t, at.weekday);
	t->ram[DAY_OF_MONTH] = encode(t, at.day);
	t->ram[MONTH] = encode(t, at.month);
	t->ram[YEAR] = encode(t, at.year % 100);
	t->ram[CENTURY] = encode(t, at.year / 100);
}

/* Starts from what the registers say, as if the present second had begun `phase` ns ago. */
static void thaw(struct vrtc *t, uint64_t now, uint64_t phase)
{
	struct date at = {
		.second = decode(t, t->ram[SECONDS]), .minute = decode(t, t->ram[MINUTES]),
		.hour = decode_hour(t, t->ram[HOURS]), .day = decode(t, t->ram[DAY_OF_MONTH]),
		.month = decode(t, t->ram[MONTH]),
		.year = decode(t, t->ram[CENTURY]) * 100 + decode(t, t->ram[YEAR]),
	};

	if (at.month < 1 || at.month > 12)
		at.month = 1;
	at.day = MAX(at.day, 1u);
	at.year = MAX(at.year, 1970u);
	t->epoch = date_to_seconds(&at);
	t->began = now > phase ? now - phase : 0;
	t->seen = now;
}

/* `at` moved on to the next second that begins a unit of number `wanted`, of `count` units. */
static uint64_t advance(uint64_t at, unsigned unit, unsigned wanted, unsigned count)
{
	unsigned now = (unsigned)(at / unit % count);

	return at - at % unit + (uint64_t)((wanted + count - now) % count) * unit;
}

/*
 * The first second number after `second` at which the alarm matches. Alarms differ in the time of
 * day only. A field that does not match takes the search to the next place where it does, so it
 * ends after a few steps whatever the guest wrote: this runs with interrupts off.
 */
static uint64_t next_alarm(const struct vrtc *t, uint64_t second)
{
	uint8_t s = t->ram[SECONDS_ALARM], m = t->ram[MINUTES_ALARM], h = t->ram[HOURS_ALARM];
	unsigned hour = decode_hour(t, h), minute = decode(t, m), sec = decode(t, s);
	uint64_t at = t->epoch + second + 1;

	if ((h < ANY && hour > 23) || (m < ANY && minute > 59) || (s < ANY && sec > 59))
		return UINT64_MAX / SECOND / 2;		/* there is no such time */
	for (;;) {
		if (h < ANY && hour != at / 3600 % 24)
			at = advance(at, 3600, hour, 24);
		else if (m < ANY && minute != at / 60 % 60)
			at = advance(at, 60, minute, 60);
		else if (s < ANY && sec != at % 60)
			at = advance(at, 1, sec, 60);
		else
			return at - t->epoch;
	}
}

/* Periods of 2^(rate-1) cycles of 32768 Hz; rates 1 and 2 mean 8 and 9. */
static unsigned period_shift(const struct vrtc *t)
{
	unsigned rate = t->ram[REG_A] & A_RATE;

	return rate < 3 ? rate + 6 : rate - 1;
}

/*
 * Whole cycles of 32768 Hz, and the first ns at which there are `n` of them. Both exact: 64 cycles
 * are 1953125 ns.
 */
static uint64_t cycles(uint64_t ns)
{
	return ns / 1953125 * 64 + ns % 1953125 * 64 / 1953125;
}

static uint64_t cycles_ns(uint64_t n)
{
	return n / 64 * 1953125 + (n % 64 * 1953125 + 63) / 64;
}

/* Brings C's flags up to date. */
static void catch_up(struct vrtc *t, uint64_t now)
{
	uint64_t from = since_began(t, t->seen), to = since_began(t, now), second = from / SECOND;
	unsigned shift = period_shift(t);

	if (now <= t->seen)
		return;
	t->seen = now;
	if (A_RESET(t->ram[REG_A]))
		return;
	if (t->ram[REG_A] & A_RATE && cycles(from) >> shift != cycles(to) >> shift)
		t->ram[REG_C] |= FLAG_PERIODIC;
	if (stopped(t) || second == to / SECOND)
		return;
	t->ram[REG_C] |= FLAG_UPDATE;
	if (!(t->ram[REG_C] & FLAG_ALARM) && next_alarm(t, second) <= to / SECOND)
		t->ram[REG_C] |= FLAG_ALARM;
}

/* Sets the line, and the timer for the next enabled flag that is not yet set. */
static void update(struct vrtc *t)
{
	uint8_t waiting = t->ram[REG_B] & ~t->ram[REG_C] & FLAGS;
	uint64_t at = since_began(t, t->seen), second = at / SECOND, next = UINT64_MAX;
	unsigned shift = period_shift(t);

	host_line_set(&t->dev, VRTC_IRQ, t->ram[REG_B] & t->ram[REG_C] & FLAGS);
	if (waiting & FLAG_PERIODIC && t->ram[REG_A] & A_RATE && !A_RESET(t->ram[REG_A]))
		next = cycles_ns(((cycles(at) >> shift) + 1) << shift);
	if (waiting & FLAG_UPDATE && !stopped(t))
		next = MIN(next, (second + 1) * SECOND);
	if (waiting & FLAG_ALARM && !stopped(t))
		next = MIN(next, next_alarm(t, second) * SECOND);
	if (next == UINT64_MAX)
		host_timer_cancel(&t->dev, 0);
	else
		host_timer_set(&t->dev, 0, t->began + next);
}

static void vrtc_timer(struct vdev *d, unsigned timer)
{
	struct vrtc *t = vrtc_of(d);
	uint64_t flags = host_lock(d);

	(void)timer;
	catch_up(t, host_clock_ns(d));
	update(t);
	host_unlock(d, flags);
}

/* --- registers */

static bool is_time(unsigned reg)
{
	return (reg <= YEAR && reg != SECONDS_ALARM && reg != MINUTES_ALARM &&
		reg != HOURS_ALARM) || reg == CENTURY;
}

static uint8_t read_register(struct vrtc *t, uint64_t now)
{
	unsigned reg = t->index;
	uint8_t v;

	if (reg == REG_C) {
		catch_up(t, now);
		v = t->ram[REG_C];
		v |= v & t->ram[REG_B] & FLAGS ? C_IRQ : 0;
		t->ram[REG_C] = 0;
		update(t);
		return v;
	}
	if (reg == REG_A && !stopped(t) && since_began(t, now) % SECOND >= SECOND - UPDATE_NS)
		return t->ram[REG_A] | A_UIP;
	if (is_time(reg) && !stopped(t))
		freeze(t, now);
	return t->ram[reg];
}

/*
 * A or B changes: the clock may stop, go on, or begin anew half a second before its first update.
 */
static void write_control(struct vrtc *t, unsigned reg, uint8_t v, uint64_t now)
{
	bool was_stopped = stopped(t), was_reset = A_RESET(t->ram[REG_A]);

	if (!was_stopped)
		freeze(t, now);
	t->ram[reg] = reg == REG_A ? v & ~A_UIP : v;
	if (reg == REG_B && v & B_SET)
		t->ram[REG_B] &= ~FLAG_UPDATE;
	if (was_stopped && !stopped(t))
		thaw(t, now, was_reset ? HALF_SECOND : since_began(t, now) % SECOND);
}

/* The battery has what is there; with `time`, which was set, that too. */
static void keep(struct vrtc *t, bool time)
{
	struct vrtc_battery *b = t->config.battery;

	if (!b)
		return;
	b->written = true;
	memcpy(b->ram, t->ram, sizeof(b->ram));
	if (time)
		b->ahead = (int64_t)(t->epoch - MIN(host_wall_clock(&t->dev), SECONDS_MAX));
}

static void write_register(struct vrtc *t, uint8_t v, uint64_t now)
{
	unsigned reg = t->index;
	uint64_t epoch = t->epoch, began = t->began;

	catch_up(t, now);
	if (reg == REG_A || reg == REG_B) {
		write_control(t, reg, v, now);
	} else if (is_time(reg) && !stopped(t)) {
		freeze(t, now);
		t->ram[reg] = v;
		thaw(t, now, since_began(t, now) % SECOND);
	} else if (reg != REG_C && reg != REG_D) {
		t->ram[reg] = v;
	}
	keep(t, epoch != t->epoch || began != t->began);
	update(t);
}

static uint64_t vrtc_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vrtc *t = vrtc_of(d);
	uint64_t flags = host_lock(d), v;

	(void)region, (void)size;
	v = offset ? read_register(t, host_clock_ns(d)) : t->index;
	host_unlock(d, flags);
	return v;
}

/* Bit 7 of the index would mask NMIs; there are none. */
static void vrtc_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vrtc *t = vrtc_of(d);
	uint64_t flags = host_lock(d);

	(void)region;
	if (offset) {
		write_register(t, (uint8_t)value, host_clock_ns(d));
	} else {
		t->index = value & 0x7f;
		if (size > 1)
			write_register(t, (uint8_t)(value >> 8), host_clock_ns(d));
	}
	host_unlock(d, flags);
}

static void put16(struct vrtc *t, unsigned reg, uint64_t v)
{
	t->ram[reg] = (uint8_t)MIN(v, 0xfffful);
	t->ram[reg + 1] = (uint8_t)(MIN(v, 0xfffful) >> 8);
}

/*
 * KiB of base memory and above 1 MiB; 64-KiB units above 16 MiB and above 4 GiB, where QEMU has
 * them; and its count of further processors.
 */
static void describe_memory(struct vrtc *t)
{
	uint64_t low = t->config.ram_below_4g, high = t->config.ram_above_4g >> 16;

	put16(t, 0x15, t->config.base_kib);
	put16(t, 0x17, low > MIB ? MIN((low - MIB) >> 10, 0xfc00ul) : 0);
	put16(t, 0x30, low > MIB ? MIN((low - MIB) >> 10, 0xfc00ul) : 0);
	put16(t, 0x34, low > 16 * MIB ? (low - 16 * MIB) >> 16 : 0);
	put16(t, 0x5b, high & 0xffff);
	t->ram[0x5d] = (uint8_t)(high >> 16);
	t->ram[0x5f] = (uint8_t)(t->config.vcpus - 1);
}

/* IBM's sum over what the set-up has written; its high byte comes first. */
static void seal(struct vrtc *t)
{
	unsigned sum = 0;

	for (unsigned i = SUMMED_FIRST; i < SUM; i++)
		sum += t->ram[i];
	t->ram[SUM] = (uint8_t)(sum >> 8);
	t->ram[SUM + 1] = (uint8_t)sum;
}

/* As of a battery that was never written, or what it has; the reset pin stops all interrupts. */
static void take_from_battery(struct vrtc *t)
{
	const struct vrtc_battery *b = t->config.battery;

	if (b && b->written) {
		memcpy(t->ram, b->ram, sizeof(t->ram));
		t->ram[REG_B] &= B_24H | B_BINARY;
		t->ram[REG_C] = 0;
		/* Who wanted to go on where he was after a reset finds no memory of that. */
		t->ram[SHUTDOWN] = 0;
	} else {
		memset(t->ram, 0, sizeof(t->ram));
		t->ram[REG_B] = B_24H;
		t->ram[EQUIPMENT] = 0x02;	/* a coprocessor, no display, no diskette */
		t->ram[BOOT_ORDER] = 0x12;	/* disk, diskette, CD, unless firmware is told */
		t->ram[BOOT_THIRD] = 0x30;
	}
	t->ram[REG_A] = 0x26;
	t->ram[REG_D] = D_VALID;
}

static uint64_t wall_of_guest(struct vrtc *t)
{
	const struct vrtc_battery *b = t->config.battery;
	uint64_t wall = MIN(host_wall_clock(&t->dev), SECONDS_MAX);
	int64_t guest = (int64_t)wall + (b ? b->ahead : 0);

	return guest < 0 ? 0 : MIN((uint64_t)guest, SECONDS_MAX);
}

static void vrtc_reset(struct vdev *d)
{
	struct vrtc *t = vrtc_of(d);
	uint64_t flags = host_lock(d);

	take_from_battery(t);
	describe_memory(t);
	seal(t);
	t->index = 0;
	t->began = t->seen = host_clock_ns(d);
	t->epoch = wall_of_guest(t);
	update(t);
	host_unlock(d, flags);
}

static void vrtc_save(struct vdev *d, struct record_writer *w)
{
	struct vrtc *t = vrtc_of(d);
	uint64_t flags = host_lock(d);

	record_put(w, t->ram, sizeof(t->ram));
	record_put_u8(w, t->index);
	record_put_u64(w, t->began);
	record_put_u64(w, t->epoch);
	record_put_u64(w, t->seen);
	host_unlock(d, flags);
}

static int vrtc_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vrtc *t = vrtc_of(d), n;
	uint64_t flags;

	record_get(r, n.ram, sizeof(n.ram));
	n.index = (uint8_t)record_get_below(r, 1, 0x7f);
	n.began = record_get_below(r, 8, CLOCK_MAX);
	n.epoch = record_get_below(r, 8, SECONDS_MAX);
	n.seen = record_get_below(r, 8, CLOCK_MAX);
	if (version != d->ops->version || record_finish(r) || n.ram[REG_A] & A_UIP ||
		n.ram[REG_C] & ~FLAGS ||
	    n.ram[REG_D] != D_VALID)
		return -EINVAL;
	flags = host_lock(d);
	memcpy(t->ram, n.ram, sizeof(t->ram));
	t->index = n.index;
	t->began = n.began;
	t->epoch = n.epoch;
	t->seen = n.seen;
	keep(t, false);
	update(t);
	host_unlock(d, flags);
	return 0;
}

static void vrtc_destroy(struct vdev *d)
{
	host_free(vrtc_of(d));
}

static const struct vdev_ops vrtc_ops = {
	.name = "vrtc", .version = 1, .read = vrtc_read, .write = vrtc_write, .reset = vrtc_reset,
	.save = vrtc_save, .load = vrtc_load, .destroy = vrtc_destroy, .timer = vrtc_timer,
};

int vrtc_create(const struct vrtc_config *config, struct vdev **out)
{
	struct vrtc *t = host_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->dev.ops = &vrtc_ops;
	t->config = *config;
	*out = &t->dev;
	return 0;
}
