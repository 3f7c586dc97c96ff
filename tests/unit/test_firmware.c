/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/emulate*.c vdev/vmch.c vdev/vlpc.c vdev/vflash.c vdev/vacpi_loader.c
 * vdev/vsmbios.c vmm/firmware/shadow.c vmm/vram.c vdev/vvga*.c vmm/firmware/acpi_files.c
 * vmm/insn/breakpoint.c vmm/vm.c vmm/life.c vmm/vm_image.c vmm/vm_state.c vmm/vm_stats.c
 * vmm/vm_quiesce.c vmm/vm_memory.c vmm/vm_copy.c kernel/hwstate.c vmm/vcpu*.c vdev/vpvpanic.c
 * vdev/vtestdev.c vdev/vdebug_exit.c vdev/vedu.c kernel/sched_group.c vmm/vlapic/vlapic*.c
 * vmm/msr.c vmm/mtrr.c vmm/cpuid.c vmm/cpu_model.c vmm/pvclock.c vmm/event.c vmm/bus.c
 * vmm/machine*.c vmm/vdev_host.c vmm/vm_balloon.c vmm/media*.c kernel/random.c lib/chacha.c
 * vdev/virtio/virtio*.c vmm/regs.c vdev/vframe.c vdev/vinbox.c vdev/ve1000*.c vmm/exit.c
 * vmm/gmem/gmem*.c vmm/insn/fetch.c vmm/insn/gwalk.c vmm/insn/decode.c vmm/load/load*.c
 * vmm/firmware/firmware.c vmm/firmware/memory_map.c vdev/vmp_table.c
 * build/gen/vmm/firmware/bios/bios.bin.c lib/record.c lib/format.c mm/paging.c mm/paging_host.c
 * mm/paging_npt.c mm/paging_ept.c mm/page.c mm/page_intake.c vdev/vpic.c vdev/vioapic.c
 * vdev/vpit.c vdev/vahci*.c vdev/vata*.c vdev/vnvme*.c vdev/vide*.c vdev/vrtc.c vdev/vuart.c
 * vdev/vkbd.c vdev/vmouse.c vdev/vps2.c vdev/vacpi.c vdev/vacpi_tables.c vdev/vpci*.c
 * vdev/vpost.c vmm/firmware/fwcfg.c vdev/vfwcfg.c build/gen/vdev/dsdt.aml.c
 * tests/host/fake_ops.c tests/host/one_thread.c tests/host/heap.c tests/host/memory.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c tests/host/log.c tests/host/tsc.c
 * vdev/vhpet.c vdev/vtco.c vdev/vsmbus.c vdev/vdma.c */
/*
 * vmm/machine: rows of PCI devices get their slots, and the lines that follow from these; rows that
 * cannot be are refused with the reason, before a vm is made of them and then, too.
 */
/*
 * A vm with firmware: its image where a processor starts, what PAM and SMRAM show below 1 MiB; that
 * hidden RAM keeps what it holds, its flash, a reset, where PIRQs lead, and the files that it
 * reads, of which the ACPI tables follow ECAM; the HPET's wires.
 */
#include "tests/host/vm_test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/string.h"
#include "vdev/vacpi.h"
#include "vdev/vacpi_tables.h"
#include "vdev/vfwcfg.h"
#include "vdev/vhpet.h"
#include "vdev/vlpc.h"
#include "vdev/vmch.h"
#include "vmm/firmware/firmware.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/firmware/shadow.h"
#include "vmm/load/load.h"
#include "vmm/machine.h"
#include "vmm/vdev_host.h"

#define IMAGE	(256 * KIB)

extern unsigned host_heap_left;

#define NVRAM	(64 * KIB)

static uint8_t image[IMAGE], rom[300], nvram[NVRAM];

