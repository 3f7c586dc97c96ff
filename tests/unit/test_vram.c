/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/emulate*.c vdev/vmch.c vdev/vlpc.c vdev/vflash.c vdev/vacpi_loader.c
 * vdev/vsmbios.c vmm/firmware/shadow.c vmm/vram.c vmm/firmware/acpi_files.c
 * vmm/insn/breakpoint.c vmm/vm.c vmm/life.c vmm/vm_image.c vmm/vm_state.c vmm/vm_stats.c
 * vmm/vm_quiesce.c vmm/vm_memory.c kernel/hwstate.c vmm/vcpu*.c vdev/vpvpanic.c vdev/vtestdev.c
 * vdev/vdebug_exit.c vdev/vedu.c kernel/sched_group.c vmm/vlapic/vlapic*.c vmm/msr.c vmm/mtrr.c
 * vmm/cpuid.c vmm/cpu_model.c vmm/pvclock.c vmm/event.c vmm/bus.c vmm/machine*.c
 * vmm/vdev_host.c vmm/vm_balloon.c vmm/media*.c vmm/vm_copy.c kernel/random.c lib/chacha.c
 * vdev/virtio/virtio*.c vmm/regs.c vdev/vframe.c vdev/vinbox.c vdev/ve1000*.c vmm/exit.c
 * vmm/gmem/gmem*.c vmm/insn/fetch.c vmm/insn/gwalk.c vmm/insn/decode.c vmm/load/load*.c
 * vmm/firmware/firmware.c vmm/firmware/memory_map.c vdev/vmp_table.c
 * build/gen/vmm/firmware/bios/bios.bin.c lib/record.c lib/format.c mm/paging.c mm/paging_host.c
 * mm/paging_npt.c mm/paging_ept.c mm/page.c mm/page_intake.c vdev/vpic.c vdev/vioapic.c
 * vdev/vpit.c vdev/vahci*.c vdev/vata*.c vdev/vnvme*.c vdev/vide*.c vdev/vrtc.c vdev/vuart.c
 * vdev/vkbd.c vdev/vmouse.c vdev/vhpet.c vdev/vtco.c vdev/vsmbus.c vdev/vdma.c vdev/vps2.c
 * vdev/vacpi.c vdev/vacpi_tables.c vdev/vpci*.c vdev/vpost.c vdev/vvga*.c vmm/firmware/fwcfg.c
 * vdev/vfwcfg.c build/gen/vdev/dsdt.aml.c tests/host/fake_ops.c tests/host/one_thread.c
 * tests/host/heap.c tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/panic.c tests/host/log.c tests/host/tsc.c */
/*
 * vmm/vram: video memory is memory where its BAR is, wherever that is moved; behind RAM and behind
 * who comes first in the machine, where the device has the accesses; and its contents stay.
 */
#include "tests/host/vm_test.h"

#include "vmm/firmware/memory_map.h"
#include "vmm/machine.h"
#include "vmm/vram.h"

#define SIZE		(1 * MIB)
#define AT		0xe0000000ul
#define SCREEN		(MEMORY_ECAM + (1ul << 15))
#define EDU		(MEMORY_ECAM + (2ul << 15))
#define BAR0		0x10
#define COMMAND		4

static struct vm *create(uint64_t vram)
{
	static const struct machine_row row[] = {
		{ .class = "edu", .slot = { 0, 2, 0 } },
		{ .class = MACHINE_VGA, .slot = { 0, 1, 0 } },
	};
	struct vm_config c = {
		.name = "test", .vcpus = 1, .memory = 16 * MIB, .device = row,
		.device_count = ARRAY_COUNT(row), .vram = vram,
	};
	struct vm *vm = NULL;

	features.physical_bits = 40;
	features.vendor = VENDOR_AMD;
	if (!vm_create(&c, &vm))
		machine_firmware_registers(vm);
	return vm;
}

static void bar(struct vm *vm, uint64_t function, uint64_t at)
{
	bus_write(vm, HOST_MMIO, function + BAR0, 4, at);
	bus_write(vm, HOST_MMIO, function + COMMAND, 2, at ? 2 : 0);
}

static bool shown(struct vm *vm, uint64_t at)
{
	uint64_t seen = 0, there = 0;
	bool ram = gmem_is_ram(&vm->gmem, GPA(at), GMEM_WRITE);

	assert_int_equal(gmem_is_ram(&vm->gmem, GPA(at + SIZE - 1), GMEM_WRITE), ram);
	if (!ram)
		return false;
	assert_int_equal(gmem_read(&vm->gmem, GPA(at + 4096), &seen, 8), 0);
	assert_int_equal(vram_read(vm, 4096, &there, 8), 0);
	assert_int_equal(seen, there);
	return true;
}

