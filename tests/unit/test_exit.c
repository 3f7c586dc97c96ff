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
 * IN and OUT with a device that looks at its vCPU: while it answers the instruction is not done,
 * and what comes behind an instruction comes behind its access.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/vm_test.h"
#include "vmm/exit.h"

#define RIP		0x1000ul
#define PORT		0x1000
#define LENGTH		2

static struct vcpu *v;
static unsigned accesses;
static bool again;

static void not_done_yet(void)
{
	accesses++;
	assert_int_equal(v->rip, RIP);
	assert_int_equal(v->event.shadow, 1);
	assert_false(v->event.pending.valid);
}

static uint64_t answer(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	(void)d;
	(void)region;
	(void)size;
	not_done_yet();
	return 0x1122334455667788 + offset;
}

static void take(struct vdev *d, unsigned region, uint64_t offset, unsigned size, uint64_t value)
{
	(void)d;
	(void)region;
	(void)offset;
	(void)value;
	(void)size;
	not_done_yet();
	v->io_again = again;		/* as host_again() does */
}

static const struct vdev_ops watcher_ops = { .name = "watcher", .read = answer, .write = take };
static struct vdev watcher = { .ops = &watcher_ops };

/* It stands at an IN or OUT in a shadow; `flags` beside the reserved one. */
static void stand(uint64_t flags)
{
	memset(&v->event.pending, 0, sizeof(v->event.pending));
	v->rip = RIP;
	v->rflags = RFLAGS_ONE | flags;
	v->event.shadow = 1;
	v->gpr[GPR_RAX] = ~0ul;
	accesses = 0;
}

static void assert_done(unsigned count, bool trap)
{
	assert_int_equal(accesses, count);
	assert_int_equal(v->rip, RIP + LENGTH);
	assert_int_equal(v->event.shadow, 0);
	assert_int_equal(v->event.pending.valid, trap);
	if (!trap)
		return;
	assert_int_equal(v->event.pending.vector, EXC_DB);
	assert_int_equal(v->event.pending.payload, DR6_BS);
}

static int watched_setup(void **state)
{
	(void)state;
	again = false;
	v = make_vm()->vcpu[0];
	run_clock(v->vm);
	assert_int_equal(bus_claim(v->vm, HOST_PORT, &watcher, 1, PORT, 8), 0);
	return 0;
}

static int watched_end(void **state)
{
	(void)state;
	vm_put(v->vm);
	return 0;
}

/* Whole, and half outside of the claim, which is split; with and without a single step. */
static void in(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 2; step++) {
		stand(step ? RFLAGS_TF : 0);
		exit_in(v, PORT, 4, LENGTH);
		assert_done(1, step);
		assert_int_equal(v->gpr[GPR_RAX], 0x55667788);
		stand(step ? RFLAGS_TF : 0);
		exit_in(v, PORT + 6, 4, LENGTH);
		assert_done(2, step);
		assert_int_equal(v->gpr[GPR_RAX], 0xffff8f8e);
	}
}

static void out(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 2; step++) {
		stand(step ? RFLAGS_TF : 0);
		exit_out(v, PORT, 4, LENGTH);
		assert_done(1, step);
		stand(step ? RFLAGS_TF : 0);
		exit_out(v, PORT + 6, 4, LENGTH);
		assert_done(2, step);
	}
}

/* One that runs again is not done: neither the step nor the breakpoint on its port has come. */
static void out_again(void **state)
{
	(void)state;
	vmm_ops->reg_set(v, REG_CR4, CR4_DE);
	vmm_ops->reg_set(v, REG_DR0, PORT);
	vmm_ops->reg_set(v, REG_DR7, DR7_RESET | 2 | 2 << 16);
	again = true;
	for (unsigned at = PORT; at <= PORT + 6; at += 6) {
		stand(RFLAGS_TF);
		exit_out(v, at, 4, LENGTH);
		exit_io_watched(v, RIP, (uint16_t)at, 4);
		assert_int_equal(v->rip, RIP);
		assert_int_equal(v->event.shadow, 1);
		assert_false(v->event.pending.valid);
	}
	again = false;
	stand(0);
	exit_out(v, PORT, 4, LENGTH);
	exit_io_watched(v, RIP, PORT, 4);
	assert_int_equal(v->rip, RIP + LENGTH);
	assert_true(v->event.pending.valid);
	assert_int_equal(v->event.pending.payload, DR6_B0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in, watched_setup, watched_end),
		cmocka_unit_test_setup_teardown(out, watched_setup, watched_end),
		cmocka_unit_test_setup_teardown(out_again, watched_setup, watched_end),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
