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
 * The life of a whole vm on a back end without a chip: its birth and all ways that it fails, the
 * bus and the machine, and ends that cross with what others still do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "kernel/sched_group.h"
#include "tests/host/vm_test.h"
#include "vdev/vpic.h"
#include "vmm/exit.h"
#include "vmm/machine.h"
#include "vmm/vdev_host.h"
#include "vmm/vlapic/vlapic_bits.h"

/* ---- bus and machine ---- */

static bool claimed(const struct vm *vm, uint64_t port)
{
	const struct bus_claims *c = vm->bus.space[HOST_PORT];

	for (unsigned i = 0; i < c->count; i++)
		if (port >= c->claim[i].base && port < c->claim[i].end)
			return true;
	return false;
}

static struct vdev *device_at(const struct vm *vm, uint64_t port)
{
	return bus_port_claim(&vm->bus, (unsigned)port, 1)->dev;
}

static void bus_rules(void **state)
{
	struct vm *vm = make_vm();
	struct vdev *pic = device_at(vm, 0x20);
	uint64_t before;

	(void)state;
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0xfffc, 8), -EINVAL);
	assert_int_equal(bus_claim(vm, HOST_MMIO, pic, 7, ~0ul - 4, 8), -EINVAL);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0xfff8, 8), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x1000, 8), 0);	/* moves */
	before = vm->bus.unclaimed[HOST_PORT];
	assert_int_equal(bus_read(vm, HOST_PORT, 0xfff8, 4), 0xffffffff);
	assert_int_equal(vm->bus.unclaimed[HOST_PORT], before + 4);
	/* Goes, wherever its register points. */
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x3fc, 0), 0);
	assert_int_equal(bus_read(vm, HOST_PORT, 0x1000, 1), 0xff);
	/* Half in, half out: each byte goes where it belongs. */
	bus_write(vm, HOST_PORT, 0x21, 1, 0xa5);
	assert_int_equal(bus_read(vm, HOST_PORT, 0x21, 2), 0xffa5);
	/* Claims that share a cell of the index, and the last port. */
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x3001, 2), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 8, 0x3003, 1), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 9, 0x3006, 0x11), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 10, 0xffff, 1), 0);
	for (unsigned port = 0; port < 0x10000; port++) {
		before = vm->bus.unclaimed[HOST_PORT];
		bus_read(vm, HOST_PORT, port, 1);
		assert_int_equal(vm->bus.unclaimed[HOST_PORT] - before, !claimed(vm, port));
	}
	vm_put(vm);
}

static bool answers(struct vm *vm, const struct vdev *d, unsigned region, uint64_t port)
{
	const struct bus_claim *c = bus_port_claim(&vm->bus, (unsigned)port, 1);

	return c && c->dev == d && c->region == region;
}

