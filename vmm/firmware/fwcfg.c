/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See fwcfg.h. The addresses are those that QEMU recommends to whoever loads the kernel from here:
 * a guest that Keel has started directly was loaded elsewhere, and does not look.
 * Sources: QEMU, "QEMU Firmware Configuration (fw_cfg) Device"; Linux, "The Linux/x86 Boot
 * Protocol"; ACPI 6.5, "_Sx".
 */
#include "vmm/firmware/fwcfg.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vdev/vfwcfg.h"
#include "vdev/vpvpanic.h"
#include "vdev/vsmbios.h"
#include "vmm/firmware/acpi_files.h"
#include "vmm/machine.h"

#define SETUP_AT	0x10000ul
#define CMDLINE_AT	0x20000ul
#define KERNEL_AT	0x100000ul

/* _S0 and _S5 of the DSDT; bit 7: there is that state, low bits SLP_TYP. */
static const uint8_t sleep_states[6] = { 0x80, 0, 0, 0, 0, 0x80 | 5 };

static const uint16_t pvpanic_port = VPVPANIC_PORT;

struct e820 {
	uint64_t base, size;
	uint32_t type;
} packed;

struct number {
	uint16_t key, bytes;
	uint64_t value;
};

/* Adding stops at the first error, which is kept. */
struct filling {
	struct vdev *to;
	int err;
};

static void add_copy(struct filling *f, uint16_t key, const void *data, size_t size)
{
	struct vfwcfg_item i = { .key = key, .size = (uint32_t)size, .data = data };

	f->err = f->err ?: vfwcfg_add_copy(f->to, &i);
}

static void add_blob(struct filling *f, uint16_t key, const void *data, size_t size)
{
	struct vfwcfg_item i = { .key = key, .size = (uint32_t)size, .data = data };

	f->err = f->err ?: vfwcfg_add(f->to, &i);
}

static void add_file(struct filling *f, const char *name, const void *data, size_t size)
{
	struct vfwcfg_item i = { .name = name, .size = (uint32_t)size, .data = data };

	f->err = f->err ?: vfwcfg_add_copy(f->to, &i);
}

static void add_numbers(struct filling *f, const struct number *n, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		add_copy(f, n[i].key, &n[i].value, n[i].bytes);
}

static void fill_machine(struct filling *f, const struct vm *vm, const struct load_machine *m)
{
	const struct number numbers[] = {
		{ VFWCFG_RAM_SIZE, 8, vm->config.memory },
		{ VFWCFG_NOGRAPHIC, 2, !vm->config.vram },
		{ VFWCFG_CPUS, 2, vm->config.vcpus },
		{ VFWCFG_MACHINE_ID, 2, 0 },
		{ VFWCFG_NUMA, 8, 0 },
		{ VFWCFG_CPUS_MAX, 2, vm->config.vcpus },
		{ VFWCFG_IRQ0_OVERRIDE, 4, 1 },
	};
	const struct e820 ram[] = {
		{ 0, memory_low_end(m->memory), MEMORY_RAM },
		{ MEMORY_HIGH, memory_high_size(m->memory), MEMORY_RAM },
	};

	add_copy(f, VFWCFG_UUID, vm->config.uuid, sizeof(vm->config.uuid));
	add_numbers(f, numbers, ARRAY_COUNT(numbers));
	/* RAM alone: firmware knows its own places, and adds them. */
	add_file(f, "etc/e820", ram, sizeof(ram[0]) * (memory_high_size(m->memory) ? 2 : 1));
	add_file(f, "etc/system-states", sleep_states, sizeof(sleep_states));
	add_file(f, "etc/pvpanic-port", &pvpanic_port, sizeof(pvpanic_port));
}

static void add_smbios(struct filling *f, const struct vm *vm)
{
	struct vsmbios_config c = {
		.manufacturer = vm->config.manufacturer ?: "Keel",
		.product = vm->config.product ?: "Keel virtual machine",
		.serial = vm->config.serial ?: "",
		.sockets = vm->config.topology.sockets, .cores = vm->config.topology.cores,
		.threads = vm->config.topology.threads,
		.ram_below_4g = memory_low_end(vm->config.memory),
		.ram_above_4g = memory_high_size(vm->config.memory),
	};
	uint8_t *tables = heap_alloc(VSMBIOS_TABLES_MAX), anchor[VSMBIOS_ANCHOR_SIZE];
	struct cpuid_regs leaf;
	long size;

	memcpy(c.uuid, vm->config.uuid, sizeof(c.uuid));
	cpuid_query(vm->vcpu[0], 1, 0, &leaf);
	c.signature = leaf.eax;
	c.features = leaf.edx;
	size = tables ? vsmbios_build(&c, tables, VSMBIOS_TABLES_MAX) : -ENOMEM;
	if (size < 0) {
		f->err = f->err ?: (int)size;
	} else {
		vsmbios_anchor(anchor, (size_t)size);
		add_file(f, "etc/smbios/smbios-anchor", anchor, sizeof(anchor));
		add_file(f, "etc/smbios/smbios-tables", tables, (size_t)size);
	}
	heap_free(tables);
}

static void add_boot_menu(struct filling *f, const struct load_image *image)
{
	uint16_t on = image->boot_menu;

	add_copy(f, VFWCFG_BOOT_MENU, &on, sizeof(on));
	if (image->boot_menu_ms)
		add_file(f, "etc/boot-menu-wait", &image->boot_menu_ms, sizeof(uint16_t));
}

