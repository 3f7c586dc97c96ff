/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c lib/format.c tests/host/guest.c tests/host/native.c
 * tests/host/heap.c tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * What the emulator does with a stack in a device: frames, RFLAGS, far returns, IRET, and calls by
 * gates to more privilege, which change the stack. What faults has changed nothing.
 */
#include "tests/host/guest.h"
#include "tests/host/native.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "cpu/registers.h"
#include "vmm/exit.h"

#define GDT	0x6000u
#define TSS	0x5000u
#define INNER	0x9000u			/* the stack in the TSS */
#define AT	0x100u			/* where the stack is in the device */
#define CODE64	0x00209a0000000000ul
#define CODE32	0x00cf9a000000fffful
#define DATA	0x00cf92000000fffful
#define DPL3	0x0000600000000000ul
#define NONE	~0u

/* Selectors. */
enum { K64 = 0x08, KDATA = 0x10, K32 = 0x18, ABSENT = 0x20, U32 = 0x2b, UDATA = 0x33, U64 = 0x3b,
       CONFORMING = 0x40, LIMITED = 0x48, GATE = 0x50, ABSENT_DATA = 0x60, TABLE_END = 0x68 };

static struct vcpu before;
static struct segment segments[SEG_COUNT];
static uint8_t device[GUEST_DEVICE_SIZE];

static void put(uint64_t gpa, uint64_t v)
{
	memcpy(guest_ram + gpa, &v, 8);
}

static struct segment flat(unsigned selector, unsigned type)
{
	return (struct segment){ .selector = (uint16_t)selector,
				 .limit = 0xffffffff,
				 .attr = SEG_P | SEG_S | SEG_DB | SEG_G | type |
					 (selector & 3) << SEG_DPL_SHIFT };
}

static void tables(void)
{
	const uint64_t gdt[] = { 0, CODE64, DATA, CODE32, CODE32 & ~BIT(47), CODE32 | DPL3,
				 DATA | DPL3, CODE64 | DPL3, CODE32 | BIT(42),
				 0x00409a0000000fff, 0, 0, DATA & ~BIT(47) };

	memcpy(guest_ram + GDT, gdt, sizeof(gdt));
	guest_segment[SEG_GDTR] = (struct segment){ .base = GDT, .limit = TABLE_END - 1 };
	guest_segment[SEG_LDTR].attr = SEG_UNUSABLE;
	guest_segment[SEG_TR] = (struct segment){ .selector = 0x70, .base = TSS, .limit = 103,
						  .attr = SEG_P | 11 };
}

/* Flat, in 32 bits without paging, or in 64 bits, where a user's pages are all of them. */
static void enter_mode(unsigned bits, unsigned cpl)
{
	guest_reset();
	features.vendor = VENDOR_OTHER;
	if (bits == 32)
		guest_flat(32);
	tables();
	for (unsigned r = SEG_ES; r <= SEG_GS; r++)
		guest_segment[r] = flat((r == SEG_CS ? K32 : KDATA), r == SEG_CS ? 11 : 3);
	if (cpl)
		for (unsigned r = SEG_ES; r <= SEG_GS; r++)
			guest_segment[r] = flat((r == SEG_CS ? U32 : UDATA), r == SEG_CS ? 11 : 3);
	if (bits == 64) {
		guest_segment[SEG_CS].attr ^= SEG_DB | SEG_L;
		for (unsigned n = 0; n < 5 * 512; n++)
			guest_ram[2 * MIB + 8 * n] |= 4;
		guest_segment[SEG_CS].selector = cpl ? U64 : K64;
	}
	guest_mode.cpl = (uint8_t)cpl;
	guest_vcpu.gpr[GPR_RSP] = (bits == 64 ? GUEST_MMIO : GUEST_DEVICE) + AT;
}

static void stack(unsigned size, const uint64_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy(guest_device + AT + i * size, &v[i], size);
}

