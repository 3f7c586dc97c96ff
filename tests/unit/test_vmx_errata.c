/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmx/vmx_errata.c vmx/vmx_controls.c mm/page.c mm/page_intake.c tests/host/memory.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * Quirks found by trial, on chips that are made of one function: the right one, the quirky one, and
 * those that say nothing, which leaves the table as it was. What the chip does not offer is not
 * tried; what disturbs a trial makes it once more.
 */
#include "vmx/vmx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/gdt.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "kernel/trap.h"
#include "tests/host/memory.h"
#include "vmx/vmx_insn.h"

#define REVISION	0x1234u

const char vmx_errata_spin[4];
struct vmx_controls vmx_controls;
uint32_t vmx_revision = REVISION;

enum chip { RIGHT, QUIRKY, MUTE, REFUSES };

static enum chip chip;
static bool offers_mtf, ipi, host_known;
static unsigned entries, disturbed, handed_over;
static int found[ERRATUM_COUNT];	/* -1: nobody said */

void errata_force(enum erratum e, bool present)
{
	found[e] = present;
}

uint64_t gdt_base(void) { return 0x1000; }
uint64_t gdt_tss_base(void) { return 0x2000; }
uint64_t trap_idt_base(void) { return 0x3000; }
void vmx_host_init(void) { }
void vmx_host_here(void) { host_known = true; }

void vmx_host_exceptions(uint32_t reason)
{
	assert_false(cpu_irq_enabled());
	handed_over += reason == VMX_EXIT_EXCEPTION_NMI;
}

void ipi_send(unsigned cpu, unsigned vector)
{
	assert_int_equal(cpu, cpu_index());
	assert_int_equal(vector, IRQ_KICK);
	assert_false(cpu_irq_enabled());
	ipi = true;
}

static uint32_t reason_of(uint32_t proc)
{
	if (disturbed) {
		disturbed--;
		return VMX_EXIT_EXCEPTION_NMI;
	}
	if (chip == MUTE)
		return VMX_EXIT_TRIPLE_FAULT;
	if (chip == QUIRKY)
		return VMX_EXIT_HLT;
	return ipi ? VMX_EXIT_INTERRUPT : proc & PROC_MTF ? VMX_EXIT_MONITOR_TRAP : VMX_EXIT_HLT;
}

unsigned vmx_enter(uint64_t *gpr, bool launched)
{
	uint32_t proc = (uint32_t)vmcs_read(VMCS_PROC_CONTROLS);

	(void)gpr;
	entries++;
	assert_false(launched || cpu_irq_enabled());
	assert_true(host_known);
	assert_int_equal(*(uint32_t *)page_virt(page_of(host_vmcs_current)), REVISION);
	/* No way for the guest to go anywhere, and nothing that needs more than the VMCS. */
	assert_int_equal(vmcs_read(VMCS_PIN_CONTROLS),
			 PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI);
	assert_int_equal(vmcs_read(VMCS_EXCEPTION_BITMAP), ~0u);
	assert_true(proc & PROC_HLT && proc & PROC_IO);
	assert_false(proc & (PROC_SECONDARY | PROC_TPR_SHADOW | PROC_MSR_BITMAP));
	assert_true(offers_mtf || !(proc & PROC_MTF));
	assert_false(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_IF);
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), (uint64_t)vmx_errata_spin);
	if (chip == REFUSES)
		return 2;
	vmcs_write(VMCS_EXIT_REASON, reason_of(proc));
	ipi = false;
	return 0;
}

/* All may be 1, nothing must be, but for the flag that not every chip has. */
static int rdmsr(uint32_t msr, uint64_t *v)
{
	*v = msr == MSR_VMX_TRUE_PROC && !offers_mtf ? (uint64_t)~(uint32_t)PROC_MTF << 32
						: ~0ul << 32;
	return 0;
}

static int setup(void **state)
{
	struct vmx_control_caps caps;
	const char *missing;

	(void)state;
	memset(found, -1, sizeof(found));
	entries = disturbed = handed_over = 0;
	host_known = false;
	offers_mtf = true;
	host_rdmsr = rdmsr;
	vmx_controls_read(&caps);
	return vmx_controls_adjust(&caps, &vmx_controls, &missing);
}

static void all_are(enum chip which, int verdict)
{
	uint64_t free = memory_free();
	unsigned count = 0;

	chip = which;
	assert_int_equal(vmx_errata_find(), 0);
	assert_int_equal(found[ERRATUM_VMX_PREEMPT_BY_TIMER_ONLY], verdict);
	assert_int_equal(found[ERRATUM_VMX_NO_MTF], offers_mtf ? verdict : -1);
	for (unsigned i = 0; i < ERRATUM_COUNT; i++)
		count += found[i] >= 0;
	assert_int_equal(count, verdict < 0 ? 0 : 1 + offers_mtf);
	assert_true(cpu_irq_enabled());
	assert_int_equal(host_vmcs_current.v, 0);
	assert_int_equal(memory_free(), free);
}

static void right_chip(void **state)
{
	(void)state;
	all_are(RIGHT, 0);
	assert_int_equal(entries, 2);
}

static void quirky_chip(void **state)
{
	(void)state;
	all_are(QUIRKY, 1);
	assert_int_equal(entries, 2);
}

static void chip_that_says_nothing(void **state)
{
	(void)state;
	all_are(MUTE, -1);
}

static void chip_that_refuses(void **state)
{
	(void)state;
	all_are(REFUSES, -1);
}

static void without_mtf(void **state)
{
	(void)state;
	offers_mtf = false;
	all_are(RIGHT, 0);
	assert_int_equal(entries, 1);
}

/* The host's NMI goes where it belongs, and the trial is made again. */
static void disturbed_trial(void **state)
{
	(void)state;
	disturbed = 2;
	all_are(RIGHT, 0);
	assert_int_equal(entries, 4);
	assert_int_equal(handed_over, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(right_chip, setup),
		cmocka_unit_test_setup(quirky_chip, setup),
		cmocka_unit_test_setup(chip_that_says_nothing, setup),
		cmocka_unit_test_setup(chip_that_refuses, setup),
		cmocka_unit_test_setup(without_mtf, setup),
		cmocka_unit_test_setup(disturbed_trial, setup),
	};

	memory_init(16 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
