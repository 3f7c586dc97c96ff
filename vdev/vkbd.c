/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vkbd.h. "8042 Universal Peripheral Interface" as in the IBM PC/AT Technical Reference. Under
 * the device's lock.
 */
#include "vdev/vkbd.h"

#include "include/bits.h"
#include "lib/string.h"

#define STATUS_FULL	0x01	/* a byte waits in the output buffer */
#define STATUS_SYSTEM	0x04
#define STATUS_COMMAND	0x08	/* the last byte was a command */
#define STATUS_UNLOCKED	0x10
#define STATUS_AUX	0x20
#define STATUS_TIMEOUT	0x40

#define MODE_IRQ	0x01
#define MODE_AUX_IRQ	0x02
#define MODE_SYSTEM	0x04

#define OUTPUT_RESET	0x01	/* high: not reset */
#define OUTPUT_A20	0x02
#define PORT92_RESET	0x01
#define PORT92_A20	0x02

#define RESEND		0xfe	/* what a device that is not there "says" */

enum {
	READ_RAM = 0x20, WRITE_RAM = 0x60, AUX_OFF = 0xa7, AUX_ON, AUX_TEST, SELF_TEST, KBD_TEST,
	KBD_OFF = 0xad, KBD_ON,
	READ_INPUT = 0xc0, READ_OUTPUT = 0xd0, WRITE_OUTPUT, ECHO_KBD, ECHO_AUX, TO_AUX,
	PULSE = 0xf0,
};

struct vkbd {
	struct vdev dev;
	uint8_t ram[32];	/* byte 0 is the command byte ("mode") */
	uint8_t status, data;
	uint8_t pending;	/* a command that waits for its data byte, or 0 */
	uint8_t port92;
};

static struct vkbd *vkbd_of(struct vdev *d)
{
	return container_of(d, struct vkbd, dev);
}

static void update(struct vkbd *k)
{
	bool full = k->status & STATUS_FULL, aux = k->status & STATUS_AUX;

	host_line_set(&k->dev, VKBD_IRQ, full && !aux && k->ram[0] & MODE_IRQ);
	host_line_set(&k->dev, VKBD_AUX_IRQ, full && aux && k->ram[0] & MODE_AUX_IRQ);
}

/* A byte for the guest; `how` is 0, STATUS_AUX, STATUS_TIMEOUT or both. */
static void answer(struct vkbd *k, uint8_t v, uint8_t how)
{
	k->status &= ~(STATUS_AUX | STATUS_TIMEOUT);
	k->status |= STATUS_FULL | how;
	k->data = v;
}

/* The bits of the output port that matter: does it pull the reset line? */
static bool write_data(struct vkbd *k, uint8_t v)
{
	uint8_t pending = k->pending;

	k->pending = 0;
	k->status &= ~STATUS_COMMAND;
	if (pending >= WRITE_RAM && pending < WRITE_RAM + sizeof(k->ram)) {
		k->ram[pending - WRITE_RAM] = v;
		if (pending == WRITE_RAM)
			k->status = (k->status & ~STATUS_SYSTEM) | (v & MODE_SYSTEM);
		return false;
	}
	switch (pending) {
	case WRITE_OUTPUT:
		return !(v & OUTPUT_RESET);
	case ECHO_KBD:
		answer(k, v, 0);
		break;
	case ECHO_AUX:
		answer(k, v, STATUS_AUX);
		break;
	case TO_AUX:
		answer(k, RESEND, STATUS_AUX | STATUS_TIMEOUT);
		break;
	default:
		answer(k, RESEND, STATUS_TIMEOUT);
	}
	return false;
}

