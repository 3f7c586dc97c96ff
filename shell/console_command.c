/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal given to a guest: bytes pass both ways untouched, but for Ctrl-], which gives it
 * back. Log lines wait meanwhile. The console's notifications, from whatever context, only wake the
 * shell.
 */
#include "lib/string.h"
#include "shell/commands.h"
#include "shell/console_plain.h"
#include "shell/tty.h"

#define LEAVE		TTY_CTRL(']')
#define READ_AT_ONCE	256

static void notify(void *arg)
{
	(void)arg;
	tty_wake();
}

/* Prints what the guest has said; false if that was nothing. */
static bool show(struct console *c)
{
	char buf[READ_AT_ONCE];
	uint64_t dropped;
	size_t n = console_read(c, buf, sizeof(buf), &dropped);

	if (dropped)
		tty_print("\n[%lu bytes of older output were dropped]\n", dropped);
	tty_write(buf, n);
	return n;
}

/*
 * Passes on what was typed; false when it was the key to leave. A guest that does not read loses
 * what has no room.
 */
static bool type(struct console *c)
{
	char buf[64];
	size_t n = 0;
	int key = 0;

	while (n < sizeof(buf) && (key = tty_get()) >= 0 && key != LEAVE)
		buf[n++] = (char)key;
	if (n && console_write(c, buf, n) < n)
		tty_write("\a", 1);
	return key != LEAVE;
}

void console_restore(void)
{
	tty_write(console_plain, sizeof(console_plain) - 1);
}

static bool active(struct domain *d)
{
	return domain_state(d) != DOMAIN_SHUTOFF;
}

/* A guest that stands still answers nothing: that is said, each time it comes to that. */
static enum domain_state tell_of_standstill(struct domain *d, enum domain_state before)
{
	enum domain_state now = domain_state(d);

	if (now != before && now == DOMAIN_PAUSED)
		tty_print("\nDomain '%s' is paused: 'resume %s' lets it go on\n", domain_name(d),
			  domain_name(d));
	else if (now != before && now == DOMAIN_CRASHED)
		tty_print("\nDomain '%s' has crashed and is kept as it is: 'dominfo %s' tells why\n",
			  domain_name(d), domain_name(d));
	return now;
}

static void pass(struct domain *d, struct console *c)
{
	enum domain_state state = DOMAIN_RUNNING;

	for (;;) {
		bool was_active = active(d), said = show(c);

		if (!said)
			state = tell_of_standstill(d, state);
		if (!type(c)) {
			console_restore();
			tty_print("\nLeft the console of domain '%s'\n", domain_name(d));
			return;
		}
		if (said || tty_typed())
			continue;
		if (!was_active) {
			console_restore();
			tty_print("\nDomain '%s' is shut off\n", domain_name(d));
			return;
		}
		tty_wait_some();
	}
}

/* Its last words, and the advice. */
static int shut_off(struct domain *d, struct console *c)
{
	bool said = false;

	while (show(c))
		said = true;
	if (said) {
		console_restore();
		tty_text("\n");
	}
	return command_error(
		-EPERM,
		"domain '%s' is shut off and its console is closed: 'start %s --console' starts it",
		domain_name(d), domain_name(d));
}

int console_command(struct domain *d, const char *name)
{
	struct mgmt_error err;
	struct console *c;
	int e = 0;

	if (domain_console_find(d, name, &c, &err))
		return command_fail(&err);
	if (console_attach(c, notify, NULL))
		return command_error(
			-EBUSY,
			"the console of domain '%s' is connected to another terminal: leave it there",
			domain_name(d));
	tty_interruptible(false);
	if (active(d)) {
		tty_print("Connected to domain '%s'\nEscape character is ^] (Ctrl + ])\n",
			  domain_name(d));
		pass(d, c);
	} else {
		e = shut_off(d, c);
	}
	console_detach(c);
	tty_interruptible(true);
	return e;
}