/* Who comes first in the machine has the place; the other has it as soon as he moves off. */
static void bus_wishes(void **state)
{
	struct vm *vm = make_vm();
	struct vdev *pic = device_at(vm, 0x20), *uart = device_at(vm, 0x3f8);
	struct vdev *last = device_at(vm, 0xf4);

	(void)state;
	assert_true(pic->order < uart->order && uart->order < last->order);
	/* Partly over another's: all of it waits, wherever it was before. */
	assert_int_equal(bus_claim(vm, HOST_PORT, last, 7, 0x1000, 8), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, last, 7, 0x3fc, 8), -EEXIST);
	assert_null(bus_port_claim(&vm->bus, 0x1000, 1));
	assert_null(bus_port_claim(&vm->bus, 0x402, 1));
	assert_true(answers(vm, uart, 0, 0x3fc));
	assert_int_equal(vm->bus.space[HOST_PORT]->waiting, 1);
	/* He moves off, and comes back. */
	assert_int_equal(bus_claim(vm, HOST_PORT, uart, 0, 0x2f8, 8), 0);
	assert_true(answers(vm, last, 7, 0x3fc) && answers(vm, last, 7, 0x403));
	assert_int_equal(vm->bus.space[HOST_PORT]->waiting, 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, uart, 0, 0x3f8, 8), 0);
	assert_true(answers(vm, uart, 0, 0x3ff));
	assert_null(bus_port_claim(&vm->bus, 0x400, 1));
	/* Three at one place: the second of them, then the third. A wish may be withdrawn. */
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x400, 4), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, uart, 0, 0x2f8, 0), 0);
	assert_true(answers(vm, pic, 7, 0x400));
	assert_null(bus_port_claim(&vm->bus, 0x3fc, 1));
	assert_int_equal(bus_claim(vm, HOST_PORT, uart, 0, 0x3f8, 12), -EEXIST);
	assert_int_equal(vm->bus.space[HOST_PORT]->waiting, 2);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0, 0), 0);
	assert_true(answers(vm, uart, 0, 0x403));
	assert_int_equal(vm->bus.space[HOST_PORT]->waiting, 1);
	assert_int_equal(bus_claim(vm, HOST_PORT, last, 7, 0, 0), 0);
	assert_int_equal(vm->bus.space[HOST_PORT]->waiting, 0);
	/* Wishes count against the limit. */
	for (unsigned i = 10; i < 250 && vm->bus.space[HOST_PORT]->waiting < 20; i++)
		assert_int_equal(bus_claim(vm, HOST_PORT, last, i, 0x20, 1), -EEXIST);
	for (unsigned i = 1; !bus_claim(vm, HOST_PORT, uart, i, 0x5000 + i, 1); i++)
		assert_true(i < BUS_CLAIM_MAX);
	assert_int_equal(vm->bus.space[HOST_PORT]->waiting, 20);
	assert_int_equal(vm->bus.space[HOST_PORT]->count, BUS_CLAIM_MAX - 20);
	vm_put(vm);
}

/* What is published follows from what is wanted, in whatever order it came to be. */
static void bus_wishes_have_no_history(void **state)
{
	struct vm *vm[2] = { make_vm(), make_vm() };
	uint64_t wanted[6];
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0; i < 6; i++) {
			seed = seed * 1103515245 + 12345;
			wanted[i] = 0x4000 + (seed >> 16) % 24;
		}
		for (unsigned i = 0; i < 12; i++) {
			unsigned a = i % 6, b = i < 6 ? 5 - a : (i * 5 + round) % 6;

			(void)!bus_claim(vm[0], HOST_PORT, device_at(vm[0], a % 2 ? 0x20 : 0xf4),
					 8 + a, wanted[a], 4);
			(void)!bus_claim(vm[1], HOST_PORT, device_at(vm[1], b % 2 ? 0x20 : 0xf4),
					 8 + b, wanted[b], 4);
		}
		for (unsigned port = 0x4000; port < 0x4020; port++) {
			const struct bus_claim *x = bus_port_claim(&vm[0]->bus, port, 1);
			const struct bus_claim *y = bus_port_claim(&vm[1]->bus, port, 1);

			assert_int_equal(!x, !y);
			assert_true(!x || (x->region == y->region && x->base == y->base));
		}
	}
	vm_put(vm[0]);
	vm_put(vm[1]);
}

/* ---- the machine's list ---- */

static int try_machine(const struct machine_row *row, unsigned n)
{
	struct vm_config c = {
		.name = "rows", .vcpus = 1, .memory = 16 * MIB, .device = row, .device_count = n,
	};
	struct vm *vm = NULL;
	int err = vm_create(&c, &vm);

	if (!err)
		vm_put(vm);
	return err;
}

static void machine_rows(void **state)
{
	static const struct machine_row unknown = { .class = "no-such-thing" };
	static const struct machine_row twice = { .class = "pvpanic" };
	static const struct machine_row second = {
		.class = "isa-serial", .base = 0x2f8, .line = { { 0, 3 } },
	};
	static const struct machine_row nowhere = {
		.class = "isa-serial", .base = 0x2f8, .line = { { 0, 24 } },
	};
	struct machine_row many[MACHINE_DEVICE_MAX];

	(void)state;
	assert_int_equal(try_machine(&unknown, 1), -ENODEV);
	assert_int_equal(try_machine(&twice, 1), -EEXIST);
	assert_int_equal(try_machine(&second, 1), 0);
	assert_int_equal(try_machine(&nowhere, 1), -EINVAL);
	/* A tenth source of one line, with the PC's own; too many devices. */
	for (unsigned i = 0; i < ARRAY_COUNT(many); i++)
		many[i] = (struct machine_row){
			.class = "isa-serial", .base = 0x1000 + 8 * i, .line = { { 0, 4 } },
		};
	assert_int_equal(try_machine(many, 8), 0);
	assert_int_equal(try_machine(many, 9), -ENOSPC);
	for (unsigned i = 0; i < ARRAY_COUNT(many); i++)
		many[i].line[0].gsi = 0;
	assert_int_equal(try_machine(many, ARRAY_COUNT(many) - 13), 0);
	assert_int_equal(try_machine(many, ARRAY_COUNT(many) - 12), -ENOSPC);
}