static uint64_t word(int at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, guest_device + (int)AT + at * (int)size, size);
	return v;
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
	memcpy(device, guest_device, sizeof(device));
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + AT), access);
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
	assert_string_equal(guest_log.crash, "");
	assert_int_equal(guest_log.nexts, 0);
	assert_int_equal(guest_log.events, 1);
	assert_int_equal(guest_log.event.vector, vector);
	assert_int_equal(guest_log.event.error, error);
	assert_memory_equal(before.gpr, guest_vcpu.gpr, sizeof(before.gpr));
	assert_int_equal(before.rip, guest_vcpu.rip);
	assert_int_equal(before.rflags, guest_vcpu.rflags);
	assert_memory_equal(segments, guest_segment, sizeof(segments));
	assert_memory_equal(device, guest_device, sizeof(device));
}

/* ---- frames */

static void pusha_popa(void **state)
{
	(void)state;
	enter_mode(32, 0);
	for (unsigned r = 0; r < 8; r++)
		if (r != GPR_RSP)
			guest_vcpu.gpr[r] = 0x11111111ul * (r + 1);
	run_for("60", GMEM_WRITE);
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], GUEST_DEVICE + AT - 32);
	for (int r = 0; r < 8; r++)
		assert_int_equal(word(-1 - r, 4), before.gpr[r]);
	for (unsigned r = 0; r < 8; r++)
		if (r != GPR_RSP)
			guest_vcpu.gpr[r] = 0;
	run("61");
	done();
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(guest_vcpu.gpr[r],
				 r == GPR_RSP ? GUEST_DEVICE + AT : 0x11111111ul * (r + 1));
	run_for("66 60", GMEM_WRITE);
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], GUEST_DEVICE + AT - 16);
	assert_int_equal(word(-8, 2), 0x8888);
	run("66 61");
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RAX], 0x11111111);
	/* over the end of a segment; and a stack that wraps between two words */
	guest_flat(16);
	guest_segment[SEG_SS].base = GUEST_DEVICE;
	guest_vcpu.gpr[GPR_RSP] = 7;
	run_for("60", GMEM_WRITE);
	faulted(EXC_SS, 0);
	guest_vcpu.gpr[GPR_RSP] = 4;
	run_for("60", GMEM_WRITE);
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], 0xfff4);
	memcpy(&guest_vcpu.gpr[GPR_RBX], guest_device, 2);
	assert_int_equal(guest_vcpu.gpr[GPR_RBX] & 0xffff, before.gpr[GPR_RCX] & 0xffff);
}

/* What nested frames are is compared with the processor; here what faults. */
static void enter_faults(void **state)
{
	(void)state;
	enter_mode(64, 0);
	guest_vcpu.gpr[GPR_RBP] = GUEST_MMIO + 0x200;
	run_for("c8 00 10 02", GMEM_WRITE);			/* no room below */
	faulted(EXC_PF, 2);
	guest_vcpu.gpr[GPR_RBP] = GUEST_MMIO + 8;
	run_for("c8 00 00 04", GMEM_WRITE);			/* no frames above */
	faulted(EXC_PF, 0);
	guest_vcpu.gpr[GPR_RBP] = GUEST_MMIO + 0x200;
	run_for("c8 08 00 23", GMEM_WRITE);			/* 35 is 3 */
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], GUEST_MMIO + AT - 40);
	assert_int_equal(guest_vcpu.gpr[GPR_RBP], GUEST_MMIO + AT - 8);
	assert_int_equal(word(-4, 8), GUEST_MMIO + AT - 8);
}

/* ---- RFLAGS */

enum { VM = RFLAGS_VM, VIF = RFLAGS_VIF, VIP = RFLAGS_VIP, IF = RFLAGS_IF, TF = RFLAGS_TF,
       AC = RFLAGS_AC, ID = RFLAGS_ID, RF = RFLAGS_RF, NT = RFLAGS_NT, IOPL = RFLAGS_IOPL,
       ONE = RFLAGS_ONE, CF = RFLAGS_CF, EVERY = 0x3f7fd5 };

