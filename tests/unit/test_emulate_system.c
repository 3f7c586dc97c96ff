/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c lib/format.c tests/host/guest.c tests/host/native.c
 * tests/host/heap.c tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * What the emulator does for kernels: branches, segments, system tables and LOCK, with their checks
 * in the manual's order. What faults has changed nothing.
 */
#include "tests/host/guest.h"
#include "tests/host/native.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "cpu/fpu_run.h"
#include "cpu/registers.h"
#include "vmm/exit.h"

#define GDT	0x6000u
#define LDT	0x7000u
#define STACK	0x9000u
#define OPERAND	(GUEST_MMIO + 0x20)
#define CODE64	0x00209a0000000000ul
#define CODE32	0x00cf9a000000fffful
#define DATA	0x00cf92000000fffful
#define READ_ONLY 0x00cf90000000fffful
#define USER	0x00cff2000000fffful
#define ABSENT	0x00cf12000000fffful
#define LDT_DESCRIPTOR	0x0000820070000fffu
#define TSS	0x0000890050000067ul

static struct vcpu before;
static struct segment segments[SEG_COUNT];

static void put(uint64_t gpa, uint64_t v)
{
	memcpy(guest_ram + gpa, &v, 8);
}

static uint64_t get(uint64_t gpa)
{
	uint64_t v;

	memcpy(&v, guest_ram + gpa, 8);
	return v;
}

/* The GDT: 08 64-bit code, 10 data, 18 32-bit code, 20 absent, 28 user data, 30 LDT, 40 TSS, 50
 * read-only data. The LDT: 0c data. */
static int setup(void **state)
{
	static const uint64_t gdt[] = { 0, CODE64, DATA, CODE32, ABSENT, USER, LDT_DESCRIPTOR, 0,
					TSS, 0, READ_ONLY };

	(void)state;
	guest_reset();
	features.vendor = VENDOR_OTHER;
	memcpy(guest_ram + GDT, gdt, sizeof(gdt));
	put(LDT + 8, DATA);
	guest_segment[SEG_GDTR] = (struct segment){ .base = GDT, .limit = sizeof(gdt) - 1 };
	guest_segment[SEG_LDTR].attr = SEG_UNUSABLE;
	guest_segment[SEG_CS].selector = 8;
	guest_vcpu.gpr[GPR_RBX] = OPERAND;
	guest_vcpu.gpr[GPR_RSP] = STACK;
	return 0;
}

/* The operand at (%rbx), in the device. */
static void operand(const void *bytes, size_t n)
{
	memcpy(guest_device + 0x20, bytes, n);
}

static void run_for(const char *hex, unsigned access)
{
	uint8_t code[16];
	unsigned n = 0;
	char *end;

	for (; n < sizeof(code); hex = end) {
		unsigned long v = strtoul(hex, &end, 16);

		if (end == hex)
			break;
		code[n++] = (uint8_t)v;
	}
	guest_code(code, n);
	guest_log = (struct guest_log){ 0 };
	before = guest_vcpu;
	memcpy(segments, guest_segment, sizeof(segments));
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x20), access);
}

static void run(const char *hex)
{
	run_for(hex, GMEM_READ);
}

static void done(void)
{
	assert_string_equal(guest_log.crash, "");
	assert_int_equal(guest_log.events, 0);
	assert_int_equal(guest_log.nexts, 1);
}

static void faulted(unsigned vector, unsigned error)
{
	assert_int_equal(guest_log.nexts, 0);
	assert_int_equal(guest_log.events, 1);
	assert_int_equal(guest_log.event.vector, vector);
	assert_int_equal(guest_log.event.error, error);
	assert_memory_equal(before.gpr, guest_vcpu.gpr, sizeof(before.gpr));
	assert_int_equal(before.rip, guest_vcpu.rip);
	assert_int_equal(before.rflags, guest_vcpu.rflags);
	assert_memory_equal(segments, guest_segment, sizeof(segments));
}

