/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c vmm/regs.c lib/format.c tests/host/guest.c tests/host/native.c
 * tests/host/heap.c tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * Every opcode of the maps where x87, MMX, SSE and AVX are, in each of their encodings, by the
 * emulator and by the processor that the test runs on, with random operands, states, masks of
 * exceptions and places: in a device, across its pages, across a device and RAM. What is left must
 * be the same, and a fault the same fault; what the processor has and the emulator has not must
 * stand in the list below.
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

#include "cpu/fpu_run.h"
#include "cpu/registers.h"
#include "vmm/exit.h"

#define AREA		(GUEST_DEVICE_SIZE + 4096)
#define CASES		64		/* of each opcode, prefix and encoding */
#define ARITHMETIC	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

enum { LEGACY, VEX_128, VEX_256, ENCODINGS };

static struct {
	unsigned map, prefix, opcode, encoding;
	int group;			/* -1: any register */
	uint8_t code[16];
	unsigned n;
	uint64_t at, seed;
	struct native before, native;
	int vector;
} now;

static uint64_t seed = 0x20260131;
static uint8_t *page, *const area = (uint8_t *)GUEST_MMIO;
static uint32_t mxcsr_mask;		/* the processor's */
static unsigned cases, faults[32], missing;

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

/* Numbers of either size, small integers, infinities, denormal ones, and anything. */
static uint64_t value(void)
{
	static const uint64_t special[] = {
		0, 0x3f8000003f800000, 0x3ff0000000000000, 0x7ff0000000000000, 0x7f8000007f800000,
		0x7ff8000000000000, 0x7ff4000000000000, 0x0000000000000001, 0x0000000100000001,
		0x8000000000000000, 0x7fefffffffffffff, 0x7f7fffff7f7fffff, 0x4340000000000000,
		0xc00921fb54442d18, 0x0010000000000000, 0x0080000000800000, 0x43e0000000000000,
	};
	uint64_t v = next();

	switch (below(5)) {
	case 0: return special[v % ARRAY_COUNT(special)];
	case 1: return v & 0xffff;
	case 2: return (v & 0x800fffffffffffff) | (0x3f0 + (v >> 52) % 32) << 52;
	case 3: return (v & 0x807fffff807fffff) | 0x3f0000003f000000;
	default: return v;
	}
}

static void put(unsigned b)
{
	now.code[now.n++] = (uint8_t)b;
}

static void put_opcode(unsigned reg)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
	unsigned w = (unsigned)below(2), vvvv = below(4) ? (unsigned)below(16) : 0;

	if (now.map && now.encoding) {
		put(0xc4);
		put((reg & 8 ? 0x60 : 0xe0) | now.map);
		put(w << 7 | (~vvvv & 15) << 3 | (now.encoding == VEX_256) << 2 | now.prefix);
	} else {
		if (prefixes[now.prefix])
			put(prefixes[now.prefix]);
		if (w || reg & 8 || !below(4))
			put(0x40 | w << 3 | (reg & 8) >> 1);
		if (now.map)
			put(0x0f);
		if (now.map > 1)
			put(now.map == 2 ? 0x38 : 0x3a);
	}
	put(now.opcode);
}

static bool has_immediate(void)
{
	unsigned op = now.opcode;

	return now.map == 3 ||
	       (now.map == 1 && ((op & 0xfc) == 0x70 || op == 0xc2 || (op & 0xfd) == 0xc4));
}

static void place(void)
{
	switch (below(8)) {
	case 0: now.at = GUEST_MMIO + 4095 - below(32); break;	/* across the device's pages */
	case 1: now.at = GUEST_MMIO + 8191 - below(32); break;	/* device and RAM */
	default: now.at = GUEST_MMIO + 256 + below(3000); break;
	}
	if (below(8))
		now.at &= ~31ul;
}

static void fill(void)
{
	uint64_t v;

	for (uint64_t a = now.at - 64; a < now.at + 192 && a < GUEST_MMIO + AREA; a += 8) {
		v = value();
		memcpy((void *)a, &v, MIN(8ul, GUEST_MMIO + AREA - a));
	}
	memcpy(guest_device, area, GUEST_DEVICE_SIZE);
	memcpy(guest_ram + 0x300000, area + GUEST_DEVICE_SIZE, 4096);
}