static void flags_on_stack(void **state)
{
	static const struct {
		unsigned bits, cpl, cr4;
		const char *code;
		uint32_t old, popped, want;		/* want 0: #GP(0) */
	} rows[] = {
		{ 32, 0, 0, "9d", ONE, EVERY, ONE | (EVERY & ~(VM | RF | VIF | VIP)) },
		{ 32, 0, 0, "66 9d", ONE | AC, 0xffd5, ONE | AC | (0xffd5 & ~BIT(15)) },
		{ 32, 0, 0, "9d", ONE | VIF | VIP | RF, 0, ONE | VIF | VIP },
		{ 32, 3, 0, "9d", ONE, EVERY, ONE | (EVERY & ~(VM | RF | VIF | VIP | IF | IOPL)) },
		{ 32, 3, 0, "9d", ONE | IOPL, IF | CF, ONE | IOPL | IF | CF },
		{ 64, 0, 0, "9d", ONE, ID | NT, ONE | ID | NT },
		{ 64, 3, 0, "9d", ONE | IF, 0, ONE | IF },
		{ 16, 3, 0, "9d", ONE | VM, CF, 0 },
		{ 16, 3, 0, "9d", ONE | VM | IOPL, 0xffd5, ONE | VM | IOPL | (0xffd5 & ~BIT(15)) },
		{ 16, 3, CR4_VME, "9d", ONE | VM, IF | CF, ONE | VM | VIF | CF },
		{ 16, 3, CR4_VME, "9d", ONE | VM | VIF | IF, CF, ONE | VM | IF | CF },
		{ 16, 3, CR4_VME, "9d", ONE | VM | VIP, IF, 0 },
		{ 16, 3, CR4_VME, "9d", ONE | VM, TF, 0 },
		{ 16, 3, CR4_VME, "66 9d", ONE | VM, CF, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		uint64_t popped = rows[i].popped;

		enter_mode(rows[i].bits == 64 ? 64 : 32, rows[i].cpl);
		if (rows[i].bits == 16) {
			guest_mode.bits = 16;
			guest_segment[SEG_SS] = (struct segment){ .base = GUEST_DEVICE,
								  .limit = 0xffff,
								  .attr = SEG_P | SEG_S | 3 };
			guest_vcpu.gpr[GPR_RSP] = AT;
		}
		guest_mode.cr4 |= rows[i].cr4;
		guest_vcpu.rflags = rows[i].old;
		stack(8, &popped, 1);
		run(rows[i].code);
		if (!rows[i].want) {
			faulted(EXC_GP, 0);
			continue;
		}
		done();
		assert_int_equal(guest_vcpu.rflags, rows[i].want);
		assert_int_equal(guest_vcpu.gpr[GPR_RSP] - before.gpr[GPR_RSP],
				 rows[i].code[0] == '6' || rows[i].bits == 16 ? 2
				 : rows[i].bits == 64			      ? 8 : 4);
	}
	/* PUSHF there shows VIF for IF, and an IOPL of 3 */
	guest_vcpu.rflags = ONE | VM | VIF | CF;
	run_for("9c", GMEM_WRITE);
	done();
	assert_int_equal(word(-1, 2), ONE | IOPL | IF | CF);
	guest_mode.cr4 = 0;
	run_for("9c", GMEM_WRITE);
	faulted(EXC_GP, 0);
}

/* ---- returns */

static void far_returns(void **state)
{
	static const struct {
		unsigned bits, cpl;
		const char *code;
		uint64_t v[5];
		unsigned vector, error, released;
	} rows[] = {
		{ 32, 0, "cb", { 0x1234, K32 }, NONE, 0, 8 },
		{ 32, 0, "ca 10 00", { 0x1234, K32 }, NONE, 0, 24 },
		{ 64, 0, "48 cb", { 0x123456789000, K64 }, NONE, 0, 16 },
		{ 64, 0, "48 cb", { 1ul << 50, K64 }, EXC_GP, 0, 0 },
		{ 64, 0, "48 cb", { 1ul << 40, K32 }, EXC_GP, 0, 0 },
		{ 32, 0, "cb", { 0x1234, CONFORMING }, NONE, 0, 8 },
		{ 32, 0, "cb", { 0x1000, LIMITED }, EXC_GP, 0, 0 },
		{ 32, 0, "cb", { 0x1234, 3 }, EXC_GP, 0, 0 },
		{ 32, 0, "cb", { 0x1234, KDATA }, EXC_GP, KDATA, 0 },
		{ 32, 0, "cb", { 0x1234, ABSENT }, EXC_NP, ABSENT, 0 },
		{ 32, 0, "cb", { 0x1234, TABLE_END }, EXC_GP, TABLE_END, 0 },
		{ 32, 0, "cb", { 0x1234, K32 | 1 }, EXC_GP, K32, 0 },
		{ 32, 3, "cb", { 0x1234, K32 }, EXC_GP, K32, 0 },
		/* to less privilege: a stack that does not fit */
		{ 32, 0, "cb", { 0x1234, U32, 0x5678, 3 }, EXC_GP, 0, 0 },
		{ 64, 0, "48 cb", { 0x1234, U64, 0x5678, 3 }, EXC_GP, 0, 0 },
		{ 32, 0, "cb", { 0x1234, U32, 0x5678, KDATA }, EXC_GP, KDATA, 0 },
		{ 32, 0, "cb", { 0x1234, U32, 0x5678, KDATA | 3 }, EXC_GP, KDATA, 0 },
		{ 32, 0, "cb", { 0x1234, U32, 0x5678, U32 }, EXC_GP, U32 & ~3u, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		enter_mode(rows[i].bits, rows[i].cpl);
		stack(rows[i].bits / 8, rows[i].v, 5);
		run(rows[i].code);
		if (rows[i].vector != NONE) {
			faulted(rows[i].vector, rows[i].error);
			continue;
		}
		done();
		assert_int_equal(guest_vcpu.rip, rows[i].v[0]);
		assert_int_equal(guest_segment[SEG_CS].selector, rows[i].v[1]);
		assert_int_equal(guest_vcpu.gpr[GPR_RSP], before.gpr[GPR_RSP] + rows[i].released);
	}
	/* to less: both stacks lose the arguments, and the segments that are out of reach go */
	enter_mode(32, 0);
	guest_segment[SEG_DS] = flat(UDATA, 3);
	guest_segment[SEG_ES] = flat(CONFORMING, 14);
	stack(4, (uint64_t[]){ 0x1234, U32, 7, 8, 0x5678, UDATA }, 6);
	run("ca 08 00");
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], 0x5680);
	assert_int_equal(guest_segment[SEG_CS].selector, U32);
	assert_int_equal(guest_segment[SEG_SS].selector, UDATA);
	assert_int_equal(guest_segment[SEG_DS].selector, UDATA);
	assert_int_equal(guest_segment[SEG_ES].selector, CONFORMING);
	assert_int_equal(guest_segment[SEG_FS].selector, 0);
	assert_true(guest_segment[SEG_FS].attr & SEG_UNUSABLE);
	assert_true(guest_ram[GDT + (U32 & ~7u) + 5] & guest_ram[GDT + (UDATA & ~7u) + 5] & 1);
	/* real mode */
	guest_flat(16);
	guest_segment[SEG_SS].base = GUEST_DEVICE;
	guest_vcpu.gpr[GPR_RSP] = AT;
	stack(2, (uint64_t[]){ 0x1234, 0x5678 }, 2);
	run("cb");
	done();
	assert_int_equal(guest_vcpu.rip, 0x1234);
	assert_int_equal(guest_segment[SEG_CS].base, 0x56780);
}