static void near_branches(void **state)
{
	uint64_t to = 0x123456, far_away = 1ul << 50;

	(void)state;
	operand(&to, 8);
	run("ff 23");					/* jmp *(%rbx) */
	done();
	assert_int_equal(guest_vcpu.rip, to);
	run("ff 13");					/* call *(%rbx) */
	done();
	assert_int_equal(guest_vcpu.rip, to);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], STACK - 8);
	assert_int_equal(get(STACK - 8), 0x1002);
	run("66 ff 23");				/* a prefix that counts for AMD's chips alone */
	assert_int_equal(guest_vcpu.rip, to);
	features.vendor = VENDOR_AMD;
	run("66 ff 23");
	assert_int_equal(guest_vcpu.rip, to & 0xffff);
	operand(&far_away, 8);
	run("ff 23");
	faulted(EXC_GP, 0);
	put(STACK - 16, 0);
	run("ff 13");
	faulted(EXC_GP, 0);
	assert_int_equal(get(STACK - 16), 0);
	/* the stack in the device */
	guest_vcpu.gpr[GPR_RSP] = OPERAND;
	operand(&to, 8);
	run("c3");
	done();
	assert_int_equal(guest_vcpu.rip, to);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], OPERAND + 8);
	guest_vcpu.gpr[GPR_RSP] = OPERAND;
	run("c2 10 00");
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], OPERAND + 24);
	guest_vcpu.gpr[GPR_RSP] = OPERAND + 8;
	run_for("e8 00 01 00 00", GMEM_WRITE);
	done();
	assert_int_equal(guest_vcpu.rip, 0x1105);
	assert_int_equal(guest_device[0x20] | guest_device[0x21] << 8, 0x1005);
	operand(&far_away, 8);
	guest_vcpu.gpr[GPR_RSP] = OPERAND;
	run("c3");
	faulted(EXC_GP, 0);
	/* a limit, in 32 bits */
	guest_flat(32);
	guest_segment[SEG_CS].limit = 0xffff;
	guest_vcpu.gpr[GPR_RBX] = GUEST_DEVICE + 0x20;
	guest_vcpu.gpr[GPR_RSP] = STACK;
	to = 0x10000;
	operand(&to, 8);
	run("ff 13");
	faulted(EXC_GP, 0);
	to = 0xffff;
	operand(&to, 8);
	run("ff 13");
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], STACK - 4);
}

static void far_branches(void **state)
{
	static const struct {
		const char *bytes;
		unsigned vector, error;
	} faults[] = {
		{ "\0\x10\0\0\0\0", EXC_GP, 0 }, { "\0\x10\0\0\x10\0", EXC_GP, 0x10 },
		{ "\0\x10\0\0\x80\0", EXC_GP, 0x80 }, { "\0\x10\0\0\x0c\0", EXC_GP, 0x0c },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(faults); i++) {
		operand(faults[i].bytes, 6);
		run("ff 2b");
		faulted(faults[i].vector, faults[i].error);
		run("ff 1b");
		faulted(faults[i].vector, faults[i].error);
	}
	operand("\x34\x12\0\0\x18\0", 6);		/* 32-bit code */
	run("ff 2b");
	done();
	assert_int_equal(guest_vcpu.rip, 0x1234);
	assert_int_equal(guest_segment[SEG_CS].selector, 0x18);
	assert_int_equal(guest_segment[SEG_CS].limit, 0xffffffff);
	assert_true(guest_segment[SEG_CS].attr & SEG_DB);
	assert_true(get(GDT + 0x18) >> 40 & 1);			/* accessed */
	operand("\x34\x12\0\0\0\0\0\0\x08\0", 10);
	run("48 ff 1b");
	done();
	assert_int_equal(guest_segment[SEG_CS].selector, 8);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], STACK - 16);
	assert_int_equal(get(STACK - 8), 0x18);
	assert_int_equal(get(STACK - 16), 0x1003);
	operand("\x34\x12\0\0\x30\0", 6);
	run("ff 2b");						/* no code, no gate */
	faulted(EXC_GP, 0x30);
	guest_flat(16);
	guest_vcpu.gpr[GPR_RBX] = 0x20;
	guest_segment[SEG_DS].base = GUEST_DEVICE;
	operand("\x34\x12\x78\x56", 4);
	run("ff 2f");					/* ljmp *(%bx) */
	done();
	assert_int_equal(guest_segment[SEG_CS].base, 0x56780);
	assert_int_equal(guest_vcpu.rip, 0x1234);
}

#define GATE	0x60u

static void gate(unsigned selector, unsigned access, uint64_t to)
{
	put(GDT + GATE, (to & 0xffff) | (uint64_t)selector << 16 | (uint64_t)access << 40 |
				(to >> 16 & 0xffff) << 48);
	put(GDT + GATE + 8, to >> 32);
}

