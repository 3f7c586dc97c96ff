/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/emulate*.c vdev/vmch.c vdev/vlpc.c vdev/vflash.c vdev/vacpi_loader.c
 * vdev/vsmbios.c vmm/firmware/shadow.c vmm/vram.c vdev/vvga*.c vmm/firmware/acpi_files.c
 * vmm/insn/breakpoint.c vmm/vm.c vmm/life.c vmm/vm_image.c vmm/vm_state.c vmm/vm_stats.c
 * vmm/vm_quiesce.c vmm/vm_memory.c kernel/hwstate.c vmm/vcpu*.c vdev/vpvpanic.c vdev/vtestdev.c
 * vdev/vdebug_exit.c vdev/vedu.c kernel/sched_group.c vmm/vlapic/vlapic*.c vmm/msr.c vmm/mtrr.c
 * vmm/cpuid.c vmm/cpu_model.c vmm/pvclock.c vmm/event.c vmm/bus.c vmm/machine*.c vmm/vdev_host.c
 * vmm/vm_balloon.c vmm/media*.c vmm/vm_copy.c kernel/random.c lib/chacha.c vdev/virtio/virtio*.c
 * vmm/regs.c vdev/vframe.c vdev/vinbox.c vdev/ve1000*.c vmm/exit.c vmm/gmem/gmem*.c
 * vmm/insn/fetch.c vmm/insn/gwalk.c vmm/insn/decode.c vmm/load/load*.c vmm/firmware/firmware.c
 * vmm/firmware/memory_map.c vdev/vmp_table.c build/gen/vmm/firmware/bios/bios.bin.c lib/record.c
 * lib/format.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c mm/page.c
 * mm/page_intake.c vdev/vpic.c vdev/vioapic.c vdev/vpit.c vdev/vahci*.c vdev/vata*.c
 * vdev/vnvme*.c vdev/vide*.c vdev/vrtc.c vdev/vuart.c vdev/vkbd.c vdev/vmouse.c vdev/vps2.c
 * vdev/vacpi.c vdev/vacpi_tables.c vdev/vpci*.c vdev/vpost.c vmm/firmware/fwcfg.c vdev/vfwcfg.c
 * vdev/vtco.c vdev/vsmbus.c vdev/vdma.c
 * build/gen/vdev/dsdt.aml.c tests/host/fake_ops.c tests/host/one_thread.c tests/host/heap.c
 * tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c
 * tests/host/log.c tests/host/tsc.c vdev/vhpet.c */
/*
 * vmm/machine, machine_slot: rows of PCI devices get their slots, and the lines that follow from
 * these; rows that cannot be are refused with the reason, before a vm is made of them and then,
 * too. vmm/vdev_host: work is done while the vm runs alone.
 */
#include "tests/host/vm_test.h"

#include <string.h>

#include "vdev/vhpet.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/machine.h"

#define PORT(d, f)	{ .class = "pcie-root-port", .slot = { 0, d, f } }

static int create(const struct machine_row *row, unsigned n, struct vm **out)
{
	struct vm_config c = {
		.name = "test", .vcpus = 1, .memory = 16 * MIB, .device = row, .device_count = n,
	};

	features.physical_bits = 40;
	features.vendor = VENDOR_AMD;
	return vm_create(&c, out);
}

/* And the chipset as firmware leaves it. */
static int create_ready(const struct machine_row *row, unsigned n, struct vm **out)
{
	int err = create(row, n, out);

	if (!err)
		machine_firmware_registers(*out);
	return err;
}

static uint64_t config(struct vm *vm, unsigned bus, unsigned slot, unsigned function, unsigned reg)
{
	return bus_read(vm, HOST_MMIO,
			MEMORY_ECAM + (bus << 20 | slot << 15 | function << 12 | reg), 4);
}

