/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps: the gates, and the dispatch of those that are no interrupts; see kernel/trap.h. An NMI is
 * panic's message, by which it stops the other CPUs, or nobody's. A machine check, and an
 * exception of Keel's own without a fixup, ends in panic with the frame's registers; one of ring 3
 * ends its thread. Intel's machine checks reach
 * all CPUs, and the one that knows the error is seldom the first to panic: each writes down what
 * its banks say before it stops, and the report has it all.
 * Source: Intel SDM 3, "Interrupt and Exception Handling", "Machine-Check Architecture".
 */
#include "kernel/trap.h"

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/gdt.h"
#include "cpu/percpu.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "lib/format.h"
#include "mm/kmap.h"

#define STUB_SIZE	12
#define GATE_INTERRUPT	0x8e	/* present, ring 0, interrupts off */

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

struct fixup {
	int32_t from, to;	/* each relative to itself */
};

extern const char trap_stubs[];
extern const struct fixup fixup_start[], fixup_end[];

static struct gate idt[256] aligned(4096);

/*
 * What a CPU's banks held when it stopped: the first that says something, the worst before others.
 */
struct machine_check {
	uint64_t global, status, address;	/* MCG_STATUS; of the bank */
	uint8_t bank;
	bool valid;
};

static struct machine_check machine_check PERCPU;
static struct machine_check leftover PERCPU;	/* of before the start: the first bank's */
static uint8_t bank_count PERCPU;		/* 0: no machine-check architecture */

static const char *const exception_names[EXC_COUNT] = {
	[EXC_DE] = "#DE divide error", [EXC_DB] = "#DB debug", [EXC_NMI] = "NMI",
	[EXC_BP] = "#BP breakpoint", [EXC_OF] = "#OF overflow", [EXC_BR] = "#BR bound",
	[EXC_UD] = "#UD invalid opcode", [EXC_NM] = "#NM no coprocessor",
	[EXC_DF] = "#DF double fault", [EXC_TS] = "#TS invalid TSS",
	[EXC_NP] = "#NP segment not present", [EXC_SS] = "#SS stack",
	[EXC_GP] = "#GP general protection", [EXC_PF] = "#PF page fault", [EXC_MF] = "#MF x87",
	[EXC_AC] = "#AC alignment", [EXC_MC] = "#MC machine check", [EXC_XM] = "#XM SIMD",
	[EXC_VE] = "#VE", [EXC_CP] = "#CP", [EXC_HV] = "#HV", [EXC_VC] = "#VC", [EXC_SX] = "#SX",
};

static enum gdt_ist ist_of(unsigned vector)
{
	switch (vector) {
	case EXC_NMI:
		return GDT_IST_NMI;
	case EXC_DF:
		return GDT_IST_DF;
	case EXC_MC:
		return GDT_IST_MC;
	default:
		return GDT_IST_NONE;
	}
}