/* The pointer's offset says nothing then; what is pushed is as wide as the gate. */
static void call_gates(void **state)
{
	static const struct {
		unsigned selector, access, vector, error;
	} rows[] = {
		{ 0x08, 0x84, EXC_GP, GATE },			/* of 16 bits */
		{ 0x08, 0x85, EXC_GP, GATE },			/* a task gate */
		{ 0x08, 0x0c, EXC_NP, GATE },
		{ 0x00, 0x8c, EXC_GP, 0 }, { 0x10, 0x8c, EXC_GP, 0x10 },
		{ 0x18, 0x8c, EXC_GP, 0x18 },			/* no 64-bit code */
		{ 0x20, 0x8c, EXC_GP, 0x20 }, { 0x80, 0x8c, EXC_GP, 0x80 },
	};
	const uint64_t to = 0x123456789000;

	(void)state;
	guest_segment[SEG_GDTR].limit = GATE + 15;
	operand("\1\0\0\0\x60\0", 6);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		gate(rows[i].selector, rows[i].access, to);
		run("ff 2b");
		faulted(rows[i].vector, rows[i].error);
		run("ff 1b");
		faulted(rows[i].vector, rows[i].error);
	}
	gate(0x0b, 0x8c, to);					/* that RPL is not looked at */
	put(GDT + GATE + 8, to >> 32 | BIT(40));
	run("ff 2b");
	faulted(EXC_GP, GATE);
	gate(0x0b, 0x8c, 1ul << 50);
	run("ff 1b");
	faulted(EXC_GP, 0);
	gate(0x0b, 0x8c, to);
	run("ff 2b");
	done();
	assert_int_equal(guest_vcpu.rip, to);
	assert_int_equal(guest_segment[SEG_CS].selector, 8);
	operand("\1\0\x60\0", 4);				/* of 16 bits, in which it is */
	run("66 ff 1b");
	done();
	assert_int_equal(guest_vcpu.rip, to);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], STACK - 16);
	assert_int_equal(get(STACK - 8), 8);
	assert_int_equal(get(STACK - 16), 0x1003);
	operand("\1\0\0\0\x60\0", 6);
	guest_segment[SEG_GDTR].limit = GATE + 7;
	run("ff 2b");
	faulted(EXC_GP, GATE);
	guest_segment[SEG_GDTR].limit = GATE + 15;
	operand("\1\0\0\0\x63\0", 6);				/* RPL 3 */
	run("ff 2b");
	faulted(EXC_GP, GATE);
}

/* No jump to more privilege; of 32 bits. */
static void other_gates(void **state)
{
	(void)state;
	guest_segment[SEG_GDTR].limit = GATE + 15;
	guest_mode.cpl = 3;
	operand("\1\0\0\0\x63\0", 6);
	for (unsigned n = 0; n < 512; n++)		/* pages are a user's, too */
		for (unsigned t = 0; t < 5; t++)
			put(2 * MIB + t * 0x1000 + 8 * n, get(2 * MIB + t * 0x1000 + 8 * n) | 4);
	gate(0x08, 0xec, 0x1234);
	run("ff 2b");
	faulted(EXC_GP, 0x08);
	guest_flat(32);
	guest_segment[SEG_GDTR] = (struct segment){ .base = GDT, .limit = GATE + 15 };
	guest_vcpu.gpr[GPR_RBX] = GUEST_DEVICE + 0x20;
	operand("\1\0\0\0\x60\0", 6);
	gate(0x18, 0x8c, 0x12345678);
	run("ff 1b");
	done();
	assert_int_equal(guest_vcpu.rip, 0x12345678);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], STACK - 8);
	assert_int_equal(get(STACK - 8) & 0xffffffff, 0x1002);
	gate(0x18, 0x84, 0x12345678);
	run("ff 1b");
	done();
	assert_int_equal(guest_vcpu.rip, 0x5678);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], STACK - 12);
}

