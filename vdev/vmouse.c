/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vmouse.h. As a real one does, it forgets its movement at any command but Resend and Read
 * Data, and with it the rest of a packet under way. Under the device's lock.
 */
#include "vdev/vmouse.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

#define ACK		0xfa
#define RESEND		0xfe

enum {
	SCALE_1 = 0xe6, SCALE_2, SET_RESOLUTION, STATUS, STREAM, READ_DATA, UNWRAP, WRAP = 0xee,
	REMOTE = 0xf0, IDENTIFY = 0xf2, SET_RATE, ENABLE, DISABLE, DEFAULT, SEND_AGAIN = 0xfe,
	RESET,
};

enum { ID_PLAIN = 0, ID_WHEEL = 3, ID_EXPLORER = 4 };

#define ALWAYS_1	0x08	/* in a packet's first byte */
#define SIGN_X		0x10
#define SIGN_Y		0x20
#define PLAIN_BUTTONS	0x07
#define SIDE_BUTTONS	0x18
#define COUNTS_MAX	255	/* of a packet, each way */
#define NOTCHES_MAX	7

static void reply(struct vmouse *m, uint8_t v)
{
	m->reply[m->replies++] = v;
}

static unsigned packet_size(const struct vmouse *m)
{
	return m->id == ID_PLAIN ? 3 : 4;
}

static uint8_t seen(const struct vmouse *m, uint8_t buttons)
{
	return m->id == ID_EXPLORER ? buttons : buttons & PLAIN_BUTTONS;
}

static bool listened_to(const struct vmouse *m)
{
	return !m->wrapping && (m->remote || m->reporting);
}

static void defaults(struct vmouse *m)
{
	m->rate = 100;
	m->resolution = 2;
	m->scaling = m->remote = m->reporting = false;
}

static void power_up(struct vmouse *m)
{
	*m = (struct vmouse){ .held = m->held, .reply = { ACK, 0xaa, ID_PLAIN }, .replies = 3 };
	defaults(m);
}

void vmouse_reset(struct vmouse *m)
{
	m->held = 0;
	power_up(m);
	m->replied = m->replies;
}

/* --- packets */

/* So much of a sum as a packet holds; the rest stays. */
static int take_part(int16_t *sum, int max)
{
	int part = MAX(MIN(*sum, max), -max);

	*sum = (int16_t)(*sum - part);
	return part;
}

static int scaled(int n)
{
	static const uint8_t low[] = { 0, 1, 1, 3, 6, 9 };
	int size = n < 0 ? -n : n;

	size = size < (int)sizeof(low) ? low[size] : 2 * size;
	return n < 0 ? -size : size;
}

/* Of the first step, or of none; `scale`: Read Data never does. */
static void make_packet(struct vmouse *m, uint8_t *out, bool scale)
{
	struct vmouse_step none = { .buttons = m->held }, *s = m->count ? m->step : &none;
	int max = scale ? COUNTS_MAX / 2 : COUNTS_MAX;
	int dx = take_part(&s->sum[0], max), dy = -take_part(&s->sum[1], max);
	int wheel = take_part(&s->sum[2], NOTCHES_MAX);

	if (scale) {
		dx = scaled(dx);
		dy = scaled(dy);
	}
	out[0] = (uint8_t)((s->buttons & PLAIN_BUTTONS) | ALWAYS_1 | (dx < 0 ? SIGN_X : 0) |
			   (dy < 0 ? SIGN_Y : 0));
	out[1] = (uint8_t)dx;
	out[2] = (uint8_t)dy;
	if (m->id == ID_WHEEL)
		out[3] = (uint8_t)wheel;
	else if (m->id == ID_EXPLORER)
		out[3] = (uint8_t)((wheel & 0x0f) | (s->buttons & SIDE_BUTTONS) << 1);
}

static uint8_t buttons_in(const struct vmouse *m, const uint8_t *packet)
{
	uint8_t side = m->id == ID_EXPLORER ? packet[3] >> 1 & SIDE_BUTTONS : 0;

	return (packet[0] & PLAIN_BUTTONS) | side;
}