void trap_init(void)
{
	for (unsigned i = 0; i < ARRAY_COUNT(idt); i++) {
		uint64_t stub = (uint64_t)trap_stubs + i * STUB_SIZE;

		idt[i] = (struct gate){
			.offset_low = (uint16_t)stub,
			.selector = GDT_KERNEL_CODE,
			.ist = (uint8_t)ist_of(i),
			.type = GATE_INTERRUPT,
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
}

static uint64_t bank_read(unsigned bank, uint32_t register0)
{
	uint64_t v;

	return cpu_rdmsr_safe(register0 + 4 * bank, &v) ? 0 : v;
}

static struct machine_check bank_take(unsigned bank)
{
	uint64_t status = bank_read(bank, MSR_MC0_STATUS);

	if (!(status & MC_STATUS_VAL))
		return (struct machine_check){ 0 };
	return (struct machine_check){
		.status = status, .bank = (uint8_t)bank,
		.address = status & MC_STATUS_ADDRV ? bank_read(bank, MSR_MC0_ADDR) : 0,
	};
}

/*
 * An error that a crash before the reset has left is perhaps the only trace of it; it is logged
 * later, as here this CPU can wake nobody yet.
 */
static void clear_bank(unsigned bank)
{
	if (!this_cpu(leftover).status)
		this_cpu(leftover) = bank_take(bank);
	(void)!cpu_wrmsr_safe(MSR_MC0_STATUS + 4 * bank, 0);
}

/*
 * Every bank reports; what is in them before is old, and cleared first, so that nothing new is
 * lost. Without CR4.MCE a machine check would be a silent reset.
 */
static void enable_machine_checks(void)
{
	uint64_t cap;

	if (!cpu_has(FEATURE_MCE) || !cpu_has(FEATURE_MCA) || cpu_rdmsr_safe(MSR_MCG_CAP, &cap))
		return;
	this_cpu(bank_count) = (uint8_t)FIELD(cap, 7, 0);
	for (unsigned i = 0; i < this_cpu(bank_count); i++)
		clear_bank(i);
	if (cap & MCG_CAP_CTL)
		(void)!cpu_wrmsr_safe(MSR_MCG_CTL, ~0ul);
	for (unsigned i = 0; i < this_cpu(bank_count); i++)
		(void)!cpu_wrmsr_safe(MSR_MC0_CTL + 4 * i, ~0ul);
	cpu_write_cr4(cpu_read_cr4() | CR4_MCE);
}

void trap_cpu_init(void)
{
	struct cpu_table pointer = { sizeof(idt) - 1, (uint64_t)idt };

	cpu_lidt(&pointer);
	enable_machine_checks();
}

uint64_t trap_idt_base(void)
{
	return (uint64_t)idt;
}

static void note_machine_check(void)
{
	struct machine_check *m = &this_cpu(machine_check);

	if (m->valid)
		return;
	for (unsigned i = 0; i < this_cpu(bank_count); i++) {
		struct machine_check found = bank_take(i);

		if (!m->status || (found.status & ~m->status & MC_STATUS_UC))
			*m = found;
	}
	m->global = bank_read(0, MSR_MCG_STATUS);
	__atomic_store_n(&m->valid, true, __ATOMIC_RELEASE);
}

void trap_log_leftovers(void)
{
	for (unsigned i = 0; i < cpu_count; i++) {
		const struct machine_check *m = &per_cpu(leftover, i);

		if (m->status)
			log_warn("machine check of before the start: cpu %u bank %u: STATUS %lx ADDR %lx",
				 i, m->bank, m->status, m->address);
	}
}

void trap_say_machine_checks(void (*say)(const char *line))
{
	char line[160];

	for (unsigned i = 0; i < cpu_count; i++) {
		const struct machine_check *m = &per_cpu(machine_check, i);

		if (!__atomic_load_n(&m->valid, __ATOMIC_ACQUIRE) || !m->status)
			continue;
		format(line, sizeof(line), "cpu %u bank %u: STATUS %lx ADDR %lx MCG_STATUS %lx%s",
		       i, m->bank, m->status, m->address, m->global,
		       m->global & MCG_STATUS_RIPV ? "" : " (rip not valid)");
		say(line);
	}
}

static void handle_nmi(const struct trap_frame *f)
{
	if (panic_started())
		note_machine_check();
	panic_nmi(f);
}

/* None is survivable here. The banks are in the report, this CPU's and those of the others. */
static noreturn void handle_machine_check(const struct trap_frame *f)
{
	note_machine_check();
	panic_at(f, "machine check: MCG_STATUS %lx, %s", this_cpu(machine_check).global,
		 this_cpu(machine_check).status ? "banks below" : "no bank of this CPU names it");
}

void trap_machine_check(void)
{
	handle_machine_check(NULL);
}

static bool fix_up(struct trap_frame *f)
{
	for (const struct fixup *x = fixup_start; x < fixup_end; x++) {
		if ((uint64_t)&x->from + (int64_t)x->from != f->rip)
			continue;
		f->rip = (uint64_t)&x->to + (int64_t)x->to;
		return true;
	}
	return false;
}

static noreturn void die_of_page_fault(const struct trap_frame *f)
{
	uint64_t va = cpu_read_cr2();

	panic_at(f, "#PF page fault: %s %s %016lx (error code %lx)%s",
		 f->error & PF_FETCH ? "fetch from" : f->error & PF_WRITE ? "write to" : "read of",
		 f->error & PF_PRESENT ? "protected" : "unmapped", va, f->error,
		 kmap_is_guard(va) ? ": guard page, stack overflow" : "");
}

/*
 * A push onto a guard page cannot deliver its own #PF and arrives here, with the
 * address still in CR2.
 */
static noreturn void die_of_double_fault(const struct trap_frame *f)
{
	uint64_t va = cpu_read_cr2();

	if (kmap_is_guard(va) || kmap_is_guard(f->rsp))
		panic_at(f, "#DF double fault: stack overflow, RSP %016lx, CR2 %016lx", f->rsp, va);
	panic_at(f, "#DF double fault: RSP %016lx, CR2 %016lx", f->rsp, va);
}

static const char *name_of(const struct trap_frame *f)
{
	return exception_names[f->vector] ?: "reserved exception";
}

static bool of_user(const struct trap_frame *f)
{
	return f->cs & 3;
}

/* Keel is none the worse for it. */
static noreturn void end_user(const struct trap_frame *f)
{
	uint64_t va = cpu_read_cr2();

	cpu_irq_enable();
	log_error("%s: ended by %s at %016lx, error code %lx, CR2 %016lx, RSP %016lx",
		  thread_name(thread_current()), name_of(f), f->rip, f->error, va, f->rsp);
	thread_exit();
}

static void handle_exception(struct trap_frame *f)
{
	if (f->vector == EXC_NMI)
		return handle_nmi(f);
	if (f->vector == EXC_MC)
		handle_machine_check(f);
	if (f->vector == EXC_DF)
		die_of_double_fault(f);
	if (of_user(f))
		end_user(f);
	if (fix_up(f))
		return;
	if (f->vector == EXC_PF)
		die_of_page_fault(f);
	panic_at(f, "%s (error code %lx)", name_of(f), f->error);
}

void trap_dispatch(struct trap_frame *f)
{
	if (f->vector < EXC_COUNT)
		handle_exception(f);
	/* Else a spurious interrupt of the masked 8259s, which wants no answer. */
}

void trap_to_user(void *stack_top)
{
	sched_point();
	gdt_set_stack(GDT_IST_NONE, stack_top);
}
