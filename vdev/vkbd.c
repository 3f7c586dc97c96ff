/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vkbd.h. "8042 Universal Peripheral Interface" as in the IBM PC/AT Technical Reference. Under
 * the device's lock.
 */
#include "vdev/vkbd.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vmouse.h"
#include "vdev/vps2.h"

#define STATUS_FULL	0x01	/* a byte waits in the output buffer */
#define STATUS_SYSTEM	0x04
#define STATUS_COMMAND	0x08	/* the last byte was a command */
#define STATUS_UNLOCKED	0x10
#define STATUS_AUX	0x20
#define STATUS_TIMEOUT	0x40

#define MODE_IRQ	0x01
#define MODE_AUX_IRQ	0x02
#define MODE_SYSTEM	0x04
#define MODE_KBD_OFF	0x10
#define MODE_AUX_OFF	0x20
#define MODE_TRANSLATE	0x40

#define OUTPUT_RESET	0x01	/* high: not reset */
#define OUTPUT_A20	0x02
#define OUTPUT_KBD_FULL	0x10	/* as IRQ 1 */
#define OUTPUT_AUX_FULL	0x20	/* as IRQ 12 */
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
	/* What the controller itself has to say while a byte waits that was there before. */
	uint8_t own, own_how;
	bool line[2];		/* as they are */
	bool own_waits, released;	/* released: F0h came, which translation swallows */
	bool mouse_next;		/* the keyboard had its turn */
	bool has_mouse;			/* for good */
	struct vps2 keyboard;
	struct vmouse mouse;
};

static struct vkbd *vkbd_of(struct vdev *d)
{
	return container_of(d, struct vkbd, dev);
}

static void present(struct vkbd *k, uint8_t v, uint8_t how)
{
	k->status &= ~(STATUS_AUX | STATUS_TIMEOUT);
	k->status |= STATUS_FULL | how;
	k->data = v;
}

/* A byte of the controller's for the guest; `how` is 0, STATUS_AUX, STATUS_TIMEOUT or both. */
static void answer(struct vkbd *k, uint8_t v, uint8_t how)
{
	k->own = v;
	k->own_how = how;
	k->own_waits = true;
}

static bool take_key(struct vkbd *k)
{
	uint8_t v;

	while (!(k->ram[0] & MODE_KBD_OFF) && vps2_take(&k->keyboard, &v)) {
		if (k->ram[0] & MODE_TRANSLATE && !vps2_translate(&k->released, &v))
			continue;
		present(k, v, 0);
		k->mouse_next = true;
		return true;
	}
	return false;
}

static bool take_mouse(struct vkbd *k)
{
	uint8_t v;

	if (!k->has_mouse || k->ram[0] & MODE_AUX_OFF || !vmouse_take(&k->mouse, &v))
		return false;
	present(k, v, STATUS_AUX);
	k->mouse_next = false;
	return true;
}

/*
 * The output buffer is filled when it is empty: the controller's own byte goes first, then keyboard
 * and mouse take turns.
 */
static void fill(struct vkbd *k)
{
	if (k->status & STATUS_FULL)
		return;
	if (k->own_waits) {
		k->own_waits = false;
		present(k, k->own, k->own_how);
		return;
	}
	if (k->mouse_next && take_mouse(k))
		return;
	if (!take_key(k))
		(void)take_mouse(k);
}

static void line_set(struct vkbd *k, unsigned line, bool level)
{
	if (k->line[line] != level)
		host_line_set(&k->dev, line, level);
	k->line[line] = level;
}

static void update(struct vkbd *k)
{
	bool full, aux;

	fill(k);
	full = k->status & STATUS_FULL;
	aux = k->status & STATUS_AUX;
	line_set(k, VKBD_IRQ, full && !aux && k->ram[0] & MODE_IRQ);
	line_set(k, VKBD_AUX_IRQ, full && aux && k->ram[0] & MODE_AUX_IRQ);
}

/* Who speaks to a device wants its answer: its interface is on then. */
static void write_mouse(struct vkbd *k, uint8_t v)
{
	if (!k->has_mouse) {
		answer(k, RESEND, STATUS_AUX | STATUS_TIMEOUT);
		return;
	}
	k->ram[0] &= ~MODE_AUX_OFF;
	vmouse_write(&k->mouse, v);
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
		write_mouse(k, v);
		break;
	default:
		k->ram[0] &= ~MODE_KBD_OFF;
		vps2_write(&k->keyboard, v);
	}
	return false;
}