/* Another vCPU moves a region at the same moment. */
static struct vm *contended_vm;
static unsigned contended;

static void move_other(struct mutex *m)
{
	struct vm *vm = contended_vm;
	struct vdev *pic = vm->bus.space[HOST_PORT]->claim[0].dev;

	contended++;
	assert_ptr_equal(m, &vm->bus.lock);
	/* Else the holder, who waits for this vCPU to be outside, would wait for ever. */
	assert_true(vm->vcpu[0]->quiet);
	m->holder = NULL;
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 6, 0x2000, 8), 0);
	assert_true(vm->vcpu[0]->quiet);
}

static unsigned quiet_waits;

static void look_quiet(void)
{
	struct vcpu *other = contended_vm->vcpu[1];

	quiet_waits++;
	assert_true(mutex_held(&contended_vm->bus.lock));
	assert_true(other->requests & VCPU_REQ_QUIESCE);
	other->requests = 0;
	vcpu_quiet_now(other);
}

static void bus_changes_wait(void **state)
{
	struct vm_config c = { .name = "test", .vcpus = 2, .memory = 16 * MIB };
	struct vm *vm = NULL;
	struct vdev *pic;
	uint64_t other;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	contended_vm = vm;
	pic = vm->bus.space[HOST_PORT]->claim[0].dev;
	vcpu_quiet_end(vm->vcpu[0]);
	vcpu_quiet_end(vm->vcpu[1]);
	vm->vcpu[1]->thread = (struct thread *)&other;
	vm->bus.lock.holder = (struct thread *)&other;
	host_contended = move_other;
	host_wait = look_quiet;
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x1000, 8), 0);
	host_contended = NULL;
	host_wait = NULL;
	assert_int_equal(contended, 1);
	assert_int_equal(quiet_waits, 2);
	assert_false(vm->vcpu[0]->quiet);
	assert_false(mutex_held(&vm->bus.lock));
	/* Both moves are there. */
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 8, 0x1000, 8), -EEXIST);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 8, 0x2000, 8), -EEXIST);
	vm->vcpu[1]->thread = vm->vcpu[0]->thread;
	vm_put(vm);
}

/* At the limit a claim can still move and go, and another take its place. */
static void bus_full(void **state)
{
	struct vm *vm = make_vm();
	struct vdev *pic = vm->bus.space[HOST_PORT]->claim[0].dev;
	unsigned n = 0;

	(void)state;
	while (vm->bus.space[HOST_PORT]->count < BUS_CLAIM_MAX) {
		assert_int_equal(bus_claim(vm, HOST_PORT, pic, n, 0x4000 + 8 * n, 8), 0);
		n++;
	}
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, n, 0x1000, 8), -ENOSPC);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 9, 0x1000, 8), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 9, 0x123450, 0), 0);
	assert_int_equal(vm->bus.space[HOST_PORT]->count, BUS_CLAIM_MAX - 1);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, n, 0x1000, 8), 0);
	vm_put(vm);
}

