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
 * A vCPU of a whole vm on a back end without a chip: the local APIC and its timer, MSR and
 * CPUID policies, events.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/log.h"
#include "tests/host/vm_test.h"
#include "vdev/vacpi.h"
#include "vmm/exit.h"
#include "vmm/machine.h"
#include "vmm/msr.h"
#include "vmm/pvclock.h"
#include "vmm/vlapic/vlapic_bits.h"

extern unsigned host_log_count[4];	/* tests/host/log.c */
extern void (*host_prepare)(void), (*host_thread_entry)(void *arg);	/* one_thread.c */
extern unsigned host_points, host_moves;

/* ---- the paravirtual clock ---- */

/* What a guest makes of its page, and Keel of the same ticks: never more, and hardly less. */
static void guest_clock_is_no_faster(void **state)
{
	static const uint64_t rates[] = {
		100000000, 999999999, 1000000000, 1000000001, 2000000000, 2000000001, 2596123456,
		2599999999, 3600000007, 5000000000, 8000000001,
	};
	struct vm *vm = make_vm();
	uint64_t kept = tsc_to_ns_mult;
	struct { uint32_t version, pad; uint64_t tsc, ns; uint32_t mult; int8_t shift; } page;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rates) + 500; i++) {
		uint64_t hz = i < ARRAY_COUNT(rates) ? rates[i] : 300000000 + i * 11111111ul;

		tsc_to_ns_mult = (uint64_t)(((unsigned __int128)1000000000 << 32) / hz);
		assert_int_equal(pvclock_system_write(vm->vcpu[0], 0x1001), 0);
		/* Each version is the next, also where the vCPU does not know the last. */
		memset(&vm->vcpu[0]->pvclock, 0, sizeof(vm->vcpu[0]->pvclock));
		assert_int_equal(gmem_read(&vm->gmem, GPA(0x1000), &page, sizeof(page)), 0);
		assert_int_equal(page.version, 2 * (i + 1));
		for (uint64_t ticks = 1; ticks < 1ul << 50; ticks = ticks * 3 + 1) {
			uint64_t t = page.shift < 0 ? ticks >> -page.shift : ticks << page.shift;
			uint64_t guest = (uint64_t)((unsigned __int128)t * page.mult >> 32);
			uint64_t host = (uint64_t)((unsigned __int128)ticks * tsc_to_ns_mult >> 32);

			assert_true(guest <= host && host - guest <= 2 + (host >> 30));
		}
	}
	tsc_to_ns_mult = kept;
	vm_put(vm);
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
	assert_int_equal(msr_write(v, MSR_APIC_BASE,
				   VLAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC), 0);
	assert_int_equal(msr_read(v, MSR_X2APIC_ID, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(msr_write(v, MSR_X2APIC_ID, 0), -EINVAL);	/* read-only */
	assert_int_equal(msr_read(v, MSR_X2APIC_EOI, &value), -EINVAL);	/* write-only */
	assert_int_equal(msr_write(v, MSR_X2APIC_EOI, 1), -EINVAL);
	assert_int_equal(msr_write(v, 0x831, 0), -EINVAL);	/* ICR is one register here */
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
	start_timer(v, 1000);
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
	start_timer(v, 100000);
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
	start_timer(v, 1000);
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
	start_timer(v, 50000000);
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
	start_timer(v, 1);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t before = v->vlapic.timer.deadline_ns;

		host_tsc += 1000;
		fake_timers_run();
		fired += v->vlapic.timer.deadline_ns != before;
	}
	assert_in_range(fired, 5, 15);
	vm_put(vm);
}

