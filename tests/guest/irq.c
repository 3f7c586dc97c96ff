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

/* Bochs's SVM does not tell in DR6 why #DB comes. */
static bool dr6_tells(void)
{
	return on_qemu_chip() || vendor() == VENDOR_INTEL;
}

/* ---- the boundary behind the IRET of a handler: one that came meanwhile is taken there ---- */

static struct frame taken[2];		/* of the first two NMIs */
static struct frame *broken;
static void (*in_first)(struct frame *frame);
static uint64_t gp_flags, db_dr6;
static unsigned count_gp, count_db;
extern char trap_stubs[];

static void on_nmi_boundary(struct frame *frame)
{
	if (count_nmi < ARRAY_COUNT(taken))
		taken[count_nmi] = *frame;
	if (++count_nmi > 1)
		return;
	/* Three that wait are one. */
	for (unsigned i = 0; i < 3; i++)
		nmi_send();
	if (in_first)
		in_first(frame);
}

static void two_nmis(void (*fn)(struct frame *frame))
{
	count_nmi = 0;
	in_first = fn;
	trap_set(VEC_NMI, on_nmi_boundary);
	nmi_send();
	for (unsigned i = 0; i < 100; i++)
		cpuid(0);
	check_equal(count_nmi, 2, "nmi_one_runs_one_waits");
}

static void on_step(struct frame *frame)
{
	count_db++;
	db_dr6 = dr6_read();
	dr6_write(0xffff0ff0);
	frame->rflags &= ~RFLAGS_TF;
}

static void set_tf(struct frame *frame)
{
	frame->rflags |= RFLAGS_TF;
}

static void user_nothing(void *arg)
{
	(void)arg;
}

static void to_ring_3(struct frame *frame)
{
	(void)frame;
	user_call(user_nothing, NULL);
}

static void on_gp(struct frame *frame)
{
	count_gp++;
	gp_flags = frame->rflags;
	broken->cs = SEL_CODE64;
}

static void break_frame(struct frame *frame)
{
	broken = frame;
	frame->cs = 0xfff8;
}

static void nmi_boundary(void)
{
	two_nmis(NULL);
	check(taken[1].rip == taken[0].rip && taken[1].rflags == taken[0].rflags,
	      "nmi_behind_iret", "%lx %lx, then %lx %lx", taken[0].rip, taken[0].rflags,
	      taken[1].rip, taken[1].rflags);
	trap_set(VEC_DB, on_step);
	count_db = 0;
	two_nmis(set_tf);
	check(taken[1].rip == taken[0].rip && taken[1].rflags == (taken[0].rflags | RFLAGS_TF),
	      "nmi_behind_iret_with_tf", "%lx %lx, then %lx %lx", taken[0].rip, taken[0].rflags,
	      taken[1].rip, taken[1].rflags);
	check(count_db == 1 && (!dr6_tells() || db_dr6 == 0xffff4ff0), "nmi_then_one_step",
	      "%u dr6 %lx", count_db, db_dr6);
	trap_set(VEC_DB, NULL);
	two_nmis(to_ring_3);
	check(taken[1].rip == (uint64_t)user_nothing && (taken[1].cs & 3) == 3, "nmi_in_ring_3",
	      "%lx:%lx", taken[1].cs, taken[1].rip);
	trap_set(VEC_GP, on_gp);
	count_gp = 0;
	two_nmis(break_frame);
	check(count_gp == 1 && !(gp_flags & RFLAGS_TF), "nmi_iret_faults", "%u flags %lx", count_gp,
	      gp_flags);
	if (cmdline_has("no-preemption"))
		skip("nmi_behind_the_fault", "this chip's interrupts do not leave a guest with IF=0");
	else
		check(taken[1].rip == (uint64_t)trap_stubs + 16 * VEC_GP, "nmi_behind_the_fault",
		      "%lx, stubs at %p", taken[1].rip, trap_stubs);
	trap_set(VEC_GP, NULL);
	trap_set(VEC_NMI, on_nmi);
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
	nmi_boundary();
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