static void data_segments(void **state)
{
	static const struct {
		uint16_t selector;
		unsigned vector, error;			/* -1: it works */
	} rows[] = {
		{ 0x10, ~0u, 0 }, { 0, ~0u, 0 }, { 3, ~0u, 0 }, { 0x18, ~0u, 0 }, { 0x50, ~0u, 0 },
		{ 0x28, ~0u, 0 }, { 0x20, EXC_NP, 0x20 }, { 0x13, EXC_GP, 0x10 },
		{ 0x40, EXC_GP, 0x40 }, { 0x58, EXC_GP, 0x58 }, { 0x0c, EXC_GP, 0x0c },
	}, stack[] = {
		{ 0x10, ~0u, 0 }, { 0, ~0u, 0 }, { 3, EXC_GP, 0 }, { 0x20, EXC_SS, 0x20 },
		{ 0x50, EXC_GP, 0x50 }, { 0x28, EXC_GP, 0x28 }, { 0x11, EXC_GP, 0x10 },
		{ 0x18, EXC_GP, 0x18 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		operand(&rows[i].selector, 2);
		run("8e 1b");					/* mov (%rbx), %ds */
		if (rows[i].vector != ~0u) {
			faulted(rows[i].vector, rows[i].error);
			continue;
		}
		done();
		assert_int_equal(guest_segment[SEG_DS].selector, rows[i].selector);
		assert_int_equal(!(guest_segment[SEG_DS].attr & SEG_UNUSABLE),
				 rows[i].selector > 3);
		assert_int_equal(guest_vcpu.event.shadow, 0);
	}
	assert_true(get(GDT + 0x10) >> 40 & 1);
	for (unsigned i = 0; i < ARRAY_COUNT(stack); i++) {
		operand(&stack[i].selector, 2);
		guest_vcpu.event.shadow = 0;
		run("8e 13");					/* SS */
		if (stack[i].vector != ~0u) {
			faulted(stack[i].vector, stack[i].error);
			continue;
		}
		done();
		assert_int_equal(guest_segment[SEG_SS].selector, stack[i].selector);
		assert_int_equal(guest_vcpu.event.shadow, EVENT_SHADOW_MOV_SS);
	}
	run("8e 0b");						/* CS */
	faulted(EXC_UD, 0);
	/* LFS: pointer and selector; POP FS */
	operand("\x78\x56\x34\x12\x10\0", 6);
	run("0f b4 0b");
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 0x12345678);
	assert_int_equal(guest_segment[SEG_FS].selector, 0x10);
	operand("\x28\0\0\0\0\0\0\0", 8);
	guest_vcpu.gpr[GPR_RSP] = OPERAND;
	run("0f a1");
	done();
	assert_int_equal(guest_segment[SEG_FS].selector, 0x28);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], OPERAND + 8);
	operand("\x20\0", 2);
	guest_vcpu.gpr[GPR_RSP] = OPERAND;
	run("0f a1");
	faulted(EXC_NP, 0x20);
}

/* The GDT itself lies in the device: reading and marking go there. */
static void tables_in_a_device(void **state)
{
	uint64_t data = DATA;

	(void)state;
	guest_segment[SEG_GDTR].base = OPERAND - 0x10;
	operand(&data, 8);
	guest_vcpu.gpr[GPR_RAX] = 0x10;
	run("8e d8");						/* mov %eax, %ds */
	done();
	assert_int_equal(guest_segment[SEG_DS].selector, 0x10);
	assert_int_equal(guest_device[0x25], 0x93);
	/* a user's load of a supervisor's table */
	guest_segment[SEG_GDTR].base = OPERAND - 0x28;
	data = USER;
	operand(&data, 8);
	guest_vcpu.gpr[GPR_RAX] = 0x2b;
	for (unsigned i = 0; i < 3; i++)
		guest_ram[2 * MIB + 8 * i] |= 4;
	guest_ram[2 * MIB + 0x4000] &= ~4;			/* the device's page */
	guest_ram[2 * MIB + 0x2000] |= 4;			/* code */
	guest_mode.cpl = 3;
	run("8e d8");
	done();
	assert_int_equal(guest_segment[SEG_DS].selector, 0x2b);
}

