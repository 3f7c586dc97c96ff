/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When an interrupt is taken: windows, shadows, HLT, task priority, order, NMI. Each is taken once,
 * at the instruction where the architecture says so.
 */
#include "tests/guest/lib/apic.h"

#define LOW	0x41
#define MID	0x61
#define HIGH	0x81

#define SPIN_TICKS	1000000000ul

static unsigned count_low, count_mid, count_high, count_nmi;
static unsigned order[8], order_count;
extern char after_nop[], after_cpuid[], after_hlt[], after_popf[];

static void note(struct frame *frame)
{
	if (order_count < ARRAY_COUNT(order))
		order[order_count++] = (unsigned)frame->vector;
	apic_eoi();
}

static void counting(void)
{
	trap_count_set(LOW, &count_low);
	trap_count_set(MID, &count_mid);
	trap_count_set(HIGH, &count_high);
}

static void window(void)
{
	count_low = 0;
	apic_self_ipi(LOW);
	check(count_low == 0 && apic_bit(APIC_IRR, LOW), "pending_while_closed", "%u", count_low);
	irq_window();
	check(count_low == 1 && !apic_bit(APIC_IRR, LOW) && !apic_bit(APIC_ISR, LOW), "taken_once",
	      "%u", count_low);
	for (unsigned i = 0; i < 10; i++)
		cpuid(0);
	irq_window();
	check_equal(count_low, 1, "not_taken_again");
}

/* STI holds the interrupt back for one instruction. */
static void shadows(void)
{
	apic_self_ipi(LOW);
	__asm__ volatile("sti\n\tnop\nafter_nop:\n\tcli" ::: "memory");
	check_equal(trap_last_rip, (uint64_t)after_nop, "sti_shadow_nop");
	apic_self_ipi(LOW);
	__asm__ volatile("xor %%eax, %%eax\n\tsti\n\tcpuid\nafter_cpuid:\n\tcli"
			 ::: "rax", "rbx", "rcx", "rdx", "memory");
	check_equal(trap_last_rip, (uint64_t)after_cpuid, "sti_shadow_cpuid");
	apic_self_ipi(LOW);
	__asm__ volatile("sti\n\thlt\nafter_hlt:\n\tcli" ::: "memory");
	check_equal(trap_last_rip, (uint64_t)after_hlt, "sti_shadow_hlt");
	apic_self_ipi(LOW);
	__asm__ volatile("pushfq\n\torl $0x200, (%%rsp)\n\tpopfq\nafter_popf:\n\tnop\n\tcli"
			 ::: "memory");
	check_equal(trap_last_rip, (uint64_t)after_popf, "popf_no_shadow");
	check_equal(count_low, 5, "shadows_count");
}

static void halts(void)
{
	unsigned before = count_low;

	for (unsigned i = 0; i < 1000; i++) {
		apic_self_ipi(LOW);
		sti_hlt_cli();
	}
	check_equal(count_low - before, 1000, "hlt_1000");
	before = count_low;
	sti();
	for (unsigned i = 0; i < 1000; i++)
		apic_self_ipi(LOW);
	cli();
	check_equal(count_low - before, 1000, "self_ipi_1000");
	before = count_low;
	for (unsigned i = 0; i < 1000; i++) {
		apic_self_ipi(LOW);
		irq_window();
	}
	check_equal(count_low - before, 1000, "window_1000");
}

static void priority(void)
{
	trap_set(LOW, note);
	trap_set(MID, note);
	trap_set(HIGH, note);
	order_count = 0;
	apic_self_ipi(LOW);
	apic_self_ipi(HIGH);
	apic_self_ipi(MID);
	apic_self_ipi(HIGH);
	irq_window();
	check(order_count == 3 && order[0] == HIGH && order[1] == MID && order[2] == LOW,
	      "priority_order", "%u: %x %x %x", order_count, order[0], order[1], order[2]);
	counting();
}

static bool isr_low, isr_high, high_first;

static void nest_high(struct frame *frame)
{
	(void)frame;
	isr_low = apic_bit(APIC_ISR, LOW);
	isr_high = apic_bit(APIC_ISR, HIGH);
	count_high++;
	apic_eoi();
	isr_high = isr_high && !apic_bit(APIC_ISR, HIGH) && apic_bit(APIC_ISR, LOW);
}

static void nest_low(struct frame *frame)
{
	(void)frame;
	if (++count_low == 1) {
		apic_self_ipi(HIGH);
		apic_self_ipi(LOW);
		irq_window();
		high_first = count_high == 1 && count_low == 1;
	}
	apic_eoi();
}

