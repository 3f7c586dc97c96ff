/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c vmm/regs.c lib/format.c tests/host/guest.c tests/host/native.c
 * tests/host/heap.c tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * Each form of each instruction with random operand sizes, addressing, registers, flags and memory,
 * by the emulator and by the processor that the test runs on: the same bytes at the same addresses
 * must leave the same registers, the same flags but for those that the manual calls undefined, and
 * the same memory. The operand is in a device, across its two pages, across a device and RAM, or in
 * RAM (as when an exit is about a page table).
 */
#include "tests/host/guest.h"
#include "tests/host/native.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "cpu/features.h"
#include "cpu/registers.h"
#include "vmm/exit.h"

#define FLAGS	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define CASES	600			/* of each form */
#define AREA	(GUEST_DEVICE_SIZE + 4096)
#define ENTER	0xc8
#define POPF	0x9d

enum { C = RFLAGS_CF, P = RFLAGS_PF, A = RFLAGS_AF, Z = RFLAGS_ZF, S = RFLAGS_SF, O = RFLAGS_OF };

/* What a form needs beyond ModRM. */
#define BYTES	1u	/* its operand has one size: no 66, no REX.W */
#define LOCKS	2u	/* LOCK may stand before it */
#define IMM8	4u
#define IMMZ	8u	/* 16 or 32 bits */
#define SHIFTS	16u	/* OF is defined for a count of one alone */
#define ALIGNED	32u	/* to 16 bytes, when REX.W is there */
#define WIDE	64u	/* 66 is a prefix of its own */
#define VEX	128u	/* bytes are: map, pp, opcode */
#define OFFSET	256u	/* the register is a bit offset: small */
#define STACK	1024u	/* RSP is the stack, 8 or 2 bytes at a time; no ModRM where group is -2 */
#define NARROW	512u	/* undefined for counts beyond 16 bits */

