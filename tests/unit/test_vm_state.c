/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/vm.c vmm/vcpu.c vmm/vlapic.c vmm/msr.c vmm/cpuid.c vmm/pvclock.c vmm/event.c vmm/bus.c
 * vmm/machine.c vmm/vdev_host.c vmm/regs.c vmm/exit.c vmm/gmem.c vmm/emulate.c vmm/emulate_memory.c
 * vmm/emulate_ops.c vmm/emulate_string.c vmm/fetch.c vmm/gwalk.c vmm/decode.c vmm/load.c
 * vmm/load_elf.c vmm/load_linux.c vmm/load_pvh.c vmm/load_multiboot.c lib/record.c lib/format.c
 * mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c mm/page.c vdev/vpic.c vdev/vioapic.c
 * vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vkbd.c vdev/vacpi.c vdev/vacpi_tables.c vdev/vpci.c
 * vdev/vpost.c vdev/vdebug_exit.c build/gen/vdev/dsdt.aml.c tests/host/fake_ops.c
 * tests/host/one_thread.c tests/host/heap.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c tests/host/tsc.c */
/*
 * A whole vm on a back end without a chip: its saved form (save, load, save is byte-identical;
 * hostile input is refused and harms nothing), the local APIC, MSR and CPUID policies, events,
 * the bus, the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/tsc.h"
#include "kernel/log.h"
#include "lib/record.h"
#include "tests/host/fake_ops.h"
#include "tests/host/memory.h"
#include "vdev/vpic.h"
#include "vmm/exit.h"
#include "vmm/machine.h"
#include "vmm/msr.h"
#include "vmm/pvclock.h"
#include "vmm/vdev_host.h"
#include "vmm/vlapic_bits.h"

bool errata_has(enum erratum e)
{
	(void)e;
	return false;
}

#define STATE_MAX	(256 * 1024)

extern unsigned host_log_count[4];	/* tests/host/log.c */

static unsigned stops;
static enum vm_stop stop_why;
static uint32_t stop_code;

static void stopped(void *arg, struct vm *vm, enum vm_stop why, uint32_t code, const char *reason)
{
	(void)arg;
	(void)vm;
	(void)reason;
	stops++;
	stop_why = why;
	stop_code = code;
}

static struct vm *make_vm(void)
{
	struct vm_config c = { .name = "test", .vcpus = 1, .memory = 16 * MIB, .debug_exit = true, .stopped = stopped };
	struct vm *vm = NULL;

	features.physical_bits = 40;
	features.vendor = VENDOR_AMD;
	assert_int_equal(vm_create(&c, &vm), 0);
	return vm;
}

/* As vm_start does it, but for the threads. */
static void run_clock(struct vm *vm)
{
	assert_int_equal(vm_start(vm), 0);
	vm->vcpu[0]->started = false;
}

static void fake_pause(struct vm *vm)
{
	vm->parked_count = vm->vcpu_count;
	if (vm->state == VM_CREATED)
		run_clock(vm);
	assert_int_equal(vm_pause(vm), 0);
}

static size_t save(struct vm *vm, uint8_t *buf)
{
	struct record_writer w;

	record_writer_init(&w, buf, STATE_MAX);
	assert_int_equal(vm_save_state(vm, &w), 0);
	assert_true(w.used <= w.size);
	return w.used;
}

static int load(struct vm *vm, const uint8_t *buf, size_t n)
{
	struct record_reader r;

	record_reader_init(&r, buf, n);
	return vm_load_state(vm, &r);
}

