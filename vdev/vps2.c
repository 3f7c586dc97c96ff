/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vps2.h. The tables go by code of set 1. Under the device's lock.
 */
#include "vdev/vps2.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

#define ACK		0xfa
#define RESEND		0xfe
#define EXTENDED	0xe0
#define RELEASED	0xf0

enum {
	SET_LEDS = 0xed, ECHO, SET_SET = 0xf0, IDENTIFY = 0xf2, SET_RATE, ENABLE, DISABLE, DEFAULT,
	ALL_TYPEMATIC, ALL_BREAK, ALL_MAKE, ALL_BOTH, KEY_TYPEMATIC, KEY_BREAK, KEY_MAKE,
	SEND_AGAIN, RESET,
};

#define KEY_CTRL	0x1d
#define KEY_SHIFT_LEFT	0x2a
#define KEY_SHIFT_RIGHT	0x36
#define KEY_ALT		0x38
#define KEY_F7		0x41
#define KEY_SYSRQ	0x54
#define KEY_PRINT	0x37
#define KEY_BREAK_OF_CTRL 0x46
#define KEY_NUM		0x45
#define KEY_PAUSE	0xc6

#define HELD_CTRL	0x03
#define HELD_ALT	0x0c
#define HELD_SHIFT	0x30

/* Set 2; a permutation, by which the controller translates back. */
static const uint8_t set2[128] = {
	0, 118, 22, 30, 38, 37, 46, 54, 61, 62, 70, 69, 78, 85, 102, 13,
	21, 29, 36, 45, 44, 53, 60, 67, 68, 77, 84, 91, 90, 20, 28, 27,
	35, 43, 52, 51, 59, 66, 75, 76, 82, 14, 18, 93, 26, 34, 33, 42,
	50, 49, 58, 65, 73, 74, 89, 124, 17, 41, 88, 5, 6, 4, 12, 3,
	11, 2, 10, 1, 9, 119, 126, 108, 117, 125, 123, 107, 115, 116, 121, 105,
	114, 122, 112, 113, 127, 96, 97, 120, 7, 15, 23, 31, 39, 47, 55, 63,
	71, 79, 86, 94, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 87, 111,
	19, 25, 57, 81, 83, 92, 95, 98, 99, 100, 101, 103, 104, 106, 109, 110,
};

/* Set 3 where it is not set 2's code. */
static const struct { uint8_t key, code; } set3[] = {
	{ 0x01, 0x08 }, { 0x1d, 0x11 }, { 0x2b, 0x5c }, { 0x37, 0x7e }, { 0x38, 0x19 },
	{ 0x3a, 0x14 }, { 0x3b, 0x07 }, { 0x3c, 0x0f }, { 0x3d, 0x17 }, { 0x3e, 0x1f },
	{ 0x3f, 0x27 }, { 0x40, 0x2f }, { 0x41, 0x37 }, { 0x42, 0x3f }, { 0x43, 0x47 },
	{ 0x44, 0x4f }, { 0x45, 0x76 }, { 0x46, 0x5f }, { 0x4a, 0x84 }, { 0x4e, 0x7c },
	{ 0x54, 0x57 }, { 0x56, 0x13 }, { 0x57, 0x56 }, { 0x58, 0x5e },
	{ 0x9c, 0x79 }, { 0x9d, 0x58 }, { 0xb5, 0x77 }, { 0xb7, 0x57 }, { 0xb8, 0x39 },
	{ 0xc6, 0x62 }, { 0xc7, 0x6e }, { 0xc8, 0x63 }, { 0xc9, 0x6f }, { 0xcb, 0x61 },
	{ 0xcd, 0x6a }, { 0xcf, 0x65 }, { 0xd0, 0x60 }, { 0xd1, 0x6d }, { 0xd2, 0x67 },
	{ 0xd3, 0x64 }, { 0xdb, 0x8b }, { 0xdc, 0x8c }, { 0xdd, 0x8d },
};

/* Part of what a key sends: a code with its prefix, or none. */
struct part {
	uint8_t prefix, key;
	bool up;
};

static void reply(struct vps2 *p, uint8_t v)
{
	if (p->replies < VPS2_REPLY)
		p->reply[p->replies++] = v;
}

static uint8_t set3_of(uint8_t key)
{
	for (unsigned i = 0; i < ARRAY_COUNT(set3); i++)
		if (set3[i].key == key)
			return set3[i].code;
	return key & 0x80 ? 0 : set2[key];
}