static void system_segments(void **state)
{
	(void)state;
	operand("\x30\0", 2);
	run("0f 00 13");					/* lldt */
	done();
	assert_int_equal(guest_segment[SEG_LDTR].base, LDT);
	assert_int_equal(guest_segment[SEG_LDTR].limit, 0xfff);
	operand("\x0c\0", 2);
	run("8e 1b");						/* of the LDT */
	done();
	assert_int_equal(guest_segment[SEG_DS].selector, 0x0c);
	operand("\x40\0", 2);
	run("0f 00 1b");					/* ltr */
	done();
	assert_int_equal(guest_segment[SEG_TR].base, 0x5000);
	assert_int_equal(guest_segment[SEG_TR].attr & SEG_TYPE, 11);
	assert_int_equal(get(GDT + 0x40) >> 40 & 0xf, 11);
	run("0f 00 1b");					/* busy now */
	faulted(EXC_GP, 0x40);
	run_for("0f 00 0b", GMEM_WRITE);			/* str */
	assert_int_equal(guest_device[0x20], 0x40);
	operand("\0\0", 2);
	run("0f 00 1b");
	faulted(EXC_GP, 0);
	run("0f 00 13");
	done();
	assert_true(guest_segment[SEG_LDTR].attr & SEG_UNUSABLE);
	/* who may */
	operand("\x10\0", 2);
	guest_vcpu.gpr[GPR_RAX] = 0;
	run("0f 02 03");					/* lar */
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RAX], 0xcf9200);
	assert_true(guest_vcpu.rflags & RFLAGS_ZF);
	run("0f 03 03");					/* lsl */
	assert_int_equal(guest_vcpu.gpr[GPR_RAX], 0xffffffff);
	run("0f 00 2b");					/* verw */
	assert_true(guest_vcpu.rflags & RFLAGS_ZF);
	operand("\x50\0", 2);
	run("0f 00 2b");
	assert_false(guest_vcpu.rflags & RFLAGS_ZF);
	run("0f 00 23");					/* verr */
	assert_true(guest_vcpu.rflags & RFLAGS_ZF);
	operand("\x80\0", 2);
	run("0f 02 03");
	done();
	assert_false(guest_vcpu.rflags & RFLAGS_ZF);
	guest_flat(16);
	guest_vcpu.gpr[GPR_RBX] = 0x20;
	guest_segment[SEG_DS].base = GUEST_DEVICE;
	run("0f 00 17");
	faulted(EXC_UD, 0);
}

static void system_tables(void **state)
{
	(void)state;
	operand("\xff\x0f\x78\x56\x34\x12\0\0\0\0", 10);
	run("0f 01 13");
	done();
	assert_int_equal(guest_segment[SEG_GDTR].base, 0x12345678);
	assert_int_equal(guest_segment[SEG_GDTR].limit, 0xfff);
	operand("\0\0\0\0\0\0\0\0\0\0", 10);
	run_for("0f 01 03", GMEM_WRITE);
	done();
	assert_memory_equal(guest_device + 0x20, "\xff\x0f\x78\x56\x34\x12\0\0\0\0", 10);
	operand("\xff\x0f\0\0\0\0\0\0\x80\0", 10);		/* not canonical */
	run("0f 01 1b");
	faulted(EXC_GP, 0);
	run_for("0f 01 23", GMEM_WRITE);			/* smsw */
	done();
	assert_int_equal(guest_device[0x20], guest_mode.cr0 & 0xff);
	operand("\x08\0", 2);
	run("0f 01 33");					/* lmsw sets TS, and PE stays */
	done();
	assert_int_equal(guest_reg[REG_CR0], guest_mode.cr0 | CR0_TS);
	for (unsigned i = 0; i < 3; i++)
		guest_ram[2 * MIB + 8 * i] |= 4;
	for (uint64_t t = 2 * MIB; t < 2 * MIB + 0x4000; t += 0x1000)
		for (unsigned i = 0; i < 4; i++)
			guest_ram[t + i * 8] |= 4;
	guest_mode.cpl = 3;
	run("0f 01 33");
	faulted(EXC_GP, 0);
	run("0f 01 13");
	faulted(EXC_GP, 0);
	run_for("0f 01 23", GMEM_WRITE);
	done();
	guest_mode.cr4 |= CR4_UMIP;
	run_for("0f 01 23", GMEM_WRITE);
	faulted(EXC_GP, 0);
}

static void odd_ones(void **state)
{
	(void)state;
	operand("\0\0\0\x5a", 4);
	guest_vcpu.gpr[GPR_RAX] = 0x1103;
	run("d7");
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RAX], 0x115a);
	for (unsigned i = 0; i < 8; i++)
		put(0x5008 + 8 * i, 0x1111111111111111 * i);
	guest_vcpu.gpr[GPR_RCX] = 0x5008;
	guest_vcpu.gpr[GPR_RDX] = GUEST_MMIO + 0x40;
	run_for("66 0f 38 f8 11", GMEM_WRITE);			/* movdir64b (%rcx), %rdx */
	done();
	assert_memory_equal(guest_device + 0x40, guest_ram + 0x5008, 64);
	assert_int_equal(guest_log.writes, 8);
	guest_vcpu.gpr[GPR_RDX] += 8;
	run_for("66 0f 38 f8 11", GMEM_WRITE);
	faulted(EXC_GP, 0);
	run("0f ae 03");
	assert_int_equal(guest_log.crashes, 1);
	assert_non_null(strstr(guest_log.crash, "extended state"));
	run("62 f1 7c 48 10 03");				/* EVEX */
	assert_int_equal(guest_log.crashes, 1);
	run("f0 0f bc 03");
	assert_int_equal(guest_log.event.vector, EXC_UD);
	guest_flat(32);
	guest_vcpu.gpr[GPR_RBX] = GUEST_DEVICE + 0x20;
	operand("\xfe\xff\xff\xff\x05\0\0\0", 8);
	guest_vcpu.gpr[GPR_RCX] = 5;
	run("62 0b");						/* bound */
	done();
	guest_vcpu.gpr[GPR_RCX] = -3u;
	run("62 0b");
	faulted(EXC_BR, 0);
	operand("\x08\0", 2);
	guest_vcpu.gpr[GPR_RCX] = 3;
	run_for("63 0b", GMEM_WRITE);				/* arpl */
	done();
	assert_int_equal(guest_device[0x20], 0x0b);
	assert_true(guest_vcpu.rflags & RFLAGS_ZF);
	guest_mode.cr0 = 0;
	run_for("63 0b", GMEM_WRITE);
	faulted(EXC_UD, 0);
}

