/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vioapic.h. "82093AA I/O Advanced Programmable Interrupt Controller" data sheet; EOI register
 * as in later chipsets.
 */
#include "vdev/vioapic.h"

#include "include/bits.h"

enum { REG_ID, REG_VERSION, REG_ARBITRATION, REG_REDIRECTION = 0x10 };

#define WINDOW_SELECT	0x00
#define WINDOW_DATA	0x10
#define WINDOW_EOI	0x40

#define VERSION		(0x20u | (VIOAPIC_PINS - 1) << 16)

/* A redirection entry. */
#define ENTRY_VECTOR	0xfful
#define ENTRY_MODE(e)	((e) >> 8 & 7)
#define ENTRY_LOGICAL	BIT(11)
#define ENTRY_SENT	BIT(12)		/* delivery status: never seen busy */
#define ENTRY_LOW	BIT(13)		/* polarity: lines come normalised, so it is only kept */
#define ENTRY_REMOTE	BIT(14)		/* level: sent and not ended */
#define ENTRY_LEVEL	BIT(15)
#define ENTRY_MASKED	BIT(16)
#define ENTRY_READ_ONLY	(ENTRY_SENT | ENTRY_REMOTE)
#define ENTRY_VALID	(BITS(63, 49) | BITS(16, 0))

#define MODE_LOWEST	1

struct vioapic {
	struct vdev dev;
	uint64_t entry[VIOAPIC_PINS];
	uint32_t lines;			/* pins that are high */
	uint8_t id, select;
	struct vioapic_config config;
};

static struct vioapic *vioapic_of(struct vdev *d)
{
	return container_of(d, struct vioapic, dev);
}

/* Pins that send edges whose end is told. */
static bool is_told(const struct vioapic *a, unsigned pin)
{
	return a->config.told & 1u << pin && !(a->entry[pin] & ENTRY_LEVEL);
}

/*
 * The message of a pin, "Message Address Register Format"; bits 11:5 extend the destination to 15
 * bits.
 */
static uint32_t message(const struct vioapic *a, unsigned pin, uint64_t *to)
{
	uint64_t e = a->entry[pin];
	uint64_t address = 0xfee00000 | (e >> 56) << 12 | FIELD(e, 55, 49) << 5;
	uint32_t data = (uint32_t)(e & (ENTRY_VECTOR | BITS(10, 8) | ENTRY_LEVEL));

	if (ENTRY_MODE(e) == MODE_LOWEST)
		address |= BIT(3);
	if (e & ENTRY_LOGICAL)
		address |= BIT(2);
	if (e & ENTRY_LEVEL)
		data |= BIT(14);
	if (is_told(a, pin))
		data |= HOST_MSI_TELL;
	*to = address;
	return data;
}

static bool send(struct vioapic *a, unsigned pin)
{
	uint64_t address;
	uint32_t data = message(a, pin, &address);

	return host_msi(&a->dev, address, data);
}

bool vioapic_busy(struct vdev *d, unsigned pin)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t address, flags = host_lock(d);
	bool told = is_told(a, pin);
	uint32_t data = message(a, pin, &address);

	host_unlock(d, flags);
	return told && host_msi_busy(d, address, data);
}

/*
 * A level pin that is high, open and not waiting for its EOI sends. It waits for one only when a
 * local APIC has taken the interrupt, else nobody would ever end it. Source: 82093AA data sheet,
 * "Remote IRR".
 */
static void service(struct vioapic *a, unsigned pin)
{
	uint64_t *e = &a->entry[pin], state = *e & (ENTRY_LEVEL | ENTRY_MASKED | ENTRY_REMOTE);

	if (!(a->lines & BIT(pin)) || state != ENTRY_LEVEL)
		return;
	if (send(a, pin))
		*e |= ENTRY_REMOTE;
}

void vioapic_retry(struct vdev *d)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		service(a, pin);
	host_unlock(d, flags);
}

void vioapic_line(struct vdev *d, unsigned pin, bool level)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t flags, e;
	uint32_t bit;

	if (pin >= VIOAPIC_PINS)
		return;
	bit = 1u << pin;
	flags = host_lock(d);
	if (!level) {
		a->lines &= ~bit;
	} else if (!(a->lines & bit)) {
		a->lines |= bit;
		e = a->entry[pin];
		if (e & ENTRY_LEVEL)
			service(a, pin);
		else if (!(e & ENTRY_MASKED))
			(void)send(a, pin);
	}
	host_unlock(d, flags);
}

bool vioapic_open(struct vdev *d, unsigned pin)
{
	return !(READ_ONCE(vioapic_of(d)->entry[pin]) & ENTRY_MASKED);
}