static void iret_same(void **state)
{
	static const struct {
		unsigned bits, cpl;
		const char *code;
		uint64_t old, v[5], want;	/* flags; 0: the fault */
		unsigned vector, error;
	} rows[] = {
		{ 32, 0, "cf", ONE, { 0x1234, K32, EVERY & ~VM }, ONE | (EVERY & ~VM), 0, 0 },
		{ 32, 0, "66 cf", ONE | AC | VIF, { 0x1234 | K32 << 16, 0xffd7 & ~NT },
		  ONE | AC | VIF | (0x7fd7 & ~NT), 0, 0 },
		{ 32, 3, "cf", ONE | IF, { 0x1234, U32, RF | IOPL | VIP | CF }, ONE | IF | RF | CF, 0, 0 },
		{ 32, 0, "cf", ONE, { 0x1000, LIMITED, ONE }, 0, EXC_GP, 0 },
		{ 32, 0, "cf", ONE, { 0x1000, ABSENT, ONE }, 0, EXC_NP, ABSENT },
		{ 32, 3, "cf", ONE, { 0x1000, K32, ONE }, 0, EXC_GP, K32 },
		{ 64, 0, "48 cf", ONE, { 0x123456789000, K64, ONE | IF, 0x4444, KDATA }, ONE | IF, 0, 0 },
		{ 64, 0, "48 cf", ONE, { 0x123456789000, K64, ONE | IF, 0x4444, 0 }, ONE | IF, 0, 0 },
		{ 64, 0, "48 cf", ONE, { 1ul << 50, K64, ONE | IF, 0x4444, 0 }, 0, EXC_GP, 0 },
		{ 64, 0, "48 cf", ONE, { 0x1234, K64, ONE | IF, 0x4444, 3 }, 0, EXC_GP, 0 },
		{ 64, 0, "48 cf", ONE, { 0x1234, K64, ONE | IF, 0x4444, UDATA }, 0, EXC_GP, UDATA & ~3u },
		{ 64, 0, "48 cf", ONE, { 0x1234, K64, ONE, 0x4444, ABSENT_DATA }, 0, EXC_SS, ABSENT_DATA },
		{ 64, 0, "48 cf", ONE | NT, { 0x1234, K64, ONE, 0x4444, KDATA }, 0, EXC_GP, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		enter_mode(rows[i].bits, rows[i].cpl);
		guest_vcpu.rflags = rows[i].old;
		guest_vcpu.event.nmi_masked = true;
		stack(rows[i].bits / 8, rows[i].v, 5);
		run(rows[i].code);
		assert_false(guest_vcpu.event.nmi_masked);
		if (!rows[i].want) {
			faulted(rows[i].vector, rows[i].error);
			continue;
		}
		done();
		assert_int_equal(guest_vcpu.rflags, rows[i].want);
		assert_int_equal(guest_vcpu.rip, rows[i].v[0] & (i == 1 ? 0xffff : ~0ul));
		assert_int_equal(guest_vcpu.gpr[GPR_RSP],
				 rows[i].bits == 64	     ? 0x4444
				 : rows[i].code[0] == '6' ? before.gpr[GPR_RSP] + 6
							  : before.gpr[GPR_RSP] + 12);
	}
	enter_mode(32, 0);
	guest_vcpu.rflags = ONE | NT;
	run("cf");						/* a task is linked to none */
	faulted(EXC_TS, 0);
}

static void iret_elsewhere(void **state)
{
	(void)state;
	/* to less privilege, of 32 bits: the upper half of ESP stays where the stack has 16 */
	enter_mode(32, 0);
	put(GDT + (UDATA & ~7u), (DATA | DPL3) & ~BIT(54));
	guest_vcpu.rflags = ONE;
	stack(4, (uint64_t[]){ 0x1234, U32, ONE | IF | IOPL, 0x33335678, UDATA }, 5);
	run("cf");
	done();
	assert_int_equal(guest_vcpu.rflags, ONE | IF | IOPL);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], (GUEST_DEVICE & 0xffff0000) | 0x5678);
	assert_int_equal(guest_segment[SEG_SS].selector, UDATA);
	assert_int_equal(guest_segment[SEG_DS].selector, 0);
	/* from 64 bits to a user of 32 */
	enter_mode(64, 0);
	guest_segment[SEG_DS] = flat(UDATA, 3);
	stack(8, (uint64_t[]){ 0x1234, U32, ONE | IF, 0x333344445678, UDATA }, 5);
	run("48 cf");
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RSP] & 0xffffffff, 0x44445678);
	assert_true(guest_segment[SEG_CS].attr & SEG_DB);
	assert_int_equal(guest_segment[SEG_DS].selector, UDATA);
	/* to virtual-8086 mode; not by a user */
	enter_mode(32, 0);
	stack(4, (uint64_t[]){ 0x1234, 0x1000, ONE | VM | VIF | IOPL | NT, 0x4444, 0x2000, 0x3000,
			       0x4000, 0x5000, 0x6000 }, 9);
	run("cf");
	done();
	assert_int_equal(guest_vcpu.rflags, ONE | VM | VIF | IOPL | NT);
	assert_int_equal(guest_vcpu.rip, 0x1234);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], 0x4444);
	for (unsigned i = 0; i < 6; i++) {
		static const uint8_t order[] = { SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
		struct segment *s = &guest_segment[order[i]];

		assert_int_equal(s->base, 0x10000 * (i + 1));
		assert_int_equal(s->selector, 0x1000 * (i + 1));
		assert_int_equal(s->limit, 0xffff);
		assert_int_equal(s->attr, 0xf3);
	}
	enter_mode(32, 0);
	stack(4, (uint64_t[]){ 0x10000, 0x1000, ONE | VM }, 3);
	run("cf");
	faulted(EXC_GP, 0);
	/* real mode */
	guest_flat(16);
	guest_segment[SEG_SS].base = GUEST_DEVICE;
	guest_vcpu.gpr[GPR_RSP] = AT;
	stack(2, (uint64_t[]){ 0x1234, 0x5678, 0x7fd7 }, 3);
	run("cf");
	done();
	assert_int_equal(guest_vcpu.rflags, 0x7fd7);
	assert_int_equal(guest_segment[SEG_CS].base, 0x56780);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], AT + 6);
}