static const struct form {
	const char *name;
	uint8_t length, bytes[4];
	int8_t group;		/* -1: ModRM.reg is a register; -2: no ModRM */
	uint8_t bit;		/* CPUID: leaf, register, bit as in has() */
	unsigned flags, undefined;
} forms[] = {
#define ALU(n, name, u)									\
	{ name " m8,r8", 1, { 8 * n }, -1, 0, BYTES | (n == 7 ? 0 : LOCKS), u },	\
	{ name " m,r", 1, { 8 * n + 1 }, -1, 0, n == 7 ? 0 : LOCKS, u },		\
	{ name " r8,m8", 1, { 8 * n + 2 }, -1, 0, BYTES, u },				\
	{ name " r,m", 1, { 8 * n + 3 }, -1, 0, 0, u },					\
	{ name " m8,i8", 1, { 0x80 }, n, 0, BYTES | IMM8 | (n == 7 ? 0 : LOCKS), u },	\
	{ name " m,i", 1, { 0x81 }, n, 0, IMMZ | (n == 7 ? 0 : LOCKS), u },		\
	{ name " m,i8", 1, { 0x83 }, n, 0, IMM8 | (n == 7 ? 0 : LOCKS), u }
	ALU(0, "add", 0), ALU(1, "or", A), ALU(2, "adc", 0), ALU(3, "sbb", 0), ALU(4, "and", A),
	ALU(5, "sub", 0), ALU(6, "xor", A), ALU(7, "cmp", 0),
	{ "test m8,r8", 1, { 0x84 }, -1, 0, BYTES, A }, { "test m,r", 1, { 0x85 }, -1, 0, 0, A },
	{ "test m8,i8", 1, { 0xf6 }, 0, 0, BYTES | IMM8, A },
	{ "test m,i", 1, { 0xf7 }, 1, 0, IMMZ, A },
	{ "xchg m8,r8", 1, { 0x86 }, -1, 0, BYTES | LOCKS, 0 },
	{ "xchg m,r", 1, { 0x87 }, -1, 0, LOCKS, 0 },
	{ "mov m8,r8", 1, { 0x88 }, -1, 0, BYTES, 0 }, { "mov m,r", 1, { 0x89 }, -1, 0, 0, 0 },
	{ "mov r8,m8", 1, { 0x8a }, -1, 0, BYTES, 0 }, { "mov r,m", 1, { 0x8b }, -1, 0, 0, 0 },
	{ "mov m8,i8", 1, { 0xc6 }, 0, 0, BYTES | IMM8, 0 },
	{ "mov m,i", 1, { 0xc7 }, 0, 0, IMMZ, 0 },
	{ "movsxd", 1, { 0x63 }, -1, 0, 0, 0 },
	{ "movzx r,m8", 2, { 0x0f, 0xb6 }, -1, 0, 0, 0 },
	{ "movzx r,m16", 2, { 0x0f, 0xb7 }, -1, 0, 0, 0 },
	{ "movsx r,m8", 2, { 0x0f, 0xbe }, -1, 0, 0, 0 },
	{ "movsx r,m16", 2, { 0x0f, 0xbf }, -1, 0, 0, 0 },
	{ "movnti", 2, { 0x0f, 0xc3 }, -1, 0, WIDE, 0 },
	{ "not m8", 1, { 0xf6 }, 2, 0, BYTES | LOCKS, 0 }, { "not m", 1, { 0xf7 }, 2, 0, LOCKS, 0 },
	{ "neg m8", 1, { 0xf6 }, 3, 0, BYTES | LOCKS, 0 }, { "neg m", 1, { 0xf7 }, 3, 0, LOCKS, 0 },
	{ "inc m8", 1, { 0xfe }, 0, 0, BYTES | LOCKS, 0 }, { "inc m", 1, { 0xff }, 0, 0, LOCKS, 0 },
	{ "dec m8", 1, { 0xfe }, 1, 0, BYTES | LOCKS, 0 }, { "dec m", 1, { 0xff }, 1, 0, LOCKS, 0 },
	{ "mul m8", 1, { 0xf6 }, 4, 0, BYTES, P | A | Z | S },
	{ "mul m", 1, { 0xf7 }, 4, 0, 0, P | A | Z | S },
	{ "imul m8", 1, { 0xf6 }, 5, 0, BYTES, P | A | Z | S },
	{ "imul m", 1, { 0xf7 }, 5, 0, 0, P | A | Z | S },
	{ "imul r,m", 2, { 0x0f, 0xaf }, -1, 0, 0, P | A | Z | S },
	{ "imul r,m,i", 1, { 0x69 }, -1, 0, IMMZ, P | A | Z | S },
	{ "imul r,m,i8", 1, { 0x6b }, -1, 0, IMM8, P | A | Z | S },
	{ "div m8", 1, { 0xf6 }, 6, 0, BYTES, FLAGS }, { "div m", 1, { 0xf7 }, 6, 0, 0, FLAGS },
	{ "idiv m8", 1, { 0xf6 }, 7, 0, BYTES, FLAGS }, { "idiv m", 1, { 0xf7 }, 7, 0, 0, FLAGS },
#define SHIFT(n, name, u)								\
	{ name " m8,i8", 1, { 0xc0 }, n, 0, BYTES | IMM8 | SHIFTS, u },			\
	{ name " m,i8", 1, { 0xc1 }, n, 0, IMM8 | SHIFTS, u },				\
	{ name " m8,1", 1, { 0xd0 }, n, 0, BYTES, u }, { name " m,1", 1, { 0xd1 }, n, 0, 0, u }, \
	{ name " m8,cl", 1, { 0xd2 }, n, 0, BYTES | SHIFTS, u },			\
	{ name " m,cl", 1, { 0xd3 }, n, 0, SHIFTS, u }
	SHIFT(0, "rol", 0), SHIFT(1, "ror", 0), SHIFT(2, "rcl", 0), SHIFT(3, "rcr", 0),
	SHIFT(4, "shl", A), SHIFT(5, "shr", A), SHIFT(6, "sal", A), SHIFT(7, "sar", A),
	{ "shld m,r,i8", 2, { 0x0f, 0xa4 }, -1, 0, IMM8 | SHIFTS | NARROW, A },
	{ "shld m,r,cl", 2, { 0x0f, 0xa5 }, -1, 0, SHIFTS | NARROW, A },
	{ "shrd m,r,i8", 2, { 0x0f, 0xac }, -1, 0, IMM8 | SHIFTS | NARROW, A },
	{ "shrd m,r,cl", 2, { 0x0f, 0xad }, -1, 0, SHIFTS | NARROW, A },
#define BIT_TEST(n, name)								\
	{ name " m,r", 2, { 0x0f, 0x83 + 8 * n }, -1, 0, OFFSET | (n == 4 ? 0 : LOCKS),	\
	  O | S | A | P },								\
	{ name " m,i8", 2, { 0x0f, 0xba }, n, 0, IMM8 | (n == 4 ? 0 : LOCKS), O | S | A | P }
	BIT_TEST(4, "bt"), BIT_TEST(5, "bts"), BIT_TEST(6, "btr"), BIT_TEST(7, "btc"),
	{ "bsf", 2, { 0x0f, 0xbc }, -1, 0, 0, FLAGS & ~Z },
	{ "bsr", 2, { 0x0f, 0xbd }, -1, 0, 0, FLAGS & ~Z },
	{ "tzcnt", 3, { 0xf3, 0x0f, 0xbc }, -1, 3, 0, O | S | P | A },
	{ "lzcnt", 3, { 0xf3, 0x0f, 0xbd }, -1, 4, 0, O | S | P | A },
	{ "popcnt", 3, { 0xf3, 0x0f, 0xb8 }, -1, 1, 0, 0 },
	{ "crc32 r,m8", 4, { 0xf2, 0x0f, 0x38, 0xf0 }, -1, 2, 0, 0 },
	{ "crc32 r,m", 4, { 0xf2, 0x0f, 0x38, 0xf1 }, -1, 2, 0, 0 },
	{ "movbe r,m", 3, { 0x0f, 0x38, 0xf0 }, -1, 5, 0, 0 },
	{ "movbe m,r", 3, { 0x0f, 0x38, 0xf1 }, -1, 5, 0, 0 },
	{ "adcx", 4, { 0x66, 0x0f, 0x38, 0xf6 }, -1, 6, WIDE, 0 },
	{ "adox", 4, { 0xf3, 0x0f, 0x38, 0xf6 }, -1, 6, WIDE, 0 },
	{ "xadd m8,r8", 2, { 0x0f, 0xc0 }, -1, 0, BYTES | LOCKS, 0 },
	{ "xadd m,r", 2, { 0x0f, 0xc1 }, -1, 0, LOCKS, 0 },
	{ "cmpxchg m8,r8", 2, { 0x0f, 0xb0 }, -1, 0, BYTES | LOCKS, 0 },
	{ "cmpxchg m,r", 2, { 0x0f, 0xb1 }, -1, 0, LOCKS, 0 },
	{ "cmpxchg8b/16b", 2, { 0x0f, 0xc7 }, 1, 0, WIDE | LOCKS | ALIGNED, 0 },
#define CONDITION(n)									\
	{ "set", 2, { 0x0f, 0x90 + n }, 0, 0, BYTES, 0 }, { "cmov", 2, { 0x0f, 0x40 + n }, -1, 0, 0, 0 }
	CONDITION(0), CONDITION(1), CONDITION(2), CONDITION(3), CONDITION(4), CONDITION(5),
	CONDITION(6), CONDITION(7), CONDITION(8), CONDITION(9), CONDITION(10), CONDITION(11),
	CONDITION(12), CONDITION(13), CONDITION(14), CONDITION(15),
	{ "push r", 1, { 0x50 }, -2, 0, STACK, 0 }, { "pop r", 1, { 0x58 }, -2, 0, STACK, 0 },
	{ "push r12", 2, { 0x41, 0x54 }, -2, 0, STACK, 0 },
	{ "pop rsp", 1, { 0x5c }, -2, 0, STACK, 0 },
	{ "push i8", 1, { 0x6a }, -2, 0, STACK | IMM8, 0 },
	{ "push i", 1, { 0x68 }, -2, 0, STACK | IMMZ, 0 },
	{ "push m", 1, { 0xff }, 6, 0, STACK, 0 }, { "pop m", 1, { 0x8f }, 0, 0, STACK, 0 },
	{ "leave", 1, { 0xc9 }, -2, 0, STACK, 0 },
	{ "enter 0,0", 4, { 0xc8, 0, 0, 0 }, -2, 0, STACK, 0 },
	{ "enter 40,0", 4, { 0xc8, 40, 0, 0 }, -2, 0, STACK, 0 },
	{ "enter 8,1", 4, { 0xc8, 8, 0, 1 }, -2, 0, STACK, 0 },
	{ "enter 16,5", 4, { 0xc8, 16, 0, 5 }, -2, 0, STACK, 0 },
	{ "enter 0,31", 4, { 0xc8, 0, 0, 31 }, -2, 0, STACK, 0 },
	{ "pushf", 1, { 0x9c }, -2, 0, STACK, 0 }, { "popf", 1, { 0x9d }, -2, 0, STACK, 0 },
	{ "push fs", 2, { 0x0f, 0xa0 }, -2, 0, STACK, 0 },
	{ "andn", 3, { 2, 0, 0xf2 }, -1, 3, VEX, A | P },
	{ "blsr", 3, { 2, 0, 0xf3 }, 1, 3, VEX, A | P },
	{ "blsmsk", 3, { 2, 0, 0xf3 }, 2, 3, VEX, A | P },
	{ "blsi", 3, { 2, 0, 0xf3 }, 3, 3, VEX, A | P },
	{ "bextr", 3, { 2, 0, 0xf7 }, -1, 3, VEX, A | P | S },
	{ "bzhi", 3, { 2, 0, 0xf5 }, -1, 7, VEX, A | P },
	{ "pext", 3, { 2, 2, 0xf5 }, -1, 7, VEX, 0 }, { "pdep", 3, { 2, 3, 0xf5 }, -1, 7, VEX, 0 },
	{ "mulx", 3, { 2, 3, 0xf6 }, -1, 7, VEX, 0 }, { "shlx", 3, { 2, 1, 0xf7 }, -1, 7, VEX, 0 },
	{ "sarx", 3, { 2, 2, 0xf7 }, -1, 7, VEX, 0 }, { "shrx", 3, { 2, 3, 0xf7 }, -1, 7, VEX, 0 },
	{ "rorx", 3, { 3, 3, 0xf0 }, -1, 7, VEX | IMM8, 0 },
};