/* Ends one pin's interrupt in three steps, because its sources must be asked without the lock. */
void vioapic_eoi(struct vdev *d, uint8_t vector)
{
	struct vioapic *a = vioapic_of(d);
	uint32_t ended = 0, told = 0;
	uint64_t flags = host_lock(d);

	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++) {
		uint64_t e = a->entry[pin];

		if ((e & ENTRY_VECTOR) != vector)
			continue;
		if (is_told(a, pin))
			told |= 1u << pin;
		if ((e & ENTRY_LEVEL) && (e & ENTRY_REMOTE)) {
			a->entry[pin] &= ~ENTRY_REMOTE;
			ended |= 1u << pin;
		}
	}
	host_unlock(d, flags);
	for (uint32_t left = ended | told; left && a->config.acknowledged; left &= left - 1)
		a->config.acknowledged(a->config.context, bit_lowest(left));
	if (!ended)
		return;
	flags = host_lock(d);
	for (; ended; ended &= ended - 1)
		service(a, bit_lowest(ended));
	host_unlock(d, flags);
}

/*
 * Switching to edge mode ends a level interrupt, which is how kernels without the EOI
 * register do it.
 */
static void write_entry(struct vioapic *a, unsigned pin, uint64_t mask, uint64_t value)
{
	uint64_t *e = &a->entry[pin];

	mask &= ENTRY_VALID & ~ENTRY_READ_ONLY;
	*e = (*e & ~mask) | (value & mask);
	if (!(*e & ENTRY_LEVEL))
		*e &= ~ENTRY_REMOTE;
	service(a, pin);
}

static void write_register(struct vioapic *a, uint32_t value)
{
	unsigned pin = (a->select - REG_REDIRECTION) / 2u;

	if (a->select == REG_ID)
		a->id = value >> 24 & 0xf;
	if (a->select < REG_REDIRECTION || pin >= VIOAPIC_PINS)
		return;
	if (a->select & 1)
		write_entry(a, pin, BITS(63, 32), (uint64_t)value << 32);
	else
		write_entry(a, pin, BITS(31, 0), value);
}

static void vioapic_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t flags;

	(void)region, (void)size;
	if (offset == WINDOW_EOI) {
		vioapic_eoi(d, (uint8_t)value);
		return;
	}
	flags = host_lock(d);
	if (offset == WINDOW_SELECT)
		a->select = (uint8_t)value;
	else if (offset == WINDOW_DATA)
		write_register(a, (uint32_t)value);
	host_unlock(d, flags);
}

static uint32_t read_register(const struct vioapic *a)
{
	unsigned pin = (a->select - REG_REDIRECTION) / 2u;

	if (a->select >= REG_REDIRECTION)
		return pin < VIOAPIC_PINS ? (uint32_t)(a->entry[pin] >> 32 * (a->select & 1)) : ~0u;
	switch (a->select) {
	case REG_VERSION:
		return VERSION;
	case REG_ID:
	case REG_ARBITRATION:
		return (uint32_t)a->id << 24;
	default:
		return ~0u;
	}
}

static uint64_t vioapic_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t flags, v = 0;

	(void)region, (void)size;
	flags = host_lock(d);
	if (offset == WINDOW_DATA)
		v = read_register(a);
	else if (offset == WINDOW_SELECT)
		v = a->select;
	host_unlock(d, flags);
	return v;
}

static void vioapic_reset(struct vdev *d)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		a->entry[pin] = ENTRY_MASKED;
	a->id = a->config.id;
	a->select = 0;
	host_unlock(d, flags);
}

static void vioapic_save(struct vdev *d, struct record_writer *w)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t flags = host_lock(d);

	record_put_u8(w, a->id);
	record_put_u8(w, a->select);
	record_put_u32(w, a->lines);
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		record_put_u64(w, a->entry[pin]);
	host_unlock(d, flags);
}

static int vioapic_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vioapic *a = vioapic_of(d);
	uint64_t entry[VIOAPIC_PINS], flags;
	uint8_t id = (uint8_t)record_get_below(r, 1, 0xf), select = record_get_u8(r);
	uint32_t lines = (uint32_t)record_get_below(r, 4, BIT(VIOAPIC_PINS) - 1);

	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++) {
		entry[pin] = record_get_u64(r);
		if (entry[pin] & (~ENTRY_VALID | ENTRY_SENT) ||
		    (entry[pin] & (ENTRY_REMOTE | ENTRY_LEVEL)) == ENTRY_REMOTE)
			return -EINVAL;
	}
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	flags = host_lock(d);
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		a->entry[pin] = entry[pin];
	a->id = id;
	a->select = select;
	a->lines = lines;
	host_unlock(d, flags);
	return 0;
}

static void vioapic_destroy(struct vdev *d)
{
	host_free(vioapic_of(d));
}

static const struct vdev_ops vioapic_ops = {
	.name = "vioapic", .version = 1, .read = vioapic_read, .write = vioapic_write,
	.reset = vioapic_reset,
	.save = vioapic_save, .load = vioapic_load, .destroy = vioapic_destroy,
};

int vioapic_create(const struct vioapic_config *config, struct vdev **out)
{
	struct vioapic *a = host_alloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->dev.ops = &vioapic_ops;
	a->config = *config;
	*out = &a->dev;
	return 0;
}