static void nesting(void)
{
	trap_set(LOW, nest_low);
	trap_set(HIGH, nest_high);
	count_low = count_high = 0;
	apic_self_ipi(LOW);
	irq_window();
	irq_window();
	check(high_first, "nested_higher_only", "low %u high %u", count_low, count_high);
	check(isr_low && isr_high, "eoi_clears_highest", "%d %d", isr_low, isr_high);
	check_equal(count_low, 2, "same_after_eoi");
	counting();
	irq_window();
}

static void task_priority(void)
{
	count_low = count_high = 0;
	cr8_write(LOW >> 4);
	check_equal(apic_read(APIC_TPR), LOW & 0xf0, "cr8_sets_tpr");
	apic_self_ipi(LOW);
	apic_self_ipi(HIGH);
	irq_window();
	check(count_low == 0 && count_high == 1, "tpr_holds_back", "low %u high %u", count_low,
	      count_high);
	check_equal(apic_read(APIC_PPR), LOW & 0xf0, "ppr_is_tpr");
	sti();
	cr8_write(0);
	cpuid(0);
	cli();
	check_equal(count_low, 1, "cr8_lets_go");
	apic_write(APIC_TPR, 0x5a);
	check_equal(cr8_read(), 5, "tpr_sets_cr8");
	apic_write(APIC_TPR, 0);
	check_equal(cr8_read(), 0, "tpr_clears_cr8");
	for (unsigned i = 0; i < 16; i++) {
		cr8_write(i);
		if (cr8_read() != i)
			check(false, "cr8_values", "%u", i);
	}
	cr8_write(0);
}

static void cr8_reserved(void *arg)
{
	(void)arg;
	cr8_write(0x10);
}

/* By shorthand self an NMI is not allowed; by destination it is. */
static void nmi_send(void)
{
	uint32_t id = apic_read(APIC_ID);

	if (apic_mode() == APIC_X2APIC) {
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)id << 32 | ICR_NMI);
		return;
	}
	mmio_write(LAPIC_BASE + APIC_ICR_HIGH, id);
	mmio_write(LAPIC_BASE + APIC_ICR, ICR_NMI);
}

static unsigned nmi_depth, nmi_deepest;

static void on_nmi(struct frame *frame)
{
	(void)frame;
	count_nmi++;
	nmi_depth++;
	if (nmi_depth > nmi_deepest)
		nmi_deepest = nmi_depth;
	if (count_nmi == 1) {
		nmi_send();
		for (unsigned i = 0; i < 100; i++)
			cpuid(0);
	}
	nmi_depth--;
}

/* An NMI needs no window; one sent in its handler waits for the IRET. */
static void nmi(void)
{
	count_nmi = 0;
	trap_set(VEC_NMI, on_nmi);
	nmi_send();
	for (unsigned i = 0; i < 100; i++)
		cpuid(0);
	check_equal(count_nmi, 2, "nmi_twice");
	check_equal(nmi_deepest, 1, "nmi_not_nested");
	nmi_send();
	for (unsigned i = 0; i < 100; i++)
		cpuid(0);
	check_equal(count_nmi, 3, "nmi_again");
}

static void on_nmi_send(struct frame *frame)
{
	(void)frame;
	if (++count_nmi == 1)
		nmi_send();
}

/*
 * One sent in the handler comes when that is done, without anything of the guest's that exits: a
 * watchdog sends it to find out where such a loop hangs.
 */
static void nmi_while_spinning(const char *name, bool irqs)
{
	uint64_t end;

	WRITE_ONCE(count_nmi, 0);
	trap_set(VEC_NMI, on_nmi_send);
	if (irqs)
		sti();
	nmi_send();
	end = rdtsc() + SPIN_TICKS;
	while (READ_ONCE(count_nmi) < 2 && rdtsc() < end)
		;
	cli();
	check_equal(READ_ONCE(count_nmi), 2, name);
}

static void exact(void)
{
	unsigned before = count_mid;

	for (unsigned i = 0; i < 5000; i++) {
		apic_self_ipi(MID);
		sti();
		cpuid(0);
		cpuid(0);
		cli();
	}
	check_equal(count_mid - before, 5000, "self_ipi_cpuid_5000");
}

static void all(void)
{
	counting();
	window();
	shadows();
	halts();
	priority();
	nesting();
	task_priority();
	if (!on_qemu_chip())
		check_fault(fault_call(cr8_reserved, NULL), VEC_GP, 0, "cr8_reserved");
	else
		skip("cr8_reserved", "QEMU's chip does not look");
	exact();
	nmi();
	nmi_while_spinning("nmi_while_spinning", true);
	if (cmdline_has("no-preemption"))
		skip("nmi_while_spinning_masked", "this chip's interrupts do not leave a guest with IF=0");
	else
		nmi_while_spinning("nmi_while_spinning_masked", false);
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	all();
	if (!cpu_has_x2apic()) {
		skip("x2apic", "the CPU has none");
		return;
	}
	print("x2APIC\n");
	apic_init(APIC_X2APIC);
	all();
}