/* Something other than the power-up state everywhere. */
static void stir(struct vm *vm)
{
	struct vcpu *v = vm->vcpu[0];

	host_tsc += 123456789;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		v->gpr[i] = 0x1111111111111111ul * i;
	v->rip = 0xffffffff81000000ul;
	v->rflags = RFLAGS_ONE | RFLAGS_IF;
	fake_ops.reg_set(v, REG_CR0, CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE);
	fake_ops.reg_set(v, REG_CR4, CR4_PAE | CR4_PGE);
	fake_ops.reg_set(v, REG_EFER, EFER_LME | EFER_LMA | EFER_SCE);
	fake_ops.reg_set(v, REG_CR3, 0x1234000);
	fake_ops.reg_set(v, REG_LSTAR, 0xffffffff81800000ul);
	fake_ops.segment_set(v, SEG_FS, &(struct segment){ .base = 0x7fff12345678ul, .limit = ~0u, .attr = 0xc093,
							   .selector = 5 });
	memset(fake_ops.fpu(v), 0, fake_ops.fpu_size());
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0xec);
	vlapic_write(v, REG_TIMER_DIVIDE, 11);
	vlapic_write(v, REG_TIMER_INITIAL, 1000000);
	vlapic_set_irr(v, 0x31, false);
	vlapic_set_irr(v, 0x99, true);
	event_page_fault(v, 0xdeadbeef, 2);
	event_nmi(v);
	vlapic_message(vm, 0xfee00000, DELIVERY_SIPI << 8 | 0x9a);	/* from a neighbour, while this one parks */
	vcpu_tsc_adjust(v, 77777);
	bus_write(vm, HOST_PORT, 0x21, 1, 0xfb);
	bus_write(vm, HOST_PORT, 0x43, 1, 0x34);
	bus_write(vm, HOST_PORT, 0x40, 1, 0x9b);
	bus_write(vm, HOST_PORT, 0x40, 1, 0x2e);
	bus_write(vm, HOST_PORT, 0x3f9, 1, 1);
	bus_write(vm, HOST_PORT, 0x70, 1, 0x20);
	bus_write(vm, HOST_PORT, 0xcf8, 4, 0x80000004);
	bus_write(vm, HOST_MMIO, 0xfec00000, 4, 0x14);
	bus_write(vm, HOST_MMIO, 0xfec00010, 4, 0x31);
}

static void save_load_save(void **state)
{
	static uint8_t a[STATE_MAX], b[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();
	size_t n, m;

	(void)state;
	run_clock(one);
	stir(one);
	fake_pause(one);
	n = save(one, a);
	host_tsc += 1000000;
	assert_int_equal(load(two, a, n), 0);
	two->state = VM_PAUSED;
	two->parked_count = two->vcpu_count;
	m = save(two, b);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n);
	assert_true(two->vcpu[0]->requests & VCPU_REQ_SIPI);
	assert_int_equal(two->vcpu[0]->sipi_vector, 0x9a);
	/* And once more after both have run for the same time. */
	assert_int_equal(vm_resume(one), 0);
	assert_int_equal(vm_resume(two), 0);
	host_tsc += 300;
	fake_pause(one);
	fake_pause(two);
	m = save(one, a);
	assert_int_equal(save(two, b), m);
	assert_memory_equal(a, b, m);
	vm_put(one);
	vm_put(two);
}

/*
 * Each cut and a hundred thousand bent bytes: an error or a state that saves again; never a
 * fault (ASan watches).
 */
