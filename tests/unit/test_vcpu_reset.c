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
 * INIT and SIPI: what the manual's table says of each register, in every order and form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/vm_test.h"
#include "vmm/msr.h"
#include "vmm/vlapic/vlapic_bits.h"

static struct vm *make_two(void)
{
	struct vm_config c = { .name = "two", .vcpus = 2, .memory = 16 * MIB, .stopped = stopped };
	struct vm *vm = NULL;

	features.physical_bits = 40;
	features.vendor = VENDOR_AMD;
	assert_int_equal(vm_create(&c, &vm), 0);
	return vm;
}

/* As the vCPU's loop serves them. */
static void serve(struct vcpu *v)
{
	uint32_t req = __atomic_exchange_n(&v->requests, 0, __ATOMIC_SEQ_CST);

	if (req & VCPU_REQ_INIT)
		vcpu_reset_init(v);
	if (req & VCPU_REQ_SIPI)
		vcpu_reset_startup(v, (uint8_t)(req >> VCPU_REQ_VECTOR_SHIFT));
}

static void send(struct vm *vm, uint32_t low)
{
	vlapic_ipi(vm->vcpu[0], (uint64_t)ICR_OTHERS << 18 | low);
}

/* ---- registers ---- */

#define KEPT		0x5a5a5a5au		/* what all had before */

static const struct {
	enum reg reg;
	uint64_t after;
} table[] = {
	/* CD and NW stay, ET is set, all else is clear. */
	{ REG_CR0, CR0_ET | (KEPT & (CR0_CD | CR0_NW)) },
	{ REG_CR2, 0 }, { REG_CR3, 0 }, { REG_CR4, 0 }, { REG_CR8, 0 }, { REG_EFER, 0 },
	{ REG_DR0, 0 }, { REG_DR1, 0 }, { REG_DR2, 0 }, { REG_DR3, 0 },
	{ REG_DR6, 0xffff0ff0 }, { REG_DR7, 0x400 },
	{ REG_XCR0, KEPT },
	{ REG_STAR, KEPT }, { REG_LSTAR, KEPT }, { REG_CSTAR, KEPT }, { REG_SFMASK, KEPT },
	{ REG_KERNEL_GS_BASE, KEPT }, { REG_TSC_AUX, KEPT },
	{ REG_SYSENTER_CS, KEPT }, { REG_SYSENTER_ESP, KEPT }, { REG_SYSENTER_EIP, KEPT },
	{ REG_PAT, KEPT }, { REG_DEBUGCTL, KEPT }, { REG_SPEC_CTRL, KEPT },
	{ REG_PDPTE0, 0 }, { REG_PDPTE1, 0 }, { REG_PDPTE2, 0 }, { REG_PDPTE3, 0 },
};

static const struct {
	enum seg seg;
	uint16_t selector;
	uint64_t base;
	uint32_t attr;
} segments[] = {
	{ SEG_CS, 0xf000, 0xffff0000, SEG_P | SEG_S | 0xb },
	{ SEG_SS, 0, 0, SEG_P | SEG_S | 3 }, { SEG_DS, 0, 0, SEG_P | SEG_S | 3 },
	{ SEG_ES, 0, 0, SEG_P | SEG_S | 3 }, { SEG_FS, 0, 0, SEG_P | SEG_S | 3 },
	{ SEG_GS, 0, 0, SEG_P | SEG_S | 3 },
	{ SEG_LDTR, 0, 0, SEG_P | 2 }, { SEG_TR, 0, 0, SEG_P | 0xb },
	{ SEG_GDTR, 0, 0, 0 }, { SEG_IDTR, 0, 0, 0 },
};

static void spoil(struct vcpu *v)
{
	static const struct segment any = {
		.base = KEPT, .limit = KEPT, .attr = SEG_P | SEG_S | 0x0f, .selector = 0x5a5a,
	};

	for (enum reg r = 0; r < REG_COUNT; r++)
		vmm_ops->reg_set(v, r, KEPT);
	for (enum seg s = 0; s < SEG_COUNT; s++)
		vmm_ops->segment_set(v, s, &any);
	memset(v->gpr, 0x5a, sizeof(v->gpr));
	memset(v->hw.fpu, 0x5a, fpu_area_size());
	memset(v->mtrr, 0x5a, sizeof(v->mtrr));
	v->rip = v->rflags = KEPT;
	v->tsc_adjust = KEPT;
	v->pvclock.system_time_msr = KEPT;
	v->activity = VCPU_HALTED;
	event_gp(v);
	event_nmi(v);
	v->event.nmi_masked = true;
	v->event.shadow = EVENT_SHADOW_STI;
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0x77);
	vlapic_write(v, REG_TIMER_DIVIDE, 3);
	vlapic_write(v, REG_TIMER_INITIAL, 0x5a5a);
	vlapic_set_irr(v, 0x55, false);
}