/* An edge is heard where a controller lets it through and a vCPU takes it. */
static void lines_that_are_heard(void **state)
{
	struct vdev_line l = { .gsi = 2, .wired = true };
	struct vm *vm = make_vm();
	struct vdev *pic = vm->bus.space[HOST_PORT]->claim[0].dev;

	(void)state;
	host_tsc += 1000;
	assert_false(machine_line_heard(vm, &l));	/* masked in both */
	bus_write(vm, HOST_PORT, 0x21, 1, 0xfe);
	assert_true(machine_line_heard(vm, &l));
	vpic_line(pic, 0, true);
	assert_false(machine_line_heard(vm, &l));	/* it waits there still */
	assert_int_equal(vpic_acknowledge(pic), 8);
	assert_true(machine_line_heard(vm, &l));
	bus_write(vm, HOST_PORT, 0x21, 1, 0xff);
	assert_false(machine_line_heard(vm, &l));
	bus_write(vm, HOST_MMIO, 0xfec00000, 4, 0x14);
	bus_write(vm, HOST_MMIO, 0xfec00010, 4, 0x30);
	assert_true(machine_line_heard(vm, &l));
	vm->vcpu[0]->sleeping = true;
	host_tsc += 1000;
	assert_false(machine_line_heard(vm, &l));
	vm->vcpu[0]->exit_tsc = host_tsc + 10;		/* it was woken, and sleeps again */
	host_tsc += 1000;
	assert_true(machine_line_heard(vm, &l));
	assert_false(machine_line_heard(vm, &l));
	vm->vcpu[0]->sleeping = false;
	vm_put(vm);
}

/* Ticks of the 8254 that a vCPU had no time for come one by one, as it ends each in the 8259. */
static void ticks_are_owed(void **state)
{
	struct vm *vm = make_vm();
	struct vdev *pic = vm->bus.space[HOST_PORT]->claim[0].dev;
	unsigned taken = 0;

	(void)state;
	run_clock(vm);
	bus_write(vm, HOST_PORT, 0x21, 1, 0xfe);
	bus_write(vm, HOST_PORT, 0x43, 1, 0x34);
	bus_write(vm, HOST_PORT, 0x40, 1, 11932 & 0xff);
	bus_write(vm, HOST_PORT, 0x40, 1, 11932 >> 8);		/* 100 Hz */
	if (vpic_pending(pic)) {
		assert_int_equal(vpic_acknowledge(pic), 8);
		bus_write(vm, HOST_PORT, 0x20, 1, 0x20);
	}
	for (unsigned i = 0; i < 12; i++) {
		host_tsc += 10000000;
		fake_timers_run();
	}
	while (vpic_pending(pic) && taken < 100) {
		assert_int_equal(vpic_acknowledge(pic), 8);
		assert_false(vpic_pending(pic));
		bus_write(vm, HOST_PORT, 0x20, 1, 0x20);
		taken++;
	}
	assert_in_range(taken, 11, 12);
	vm_put(vm);
}

/* Likewise through the I/O APIC: each as the one before is ended in the local APIC. */
static void ticks_are_owed_by_messages(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	unsigned taken = 0;

	(void)state;
	run_clock(vm);
	vlapic_write(v, 0xf0, 0x1ff);
	bus_write(vm, HOST_MMIO, 0xfec00000, 4, 0x14);
	bus_write(vm, HOST_MMIO, 0xfec00010, 4, 0x61);
	bus_write(vm, HOST_PORT, 0x43, 1, 0x34);
	bus_write(vm, HOST_PORT, 0x40, 1, 11932 & 0xff);
	bus_write(vm, HOST_PORT, 0x40, 1, 11932 >> 8);		/* 100 Hz */
	for (unsigned i = 0; i < 12; i++) {
		host_tsc += 10000000;
		fake_timers_run();
	}
	for (; vlapic_pending(v) == 0x61 && taken < 100; taken++) {
		vlapic_accept(v, 0x61);
		assert_int_equal(vlapic_pending(v), -1);
		vlapic_eoi(v);
	}
	assert_in_range(taken, 11, 12);
	/* Another interrupt with that vector is nobody's tick. */
	vlapic_set_irr(v, 0x61, false);
	vlapic_accept(v, 0x61);
	vlapic_eoi(v);
	assert_int_equal(vlapic_pending(v), -1);
	vm_put(vm);
}