static void hostile_state(void **state)
{
	static uint8_t a[STATE_MAX], bent[STATE_MAX], out[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();
	unsigned refused = 0;
	size_t n;

	(void)state;
	run_clock(one);
	stir(one);
	fake_pause(one);
	n = save(one, a);
	fake_pause(two);
	for (size_t cut = 1; cut < n; cut += 1 + cut / 7)
		(void)!load(two, a, n - cut);
	srand(7);
	for (unsigned i = 0; i < 3000; i++) {
		memcpy(bent, a, n);
		for (unsigned k = 0; k < 1 + i % 4; k++)
			bent[(size_t)rand() % n] = (uint8_t)rand();
		refused += load(two, bent, n) != 0;
		save(two, out);
	}
	assert_true(refused > 100);
	assert_int_equal(load(two, a, n), 0);
	assert_int_equal(save(two, out), n);
	assert_memory_equal(a, out, n);
	vm_put(one);
	vm_put(two);
}

/* What a load of the guest's state would bring into the host's own registers. */
static void state_that_the_host_would_load(void **state)
{
	static const struct {
		enum reg r;
		uint64_t value;
	} bad[] = {
		{ REG_TSC_AUX, 1ul << 32 }, { REG_DR6, 1ul << 32 }, { REG_DR7, 1ul << 40 }, { REG_DEBUGCTL, 1 },
		{ REG_SPEC_CTRL, 1 }, { REG_XCR0, XCR0_X87 | 1ul << 62 }, { REG_CR0, 1ul << 32 }, { REG_CR4, CR4_VMXE },
		{ REG_EFER, EFER_SVME }, { REG_CR8, 16 }, { REG_CR3, 1ul << 60 },
	};
	static uint8_t a[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();

	(void)state;
	fake_pause(one);
	fake_pause(two);
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		uint64_t good = fake_ops.reg_get(one->vcpu[0], bad[i].r);

		if (bad[i].r == REG_CR8)
			one->vcpu[0]->vlapic.tpr = 0x100;
		else
			fake_ops.reg_set(one->vcpu[0], bad[i].r, bad[i].value);
		assert_int_equal(load(two, a, save(one, a)), -EINVAL);
		fake_ops.reg_set(one->vcpu[0], bad[i].r, good);
	}
	assert_int_equal(load(two, a, save(one, a)), 0);
	vm_put(one);
	vm_put(two);
}

static void wrong_shape(void **state)
{
	static uint8_t a[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();
	struct vm_config c = { .name = "other", .vcpus = 2, .memory = 16 * MIB };
	struct vm *other = NULL;
	size_t n;

	(void)state;
	assert_int_equal(vm_create(&c, &other), 0);
	fake_pause(one);
	n = save(one, a);
	assert_int_equal(load(other, a, n), -EINVAL);
	two->cpuid->row[1].regs.ecx ^= 1;
	assert_int_equal(load(two, a, n), -EINVAL);
	vm_put(one);
	vm_put(two);
	vm_put(other);
}

/* ---- local APIC ---- */

static void priorities(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_set_irr(v, 0x40, false);
	assert_int_equal(vlapic_pending(v), -1);	/* software-disabled: not taken at all */
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_set_irr(v, 0x40, false);
	vlapic_set_irr(v, 0x85, false);
	vlapic_set_irr(v, 0x05, false);			/* below 16: illegal */
	assert_int_equal(vlapic_pending(v), 0x85);
	vlapic_write(v, REG_TPR, 0x80);
	assert_int_equal(vlapic_pending(v), -1);
	assert_true(vlapic_blocked_by_tpr(v));
	vlapic_write(v, REG_TPR, 0x70);
	assert_int_equal(vlapic_pending(v), 0x85);
	vlapic_accept(v, 0x85);
	assert_int_equal(vlapic_ppr(v), 0x80);
	assert_int_equal(vlapic_pending(v), -1);
	vlapic_set_irr(v, 0x8f, false);			/* same class: waits */
	assert_int_equal(vlapic_pending(v), -1);
	vlapic_set_irr(v, 0x90, false);
	assert_int_equal(vlapic_pending(v), 0x90);
	vlapic_accept(v, 0x90);
	vlapic_write(v, REG_EOI, 0);
	vlapic_write(v, REG_EOI, 0);
	assert_int_equal(vlapic_pending(v), 0x8f);
	vlapic_write(v, REG_TPR, 0);
	vlapic_accept(v, 0x8f);
	vlapic_write(v, REG_EOI, 0);
	assert_int_equal(vlapic_pending(v), 0x40);
	vm_put(vm);
}

static void x2apic_rules(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	uint64_t value;

	(void)state;
	run_clock(vm);
	assert_int_equal(msr_read(v, MSR_X2APIC_ID, &value), -EINVAL);	/* xAPIC mode */
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE | APIC_BASE_X2APIC), -EINVAL);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, 0x12345000 | APIC_BASE_ENABLE), -EINVAL);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC), 0);
	assert_int_equal(msr_read(v, MSR_X2APIC_ID, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(msr_write(v, MSR_X2APIC_ID, 0), -EINVAL);	/* read-only */
	assert_int_equal(msr_read(v, MSR_X2APIC_EOI, &value), -EINVAL);	/* write-only */
	assert_int_equal(msr_write(v, MSR_X2APIC_EOI, 1), -EINVAL);
	assert_int_equal(msr_write(v, 0x831, 0), -EINVAL);		/* ICR is one register here */
	assert_int_equal(msr_write(v, MSR_X2APIC_SVR, SVR_ENABLE | 0xff), 0);
	assert_int_equal(msr_write(v, MSR_X2APIC_SELF_IPI, 0x55), 0);
	assert_int_equal(vlapic_pending(v), 0x55);
	assert_int_equal(msr_write(v, MSR_X2APIC_ICR, 0x66), 0);	/* physical, to id 0 */
	assert_int_equal(vlapic_pending(v), 0x66);
	/* Back to xAPIC only through "disabled". */
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE | APIC_BASE_ENABLE), -EINVAL);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE), 0);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, VLAPIC_BASE | APIC_BASE_ENABLE), 0);
	vm_put(vm);
}