/* A periodic timer that reaches nobody costs the host nothing; heard again, it is on time. */
static void apic_timer_masked(void **state)
{
	static const uint32_t deaf[] = { LVT_MASKED | 0x40, 0x0f };
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	uint64_t start;

	(void)state;
	run_clock(vm);
	for (unsigned i = 0; i < ARRAY_COUNT(deaf); i++) {
		vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
		vlapic_write(v, REG_TIMER_DIVIDE, 11);
		vlapic_write(v, REG_LVT_TIMER, deaf[i] | TIMER_PERIODIC << 17);
		start = vm_clock_ns(vm);
		start_timer(v, 100000);
		for (unsigned k = 0; k < 1000; k++) {
			host_tsc += 10000;
			fake_timers_run();
		}
		assert_int_equal(v->vlapic.timer_due_ns, start + 100000);
		assert_false(vlapic_irr_any(&v->vlapic));
		vlapic_write(v, REG_LVT_TIMER, 0x40 | TIMER_PERIODIC << 17);
		/* What passed meanwhile is not made up for: the next multiple is the next tick. */
		fake_timers_run();
		assert_false(vlapic_irr_any(&v->vlapic));
		assert_in_range(v->vlapic.timer_due_ns, vm_clock_ns(vm) + 1,
				vm_clock_ns(vm) + 100000);
		assert_int_equal((v->vlapic.timer_due_ns - start) % 100000, 0);
		host_tsc += 100000;
		fake_timers_run();
		assert_int_equal(vlapic_pending(v), 0x40);
		vlapic_write(v, REG_SVR, 0xff);
		vlapic_reset(v);
	}
	vm_put(vm);
}

/* A device's message tells whether an APIC took it; its broadcast is heard in x2APIC mode too. */
static void messages(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	assert_false(vlapic_message(vm, 0xfee00000, 0x41));	/* switched off */
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	assert_true(vlapic_message(vm, 0xfee00000, 0x41));
	assert_false(vlapic_message(vm, 0xfee05000, 0x42));	/* nobody's */
	assert_false(vlapic_message(vm, 0xfee00000, 0x0f));
	assert_false(vlapic_message(vm, 0xfee00000, DELIVERY_NMI << 8));
	assert_false(vlapic_message(vm, 0xfee00000, DELIVERY_EXTINT << 8 | 0x43));
	assert_int_equal(vlapic_base_write(v, v->apic_base | APIC_BASE_X2APIC), 0);
	assert_true(vlapic_message(vm, 0xfeeff000, 0x44));
	vlapic_ipi(v, 0xfful << 32 | 0x45);			/* CPU 255 */
	assert_int_equal(v->vlapic.irr[1], BIT(0x41 - 64) | BIT(0x44 - 64));
	vm_put(vm);
}

/* A level that nobody took is sent again once somebody may take it. */
static void level_waits_for_an_apic(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	machine_firmware_registers(vm);
	/* GSI 9, level, vector 0x51, to CPU 0; the power button holds it up. */
	bus_write(vm, HOST_MMIO, 0xfec00000, 4, 0x10 + 2 * 9);
	bus_write(vm, HOST_MMIO, 0xfec00010, 4, 0x51 | 1 << 15);
	bus_write(vm, HOST_PORT, VACPI_SMI_PORT, 1, VACPI_ENABLE);
	bus_write(vm, HOST_PORT, VACPI_EVENT_PORT + 2, 2, 1 << 8);
	vm_power_button(vm);
	assert_false(vlapic_irr_any(&v->vlapic));
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	assert_int_equal(vlapic_pending(v), 0x51);
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

#define NONE	1ul	/* the other vendor's: #GP */
#define ON	(~0ul)

/* The table of docs/MSRS.md: what is read on either vendor; which bits are kept, which ignored. */
static const struct {
	uint32_t first, last;
	uint64_t intel, amd;
	bool read_only;
	uint64_t kept, ignored;
} listed[] = {
	{ MSR_P5_MC_ADDR, MSR_P5_MC_TYPE, 0, 0, .read_only = true },
	{ MSR_PLATFORM_ID, MSR_PLATFORM_ID, 0, NONE, .read_only = true },
	{ 0x2a, 0x2a, 0, NONE, .read_only = true },
	{ 0x2c, 0x2c, 1 << 24, NONE, .read_only = true },
	{ 0x34, 0x34, 0, NONE, .read_only = true },
	{ MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, 1ul << 32, 0x01000065, .ignored = ON },
	{ 0xc1, 0xc2, 0, 0, .ignored = ON },
	{ 0xcd, 0xcd, 3, NONE, .read_only = true },
	{ MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, 0, 0, .read_only = true },
	{ MSR_MTRRCAP, MSR_MTRRCAP, 0x508, 0x508, .read_only = true },
	{ 0x11e, 0x11e, 0xbe702111, NONE, .ignored = ON },
	{ 0x140, 0x140, 0, 0, .kept = 0 },
	{ MSR_MCG_CAP, MSR_MCG_CAP, 0, 0, .read_only = true },
	{ MSR_MCG_STATUS, MSR_MCG_STATUS, 0, 0, .kept = 0 },
	{ 0x186, 0x187, 0, 0, .ignored = ON },
	{ 0x198, 0x198, 0x400000003e8, NONE, .read_only = true },
	{ 0x199, 0x199, 0, NONE, .read_only = true },
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE, 0x1801, 0x1801, .kept = 0x4400c10009,
	  .ignored = ~0x4400c11809ul },
	{ 0x1db, 0x1de, 0, 0, .read_only = true },
	{ 0x1fc, 0x1fc, 0, NONE, .kept = ON },
	{ 0x606, 0x606, 0, NONE, .read_only = true },
	{ 0x611, 0x611, 0, NONE, .read_only = true },
	{ 0x619, 0x619, 0, NONE, .read_only = true },
	{ 0x639, 0x639, 0, NONE, .read_only = true },
	{ 0x641, 0x641, 0, NONE, .read_only = true },
	{ 0xc0010000, 0xc0010007, 0, 0, .ignored = ON },
	{ MSR_SYSCFG, MSR_SYSCFG, NONE, 0, .ignored = ON },
	{ MSR_HWCR, MSR_HWCR, NONE, 1 << 24, .kept = 0x1040000, .ignored = 0x148 },
	{ 0xc001001b, 0xc001001b, NONE, 0x20000000, .ignored = ON },
	{ MSR_NB_CFG, MSR_NB_CFG, NONE, 0, .ignored = ON },
	{ MSR_INT_PENDING, MSR_INT_PENDING, NONE, 0, .ignored = ON },
	{ MSR_MMIO_CONF_BASE, MSR_MMIO_CONF_BASE, NONE, 0, .kept = 0 },
	{ 0xc0010112, 0xc0010113, NONE, 0, .read_only = true },
	{ MSR_VM_CR, MSR_VM_CR, NONE, 0x18, .ignored = ON },
	{ 0xc0011020, 0xc0011023, NONE, 0, .ignored = ON },
	{ MSR_DE_CFG, MSR_DE_CFG, NONE, 2, .ignored = ON },
	{ 0xc001102a, 0xc001102a, NONE, 0, .ignored = ON },
	{ 0xc001102c, 0xc001102c, NONE, 0, .ignored = ON },
};

