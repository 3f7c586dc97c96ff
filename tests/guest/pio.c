/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port I/O: widths and what they leave of the register, immediate and DX forms, INS and OUTS with
 * every width, REP, DF, page boundaries and page faults half way, and who may do it from ring 3.
 */
#include "tests/guest/lib/pages.h"

#define NOBODY	0x2f0			/* no device answers here */
#define POST	0x80
#define IMR	0x21			/* reads back what was written */

static void widths(void)
{
	uint64_t a = 0x1122334455667788, b = a, c = a;

	__asm__ volatile("inb %%dx, %%al" : "+a"(a) : "d"(NOBODY));
	__asm__ volatile("inw %%dx, %%ax" : "+a"(b) : "d"(NOBODY));
	__asm__ volatile("inl %%dx, %%eax" : "+a"(c) : "d"(NOBODY));
	check_equal(a, 0x11223344556677ff, "in_byte_unclaimed");
	check_equal(b, 0x112233445566ffff, "in_word_unclaimed");
	check_equal(c, 0xffffffff, "in_long_unclaimed");
	__asm__ volatile("rex.w inl %%dx, %%eax" : "+a"(c) : "d"(NOBODY));
	check_equal(c, 0xffffffff, "in_rexw");
	outb(NOBODY, 0);
	outw(NOBODY, 0);
	outl(NOBODY, 0);
	check_equal(inb(NOBODY), 0xff, "out_unclaimed");
}

static void forms(void)
{
	uint64_t a = 0x1122334455667700;
	uint8_t low;

	outb(IMR, 0xfe);
	__asm__ volatile("inb $0x21, %%al" : "+a"(a));
	check_equal(a, 0x11223344556677fe, "in_immediate");
	__asm__ volatile("outb %%al, $0x21" :: "a"(0xfd));
	check_equal(inb(IMR), 0xfd, "out_immediate");
	/* DX alone counts. */
	__asm__ volatile("inb %%dx, %%al" : "=a"(low) : "d"(0xffff0000 | IMR));
	check_equal(low, 0xfd, "in_upper_rdx_ignored");
	outb(IMR, 0xff);
}

static uint8_t buffer[3 * 4096] aligned(4096);

struct string_regs {
	uint64_t count, at;
};

#define STRING_IO(insn, reg, port, number, address, df)	({			\
	struct string_regs r_ = { number, (uint64_t)(address) };		\
										\
	__asm__ volatile(df "\n\t" insn "\n\tcld"				\
			 : "+c"(r_.count), reg(r_.at) : "d"(port) : "memory");	\
	r_;									\
})
#define RDI(x) "+D"(x)
#define RSI(x) "+S"(x)

static bool all_bytes(const uint8_t *at, unsigned count, uint8_t value)
{
	while (count--)
		if (*at++ != value)
			return false;
	return true;
}

static void check_ins(struct string_regs r, uint64_t count, uint64_t at, unsigned from, unsigned to,
		      const char *name)
{
	bool inside = all_bytes(buffer + from, to - from, 0xff);
	bool around = all_bytes(buffer, from, 0) && all_bytes(buffer + to, sizeof(buffer) - to, 0);

	check(r.count == count && r.at == at && inside && around, name,
	      "rcx %lx rdi %lx (want %lx %lx) inside %d around %d", r.count, r.at, count, at,
	      inside, around);
	fill(buffer, 0, sizeof(buffer));
}

static void ins(void)
{
	uint64_t at = (uint64_t)buffer;

	check_ins(STRING_IO("insb", RDI, NOBODY, 5, buffer + 8, "cld"), 5, at + 9, 8, 9, "insb");
	check_ins(STRING_IO("insw", RDI, NOBODY, 5, buffer + 8, "cld"), 5, at + 10, 8, 10, "insw");
	check_ins(STRING_IO("insl", RDI, NOBODY, 5, buffer + 8, "cld"), 5, at + 12, 8, 12, "insl");
	check_ins(STRING_IO("insl", RDI, NOBODY, 5, buffer + 8, "std"), 5, at + 4, 8, 12,
		  "insl_down");
	check_ins(STRING_IO("rep insb", RDI, NOBODY, 0, buffer + 8, "cld"), 0, at + 8, 0, 0,
		  "rep_insb_0");
	check_ins(STRING_IO("rep insb", RDI, NOBODY, 77, buffer + 8, "cld"), 0, at + 85, 8, 85,
		  "rep_insb");
	check_ins(STRING_IO("rep insw", RDI, NOBODY, 77, buffer + 8, "cld"), 0, at + 162, 8, 162,
		  "rep_insw");
	check_ins(STRING_IO("rep insl", RDI, NOBODY, 77, buffer + 8, "cld"), 0, at + 316, 8, 316,
		  "rep_insl");
	check_ins(STRING_IO("rep insl", RDI, NOBODY, 4, buffer + 32, "std"), 0, at + 16, 20, 36,
		  "rep_insl_down");
	check_ins(STRING_IO("rep insw", RDI, NOBODY, 2048, buffer + 4001, "cld"), 0, at + 8097,
		  4001, 8097, "rep_insw_pages");
	check_ins(STRING_IO("insl", RDI, NOBODY, 1, buffer + 4094, "cld"), 1, at + 4098, 4094, 4098,
		  "insl_crossing");
	check_ins(STRING_IO("rep insl", RDI, NOBODY, 3000, buffer, "cld"), 0, at + 12000, 0, 12000,
		  "rep_insl_long");
	/* With a 32-bit address size ECX counts and EDI points. */
	check_ins(STRING_IO("addr32 rep insb", RDI, NOBODY, 0x700000003, buffer + 8, "cld"), 0,
		  at + 11, 8, 11, "rep_insb_addr32");
}