static void registers_after_init(void **state)
{
	struct vm *vm = make_two();
	struct vcpu *v = vm->vcpu[1];
	struct segment s;
	uint64_t tsc, base = VLAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC;

	(void)state;
	run_clock(vm);
	spoil(v);
	vlapic_base_set(v, base);
	tsc = vcpu_guest_tsc(v);
	vcpu_reset_init(v);
	assert_int_equal(ARRAY_COUNT(table), REG_COUNT);
	for (unsigned i = 0; i < ARRAY_COUNT(table); i++)
		assert_int_equal(vmm_ops->reg_get(v, table[i].reg), table[i].after);
	assert_int_equal(ARRAY_COUNT(segments), SEG_COUNT);
	for (unsigned i = 0; i < ARRAY_COUNT(segments); i++) {
		vmm_ops->segment_get(v, segments[i].seg, &s);
		assert_int_equal(s.selector, segments[i].selector);
		assert_int_equal(s.base, segments[i].base);
		assert_int_equal(s.limit, 0xffff);
		assert_int_equal(s.attr, segments[i].attr);
	}
	for (enum gpr r = 0; r < GPR_COUNT; r++)
		if (r != GPR_RDX)
			assert_int_equal(v->gpr[r], 0);
	assert_int_equal(v->rip, 0xfff0);
	assert_int_equal(v->rflags, RFLAGS_ONE);
	assert_int_equal(v->activity, VCPU_WAIT_SIPI);
	for (size_t i = 0; i < fpu_area_size(); i++)
		assert_int_equal(((uint8_t *)v->hw.fpu)[i], 0x5a);
	for (unsigned i = 0; i < ARRAY_COUNT(v->mtrr); i++)
		assert_int_equal(v->mtrr[i], 0x5a5a5a5a5a5a5a5a);
	assert_int_equal(v->tsc_adjust, KEPT);
	assert_int_equal(vcpu_guest_tsc(v), tsc);
	assert_int_equal(v->pvclock.system_time_msr, KEPT);
	assert_false(v->event.pending.valid || v->event.nmi_masked || v->event.shadow);
	assert_int_equal(v->event.nmi_pending, 0);
	assert_int_equal(v->apic_base, base);
	assert_int_equal(vlapic_read(v, REG_ID), 1);
	assert_int_equal(vlapic_read(v, REG_SVR), 0xff);
	assert_int_equal(vlapic_read(v, REG_TIMER_INITIAL), 0);
	assert_int_equal(vlapic_read(v, REG_TIMER_DIVIDE), 0);
	assert_false(vlapic_irr_any(&v->vlapic));
	vm_put(vm);
}

/* DX tells the processor's signature, as CPUID does. */
static struct cpuid_regs signature(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return (struct cpuid_regs){ .eax = leaf ? 0x800f12 : 1 };
}

static void signature_in_dx(void **state)
{
	struct vm *vm;

	(void)state;
	host_cpuid = signature;
	vm = make_two();
	host_cpuid = NULL;
	assert_int_equal(vm->vcpu[0]->gpr[GPR_RDX], 0x800f12);
	vcpu_reset_init(vm->vcpu[1]);
	assert_int_equal(vm->vcpu[1]->gpr[GPR_RDX], 0x800f12);
	vm_put(vm);
}

/* ---- orders and forms ---- */

#define INIT		(DELIVERY_INIT << 8)
#define SIPI(v)		(DELIVERY_SIPI << 8 | (v))
#define SERVE		0xffffffff	/* the vCPU comes to its requests */
#define STEPS		6

enum { WAITS = -1 };

