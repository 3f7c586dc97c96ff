/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain's vm is started with: firmware, kernel, initrd and further modules, which its
 * configuration names and the boot loader brought. Thread context; no locks: the configuration is
 * constant.
 */
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"
#include "vmm/load/load.h"

/* The screen's BIOS where none is named; a guest whose firmware needs none does without. */
#define VIDEO_ROM	"vgabios-stdvga.bin"

static int find(const struct config_vm *c, const char *name, const char *what,
		const uint8_t **data, size_t *size, struct mgmt_error *err)
{
	const void *found;

	if (!mgmt_module(name, &found, size))
		return error_set(err, -ENOENT, "domain '%s': there is no module '%s' for its %s: "
				 "add it to the image", c->name, name, what);
	*data = found;
	return 0;
}

static unsigned count(const struct config_module *m)
{
	unsigned n = 0;

	for (; m; m = m->next)
		n++;
	return n;
}

static int find_list(const struct config_vm *c, const struct config_module *m, const char *what,
		     struct load_module *to, struct mgmt_error *err)
{
	int e = 0;

	for (; m && !e; m = m->next, to++) {
		*to = (struct load_module){ .name = m->name, .arguments = m->arguments };
		e = find(c, m->name, what, &to->data, &to->size, err);
	}
	return e;
}

static int find_modules(const struct config_vm *c, struct load_module *to, struct mgmt_error *err)
{
	int e = 0;

	if (c->initrd[0]) {
		*to = (struct load_module){ .name = c->initrd, .arguments = "" };
		e = find(c, c->initrd, "initrd", &to->data, &to->size, err);
		to++;
	}
	return e ?: find_list(c, c->module, "kernel", to, err);
}

static int find_video_rom(const struct config_vm *c, struct load_module *to,
			  struct load_image *out, struct mgmt_error *err)
{
	const char *name = c->video->module[0] ? c->video->module : VIDEO_ROM;
	const void *data;
	size_t size;

	*to = (struct load_module){ .name = name, .arguments = "" };
	if (!c->video->module[0] && !mgmt_module(name, &data, &size))
		return 0;
	out->video_rom = to;
	return find(c, name, "screen", &to->data, &to->size, err);
}

int domain_image_get(const struct config_vm *c, struct load_image *out, struct mgmt_error *err)
{
	unsigned modules = (c->initrd[0] != 0) + count(c->module), roms = count(c->option_rom);
	struct load_module *m = heap_alloc((modules + roms + 1) * sizeof(*m));
	int e;

	*out = (struct load_image){
		.name = c->kernel, .cmdline = c->cmdline, .module = m, .module_count = modules,
		.option_rom = m + modules, .option_rom_count = roms,
		.boot_menu = c->boot_menu, .boot_menu_ms = c->boot_menu_ms,
	};
	if (!m)
		return error_set(err, -ENOMEM, "domain '%s': no memory for its modules: end "
				 "another one", c->name);
	e = c->firmware[0] ? find(c, c->firmware, "firmware", &out->firmware, &out->firmware_size,
				  err) : 0;
	if (!e && c->nvram[0])
		e = find(c, c->nvram, "nvram", &out->nvram, &out->nvram_size, err);
	if (!e && c->kernel[0])
		e = find(c, c->kernel, "kernel", &out->kernel, &out->kernel_size, err);
	if (!e)
		e = find_modules(c, m, err);
	if (!e)
		e = find_list(c, c->option_rom, "firmware", m + modules, err);
	if (!e && c->video)
		e = find_video_rom(c, m + modules + roms, out, err);
	if (!e)
		e = domain_boot_order(c, (char **)&out->boot_order, err);
	if (e)
		domain_image_put(out);
	return e;
}

void domain_image_put(struct load_image *image)
{
	heap_free((void *)image->module);
	heap_free((void *)image->boot_order);
	image->module = NULL;
	image->boot_order = NULL;
}