/* What of it a guest may ask for; the buffer's flags are its interrupts' as well. */
static uint8_t output_port(const struct vkbd *k)
{
	static const uint8_t full[] = { OUTPUT_KBD_FULL, OUTPUT_AUX_FULL };
	uint8_t v = OUTPUT_RESET | OUTPUT_A20;

	return k->status & STATUS_FULL ? v | full[!!(k->status & STATUS_AUX)] : v;
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
		k->ram[0] |= MODE_AUX_OFF;
		break;
	case AUX_ON:
		k->ram[0] &= ~MODE_AUX_OFF;
		break;
	case KBD_OFF:
		k->ram[0] |= MODE_KBD_OFF;
		break;
	case KBD_ON:
		k->ram[0] &= ~MODE_KBD_OFF;
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
		answer(k, output_port(k), 0);
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
		line_set(k, VKBD_IRQ, false);	/* an edge for each byte */
		line_set(k, VKBD_AUX_IRQ, false);
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
	k->ram[0] = MODE_SYSTEM | MODE_KBD_OFF | MODE_AUX_OFF;
	k->status = STATUS_SYSTEM | STATUS_UNLOCKED;
	k->data = k->pending = 0;
	k->port92 = PORT92_A20;
	k->own_waits = k->released = k->mouse_next = false;
	k->own = k->own_how = 0;
	vps2_reset(&k->keyboard);
	vmouse_reset(&k->mouse);
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
	record_put_u8(w, k->own);
	record_put_u8(w, k->own_how);
	record_put_bool(w, k->own_waits);
	record_put_bool(w, k->released);
	record_put_bool(w, k->mouse_next);
	vps2_save(&k->keyboard, w);
	if (k->has_mouse)
		vmouse_save(&k->mouse, w);
	host_unlock(d, flags);
}

static int vkbd_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vkbd *k = vkbd_of(d), in = *k;
	uint64_t flags;

	record_get(r, in.ram, sizeof(in.ram));
	in.status = (uint8_t)record_get_below(r, 1, 0x7f);
	in.data = record_get_u8(r);
	in.pending = record_get_u8(r);
	in.port92 = (uint8_t)record_get_below(r, 1, PORT92_RESET | PORT92_A20);
	in.own = record_get_u8(r);
	in.own_how = record_get_u8(r);
	in.own_waits = record_get_bool(r);
	in.released = record_get_bool(r);
	in.mouse_next = record_get_bool(r);
	vps2_load(&in.keyboard, r);
	if (in.has_mouse)
		vmouse_load(&in.mouse, r);
	if (version != d->ops->version || record_finish(r) ||
	    in.own_how & ~(STATUS_AUX | STATUS_TIMEOUT))
		return -EINVAL;
	flags = host_lock(d);
	in.dev = k->dev;
	*k = in;
	for (unsigned i = 0; i < 2; i++) {
		host_line_set(d, i, false);
		k->line[i] = false;
	}
	update(k);
	host_unlock(d, flags);
	return 0;
}

int vkbd_key(struct vdev *d, uint8_t key, bool pressed)
{
	struct vkbd *k = vkbd_of(d);
	uint64_t flags = host_lock(d);
	int err = vps2_key(&k->keyboard, key, pressed);

	update(k);
	host_unlock(d, flags);
	return err;
}

int vkbd_mouse(struct vdev *d, int dx, int dy, int wheel, unsigned buttons)
{
	struct vkbd *k = vkbd_of(d);
	uint64_t flags;
	int err;

	if (!k->has_mouse)
		return -ENOSYS;
	flags = host_lock(d);
	err = vmouse_move(&k->mouse, dx, dy, wheel, buttons);
	update(k);
	host_unlock(d, flags);
	return err;
}

static void vkbd_destroy(struct vdev *d)
{
	host_free(vkbd_of(d));
}

static const struct vdev_ops vkbd_ops = {
	.name = "vkbd", .version = 4, .read = vkbd_read, .write = vkbd_write, .reset = vkbd_reset,
	.save = vkbd_save, .load = vkbd_load, .destroy = vkbd_destroy,
};

int vkbd_create(bool mouse, struct vdev **out)
{
	struct vkbd *k = host_alloc(sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->dev.ops = &vkbd_ops;
	k->has_mouse = mouse;
	*out = &k->dev;
	return 0;
}