static int create(size_t size, struct vm **out)
{
	struct vm_config c = {
		.name = "test", .vcpus = 2, .memory = 16 * MIB, .firmware = image,
		.firmware_size = size, .nvram = nvram, .nvram_size = NVRAM, .product = "Thing",
		.stopped = stopped,
	};

	features.physical_bits = 40;
	features.vendor = VENDOR_AMD;
	memset(nvram, 0xfe, sizeof(nvram));
	for (unsigned i = 0; i < IMAGE; i++)
		image[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + 1);
	return vm_create(&c, out);
}

static struct vm *make(void)
{
	struct vm *vm = NULL;

	assert_int_equal(create(IMAGE, &vm), 0);
	return vm;
}

static void put(struct vm *vm, unsigned slot, unsigned reg, unsigned size, uint32_t v)
{
	bus_write(vm, HOST_PORT, 0xcf8, 4, 1u << 31 | slot << 11 | (reg & 0xfc));
	bus_write(vm, HOST_PORT, 0xcfc + (reg & 3), size, v);
}

/* The bytes there, all ones if no memory answers. */
static uint64_t peek(struct vm *vm, uint64_t a)
{
	uint64_t v = ~0ul;

	return gmem_read(&vm->gmem, GPA(a), &v, 8) ? ~0ul : v;
}

static int poke(struct vm *vm, uint64_t a, uint64_t v)
{
	return gmem_write(&vm->gmem, GPA(a), &v, 8);
}

static uint64_t image_at(uint64_t offset)
{
	uint64_t v;

	memcpy(&v, image + offset, 8);
	return v;
}

static void test_image(void **state)
{
	struct vm *vm = make();
	struct segment cs;

	(void)state;
	assert_int_equal(peek(vm, 4 * GIB - 16), image_at(IMAGE - 16));
	assert_int_equal(peek(vm, 4 * GIB - IMAGE), image_at(0));
	assert_int_equal(peek(vm, 4 * GIB - IMAGE - NVRAM - 8), ~0ul);
	assert_int_equal(peek(vm, 0xffff0), image_at(IMAGE - 16));
	assert_int_equal(peek(vm, 0xe0000), image_at(IMAGE - 128 * KIB));
	assert_int_equal(peek(vm, 0xdfff8), ~0ul);
	assert_int_equal(peek(vm, 0xa0000), ~0ul);
	assert_int_equal(peek(vm, 0x9fff8), 0);
	assert_int_equal(peek(vm, 0x100000), 0);
	assert_int_equal(poke(vm, 4 * GIB - 16, 0), -EFAULT);
	assert_int_equal(poke(vm, 0xf8000, 0), -EFAULT);
	assert_int_equal(vm->vcpu[0]->rip, 0xfff0);
	vmm_ops->segment_get(vm->vcpu[0], SEG_CS, &cs);
	assert_int_equal(cs.base, 0xffff0000);
	assert_int_equal(cs.selector, 0xf000);
	assert_int_equal(vm->vcpu[1]->activity, VCPU_WAIT_SIPI);
	vm_put(vm);
}

static void test_sizes(void **state)
{
	struct vm *vm = NULL;

	(void)state;
	assert_int_equal(create(32 * KIB, &vm), -EINVAL);
	assert_int_equal(create(IMAGE - 1, &vm), -EINVAL);
	assert_false(shadow_size_valid(SHADOW_IMAGE_MAX + PAGE_SIZE));
	/* A small one does not reach down to E0000h. */
	assert_int_equal(create(64 * KIB, &vm), 0);
	assert_int_equal(peek(vm, 0xf0000), image_at(0));
	assert_int_equal(peek(vm, 0xefff8), ~0ul);
	vm_put(vm);
}

static void test_no_memory(void **state)
{
	struct vm *vm = NULL;
	int err = -ENOMEM;
	unsigned n = 0;

	(void)state;
	for (; err; n++) {
		host_heap_left = n;
		err = create(IMAGE, &vm);
		host_heap_left = ~0u;
		assert_true(!err || err == -ENOMEM);
	}
	assert_true(n > 20);
	vm_put(vm);
}

