/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that misbehave for good, one way per run, named on the command line: whatever becomes of
 * this guest, the one beside it goes on and Keel's console answers. `GOING` is said before;
 * coming back is shown as SURVIVED, which is right too where a fault was caught. Ways are listed
 * at the end of this file.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

#define HOLE 0xfd000000ul

void die32(int way);

static void triple(void)
{
	struct { uint16_t limit; uint64_t base; } packed none = { 0, 0 };

	__asm__ volatile("lidt %0\n\tud2" :: "m"(none));
}

static void cli_hlt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void cli_spin(void)
{
	cli();
	for (;;)
		barrier();
}

static void sti_spin(void)
{
	sti();
	for (;;)
		barrier();
}

static void pause_spin(void)
{
	for (;;)
		pause();
}

/*
 * A watchpoint on the stack that #DB's own delivery writes: each delivery raises the next
 * (CVE-2015-8104). Not intercepted, a chip never leaves the loop, not for an interrupt either.
 */
static void db_loop(void)
{
	uint64_t top = trap_ist_top(3);

	trap_ist_set(VEC_DB, 3);
	dr0_write(top - 8);
	dr1_write(top - 16);
	dr2_write(top - 24);
	dr3_write(top - 40);
	dr7_write(0x400 | 0xff | 0x99990000ul);	/* all four, 8 bytes, writes */
	*(volatile uint64_t *)(top - 8) = 1;
	for (;;)
		barrier();
}

static void ac_loop(void)
{
	gdt[0x50 / 8] = 0x00cffb000000ffff;
	die32(0);
}

static void task(void)
{
	static uint32_t tss32[32] aligned(128);
	uint64_t base = (uint64_t)tss32;

	gdt[0x60 / 8] = 103 | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
	die32(1);
}

static void task_bad(void)
{
	gdt[0x68 / 8] = 0x0000890000000010;
	die32(2);
}

static void jump_to(void *at)
{
	((void (*)(void))at)();
}

static void run_from(uint64_t at)
{
	struct fault f = fault_call(jump_to, (void *)at);

	print("vector %d error %x at %lx\n", f.vector, f.error, f.rip);
}

static void exec_hole(void)
{
	run_from(HOLE);
}

static void exec_device(void)
{
	mmio_write(LAPIC_BASE + APIC_LVT_ERROR, LVT_MASKED);
	run_from(LAPIC_BASE + APIC_LVT_ERROR);
}

static void exec_ioapic(void)
{
	run_from(IOAPIC_BASE);
}

static void exec_above(void)
{
	page_map(WINDOW, 1ul << 39, PTE_P | PTE_W);
	run_from(WINDOW);
}

static void tables_hole(void)
{
	cr3_write(HOLE);
	barrier();
}

static void tables_device(void)
{
	cr3_write(LAPIC_BASE);
	barrier();
}

static void tables_above(void)
{
	cr3_write(1ul << 38);
	barrier();
}

static void idt_hole(void)
{
	struct { uint16_t limit; uint64_t base; } packed at = { 0xfff, HOLE };

	__asm__ volatile("lidt %0\n\tud2" :: "m"(at));
}

static void idt_device(void)
{
	struct { uint16_t limit; uint64_t base; } packed at = { 0xfff, LAPIC_BASE };

	__asm__ volatile("lidt %0\n\tud2" :: "m"(at));
}

static void gdt_device(void)
{
	struct { uint16_t limit; uint64_t base; } packed at = { 0xff, IOAPIC_BASE };

	__asm__ volatile("lgdt %0\n\tmov %1, %%ds" :: "m"(at), "r"(SEL_DATA));
}

static void stack_hole(void)
{
	__asm__ volatile("mov %0, %%rsp\n\tpush %%rax\n\tud2" :: "r"(HOLE + 0x800));
}

static void stack_device(void)
{
	__asm__ volatile("mov %0, %%rsp\n\tpush %%rax\n\tud2" :: "r"(LAPIC_BASE + 0x400));
}

static void call_from_device(void)
{
	__asm__ volatile("call *(%0)" :: "r"(LAPIC_BASE + APIC_LVT_ERROR));
}

static void vector_in_device(void)
{
	__asm__ volatile("movdqu (%0), %%xmm0" :: "r"(LAPIC_BASE));
}

static void init_self(void)
{
	apic_write(APIC_ICR, 0x500 | ICR_SELF);
	apic_write(APIC_ICR_HIGH, cpuid(1).ebx & 0xff000000);
	apic_write(APIC_ICR, 0x500 | 0x4000);
}

static void nmi_loop(void)
{
	trap_ist_set(VEC_NMI, 0);
	for (;;) {
		apic_write(APIC_ICR_HIGH, cpuid(1).ebx & 0xff000000);
		apic_write(APIC_ICR, ICR_NMI);
	}
}

