/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one operation costs, in TSC ticks over many rounds, the bare loop's cost left in. Under
 * QEMU's -icount a tick is an instruction executed anywhere, so the numbers are exact. The loops
 * are as short as C lets them be. `only` and names on the command line: those alone.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

#define ROUNDS		4096
#define WARM		64
#define VEC_IPI		0x50
#define HYPERCALL_UNKNOWN 0x7fff

#define REPEAT(name, op) do {							\
	uint64_t start_, end_;							\
										\
	if (!wanted(name))							\
		break;								\
	for (unsigned i_ = 0; i_ < WARM; i_++)					\
		op;								\
	start_ = rdtsc();							\
	for (unsigned i_ = 0; i_ < ROUNDS; i_++)				\
		op;								\
	end_ = rdtsc();								\
	bench(name, (end_ - start_ + ROUNDS / 2) / ROUNDS);			\
} while (0)

extern void bench_irq_stub(void), bench_irq_stub_x2(void);
uint64_t irq_count;			/* the stubs below count in it */

static bool wanted(const char *name)
{
	return !cmdline_has("only") || cmdline_has(name);
}

static uint64_t roots[2];		/* CR3 before each round: two that share all but the root */

static void roots_init(void)
{
	uint64_t *copy = page_get();

	for (unsigned i = 0; i < 512; i++)
		copy[i] = boot_pml4[i];
	roots[0] = cr3_read();
	roots[1] = (uint64_t)copy;
}

static void do_hypercall(void *arg)
{
	long result = HYPERCALL_UNKNOWN;

	if (vendor() == VENDOR_INTEL)
		__asm__ volatile("vmcall" : "+a"(result) :: "memory");
	else
		__asm__ volatile("vmmcall" : "+a"(result) :: "memory");
	*(long *)arg = result;
}

static void hypercall_run(void)
{
	long result = 0;

	if (!(cpuid(1).ecx & 1u << 31) || fault_call(do_hypercall, &result).vector >= 0) {
		skip("hypercall", "nobody answers");
		return;
	}
	if (result != -1000)
		print("hypercall: an unknown number gave %ld, not -1000\n", result);
	if (vendor() == VENDOR_INTEL)
		REPEAT("hypercall", ({ long r_ = HYPERCALL_UNKNOWN;
			__asm__ volatile("vmcall" : "+a"(r_) :: "memory"); }));
	else
		REPEAT("hypercall", ({ long r_ = HYPERCALL_UNKNOWN;
			__asm__ volatile("vmmcall" : "+a"(r_) :: "memory"); }));
}

static void exits_run(void)
{
	REPEAT("cpuid", cpuid(0));
	REPEAT("cpuid_cr3", ({ cr3_write(roots[i_ & 1]); cpuid(0); }));
	if (rdmsr_try(MSR_TSC_ADJUST, NULL).vector < 0) {
		REPEAT("rdmsr", rdmsr(MSR_TSC_ADJUST));
		REPEAT("wrmsr", wrmsr(MSR_TSC_ADJUST, 0));
	} else {
		skip("rdmsr", "no TSC_ADJUST");
	}
	hypercall_run();
	REPEAT("pio_in", inb(0x21));
	REPEAT("pio_out", outb(0x21, 0xff));
	REPEAT("pio_in_port61", inb(0x61));
	REPEAT("pio_in_unclaimed", inb(0x2f0));
	REPEAT("mmio_read", mmio_read(IOAPIC_BASE));
	REPEAT("mmio_write", mmio_write(IOAPIC_BASE, 0));
	REPEAT("mmio_read_lapic", mmio_read(LAPIC_BASE + APIC_LVT_ERROR));
}

/* The handlers are a few instructions of assembly, reached without the runtime's frame. */
__asm__(".text\n"
	"bench_irq_stub:\n"
	"	incq irq_count(%rip)\n"
	"	push %rax\n"
	"	mov $0xfee000b0, %eax\n"
	"	movl $0, (%rax)\n"
	"	pop %rax\n"
	"	iretq\n"
	"bench_irq_stub_x2:\n"
	"	incq irq_count(%rip)\n"
	"	push %rax\n"
	"	push %rcx\n"
	"	push %rdx\n"
	"	mov $0x80b, %ecx\n"
	"	xor %eax, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	pop %rdx\n"
	"	pop %rcx\n"
	"	pop %rax\n"
	"	iretq\n");

