/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/vm.c vmm/life.c vmm/vm_image.c vmm/vm_state.c vmm/vm_stats.c
 * vmm/vm_quiesce.c vmm/vm_memory.c kernel/hwstate.c vmm/vcpu*.c vdev/vpvpanic.c vdev/vtestdev.c
 * vdev/vdebug_exit.c vdev/vedu.c kernel/sched_group.c vdev/vmch.c vdev/vlpc.c
 * vdev/vacpi_loader.c vdev/vsmbios.c vmm/firmware/shadow.c vmm/vram.c vdev/vvga*.c
 * vmm/firmware/acpi_files.c vdev/vflash.c vmm/vlapic/vlapic*.c vmm/msr.c vmm/mtrr.c vmm/cpuid.c
 * vmm/cpu_model.c vmm/pvclock.c vmm/event.c vmm/bus.c vmm/machine*.c vmm/vdev_host.c
 * vmm/vm_balloon.c vmm/media*.c vmm/vm_copy.c kernel/random.c lib/chacha.c vdev/virtio/virtio*.c
 * vmm/regs.c vdev/vframe.c vdev/vinbox.c vdev/ve1000*.c vmm/exit.c vmm/gmem/gmem*.c
 * vmm/insn/emulate*.c vmm/insn/fetch.c vmm/insn/gwalk.c vmm/insn/decode.c vmm/load/load*.c
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
 * The local APIC of a vCPU on a back end without a chip, by the manual's tables: what its timer
 * does while it is written to, which bits each register has in x2APIC mode, where its window lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/vm_test.h"
#include "vmm/exit.h"
#include "vmm/insn/emulate.h"
#include "vmm/machine.h"
#include "vmm/msr.h"
#include "vmm/vlapic/vlapic_bits.h"

static void take(struct vcpu *v, unsigned vector)
{
	assert_int_equal(vlapic_pending(v), vector);
	vlapic_accept(v, vector);
	vlapic_write(v, REG_EOI, 0);
}

/* ---- timer ---- */

/* A deadline that is past already is there at the next instruction, also if the TSC jumps over. */
static void deadline_past(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0x42 | TIMER_DEADLINE << 17);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t tsc = (host_tsc += 1000, vcpu_guest_tsc(v));

		assert_int_equal(msr_write(v, MSR_TSC_DEADLINE, i ? tsc + 5000 : tsc), 0);
		if (i)
			assert_int_equal(msr_write(v, MSR_TSC, tsc + 5000), 0);
		assert_int_equal(v->vlapic.tsc_deadline, 0);
		assert_false(timer_armed(&v->vlapic.timer));
		take(v, 0x42);
	}
	/* Masked it is over all the same. */
	vlapic_write(v, REG_LVT_TIMER, LVT_MASKED | 0x42 | TIMER_DEADLINE << 17);
	assert_int_equal(msr_write(v, MSR_TSC_DEADLINE, 1), 0);
	assert_int_equal(v->vlapic.tsc_deadline, 0);
	assert_int_equal(vlapic_pending(v), -1);
	vm_put(vm);
}

static const uint8_t divide_codes[] = { 0, 1, 2, 3, 8, 9, 10, 11 };	/* by 2, 4 ... 128, 1 */

static unsigned divides_by(unsigned i)
{
	return i == 7 ? 1 : 2 << i;
}

/* Another divider for a count under way, in the middle of a step. */
static void divider_changes(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	for (unsigned i = 0; i < 2 * 8 * 8; i++) {
		unsigned from = i / 2 % 8, to = i / 16;
		uint32_t left = 1000000 - (128 * 1000 - 1) / divides_by(from);

		vlapic_write(v, REG_LVT_TIMER, 0x40 | (i & 1 ? TIMER_PERIODIC << 17 : 0));
		vlapic_write(v, REG_TIMER_DIVIDE, divide_codes[from]);
		start_timer(v, 1000000);
		assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 1000000);
		host_tsc += 128 * 1000 - 1;
		vlapic_write(v, REG_TIMER_DIVIDE, divide_codes[to]);
		assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), left);
		host_tsc += (uint64_t)left * divides_by(to) - 1;
		fake_timers_run();
		assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 1);
		assert_int_equal(vlapic_pending(v), -1);
		host_tsc += 1;
		fake_timers_run();
		take(v, 0x40);
	}
	vm_put(vm);
}

