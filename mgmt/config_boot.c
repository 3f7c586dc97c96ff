/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What keel.conf says of the order in which firmware looks for something to start: `boot`, kinds of
 * devices, or the property of that name, a number, of single ones; and `boot_menu`. The one or the
 * other, as in libvirt, and both with firmware alone. See mgmt/config_parser.h.
 */
#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"

#define NUMBER_MAX	999
#define MENU_MAX	65535

static const char *const kinds[] = {
	[CONFIG_BOOT_DISK] = "disk", [CONFIG_BOOT_CDROM] = "cdrom",
	[CONFIG_BOOT_NETWORK] = "network",
};

bool config_read_boot_number(struct piece v, struct config_device *d)
{
	uint64_t n;

	if (!config_read_number(v, &n) || n < 1 || n > NUMBER_MAX)
		return false;
	d->boot = (uint16_t)n;
	return true;
}

const char *config_boot_text(const struct config_device *d, char text[CONFIG_BOOT_TEXT])
{
	text[0] = 0;
	if (d->boot)
		format(text, CONFIG_BOOT_TEXT, ", boot=%u", d->boot);
	return text;
}

static uint8_t kind_of(struct piece v)
{
	uint8_t kind = CONFIG_BOOT_KINDS;

	while (kind && !config_equals(v, kinds[kind]))
		kind--;
	return kind;
}

bool config_read_boot(struct parser *p, const struct key *k, struct piece v)
{
	uint8_t *to = p->vm->boot;
	struct piece rest = v;
	unsigned n = 0;

	do {
		uint8_t kind = kind_of(config_trim(config_cut(&rest, ',')));

		if (n == CONFIG_BOOT_KINDS || !kind || memchr(to, kind, n)) {
			config_fail(p, p->line, "%s = %s is not right: it looks like disk, cdrom, "
				    "network, each once", k->name, config_quote(v).s);
			return false;
		}
		to[n++] = kind;
	} while (rest.n);
	return true;
}

void config_write_boot(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[32];
	size_t n = 0;

	for (unsigned i = 0; i < CONFIG_BOOT_KINDS && vm->boot[i]; i++)
		n += (size_t)format(text + n, sizeof(text) - n, "%s%s", i ? ", " : "",
				    kinds[vm->boot[i]]);
	if (n)
		config_put_line(w, k, text, "");
}

bool config_read_boot_menu(struct parser *p, const struct key *k, struct piece v)
{
	struct config_vm *vm = p->vm;
	uint64_t ms = 0;

	vm->boot_menu = !config_equals(v, "no");
	if (!vm->boot_menu || config_equals(v, "yes"))
		return true;
	if (!config_read_number(v, &ms) || ms < 1 || ms > MENU_MAX) {
		config_fail(p, p->line, "%s = %s is not right: yes, no or 1 to %u milliseconds are "
			    "allowed", k->name, config_quote(v).s, MENU_MAX);
		return false;
	}
	vm->boot_menu_ms = (uint16_t)ms;
	return true;
}

void config_write_boot_menu(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[8] = "yes";

	if (vm->boot_menu_ms)
		format(text, sizeof(text), "%u", vm->boot_menu_ms);
	if (vm->boot_menu)
		config_put_line(w, k, text, "");
}

/* The device behind `d`, over all of the VM's lists; NULL: before the first, and at the end. */
static const struct config_device *next_device(const struct config_vm *vm, unsigned *list,
					       const struct config_device *d)
{
	const struct config_device *const lists[] = { vm->disk, vm->cdrom, vm->nic };

	d = d ? d->next : lists[*list = 0];
	while (!d && ++*list < ARRAY_COUNT(lists))
		d = lists[*list];
	return d;
}

const struct config_device *config_boot_next(const struct config_vm *vm, unsigned after)
{
	const struct config_device *first = NULL, *d = NULL;
	unsigned list;

	while ((d = next_device(vm, &list, d)))
		if (d->boot > after && (!first || d->boot < first->boot))
			first = d;
	return first;
}

/* The number that two devices have, or 0. */
static unsigned twice(const struct config_vm *vm)
{
	const struct config_device *d = NULL, *e = NULL;
	unsigned i, j;

	while ((d = next_device(vm, &i, d)))
		while (d->boot && (e = next_device(vm, &j, e)))
			if (d != e && d->boot == e->boot)
				return d->boot;
	return 0;
}

void config_check_boot(struct parser *p)
{
	const struct config_vm *vm = p->vm;
	bool numbers = config_boot_next(vm, 0);
	unsigned n = twice(vm);

	if (!vm->firmware[0] && (numbers || vm->boot[0] || vm->boot_menu))
		config_fail(p, vm->line, "VM '%s' has %s and no firmware to follow it", vm->name,
			    numbers || vm->boot[0] ? "a boot order" : "a boot_menu");
	else if (numbers && vm->boot[0])
		config_fail(p, vm->line, "VM '%s' has boot = %s ... and devices with boot=N: one of "
			    "them tells the order", vm->name, kinds[vm->boot[0]]);
	else if (n)
		config_fail(p, vm->line, "VM '%s' has two devices with boot=%u", vm->name, n);
}