/* CPUID's bits that struct form counts from 1. */
static bool has(unsigned bit)
{
	static const struct { uint32_t leaf; uint8_t reg, bit; } bits[] = {
		{ 1, 2, 23 }, { 1, 2, 20 }, { 7, 1, 3 }, { 0x80000001, 2, 5 }, { 1, 2, 22 },
		{ 7, 1, 19 }, { 7, 1, 8 },
	};
	uint32_t r[4];

	if (!bit)
		return true;
	__asm__("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
		: "a"(bits[bit - 1].leaf), "c"(0));
	return r[bits[bit - 1].reg] >> bits[bit - 1].bit & 1;
}

/* One case under way. */
static struct {
	const struct form *form;
	uint64_t seed;			/* with which it began */
	uint8_t code[16];
	unsigned n, size, reg;
	uint8_t rex;
	enum gpr base;
	struct native before, native;
	uint64_t at;			/* linear address of the operand */
	bool edge;			/* the least quotient, or one less */
} now;

static uint64_t seed = 0x20250611;
static uint8_t *page, *const area = (uint8_t *)GUEST_MMIO;
static unsigned cases, divide_errors;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t below(uint64_t n)
{
	return next() % n;
}

static uint64_t value(void)
{
	static const uint64_t special[] = { 0,	    1,		0x7f,	    0x80, 0xff,	    0x7fff,
					    0x8000, 0x7fffffff, 0x80000000, ~0ul, 1ul << 63 };
	uint64_t v = next();

	switch (below(6)) {
	case 0: return special[v % ARRAY_COUNT(special)];
	case 1: return v & 0xffff;
	case 2: return v >> below(64);
	default: return v;
	}
}