/* As a BIOS does: RAM over its image, copies itself, and locks it. */
static void test_shadow(void **state)
{
	struct vm *vm = make();

	(void)state;
	put(vm, VMCH_SLOT, 0x90, 4, 0x33333330);
	put(vm, VMCH_SLOT, 0x94, 4, 0x00333333);
	for (uint64_t a = 0xc0000; a < 0x100000; a += 0x4000) {
		assert_int_equal(peek(vm, a), 0);
		assert_int_equal(poke(vm, a, a ^ 0x5a5a), 0);
	}
	put(vm, VMCH_SLOT, 0x90, 4, 0x11111110);
	put(vm, VMCH_SLOT, 0x94, 4, 0x00331111);
	for (uint64_t a = 0xc0000; a < 0x100000; a += 0x4000) {
		assert_int_equal(peek(vm, a), a ^ 0x5a5a);
		assert_int_equal(poke(vm, a, a), a >= 0xe8000 && a < 0xf0000 ? 0 : -EFAULT);
	}
	/* Writes alone: they come to the chipset, which has them put into RAM. */
	put(vm, VMCH_SLOT, 0x90, 1, 0x20);
	assert_int_equal(peek(vm, 0xf0000), image_at(IMAGE - 64 * KIB));
	assert_false(gmem_is_ram(&vm->gmem, GPA(0xf0000), GMEM_WRITE));
	bus_write(vm, HOST_MMIO, 0xf0000, 4, 0x12345678);
	put(vm, VMCH_SLOT, 0x90, 1, 0x10);
	assert_int_equal(peek(vm, 0xf0000), 0x12345678);
	bus_write(vm, HOST_MMIO, 0xf0000, 4, 0);	/* not RAM's now: nobody's */
	assert_int_equal((uint32_t)peek(vm, 0xf0000), 0x12345678);
	/* Reset shows the image; what RAM holds is there when it is shown again. */
	machine_reset(vm);
	assert_int_equal(peek(vm, 0xf0000), image_at(IMAGE - 64 * KIB));
	assert_int_equal(peek(vm, 0xc0000), ~0ul);
	put(vm, VMCH_SLOT, 0x90, 1, 0x30);
	assert_int_equal((uint32_t)peek(vm, 0xf0000), 0x12345678);
	put(vm, VMCH_SLOT, VMCH_SMRAM, 1, 0x4a);
	assert_int_equal(poke(vm, 0xbfff8, 1), 0);
	put(vm, VMCH_SLOT, VMCH_SMRAM, 1, 0x1a);
	assert_int_equal(peek(vm, 0xbfff8), ~0ul);
	assert_int_equal(shadow_set(vm, HOST_SHADOW_COUNT, 0), -EINVAL);
	assert_int_equal(shadow_write(vm, GPA(0x100000), "", 1), -EINVAL);
	assert_int_equal(shadow_write(vm, GPA(0x9ffff), "", 1), -EINVAL);
	vm_put(vm);
}

/* The window for BARs of 64 bits: from the GiB behind all memory on, as far as addresses go. */
static void test_window(void **state)
{
	struct vm *vm = make();
	struct vacpi_tables_config c = firmware_acpi_config(vm, 0);

	(void)state;
	assert_int_equal(c.pci_window64, MEMORY_HIGH);
	assert_int_equal(c.pci_window64 + c.pci_window64_size, BIT(vm->cpuid->phys_bits));
	vm->config.memory = MEMORY_LOW_MAX + 5 * GIB + 4096;
	assert_int_equal(firmware_acpi_config(vm, 0).pci_window64, MEMORY_HIGH + 6 * GIB);
	vm->config.memory = MEMORY_LOW_MAX + BIT(vm->cpuid->phys_bits);
	assert_int_equal(firmware_acpi_config(vm, 0).pci_window64_size, 0);
	vm_put(vm);
}