static void breaks_set(struct vps2 *p, uint8_t code, bool on)
{
	p->breaks[code / 8] &= (uint8_t)~BIT(code % 8);
	p->breaks[code / 8] |= (uint8_t)(on ? BIT(code % 8) : 0);
}

/* As after power-up: modifiers alone tell in set 3 that they were released. */
static void defaults(struct vps2 *p)
{
	static const uint8_t modifiers[] = { 0x11, 0x12, 0x19, 0x39, 0x58, 0x59, 0x14 };

	p->count = p->leds = p->pending = 0;
	p->set = 2;
	memset(p->breaks, 0, sizeof(p->breaks));
	for (unsigned i = 0; i < sizeof(modifiers); i++)
		breaks_set(p, modifiers[i], true);
}

void vps2_reset(struct vps2 *p)
{
	*p = (struct vps2){ .scanning = true };
	defaults(p);
	reply(p, 0xaa);
}

/* The byte that a command waits for; false: it is none, but the next command. */
static bool take_data(struct vps2 *p, uint8_t v)
{
	uint8_t command = p->pending;

	if (!command || v >= SET_LEDS)
		return false;
	if (command >= KEY_TYPEMATIC && command <= KEY_MAKE) {
		breaks_set(p, v, command == KEY_BREAK);	/* and more keys may follow */
		reply(p, ACK);
		return true;
	}
	p->pending = 0;
	if (command == SET_SET && v > 3) {
		reply(p, RESEND);
		return true;
	}
	reply(p, ACK);
	if (command == SET_LEDS)
		p->leds = v & 7;
	else if (command == SET_SET && v)
		p->set = v;
	else if (command == SET_SET)
		reply(p, p->set);
	return true;
}

static void run_command(struct vps2 *p, uint8_t v)
{
	reply(p, v == ECHO ? ECHO : ACK);
	switch (v) {
	case SET_LEDS:
	case SET_SET:
	case SET_RATE:
	case KEY_TYPEMATIC ... KEY_MAKE:
		p->pending = v;
		break;
	case IDENTIFY:
		reply(p, 0xab);
		reply(p, 0x83);
		break;
	case ENABLE:
		p->count = 0;
		p->scanning = true;
		break;
	case DISABLE:
	case DEFAULT:
		defaults(p);
		p->scanning = v == DEFAULT;
		break;
	case ALL_TYPEMATIC ... ALL_BOTH:
		memset(p->breaks, v == ALL_BREAK || v == ALL_BOTH ? 0xff : 0, sizeof(p->breaks));
		break;
	case RESET:
		vps2_reset(p);
		p->reply[0] = ACK;
		p->replies = 1;
		reply(p, 0xaa);
		break;
	}
}

void vps2_write(struct vps2 *p, uint8_t v)
{
	p->replies = 0;
	if (take_data(p, v))
		return;
	p->pending = 0;
	if (v == SEND_AGAIN)
		reply(p, p->last);
	else if (v == SET_LEDS || v == ECHO || v == SET_SET || v >= IDENTIFY)
		run_command(p, v);
	else
		reply(p, RESEND);
}

static uint8_t shift_out(uint8_t *from, uint8_t *count)
{
	uint8_t v = from[0];

	memmove(from, from + 1, --*count);
	from[*count] = 0;
	return v;
}

bool vps2_take(struct vps2 *p, uint8_t *v)
{
	if (p->replies)
		*v = shift_out(p->reply, &p->replies);
	else if (p->count)
		*v = shift_out(p->queue, &p->count);
	else
		return false;
	p->last = *v;
	return true;
}

/* --- keys */

static unsigned encode(const struct vps2 *p, const struct part *part, uint8_t *out)
{
	uint8_t code = set2[part->key];
	unsigned n = 0;

	if (part->prefix)
		out[n++] = part->prefix;
	if (p->set == 1) {
		out[n++] = (uint8_t)(part->key | (part->up ? 0x80 : 0));
		return n;
	}
	if (part->up)
		out[n++] = RELEASED;
	out[n++] = part->key == KEY_F7 ? 0x83 : part->key == KEY_SYSRQ ? 0x84 : code;
	return n;
}

