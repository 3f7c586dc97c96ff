/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions whose memory operand is a device's register: the local APIC's error LVT (it keeps
 * bits 0 to 7 and 16), and memory where nobody answers. What is unusual comes last and is named
 * before it is tried, since what a hypervisor cannot emulate may end the run.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

#define REG		(LAPIC_BASE + APIC_LVT_ERROR)
#define START		0x10055u

static uint64_t flags;

#define FLAGS_OUT "\n\tpushfq\n\tpop %[f]"
#define ARITHMETIC (RFLAGS_CF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/*
 * Runs `insn` with the register at START, EDX = in; what EDX and the register then are, and the
 * flags.
 */
#define TRY(insn, in, want_edx, want_reg, want_flags) do {				\
	uint64_t d_ = (in), f_;								\
											\
	mmio_write(REG, START);								\
	__asm__ volatile("clc\n\t" insn FLAGS_OUT : "+d"(d_), [f] "=&r"(f_)		\
			 : "b"(REG), "a"((uint64_t)START) : "memory", "cc");		\
	result(insn, d_, want_edx, mmio_read(REG), want_reg, f_ & ARITHMETIC, want_flags); \
} while (0)

#define ANY	(~0ul)

static void result(const char *name, uint64_t edx, uint64_t want_edx, uint32_t reg,
		   uint32_t want_reg, uint64_t f, uint64_t want_flags)
{
	bool ok = edx == want_edx && reg == want_reg && (want_flags == ANY || f == want_flags);
	char plain[64];
	unsigned n = 0;

	for (; *name && n + 1 < sizeof(plain); name++)
		if (*name != '%' && *name != '\n')
			plain[n++] = *name == '\t' || *name == ' ' ? '_' : *name;
	plain[n] = 0;
	flags = f;
	check(ok, plain, ": rdx %lx want %lx, reg %x want %x, flags %lx want %lx", edx, want_edx,
	      reg, want_reg, f, want_flags);
}

static void moves(void)
{
	TRY("movl (%%rbx), %%edx", ~0ul, START, START, ANY);
	TRY("movl %%edx, (%%rbx)", 0x10077, 0x10077, 0x10077, ANY);
	TRY("movl $0x10012, (%%rbx)", 5, 5, 0x10012, ANY);
}

static void addressing(void)
{
	uint64_t d = 0;

	mmio_write(REG, START);
	__asm__ volatile("movl -0x10(%1,%2,4), %k0"
			 : "=r"(d) : "r"(REG - 0x70), "r"(0x20ul) : "memory");
	check_equal(d, START, "mov_base_index_displacement");
	__asm__ volatile("movabsl 0xfee00370, %%eax" : "=a"(d) :: "memory");
	check_equal(d, START, "mov_moffs_load");
	__asm__ volatile("movabsl %%eax, 0xfee00370" :: "a"(0x10033) : "memory");
	check_equal(mmio_read(REG), 0x10033, "mov_moffs_store");
	__asm__ volatile("addr32 movl (%%ebx), %%eax"
			 : "=a"(d) : "b"(REG | 0x700000000) : "memory");
	check_equal(d, 0x10033, "mov_addr32");
	wrmsr(MSR_GS_BASE, LAPIC_BASE);
	__asm__ volatile("movl %%gs:0x370, %%eax" : "=a"(d) :: "memory");
	check_equal(d, 0x10033, "mov_gs");
	wrmsr(MSR_GS_BASE, 0);
}

static void extended_registers(void)
{
	register uint64_t r13 __asm__("r13") = REG;
	register uint64_t r9 __asm__("r9") = 0x10044;
	uint64_t out;

	__asm__ volatile("movl %%r9d, (%%r13)" :: "r"(r13), "r"(r9) : "memory");
	check_equal(mmio_read(REG), 0x10044, "mov_r9_to_r13");
	__asm__ volatile("movl (%%r13), %%r9d\n\tmov %%r9, %0"
			 : "=r"(out), "+r"(r9) : "r"(r13) : "memory");
	check_equal(out, 0x10044, "mov_r13_to_r9");
}