/* No memory for other slots: it stays as it is, until another change is tried. */
static void test_shadow_no_memory(void **state)
{
	struct vm *vm = make();

	(void)state;
	host_heap_left = 0;
	put(vm, VMCH_SLOT, 0x90, 1, 0x30);
	host_heap_left = ~0u;
	assert_int_equal(peek(vm, 0xf0000), image_at(IMAGE - 64 * KIB));
	put(vm, VMCH_SLOT, 0x90, 1, 0x10);
	assert_int_equal(peek(vm, 0xf0000), 0);
	vm_put(vm);
}

/* Its flash: what is programmed there is in the next vm's, too. */
static void test_flash(void **state)
{
	struct vm *vm = make();
	const uint64_t at = 4 * GIB - IMAGE - NVRAM;
	uint64_t v;

	(void)state;
	assert_int_equal(shadow_nvram_base(vm), at);
	assert_int_equal(peek(vm, at), 0xfefefefefefefefe);
	assert_int_equal(poke(vm, at, 0), -EFAULT);
	bus_write(vm, HOST_MMIO, at + 3, 1, 0x10);
	assert_int_equal(peek(vm, at), ~0ul);			/* hidden */
	bus_write(vm, HOST_MMIO, at + 3, 1, 0x42);
	assert_int_equal(bus_read(vm, HOST_MMIO, at, 1), 0x80);
	bus_write(vm, HOST_MMIO, at, 1, 0xff);
	assert_int_equal(peek(vm, at), 0xfefefefe42fefefe);
	assert_int_equal(nvram[3], 0x42);
	machine_reset(vm);
	assert_int_equal(peek(vm, at), 0xfefefefe42fefefe);
	assert_int_equal(shadow_nvram_write(vm, NVRAM - 4, &v, 8), -EINVAL);
	assert_int_equal(shadow_nvram_read(vm, NVRAM, &v, 1), -EINVAL);
	vm_put(vm);
	nvram[3] = 0xfe;
}

/* ---- interrupts ---- */

static unsigned requested(struct vm *vm)
{
	bus_write(vm, HOST_PORT, 0x20, 1, 0x0a);
	bus_write(vm, HOST_PORT, 0xa0, 1, 0x0a);
	return (unsigned)(bus_read(vm, HOST_PORT, 0x20, 1) | bus_read(vm, HOST_PORT, 0xa0, 1) << 8);
}

static void line(struct vm *vm, uint8_t gsi, bool level)
{
	machine_line_set(vm, &(struct vdev_line){ .gsi = gsi, .source = 60, .wired = true }, level);
}

static void test_pirqs(void **state)
{
	struct vm *vm = make();

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		unsigned port = i ? 0xa0 : 0x20;

		bus_write(vm, HOST_PORT, port, 1, 0x11);
		bus_write(vm, HOST_PORT, port + 1, 1, i ? 0x70 : 8);
		bus_write(vm, HOST_PORT, port + 1, 1, i ? 2 : 4);
		bus_write(vm, HOST_PORT, port + 1, 1, 1);
	}
	bus_write(vm, HOST_PORT, 0x4d1, 1, 0x0c);		/* 10 and 11: level */
	line(vm, 17, true);
	assert_int_equal(requested(vm) & 0xff00, 0);
	put(vm, VLPC_SLOT, 0x60, 4, 0x0b0b0a0a);
	assert_int_equal(requested(vm) & 0xff00, 1 << 10);
	/* Two wires on one input, and the input's own line. */
	line(vm, 16, true);
	line(vm, 17, false);
	assert_int_equal(requested(vm) & 0xff00, 1 << 10);
	line(vm, 10, true);
	line(vm, 16, false);
	assert_int_equal(requested(vm) & 0xff00, 1 << 10);
	line(vm, 10, false);
	assert_int_equal(requested(vm) & 0xff00, 0);
	line(vm, 17, true);
	put(vm, VLPC_SLOT, 0x61, 1, 0x0b);			/* it goes to another */
	assert_int_equal(requested(vm) & 0xff00, 1 << 11);
	put(vm, VLPC_SLOT, 0x61, 1, 0x80);
	assert_int_equal(requested(vm) & 0xff00, 0);
	vm_put(vm);
}