static bool write_command(struct vkbd *k, uint8_t v)
{
	k->status |= STATUS_COMMAND;
	k->pending = 0;
	if (v >= READ_RAM && v < READ_RAM + sizeof(k->ram))
		answer(k, k->ram[v - READ_RAM], 0);
	else if ((v >= WRITE_RAM && v < WRITE_RAM + sizeof(k->ram)) ||
		 (v >= WRITE_OUTPUT && v <= TO_AUX))
		k->pending = v;
	switch (v) {
	case AUX_OFF:
		k->ram[0] |= 0x20;
		break;
	case AUX_ON:
		k->ram[0] &= ~0x20;
		break;
	case KBD_OFF:
		k->ram[0] |= 0x10;
		break;
	case KBD_ON:
		k->ram[0] &= ~0x10;
		break;
	case SELF_TEST:
		k->status |= STATUS_SYSTEM;
		answer(k, 0x55, 0);
		break;
	case AUX_TEST:
	case KBD_TEST:
		answer(k, 0, 0);
		break;
	case READ_INPUT:
		answer(k, 0x80, 0);	/* not locked */
		break;
	case READ_OUTPUT:
		answer(k, OUTPUT_RESET | OUTPUT_A20 | (k->status & STATUS_FULL ? 0x10 : 0), 0);
		break;
	}
	return v >= PULSE && !(v & OUTPUT_RESET);
}

/* A rising reset bit resets; A20's is kept, but the line is on always. */
static bool write_port92(struct vkbd *k, uint8_t v)
{
	bool reset = v & ~k->port92 & PORT92_RESET;

	k->port92 = v & (PORT92_RESET | PORT92_A20);
	return reset;
}

static void vkbd_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	static bool (*const writers[])(struct vkbd *k, uint8_t v) = {
		[VKBD_DATA] = write_data, [VKBD_COMMAND] = write_command,
		[VKBD_PORT92] = write_port92,
	};
	struct vkbd *k = vkbd_of(d);
	uint64_t flags = host_lock(d);
	bool reset;

	(void)offset, (void)size;
	reset = writers[region](k, (uint8_t)value);
	update(k);
	host_unlock(d, flags);
	if (reset)
		host_machine_request(d, HOST_REQUEST_RESET, 0);
}

static uint64_t vkbd_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vkbd *k = vkbd_of(d);
	uint64_t flags = host_lock(d), v;

	(void)offset, (void)size;
	if (region == VKBD_PORT92) {
		v = k->port92;
	} else if (region == VKBD_COMMAND) {
		v = k->status;
	} else {
		v = k->data;
		k->status &= ~(STATUS_FULL | STATUS_AUX | STATUS_TIMEOUT);
		update(k);
	}
	host_unlock(d, flags);
	return v;
}

static void vkbd_reset(struct vdev *d)
{
	struct vkbd *k = vkbd_of(d);
	uint64_t flags = host_lock(d);

	memset(k->ram, 0, sizeof(k->ram));
	k->ram[0] = MODE_SYSTEM | 0x30;		/* both interfaces off */
	k->status = STATUS_SYSTEM | STATUS_UNLOCKED;
	k->data = k->pending = 0;
	k->port92 = PORT92_A20;
	update(k);
	host_unlock(d, flags);
}

static void vkbd_save(struct vdev *d, struct record_writer *w)
{
	struct vkbd *k = vkbd_of(d);
	uint64_t flags = host_lock(d);

	record_put(w, k->ram, sizeof(k->ram));
	record_put_u8(w, k->status);
	record_put_u8(w, k->data);
	record_put_u8(w, k->pending);
	record_put_u8(w, k->port92);
	host_unlock(d, flags);
}

static int vkbd_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vkbd *k = vkbd_of(d);
	uint8_t ram[sizeof(k->ram)], status, data, pending, port92;
	uint64_t flags;

	record_get(r, ram, sizeof(ram));
	status = (uint8_t)record_get_below(r, 1, 0x7f);
	data = record_get_u8(r);
	pending = record_get_u8(r);
	port92 = (uint8_t)record_get_below(r, 1, PORT92_RESET | PORT92_A20);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	flags = host_lock(d);
	memcpy(k->ram, ram, sizeof(ram));
	k->status = status;
	k->data = data;
	k->pending = pending;
	k->port92 = port92;
	update(k);
	host_unlock(d, flags);
	return 0;
}

static void vkbd_destroy(struct vdev *d)
{
	host_free(vkbd_of(d));
}

static const struct vdev_ops vkbd_ops = {
	.name = "vkbd", .version = 2, .read = vkbd_read, .write = vkbd_write, .reset = vkbd_reset,
	.save = vkbd_save, .load = vkbd_load, .destroy = vkbd_destroy,
};

int vkbd_create(struct vdev **out)
{
	struct vkbd *k = host_alloc(sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->dev.ops = &vkbd_ops;
	*out = &k->dev;
	return 0;
}