static void check_bits(struct vcpu *v, uint32_t m, uint64_t reset, uint64_t kept, uint64_t ignored)
{
	uint64_t value;

	for (unsigned bit = 0; bit < 64; bit++) {
		int err = msr_write(v, m, reset ^ BIT(bit));

		assert_int_equal(err, (kept | ignored) & BIT(bit) ? 0 : -EINVAL);
		assert_int_equal(msr_read(v, m, &value), 0);
		assert_int_equal(value, kept & BIT(bit) ? reset ^ BIT(bit) : reset);
		assert_int_equal(msr_write(v, m, reset), 0);
	}
}

static void msrs_as_listed(void **state)
{
	static const enum cpu_vendor vendors[] = { VENDOR_INTEL, VENDOR_AMD };
	struct vm *vm;
	struct vcpu *v;
	uint64_t value;

	(void)state;
	for (unsigned k = 0; k < ARRAY_COUNT(vendors); k++) {
		vm = make_vm();
		v = vm->vcpu[0];
		vm->cpuid->vendor = vendors[k];
		for (unsigned i = 0; i < ARRAY_COUNT(listed); i++) {
			uint64_t want = k ? listed[i].amd : listed[i].intel;

			for (uint32_t m = listed[i].first; m <= listed[i].last; m++) {
				int err = msr_read(v, m, &value);

				assert_int_equal(err, want == NONE ? -EINVAL : 0);
				if (want == NONE || listed[i].read_only) {
					assert_int_equal(msr_write(v, m, 0), -EINVAL);
					assert_int_equal(msr_write(v, m, want), -EINVAL);
				}
				if (want == NONE)
					continue;
				assert_int_equal(value, want);
				if (!listed[i].read_only)
					check_bits(v, m, want, listed[i].kept, listed[i].ignored);
			}
		}
		/* Write-only ones, and one that is locked. */
		assert_int_equal(msr_write(v, MSR_BIOS_UPDT_TRIG, 5), k ? -EINVAL : 0);
		assert_int_equal(msr_read(v, MSR_BIOS_UPDT_TRIG, &value), -EINVAL);
		assert_int_equal(msr_write(v, MSR_PATCH_LOADER, 5), k ? 0 : -EINVAL);
		assert_int_equal(msr_read(v, MSR_PATCH_LOADER, &value), -EINVAL);
		assert_int_equal(msr_read(v, MSR_FEATURE_CONTROL, &value), k ? -EINVAL : 0);
		assert_int_equal(msr_write(v, MSR_FEATURE_CONTROL, 5), -EINVAL);
		vm_put(vm);
	}
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

/* A processor with every feature that there is. */
static struct cpuid_regs every_feature(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	if (leaf == 4)
		return (struct cpuid_regs){ 0 };
	return (struct cpuid_regs){
		leaf == 0 ? 0xd : leaf == 0x80000000 ? 0x80000008 : ~0u, ~0u, ~0u, ~0u,
	};
}

static struct vm *make_vm_with(const char *model)
{
	struct vm_config c = { .name = "model", .vcpus = 1, .memory = 16 * MIB };
	struct vm *vm = NULL;
	char why[160];

	assert_int_equal(cpu_model_parse(&c.cpu, model, strlen(model), why, sizeof(why)), 0);
	assert_int_equal(cpuid_model_check(&c.cpu, why, sizeof(why)), 0);
	assert_int_equal(vm_create(&c, &vm), 0);
	return vm;
}

static bool sees(struct vcpu *v, const struct cpu_feature *f)
{
	const struct cpu_word *w = &cpu_words[f->id / 32];
	struct cpuid_regs r;
	uint32_t reg[4];

	cpuid_query(v, w->leaf, w->subleaf, &r);
	memcpy(reg, &r, sizeof(reg));
	return reg[w->reg] >> f->id % 32 & 1;
}

/* What is taken away is gone, alone, and so is what it would allow. */
static void model_takes_away(void **state)
{
	static const char model[] =
		"host, -x2apic, -tsc-deadline, -tsc_adjust, -pcid, -nx, -smep, +aes";
	const uint64_t base = VLAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_BSP;
	const struct cpu_feature *f;
	struct vm *whole, *less;
	struct vcpu *v;
	uint64_t value;
	char text[200];

	(void)state;
	host_cpuid = every_feature;
	cpuid_init();
	whole = make_vm_with("host");
	less = make_vm_with(model);
	v = less->vcpu[0];
	for (unsigned i = 0; (f = cpu_model_feature(i)); i++) {
		assert_int_equal(sees(whole->vcpu[0], f), cpuid_offers(i));
		assert_int_equal(sees(v, f),
				 cpuid_offers(i) && !cpu_model_is_off(&less->config.cpu, i));
	}
	cpuid_model_format(&less->config.cpu, text, sizeof(text));
	assert_string_equal(text, "host, -pcid, -x2apic, -tsc-deadline, +aes, -tsc_adjust, -smep, "
			    "-invpcid, -nx");
	assert_int_equal(whole->cpuid->cr4_withheld, 0);
	assert_int_equal(less->cpuid->cr4_withheld, CR4_PCIDE | CR4_SMEP);
	assert_int_equal(msr_write(v, MSR_EFER, EFER_NXE), -EINVAL);
	assert_int_equal(msr_write(whole->vcpu[0], MSR_EFER, EFER_NXE), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t m = i ? MSR_TSC_ADJUST : MSR_TSC_DEADLINE;

		assert_int_equal(msr_read(v, m, &value), -EINVAL);
		assert_int_equal(msr_write(v, m, 0), -EINVAL);
		assert_int_equal(msr_read(whole->vcpu[0], m, &value), 0);
		assert_int_equal(msr_write(whole->vcpu[0], m, 0), 0);
	}
	assert_int_equal(msr_write(v, MSR_APIC_BASE, base | APIC_BASE_X2APIC), -EINVAL);
	assert_int_equal(msr_write(v, MSR_APIC_BASE, base), 0);
	assert_int_equal(msr_write(whole->vcpu[0], MSR_APIC_BASE, base | APIC_BASE_X2APIC), 0);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, TIMER_DEADLINE << 17 | 0x40);
	assert_int_equal(vlapic_read(v, REG_LVT_TIMER), 0x40);
	vm_put(whole);
	vm_put(less);
}