/* The state's first 24 bytes are x87's, MM0 at 32, XMM0 at 160, XSTATE_BV at 512. */
static void vectors(void **state)
{
	(void)state;
	operand("0123456789abcdef", 16);
	run("0f 10 03");					/* movups without CR4.OSFXSR */
	faulted(EXC_UD, 0);
	run("c5 f8 10 03");					/* without CR4.OSXSAVE */
	faulted(EXC_UD, 0);
	guest_mode.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	run("c5 f8 10 03");					/* without XCR0 */
	faulted(EXC_UD, 0);
	guest_mode.cr0 |= CR0_TS;
	run("0f 10 03");
	faulted(EXC_NM, 0);
	guest_mode.cr0 &= ~CR0_TS;
	memset(guest_fpu + 160, 0x77, 256);			/* not in use: zeroes */
	run("0f 10 03");
	done();
	assert_memory_equal(guest_fpu + 160, "0123456789abcdef", 16);
	assert_int_equal(guest_fpu[176], 0);
	assert_int_equal(guest_fpu[512], XCR0_SSE);
	run("0f 28 43 08");					/* movaps */
	faulted(EXC_GP, 0);
	run("66 0f eb 43 08");					/* por */
	faulted(EXC_GP, 0);
	run("0f 6f 03");					/* movq to MM0 */
	done();
	assert_memory_equal(guest_fpu + 32, "01234567\xff\xff\0", 11);
	assert_int_equal(guest_fpu[4], 0xff);
	run_for("0f 7f 43 08", GMEM_WRITE);
	done();
	assert_memory_equal(guest_device + 0x28, "01234567", 8);
	guest_mode.cr0 |= CR0_EM;
	run("0f 6f 03");
	faulted(EXC_UD, 0);
	run("d9 03");						/* fld */
	faulted(EXC_NM, 0);
}

static struct fpu_legacy *legacy(void)
{
	return (struct fpu_legacy *)guest_fpu;
}

/* What an exception leaves, and what it is where the guest's kernel has not said that it knows. */
static void vector_exceptions(void **state)
{
	static const uint32_t one = 0x3f800000, signalling = 0x7f800001;

	(void)state;
	guest_mode.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	legacy()->mxcsr = 0x1f82;				/* all masked; one was */
	operand(&signalling, 4);
	run("f3 0f 58 0b");					/* addss to XMM1 */
	done();
	assert_int_equal(legacy()->mxcsr, 0x1f83);
	legacy()->mxcsr = 0x1f02;				/* invalid operations are not */
	memcpy(guest_fpu + 176, &one, 4);
	run("f3 0f 58 0b");
	faulted(EXC_XM, 0);
	assert_int_equal(legacy()->mxcsr, 0x1f03);
	assert_memory_equal(guest_fpu + 176, &one, 4);
	guest_mode.cr4 &= ~CR4_OSXMMEXCPT;
	run("f3 0f 58 0b");
	faulted(EXC_UD, 0);
	legacy()->mxcsr = 0x1f03;				/* it was, which says nothing */
	operand(&one, 4);
	run("f3 0f 58 0b");
	done();
	operand("\xff\xff\xff\xff", 4);
	run("0f ae 13");					/* ldmxcsr */
	faulted(EXC_GP, 0);
	assert_int_equal(legacy()->mxcsr, 0x1f03);
	run_for("0f ae 1b", GMEM_WRITE);
	done();
	assert_memory_equal(guest_device + 0x20, "\x03\x1f\0\0", 4);
	run("c5 e8 58 03");					/* vaddps, which this guest has not */
	faulted(EXC_UD, 0);
}