/* ---- more privilege */

static void gate(unsigned selector, unsigned access, unsigned values, uint64_t to)
{
	put(GDT + GATE, (to & 0xffff) | (uint64_t)selector << 16 | (uint64_t)values << 32 |
				(uint64_t)access << 40 | (to >> 16 & 0xffff) << 48);
	put(GDT + GATE + 8, to >> 32);
}

static void call_inner_32(void **state)
{
	static const struct {
		unsigned limit, selector, vector, error;
	} rows[] = {
		{ 8, KDATA, EXC_TS, 0x70 }, { 103, 0, EXC_TS, 0 }, { 103, 3, EXC_TS, 0 },
		{ 103, KDATA | 3, EXC_TS, KDATA }, { 103, UDATA, EXC_TS, UDATA & ~3u },
		{ 103, K32, EXC_TS, K32 }, { 103, TABLE_END, EXC_TS, TABLE_END },
		{ 103, ABSENT_DATA, EXC_SS, ABSENT_DATA },
	};
	uint32_t v[6];

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		enter_mode(32, 3);
		gate(K32, 0xec, 2, 0x12345678);
		put(TSS + 4, INNER | (uint64_t)rows[i].selector << 32);
		guest_segment[SEG_TR].limit = rows[i].limit;
		run("9a 00 00 00 00 50 00");
		faulted(rows[i].vector, rows[i].error);
	}
	enter_mode(32, 3);
	gate(K32, 0xec, 2, 0x12345678);
	put(TSS + 4, INNER | (uint64_t)KDATA << 32);
	stack(4, (uint64_t[]){ 0x1111, 0x2222, 0x3333 }, 3);
	run("9a 00 00 00 00 50 00");
	done();
	assert_int_equal(guest_vcpu.rip, 0x12345678);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], INNER - 24);
	assert_int_equal(guest_segment[SEG_CS].selector, K32);
	assert_int_equal(guest_segment[SEG_SS].selector, KDATA);
	memcpy(v, guest_ram + INNER - 24, sizeof(v));
	assert_memory_equal(v,
			    ((uint32_t[]){ 0x1007, U32, 0x1111, 0x2222, GUEST_DEVICE + AT, UDATA }),
			    sizeof(v));
	/* no room, and beyond the code's end: the old stack is there again */
	enter_mode(32, 3);
	gate(K32, 0xec, 2, 0x12345678);
	put(GDT + KDATA, 0x0040920000000fff);
	put(TSS + 4, INNER | (uint64_t)KDATA << 32);
	run("9a 00 00 00 00 50 00");
	faulted(EXC_SS, KDATA);
	enter_mode(32, 3);
	gate(LIMITED, 0xec, 2, 0x1000);
	put(TSS + 4, INNER | (uint64_t)KDATA << 32);
	run("9a 00 00 00 00 50 00");
	faulted(EXC_GP, 0);
	/* gates and TSSs of 16 bits */
	enter_mode(32, 3);
	gate(K32, 0xe4, 1, 0x12345678);
	guest_segment[SEG_TR].attr = SEG_P | 3;
	put(TSS + 2, INNER | (uint64_t)KDATA << 16);
	stack(2, (uint64_t[]){ 0x1111 }, 1);
	run("9a 00 00 00 00 50 00");
	done();
	assert_int_equal(guest_vcpu.rip, 0x5678);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], INNER - 10);
	memcpy(v, guest_ram + INNER - 10, 10);
	assert_memory_equal(v, ((uint16_t[]){ 0x1007, U32, 0x1111, AT, UDATA }), 10);
}