static void put(uint8_t b)
{
	now.code[now.n++] = b;
}

static bool is_vex(void)
{
	return now.form->flags & VEX;
}

/* Two, three or four bytes of prefixes and opcode. */
static void put_vex(unsigned vvvv)
{
	const uint8_t *b = now.form->bytes;

	put(0xc4);
	put((uint8_t)((~(unsigned)now.rex << 5 & 0xe0) | b[0]));
	put((uint8_t)((now.rex & 8) << 4 | (~vvvv & 15) << 3 | b[1]));
	put(b[2]);
}

static void put_opcode(void)
{
	const struct form *f = now.form;
	unsigned first = 0;

	if (is_vex()) {
		/* RORX has no other register, which is written so. */
		put_vex(f->bytes[0] == 3 ? 0 : (unsigned)below(16));
		return;
	}
	if (f->flags & LOCKS && !below(3))
		put(0xf0);
	if (now.size == 2)
		put(0x66);
	if (f->bytes[0] == 0x66 || (f->bytes[0] & 0xfe) == 0xf2)
		put(f->bytes[first++]);
	if (now.rex)
		put(0x40 | now.rex);
	for (; first < f->length; first++)
		put(f->bytes[first]);
}

/* Sizes and registers. */
static void choose(void)
{
	const struct form *f = now.form;
	unsigned pick = (unsigned)below(f->flags & (WIDE | VEX) ? 2 : 3);

	now.size = f->flags & BYTES ? 1 : pick == 0 ? 4 : pick == 1 ? 8 : 2;
	if (f->flags & STACK && now.size == 8)
		now.size = 4;			/* which is 8 */
	now.rex = now.size == 8 ? 8 : 0;
	now.reg = f->group >= 0 ? (unsigned)f->group : f->group == -2 ? 0 : (unsigned)below(16);
	if (now.reg > 7)
		now.rex |= 4;
	now.base = (enum gpr)below(16);
	if (f->flags & STACK && now.base == GPR_RSP)
		now.base = GPR_RBX;
	if (now.base > 7 && f->group != -2)
		now.rex |= 1;
}

