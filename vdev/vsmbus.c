/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vsmbus.h. Intel, "I/O Controller Hub 9 Family" datasheet, "SMBus Controller Registers
 * (D31:F3)". Registers are bytes; a table says what may be written of each. The pin is derived from
 * them.
 */
#include "vdev/vsmbus.h"

#include "include/bits.h"
#include "lib/string.h"

enum {
	STATUS = 0x00, CONTROL = 0x02, COMMAND, ADDRESS, DATA0, DATA1, BLOCK, PEC, SLAVE_ADDRESS,
	AUX_CONTROL = 0x0d, LINK_PINS, BUS_PINS, REGISTERS = 0x10,
};

#define STATUS_NO_DEVICE 0x04
#define STATUS_KILLED	0x10
#define CONTROL_TELL	0x01
#define CONTROL_KILL	0x02
#define CONTROL_START	0x40
#define PINS_HIGH	0x07	/* clock and data, and the clock may run */

#define HOST_CONFIG	0x40
#define HOST_ENABLE	0x01
#define PIN_LINE	0

static const uint8_t writable[REGISTERS] = {
	[CONTROL] = 0xbf, [COMMAND] = 0xff, [ADDRESS] = 0xff, [DATA0] = 0xff, [DATA1] = 0xff,
	[BLOCK] = 0xff, [PEC] = 0xff, [SLAVE_ADDRESS] = 0x7f, [AUX_CONTROL] = 0x03,
};

static const uint8_t first[REGISTERS] = {
	[SLAVE_ADDRESS] = 0x44, [LINK_PINS] = PINS_HIGH, [BUS_PINS] = PINS_HIGH,
};

struct vsmbus {
	struct vdev dev;
	struct vpci_function function;
	uint8_t reg[REGISTERS];
};

static struct vsmbus *vsmbus_of(struct vdev *d)
{
	return container_of(d, struct vsmbus, dev);
}

struct vpci_function *vsmbus_function(struct vdev *d)
{
	return &vsmbus_of(d)->function;
}

/* Beyond the registers all reads as zero. */
static uint64_t vsmbus_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t flags = host_lock(d), v = 0;

	(void)region;
	if (range_within(offset, size, 0, REGISTERS))
		memcpy(&v, vsmbus_of(d)->reg + offset, size);
	host_unlock(d, flags);
	return v;
}

static void write_byte(struct vsmbus *s, unsigned at, uint8_t v)
{
	if (at == STATUS)
		s->reg[at] &= ~v;
	else
		s->reg[at] = (s->reg[at] & ~writable[at]) | (v & writable[at]);
	if (at != CONTROL)
		return;
	if (v & CONTROL_KILL)
		s->reg[STATUS] |= STATUS_KILLED;
	else if (v & CONTROL_START &&
		 vpci_function_get(&s->function, HOST_CONFIG, 1) & HOST_ENABLE)
		s->reg[STATUS] |= STATUS_NO_DEVICE;
}

static void vsmbus_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vsmbus *s = vsmbus_of(d);
	uint64_t flags = host_lock(d);

	(void)region;
	for (unsigned i = 0; i < size && offset + i < REGISTERS; i++)
		write_byte(s, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
	vpci_function_pin_set(&s->function, s->reg[STATUS] && s->reg[CONTROL] & CONTROL_TELL);
	host_unlock(d, flags);
}

static void vsmbus_reset(struct vdev *d)
{
	struct vsmbus *s = vsmbus_of(d);
	uint64_t flags = host_lock(d);

	memcpy(s->reg, first, sizeof(s->reg));
	host_unlock(d, flags);
	vpci_function_reset(&s->function);
}

static void vsmbus_save(struct vdev *d, struct record_writer *w)
{
	record_put(w, vsmbus_of(d)->reg, REGISTERS);
	vpci_function_save(vsmbus_function(d), w);
}

static int vsmbus_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vsmbus *s = vsmbus_of(d);
	struct vpci_saved saved;
	uint8_t reg[REGISTERS];
	bool valid = true;
	uint64_t flags;

	record_get(r, reg, sizeof(reg));
	vpci_function_read(&s->function, r, &saved);
	for (unsigned i = 1; i < REGISTERS; i++)
		valid &= !((reg[i] ^ first[i]) & ~writable[i]);
	if (version != d->ops->version || record_finish(r) || !valid ||
	    reg[STATUS] & ~(STATUS_NO_DEVICE | STATUS_KILLED))
		return -EINVAL;
	flags = host_lock(d);
	memcpy(s->reg, reg, sizeof(reg));
	host_unlock(d, flags);
	vpci_function_commit(&s->function, &saved);
	flags = host_lock(d);
	vpci_function_pin_set(&s->function, reg[STATUS] && reg[CONTROL] & CONTROL_TELL);
	host_unlock(d, flags);
	return 0;
}

static void vsmbus_destroy(struct vdev *d)
{
	vpci_function_fini(vsmbus_function(d));
	host_free(vsmbus_of(d));
}

static const struct vdev_ops vsmbus_ops = {
	.name = "vsmbus", .version = 1, .read = vsmbus_read, .write = vsmbus_write,
	.reset = vsmbus_reset, .save = vsmbus_save, .load = vsmbus_load, .destroy = vsmbus_destroy,
};

int vsmbus_create(struct vdev **out)
{
	struct vsmbus *s = host_alloc(sizeof(*s));
	struct vpci_function *f;

	if (!s)
		return -ENOMEM;
	s->dev.ops = &vsmbus_ops;
	f = &s->function;
	vpci_function_init(f, &s->dev, 0x8086, 0x2930, 0x0c050002, 0x1af4, 0x1100);
	vpci_function_bar(f, 4, (struct vpci_bar){ .size = VSMBUS_SIZE, .space = HOST_PORT,
		.region = VSMBUS_PORTS });
	vpci_function_pin(f, 1, PIN_LINE);
	f->writable[HOST_CONFIG] = HOST_ENABLE | 0x06;
	*out = &s->dev;
	return 0;
}