static void call_inner_64(void **state)
{
	const uint64_t to = 0x123456789000;
	uint64_t v[4];

	(void)state;
	enter_mode(64, 3);
	gate(K64, 0xec, 5, to);					/* values are none of its */
	put(TSS + 4, INNER);
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + AT;
	stack(4, (uint64_t[]){ 0, GATE | 3 }, 2);
	run("ff 1b");
	done();
	assert_int_equal(guest_vcpu.rip, to);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], INNER - 32);
	assert_int_equal(guest_segment[SEG_SS].selector, 0);
	assert_true(guest_segment[SEG_SS].attr & SEG_UNUSABLE);
	assert_int_equal(guest_segment[SEG_SS].attr & SEG_DPL, 0);
	memcpy(v, guest_ram + INNER - 32, sizeof(v));
	assert_memory_equal(v, ((uint64_t[]){ 0x1002, U64, GUEST_MMIO + AT, UDATA }), sizeof(v));
	enter_mode(64, 3);
	gate(K64, 0xec, 0, to);
	put(TSS + 4, 1ul << 50);
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + AT;
	stack(4, (uint64_t[]){ 0, GATE | 3 }, 2);
	run("ff 1b");
	faulted(EXC_SS, 0);
	put(TSS + 4, GUEST_MMIO + 0x10000);
	run("ff 1b");
	faulted(EXC_PF, 2);					/* a supervisor's write */
}