static void apic_timer(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0x40);
	vlapic_write(v, REG_TIMER_DIVIDE, 11);		/* by 1 */
	vlapic_write(v, REG_TIMER_INITIAL, 1000);
	host_tsc += 400;
	fake_timers_run();
	assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 600);
	assert_int_equal(vlapic_pending(v), -1);
	host_tsc += 600;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), 0x40);
	assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 0);
	vlapic_accept(v, 0x40);
	vlapic_write(v, REG_EOI, 0);
	/* Periodic, then paused: the VM's clock stands, and so does the count. */
	vlapic_write(v, REG_LVT_TIMER, 0x41 | TIMER_PERIODIC << 17);
	vlapic_write(v, REG_TIMER_INITIAL, 100000);
	host_tsc += 30000;
	fake_pause(vm);
	host_tsc += 5000000;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), -1);
	assert_int_equal(vm_resume(vm), 0);
	assert_int_equal(vlapic_read(v, REG_TIMER_CURRENT), 70000);
	host_tsc += 70000;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), 0x41);
	/* By deadline on the guest's TSC. */
	vlapic_accept(v, 0x41);
	vlapic_write(v, REG_EOI, 0);
	vlapic_write(v, REG_LVT_TIMER, 0x42 | TIMER_DEADLINE << 17);
	assert_int_equal(msr_write(v, MSR_TSC_DEADLINE, vcpu_guest_tsc(v) + 500), 0);
	host_tsc += 499;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), -1);
	host_tsc += 1;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), 0x42);
	vm_put(vm);
}

/* What has fired does not fire again after a pause, nor when the divider is written. */
static void apic_timer_fires_once(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0x40);
	vlapic_write(v, REG_TIMER_DIVIDE, 11);
	vlapic_write(v, REG_TIMER_INITIAL, 1000);
	host_tsc += 1000;
	fake_timers_run();
	vlapic_accept(v, 0x40);
	vlapic_write(v, REG_EOI, 0);
	fake_pause(vm);
	assert_int_equal(vm_resume(vm), 0);
	vlapic_write(v, REG_TIMER_DIVIDE, 0);
	host_tsc += 5000;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), -1);
	vm_put(vm);
}

/*
 * The callback of an old deadline runs while the guest has just written a new one: that one stays.
 */
static void apic_timer_late_callback(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	struct vlapic *l = &v->vlapic;

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0x42 | TIMER_DEADLINE << 17);
	vlapic_deadline_write(v, vcpu_guest_tsc(v) + 50000000);
	timer_cancel(&l->timer);
	l->timer.fn(&l->timer);
	assert_int_equal(vlapic_pending(v), -1);
	host_tsc += 50000000;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), 0x42);
	vlapic_accept(v, 0x42);
	vlapic_write(v, REG_EOI, 0);
	vlapic_write(v, REG_LVT_TIMER, 0x42);
	vlapic_write(v, REG_TIMER_INITIAL, 50000000);
	timer_cancel(&l->timer);
	l->timer.fn(&l->timer);
	assert_int_equal(vlapic_pending(v), -1);
	host_tsc += 100000000;
	fake_timers_run();
	assert_int_equal(vlapic_pending(v), 0x42);
	vm_put(vm);
}

/*
 * Ticks that nobody takes, at the highest rate: the host is interrupted a thousand times a second,
 * not fifty thousand times.
 */
static void apic_timer_unheard(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	unsigned fired = 0;

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0x40 | TIMER_PERIODIC << 17);
	vlapic_write(v, REG_TIMER_INITIAL, 1);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t before = v->vlapic.timer.deadline_ns;

		host_tsc += 1000;
		fake_timers_run();
		fired += v->vlapic.timer.deadline_ns != before;
	}
	assert_in_range(fired, 5, 15);
	vm_put(vm);
}

/*
 * A shorthand goes before the destination, in every delivery mode: an NMI or INIT to oneself
 * is not one to CPU 0.
 */