static void moved(void **state)
{
	struct vm *vm = create(SIZE);
	uint64_t value = 0x1122334455667788, got = 0;

	(void)state;
	assert_false(shown(vm, AT));
	bar(vm, SCREEN, AT);
	assert_true(shown(vm, AT));
	assert_int_equal(gmem_write(&vm->gmem, GPA(AT + 4096), &value, 8), 0);
	assert_true(shown(vm, AT));
	bar(vm, SCREEN, AT + SIZE);
	assert_false(shown(vm, AT));
	assert_true(shown(vm, AT + SIZE));
	assert_int_equal(gmem_read(&vm->gmem, GPA(AT + SIZE + 4096), &got, 8), 0);
	assert_int_equal(got, value);
	bar(vm, SCREEN, 0);
	assert_false(shown(vm, AT + SIZE));
	assert_int_equal(vram_read(vm, 4096, &got, 8), 0);
	assert_int_equal(got, value);
	bar(vm, SCREEN, AT);
	machine_reset(vm);
	assert_false(shown(vm, AT));
	vm_put(vm);
}

/* The last of RAM stays RAM; the device has its accesses, and what is written is there. */
static void behind_ram(void **state)
{
	struct vm *vm = create(SIZE);
	uint64_t value = 0x55, got = 0;

	(void)state;
	assert_int_equal(gmem_write(&vm->gmem, GPA(15 * MIB), &value, 8), 0);
	bar(vm, SCREEN, 15 * MIB);
	assert_int_equal(gmem_read(&vm->gmem, GPA(15 * MIB), &got, 8), 0);
	assert_int_equal(got, 0x55);
	assert_int_equal(bus_read(vm, HOST_MMIO, 15 * MIB, 8), 0);
	bus_write(vm, HOST_MMIO, 15 * MIB + 8, 4, 0x12345678);
	assert_int_equal(vram_read(vm, 8, &got, 4), 0);
	assert_int_equal(got & 0xffffffff, 0x12345678);
	assert_int_equal(bus_read(vm, HOST_MMIO, 15 * MIB + 8, 4), 0x12345678);
	bar(vm, SCREEN, 16 * MIB);
	assert_true(shown(vm, 16 * MIB));
	vm_put(vm);
}

/* Another comes first in the machine and has a part of the place; it is shown when that moves. */
static void behind_another(void **state)
{
	struct vm *vm = create(SIZE);

	(void)state;
	bar(vm, SCREEN, AT);
	assert_true(shown(vm, AT));
	bar(vm, EDU, AT);
	assert_false(shown(vm, AT));
	assert_int_equal(bus_read(vm, HOST_MMIO, AT, 4), 0x010000ed);
	bar(vm, EDU, AT + 2 * SIZE);
	assert_true(shown(vm, AT));
	vm_put(vm);
}

static void bounds(void **state)
{
	static const uint64_t wrong[] = { 4096, SIZE / 2, 3 * SIZE, 128 * SIZE, SIZE + 4096 };
	struct vm *vm = create(SIZE);
	uint8_t byte = 1;

	(void)state;
	assert_int_equal(vram_write(vm, SIZE - 1, &byte, 1), 0);
	assert_int_equal(vram_write(vm, SIZE, &byte, 1), -EINVAL);
	assert_int_equal(vram_write(vm, SIZE - 1, &byte, 2), -EINVAL);
	assert_int_equal(vram_write(vm, ~0ul, &byte, 1), -EINVAL);
	assert_int_equal(vram_read(vm, SIZE, &byte, 1), -EINVAL);
	assert_int_equal(vram_read(vm, ~0ul, &byte, 2), -EINVAL);
	vm_put(vm);
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++)
		assert_null(create(wrong[i]));
}

/* Whatever allocation fails while it moves, the next change sets right. */
static void short_of_memory(void **state)
{
	struct vm *vm = create(SIZE);

	(void)state;
	for (unsigned left = 0; left < 12; left++) {
		bar(vm, SCREEN, AT);
		assert_true(shown(vm, AT));
		host_heap_left = left;
		bar(vm, SCREEN, AT + SIZE);
		host_heap_left = ~0u;
		bar(vm, SCREEN, AT + 2 * SIZE);
		assert_false(shown(vm, AT));
		assert_false(shown(vm, AT + SIZE));
		assert_true(shown(vm, AT + 2 * SIZE));
	}
	vm_put(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moved),
		cmocka_unit_test(behind_ram),
		cmocka_unit_test(behind_another),
		cmocka_unit_test(bounds),
		cmocka_unit_test(short_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