static void arithmetic(void)
{
	TRY("testl $0x50, (%%rbx)", 0, 0, START, 0);
	TRY("testl $0xaa, (%%rbx)", 0, 0, START, RFLAGS_ZF);
	TRY("testl %%edx, (%%rbx)", 0x10000, 0x10000, START, 0);
	TRY("testb $0x80, (%%rbx)", 0, 0, START, RFLAGS_ZF);
	TRY("cmpl $0x10055, (%%rbx)", 0, 0, START, RFLAGS_ZF);
	TRY("cmpl $0x10056, (%%rbx)", 0, 0, START, RFLAGS_CF | RFLAGS_SF);
	TRY("cmpl %%edx, (%%rbx)", 0x10000, 0x10000, START, 0);
	TRY("cmpl (%%rbx), %%edx", 0x10000, 0x10000, START, RFLAGS_CF | RFLAGS_SF);
	TRY("cmpl $0x7f, (%%rbx)", 0, 0, START, 0);
	TRY("orl $0x22, (%%rbx)", 0, 0, START | 0x22, 0);
	TRY("orl %%edx, (%%rbx)", 0x88, 0x88, START | 0x88, 0);
	TRY("orl (%%rbx), %%edx", 0x88, START | 0x88, START, 0);
	TRY("andl $0x10050, (%%rbx)", 0, 0, 0x10050, 0);
	TRY("andl %%edx, (%%rbx)", 0x10005, 0x10005, 0x10005, 0);
	TRY("andl (%%rbx), %%edx", 0x5, 5, START, 0);
	TRY("xorl $0x0f, (%%rbx)", 0, 0, START ^ 0xf, 0);
	TRY("xorl %%edx, (%%rbx)", 0x55, 0x55, 0x10000, 0);
	TRY("addl $1, (%%rbx)", 0, 0, START + 1, 0);
	TRY("subl $1, (%%rbx)", 0, 0, START - 1, 0);
	TRY("addl (%%rbx), %%edx", 1, START + 1, START, 0);
	TRY("subl (%%rbx), %%edx", START, 0, START, RFLAGS_ZF);
}

/* Narrow reads of a register: QEMU's bare APIC has only whole ones. */
static void extensions(void)
{
	if (on_qemu_tcg()) {
		skip("extensions", "bare QEMU's APIC answers 32-bit reads only");
		return;
	}
	TRY("movzbl (%%rbx), %%edx", ~0ul, 0x55, START, ANY);
	TRY("movzwl (%%rbx), %%edx", ~0ul, 0x55, START, ANY);
	TRY("movzbw (%%rbx), %%dx", 0x1111111111111111, 0x1111111111110055, START, ANY);
	TRY("movsbl (%%rbx), %%edx", ~0ul, 0x55, START, ANY);
	TRY("movslq (%%rbx), %%rdx", ~0ul, START, START, ANY);
	TRY("movb (%%rbx), %%dl", 0x1111111111111111, 0x1111111111111155, START, ANY);
	TRY("movb (%%rbx), %%dh", 0x1111111111111111, 0x1111111111115511, START, ANY);
	TRY("movw (%%rbx), %%dx", 0x1111111111111111, 0x1111111111110055, START, ANY);
}