/* [base], [base + disp], [base + index * scale + disp]; registers are made to fit. */
static void put_operand(void)
{
	bool sib = (now.base & 7) == GPR_RSP || !below(3);
	unsigned mod = (now.base & 7) == GPR_RBP ? 1 + (unsigned)below(2) : (unsigned)below(3);
	int64_t disp = mod == 1 ? (int8_t)next() : mod == 2 ? (int32_t)next() % 0x100000 : 0;
	enum gpr index = (enum gpr)below(8);
	unsigned shift = (unsigned)below(4);
	uint64_t a = now.at - (uint64_t)disp;

	put((uint8_t)(mod << 6 | (now.reg & 7) << 3 | (sib ? 4 : now.base & 7)));
	if (sib) {
		put((uint8_t)(shift << 6 | index << 3 | (now.base & 7)));
		if (index != GPR_RSP && index != now.base)
			a -= now.before.gpr[index] << shift;
		else if (index == now.base)	/* base * (scale + 1) need not come out */
			now.code[now.n - 1] = (uint8_t)(0x20 | (now.base & 7));
	}
	now.before.gpr[now.base] = a;
	for (unsigned i = 0; i < (mod == 1 ? 1 : mod == 2 ? 4 : 0); i++)
		put((uint8_t)(disp >> (8 * i)));
}