static void slots(void **state)
{
	static const struct machine_row row[] = { PORT(0x1c, 0), PORT(0x1c, 1), PORT(0x1f, 7) };
	struct vm *vm = NULL;

	(void)state;
	assert_int_equal(create_ready(row, ARRAY_COUNT(row), &vm), 0);
	assert_int_equal(config(vm, 0, 0, 0, 0), 0x29c08086);
	assert_int_equal(config(vm, 0, 0x1c, 0, 0), 0x000c1b36);
	assert_int_equal(config(vm, 0, 0x1c, 1, 0), 0x000c1b36);
	assert_int_equal(config(vm, 0, 0x1f, 7, 0), 0x000c1b36);
	assert_int_equal(config(vm, 0, 0x1c, 2, 0), 0xffffffff);
	for (unsigned bus = 1; bus < 256; bus++)
		assert_int_equal(config(vm, bus, 0, 0, 0), 0xffffffff);
	assert_int_equal(machine_buses(vm), 4);
	assert_int_equal(machine_mouse(vm, 1, 1, 0, 0), -ENOSYS);	/* it starts directly */
	vm_put(vm);
}

static const struct { struct machine_row row[3]; const char *says; int err; } wrong[] = {
	{ { { .class = "none" } }, "'none': pcie-root-port, edu, pci-testdev, virtio-", -ENODEV },
	{ { { .class = "isa-serial", .base = 0x3f8 } }, "there is no device 'isa-serial'", -EEXIST },
	{ { PORT(0, 0) }, "pcie-root-port at 0:0.0: the host bridge is there", -EBUSY },
	{ { PORT(32, 0) }, "at 0:20.0: a device's number is at most 1f", -EINVAL },
	{ { PORT(1, 8) }, "a function's at most 7", -EINVAL },
	{ { PORT(1, 0), PORT(1, 1), PORT(1, 0) }, "at 0:1.0: another device is there", -EBUSY },
	{ { PORT(1, 0), { .class = "pcie-root-port", .slot = { 2, 0, 0 } } },
	  "at 2:0.0: bus N is behind the Nth root port", -ENODEV },
	{ { PORT(1, 0), { .class = "pcie-root-port", .slot = { 1, 1, 0 } } },
	  "behind a root port there is device 0 alone", -EINVAL },
	{ { PORT(1, 0), { .class = "pcie-root-port", .slot = { 1, 0, 0 } } },
	  "a root port must be on bus 0", -EINVAL },
};

/* Whoever starts on it: firmware may be added to a configuration. */
static const struct machine_row smbus_place = PORT(0x1f, 3);

static void refused(void **state)
{
	struct vm *vm = NULL;
	char why[160];

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
		unsigned n = 0;

		while (n < 3 && wrong[i].row[n].class)
			n++;
		assert_int_equal(machine_slot_check(wrong[i].row, n, why, sizeof(why)), -EINVAL);
		if (!strstr(why, wrong[i].says))
			fail_msg("%s", why);
		assert_int_equal(create(wrong[i].row, n, &vm), wrong[i].err);
	}
	assert_int_equal(machine_slot_check(&smbus_place, 1, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "the SMBus controller is there"));
}

/* As many as are let through can be made, with what a configuration may add without a slot. */
static void many(void **state)
{
	static struct machine_row row[MACHINE_DEVICE_MAX + 1];
	struct vm *vm = NULL;
	unsigned n = 0;
	char why[160];

	(void)state;
	for (; n < ARRAY_COUNT(row); n++) {
		row[n] = (struct machine_row)PORT((uint8_t)(1 + n / 8), n % 8);
		if (machine_slot_check(row, n + 1, why, sizeof(why)))
			break;
	}
	assert_string_equal(strstr(why, "there are"), "there are too many devices");
	row[n] = (struct machine_row){ .class = "pc-testdev" };
	row[n + 1] = (struct machine_row){ .class = "isa-debug-exit" };
	assert_int_equal(create(row, n + 2, &vm), 0);
	vm_put(vm);
}

#define EDU	(MEMORY_ECAM + (1ul << 20))	/* on bus 1, that of the port */
#define PORT_AT	(MEMORY_ECAM + (0x1cul << 15))
#define BAR	0xd0000000ul
#define DMA	0x98