static void push(struct vmouse *m, uint8_t buttons)
{
	m->step[m->count++] = (struct vmouse_step){ .buttons = buttons };
}

/* Steps that are told go; true: there is one to tell. */
static bool has_step(struct vmouse *m)
{
	const struct vmouse_step *s = m->step;

	while (m->count && !s->sum[0] && !s->sum[1] && !s->sum[2] &&
	       seen(m, s->buttons) == m->told) {
		memmove(m->step, m->step + 1, --m->count * sizeof(m->step[0]));
		m->step[m->count] = (struct vmouse_step){ 0 };
	}
	if (!m->count && seen(m, m->held) != m->told)
		push(m, m->held);
	return m->count;
}

bool vmouse_take(struct vmouse *m, uint8_t *v)
{
	if (m->replied < m->replies) {
		*v = m->reply[m->replied++];
		m->packet_last = false;
		return true;
	}
	if (!m->left && listened_to(m) && !m->remote && has_step(m)) {
		make_packet(m, m->packet, m->scaling);
		m->left = (uint8_t)packet_size(m);
	}
	if (!m->left)
		return false;
	*v = m->packet[packet_size(m) - m->left--];
	m->packet_last = true;
	if (!m->left)
		m->told = buttons_in(m, m->packet);
	return true;
}

static void add(int16_t *sum, int n)
{
	n = *sum + MAX(MIN(n, VMOUSE_SUM), -VMOUSE_SUM);
	*sum = (int16_t)MAX(MIN(n, VMOUSE_SUM), -VMOUSE_SUM);
}

int vmouse_move(struct vmouse *m, int dx, int dy, int wheel, unsigned buttons)
{
	int16_t *sum;

	if (buttons & ~VMOUSE_BUTTONS)
		return -EINVAL;
	if (!listened_to(m)) {
		m->held = (uint8_t)buttons;
		return -EPERM;
	}
	if (!m->count || m->held != buttons) {
		if (m->count)
			(void)has_step(m);
		if (m->count == VMOUSE_STEPS)
			return -EAGAIN;
		push(m, (uint8_t)buttons);
	}
	m->held = (uint8_t)buttons;
	sum = m->step[m->count - 1].sum;
	add(&sum[0], dx);
	add(&sum[1], dy);
	add(&sum[2], m->id == ID_PLAIN ? 0 : wheel);
	return 0;
}

/* --- commands */

/* Three rates in a row are the knock of a driver that knows wheels. */
static void set_rate(struct vmouse *m, uint8_t rate)
{
	if (m->knock[0] == 200 && rate == 80 && (m->knock[1] == 100 || m->knock[1] == 200))
		m->id = m->knock[1] == 100 ? ID_WHEEL : ID_EXPLORER;
	m->knock[0] = m->knock[1];
	m->knock[1] = m->rate = rate;
}

static bool is_rate(uint8_t v)
{
	static const uint8_t rates[] = { 10, 20, 40, 60, 80, 100, 200 };

	return memchr(rates, v, sizeof(rates));
}

/* The byte that a command waits for; false: it is none, but the next command. */
static bool take_data(struct vmouse *m, uint8_t v)
{
	uint8_t command = m->pending;

	m->pending = 0;
	if (!command || v >= SCALE_1)
		return false;
	if (command == SET_RATE ? !is_rate(v) : v > 3) {
		reply(m, RESEND);
		return true;
	}
	reply(m, ACK);
	if (command == SET_RATE)
		set_rate(m, v);
	else
		m->resolution = v;
	return true;
}

static void reply_status(struct vmouse *m)
{
	uint8_t b = m->held;

	reply(m, (uint8_t)((b & 1) << 2 | (b & 2) >> 1 | (b & 4) >> 1 | m->scaling << 4 |
			   m->reporting << 5 | m->remote << 6));
	reply(m, m->resolution);
	reply(m, m->rate);
}