static void model_takes_state(void **state)
{
	static const struct { const char *model; uint64_t xcr0; } cases[] = {
		{ "host", 0x2e7 }, { "host, -avx512f", 0x207 }, { "host, -avx2", 0x207 },
		{ "host, -avx", 0x203 }, { "host, -pku", 0xe7 }, { "host, -xsave", 0 },
	};
	struct cpuid_regs r;

	(void)state;
	host_cpuid = every_feature;
	fake_xcr0 = 0x2e7;
	cpuid_init();
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct vm *vm = make_vm_with(cases[i].model);

		assert_int_equal(vm->cpuid->xcr0_allowed, cases[i].xcr0);
		assert_int_equal(!(vm->cpuid->cr4_allowed & CR4_OSXSAVE), !cases[i].xcr0);
		assert_int_equal(!(vm->cpuid->cr4_allowed & CR4_PKE),
				 !(cases[i].xcr0 & XCR0_PKRU));
		cpuid_query(vm->vcpu[0], 0xd, 0, &r);
		assert_int_equal(r.eax, cases[i].xcr0);
		vm_put(vm);
	}
	fake_xcr0 = 7;
}

/* A model may ask for what this host lacks, and is told all of it; and for what no guest gets. */
static void model_asks_too_much(void **state)
{
	static const char model[] = "host, +aes, +vmx, -x2apic, +rdseed";
	struct cpu_model m;
	char why[160];

	(void)state;
	host_cpuid = NULL;
	cpuid_init();
	assert_int_equal(cpu_model_parse(&m, model, strlen(model), why, sizeof(why)), 0);
	assert_int_equal(cpuid_model_check(&m, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "not to be had on this host: vmx, aes, rdseed");
	host_cpuid = every_feature;
	cpuid_init();
	assert_int_equal(cpuid_model_check(&m, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "not to be had on this host: vmx");
}

/* What the host is when the vm is made, its vm's MSRs are for good. */
static void vendor_is_frozen(void **state)
{
	struct vm *vm;
	uint64_t patch, now;

	(void)state;
	vm = make_vm();
	assert_int_equal(features.vendor, VENDOR_AMD);
	assert_int_equal(msr_read(vm->vcpu[0], MSR_BIOS_SIGN_ID, &patch), 0);
	features.vendor = VENDOR_INTEL;
	assert_int_equal(msr_read(vm->vcpu[0], MSR_BIOS_SIGN_ID, &now), 0);
	assert_int_equal(now, patch);
	assert_int_equal(msr_read(vm->vcpu[0], MSR_HWCR, &now), 0);
	assert_int_equal(msr_read(vm->vcpu[0], MSR_POWER_CTL, &now), -EINVAL);
	features.vendor = VENDOR_AMD;
	vm_put(vm);
}

static int without_model(void **state)
{
	(void)state;
	host_cpuid = NULL;
	cpuid_init();
	return 0;
}

/* ---- events ---- */

static void double_and_triple(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	run_clock(vm);
	stops = 0;
	fake_ops.reg_set(v, REG_CR0, CR0_PE);
	event_queue(v, &(struct event){ .valid = true, .type = EVENT_EXCEPTION,
		.vector = EXC_PF, .has_error = true, .error = 0, .payload = 0x1000 });
	event_gp(v);			/* while the #PF is on its way */
	assert_int_equal(v->event.pending.vector, EXC_DF);
	assert_true(v->event.pending.has_error);
	event_pick(v);
	assert_int_equal(v->event.injected.vector, EXC_DF);
	event_requeue(v, &v->event.injected);
	event_gp(v);
	fake_work_run();
	assert_int_equal(stops, 1);
	assert_int_equal(stop_why, VM_STOP_RESET);
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	vm_put(vm);
}

/* A single step and breakpoints of one instruction are one #DB; a fault is another matter. */
static void traps_are_one(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	event_debug(v, DR6_BS);
	event_debug(v, DR6_B0 | DR6_B3);
	assert_int_equal(v->event.pending.vector, EXC_DB);
	assert_int_equal(v->event.pending.payload, DR6_BS | DR6_B0 | DR6_B3);
	event_ud(v);
	assert_int_equal(v->event.pending.vector, EXC_UD);
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	vm_put(vm);
}

/* All vCPUs die at once: one report, one line that it was a triple fault. */
static void one_report(void **state)
{
	struct vm_config c = { .name = "many", .vcpus = 8, .memory = 16 * MIB };
	struct vm *vm = NULL;
	unsigned infos, warnings;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), 0);
	infos = host_log_count[LOG_INFO];
	warnings = host_log_count[LOG_WARN];
	for (unsigned i = 0; i < c.vcpus; i++)
		exit_shutdown(vm->vcpu[i]);
	assert_in_range(host_log_count[LOG_INFO] - infos, 1, 10);
	assert_int_equal(host_log_count[LOG_WARN] - warnings, 1);
	vm_destroy(vm, NULL, NULL);
	fake_work_run();
	vm_put(vm);
}