/* The time that Keel takes for the write is part of the count, were it all of it. */
static void counts_from_the_exit(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_TIMER_DIVIDE, 11);
	vlapic_write(v, REG_LVT_TIMER, 0x40);
	v->exit_tsc = host_tsc;
	host_tsc += 300;
	vlapic_write(v, REG_TIMER_INITIAL, 1000);
	assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 700);
	host_tsc += 699;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), -1);
	host_tsc += 1;
	fake_timers_run();
	take(v, 0x40);
	v->exit_tsc = host_tsc;
	host_tsc += 300;
	vlapic_write(v, REG_TIMER_INITIAL, 200);
	fake_timers_run();
	take(v, 0x40);
	assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 0);
	vm_put(vm);
}

/* From one-shot to periodic and back the count goes on; TSC-deadline mode ends it. */
static void mode_changes(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_TIMER_DIVIDE, 11);
	for (unsigned periodic = 0; periodic < 2; periodic++) {
		uint32_t from = 0x40 | (periodic ? TIMER_PERIODIC << 17 : 0);

		vlapic_write(v, REG_LVT_TIMER, from);
		start_timer(v, 1000000);
		host_tsc += 400000;
		vlapic_write(v, REG_LVT_TIMER, from ^ 1 << 17);
		assert_int_equal(vlapic_read(v, REG_TIMER_INITIAL), 1000000);
		assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 600000);
		host_tsc += 600000;
		fake_timers_run();
		take(v, 0x40);
		assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), periodic ? 0 : 1000000);
		/* What has ended does not begin again. */
		vlapic_write(v, REG_LVT_TIMER, from | LVT_MASKED);
		host_tsc += 2500000;
		fake_timers_run();
		assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 0);
		vlapic_write(v, REG_LVT_TIMER, 0x40 | TIMER_DEADLINE << 17);
		assert_int_equal(vlapic_read(v, REG_TIMER_INITIAL), 0);
		assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 0);
		vlapic_write(v, REG_LVT_TIMER, 0x40);
		assert_int_equal(vlapic_read(v, REG_TIMER_INITIAL), 0);
	}
	/* Masked and periodic it rests; as a one-shot it goes on from where it would be. */
	vlapic_write(v, REG_LVT_TIMER, 0x40 | LVT_MASKED | TIMER_PERIODIC << 17);
	start_timer(v, 1000000);
	host_tsc += 2500000;
	fake_timers_run();
	assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 500000);
	vlapic_write(v, REG_LVT_TIMER, 0x40);
	assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 500000);
	host_tsc += 500000;
	fake_timers_run();
	take(v, 0x40);
	vm_put(vm);
}

/* ---- x2APIC's registers ---- */

#define X2APIC_ON	(VLAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC)