static void strings(void)
{
	uint32_t ram[4] = { 0x10011, 0x10022, 0x10033, 0x10044 };
	uint64_t rdi = REG, rsi = (uint64_t)ram, rcx = 1, rax = 0x10066;

	__asm__ volatile("movsl" : "+D"(rdi), "+S"(rsi) :: "memory");
	check(mmio_read(REG) == 0x10011 && rdi == REG + 4 && rsi == (uint64_t)(ram + 1),
	      "movsl_to_device", "%x %lx %lx", mmio_read(REG), rdi, rsi);
	rdi = (uint64_t)(ram + 2), rsi = REG;
	__asm__ volatile("std\n\tmovsl\n\tcld" : "+D"(rdi), "+S"(rsi) :: "memory");
	check(ram[2] == 0x10011 && rdi == (uint64_t)(ram + 1) && rsi == REG - 4,
	      "movsl_from_device_down", "%x %lx %lx", ram[2], rdi, rsi);
	rdi = REG;
	__asm__ volatile("stosl" : "+D"(rdi) : "a"(rax) : "memory");
	check(mmio_read(REG) == 0x10066 && rdi == REG + 4, "stosl", "%x %lx", mmio_read(REG), rdi);
	rsi = REG;
	__asm__ volatile("lodsl" : "+S"(rsi), "=a"(rax) :: "memory");
	check(rax == 0x10066 && rsi == REG + 4, "lodsl", "%lx %lx", rax, rsi);
	rdi = REG, rax = 0x10077;
	__asm__ volatile("rep stosl" : "+D"(rdi), "+c"(rcx) : "a"(rax) : "memory");
	check(mmio_read(REG) == 0x10077 && rdi == REG + 4 && !rcx, "rep_stosl_1", "%x %lx %lx",
	      mmio_read(REG), rdi, rcx);
	rdi = REG, rcx = 0;
	__asm__ volatile("rep stosl" : "+D"(rdi), "+c"(rcx) : "a"(0) : "memory");
	check(mmio_read(REG) == 0x10077 && rdi == REG && !rcx, "rep_stosl_0", "%x %lx %lx",
	      mmio_read(REG), rdi, rcx);
}

static void repeated(void)
{
	uint8_t *ram = page_get(), *more = page_get();
	uint64_t rdi = (uint64_t)ram, rsi = UNCLAIMED + 0x10, rcx = 700;
	bool ones = true;

	(void)more;
	__asm__ volatile("rep movsb" : "+D"(rdi), "+S"(rsi), "+c"(rcx) :: "memory");
	check(rdi == (uint64_t)ram + 700 && rsi == UNCLAIMED + 0x10 + 700 && !rcx,
	      "rep_movsb_unclaimed", "%lx %lx %lx", rdi, rsi, rcx);
	for (unsigned i = 0; i < 700; i++)
		ones = ones && ram[i] == 0xff;
	if (!on_qemu_tcg())
		check(ones && !ram[700], "rep_movsb_unclaimed_value", "%x %x", ram[0], ram[700]);
	rdi = UNCLAIMED + 4000, rcx = 50;
	__asm__ volatile("rep stosl" : "+D"(rdi), "+c"(rcx) : "a"(0) : "memory");
	check(rdi == UNCLAIMED + 4200 && !rcx, "rep_stosl_unclaimed", "%lx %lx", rdi, rcx);
	rdi = UNCLAIMED + 0x2000, rsi = (uint64_t)ram, rcx = 1500;
	__asm__ volatile("rep movsw" : "+D"(rdi), "+S"(rsi), "+c"(rcx) :: "memory");
	check(rdi == UNCLAIMED + 0x2000 + 3000 && !rcx, "rep_movsw_to_unclaimed", "%lx %lx", rdi,
	      rcx);
}

static void unclaimed(void)
{
	uint64_t a = 0, at = UNCLAIMED;

	if (on_qemu_tcg()) {
		skip("unclaimed_memory", "bare QEMU reads 0");
		return;
	}
	__asm__ volatile("movb (%1), %%al" : "+a"(a) : "r"(at));
	check_equal(a, 0xff, "unclaimed_byte");
	__asm__ volatile("movw (%1), %%ax" : "+a"(a) : "r"(at));
	check_equal(a, 0xffff, "unclaimed_word");
	__asm__ volatile("movl (%1), %%eax" : "+a"(a) : "r"(at));
	check_equal(a, 0xffffffff, "unclaimed_long");
	__asm__ volatile("movq (%1), %%rax" : "+a"(a) : "r"(at));
	check_equal(a, ~0ul, "unclaimed_quad");
	__asm__ volatile("movq $0, (%0)\n\tmovb $0, (%0)" :: "r"(at) : "memory");
	__asm__ volatile("movq (%1), %%rax" : "+a"(a) : "r"(at));
	check_equal(a, ~0ul, "unclaimed_write_ignored");
}