static void picks_in_order(void **state)
{
	struct vm *vm = make_vm();
	struct vcpu *v = vm->vcpu[0];
	const struct event *e = &v->event.injected;

	(void)state;
	run_clock(vm);
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	v->rflags = RFLAGS_ONE;
	vlapic_set_irr(v, 0x50, false);
	assert_int_equal(event_pick(v), EVENT_BLOCKED_IRQ);
	assert_false(e->valid);
	v->rflags |= RFLAGS_IF;
	v->event.shadow = EVENT_SHADOW_STI;
	assert_int_equal(event_pick(v), EVENT_BLOCKED_IRQ);
	v->event.shadow = 0;
	event_nmi(v);
	event_nmi(v);
	event_nmi(v);			/* a third is lost: two are latched */
	event_ud(v);
	event_pick(v);
	assert_int_equal(e->vector, EXC_UD);
	assert_int_equal(event_pick(v), EVENT_BLOCKED_IRQ | EVENT_BLOCKED_NMI);
	assert_int_equal(e->type, EVENT_NMI);
	assert_true(v->event.nmi_masked);
	assert_int_equal(event_pick(v), EVENT_BLOCKED_NMI);
	assert_int_equal(e->vector, 0x50);
	v->event.nmi_masked = false;
	assert_int_equal(event_pick(v), 0);
	assert_int_equal(e->type, EVENT_NMI);
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
			assert_int_equal(msr_read(vm->vcpu[id], 0x40000100 + 7 * i, &value),
					 -EINVAL);
	assert_in_range(host_log_count[LOG_DEBUG] - before, 2, 17);
	vm_stats_get(vm, &s);
	assert_int_equal(s.unknown_msrs, 8000);
	vm_put(vm);
}