static void test_chipset(void **state)
{
	struct vm *vm = make();

	(void)state;
	bus_write(vm, HOST_PORT, 0xcf8, 4, 0x8000fb00);
	assert_int_equal(bus_read(vm, HOST_PORT, 0xcfc, 4), 0x29308086);
	assert_int_equal(bus_read(vm, HOST_PORT, 0x0f, 1), 0x0f);	/* DMA's masks */
	assert_int_equal(bus_read(vm, HOST_PORT, 0xde, 1), 0x0f);
	vm_put(vm);
}

/* The HPET's interrupts arrive where PCI's do, at inputs of the I/O APIC. */
static void test_hpet(void **state)
{
	struct vm *vm = make();
	const struct bus_claim *c = vm->bus.space[HOST_MMIO]->claim;

	(void)state;
	assert_int_equal(bus_read(vm, HOST_MMIO, VHPET_BASE, 8), 0x0098968080862201);
	assert_int_equal(bus_read(vm, HOST_MMIO, VHPET_BASE + VHPET_SIZE, 4), ~0u);
	while (c->base != VHPET_BASE)
		c++;
	for (unsigned i = 0; i < VHPET_LINES; i++) {
		const struct vdev_line *l = &((struct vdev_host *)c->dev->host)->line[i];

		assert_true(l->wired && l->gsi == VHPET_GSI + i);
	}
	vm_put(vm);
}

/* ---- files ---- */

static const struct load_module roms[] = { { rom, sizeof(rom), "some.bin", "" } };

static uint8_t next(struct vm *vm)
{
	return (uint8_t)bus_read(vm, HOST_PORT, 0x511, 1);
}

/* Its size, 0 if there is none; selected then. */
static uint32_t select_file(struct vm *vm, const char *name)
{
	uint32_t count = 0;
	char entry[64];

	bus_write(vm, HOST_PORT, 0x510, 2, VFWCFG_DIRECTORY);
	for (unsigned i = 0; i < 4; i++)
		count = count << 8 | next(vm);
	while (count--) {
		for (unsigned i = 0; i < sizeof(entry); i++)
			entry[i] = (char)next(vm);
		if (strcmp(entry + 8, name))
			continue;
		bus_write(vm, HOST_PORT, 0x510, 2, (uint8_t)entry[4] << 8 | (uint8_t)entry[5]);
		return __builtin_bswap32(*(uint32_t *)entry);
	}
	return 0;
}

static bool file_has(struct vm *vm, const char *name, const char *text)
{
	uint32_t size = select_file(vm, name);
	char *all = calloc(1, size + 1);
	bool has = false;

	for (uint32_t i = 0; i < size; i++)
		all[i] = (char)next(vm);
	for (uint32_t i = 0; i + strlen(text) <= size && !has; i++)
		has = !memcmp(all + i, text, strlen(text));
	free(all);
	return has;
}