static void df_loop(void)
{
	page_map(WINDOW, 0, 0);
	__asm__ volatile("mov %0, %%rsp\n\tud2" :: "r"(WINDOW + 0x100));
}

static void timer_storm(void)
{
	static unsigned count;

	trap_count_set(0x70, &count);
	apic_write(APIC_LVT_TIMER, 0x70 | LVT_PERIODIC);
	apic_write(APIC_TIMER_INIT, 1);
	outb(0x43, 0x34);
	outb(0x40, 1);
	outb(0x40, 0);
	for (;;)
		sti_hlt_cli();
}

/* So much that its first words are dropped from its console: each line says that it goes on. */
static void print_storm(void)
{
	for (;;)
		print("GOING on: all work and no play makes this guest a loud neighbour.\n");
}

static void memory_hog(void)
{
	for (uint64_t at = 0x200000; at < ram_end(); at += 4096)
		*(volatile uint64_t *)at = at;
	for (;;)
		for (uint64_t at = 0x200000; at < ram_end(); at += 4096)
			if (*(volatile uint64_t *)at != at)
				astray("memory changed at %lx", at);
}

/*
 * Runs through a page that it never writes: zeros, which are ADD AL, [RAX] again and again. The
 * page behind returns.
 */
static void exec_zeros(void)
{
	static uint16_t pair;
	volatile uint8_t *code = (uint8_t *)0x400000, *odd = (uint8_t *)&pair + 1;

	code[4096] = 0xc3;
	for (unsigned n = 0;; n++) {
		unsigned skipped = n % 2048;

		*odd = 0;
		__asm__ volatile("call *%0" : : "r"(code + 2 * skipped), "a"(odd)
				 : "memory", "cc");
		if (*odd != (uint8_t)((2048 - skipped) * (uint8_t)(uintptr_t)odd))
			astray("%u bytes of zeros were not executed", 4096 - 2 * skipped);
		if (!skipped)
			print("executed %u\n", n);
	}
}

static void in_from_port(void *arg)
{
	(void)arg;
	inb(0x80);
}

/* Ring 3 asks for a port whose permission is where no memory is: no operand of IN. */
static void bitmap_hole(void)
{
	uint64_t base = WINDOW + 4096 - 0x100;
	uint8_t *page = page_get();

	page_map(WINDOW, (uint64_t)page, PTE_P | PTE_W);
	page_map(WINDOW + 4096, HOLE, PTE_P | PTE_W);
	*(uint64_t *)(page + 0xf04) = trap_ist_top(1);		/* RSP0 */
	*(uint16_t *)(page + 0xf66) = 0x100;
	gdt[SEL_FREE / 8] = 0xfff | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56 |
			    0x0000890000000000;
	gdt[SEL_FREE / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" :: "r"(SEL_FREE));
	user_call(in_from_port, NULL);
}

static const struct {
	const char *name;
	void (*fn)(void);
} ways[] = {
	{ "triple", triple }, { "cli_hlt", cli_hlt }, { "cli_spin", cli_spin },
	{ "sti_spin", sti_spin }, { "pause_spin", pause_spin }, { "db_loop", db_loop },
	{ "ac_loop", ac_loop }, { "task", task }, { "task_bad", task_bad },
	{ "exec_hole", exec_hole }, { "exec_device", exec_device }, { "exec_ioapic", exec_ioapic },
	{ "exec_above", exec_above }, { "tables_hole", tables_hole },
	{ "tables_device", tables_device }, { "tables_above", tables_above },
	{ "idt_hole", idt_hole }, { "idt_device", idt_device }, { "gdt_device", gdt_device },
	{ "stack_hole", stack_hole }, { "stack_device", stack_device },
	{ "call_from_device", call_from_device }, { "vector_in_device", vector_in_device },
	{ "init_self", init_self }, { "nmi_loop", nmi_loop }, { "df_loop", df_loop },
	{ "timer_storm", timer_storm }, { "print_storm", print_storm },
	{ "bitmap_hole", bitmap_hole }, { "memory_hog", memory_hog }, { "exec_zeros", exec_zeros },
};

/* The last word of the command line. */
static const char *way(void)
{
	const char *last = cmdline();

	for (const char *at = last; *at; at++)
		if (*at == ' ' && at[1] && at[1] != ' ')
			last = at + 1;
	return last;
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	for (unsigned i = 0; i < ARRAY_COUNT(ways); i++) {
		if (!text_equal(way(), ways[i].name))
			continue;
		print("GOING %s\n", ways[i].name);
		ways[i].fn();
		print("SURVIVED %s\n", ways[i].name);
		return;
	}
	astray("no way '%s'", way());
}