/* What is sent to a vCPU that runs at vector 11h, and where it is after that. */
static const struct {
	const char *name;
	uint32_t step[STEPS];
	int runs_at;			/* vector, or WAITS */
} orders[] = {
	{ "nothing", { 0 }, 0x11 },
	{ "SIPI while it runs", { SIPI(0x22) }, 0x11 },
	{ "INIT, edge, assert", { INIT | ICR_ASSERT }, WAITS },
	{ "INIT, edge, no assert", { INIT }, WAITS },
	{ "INIT, level, assert", { INIT | ICR_LEVEL | ICR_ASSERT }, WAITS },
	{ "INIT, level, de-assert: nothing", { INIT | ICR_LEVEL }, 0x11 },
	{ "INIT, SIPI", { INIT, SERVE, SIPI(0x22) }, 0x22 },
	{ "INIT, SIPI at once", { INIT, SIPI(0x22) }, 0x22 },
	{ "INIT, de-assert, SIPI", { INIT, INIT | ICR_LEVEL, SIPI(0x22) }, 0x22 },
	{ "INIT, SIPI, SIPI: the first", { INIT, SIPI(0x22), SIPI(0x33) }, 0x22 },
	{ "likewise, served between", { INIT, SERVE, SIPI(0x22), SERVE, SIPI(0x33) }, 0x22 },
	{ "INIT, INIT", { INIT, SERVE, INIT }, WAITS },
	{ "INIT, INIT, SIPI", { INIT, SERVE, INIT, SERVE, SIPI(0x22) }, 0x22 },
	{ "INIT, SIPI, INIT at once", { INIT, SIPI(0x22), INIT }, WAITS },
	{ "INIT, SIPI, INIT", { INIT, SERVE, SIPI(0x22), INIT }, WAITS },
	{ "SIPI, INIT", { SIPI(0x22), INIT }, WAITS },
	{ "INIT, SIPI, INIT, SIPI", { INIT, SIPI(0x22), INIT, SIPI(0x33) }, 0x33 },
	{ "SIPI served for nothing, INIT", { SIPI(0x22), SERVE, INIT }, WAITS },
};

static void orders_and_forms(void **state)
{
	struct vm *vm = make_two();
	struct vcpu *v = vm->vcpu[1];
	struct segment cs;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(orders); i++) {
		vcpu_reset(v);
		vcpu_reset_startup(v, 0x11);
		v->activity = i & 1 ? VCPU_HALTED : VCPU_RUNNABLE;
		for (unsigned k = 0; k < STEPS && orders[i].step[k]; k++) {
			if (orders[i].step[k] == SERVE)
				serve(v);
			else
				send(vm, orders[i].step[k]);
		}
		serve(v);
		vmm_ops->segment_get(v, SEG_CS, &cs);
		if ((v->activity == VCPU_WAIT_SIPI) != (orders[i].runs_at == WAITS) ||
		    (orders[i].runs_at != WAITS && cs.selector != orders[i].runs_at << 8))
			fail_msg("%s: activity %u, cs %x", orders[i].name, v->activity,
				 cs.selector);
		if (orders[i].runs_at != WAITS)
			assert_int_equal(cs.base, (uint64_t)orders[i].runs_at << 12);
	}
	vm_put(vm);
}

/* ---- the boot processor ---- */

static void boot_processor(void **state)
{
	struct vm *vm = make_two();
	struct vcpu *v = vm->vcpu[0];
	struct segment cs;

	(void)state;
	run_clock(vm);
	stops = 0;
	v->rip = 0x1234;
	vlapic_ipi(v, (uint64_t)ICR_SELF << 18 | INIT);
	serve(v);
	fake_work_run();
	assert_int_equal(stops, 1);
	assert_int_equal(stop_why, VM_STOP_RESET);
	vm_put(vm);
	/* With firmware at the reset vector it goes there, and waits for nobody. */
	vm = make_two();
	v = vm->vcpu[0];
	assert_int_equal(gmem_add_ram(&vm->gmem, GPA(0xfffff000), PAGE_SIZE), 0);
	run_clock(vm);
	stops = 0;
	v->rip = 0x1234;
	v->activity = VCPU_HALTED;
	vlapic_ipi(v, (uint64_t)ICR_SELF << 18 | INIT);
	vlapic_ipi(v, (uint64_t)ICR_SELF << 18 | SIPI(0x33));
	serve(v);
	fake_work_run();
	assert_int_equal(stops, 0);
	assert_int_equal(v->activity, VCPU_RUNNABLE);
	assert_int_equal(v->rip, 0xfff0);
	vmm_ops->segment_get(v, SEG_CS, &cs);
	assert_int_equal(cs.base, 0xffff0000);
	assert_true(v->apic_base & APIC_BASE_BSP);
	vm_put(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_after_init), cmocka_unit_test(signature_in_dx),
		cmocka_unit_test(orders_and_forms), cmocka_unit_test(boot_processor),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