/* Pointers are the guest's; an exception waits for the next instruction, but not for those that
 * are to look at it; what is not stored then. */
static void x87(void **state)
{
	static const uint32_t one = 0x3f800000;

	(void)state;
	legacy()->fcw = 0x37f;
	legacy()->mxcsr = 0x1f80;
	operand(&one, 4);
	run("d9 03");						/* fld */
	done();
	assert_int_equal(legacy()->fsw, 7 << 11);
	assert_memory_equal(guest_fpu + 32, "\0\0\0\0\0\0\0\x80\xff\x3f", 10);
	legacy()->fcw = 0x37e;				/* invalid operations are not masked */
	memcpy(guest_fpu + 32, "\0\0\0\0\0\0\0\x80\xff\x7f", 10);
	run_for("67 df 13", GMEM_WRITE);			/* fist of infinity */
	done();
	assert_memory_equal(guest_device + 0x20, &one, 4);
	assert_int_equal(legacy()->fsw, 7 << 11 | 0x8081);
	/* chips keep them for those that leave an exception, if not for all */
	assert_int_equal(legacy()->fip, 0x1000);
	assert_int_equal(legacy()->fdp, OPERAND);
	assert_int_equal(legacy()->fop, 0x713);
	run_for("d9 73 20", GMEM_WRITE);			/* fnstenv */
	done();
	assert_memory_equal(guest_device + 0x4c, "\0\x10\0\0\0\0\x13\x07\x20\0\0\x40", 12);
	memset(guest_device + 0x80, 0x55, 16);
	run_for("66 d9 73 60", GMEM_WRITE);			/* in 14 bytes */
	done();
	assert_memory_equal(guest_device + 0x80, "\x7f\x03", 2);
	assert_memory_equal(guest_device + 0x80 + 12, "\0\0\x55\x55", 4);
	legacy()->fcw = 0x37e;					/* both have masked them */
	legacy()->fsw |= 0x8080;
	run("d8 03");
	faulted(EXC_MF, 0);
	run("0f 6f 03");					/* movq of MMX, too */
	faulted(EXC_MF, 0);
	assert_int_equal(guest_log.reads, 0);
	run_for("dd 3b", GMEM_WRITE);				/* fnstsw */
	done();
	assert_memory_equal(guest_device + 0x20, "\x81\xb8\x80\x3f", 4);
	guest_mode.cr0 |= CR0_TS;
	run_for("dd 3b", GMEM_WRITE);
	faulted(EXC_NM, 0);
}

/* Outside 64-bit mode VEX.W and a register's fourth bit say nothing. */
static void vectors_elsewhere(void **state)
{
	static const uint64_t n = 0x100000007;

	(void)state;
	legacy()->fcw = 0x37f;
	legacy()->mxcsr = 0x1f80;
	guest_mode.bits = 32;
	guest_mode.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	guest_reg[REG_XCR0] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	for (unsigned s = 0; s < SEG_COUNT; s++)
		guest_segment[s] = (struct segment){
			.limit = ~0u,
			.attr = SEG_P | SEG_S | SEG_DB | SEG_G | (s == SEG_CS ? 11 : 3) };
	operand(&n, 8);
	run("c4 e1 fb 2a 03");					/* vcvtsi2sd of four bytes */
	done();
	assert_memory_equal(guest_fpu + 160, "\0\0\0\0\0\0\x1c\x40", 8);
	assert_int_equal(guest_log.sizes[0], 4);
	memcpy(guest_fpu + 160, "0123456789abcdef", 16);
	run("c4 e3 79 4a 0b 80");				/* vblendvps by XMM0, not XMM8 */
	done();
	assert_memory_equal(guest_fpu + 176, "0123456789abcdef", 16);
	guest_mode.cr0 &= ~CR0_PE;
	run("c5 f8 10 03");
	faulted(EXC_UD, 0);
}

/* The state that is kept where an exception waits, with pointers of more than 16 bits. */
static void waiting_state(void)
{
	memset(guest_fpu, 0, 512);
	guest_fpu[512] = 3;
	legacy()->mxcsr = 0x1f80;
	legacy()->fcw = 0x37e;
	legacy()->fsw = 0xb881;
	legacy()->ftw = 0x80;
	legacy()->fip = 0x54321;
	legacy()->fdp = 0x6789a;
	legacy()->fop = 0x123;
	memcpy(guest_fpu + 32, "\1\2\3\4\5\6\7\x88\x23\x40", 10);
}