/* ---- the loop ---- */

#define TURNS	10

static jmp_buf at_turn;
static unsigned turns;
static struct vcpu *asked;

static void ask_again(void)
{
	if (turns++ == TURNS)
		longjmp(at_turn, 1);
	vcpu_request(asked, VCPU_REQ_EVENT);
}

/* Whom others ask on and on, but never for what ends its HLT, gives way each time it is asked. */
static void asked_while_halted(void **state)
{
	struct vm *vm = make_vm();

	(void)state;
	asked = vm->vcpu[0];
	asked->activity = VCPU_HALTED;
	asked->rflags = RFLAGS_ONE;
	this_cpu(sched_wanted_flag) = true;
	host_prepare = ask_again;
	turns = host_points = 0;
	if (!setjmp(at_turn))
		host_thread_entry(asked);
	host_prepare = NULL;
	this_cpu(sched_wanted_flag) = false;
	assert_int_equal(asked->activity, VCPU_HALTED);
	assert_in_range(host_points, TURNS, TURNS + 1);
	vm_put(vm);
}

/* A vCPU that is held to other CPUs looks for one itself. */
static void moves(void **state)
{
	struct vm *vm = make_vm();
	struct cpu_set s = { { 2 } };

	(void)state;
	asked = vm->vcpu[0];
	asked->activity = VCPU_HALTED;
	asked->rflags = RFLAGS_ONE;
	host_moves = 0;
	assert_int_equal(vm_vcpu_pin(vm, 0, &s), 0);
	assert_int_equal(vm_vcpu_pin(vm, vm->vcpu_count, &s), -ENOENT);
	assert_true(asked->requests & VCPU_REQ_MOVE);
	host_prepare = ask_again;
	turns = 0;
	if (!setjmp(at_turn))
		host_thread_entry(asked);
	host_prepare = NULL;
	assert_int_equal(host_moves, 1);
	vm_put(vm);
}