/* Registers of x87 are numbers mostly, exceptions masked mostly; sometimes one waits. */
static void make_state(uint8_t *fpu)
{
	struct fpu_legacy *l = (struct fpu_legacy *)fpu;
	uint64_t v;

	memset(fpu, 0, sizeof(now.before.fpu));
	l->fcw = (uint16_t)(0x340 | (below(2) ? 0x3f : below(64)) | below(4) << 10);
	l->fsw = (uint16_t)(below(8) << 11);
	l->ftw = (uint16_t)(below(3) ? next() & 0xff : below(2) ? 0xff : 0);
	if (!below(16))
		l->fsw |= (uint16_t)below(64);
	if (l->fsw & ~l->fcw & 0x3f)
		l->fsw |= 0x8080;
	l->mxcsr = (uint32_t)((below(2) ? 0x1f80 : below(64) << 7) | below(4) << 13);
	if (!below(4))
		l->mxcsr |= (uint32_t)below(64);
	if (!below(8))
		l->mxcsr |= 0x28040 & mxcsr_mask;
	for (unsigned i = 0; i < 8; i++) {
		v = below(2) ? next() | BIT(63) : BIT(63) | value();
		memcpy(fpu + 32 + 16 * i, &v, 8);
		v = below(4) ? 0x3ff0 + below(64) : below(2) ? next() & 0xffff : 0x7fff;
		memcpy(fpu + 40 + 16 * i, &v, 2);
	}
	for (unsigned at = 160; at < 832; at = at == 408 ? 576 : at + 8) {
		v = value();
		memcpy(fpu + at, &v, 8);
	}
	l->mxcsr_mask = mxcsr_mask;
	fpu[512] = 7;
}

static void make(void)
{
	unsigned reg = now.group >= 0 ? (unsigned)now.group : (unsigned)below(16);
	enum gpr base = below(2) ? GPR_RBX : GPR_R9;
	int8_t disp = (int8_t)next();

	now.seed = seed;
	now.n = 0;
	memset(&now.before, 0, sizeof(now.before));
	for (unsigned i = 0; i < GPR_COUNT; i++)
		now.before.gpr[i] = below(2) ? next() : below(20) - 3;
	now.before.flags = 0x202 | (next() & ARITHMETIC);
	place();
	fill();
	now.before.gpr[base] = now.at - (uint64_t)disp;
	put_opcode(reg);
	/* The base's fourth bit stands in what put_opcode() has written. */
	if (base == GPR_R9) {
		if (now.map && now.encoding)
			now.code[1] &= 0xdf;
		else if (now.n >= 2 && (now.code[now.prefix != 0] & 0xf0) == 0x40)
			now.code[now.prefix != 0] |= 1;
		else
			now.before.gpr[GPR_RCX] = now.before.gpr[base];
	}
	put(0x40 | (reg & 7) << 3 | (base == GPR_R9 ? 1 : 3));
	put((uint8_t)disp);
	if (has_immediate())
		put((unsigned)next() & 0xff);
	make_state(now.before.fpu);
	now.before.extended = 1;
	now.native = now.before;
}

static void fail_with(const char *what)
{
	char hex[64] = "";

	for (unsigned i = 0; i < now.n; i++)
		sprintf(hex + 3 * i, "%02x ", now.code[i]);
	fail_msg("%s: %s(seed 0x%lx, at %lx, vector %d, %u event %d, crash: %s)", what, hex,
		 now.seed, now.at, now.vector, guest_log.events, guest_log.event.vector,
		 guest_log.crash);
}

static void emulate(void)
{
	memset(guest_ram + 0x1000, 0xcc, 32);
	guest_code(now.code, now.n);
	memcpy(guest_vcpu.gpr, now.before.gpr, sizeof(guest_vcpu.gpr));
	guest_vcpu.rflags = now.before.flags;
	memcpy(guest_fpu, now.before.fpu, sizeof(guest_fpu));
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA((now.at & PAGE_MASK) - GUEST_MMIO + GUEST_DEVICE), GMEM_READ);
}

/* x87's pointers are the code's own. */
static void compare_states(void)
{
	struct fpu_legacy *e = (struct fpu_legacy *)guest_fpu,
			  *n = (struct fpu_legacy *)now.native.fpu;

	if (n->fip == (uintptr_t)page)
		n->fip = 0x1000;
	if (memcmp(e, n, sizeof(*e)))
		fail_with("x87's control or MXCSR");
	for (unsigned i = 0; i < 8; i++)
		if (memcmp(guest_fpu + 32 + 16 * i, now.native.fpu + 32 + 16 * i, 10))
			fail_with("a register of x87");
	if (memcmp(guest_fpu + 160, now.native.fpu + 160, 256) ||
	    memcmp(guest_fpu + 576, now.native.fpu + 576, 256))
		fail_with("a vector");
}