/* What a key is made of in sets 1 and 2; at most four parts. */
static unsigned parts_of(const struct vps2 *p, uint8_t key, bool up, struct part *out)
{
	bool print = key == KEY_SYSRQ || key == (KEY_PRINT | 0x80);

	if (key == KEY_PAUSE && !(p->held & HELD_CTRL)) {	/* it has no release */
		out[0] = (struct part){ 0xe1, KEY_CTRL, false };
		out[1] = (struct part){ 0, KEY_NUM, false };
		out[2] = (struct part){ 0xe1, KEY_CTRL, true };
		out[3] = (struct part){ 0, KEY_NUM, true };
		return up ? 0 : 4;
	}
	if (print && p->held & HELD_ALT) {
		out[0] = (struct part){ 0, KEY_SYSRQ, up };
		return 1;
	}
	if (print) {
		bool alone = !(p->held & (HELD_CTRL | HELD_SHIFT));

		out[up || !alone ? 0 : 1] = (struct part){ EXTENDED, KEY_PRINT, up };
		if (alone)
			out[up ? 1 : 0] = (struct part){ EXTENDED, KEY_SHIFT_LEFT, up };
		return alone ? 2 : 1;
	}
	out[0] = (struct part){ key & 0x80 ? EXTENDED : 0, key & 0x7f, up };
	return 1;
}

static unsigned bytes_of(const struct vps2 *p, uint8_t key, bool up, uint8_t *out)
{
	struct part part[4];
	unsigned n = 0, parts;
	uint8_t code;

	if (p->set == 3) {
		code = set3_of(key);
		if (!code || (up && !(p->breaks[code / 8] & BIT(code % 8))))
			return 0;
		if (up)
			out[n++] = RELEASED;
		out[n++] = code;
		return n;
	}
	parts = parts_of(p, key, up, part);
	for (unsigned i = 0; i < parts; i++)
		n += encode(p, &part[i], out + n);
	return n;
}

static void hold(struct vps2 *p, uint8_t key, bool pressed)
{
	static const uint8_t modifier[] = {
		KEY_CTRL, KEY_CTRL | 0x80, KEY_ALT, KEY_ALT | 0x80, KEY_SHIFT_LEFT, KEY_SHIFT_RIGHT,
	};

	for (unsigned i = 0; i < sizeof(modifier); i++)
		if (modifier[i] == key)
			p->held = (uint8_t)(pressed ? p->held | BIT(i) : p->held & ~BIT(i));
}

int vps2_key(struct vps2 *p, uint8_t key, bool pressed)
{
	uint8_t bytes[16];
	unsigned n;

	if (!(key & 0x7f))
		return -EINVAL;
	if (!p->scanning)
		return -EPERM;
	n = bytes_of(p, key, !pressed, bytes);
	if (n > VPS2_QUEUE - p->count)
		return -EAGAIN;
	hold(p, key, pressed);
	memcpy(p->queue + p->count, bytes, n);
	p->count = (uint8_t)(p->count + n);
	return 0;
}

bool vps2_translate(bool *released, uint8_t *v)
{
	uint8_t code = *v;

	if (code == RELEASED) {
		*released = true;
		return false;
	}
	if (code == 0x83 || code == 0x84)
		*v = code == 0x83 ? KEY_F7 : KEY_SYSRQ;
	for (unsigned i = 0; code < 0x80 && i < sizeof(set2); i++)
		if (set2[i] == code)
			*v = (uint8_t)i;
	if (!code)
		*v = 0xff;	/* overrun */
	if (*released)
		*v |= 0x80;
	*released = false;
	return true;
}

/* --- saved form */

void vps2_save(const struct vps2 *p, struct record_writer *w)
{
	record_put(w, p->reply, sizeof(p->reply));
	record_put(w, p->queue, sizeof(p->queue));
	record_put_u8(w, p->replies);
	record_put_u8(w, p->count);
	record_put_u8(w, p->last);
	record_put_u8(w, p->pending);
	record_put_u8(w, (uint8_t)(p->set - 1));
	record_put_u8(w, p->held);
	record_put_u8(w, p->leds);
	record_put_bool(w, p->scanning);
	record_put(w, p->breaks, sizeof(p->breaks));
}

void vps2_load(struct vps2 *p, struct record_reader *r)
{
	record_get(r, p->reply, sizeof(p->reply));
	record_get(r, p->queue, sizeof(p->queue));
	p->replies = (uint8_t)record_get_below(r, 1, VPS2_REPLY);
	p->count = (uint8_t)record_get_below(r, 1, VPS2_QUEUE);
	p->last = record_get_u8(r);
	p->pending = record_get_u8(r);
	p->set = (uint8_t)(record_get_below(r, 1, 2) + 1);
	p->held = (uint8_t)record_get_below(r, 1, HELD_CTRL | HELD_ALT | HELD_SHIFT);
	p->leds = (uint8_t)record_get_below(r, 1, 7);
	p->scanning = record_get_bool(r);
	record_get(r, p->breaks, sizeof(p->breaks));
}