static void test_files(void **state)
{
	struct vm *vm = make();
	struct load_image i = {
		.firmware = image, .firmware_size = IMAGE, .cmdline = "", .name = "",
		.option_rom = roms, .option_rom_count = 1,
	};
	char why[80];

	(void)state;
	assert_int_equal(vm_load_image(vm, &i, why, sizeof(why)), 0);
	assert_int_equal(vm->vcpu[0]->rip, 0xfff0);
	assert_int_equal(select_file(vm, "etc/e820"), 20);
	assert_int_equal(select_file(vm, "etc/boot-fail-wait"), 4);
	assert_int_equal(select_file(vm, "etc/sercon-port"), 2);
	assert_int_equal(next(vm), 0xf8);
	assert_int_equal(next(vm), 0x03);
	assert_int_equal(select_file(vm, "etc/smbios/smbios-anchor"), 24);
	assert_true(file_has(vm, "etc/smbios/smbios-tables", "Thing"));
	assert_true(file_has(vm, "etc/smbios/smbios-tables", "Keel"));
	assert_int_equal(select_file(vm, "genroms/some.bin"), sizeof(rom));
	assert_int_equal(select_file(vm, "bootorder"), 0);
	assert_int_equal(select_file(vm, "etc/boot-menu-wait"), 0);
	bus_write(vm, HOST_PORT, 0x510, 2, VFWCFG_BOOT_MENU);
	assert_int_equal(next(vm), 0);
	assert_int_equal(select_file(vm, "etc/acpi/rsdp"), 36);
	assert_int_equal(select_file(vm, "etc/acpi/tables") % 4096, 0);
	/* They tell of ECAM when there is some. */
	assert_true(file_has(vm, "etc/acpi/tables", "FACP"));
	assert_true(file_has(vm, "etc/acpi/tables", "HPET"));
	assert_false(file_has(vm, "etc/acpi/tables", "MCFG"));
	put(vm, VMCH_SLOT, VMCH_PCIEXBAR, 4, 0xb0000001);
	assert_true(file_has(vm, "etc/acpi/tables", "MCFG"));
	assert_true(file_has(vm, "etc/table-loader", "etc/acpi/tables"));
	put(vm, VMCH_SLOT, VMCH_PCIEXBAR, 4, 0);
	assert_false(file_has(vm, "etc/acpi/tables", "MCFG"));
	vm_put(vm);
}

/* A kernel's set-up part as an option ROM wants it, which is started before all else. */
static void test_kernel(void **state)
{
	static uint8_t kernel[4096];
	struct load_image i = {
		.firmware = image, .firmware_size = IMAGE, .cmdline = "quiet", .name = "k",
		.kernel = kernel, .kernel_size = sizeof(kernel), .option_rom = roms,
		.option_rom_count = 1, .boot_order = "/pci@i0cf8/scsi@3\nHALT", .boot_menu = true,
		.boot_menu_ms = 0x1234,
	};
	struct vm *vm = make();
	uint8_t setup[1024];
	char why[80];

	(void)state;
	kernel[0x1f1] = 1;
	memcpy(kernel + 0x1fe, "\x55\xaa", 2);
	memcpy(kernel + 0x202, "HdrS\x0f\x02", 6);
	assert_int_equal(vm_load_image(vm, &i, why, sizeof(why)), 0);
	assert_true(file_has(vm, "bootorder", "/rom@genroms/some.bin\n/pci@i0cf8/scsi@3\nHALT"));
	assert_int_equal(select_file(vm, "bootorder"), 22 + 22 + 1);
	assert_int_equal(select_file(vm, "etc/boot-menu-wait"), 2);
	assert_int_equal(next(vm), 0x34);
	bus_write(vm, HOST_PORT, 0x510, 2, VFWCFG_BOOT_MENU);
	assert_int_equal(next(vm), 1);
	bus_write(vm, HOST_PORT, 0x510, 2, VFWCFG_SETUP_DATA);
	for (unsigned k = 0; k < sizeof(setup); k++)
		setup[k] = next(vm);
	assert_int_equal(setup[0x210], 0xff);
	assert_int_equal(setup[0x211] & 0x80, 0x80);
	assert_memory_equal(setup + 0x224, "\x00\xfe", 2);
	assert_memory_equal(setup + 0x228, "\x00\x00\x02\x00", 4);
	assert_int_equal(kernel[0x210], 0);
	vm_put(vm);
}

/* It is there and asleep. */
static void test_mouse(void **state)
{
	struct vm *vm = make();

	(void)state;
	assert_int_equal(machine_mouse(vm, 1, 1, 0, 0), -EPERM);
	assert_int_equal(machine_mouse(vm, 1, 1, 0, 0x20), -EINVAL);
	vm_put(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_no_memory), cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_shadow_no_memory), cmocka_unit_test(test_flash),
		cmocka_unit_test(test_pirqs), cmocka_unit_test(test_window),
		cmocka_unit_test(test_hpet), cmocka_unit_test(test_chipset),
		cmocka_unit_test(test_files), cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_mouse),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