static void crossing(void)
{
	uint8_t *ram = page_get();
	uint32_t value;

	page_map(WINDOW, (uint64_t)ram, PTE_P | PTE_W);
	page_map(WINDOW + 4096, UNCLAIMED, PTE_P | PTE_W);
	ram[4094] = 0x34, ram[4095] = 0x12;
	value = mmio_read(WINDOW + 4094);
	if (!on_qemu_tcg())
		check_equal(value, 0xffff1234, "read_across_ram_and_nothing");
	mmio_write(WINDOW + 4094, 0x55667788);
	check_equal(ram[4094] | ram[4095] << 8, 0x7788, "write_across_ram_and_nothing");
	page_map(WINDOW, UNCLAIMED, PTE_P | PTE_W);
	page_map(WINDOW + 4096, (uint64_t)ram, PTE_P | PTE_W);
	ram[0] = 0xcd, ram[1] = 0xab;
	value = mmio_read(WINDOW + 4094);
	if (!on_qemu_tcg())
		check_equal(value, 0xabcdffff, "read_across_nothing_and_ram");
	mmio_write(WINDOW + 4094, 0x55667788);
	check_equal(ram[0] | ram[1] << 8, 0x5566, "write_across_nothing_and_ram");
	page_map(WINDOW + 4096, 0, 0);
}

static void read_window(void *arg)
{
	*(uint32_t *)arg = mmio_read(WINDOW + 4094);
}

static void write_window(void *arg)
{
	(void)arg;
	mmio_write(WINDOW + 4094, 0);
}

static void read_apic(void *arg)
{
	*(uint32_t *)arg = mmio_read(WINDOW + 8192 + APIC_LVT_ERROR);
}

/* The page tables come before the device. */
static void faults(void)
{
	uint32_t value;
	struct fault f = fault_call(read_window, &value);

	check(f.vector == VEC_PF && f.error == 0 && f.cr2 == WINDOW + 4096,
	      "read_across_device_and_absent", "%d %x cr2 %lx", f.vector, f.error, f.cr2);
	f = fault_call(write_window, NULL);
	check(f.vector == VEC_PF && f.error == 2 && f.cr2 == WINDOW + 4096,
	      "write_across_device_and_absent", "%d %x cr2 %lx", f.vector, f.error, f.cr2);
	page_map(WINDOW + 8192, LAPIC_BASE, PTE_P | PTE_W);
	check_fault(user_call(read_apic, &value), VEC_PF, 5, "device_ring3_supervisor_page");
	page_map(WINDOW + 8192, LAPIC_BASE, PTE_P | PTE_U);
	mmio_write(REG, START);
	check_fault(user_call(read_apic, &value), -1, 0, "device_ring3_user_page");
	check_equal(value, START, "device_ring3_value");
}