/* A table in the device is what the exit is about, though no operand is. */
static void tables_in_a_device(void **state)
{
	uint64_t data = DATA;

	(void)state;
	enter_mode(64, 0);
	guest_segment[SEG_GDTR].base = GUEST_MMIO + AT - KDATA;
	memcpy(guest_device + AT, &data, 8);
	guest_vcpu.gpr[GPR_RAX] = KDATA;
	put(0x8000, KDATA);
	guest_vcpu.gpr[GPR_RBX] = 0x8000;
	run("0f 02 0b");					/* lar (%rbx), %ecx */
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 0xcf9200);
	run("0f 03 c8");					/* lsl %eax, %ecx */
	done();
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 0xffffffff);
	run("0f 00 23");					/* verr (%rbx) */
	done();
	assert_true(guest_vcpu.rflags & RFLAGS_ZF);
	data = 0x0000820070000fff;
	memcpy(guest_device + AT, &data, 8);
	run("0f 00 d0");					/* lldt %ax */
	done();
	assert_int_equal(guest_segment[SEG_LDTR].selector, KDATA);
	assert_int_equal(guest_segment[SEG_LDTR].limit, 0xfff);
	data = 0x0000890070000fff;
	memcpy(guest_device + AT, &data, 8);
	run("0f 00 1b");					/* ltr (%rbx) */
	done();
	assert_int_equal(guest_device[AT + 5], 0x8b);
	/* the device has nothing to do with it: the guest runs again */
	guest_segment[SEG_GDTR].base = GDT;
	run("0f 02 0b");
	assert_int_equal(guest_log.nexts + guest_log.events + guest_log.crashes, 0);
	assert_int_equal(guest_log.flushes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pusha_popa), cmocka_unit_test(enter_faults),
		cmocka_unit_test(flags_on_stack), cmocka_unit_test(far_returns),
		cmocka_unit_test(iret_same), cmocka_unit_test(iret_elsewhere),
		cmocka_unit_test(call_inner_32), cmocka_unit_test(call_inner_64),
		cmocka_unit_test(tables_in_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