static void debug_exit_and_reset(void **state)
{
	struct vm *vm = make_vm();

	(void)state;
	stops = 0;
	run_clock(vm);
	vm->parked_count = 1;
	bus_write(vm, HOST_PORT, 0xf4, 4, 0x21);
	bus_write(vm, HOST_PORT, 0xcf9, 1, 6);		/* the first reason counts */
	fake_work_run();
	assert_int_equal(stops, 1);
	assert_int_equal(stop_why, VM_STOP_DEBUG_EXIT);
	assert_int_equal(stop_code, 0x43);
	assert_int_equal(vm->state, VM_STOPPED);
	vm_destroy(vm, NULL, NULL);
	vm_destroy(vm, NULL, NULL);			/* twice is once */
	fake_work_run();
	vm_put(vm);
}

static void bad_configurations(void **state)
{
	struct vm_config c = { .name = "x", .vcpus = 0, .memory = 16 * MIB };
	struct vm *vm = NULL;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), -EINVAL);
	c.vcpus = 10000;
	assert_int_equal(vm_create(&c, &vm), -EINVAL);
	c.vcpus = 1;
	c.memory = 1ul << 46;
	assert_int_not_equal(vm_create(&c, &vm), 0);
	c.memory = 4097;
	assert_int_equal(vm_create(&c, &vm), -EINVAL);
	assert_null(vm);
}

/* ---- quiet ---- */

static struct vm *waited_vm;
static unsigned asked, waited;

/*
 * All are asked before the one wait; each answers in its own way, the last by seeing the epoch. Who
 * was asleep then may be awake again, and was not asked.
 */
static void answer(void)
{
	struct vcpu **v = waited_vm->vcpu;

	v[4]->sleeping = false;
	waited++;
	for (unsigned i = 0; i < 5; i++)
		asked |= !!(v[i]->requests & VCPU_REQ_QUIESCE) << i;
	v[1]->sleeping = true;
	vcpu_quiet_begin(v[2]);
	v[3]->requests = 0;
	vcpu_quiet_now(v[3]);
}

static void quiesce_waits_once(void **state)
{
	struct vm_config c = { .name = "test", .vcpus = 5, .memory = 16 * MIB };
	struct thread *mine;
	struct vm *vm = NULL;
	uint64_t other;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	mine = vm->vcpu[1]->thread;
	waited_vm = vm;
	host_wait = answer;
	/* Not started: there is nobody to wait for. */
	vm_quiesce(vm);
	assert_int_equal(waited, 0);
	for (unsigned i = 0; i < 5; i++) {
		vcpu_quiet_end(vm->vcpu[i]);
		if (i)
			vm->vcpu[i]->thread = (struct thread *)&other;
	}
	vm->vcpu[4]->sleeping = true;
	vm_quiesce(vm);
	assert_int_equal(waited, 1);
	assert_int_equal(asked, 0xe);		/* all but the one who waits */
	assert_false(vm->vcpu[0]->quiet);
	/* An epoch that was seen is not the next one; who sleeps or is quiet is not asked. */
	asked = 0;
	vm->vcpu[4]->sleeping = true;
	for (unsigned i = 0; i < 4; i++)
		vm->vcpu[i]->requests = 0;
	vm_quiesce(vm);
	assert_int_equal(waited, 2);
	assert_int_equal(asked, 8);
	host_wait = NULL;
	for (unsigned i = 1; i < 5; i++)
		vm->vcpu[i]->thread = mine;
	vm_put(vm);
}

/* ---- ends ---- */

/* What the vm was going to tell is cancelled, and holds nothing. */
static void destroyed_before_it_told(void **state)
{
	struct vm *vm = make_vm();

	(void)state;
	stops = 0;
	run_clock(vm);
	vm_crash(vm, "first");
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	fake_work_run();
	assert_int_equal(stops, 0);
	assert_int_equal(vm->refs, 1);
	vm_put(vm);
}

static struct vm *ending;
static unsigned leaving;

/*
 * While the vm is taken down, vCPU 1 is still in an exit: it sends to vCPU 0, starts a timer, and
 * goes.
 */
static void late_exit(void)
{
	if (leaving++)
		return;
	vlapic_ipi(ending->vcpu[1], 0x40);
	start_timer(ending->vcpu[1], 1000);
	bus_write(ending, HOST_PORT, 0x43, 1, 0x34);
	bus_write(ending, HOST_PORT, 0x40, 1, 0x10);
	bus_write(ending, HOST_PORT, 0x40, 1, 0x10);
	assert_false(vm_park(ending, ending->vcpu[0]));
	assert_false(vm_park(ending, ending->vcpu[1]));
	/* Its neighbours do not wait for who has gone. */
	vm_quiesce(ending);
}