/* The manual's table: each MSR, can it be read, and its bits that a write may set. */
static const struct {
	uint16_t first, last;
	bool read, write;
	uint64_t bits;
} registers[] = {
	{ 0x02, 0x02, true, false, 0 },			/* id */
	{ 0x03, 0x03, true, false, 0 },			/* version */
	{ 0x08, 0x08, true, true, 0xff },		/* TPR */
	{ 0x0a, 0x0a, true, false, 0 },			/* PPR */
	{ 0x0b, 0x0b, false, true, 0 },			/* EOI */
	{ 0x0d, 0x0d, true, false, 0 },			/* LDR */
	{ 0x0f, 0x0f, true, true, 0x3ff },		/* SVR */
	{ 0x10, 0x27, true, false, 0 },			/* ISR, TMR, IRR */
	{ 0x28, 0x28, true, true, 0 },			/* ESR */
	{ 0x30, 0x30, true, true, 0xffffffff000ccfff },	/* ICR */
	{ 0x32, 0x32, true, true, 0x000710ff },		/* LVT timer */
	{ 0x33, 0x34, true, true, 0x000117ff },		/* thermal, performance */
	{ 0x35, 0x36, true, true, 0x0001f7ff },		/* LINT0, LINT1 */
	{ 0x37, 0x37, true, true, 0x000110ff },		/* error */
	{ 0x38, 0x38, true, true, 0xffffffff },		/* initial count */
	{ 0x39, 0x39, true, false, 0 },			/* current count */
	{ 0x3e, 0x3e, true, true, 0xb },		/* divider */
	{ 0x3f, 0x3f, false, true, 0xff },		/* self IPI */
};

static int row_of(unsigned reg)
{
	for (unsigned i = 0; i < ARRAY_COUNT(registers); i++)
		if (reg >= registers[i].first && reg <= registers[i].last)
			return (int)i;
	return -1;
}

static void x2apic_bits(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	uint64_t value;

	(void)state;
	run_clock(vm);
	for (uint32_t msr = 0x800; msr < 0x900; msr++)
		assert_int_equal(msr_read(v, msr, &value), -EINVAL);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, X2APIC_ON), 0);
	for (unsigned reg = 0; reg < 0x100; reg++) {
		int row = row_of(reg);
		bool write = row >= 0 && registers[row].write;

		assert_int_equal(msr_read(v, 0x800 + reg, &value),
				 row >= 0 && registers[row].read ? 0 : -EINVAL);
		assert_int_equal(msr_write(v, 0x800 + reg, 0), write ? 0 : -EINVAL);
		for (unsigned bit = 0; bit < 64; bit++)
			assert_int_equal(msr_write(v, 0x800 + reg, BIT(bit)),
					 write && registers[row].bits & BIT(bit) ? 0 : -EINVAL);
	}
	/* What is read-only is not stored. */
	assert_int_equal(msr_write(v, 0x80f, SVR_ENABLE | 0xff), 0);
	assert_int_equal(msr_write(v, 0x835, 0x0001f7ff), 0);
	assert_int_equal(msr_read(v, 0x835, &value), 0);
	assert_int_equal(value, 0x0001a7ff);
	vm_put(vm);
}

/* ---- base ---- */

static void base_transitions(void **state)
{
	static const uint64_t mode[] = {
		0, APIC_BASE_ENABLE, APIC_BASE_X2APIC, APIC_BASE_ENABLE | APIC_BASE_X2APIC,
	};
	static const bool legal[4][4] = {	/* from, to */
		{ true, true, false, false },
		{ true, true, false, true },
		{ false, false, false, false },
		{ true, false, false, true },
	};
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	uint64_t value;

	(void)state;
	run_clock(vm);
	for (unsigned i = 0; i < 16; i++) {
		unsigned from = i / 4, to = i % 4;

		if (from == 2)
			continue;
		vlapic_base_set(v, VLAPIC_BASE | mode[from]);
		assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE | mode[to]),
				 legal[from][to] ? 0 : -EINVAL);
		assert_int_equal(msr_read(v, MSR_APIC_BASE, &value), 0);
		assert_int_equal(value, VLAPIC_BASE | APIC_BASE_BSP |
				 mode[legal[from][to] ? to : from]);
	}
	vlapic_base_set(v, VLAPIC_BASE | APIC_BASE_ENABLE);
	for (unsigned bit = 0; bit < 64; bit++)
		if (bit != 8 && bit != 10)
			assert_int_equal(msr_write(v, MSR_APIC_BASE,
						   (VLAPIC_BASE | APIC_BASE_ENABLE) | BIT(bit)),
					 bit >= 12 && bit < 40 ? 0 : bit == 11 ? 0 : -EINVAL);
	vm_put(vm);
}