static void shorthands(void **state)
{
	struct vm_config c = { .name = "two", .vcpus = 2, .memory = 16 * MIB };
	struct vm *vm = NULL;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	vlapic_ipi(vm->vcpu[1], (uint64_t)ICR_SELF << 18 | DELIVERY_NMI << 8);
	vlapic_ipi(vm->vcpu[1], (uint64_t)ICR_SELF << 18 | DELIVERY_INIT << 8 | ICR_ASSERT);
	assert_int_equal(vm->vcpu[0]->event.nmi_pending, 0);
	assert_int_equal(vm->vcpu[0]->requests, 0);
	assert_int_equal(vm->vcpu[1]->event.nmi_pending, 1);
	assert_int_equal(vm->vcpu[1]->requests, VCPU_REQ_INIT | VCPU_REQ_EVENT);
	vlapic_ipi(vm->vcpu[1], (uint64_t)ICR_OTHERS << 18 | DELIVERY_NMI << 8);
	assert_int_equal(vm->vcpu[0]->event.nmi_pending, 1);
	assert_int_equal(vm->vcpu[1]->event.nmi_pending, 1);
	vm_put(vm);
}

/* ---- MSRs and CPUID ---- */

static void every_msr(void **state)
{
	static const struct { uint32_t first, last; } ranges[] = {
		{ 0, 0x2fff }, { 0x40000000, 0x400000ff }, { 0x4b564cf0, 0x4b564d20 },
		{ 0xc0000000, 0xc0001fff }, { 0xc0010000, 0xc0011fff },
	};
	static const uint64_t values[] = { 0, 1, ~0ul, 0x8000000000000000ul, 0x0606060606060606ul };
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	uint64_t value;

	(void)state;
	run_clock(vm);
	for (unsigned i = 0; i < ARRAY_COUNT(ranges); i++) {
		for (uint32_t m = ranges[i].first; m <= ranges[i].last; m++) {
			(void)!msr_read(v, m, &value);
			for (unsigned k = 0; k < ARRAY_COUNT(values); k++)
				(void)!msr_write(v, m, values[k]);
		}
	}
	assert_int_equal(stops, 0);
	assert_int_equal(msr_read(v, MSR_VM_HSAVE_PA, &value), -EINVAL);
	assert_int_equal(msr_write(v, MSR_EFER, EFER_SVME), -EINVAL);
	assert_int_equal(msr_write(v, MSR_PAT, 0x0202020202020202ul), -EINVAL);
	assert_int_equal(msr_write(v, MSR_LSTAR, 0x1000000000000000ul), -EINVAL);
	assert_int_equal(msr_write(v, MSR_TSC_ADJUST, 1000), 0);
	assert_int_equal(msr_read(v, MSR_TSC, &value), 0);
	assert_int_equal(value, vcpu_guest_tsc(v));
	assert_int_equal(msr_write(v, MSR_TSC, 5), 0);
	assert_int_equal(vcpu_guest_tsc(v), 5);
	vm_put(vm);
}

static void cpuid_leaves(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	struct cpuid_regs r;

	(void)state;
	cpuid_query(v, 1, 0, &r);
	assert_false(r.ecx & 1u << 5);		/* no VMX */
	assert_true(r.ecx & 1u << 31);
	assert_true(r.ecx & 1u << 21);
	assert_false(r.ecx & 1u << 27);		/* OSXSAVE follows CR4 */
	fake_ops.reg_set(v, REG_CR4, CR4_OSXSAVE);
	cpuid_query(v, 1, 0, &r);
	assert_true(r.ecx & 1u << 27);
	cpuid_query(v, 0x80000001, 0, &r);
	assert_false(r.ecx & 1u << 2);		/* no SVM */
	cpuid_query(v, 0x40000000, 0, &r);
	assert_int_equal(r.ebx, 0x4b4d564b);
	assert_int_equal(r.eax, 0x40000001);
	cpuid_query(v, 0x40000200, 0, &r);
	assert_int_equal(r.ebx, 0x6c65654b);
	cpuid_query(v, 0x40000100, 0, &r);
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	cpuid_query(v, 0x12345678, 0, &r);
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	cpuid_query(v, 0xffffffff, 0xffffffff, &r);
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	for (uint32_t leaf = 0; leaf < 0x40; leaf++)
		for (uint32_t sub = 0; sub < 70; sub++)
			cpuid_query(v, leaf, sub, &r);
	vm_put(vm);
}

