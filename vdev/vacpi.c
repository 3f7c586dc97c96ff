/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vacpi.h. "ACPI Hardware Specification" (ACPI 6.5, chapter 4). Under the device's lock, the
 * timer's callback too.
 */
#include "vdev/vacpi.h"

#include "include/bits.h"
#include "vdev/vtco.h"

/* 3579545 * 2^64 / 1e9; 1e9 * 2^32 / 3579545, up. */
#define NS_TICKS(ns)	((uint64_t)((__uint128_t)(ns) * 66030950515326656ul >> 64))
#define TICK_NS(t)	((uint64_t)((__uint128_t)(t) * 1199864031882ul >> 32) + 1)

#define PM1_TIMER	BIT(0)
#define PM1_GLOBAL	BIT(5)
#define PM1_BUTTON	BIT(8)
#define PM1_SLEEP_BUTTON BIT(9)
#define PM1_RTC		BIT(10)
#define PM1_WAKE	BIT(15)
#define PM1_ENABLES	(PM1_TIMER | PM1_GLOBAL | PM1_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC)

#define SMI_EN_APMC	0x20u		/* writes to the SMI port are heard */

#define CONTROL_SCI	BIT(0)
#define CONTROL_TYPE(v)	((v) >> 10 & 7)
#define CONTROL_SLEEP	BIT(13)
#define CONTROL_KEPT	0x1c03

/* A status register whose bits are cleared by writing 1, and its enables, 16 bits each. */
struct block {
	uint16_t status, enable;
};

struct vacpi {
	struct vdev dev;
	struct block event, gpe;
	uint16_t control;
	uint8_t smi[2];
	uint64_t turns;		/* of the timer's bit 31, those that `event.status` knows of */
	struct vtco tco;
};

enum { TIMER_OVERFLOW, TIMER_TCO };	/* the host's */

static struct vacpi *vacpi_of(struct vdev *d)
{
	return container_of(d, struct vacpi, dev);
}

/*
 * The timer's status bit is set when its bit 31 changes; noticed when someone looks, or by a host
 * timer if enabled.
 */
static void update(struct vacpi *a)
{
	uint64_t now = host_clock_ns(&a->dev), turns = NS_TICKS(now) >> 31;
	bool due;

	if (turns != a->turns)
		a->event.status |= PM1_TIMER;
	a->turns = turns;
	due = (a->event.status & a->event.enable & PM1_ENABLES) || (a->gpe.status & a->gpe.enable);
	host_line_set(&a->dev, VACPI_SCI, due && a->control & CONTROL_SCI);
	if (a->event.enable & ~a->event.status & PM1_TIMER)
		host_timer_set(&a->dev, TIMER_OVERFLOW,
			       MAX(TICK_NS((turns + 1) << 31), now + TICK_NS(1)));
	else
		host_timer_cancel(&a->dev, TIMER_OVERFLOW);
}

static void set_tco_timer(struct vacpi *a)
{
	if (a->tco.end)
		host_timer_set(&a->dev, TIMER_TCO, a->tco.end);
	else
		host_timer_cancel(&a->dev, TIMER_TCO);
}

static void vacpi_timer(struct vdev *d, unsigned timer)
{
	struct vacpi *a = vacpi_of(d);
	uint64_t flags = host_lock(d);
	bool reset = false;

	if (timer == TIMER_TCO) {
		reset = vtco_expire(&a->tco, host_clock_ns(d));
		set_tco_timer(a);
	} else {
		update(a);
	}
	host_unlock(d, flags);
	if (reset)
		host_machine_request(d, HOST_REQUEST_RESET, 0);
}

bool vacpi_no_reboot(struct vdev *d)
{
	return READ_ONCE(vacpi_of(d)->tco.no_reboot);
}

void vacpi_set_no_reboot(struct vdev *d, bool on)
{
	WRITE_ONCE(vacpi_of(d)->tco.no_reboot, on);
}

bool vacpi_power_button(struct vdev *d)
{
	struct vacpi *a = vacpi_of(d);
	uint64_t flags = host_lock(d);
	bool noticed = a->control & CONTROL_SCI && a->event.enable & PM1_BUTTON;

	a->event.status |= PM1_BUTTON;
	update(a);
	host_unlock(d, flags);
	return noticed;
}

static uint64_t read_block(const struct block *b, uint64_t offset)
{
	return (b->status | (uint64_t)b->enable << 16) >> 8 * offset;
}

static void write_block(struct block *b, uint16_t enables, uint64_t offset, unsigned size,
	uint64_t value)
{
	uint64_t mask = bytes_mask(size) << 8 * offset;

	value <<= 8 * offset;
	b->status &= ~(value & mask);
	mask >>= 16;
	b->enable = (uint16_t)(((b->enable & ~mask) | (value >> 16 & mask)) & enables);
}

/* Does it ask for soft-off? Other sleeps are not offered. */
static bool write_control(struct vacpi *a, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t mask = bytes_mask(size) << 8 * offset;
	uint64_t v = (a->control & ~mask) | (value << 8 * offset & mask);

	a->control = (uint16_t)((v & CONTROL_KEPT & ~CONTROL_SCI) | (a->control & CONTROL_SCI));
	return v & CONTROL_SLEEP && CONTROL_TYPE(v) == VACPI_SLP_TYP_S5;
}

static void write_smi(struct vacpi *a, uint64_t offset, uint8_t v)
{
	a->smi[offset & 1] = v;
	if (offset == 0 && v == VACPI_ENABLE)
		a->control |= CONTROL_SCI;
	else if (offset == 0 && v == VACPI_DISABLE)
		a->control &= ~CONTROL_SCI;
}