/* Off and on again it is as after a reset; meanwhile no message arrives, and the 8259's do. */
static void off_and_on(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0x40);
	start_timer(v, 1000);
	vlapic_write(v, REG_TPR, 0x20);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE), 0);
	host_tsc += 100000;
	fake_timers_run();
	assert_false(vlapic_message(vm, VLAPIC_BASE, 0x55));
	assert_false(vlapic_message(vm, VLAPIC_BASE, DELIVERY_INIT << 8));
	assert_int_equal(v->requests & (VCPU_REQ_INIT | VCPU_REQ_SIPI), 0);
	assert_int_equal(vlapic_pending(v), -1);
	assert_true(vlapic_extint_open(v));
	exit_mmio_write(v, GPA(VLAPIC_BASE + REG_TPR), 4, 0x50);
	assert_int_equal(v->vlapic.tpr, 0);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE | APIC_BASE_ENABLE), 0);
	assert_int_equal(vlapic_read(v, REG_SVR), 0xff);
	assert_int_equal(vlapic_read(v, REG_LVT_TIMER), LVT_MASKED);
	assert_int_equal(vlapic_read(v, REG_TIMER_INITIAL), 0);
	exit_mmio_write(v, GPA(VLAPIC_BASE + REG_TPR), 4, 0x50);
	assert_int_equal(v->vlapic.tpr, 0x50);
	vm_put(vm);
}

static struct vm *make_shaped(struct cpu_topology t)
{
	struct vm_config c = {
		.name = "shaped", .vcpus = (unsigned)cpu_topology_vcpus(&t), .topology = t,
		.memory = 16 * MIB,
	};
	struct vm *vm = NULL;

	assert_int_equal(vm_create(&c, &vm), 0);
	return vm;
}

/* Where a level's count is no power of two the ids have gaps; register, CPUID and routes agree. */
static void ids_by_topology(void **state)
{
	static const uint32_t ids[] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13 };
	struct vm *vm = make_shaped((struct cpu_topology){ 2, 3, 2 });
	struct cpuid_regs r;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(ids); i++) {
		struct vcpu *v = vm->vcpu[i];

		assert_int_equal(vlapic_read(v, REG_ID), ids[i] << 24);
		cpuid_query(v, 1, 0, &r);
		assert_int_equal(r.ebx >> 16, ids[i] << 8 | 6);
		cpuid_query(v, 0xb, 0, &r);
		assert_true(r.eax == 1 && r.ebx == 2 && r.ecx == 0x100 && r.edx == ids[i]);
		cpuid_query(v, 0xb, 1, &r);
		assert_true(r.eax == 3 && r.ebx == 6 && r.ecx == 0x201 && r.edx == ids[i]);
		cpuid_query(v, 0x80000008, 0, &r);
		assert_int_equal(r.ecx, 3 << 12 | 5);
		assert_int_equal(vlapic_base_write(v, v->apic_base | APIC_BASE_X2APIC), 0);
		assert_int_equal(vlapic_read(v, REG_ID), ids[i]);
		assert_int_equal(vlapic_read(v, REG_LDR), 1u << ids[i]);
		vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
		assert_true(vlapic_message(vm, VLAPIC_BASE | ids[i] << 12, 0x40 + i));
		take(v, 0x40 + i);
	}
	assert_false(vlapic_message(vm, VLAPIC_BASE | 6 << 12, 0x40));
	vm_put(vm);
}