static void self_ipi_run(const char *name, bool x2)
{
	uint64_t before = irq_count;

	if (!wanted(name))
		return;
	trap_entry_set(VEC_IPI, x2 ? bench_irq_stub_x2 : bench_irq_stub);
	sti();
	if (x2)
		REPEAT(name, wrmsr(MSR_X2APIC + APIC_ICR / 16, ICR_SELF | VEC_IPI));
	else
		REPEAT(name, mmio_write(LAPIC_BASE + APIC_ICR, ICR_SELF | VEC_IPI));
	cli();
	if (irq_count - before != ROUNDS + WARM)
		print("%s: %lu interrupts of %u\n", name, irq_count - before, ROUNDS + WARM);
}

/* To the one vCPU with this logical id, among all that there are. */
static void ipi_run(const char *name)
{
	uint64_t before = irq_count;

	if (!wanted(name))
		return;
	trap_entry_set(VEC_IPI, bench_irq_stub);
	mmio_write(LAPIC_BASE + APIC_LDR, 1u << 24);
	mmio_write(LAPIC_BASE + APIC_ICR_HIGH, 1u << 24);
	sti();
	REPEAT(name, mmio_write(LAPIC_BASE + APIC_ICR, ICR_LOGICAL | VEC_IPI));
	cli();
	if (irq_count - before != ROUNDS + WARM)
		print("%s: %lu interrupts of %u\n", name, irq_count - before, ROUNDS + WARM);
}

static void self_ipi_hlt_run(const char *name, bool x2)
{
	uint64_t before = irq_count;

	if (!wanted(name))
		return;
	trap_entry_set(VEC_IPI, x2 ? bench_irq_stub_x2 : bench_irq_stub);
	cli();
	if (x2)
		REPEAT(name, ({ wrmsr(MSR_X2APIC + APIC_ICR / 16, ICR_SELF | VEC_IPI);
				sti_hlt_cli(); }));
	else
		REPEAT(name, ({ mmio_write(LAPIC_BASE + APIC_ICR, ICR_SELF | VEC_IPI);
				sti_hlt_cli(); }));
	if (irq_count - before != ROUNDS + WARM)
		print("%s: %lu interrupts of %u\n", name, irq_count - before, ROUNDS + WARM);
}

static void timer_hlt_run(const char *name, bool x2)
{
	uint64_t before = irq_count;

	if (!wanted(name))
		return;
	trap_entry_set(VEC_IPI, x2 ? bench_irq_stub_x2 : bench_irq_stub);
	apic_write(APIC_LVT_TIMER, VEC_IPI);
	cli();
	if (x2)
		REPEAT(name, ({ wrmsr(MSR_X2APIC + APIC_TIMER_INIT / 16, 1000); sti_hlt_cli(); }));
	else
		REPEAT(name, ({ mmio_write(LAPIC_BASE + APIC_TIMER_INIT, 1000); sti_hlt_cli(); }));
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	if (irq_count - before != ROUNDS + WARM)
		print("%s: %lu interrupts of %u\n", name, irq_count - before, ROUNDS + WARM);
}

static void apic_run(void)
{
	apic_init(APIC_XAPIC);
	REPEAT("eoi_xapic", mmio_write(LAPIC_BASE + APIC_EOI, 0));
	REPEAT("eoi_xapic_cr3", ({ cr3_write(roots[i_ & 1]);
				   mmio_write(LAPIC_BASE + APIC_EOI, 0); }));
	self_ipi_run("self_ipi_xapic", false);
	ipi_run("ipi_unicast");
	self_ipi_hlt_run("self_ipi_hlt_xapic", false);
	timer_hlt_run("timer_hlt", false);
	if (!cpu_has_x2apic()) {
		skip("x2apic", "the CPU has none");
		return;
	}
	apic_init(APIC_X2APIC);
	REPEAT("eoi_x2apic", wrmsr(MSR_X2APIC + APIC_EOI / 16, 0));
	self_ipi_run("self_ipi_x2apic", true);
	self_ipi_hlt_run("self_ipi_hlt", true);
	timer_hlt_run("timer_hlt_x2apic", true);
}

void test_main(void)
{
	pic_mask(0xffff);
	roots_init();
	exits_run();
	apic_run();
}