/* ---- events ---- */

static void double_and_triple(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	struct event e;

	(void)state;
	run_clock(vm);
	stops = 0;
	fake_ops.reg_set(v, REG_CR0, CR0_PE);
	event_page_fault(v, 0x1000, 0);
	event_gp(v);			/* while the #PF is on its way */
	assert_int_equal(v->event.pending.vector, EXC_DF);
	assert_true(v->event.pending.has_error);
	event_pick(v, &e);
	assert_int_equal(e.vector, EXC_DF);
	event_requeue(v, &e);
	event_gp(v);
	fake_work_run();
	assert_int_equal(stops, 1);
	assert_int_equal(stop_why, VM_STOP_CRASH);
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	vm_put(vm);
}

/* All vCPUs die at once: one report, one line that the vm crashed. */
static void one_report(void **state)
{
	struct vm_config c = { .name = "many", .vcpus = 8, .memory = 16 * MIB };
	struct vm *vm = NULL;
	unsigned infos, errors;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	infos = host_log_count[LOG_INFO];
	errors = host_log_count[LOG_ERROR];
	for (unsigned i = 0; i < c.vcpus; i++)
		exit_shutdown(vm->vcpu[i]);
	assert_in_range(host_log_count[LOG_INFO] - infos, 1, 10);
	assert_int_equal(host_log_count[LOG_ERROR] - errors, 1);
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	vm_put(vm);
}

static void picks_in_order(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	struct event e;

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	v->rflags = RFLAGS_ONE;
	vlapic_set_irr(v, 0x50, false);
	assert_int_equal(event_pick(v, &e), EVENT_BLOCKED_IRQ);
	assert_false(e.valid);
	v->rflags |= RFLAGS_IF;
	v->event.shadow = EVENT_SHADOW_STI;
	assert_int_equal(event_pick(v, &e), EVENT_BLOCKED_IRQ);
	v->event.shadow = 0;
	event_nmi(v);
	event_nmi(v);
	event_nmi(v);			/* a third is lost: two are latched */
	event_ud(v);
	event_pick(v, &e);
	assert_int_equal(e.vector, EXC_UD);
	assert_int_equal(event_pick(v, &e), EVENT_BLOCKED_IRQ | EVENT_BLOCKED_NMI);
	assert_int_equal(e.type, EVENT_NMI);
	assert_true(v->event.nmi_masked);
	assert_int_equal(event_pick(v, &e), EVENT_BLOCKED_NMI);
	assert_int_equal(e.vector, 0x50);
	v->event.nmi_masked = false;
	assert_int_equal(event_pick(v, &e), 0);
	assert_int_equal(e.type, EVENT_NMI);
	assert_false(v->event.look);
	vm_put(vm);
}

/* All MSRs there are, on each vCPU: a few lines in the log, the rest is counted. */
static void unknown_msrs_are_counted(void **state)
{
	struct vm_config c = { .name = "test", .vcpus = 4, .memory = 16 * MIB };
	unsigned before = host_log_count[LOG_DEBUG];
	struct vm *vm = NULL;
	struct vm_stats s;
	uint64_t value;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	for (unsigned id = 0; id < 4; id++)
		for (uint32_t i = 0; i < 2000; i++)
			assert_int_equal(msr_read(vm->vcpu[id], 0x40000100 + 7 * i, &value), -EINVAL);
	assert_in_range(host_log_count[LOG_DEBUG] - before, 2, 17);
	vm_stats_get(vm, &s);
	assert_int_equal(s.unknown_msrs, 8000);
	vm_put(vm);
}

/* ---- bus and machine ---- */