static void put_immediate(void)
{
	unsigned n = now.form->flags & IMM8 ? 1 : now.form->flags & IMMZ ? MIN(now.size, 4u) : 0;
	uint64_t v = value();

	for (unsigned i = 0; i < n; i++)
		put((uint8_t)(v >> (8 * i)));
}

static void place(void)
{
	switch (below(8)) {
	case 0: now.at = GUEST_MMIO + 4096 - below(8); break;	/* across the device's pages */
	case 1: now.at = GUEST_MMIO + 8192 - below(8); break;	/* device and RAM */
	case 2: now.at = GUEST_MMIO + 8192 + 256 + below(3000); break;	/* RAM */
	default: now.at = GUEST_MMIO + 256 + below(3000); break;
	}
	if (now.form->flags & ALIGNED && now.size == 8)
		now.at &= ~15ul;
	if (now.form->flags & OFFSET)			/* the bit decides where it lands */
		now.at = GUEST_MMIO + 1024 + below(1024);
}

/* Random bytes around the operand; now and then what comparisons look for. */
static void fill(void)
{
	uint64_t sp = now.before.gpr[GPR_RSP];

	for (uint64_t a = sp - 400; now.form->flags & STACK && a < sp + 64; a++)
		area[a - GUEST_MMIO] = (uint8_t)next();
	for (uint64_t a = now.at - 160; a < now.at + 176 && a < GUEST_MMIO + AREA; a++)
		area[a - GUEST_MMIO] = (uint8_t)next();
	if (below(2))
		memcpy((void *)now.at, &(uint64_t){ value() }, 8);
	if (now.edge)
		memcpy((void *)now.at, &(uint64_t){ below(2) ? 1 : ~0ul }, 8);
	else if (!below(3)) {
		memcpy((void *)now.at, &now.before.gpr[GPR_RAX], 8);
		memcpy((char *)now.at + (now.size == 8 ? 8 : 4), &now.before.gpr[GPR_RDX],
		       now.size == 8 ? 8 : 4);
	}
	if (now.form->bytes[0] == POPF)		/* what a program may change and live on */
		memcpy(area + (sp - GUEST_MMIO),
		       &(uint64_t){ 0x202 | (next() & (FLAGS | RFLAGS_DF | RFLAGS_ID)) }, 8);
	memcpy(guest_device, area, GUEST_DEVICE_SIZE);
	memcpy(guest_ram + 0x300000, area + GUEST_DEVICE_SIZE, 4096);
}

static void make(const struct form *f)
{
	memset(&now, 0, sizeof(now));
	now.form = f;
	now.seed = seed;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		now.before.gpr[i] = value();
	if (!below(3))			/* so that quotients fit */
		now.before.gpr[GPR_RDX] = below(3) - 1;
	now.before.flags = 0x202 | (next() & (FLAGS | RFLAGS_DF));
	choose();
	if (f->flags & OFFSET && f->group < 0) {
		if (now.base == now.reg)
			now.reg ^= 1;
		now.before.gpr[now.reg] = below(2000) - 1000;
	}
	now.edge = f->undefined == FLAGS && !below(4);
	if (now.edge) {
		now.before.gpr[GPR_RAX] = now.size == 1 ? 0xff80 : BIT(8 * now.size - 1);
		now.before.gpr[GPR_RDX] = ~0ul;
	}
	place();
	if (f->flags & STACK)
		now.before.gpr[GPR_RSP] = GUEST_MMIO + 400 + below(AREA - 600);
	if (f->flags & STACK && f->bytes[0] == 0xc9)
		now.before.gpr[GPR_RBP] = now.before.gpr[GPR_RSP];
	if (f->flags & STACK && f->bytes[0] == ENTER)	/* frames may well lie across the new one */
		now.before.gpr[GPR_RBP] = now.before.gpr[GPR_RSP] + below(120) - 60;
	put_opcode();
	if (f->group != -2)
		put_operand();
	put_immediate();
	fill();
	now.native = now.before;
}