static void unusual(void)
{
	TRY("xchgl %%edx, (%%rbx)", 0x10011, START, 0x10011, ANY);
	TRY("notl (%%rbx)", 0, 0, on_qemu_tcg() ? ~START : 0xaa, ANY);
	TRY("incl (%%rbx)", 0, 0, START + 1, ANY);
	TRY("decl (%%rbx)", 0, 0, START - 1, ANY);
	TRY("btl $4, (%%rbx)", 0, 0, START, ANY);
	check(flags & RFLAGS_CF, "btl_flag", "%lx", flags);
	TRY("btsl $1, (%%rbx)", 0, 0, START | 2, ANY);
	TRY("btrl $4, (%%rbx)", 0, 0, START & ~0x10u, ANY);
	TRY("cmpxchgl %%edx, (%%rbx)", 0x10022, 0x10022, 0x10022, ANY);
	TRY("shll $1, (%%rbx)", 0, 0, on_qemu_tcg() ? START << 1 : 0xaa, ANY);
	TRY("lock orl $0x22, (%%rbx)", 0, 0, START | 0x22, 0);
	TRY("xaddl %%edx, (%%rbx)", 1, START, START + 1, ANY);
	TRY("adcl $1, (%%rbx)", 0, 0, START + 1, 0);
	TRY("sbbl $1, (%%rbx)", 0, 0, START - 1, 0);
	TRY("cmp %%eax, %%eax\n\tcmovel (%%rbx), %%edx", 0, START, START, ANY);
	TRY("cmp %%eax, %%eax\n\tcmovnel (%%rbx), %%edx", ~0ul, 0xffffffff, START, ANY);
	TRY("movnti %%edx, (%%rbx)", 0x10011, 0x10011, 0x10011, ANY);
	TRY("clflush (%%rbx)", 5, 5, START, ANY);
}

static void computing(void)
{
	TRY("bsfl (%%rbx), %%edx", 5, 0, START, ANY);
	TRY("bsrl (%%rbx), %%edx", 5, 16, START, ANY);
	TRY("imull (%%rbx), %%edx", 2, 2 * START, START, ANY);
	TRY("imull $3, (%%rbx), %%edx", 0, 3 * START, START, ANY);
	TRY("push %%rax\n\tmull (%%rbx)\n\tpop %%rax", 0, 1, START, ANY);
	TRY("push %%rax\n\tmov $0x20000, %%eax\n\tdivl (%%rbx)\n\tpop %%rax", 0, 0xffab, START, ANY);
	TRY("push %%rax\n\tmov $-0x20000, %%eax\n\tidivl (%%rbx)\n\tpop %%rax", 0xffffffff,
	    0xffff0055, START, ANY);
	TRY("shldl $4, %%edx, (%%rbx)", 0xf0000000, 0xf0000000,
	    on_qemu_tcg() ? START << 4 | 0xf : 0x5f, ANY);
	TRY("shrdl $4, %%edx, (%%rbx)", 0, 0, on_qemu_tcg() ? START >> 4 : 5, ANY);
	if (cpuid(1).ecx & 1u << 23)
		TRY("popcntl (%%rbx), %%edx", 0, 5, START, 0);
}

static void divide(void *arg)
{
	__asm__ volatile("divl (%0)" :: "r"(arg), "a"(0), "d"(START) : "memory", "cc");
}

/* Words, quadwords, and what a kernel does with them. */
static void of_kernels(void)
{
	uint64_t d = 0;

	check_fault(fault_call(divide, (void *)REG), VEC_DE, 0, "divide_error");
	if (on_qemu_tcg()) {
		skip("of_kernels", "bare QEMU's APIC answers 32-bit reads only");
		return;
	}
	*(volatile uint8_t *)(uint64_t)START = 0xc3;	/* RET, in memory that nobody uses */
	TRY("call *(%%rbx)", 5, 5, START, ANY);
	TRY("xchg %%rbx, %%rsp\n\tadd $8, %%rsp\n\tpush %%rdx\n\txchg %%rbx, %%rsp", 0x10033, 0x10033,
	    0x10033, ANY);
	TRY("xchg %%rbx, %%rsp\n\tpop %%rdx\n\txchg %%rbx, %%rsp\n\tsub $8, %%rbx", 5, START, START,
	    ANY);
	TRY("push (%%rbx)\n\tpop %%rdx", 5, START, START, ANY);
	mmio_write(REG, SEL_DATA);
	__asm__ volatile("mov (%1), %%es\n\tmov %%es, %k0\n\tmovzwl %w0, %k0"
			 : "=&r"(d) : "r"(REG) : "memory");
	check_equal(d, SEL_DATA, "mov_to_es");
	mmio_write(REG, 0);
	__asm__ volatile("lldt (%1)\n\tsldt %k0" : "=r"(d) : "r"(REG) : "memory");
	check_equal(d & 0xffff, 0, "lldt_sldt");
	mmio_write(REG, SEL_DATA);
	__asm__ volatile("verw (%1)\n\tsete %b0" : "+r"(d) : "r"(REG) : "memory", "cc");
	check_equal(d & 0xff, 1, "verw");
}