/* ---- waiting for memory ---- */

static struct vcpu *starved;
static unsigned naps;
static bool hope;

/* It has nothing to do (1), waits for memory (2) if there is hope, and has nothing to do again. */
static void nap(void)
{
	struct vm_stats s;
	struct vcpu_info i;

	vm_stats_get(starved->vm, &s);
	assert_int_equal(vm_vcpu_info(starved->vm, 0, &i), 0);
	assert_int_equal(s.wants_memory, ++naps == 2 && hope);
	assert_int_equal(i.wants_memory, s.wants_memory);
	if (naps == 3 || starved->vm->ending == VM_ENDS)
		longjmp(at_turn, 1);
}

/* The vCPU's thread for as long as it has something to do. */
static void live(struct vcpu *v)
{
	starved = v;
	v->activity = VCPU_HALTED;
	v->rflags = RFLAGS_ONE;
	naps = 0;
	host_prepare = nap;
	if (!setjmp(at_turn))
		host_thread_entry(v);
	host_prepare = NULL;
}

static void touch_without_memory(struct vcpu *v)
{
	v->vm->charge.limit = v->vm->charge.pages;
	exit_memory(v, GPA(4 * MIB), GMEM_WRITE);
	assert_int_equal(v->requests & VCPU_REQ_MEMORY, VCPU_REQ_MEMORY);
	assert_false(v->vm->ending == VM_ENDS);
}

static void memory_is_waited_for(void **state)
{
	struct vm *vm = make_vm(), *other = make_vm();
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	touch_without_memory(v);
	hope = true;
	live(v);
	assert_int_equal(naps, 3);
	assert_false(vm->ending == VM_ENDS);
	vm->charge.limit = 0;
	exit_memory(v, GPA(4 * MIB), GMEM_WRITE);
	assert_false(v->requests & VCPU_REQ_MEMORY);
	assert_non_null(gmem_peek(&vm->gmem, GPA(4 * MIB), GMEM_WRITE));
	/* An instruction that is emulated likewise: its code is not there yet. */
	vm->charge.limit = vm->charge.pages;
	v->rip = 6 * MIB;
	exit_hlt(v, 0);
	assert_true(v->requests & VCPU_REQ_MEMORY);
	assert_int_equal(v->rip, 6 * MIB);
	/* Two of two would wait for each other: the second ends, whichever it is. */
	assert_true(vm_memory_wait_begin(v));
	assert_false(vm_memory_wait_begin(other->vcpu[0]));
	vm_memory_wait_end(v);
	assert_true(vm_memory_wait_begin(other->vcpu[0]));
	assert_false(vm_memory_wait_begin(v));
	vm_memory_wait_end(other->vcpu[0]);
	/* Nobody is left to give any back. */
	vm_put(other);
	assert_int_equal(vm_start(vm), 0);
	v->state = VCPU_NEW;
	hope = false;
	live(v);
	assert_int_equal(vm->ending, VM_ENDS);
	fake_work_run();
	assert_int_equal(stop_why, VM_STOP_CRASH);
	vm_put(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_clock_is_no_faster),
		cmocka_unit_test(priorities), cmocka_unit_test(x2apic_rules),
		cmocka_unit_test(apic_timer), cmocka_unit_test(shorthands),
		cmocka_unit_test(apic_timer_fires_once), cmocka_unit_test(apic_timer_late_callback),
		cmocka_unit_test(apic_timer_unheard), cmocka_unit_test(apic_timer_masked),
		cmocka_unit_test(messages), cmocka_unit_test(level_waits_for_an_apic),
		cmocka_unit_test(every_msr), cmocka_unit_test(msrs_as_listed),
		cmocka_unit_test_teardown(model_takes_away, without_model),
		cmocka_unit_test_teardown(model_takes_state, without_model),
		cmocka_unit_test_teardown(model_asks_too_much, without_model),
		cmocka_unit_test(vendor_is_frozen),
		cmocka_unit_test(cpuid_leaves), cmocka_unit_test(double_and_triple),
		cmocka_unit_test(traps_are_one),
		cmocka_unit_test(one_report), cmocka_unit_test(picks_in_order),
		cmocka_unit_test(unknown_msrs_are_counted), cmocka_unit_test(asked_while_halted),
		cmocka_unit_test(moves),
		cmocka_unit_test(memory_is_waited_for),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
