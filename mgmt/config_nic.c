/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key `nic` of keel.conf: a network card at a slot, on a cable that the card of another VM may
 * be on too. A slot that is not named is given, as to disks; an address that is not given is made
 * when the VM starts, of what does not change. See mgmt/config_parser.h.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"

/* The classes of devices, by `model`; the first one is what a card is when none is named. */
static const struct {
	const char *model, *class;
} models[] = {
	{ "virtio", "virtio-net-pci" }, { "e1000e", "e1000e" }, { "e1000", "e1000" },
};

#define LOOKS_LIKE \
	"%s = %s is not right: it looks like cable=NAME, model=virtio (or e1000e, e1000), " \
	"mac=52:54:00:12:34:56, slot=0:4.0"

static const uint8_t no_mac[6];

static bool read_cable(struct piece v, struct config_device *d)
{
	if (!v.n || v.n >= sizeof(d->cable) || !config_name_is_right(v))
		return false;
	config_copy_piece(d->cable, v);
	return true;
}

/* One card's own address: not of a group, and not nobody's. */
static bool read_mac(struct piece v, struct config_device *d)
{
	for (unsigned i = 0; i < 6; i++) {
		struct piece byte = config_cut(&v, ':');
		unsigned high, low;

		if (byte.n != 2 || !config_digit(byte.s[0], 16, &high) ||
		    !config_digit(byte.s[1], 16, &low))
			return false;
		d->mac[i] = (uint8_t)(high << 4 | low);
	}
	return !v.n && !(d->mac[0] & 1) && memcmp(d->mac, no_mac, sizeof(no_mac));
}

static bool read_model(struct piece v, struct config_device *d)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		if (!config_equals(v, models[i].model))
			continue;
		str_copy(d->class, models[i].class, sizeof(d->class));
		return true;
	}
	return false;
}

const char *config_nic_model(const struct config_device *d)
{
	size_t i = sizeof(models) / sizeof(models[0]);

	while (--i && strcmp(d->class, models[i].class))
		;
	return models[i].model;
}

static const struct property properties[] = {
	{ "model", read_model }, { "cable", read_cable }, { "mac", read_mac },
	{ "slot", config_read_slot }, { "boot", config_read_boot_number }, { 0 },
};
enum { SEEN_MAC = 4 };			/* by row */

/* The VM that has the address already. */
static const struct config_vm *owner_of(const struct parser *p, const uint8_t mac[6])
{
	for (unsigned i = 0; i <= p->out->vm_count; i++) {
		const struct config_vm *vm = i < p->out->vm_count ? p->out->vm[i] : p->vm;

		for (const struct config_device *d = vm->nic; d; d = d->next)
			if (!memcmp(d->mac, mac, sizeof(no_mac)))
				return vm;
	}
	return NULL;
}

static bool check_mac(struct parser *p, const struct key *k, const struct config_device *d)
{
	const struct config_vm *vm = owner_of(p, d->mac);

	if (!vm)
		return true;
	config_fail(p, p->line, "%s: a card of '%s' has the address %02x:%02x:%02x:%02x:%02x:%02x "
		    "already", k->name, vm->name, d->mac[0], d->mac[1], d->mac[2], d->mac[3],
		    d->mac[4], d->mac[5]);
	return false;
}

static bool read_card(struct parser *p, const struct key *k, struct piece v,
		      struct config_device *d)
{
	unsigned seen;

	read_model((struct piece){ models[0].model, strlen(models[0].model) }, d);
	if (!config_read_properties(properties, ~0u, v, d, &seen) || !d->cable[0]) {
		config_fail(p, p->line, LOOKS_LIKE, k->name, config_quote(v).s);
		return false;
	}
	return !(seen & SEEN_MAC) || check_mac(p, k, d);
}

bool config_read_nic(struct parser *p, const struct key *k, struct piece v)
{
	return config_add_device(p, k, v, &p->vm->nic, read_card);
}

void config_write_nic(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CONFIG_CABLE_MAX + 96], mac[24], slot[CONFIG_SLOT_TEXT], boot[CONFIG_BOOT_TEXT];

	for (const struct config_device *d = vm->nic; d; d = d->next) {
		mac[0] = 0;
		if (memcmp(d->mac, no_mac, sizeof(no_mac)))
			format(mac, sizeof(mac), ", mac=%02x:%02x:%02x:%02x:%02x:%02x", d->mac[0],
			       d->mac[1], d->mac[2], d->mac[3], d->mac[4], d->mac[5]);
		format(text, sizeof(text), "model=%s, cable=%s%s%s%s", config_nic_model(d), d->cable, mac,
		       config_slot_text(d, slot), config_boot_text(d, boot));
		config_put_line(w, k, text, "");
	}
}