static uint64_t vacpi_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vacpi *a = vacpi_of(d);
	uint64_t flags, v = 0;

	if (region == VACPI_TIMER)
		return (NS_TICKS(host_clock_ns(d)) & 0xffffffff) >> 8 * offset;
	if (region == VACPI_SMI_EN)
		return (uint64_t)SMI_EN_APMC >> 8 * offset;
	flags = host_lock(d);
	if (region == VACPI_EVENT) {
		update(a);
		v = read_block(&a->event, offset);
	} else if (region == VACPI_CONTROL) {
		v = a->control >> 8 * offset;
	} else if (region == VACPI_GPE) {
		v = read_block(&a->gpe, offset);
	} else if (region == VACPI_SMI) {
		v = (a->smi[0] | a->smi[1] << 8) >> 8 * offset;
	} else if (region == VACPI_TCO) {
		v = vtco_read(&a->tco, offset, size, host_clock_ns(d));
	}
	host_unlock(d, flags);
	return v;
}

static void vacpi_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vacpi *a = vacpi_of(d);
	uint64_t flags = host_lock(d);
	bool off = false;

	update(a);
	if (region == VACPI_EVENT)
		write_block(&a->event, PM1_ENABLES, offset, size, value);
	else if (region == VACPI_CONTROL)
		off = write_control(a, offset, size, value);
	else if (region == VACPI_GPE)
		write_block(&a->gpe, 0xffff, offset, size, value);
	else if (region == VACPI_SMI)
		write_smi(a, offset, (uint8_t)value);
	else if (region == VACPI_TCO)
		vtco_write(&a->tco, offset, size, value, host_clock_ns(d));
	if (region == VACPI_TCO)
		set_tco_timer(a);
	update(a);
	host_unlock(d, flags);
	if (off)
		host_machine_request(d, HOST_REQUEST_POWER_OFF, 0);
}

void vacpi_place(struct vdev *d, uint16_t base, bool enabled)
{
	static const struct {
		uint16_t port, size;
	} place[] = {
		[VACPI_EVENT] = { VACPI_EVENT_PORT, 4 }, [VACPI_CONTROL] = { VACPI_CONTROL_PORT, 2 },
		[VACPI_TIMER] = { VACPI_TIMER_PORT, 4 }, [VACPI_GPE] = { VACPI_GPE_PORT, 4 },
		[VACPI_SMI_EN] = { VACPI_SMI_EN_PORT, 8 },
		[VACPI_TCO] = { VACPI_TCO_PORT, VTCO_SIZE },
	};

	struct host_region r[ARRAY_COUNT(place)];

	for (unsigned i = 0; i < ARRAY_COUNT(place); i++)
		r[i] = (struct host_region){
			i, base + place[i].port - (uint64_t)VACPI_BASE, place[i].size, enabled,
		};
	if (host_regions_set(d, HOST_PORT, r, ARRAY_COUNT(r)))
		host_log(d, "not all registers at port %#x can be mapped", base);
}

static void vacpi_reset(struct vdev *d)
{
	struct vacpi *a = vacpi_of(d);
	uint64_t flags = host_lock(d);

	a->event = a->gpe = (struct block){ 0 };
	a->control = 0;
	a->smi[0] = a->smi[1] = 0;
	a->turns = NS_TICKS(host_clock_ns(d)) >> 31;
	vtco_reset(&a->tco);
	set_tco_timer(a);
	update(a);
	host_unlock(d, flags);
}

static void vacpi_save(struct vdev *d, struct record_writer *w)
{
	struct vacpi *a = vacpi_of(d);
	uint64_t flags = host_lock(d);

	update(a);	/* as a load would, so that both save the same */
	record_put_u16(w, a->event.status);
	record_put_u16(w, a->event.enable);
	record_put_u16(w, a->gpe.status);
	record_put_u16(w, a->gpe.enable);
	record_put_u16(w, a->control);
	record_put(w, a->smi, sizeof(a->smi));
	record_put_u64(w, a->turns);
	vtco_save(&a->tco, w);
	host_unlock(d, flags);
}

static int vacpi_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vacpi *a = vacpi_of(d), n;
	uint64_t flags;
	bool valid;

	n.event.status = record_get_u16(r);
	n.event.enable = record_get_u16(r);
	n.gpe.status = record_get_u16(r);
	n.gpe.enable = record_get_u16(r);
	n.control = record_get_u16(r);
	record_get(r, n.smi, sizeof(n.smi));
	n.turns = record_get_u64(r);
	valid = vtco_load(&n.tco, r);
	if (version != d->ops->version || record_finish(r) || n.control & ~CONTROL_KEPT ||
		n.event.enable & ~PM1_ENABLES || !valid)
		return -EINVAL;
	flags = host_lock(d);
	a->event = n.event;
	a->gpe = n.gpe;
	a->control = n.control;
	a->smi[0] = n.smi[0];
	a->smi[1] = n.smi[1];
	a->turns = n.turns;
	a->tco = n.tco;
	set_tco_timer(a);
	update(a);
	host_unlock(d, flags);
	return 0;
}

static void vacpi_destroy(struct vdev *d)
{
	host_free(vacpi_of(d));
}

static const struct vdev_ops vacpi_ops = {
	.name = "vacpi", .version = 2, .read = vacpi_read, .write = vacpi_write,
	.reset = vacpi_reset,
	.save = vacpi_save, .load = vacpi_load, .destroy = vacpi_destroy, .timer = vacpi_timer,
};

int vacpi_create(struct vdev **out)
{
	struct vacpi *a = host_alloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->dev.ops = &vacpi_ops;
	*out = &a->dev;
	return 0;
}
