/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See fwcfg.h. The addresses are those that QEMU recommends to whoever loads the kernel from here:
 * a guest that Keel has started directly was loaded elsewhere, and does not look.
 * Sources: QEMU, "QEMU Firmware Configuration (fw_cfg) Device"; Linux, "The Linux/x86 Boot
 * Protocol"; ACPI 6.5, "_Sx".
 */
#include "vmm/firmware/fwcfg.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vfwcfg.h"
#include "vdev/vpvpanic.h"
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
		{ VFWCFG_NOGRAPHIC, 2, 1 },
		{ VFWCFG_CPUS, 2, vm->config.vcpus },
		{ VFWCFG_MACHINE_ID, 2, 0 },
		{ VFWCFG_NUMA, 8, 0 },
		{ VFWCFG_BOOT_MENU, 2, 0 },
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

/* As high as QEMU puts it: below the end of memory, on a page. */
static uint64_t initrd_at(uint64_t size, const struct load_machine *m)
{
	uint64_t end = memory_low_end(m->memory);

	size = ALIGN_UP(size, PAGE_SIZE);
	return end > size ? ALIGN_DOWN(end - size, PAGE_SIZE) : 0;
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
	add_blob(f, VFWCFG_SETUP_DATA, image->kernel, setup);
	add_blob(f, VFWCFG_KERNEL_DATA, image->kernel + setup, image->kernel_size - setup);
	add_blob(f, VFWCFG_CMDLINE_DATA, image->cmdline, cmdline);
	if (initrd)
		add_blob(f, VFWCFG_INITRD_DATA, image->module[0].data, initrd);
}

int fwcfg_fill(struct vm *vm, const struct load_image *image, const struct load_machine *machine)
{
	struct filling f = { .to = machine_fwcfg(vm) };

	fill_machine(&f, vm, machine);
	fill_image(&f, image, machine);
	return f.err;
}