static void edu_open(struct vm *vm)
{
	bus_write(vm, HOST_MMIO, PORT_AT + 0x18, 4, 0x10100);
	bus_write(vm, HOST_MMIO, PORT_AT + 0x20, 4, 0xd000d000);
	bus_write(vm, HOST_MMIO, PORT_AT + 4, 2, 6);
	bus_write(vm, HOST_MMIO, EDU + 0x10, 4, BAR);
	bus_write(vm, HOST_MMIO, EDU + 4, 2, 6);
	assert_int_equal(bus_read(vm, HOST_MMIO, BAR, 4), 0x010000ed);
}

static void edu_start(struct vm *vm, uint64_t from, uint64_t to, uint32_t command)
{
	bus_write(vm, HOST_MMIO, BAR + 0x80, 8, from);
	bus_write(vm, HOST_MMIO, BAR + 0x88, 8, to);
	bus_write(vm, HOST_MMIO, BAR + 0x90, 8, 8);
	bus_write(vm, HOST_MMIO, BAR + DMA, 4, command);
}

static void work_and_pause(void **state)
{
	static const struct machine_row row[] = {
		PORT(0x1c, 0), { .class = "edu", .slot = { 1, 0, 0 } },
	};
	uint64_t sent = 0x1122334455667788, got = 0;
	struct vm *vm = NULL;

	(void)state;
	assert_int_equal(create(row, ARRAY_COUNT(row), &vm), 0);
	machine_firmware_registers(vm);
	run_clock(vm);
	edu_open(vm);
	assert_int_equal(bus_read(vm, HOST_MMIO, VHPET_BASE, 4), ~0u);	/* without firmware */
	assert_int_equal(gmem_write(&vm->gmem, GPA(0x1000), &sent, 8), 0);
	edu_start(vm, 0x1000, 0x40000, 1);
	fake_work_run();
	assert_int_equal(bus_read(vm, HOST_MMIO, BAR + DMA, 4), 0);
	edu_start(vm, 0x40000, 0x2000, 3);
	fake_pause(vm);
	fake_work_run();
	assert_int_equal(bus_read(vm, HOST_MMIO, BAR + DMA, 4), 3);
	assert_int_equal(gmem_read(&vm->gmem, GPA(0x2000), &got, 8), 0);
	assert_int_equal(got, 0);
	assert_int_equal(vm_resume(vm), 0);
	fake_work_run();
	assert_int_equal(bus_read(vm, HOST_MMIO, BAR + DMA, 4), 2);
	assert_int_equal(gmem_read(&vm->gmem, GPA(0x2000), &got, 8), 0);
	assert_int_equal(got, sent);
	edu_start(vm, 0x40000, 0x3000, 3);
	vm_destroy(vm, NULL, NULL);		/* what waits goes with it */
	fake_work_run();
	vm_put(vm);
}

static void free_slots(void **state)
{
	static struct machine_row row[MACHINE_DEVICE_MAX];
	struct machine_slot s;
	unsigned n = 1;

	(void)state;
	row[0] = (struct machine_row)PORT(4, 1);
	assert_int_equal(machine_slot_free(row, n, MACHINE_SLOT_SCREEN, &s), 0);
	assert_int_equal(s.device, MACHINE_SLOT_SCREEN);
	assert_int_equal(machine_slot_free(row, n, 4, &s), 0);
	assert_int_not_equal(s.device, 4);
	while (!machine_slot_free(row, n, 0, &s)) {
		assert_true(!s.bus && !s.function);
		assert_true(s.device > 2 && s.device != 4 && s.device < 0x1c);
		row[n++] = (struct machine_row){ .class = "edu", .slot = s };
	}
	assert_int_equal(n, 1 + 24);
	row[0].slot.bus = 1;			/* elsewhere */
	assert_int_equal(machine_slot_free(row, n, 0, &s), 0);
	assert_int_equal(s.device, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots),
		cmocka_unit_test(refused),
		cmocka_unit_test(many),
		cmocka_unit_test(work_and_pause), cmocka_unit_test(free_slots),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