/* The same, if the first vCPU was taken down before the second was waited for. */
static void late_join(void)
{
	static unsigned joins;

	if (joins++)
		late_exit();
}

static void destroyed_in_an_exit(void **state)
{
	struct vm_config c = { .name = "two", .vcpus = 2, .memory = 16 * MIB };
	struct vm_stats s;
	struct vm *vm = NULL;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	assert_int_equal(vm_start(vm), 0);
	ending = vm;
	leaving = 0;
	host_wait = late_exit;
	fake_join = late_join;
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	host_wait = fake_join = NULL;
	assert_true(leaving > 0);
	host_tsc += 1000000000;
	fake_timers_run();
	/* Until the last reference is gone it may be asked. */
	vm_stats_get(vm, &s);
	vm_nmi(vm);
	vm_power_button(vm);
	vm_console_input(vm);
	vm_put(vm);
}

/*
 * The vm stops itself while a pause waits for its vCPUs: the pause ends, and says that it is none.
 */
static void crash_in_pause(void)
{
	vm_crash(ending, "in a pause");
	ending->parked_count = 1;
	fake_work_run();
}

static void paused_while_it_crashes(void **state)
{
	struct vm *vm = make_vm();

	(void)state;
	run_clock(vm);
	ending = vm;
	stops = 0;
	host_wait = crash_in_pause;
	assert_int_equal(vm_pause(vm), -EINVAL);
	host_wait = NULL;
	assert_int_equal(stops, 1);
	assert_int_equal(vm->state, VM_CRASHED);
	assert_int_equal(vm_resume(vm), -EINVAL);
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	vm_put(vm);
}

/* Each allocation of a vm's birth fails once: an error, and everything given back. */
static void births_that_fail(void **state)
{
	struct vm_config c = {
		.name = "unborn", .vcpus = 2, .memory = 16 * MIB, .device = machine_debug_rows,
		.device_count = ARRAY_COUNT(machine_debug_rows),
	};
	struct vm *vm = NULL;
	unsigned n;

	(void)state;
	for (n = 0;; n++) {
		host_heap_left = n;
		if (!vm_create(&c, &vm))
			break;
		assert_null(vm);
		assert_true(n < 1000);
	}
	host_heap_left = ~0u;
	assert_true(n > 20);
	assert_non_null(vm->group);
	vm_put(vm);
}

/* The group that it is given, or one of its own; work for it is done on that group's account. */
static void groups(void **state)
{
	struct sched_group *g = sched_group_create(0);
	struct vm_config c = { .name = "charged", .vcpus = 1, .memory = 16 * MIB, .group = g };
	struct vm *vm = NULL;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	assert_ptr_equal(vm->group, g);
	assert_ptr_equal(vm->stopped_work.group, g);
	assert_ptr_equal(vm->destroy_work.group, g);
	assert_int_equal(g->refs, 2);
	vm_put(vm);
	assert_int_equal(g->refs, 1);
	host_heap_left = 10;
	assert_int_equal(vm_create(&c, &vm), -ENOMEM);
	host_heap_left = ~0u;
	assert_int_equal(g->refs, 1);
	sched_group_put(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bus_rules), cmocka_unit_test(bus_wishes),
		cmocka_unit_test(bus_wishes_have_no_history), cmocka_unit_test(machine_rows),
		cmocka_unit_test(bus_changes_wait),
		cmocka_unit_test(quiesce_waits_once),
		cmocka_unit_test(bus_full), cmocka_unit_test(lines_that_are_heard),
		cmocka_unit_test(ticks_are_owed),
		cmocka_unit_test(ticks_are_owed_by_messages),
		cmocka_unit_test(debug_exit_and_reset),
		cmocka_unit_test(bad_configurations), cmocka_unit_test(destroyed_before_it_told),
		cmocka_unit_test(destroyed_in_an_exit), cmocka_unit_test(paused_while_it_crashes),
		cmocka_unit_test(births_that_fail), cmocka_unit_test(groups),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