static void fail_with(const char *what)
{
	char hex[64] = "";

	for (unsigned i = 0; i < now.n; i++)
		sprintf(hex + 3 * i, "%02x ", now.code[i]);
	fail_msg("%s: %s: %s(seed 0x%lx, crash: %s)", now.form->name, what, hex, now.seed,
		 guest_log.crash);
}

/* The exit's word of direction is met by what the instruction does; RAM is nobody's exit. */
static void emulate(void)
{
	gpa_t gpa = GPA(now.at - GUEST_MMIO + GUEST_DEVICE);
	bool elsewhere = now.at >= GUEST_MMIO + GUEST_DEVICE_SIZE ||
			 now.form->flags & (OFFSET | STACK);

	guest_code(now.code, now.n);
	memcpy(guest_vcpu.gpr, now.before.gpr, sizeof(guest_vcpu.gpr));
	guest_vcpu.rflags = now.before.flags;
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, gpa, GMEM_READ | (elsewhere ? EXIT_TABLES : 0));
}

static uint64_t undefined(void)
{
	const struct form *f = now.form;
	uint64_t u = f->undefined;
	unsigned n = f->flags & IMM8 ? now.code[now.n - 1] : (uint8_t)now.before.gpr[GPR_RCX];

	if (f->flags & SHIFTS && (n & (now.size == 8 ? 63 : 31)) != 1)
		u |= O;
	/* SHL and SHR by more than the operand has */
	if (f->flags & SHIFTS && (n & 31) > 8 * now.size)
		u |= C;
	return u;
}

/* Counts for which the manual says nothing of the result. */
static bool is_open(void)
{
	unsigned n = now.form->flags & IMM8 ? now.code[now.n - 1]
					    : (uint8_t)now.before.gpr[GPR_RCX];

	return now.form->flags & NARROW && now.size == 2 && (n & 31) > 16;
}

static void compare(void)
{
	bool divided;

	native_put(page, now.code, now.n);
	divided = native_try(&now.native, page) != EXC_DE;
	emulate();
	cases++;
	if (!divided) {
		divide_errors++;
		if (guest_log.events != 1 || guest_log.event.vector != EXC_DE || guest_log.nexts)
			fail_with("no divide error");
	} else if (guest_log.nexts != 1 || guest_log.length != now.n || guest_log.events ||
		   guest_log.crashes) {
		fail_with("did not end as it should");
	}
	if (is_open())
		return;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		if (guest_vcpu.gpr[i] != now.native.gpr[i])
			fail_with(regs_gpr_name(i));
	if ((guest_vcpu.rflags ^ now.native.flags) & FLAGS & ~undefined())
		fail_with("flags");
	if (memcmp(guest_device, area, GUEST_DEVICE_SIZE) ||
	    memcmp(guest_ram + 0x300000, area + GUEST_DEVICE_SIZE, 4096))
		fail_with("memory");
}

static void like_the_processor(void **state)
{
	unsigned missing = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(forms); i++) {
		if (!has(forms[i].bit)) {
			missing++;
			continue;
		}
		for (unsigned n = 0; n < CASES; n++) {
			make(&forms[i]);
			compare();
		}
	}
	print_message("%u cases of %zu forms (%u not of this processor), %u divide errors\n", cases,
		      ARRAY_COUNT(forms) - missing, missing, divide_errors);
	assert_in_range(divide_errors, 100, 4 * CASES);
}

static int setup(void **state)
{
	(void)state;
	guest_reset();
	features.bits[FEATURE_BMI1 / 64] |= (uint64_t)has(3) << FEATURE_BMI1 % 64;
	features.bits[FEATURE_LZCNT / 64] |= (uint64_t)has(4) << FEATURE_LZCNT % 64;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(like_the_processor, setup),
	};

	page = native_page();
	if (mmap(area, AREA, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != area)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