static void bus_rules(void **state)
{
	struct vm *vm = make_vm();
	struct vdev *pic = vm->bus.space[HOST_PORT]->claim[0].dev;
	uint64_t before;

	(void)state;
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x3fc, 8), -EEXIST);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0xfffc, 8), -EINVAL);
	assert_int_equal(bus_claim(vm, HOST_MMIO, pic, 7, ~0ul - 4, 8), -EINVAL);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0xfff8, 8), 0);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x1000, 8), 0);	/* moves */
	before = vm->bus.unclaimed[HOST_PORT];
	assert_int_equal(bus_read(vm, HOST_PORT, 0xfff8, 4), 0xffffffff);
	assert_int_equal(vm->bus.unclaimed[HOST_PORT], before + 4);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x3fc, 0), 0);	/* goes, wherever its register points */
	assert_int_equal(bus_read(vm, HOST_PORT, 0x1000, 1), 0xff);
	/* Half in, half out: each byte goes where it belongs. */
	bus_write(vm, HOST_PORT, 0x21, 1, 0xa5);
	assert_int_equal(bus_read(vm, HOST_PORT, 0x21, 2), 0xffa5);
	for (unsigned port = 0; port < 0x10000; port++)
		bus_read(vm, HOST_PORT, port, 1);
	vm_put(vm);
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
	assert_true(vm->vcpu[0]->quiescing);
	m->holder = NULL;
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 6, 0x2000, 8), 0);
	assert_true(vm->vcpu[0]->quiescing);
}

static unsigned quiet_waits;

static void look_quiet(void)
{
	quiet_waits++;
	assert_true(mutex_held(&contended_vm->bus.lock));
	WRITE_ONCE(contended_vm->vcpu[1]->exit_tsc, quiet_waits);
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
	vm->vcpu[0]->started = vm->vcpu[1]->started = true;
	vm->vcpu[1]->thread = (struct thread *)&other;
	vm->bus.lock.holder = (struct thread *)&other;
	host_contended = move_other;
	host_wait = look_quiet;
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 7, 0x1000, 8), 0);
	host_contended = NULL;
	host_wait = NULL;
	assert_int_equal(contended, 1);
	assert_int_equal(quiet_waits, 2);
	assert_false(vm->vcpu[0]->quiescing);
	assert_false(mutex_held(&vm->bus.lock));
	/* Both moves are there. */
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 8, 0x1000, 8), -EEXIST);
	assert_int_equal(bus_claim(vm, HOST_PORT, pic, 8, 0x2000, 8), -EEXIST);
	vm->vcpu[0]->started = vm->vcpu[1]->started = false;
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
	vlapic_write(ending->vcpu[1], REG_TIMER_INITIAL, 1000);
	bus_write(ending, HOST_PORT, 0x43, 1, 0x34);
	bus_write(ending, HOST_PORT, 0x40, 1, 0x10);
	bus_write(ending, HOST_PORT, 0x40, 1, 0x10);
	assert_false(vm_park(ending, ending->vcpu[0]));
	assert_false(vm_park(ending, ending->vcpu[1]));
	/* Its neighbours do not wait for who has gone. */
	ending->vcpu[1]->quiescing = true;
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
	struct vm_config c = { .name = "unborn", .vcpus = 2, .memory = 16 * MIB, .debug_exit = true };
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
	vm_put(vm);
}

static int setup(void **state)
{
	(void)state;
	memory_init(256 * MIB);
	host_tsc = 1000000;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(save_load_save), cmocka_unit_test(hostile_state), cmocka_unit_test(wrong_shape),
		cmocka_unit_test(state_that_the_host_would_load),
		cmocka_unit_test(priorities), cmocka_unit_test(x2apic_rules), cmocka_unit_test(apic_timer),
		cmocka_unit_test(shorthands), cmocka_unit_test(apic_timer_fires_once),
		cmocka_unit_test(apic_timer_late_callback),
		cmocka_unit_test(apic_timer_unheard), cmocka_unit_test(every_msr), cmocka_unit_test(cpuid_leaves),
		cmocka_unit_test(double_and_triple), cmocka_unit_test(one_report),
		cmocka_unit_test(unknown_msrs_are_counted),
		cmocka_unit_test(picks_in_order), cmocka_unit_test(bus_rules),
		cmocka_unit_test(bus_changes_wait), cmocka_unit_test(bus_full),
		cmocka_unit_test(lines_that_are_heard),
		cmocka_unit_test(debug_exit_and_reset),
		cmocka_unit_test(bad_configurations), cmocka_unit_test(destroyed_before_it_told),
		cmocka_unit_test(destroyed_in_an_exit), cmocka_unit_test(paused_while_it_crashes),
		cmocka_unit_test(births_that_fail),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