static void compare(void)
{
	for (unsigned i = 0; i < GPR_COUNT; i++)
		if (guest_vcpu.gpr[i] != now.native.gpr[i])
			fail_with(regs_gpr_name(i));
	if ((guest_vcpu.rflags ^ now.native.flags) & ARITHMETIC)
		fail_with("flags");
	compare_states();
	if (memcmp(guest_device, area, GUEST_DEVICE_SIZE) ||
	    memcmp(guest_ram + 0x300000, area + GUEST_DEVICE_SIZE, 4096))
		fail_with("memory");
}

/* False: the processor has it, and the emulator has not. */
static bool case_agrees(void)
{
	make();
	native_put(page, now.code, now.n);
	now.vector = native_try(&now.native, page);
	emulate();
	cases++;
	if (now.vector >= 0)
		faults[now.vector & 31]++;
	if (now.vector == EXC_UD) {
		if (guest_log.nexts)
			fail_with("no #UD");
		return true;
	}
	if (guest_log.crashes)
		return false;
	if (now.vector < 0 &&
	    (guest_log.nexts != 1 || guest_log.length != now.n || guest_log.events))
		fail_with("did not end as it should");
	if (now.vector >= 0 && (guest_log.nexts || guest_log.events != 1 ||
				guest_log.event.vector != now.vector))
		fail_with("another fault");
	compare();
	return true;
}

/* What the emulator may lack. */
static bool is_refused(void)
{
	unsigned op = now.opcode;

	/* AMD's EXTRQ and INSERTQ have none; opmasks */
	return now.map == 1 && now.encoding && (op & 0xf0) == 0x90;
}

/* Where all of the first ones are #UD, there is none. */
static void one_form(void)
{
	unsigned before = faults[EXC_UD];

	for (unsigned n = 0; n < CASES && (n < 16 || faults[EXC_UD] < before + n); n++) {
		if (case_agrees())
			continue;
		missing++;
		if (!is_refused())
			fail_with("the emulator lacks it");
	}
}

static void sweep(unsigned map, unsigned first, unsigned last)
{
	now.map = map;
	for (now.opcode = first; now.opcode <= last; now.opcode++)
		for (now.prefix = 0; now.prefix < 4; now.prefix++)
			for (now.encoding = 0; now.encoding < ENCODINGS; now.encoding++)
				one_form();
}

static void the_maps(void **state)
{
	(void)state;
	now.group = -1;
	sweep(1, 0x10, 0x17);
	sweep(1, 0x28, 0x2f);
	sweep(1, 0x50, 0x76);		/* EMMS has no ModRM */
	sweep(1, 0x78, 0x7f);
	sweep(1, 0xc2, 0xc2);
	sweep(1, 0xc4, 0xc6);
	sweep(1, 0xd0, 0xfe);
	sweep(2, 0x00, 0x7f);
	sweep(2, 0x84, 0xef);		/* not INVEPT and its like */
	sweep(3, 0x00, 0xef);
	print_message("%u cases, %u #UD, %u #XM, %u #MF, %u #GP, %u not emulated\n", cases,
		      faults[EXC_UD], faults[EXC_XM], faults[EXC_MF], faults[EXC_GP], missing);
	assert_true(faults[EXC_XM] > 1000 && faults[EXC_MF] > 50 && faults[EXC_GP] > 500);
}

static void x87(void **state)
{
	(void)state;
	now.map = now.encoding = 0;
	for (now.opcode = 0xd8; now.opcode <= 0xdf; now.opcode++)
		for (now.group = 0; now.group < 8; now.group++)
			for (unsigned n = 0; n < 16 * CASES; n++) {
				now.prefix = n & 1;
				if (!case_agrees())
					fail_with("the emulator lacks it");
			}
}

static void mxcsr(void **state)
{
	(void)state;
	now.map = 1;
	now.opcode = 0xae;
	now.prefix = 0;
	for (now.group = 2; now.group < 4; now.group++)
		for (now.encoding = LEGACY; now.encoding <= VEX_128; now.encoding++)
			for (unsigned n = 0; n < 4 * CASES; n++)
				if (!case_agrees())
					fail_with("the emulator lacks it");
}

static int setup(void **state)
{
	(void)state;
	guest_reset();
	guest_mode.cr4 |= CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT;
	guest_reg[REG_XCR0] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_maps, setup),
		cmocka_unit_test_setup(x87, setup),
		cmocka_unit_test_setup(mxcsr, setup),
	};

	__asm__("fxsave64 (%0)" :: "r"(now.native.fpu) : "memory");
	mxcsr_mask = ((struct fpu_legacy *)now.native.fpu)->mxcsr_mask;
	page = native_page();
	if (mmap(area, AREA, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != area)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