/* Vector registers' low parts, through general ones. */
static void vectors(void)
{
	uint64_t d, at = UNCLAIMED;

	cr4_write(cr4_read() | CR4_OSFXSR);
	mmio_write(REG, START);
	__asm__ volatile("mov $0x10033, %k0\n\tmovd %k0, %%xmm3\n\tmovd (%1), %%xmm2\n\t"
			 "movss %%xmm3, (%1)\n\tmovd %%xmm2, %k0"
			 : "=&r"(d) : "r"(REG) : "memory");
	check(d == START && mmio_read(REG) == 0x10033, "movd_movss", "%lx %x", d, mmio_read(REG));
	if (on_qemu_tcg()) {
		skip("vectors", "bare QEMU reads 0");
		return;
	}
	__asm__ volatile("movups (%1), %%xmm1\n\tpxor %%xmm3, %%xmm3\n\tmovaps %%xmm3, (%1)\n\t"
			 "pand (%1), %%xmm1\n\tpsrldq $8, %%xmm1\n\tmovq %%xmm1, %0"
			 : "=r"(d) : "r"(at) : "memory");
	check_equal(d, ~0ul, "movups_pand");
}

static unsigned db_count;
static uint64_t db_dr6, db_rip;

static void on_db(struct frame *frame)
{
	db_count++;
	db_dr6 |= dr6_read();
	db_rip = frame->rip;
	dr6_write(0xffff0ff0);
}

extern char behind_store[];

/* A breakpoint on a register's address traps behind the instruction, whoever does the access. */
static void breakpoints(void)
{
	trap_set(VEC_DB, on_db);
	dr2_write(REG);
	dr7_write(0x400 | 0x10 | 0xdul << 24);		/* L2; writes, four bytes */
	mmio_read(REG);
	mmio_write(REG - 16, 0x10000);
	check_equal(db_count, 0, "breakpoint_elsewhere");
	__asm__ volatile("movl %1, (%0)\nbehind_store:" :: "r"(REG), "r"(START) : "memory");
	check(db_count == 1 && (db_dr6 & 0xf) == 4 && db_rip == (uint64_t)behind_store,
	      "breakpoint_store", "%u dr6 %lx rip %lx", db_count, db_dr6, db_rip);
	check_equal(mmio_read(REG), START, "breakpoint_store_done");
	dr7_write(0x400 | 0x10 | 0xful << 24);		/* any access */
	mmio_read(REG);
	check_equal(db_count, 2, "breakpoint_load");
	dr7_write(0x400);
	trap_set(VEC_DB, NULL);
}

static void named(const char *name, void (*fn)(void))
{
	print("TRY %s\n", name);
	fn();
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	named("moves", moves);
	named("addressing", addressing);
	named("extended_registers", extended_registers);
	named("arithmetic", arithmetic);
	named("unclaimed", unclaimed);
	named("crossing", crossing);
	named("faults", faults);
	named("extensions", extensions);
	named("strings", strings);
	named("repeated", repeated);
	named("breakpoints", breakpoints);
	named("unusual", unusual);
	named("computing", computing);
	named("of_kernels", of_kernels);
	named("vectors", vectors);
}