/* What firmware alone asks for. The serial port is its screen, beside another or alone. */
static void fill_firmware(struct filling *f, struct vm *vm)
{
	static const uint32_t wait_for_ever = ~0u;
	static const uint16_t com1 = 0x3f8;

	add_file(f, "etc/boot-fail-wait", &wait_for_ever, sizeof(wait_for_ever));
	add_file(f, "etc/sercon-port", &com1, sizeof(com1));
	add_smbios(f, vm);
	f->err = f->err ?: acpi_files_add(vm, f->to);
}

/* As high as QEMU puts it: below the end of memory, on a page. */
static uint64_t initrd_at(uint64_t size, const struct load_machine *m)
{
	uint64_t end = memory_low_end(m->memory);

	size = ALIGN_UP(size, PAGE_SIZE);
	return end > size ? ALIGN_DOWN(end - size, PAGE_SIZE) : 0;
}

/* Of a guest that has firmware: as QEMU has it, for the option ROM that starts it does no more. */
static void add_setup(struct filling *f, const struct load_image *image, size_t size,
		      uint32_t initrd, size_t initrd_size)
{
	struct load_linux_places at = {
		.setup = SETUP_AT, .cmdline = CMDLINE_AT, .initrd = initrd,
		.initrd_size = (uint32_t)initrd_size,
	};
	uint8_t *copy = heap_alloc(size);

	if (!copy) {
		f->err = f->err ?: -ENOMEM;
		return;
	}
	memcpy(copy, image->kernel, size);
	load_linux_patch(copy, &at);
	add_copy(f, VFWCFG_SETUP_DATA, copy, size);
	heap_free(copy);
}

static void fill_image(struct filling *f, const struct load_image *image,
		       const struct load_machine *m)
{
	size_t setup = load_linux_setup(image), cmdline = strlen(image->cmdline) + 1;
	size_t initrd = image->module_count ? image->module[0].size : 0;
	const struct number numbers[] = {
		{ VFWCFG_KERNEL_ADDRESS, 4, KERNEL_AT },
		{ VFWCFG_KERNEL_SIZE, 4, image->kernel_size - setup },
		{ VFWCFG_INITRD_ADDRESS, 4, initrd_at(initrd, m) },
		{ VFWCFG_INITRD_SIZE, 4, initrd },
		{ VFWCFG_CMDLINE_ADDRESS, 4, CMDLINE_AT },
		{ VFWCFG_CMDLINE_SIZE, 4, cmdline },
		{ VFWCFG_SETUP_ADDRESS, 4, SETUP_AT },
		{ VFWCFG_SETUP_SIZE, 4, setup },
	};

	add_numbers(f, numbers, ARRAY_COUNT(numbers));
	if (image->firmware && setup)
		add_setup(f, image, setup, (uint32_t)initrd_at(initrd, m), initrd);
	else
		add_blob(f, VFWCFG_SETUP_DATA, image->kernel, setup);
	add_blob(f, VFWCFG_KERNEL_DATA, image->kernel + setup, image->kernel_size - setup);
	add_blob(f, VFWCFG_CMDLINE_DATA, image->cmdline, cmdline);
	if (initrd)
		add_blob(f, VFWCFG_INITRD_DATA, image->module[0].data, initrd);
}

static void add_rom(struct filling *f, const struct load_module *m)
{
	char name[VFWCFG_NAME_MAX];
	struct vfwcfg_item item = { .name = name, .size = (uint32_t)m->size, .data = m->data };

	if (format(name, sizeof(name), "genroms/%s", m->name) >= (int)sizeof(name))
		f->err = -EINVAL;
	f->err = f->err ?: vfwcfg_add(f->to, &item);
}

/* By the ids of the function that it is for: so SeaBIOS tells it where that is. */
static void add_video_rom(struct filling *f, const struct load_module *m)
{
	struct vfwcfg_item item = { .name = "pci1234,1111.rom" };

	if (!m)
		return;
	item.size = (uint32_t)m->size;
	item.data = m->data;
	f->err = f->err ?: vfwcfg_add(f->to, &item);
}

/* With a kernel the ROMs, of which one will start it, come before all else that could be booted. */
static void add_order(struct filling *f, const struct load_image *image)
{
	unsigned roms = image->kernel ? image->option_rom_count : 0;
	const char *order = image->boot_order ?: "";
	size_t size = roms * (VFWCFG_NAME_MAX + 8) + strlen(order) + 1, n = 0;
	char *all;

	if (size == 1)
		return;
	all = heap_alloc(size);
	if (!all) {
		f->err = f->err ?: -ENOMEM;
		return;
	}
	for (unsigned i = 0; i < roms; i++)
		n += (size_t)format(all + n, size - n, "/rom@genroms/%s\n",
				    image->option_rom[i].name);
	str_copy(all + n, order, size - n);
	add_file(f, "bootorder", all, n + strlen(order) + 1);
	heap_free(all);
}

static void fill_roms(struct filling *f, const struct load_image *image)
{
	for (unsigned i = 0; i < image->option_rom_count && !f->err; i++)
		add_rom(f, &image->option_rom[i]);
	add_video_rom(f, image->video_rom);
	if (!f->err)
		add_order(f, image);
}

int fwcfg_fill(struct vm *vm, const struct load_image *image, const struct load_machine *machine)
{
	struct filling f = { .to = machine_fwcfg(vm) };

	fill_machine(&f, vm, machine);
	add_boot_menu(&f, image);
	if (vm->config.firmware)
		fill_firmware(&f, vm);
	if (image->kernel)
		fill_image(&f, image, machine);
	fill_roms(&f, image);
	return f.err;
}
