/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps: the gates and the dispatch; see kernel/trap.h. Interrupts go on to irq_dispatch(). An NMI
 * is somebody's message (panic stops the other CPUs by it) or a count. A machine check, and an
 * exception without a fixup, ends in panic with the frame's registers.
 * Source: Intel SDM 3, "Interrupt and Exception Handling", "Machine-Check Architecture".
 */
#include "kernel/trap.h"

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/gdt.h"
#include "cpu/percpu.h"
#include "kernel/irq.h"
#include "kernel/panic.h"
#include "kernel/trace.h"
#include "mm/kmap.h"

#define STUB_SIZE	16
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
static uint64_t nmi_count PERCPU;
static bool (*nmi_hook)(const struct trap_frame *f);

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

/*
 * Every bank reports; what firmware left in them is old. Without CR4.MCE a machine check would be
 * a silent reset.
 */
static void enable_machine_checks(void)
{
	uint64_t cap;

	if (!cpu_has(FEATURE_MCE) || !cpu_has(FEATURE_MCA) || cpu_rdmsr_safe(MSR_MCG_CAP, &cap))
		return;
	if (cap & MCG_CAP_CTL)
		(void)!cpu_wrmsr_safe(MSR_MCG_CTL, ~0ul);
	for (unsigned i = 0; i < FIELD(cap, 7, 0); i++) {
		(void)!cpu_wrmsr_safe(MSR_MC0_CTL + 4 * i, ~0ul);
		(void)!cpu_wrmsr_safe(MSR_MC0_STATUS + 4 * i, 0);
	}
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

void trap_set_nmi(bool (*fn)(const struct trap_frame *f))
{
	nmi_hook = fn;
}

uint64_t trap_nmi_count(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < cpu_count; i++)
		sum += per_cpu(nmi_count, i);
	return sum;
}

static void handle_nmi(const struct trap_frame *f)
{
	panic_nmi(f);
	if (nmi_hook && nmi_hook(f))
		return;
	this_cpu(nmi_count)++;
}

void trap_nmi(void)
{
	handle_nmi(NULL);
}

/* Names the banks that hold an error; none of them is survivable here. */
static noreturn void handle_machine_check(const struct trap_frame *f)
{
	uint64_t cap = 0, status = 0, bank = 0, address = 0;
	unsigned i;

	if (cpu_rdmsr_safe(MSR_MCG_CAP, &cap) || cpu_rdmsr_safe(MSR_MCG_STATUS, &status))
		cap = 0;
	for (i = 0; i < FIELD(cap, 7, 0); i++)
		if (!cpu_rdmsr_safe(MSR_MC0_STATUS + 4 * i, &bank) && (bank & MC_STATUS_VAL))
			break;
	if (i == FIELD(cap, 7, 0))
		panic_at(f, "machine check: MCG_STATUS %lx, no bank names it", status);
	if (cpu_rdmsr_safe(MSR_MC0_ADDR + 4 * i, &address))
		address = 0;
	panic_at(f, "machine check: MCG_STATUS %lx, bank %u: STATUS %lx ADDR %lx", status, i, bank,
		 address);
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

static void handle_exception(struct trap_frame *f)
{
	if (f->vector == EXC_NMI)
		return handle_nmi(f);
	if (f->vector == EXC_MC)
		handle_machine_check(f);
	if (f->vector == EXC_DF)
		die_of_double_fault(f);
	if (fix_up(f))
		return;
	if (f->vector == EXC_PF)
		die_of_page_fault(f);
	panic_at(f, "%s (error code %lx)", exception_names[f->vector] ?: "reserved exception",
		 f->error);
}

void trap_dispatch(struct trap_frame *f)
{
	if (likely(f->vector >= IRQ_FIRST))
		irq_dispatch((unsigned)f->vector);
	else if (f->vector < EXC_COUNT)
		handle_exception(f);
	/* Else a spurious interrupt of the masked 8259s, which wants no answer. */
}