static void outs(void)
{
	struct string_regs r;

	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = (uint8_t)(i * 7 + i / 256);
	r = STRING_IO("outsb", RSI, IMR, 5, buffer + 33, "cld");
	check(r.at == (uint64_t)buffer + 34 && r.count == 5 && inb(IMR) == buffer[33], "outsb",
	      "rsi %lx imr %x", r.at, inb(IMR));
	r = STRING_IO("rep outsb", RSI, IMR, 5000, buffer + 33, "cld");
	check(r.at == (uint64_t)buffer + 5033 && !r.count && inb(IMR) == buffer[5032], "rep_outsb",
	      "rsi %lx rcx %lx imr %x", r.at, r.count, inb(IMR));
	r = STRING_IO("rep outsb", RSI, IMR, 10, buffer + 4100, "std");
	check(r.at == (uint64_t)buffer + 4090 && !r.count && inb(IMR) == buffer[4091],
	      "rep_outsb_down", "rsi %lx imr %x", r.at, inb(IMR));
	r = STRING_IO("rep outsl", RSI, POST, 100, buffer + 4090, "cld");
	check(r.at == (uint64_t)buffer + 4490 && !r.count, "rep_outsl", "rsi %lx rcx %lx", r.at,
	      r.count);
	wrmsr(MSR_FS_BASE, (uint64_t)buffer);
	r = STRING_IO("fs outsb", RSI, IMR, 1, 77, "cld");
	check(r.at == 78 && inb(IMR) == buffer[77], "outsb_fs", "rsi %lx imr %x", r.at, inb(IMR));
	wrmsr(MSR_FS_BASE, 0);
	outb(IMR, 0xff);
	fill(buffer, 0, sizeof(buffer));
}

static struct string_regs at_fault;

static void record(struct frame *frame)
{
	at_fault = (struct string_regs){ frame->rcx, frame->rdi };
	frame->rip += 2;			/* REP and INS: give up */
}

static void faults(void)
{
	uint64_t ram = (uint64_t)page_get(), cr2;
	struct string_regs r;

	page_map(WINDOW, ram, PTE_P | PTE_W);
	page_map(WINDOW + 4096, 0, 0);
	trap_set(VEC_PF, record);
	r = STRING_IO("rep insb", RDI, NOBODY, 100, WINDOW + 4096 - 60, "cld");
	cr2 = cr2_read();
	trap_set(VEC_PF, NULL);
	check(r.count == 40 && r.at == WINDOW + 4096 && cr2 == WINDOW + 4096, "rep_insb_fault",
	      "rcx %lu rdi %lx cr2 %lx", r.count, r.at, cr2);
	check(all_bytes((uint8_t *)ram + 4036, 60, 0xff), "rep_insb_fault_progress",
	      "bytes missing");
	page_map(WINDOW, ram, PTE_P);
	trap_set(VEC_PF, record);
	fill((void *)ram, 0, 4096);
	r = STRING_IO("rep insb", RDI, NOBODY, 10, WINDOW + 16, "cld");
	trap_set(VEC_PF, NULL);
	if (cr0_read() & CR0_WP)
		check(r.count == 10 && all_bytes((uint8_t *)ram, 64, 0), "insb_read_only",
		      "rcx %lu", r.count);
}

static unsigned db_count;
static uint64_t db_dr6, db_rcx;

static void on_db(struct frame *frame)
{
	db_count++;
	db_dr6 |= dr6_read();
	db_rcx = frame->rcx;
	dr6_write(0xffff0ff0);
}

/* A breakpoint on a port traps behind the instruction, or behind each iteration. */
static void breakpoints(void)
{
	uint64_t cr4 = cr4_read();
	struct string_regs r;

	cr4_write(cr4 | CR4_DE);
	trap_set(VEC_DB, on_db);
	db_count = 0, db_dr6 = 0;
	dr3_write(IMR);
	dr7_write(0x400 | 0x40 | 2ul << 28);		/* L3; I/O, one byte */
	inb(IMR);
	outb(POST, 0);
	check(db_count == 1 && (db_dr6 & 0xf) == 8, "in_breakpoint", "%u dr6 %lx", db_count, db_dr6);
	outb(IMR, 0xff);
	check_equal(db_count, 2, "out_breakpoint");
	fill(buffer, 0xff, 16);
	r = STRING_IO("rep outsb", RSI, IMR, 3, buffer, "cld");
	check(db_count == 5 && !r.count && !db_rcx, "rep_outsb_breakpoint", "%u rcx %lx %lx",
	      db_count, r.count, db_rcx);
	dr7_write(0x400);
	inb(IMR);
	check_equal(db_count, 5, "in_breakpoint_off");
	cr4_write(cr4);
	trap_set(VEC_DB, NULL);
	fill(buffer, 0, sizeof(buffer));
}

static void user_in(void *arg)
{
	*(uint8_t *)arg = inb(NOBODY);
}

static void ring3(void)
{
	uint8_t value = 0;

	check_fault(user_call(user_in, &value), VEC_GP, 0, "in_ring3_iopl0");
	check_fault(user_call_flags(user_in, &value, 0x3002), -1, 0, "in_ring3_iopl3");
	check_equal(value, 0xff, "in_ring3_value");
}

void test_main(void)
{
	widths();
	forms();
	ins();
	outs();
	faults();
	breakpoints();
	ring3();
}
