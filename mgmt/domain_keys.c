/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `send-key`: keys of a guest's keyboard, pressed together and released after a while, by libvirt's
 * names or by number, of codeset "linux" (Linux's input event codes). Up to 88 those are the codes
 * of set 1; those behind stand in a table. What the guest has no room for is waited for, a second
 * at most for each; what was pressed is released also where a later one could not be.
 */
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"

#define TRIES		40		/* until the guest's keyboard has room */
#define TRY_NS		25000000ul

/* By number, from 1 on; as libvirt has them without "KEY_". */
static const char low_names[] =
	"ESC 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL BACKSPACE TAB Q W E R T Y U I O P LEFTBRACE RIGHTBRACE "
	"ENTER LEFTCTRL A S D F G H J K L SEMICOLON APOSTROPHE GRAVE LEFTSHIFT BACKSLASH Z X C V B N "
	"M COMMA DOT SLASH RIGHTSHIFT KPASTERISK LEFTALT SPACE CAPSLOCK F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 "
	"NUMLOCK SCROLLLOCK KP7 KP8 KP9 KPMINUS KP4 KP5 KP6 KPPLUS KP1 KP2 KP3 KP0 KPDOT 84 85 102ND "
	"F11 F12 ";
#define LOW_LAST	88

static const struct {
	const char *name;
	uint8_t number, code;
} high[] = {
	{ "KPENTER", 96, 0x9c }, { "RIGHTCTRL", 97, 0x9d }, { "KPSLASH", 98, 0xb5 },
	{ "SYSRQ", 99, 0xb7 }, { "RIGHTALT", 100, 0xb8 }, { "HOME", 102, 0xc7 },
	{ "UP", 103, 0xc8 }, { "PAGEUP", 104, 0xc9 }, { "LEFT", 105, 0xcb },
	{ "RIGHT", 106, 0xcd }, { "END", 107, 0xcf }, { "DOWN", 108, 0xd0 },
	{ "PAGEDOWN", 109, 0xd1 }, { "INSERT", 110, 0xd2 }, { "DELETE", 111, 0xd3 },
	{ "PAUSE", 119, 0xc6 }, { "LEFTMETA", 125, 0xdb }, { "RIGHTMETA", 126, 0xdc },
	{ "COMPOSE", 127, 0xdd },
};

struct domain_keys {
	uint8_t code[DOMAIN_KEYS_MAX];
	unsigned count;
};

static bool is_word(const char *s, size_t n, const char *word)
{
	return !strncmp(s, word, n) && !word[n];
}

/* Of set 1; 0: there is no such key. */
static uint8_t code_of_number(const char *s, size_t n)
{
	unsigned v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || n > 3)
			return 0;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	for (unsigned i = 0; i < ARRAY_COUNT(high); i++)
		if (high[i].number == v)
			return high[i].code;
	return (uint8_t)(v == 84 || v == 85 || v > LOW_LAST ? 0 : v);
}

static uint8_t code_of_name(const char *s, size_t n)
{
	uint8_t code = 1;

	for (unsigned i = 0; i < ARRAY_COUNT(high); i++)
		if (is_word(s, n, high[i].name))
			return high[i].code;
	for (const char *p = low_names; *p; p = strchr(p, ' ') + 1, code++)
		if (!strncmp(p, s, n) && p[n] == ' ')
			return (uint8_t)(code == 84 || code == 85 ? 0 : code);
	return 0;
}

static int read_keys(const char *text, struct domain_keys *out, struct mgmt_error *err)
{
	out->count = 0;
	for (size_t n; *text; text += n) {
		n = 0;
		if (*text == ' ') {
			n = 1;
			continue;
		}
		while (text[n] && text[n] != ' ')
			n++;
		if (out->count == DOMAIN_KEYS_MAX)
			return error_set(err, -E2BIG, "at most %u keys are pressed together",
					 DOMAIN_KEYS_MAX);
		out->code[out->count] = strncmp(text, "KEY_", 4) ? code_of_number(text, n)
								 : code_of_name(text + 4, n - 4);
		if (!out->code[out->count++])
			return error_set(err, -EINVAL, "there is no key '%.*s': they are KEY_A, "
					 "KEY_LEFTCTRL and so on, or Linux's numbers",
					 (int)MIN(n, (size_t)32), text);
	}
	return out->count ? 0 : error_set(err, -EINVAL, "no key is named");
}

/* `id`: only if it still is the one of that id; 0: whichever. */
static int put_once(struct domain *d, int id, domain_input_t *put, const void *arg,
		    struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING) | BIT(DOMAIN_SHUTDOWN), err);
	if (!e)
		e = !id || d->id == id ? put(d->vm, arg) : -ENODEV;
	mutex_unlock(&d->lock);
	return e;
}

int domain_input(struct domain *d, int id, const char *what, domain_input_t *put, const void *arg,
		 struct mgmt_error *err)
{
	int e = put_once(d, id, put, arg, err);

	for (unsigned i = 0; e == -EAGAIN && i < TRIES; i++) {
		thread_sleep_ns(TRY_NS);
		e = put_once(d, id, put, arg, err);
	}
	if (e == -EAGAIN)
		error_set(err, e, "the guest of domain '%s' does not read its %s, whose buffer is full",
			  d->name, what);
	else if (e == -EPERM)
		error_set(err, e, "the guest of domain '%s' has switched its %s off", d->name, what);
	else if (e == -ENODEV)
		error_set(err, e, "domain '%s' has been started anew meanwhile", d->name);
	return e;
}

struct stroke {
	uint8_t code;
	bool down;
};

static int put_key(struct vm *vm, const void *arg)
{
	const struct stroke *s = arg;

	return vm_key(vm, s->code, s->down);
}

static int press(struct domain *d, int id, uint8_t code, bool down, struct mgmt_error *err)
{
	return domain_input(d, id, "keyboard", put_key, &(struct stroke){ code, down }, err);
}

int domain_send_keys(struct domain *d, const char *text, uint64_t hold_ms, struct mgmt_error *err)
{
	struct domain_keys keys;
	unsigned n = 0;
	int e = read_keys(text, &keys, err), id, up;

	if (!e && hold_ms > DOMAIN_HOLD_MAX)
		e = error_set(err, -EINVAL, "keys are held for %u milliseconds at most",
			      DOMAIN_HOLD_MAX);
	if (e)
		return e;
	mutex_lock(&d->lock);
	id = d->id;
	mutex_unlock(&d->lock);
	while (!e && n < keys.count) {
		e = press(d, id, keys.code[n], true, err);
		n += !e;
	}
	if (!e && hold_ms)
		thread_sleep_ns(hold_ms * 1000000);
	while (n--) {
		up = press(d, id, keys.code[n], false, e ? NULL : err);
		e = e ?: up;
	}
	return e;
}

int domain_key(struct domain *d, uint8_t code, bool down, struct mgmt_error *err)
{
	return put_once(d, 0, put_key, &(struct stroke){ code, down }, err);
}
