/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `send-mouse`: a guest's mouse is moved and its wheel turned, then buttons are pressed together
 * and released: for systems that can be worked with by a pointer alone. What the guest has no room
 * for is waited for, as with keys.
 */
#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"

struct motion {
	int dx, dy, wheel;
	unsigned buttons;
};

static const struct {
	const char *name;
	uint8_t button;
	int8_t wheel;
} words[] = {
	{ "LEFT", BIT(0), 0 }, { "RIGHT", BIT(1), 0 }, { "MIDDLE", BIT(2), 0 },
	{ "SIDE", BIT(3), 0 }, { "EXTRA", BIT(4), 0 }, { "UP", 0, -1 }, { "DOWN", 0, 1 },
};

/* Digits with a sign or without; false: it is none, or too far. */
static bool read_distance(const char *s, size_t n, int *out)
{
	bool minus = *s == '-';
	unsigned v = 0;

	for (size_t i = minus || *s == '+'; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || v > DOMAIN_MOTION_MAX)
			return false;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	*out = minus ? -(int)v : (int)v;
	return v <= DOMAIN_MOTION_MAX && s[n - 1] >= '0' && s[n - 1] <= '9';
}

static bool read_word(const char *s, size_t n, struct motion *m)
{
	for (unsigned i = 0; i < ARRAY_COUNT(words); i++) {
		if (strncmp(words[i].name, s, n) || words[i].name[n])
			continue;
		m->buttons |= words[i].button;
		m->wheel += words[i].wheel;
		return true;
	}
	return false;
}

static int read_motion(const char *text, struct motion *m, struct mgmt_error *err)
{
	int *const distance[] = { &m->dx, &m->dy };
	unsigned count = 0;

	for (size_t n; *text; text += n) {
		for (n = 0; text[n] && text[n] != ' '; n++)
			;
		if (!n) {
			n = 1;
			continue;
		}
		if (count < 2 && !read_distance(text, n, distance[count]))
			return error_set(err, -EINVAL, "'%.*s' is no distance: a number, %d at most",
					 (int)MIN(n, (size_t)32), text, DOMAIN_MOTION_MAX);
		if (count++ >= 2 && !read_word(text, n, m))
			return error_set(err, -EINVAL, "there is no button '%.*s': they are LEFT, "
					 "RIGHT, MIDDLE, SIDE and EXTRA, and UP and DOWN of the wheel",
					 (int)MIN(n, (size_t)32), text);
	}
	return count < 2 ? error_set(err, -EINVAL, "how far it is moved is two numbers") : 0;
}

static int move(struct vm *vm, const void *arg)
{
	const struct motion *m = arg;

	return vm_mouse(vm, m->dx, m->dy, m->wheel, m->buttons);
}

int domain_send_mouse(struct domain *d, const char *text, struct mgmt_error *err)
{
	static const struct motion released;
	struct motion all = { 0 }, moved, pressed;
	int e = read_motion(text, &all, err), id;

	if (e)
		return e;
	moved = (struct motion){ .dx = all.dx, .dy = all.dy, .wheel = all.wheel };
	pressed = (struct motion){ .buttons = all.buttons };
	mutex_lock(&d->lock);
	id = d->id;
	mutex_unlock(&d->lock);
	e = domain_input(d, id, "mouse", move, &moved, err);
	if (!e && all.buttons)
		e = domain_input(d, id, "mouse", move, &pressed, err);
	if (!e && all.buttons)
		e = domain_input(d, id, "mouse", move, &released, err);
	if (e == -ENOSYS)
		error_set(err, e, "domain '%s' has no mouse: it has one with 'firmware' alone", d->name);
	return e;
}
