/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key `video` of keel.conf: a VM's screen. One with firmware has it without a line, at the slot
 * where a PC has it, if that is free; one that is started directly has none. See
 * mgmt/config_parser.h.
 */
#include "include/addr.h"
#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"

#define VRAM_DEFAULT	(16 * MIB)
#define VRAM_LEAST	(1 * MIB)
#define VRAM_MOST	(64 * MIB)
#define LOOKS_LIKE \
	"%s = %s is not right: it looks like vga, vram=16M (a power of two, 1M to 64M), " \
	"rom=MODULE, slot=0:1.0; or it is none"

static bool read_vram(struct piece v, struct config_device *d)
{
	char text[16];

	if (v.n >= sizeof(text))
		return false;
	config_copy_piece(text, v);
	return config_size_parse(text, &d->vram) && d->vram >= VRAM_LEAST &&
	       d->vram <= VRAM_MOST && !(d->vram & (d->vram - 1));
}

/* Whether there is such a module is asked when all is read. */
static bool read_rom(struct piece v, struct config_device *d)
{
	if (!v.n || v.n >= sizeof(d->module))
		return false;
	config_copy_piece(d->module, v);
	return true;
}

static const struct property properties[] = {
	{ "vram", read_vram }, { "rom", read_rom }, { "slot", config_read_slot }, { 0 },
};

static bool read_screen(struct parser *p, const struct key *k, struct piece v,
			struct config_device *d)
{
	struct piece all = v, model = config_trim(config_cut(&v, ','));
	char rom[CONFIG_MODULE_MAX];
	unsigned seen;

	str_copy(d->class, CONFIG_VIDEO, sizeof(d->class));
	d->vram = VRAM_DEFAULT;
	if (!config_equals(model, "vga") ||
	    !config_read_properties(properties, ~0u, v, d, &seen)) {
		config_fail(p, p->line, LOOKS_LIKE, k->name, config_quote(all).s);
		return false;
	}
	return !d->module[0] ||
	       config_read_module(p, k, (struct piece){ d->module, strlen(d->module) }, rom);
}

bool config_read_video(struct parser *p, const struct key *k, struct piece v)
{
	return config_equals(v, "none") ||
	       config_add_device(p, k, v, &p->vm->video, read_screen);
}

void config_default_video(struct parser *p)
{
	static const struct key k = { .name = "video" };

	if (p->vm->firmware[0] && !(p->seen & config_seen_bit("video")))
		config_read_video(p, &k, (struct piece){ "vga", 3 });
}

void config_write_video(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	const struct config_device *d = vm->video;
	char text[CONFIG_MODULE_MAX + CONFIG_SLOT_TEXT + 32], slot[CONFIG_SLOT_TEXT];

	if (!d && vm->firmware[0])
		config_put_line(w, k, "none", "");
	if (!d)
		return;
	format(text, sizeof(text), "vga, vram=%luM%s%s%s", d->vram / MIB,
	       d->module[0] ? ", rom=" : "", d->module, config_slot_text(d, slot));
	config_put_line(w, k, text, "");
}