/* Pointers in another form; and what has been written is read again. */
static void x87_of_real_mode(void **state)
{
	static const struct {
		const char *write, *read, *environment;
		unsigned size;
		bool registers;
	} rows[] = {
		{ "d9 37", "d9 27", "\x7e\3\x81\xb8\xff\x3f\x21\x43\x23\x51\x9a\x78\0\x60", 14, false },
		{ "dd 37", "dd 27", "\x7e\3\x81\xb8\xff\x3f\x21\x43\x23\x51\x9a\x78\0\x60", 14, true },
		{ "66 d9 37", "66 d9 27", NULL, 28, false },
		{ "66 dd 37", "66 dd 27", NULL, 28, true },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(NULL);
		guest_flat(16);
		guest_vcpu.gpr[GPR_RBX] = 0x20;
		guest_segment[SEG_DS].base = GUEST_DEVICE;
		memset(guest_device, 0x55, sizeof(guest_device));
		waiting_state();
		run_for(rows[i].write, GMEM_WRITE);
		done();
		if (rows[i].environment)
			assert_memory_equal(guest_device + 0x20, rows[i].environment, 14);
		else
			assert_memory_equal(
				guest_device + 0x2c,
				"\x21\x43\0\0\x23\x51\0\0\x9a\x78\0\0\0\x60\0\0", 16);
		if (rows[i].registers)
			assert_memory_equal(guest_device + 0x20 + rows[i].size,
					    "\1\2\3\4\5\6\7\x88\x23\x40", 10);
		assert_int_equal(guest_device[0x20 + rows[i].size + 80 * rows[i].registers], 0x55);
		memset(guest_fpu, 0, 512);
		legacy()->fcw = 0x37f;
		legacy()->mxcsr = 0x1f80;
		run(rows[i].read);
		done();
		assert_int_equal(legacy()->fcw, 0x37e);
		assert_int_equal(legacy()->fsw, 0xb881);
		assert_int_equal(legacy()->ftw, 0x80);
		assert_int_equal(legacy()->fip, 0x54321);
		assert_int_equal(legacy()->fdp, 0x6789a);
		assert_int_equal(legacy()->fop, 0x123);
		if (rows[i].registers)
			assert_memory_equal(guest_fpu + 32, "\1\2\3\4\5\6\7\x88\x23\x40", 10);
	}
}

#define ROUNDS	200000u

/* Operands in RAM, as when the exit was for a page table; another processor writes there. */
static void locked(void **state)
{
	uint32_t *counter = (uint32_t *)(guest_ram + 0x300010);

	(void)state;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 0x2010;
	guest_vcpu.gpr[GPR_RCX] = 1;
	native_adder(counter, ROUNDS);
	for (unsigned i = 0; i < ROUNDS; i++) {
		do				/* where the other was quicker all the time */
			run_for("f0 01 0b", GMEM_READ | EXIT_TABLES);
		while (!guest_log.nexts && !guest_log.flushes && !guest_log.events);
		done();
	}
	native_adder_ends();
	assert_int_equal(*counter, 2 * ROUNDS);
	run_for("f0 0f c7 0b", GMEM_READ | EXIT_TABLES);
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RAX], 2 * ROUNDS);
	assert_false(guest_vcpu.rflags & RFLAGS_ZF);
	guest_vcpu.gpr[GPR_RBX] |= 1;
	run_for("f0 48 0f c7 0b", GMEM_READ | EXIT_TABLES);
	faulted(EXC_GP, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(near_branches, setup),
		cmocka_unit_test_setup(far_branches, setup),
		cmocka_unit_test_setup(call_gates, setup),
		cmocka_unit_test_setup(other_gates, setup),
		cmocka_unit_test_setup(data_segments, setup),
		cmocka_unit_test_setup(tables_in_a_device, setup),
		cmocka_unit_test_setup(system_segments, setup),
		cmocka_unit_test_setup(system_tables, setup),
		cmocka_unit_test_setup(odd_ones, setup),
		cmocka_unit_test_setup(vectors, setup),
		cmocka_unit_test_setup(vector_exceptions, setup),
		cmocka_unit_test_setup(x87, setup),
		cmocka_unit_test_setup(x87_of_real_mode, setup),
		cmocka_unit_test_setup(vectors_elsewhere, setup),
		cmocka_unit_test_setup(locked, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