static void topologies_that_cannot_be(void **state)
{
	static const struct { unsigned vcpus; struct cpu_topology t; } bad[] = {
		{ 2, { 1, 1, 1 } }, { 2, { 2, 0, 1 } }, { 2, { 1, 1, 3 } }, { 0, { 1, 0, 0 } },
		{ 65, { 65, 1, 1 } },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		struct vm_config c = { .name = "bad", .vcpus = bad[i].vcpus, .topology = bad[i].t,
				       .memory = 16 * MIB };
		struct vm *vm = NULL;

		assert_int_equal(vm_create(&c, &vm), -EINVAL);
	}
}

/* One of those that are enabled has a message of lowest priority, each in its turn. */
static void lowest_in_turn(void **state)
{
	static const unsigned turns[] = { 1, 3, 0, 1, 3, 0 };
	struct vm *vm = make_shaped((struct cpu_topology){ 1, 4, 1 });

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		vlapic_write(vm->vcpu[i], REG_LDR, 1u << (24 + i));
		if (i != 2)
			vlapic_write(vm->vcpu[i], REG_SVR, SVR_ENABLE | 0xff);
	}
	for (unsigned i = 0; i < ARRAY_COUNT(turns); i++) {
		assert_true(vlapic_message(vm, VLAPIC_BASE | 0xf << 12 | BIT(2),
					   DELIVERY_LOWEST << 8 | 0x41));
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(vlapic_irr_any(&vm->vcpu[k]->vlapic), k == turns[i]);
		take(vm->vcpu[turns[i]], 0x41);
	}
	assert_false(vlapic_message(vm, VLAPIC_BASE | 4 << 12 | BIT(2),
				    DELIVERY_LOWEST << 8 | 0x41));
	vm_put(vm);
}

/* The window moves to where nothing is, and answers at the new place alone; over RAM nowhere. */
static void window_moves(void **state)
{
	static const uint64_t to[] = { 0xfed80000, 0x200000000, 0xff7ffff000 };
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	uint64_t value;

	(void)state;
	run_clock(vm);
	for (unsigned i = 0; i < ARRAY_COUNT(to); i++) {
		assert_int_equal(msr_write(v, MSR_APIC_BASE, to[i] | APIC_BASE_ENABLE), 0);
		exit_mmio_write(v, GPA(to[i] + REG_TPR), 4, 0x10 + i);
		assert_int_equal(v->vlapic.tpr, 0x10 + i);
		assert_int_equal(exit_mmio_read(v, GPA(to[i] + REG_TPR), 4), 0x10 + i);
		exit_mmio_write(v, GPA(VLAPIC_BASE + REG_TPR), 4, 0x70);
		assert_int_equal(v->vlapic.tpr, 0x10 + i);
		assert_int_equal(exit_mmio_read(v, GPA(VLAPIC_BASE + REG_VERSION), 4), ~0u);
	}
	assert_int_equal(msr_write(v, MSR_APIC_BASE, 0x100000 | APIC_BASE_ENABLE), 0);
	assert_int_equal(msr_read(v, MSR_APIC_BASE, &value), 0);
	assert_int_equal(value, 0x100000 | APIC_BASE_ENABLE | APIC_BASE_BSP);
	exit_memory(v, GPA(0x100000 + REG_TPR), GMEM_WRITE);
	assert_false(v->event.pending.valid);
	assert_non_null(gmem_peek(&vm->gmem, GPA(0x100000), GMEM_WRITE));
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE | APIC_BASE_ENABLE), 0);
	exit_mmio_write(v, GPA(VLAPIC_BASE + REG_TPR), 4, 0x70);
	assert_int_equal(v->vlapic.tpr, 0x70);
	vm_put(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadline_past), cmocka_unit_test(divider_changes),
		cmocka_unit_test(counts_from_the_exit), cmocka_unit_test(mode_changes),
		cmocka_unit_test(x2apic_bits),
		cmocka_unit_test(base_transitions), cmocka_unit_test(off_and_on),
		cmocka_unit_test(window_moves), cmocka_unit_test(ids_by_topology),
		cmocka_unit_test(topologies_that_cannot_be), cmocka_unit_test(lowest_in_turn),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