static void reply_data(struct vmouse *m)
{
	uint8_t *packet = m->reply + m->replies;

	(void)has_step(m);
	make_packet(m, packet, false);
	m->told = buttons_in(m, packet);
	m->replies += (uint8_t)packet_size(m);
}

static void run_command(struct vmouse *m, uint8_t v)
{
	reply(m, ACK);
	switch (v) {
	case SCALE_1:
	case SCALE_2:
		m->scaling = v == SCALE_2;
		break;
	case SET_RESOLUTION:
	case SET_RATE:
		m->pending = v;
		break;
	case STATUS:
		reply_status(m);
		break;
	case STREAM:
	case REMOTE:
		m->remote = v == REMOTE;
		break;
	case READ_DATA:
		reply_data(m);
		break;
	case WRAP:
	case UNWRAP:
		m->wrapping = v == WRAP;
		break;
	case IDENTIFY:
		reply(m, m->id);
		break;
	case ENABLE:
	case DISABLE:
		m->reporting = v == ENABLE;
		break;
	case DEFAULT:
		defaults(m);
		break;
	case RESET:
		power_up(m);
		break;
	default:
		m->reply[0] = RESEND;
	}
}

static void send_again(struct vmouse *m)
{
	if (m->packet_last)
		m->left = (uint8_t)packet_size(m);
	else
		m->replied = 0;
}

void vmouse_write(struct vmouse *m, uint8_t v)
{
	if (v == SEND_AGAIN && !m->wrapping) {
		send_again(m);
		return;
	}
	m->replies = m->replied = m->left = 0;
	if (v != READ_DATA)
		m->count = 0;
	if (m->wrapping && v != UNWRAP && v != RESET)
		reply(m, v);
	else if (!take_data(m, v))
		run_command(m, v);
}

/* --- saved form */

#define BYTE_OF(name, max) { offsetof(struct vmouse, name), max }

/* Of a byte each, and the most that it can be. */
static const struct {
	uint8_t at, max;
} fields[] = {
	BYTE_OF(replies, VMOUSE_REPLY), BYTE_OF(replied, VMOUSE_REPLY), BYTE_OF(id, ID_EXPLORER),
	BYTE_OF(left, 4), BYTE_OF(pending, 0xff), BYTE_OF(rate, 0xff), BYTE_OF(resolution, 3),
	BYTE_OF(knock[0], 0xff), BYTE_OF(knock[1], 0xff), BYTE_OF(held, VMOUSE_BUTTONS),
	BYTE_OF(told, VMOUSE_BUTTONS), BYTE_OF(reporting, 1), BYTE_OF(remote, 1),
	BYTE_OF(wrapping, 1), BYTE_OF(scaling, 1), BYTE_OF(packet_last, 1),
	BYTE_OF(count, VMOUSE_STEPS),
};

void vmouse_save(const struct vmouse *m, struct record_writer *w)
{
	record_put(w, m->reply, sizeof(m->reply));
	record_put(w, m->packet, sizeof(m->packet));
	for (unsigned i = 0; i < ARRAY_COUNT(fields); i++)
		record_put_u8(w, ((const uint8_t *)m)[fields[i].at]);
	for (unsigned i = 0; i < m->count; i++) {
		record_put(w, m->step[i].sum, sizeof(m->step[i].sum));
		record_put_u8(w, m->step[i].buttons);
	}
}

void vmouse_load(struct vmouse *m, struct record_reader *r)
{
	record_get(r, m->reply, sizeof(m->reply));
	record_get(r, m->packet, sizeof(m->packet));
	for (unsigned i = 0; i < ARRAY_COUNT(fields); i++)
		((uint8_t *)m)[fields[i].at] = (uint8_t)record_get_below(r, 1, fields[i].max);
	if (m->replied > m->replies || m->left > packet_size(m) || (m->id && m->id < ID_WHEEL))
		r->error = -EINVAL;
	for (unsigned i = 0; i < m->count; i++) {
		record_get(r, m->step[i].sum, sizeof(m->step[i].sum));
		m->step[i].buttons = (uint8_t)record_get_below(r, 1, VMOUSE_BUTTONS);
	}
}
