/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c vmm/regs.c lib/format.c tests/host/guest.c tests/host/native.c
 * tests/host/heap.c tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * Moves of chosen elements by the emulator and by the processor that the test runs on: GATHER with
 * all its sizes, VMASKMOV and MASKMOVDQU, in a device, in RAM behind it and where nothing is. Where
 * they fault, what they have done until then must be the same.
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

#include "cpu/registers.h"
#include "vmm/exit.h"

#define AREA	(GUEST_DEVICE_SIZE + 4096)
#define CASES	2000			/* of each */

static const struct form {
	const char *name;
	uint8_t map, opcode;
	bool gather, mod3;
	bool mmx, legacy;
} forms[] = {
	{ "gather d", 2, 0x90, true, false, false, false },
	{ "gather q", 2, 0x91, true, false, false, false },
	{ "gather ps/pd", 2, 0x92, true, false, false, false },
	{ "gather qps/qpd", 2, 0x93, true, false, false, false },
	{ "vmaskmovps, load", 2, 0x2c, false, false, false, false },
	{ "vmaskmovpd, store", 2, 0x2f, false, false, false, false },
	{ "vpmaskmov, load", 2, 0x8c, false, false, false, false },
	{ "vpmaskmov, store", 2, 0x8e, false, false, false, false },
	{ "vmaskmovdqu", 1, 0xf7, false, true, false, false },
	{ "maskmovdqu", 1, 0xf7, false, true, false, true },
	{ "maskmovq", 1, 0xf7, false, true, true, true },
};

static struct {
	const struct form *form;
	uint8_t code[16];
	unsigned n;
	uint64_t seed;
	struct native before, native;
	int vector;
} now;

static uint64_t seed = 0x20260211;
static uint8_t *page, *const area = (uint8_t *)GUEST_MMIO;
static unsigned cases, faults, undefined, met;

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

static void put(unsigned b)
{
	now.code[now.n++] = (uint8_t)b;
}

/* Vector `r` holds small numbers then, that lead from the area's middle to its end and beyond. */
static void make_index(unsigned r, unsigned size, unsigned shift)
{
	for (unsigned n = 0; n < 32; n += size) {
		int64_t far = below(40) ? (int64_t)below(7000) - 3000 : 9000, v = far >> shift;

		memcpy(now.before.fpu + (n < 16 ? 160 : 576 - 16) + 16 * r + n, &v, size);
	}
}

static void make_state(void)
{
	memset(&now.before, 0, sizeof(now.before));
	for (unsigned i = 0; i < GPR_COUNT; i++)
		now.before.gpr[i] = next();
	now.before.flags = 0x202;
	now.before.extended = 1;
	for (unsigned at = 160; at < 832; at = at == 408 ? 576 : at + 8) {
		uint64_t v = next();

		memcpy(now.before.fpu + at, &v, 8);
	}
	for (unsigned at = 32; at < 160; at += 16) {		/* MMX */
		uint64_t v[2] = { next(), 0xffff };

		memcpy(now.before.fpu + at, v, 10);
	}
	now.before.fpu[0] = 0x7f, now.before.fpu[1] = 3, now.before.fpu[4] = 0xff;
	now.before.fpu[24] = 0x80, now.before.fpu[25] = 0x1f;
	now.before.fpu[512] = 7;
}

static void put_vex(unsigned r, unsigned x, unsigned b, unsigned vvvv)
{
	unsigned w = now.form->map == 2 && now.form->opcode < 0x80 ? 0 : (unsigned)below(2),
		 wide = now.form->mod3 ? 0 : (unsigned)below(2);

	put(0xc4);
	put(((r & 8) << 4 | (x & 8) << 3 | (b & 8) << 2) ^ (0xe0 | now.form->map));
	put(w << 7 | (~vvvv & 15) << 3 | wide << 2 | 1);
	put(now.form->opcode);
}

static void make(void)
{
	unsigned reg = (unsigned)below(16), mask = (unsigned)below(16), index = (unsigned)below(16),
		 shift = (unsigned)below(4), size = now.form->opcode & 1 ? 8 : 4;
	uint64_t at = GUEST_MMIO + (below(4) ? 4096 + below(3000) : AREA - below(40));

	now.seed = seed;
	now.n = 0;
	make_state();
	if (now.form->gather) {
		make_index(index, size, shift);
		now.before.gpr[GPR_RBX] = GUEST_MMIO + 6000 - 8;
		put_vex(reg, index, 0, mask);
		put(0x44 | (reg & 7) << 3);
		put(shift << 6 | (index & 7) << 3 | GPR_RBX);
		put(8);
	} else if (!now.form->mod3) {
		now.before.gpr[GPR_RBX] = at;
		put_vex(reg, 0, 0, mask);
		put((reg & 7) << 3 | GPR_RBX);
	} else {
		/* which bytes that are not chosen matter is the processor's to say */
		now.before.gpr[GPR_RDI] = GUEST_MMIO + 4080 + below(64);
		if (now.form->legacy) {
			reg &= now.form->mmx ? 7 : 15, mask &= now.form->mmx ? 7 : 15;
			if (!now.form->mmx)
				put(0x66);
			put(0x40 | (reg & 8) >> 1 | (mask & 8) >> 3);
			put(0x0f);
			put(0xf7);
		} else {
			put_vex(reg, 0, mask, 0);
		}
		put(0xc0 | (reg & 7) << 3 | (mask & 7));
	}
	for (unsigned i = 0; i < AREA; i += 8) {
		uint64_t v = next();

		memcpy(area + i, &v, 8);
	}
	memcpy(guest_device, area, GUEST_DEVICE_SIZE);
	memcpy(guest_ram + 0x300000, area + GUEST_DEVICE_SIZE, 4096);
	now.native = now.before;
}

static void fail_with(const char *what)
{
	char hex[64] = "";

	for (unsigned i = 0; i < now.n; i++)
		sprintf(hex + 3 * i, "%02x ", now.code[i]);
	fail_msg("%s: %s: %s(seed 0x%lx, vector %d, %u event %d, crash: %s)", now.form->name, what,
		 hex, now.seed, now.vector, guest_log.events, guest_log.event.vector,
		 guest_log.crash);
}

/* The exit's page may be one that it does not touch: then it is done as one for a page table. */
static void emulate(void)
{
	for (unsigned tables = 0; tables < 2; tables++) {
		guest_code(now.code, now.n);
		memcpy(guest_vcpu.gpr, now.before.gpr, sizeof(guest_vcpu.gpr));
		guest_vcpu.rflags = now.before.flags;
		memcpy(guest_fpu, now.before.fpu, sizeof(guest_fpu));
		guest_log = (struct guest_log){ 0 };
		emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 4096),
			     GMEM_READ | (tables ? EXIT_TABLES : 0));
		if (guest_log.nexts + guest_log.events + guest_log.crashes) {
			met += !tables;
			return;
		}
	}
}

/* Of a mask that a fault leaves, the signs of elements are what counts. */
static void keep_signs(uint8_t *fpu)
{
	unsigned mask = ~(unsigned)now.code[2] >> 3 & 15, size = now.code[2] & 0x80 ? 8 : 4;

	for (unsigned n = 0; n < 32; n += size) {
		uint8_t *p = fpu + (n < 16 ? 160 : 576 - 16) + 16 * mask + n;

		memset(p, p[size - 1] & 0x80 ? 0xff : 0, size);
	}
}

static void compare(void)
{
	if (now.form->gather && now.vector >= 0) {
		keep_signs(guest_fpu);
		keep_signs(now.native.fpu);
	}
	if (guest_log.crashes || guest_log.nexts != (now.vector < 0) ||
	    guest_log.events != (now.vector >= 0) ||
	    (now.vector >= 0 && guest_log.event.vector != now.vector))
		fail_with("ended otherwise");
	if (memcmp(guest_fpu + 160, now.native.fpu + 160, 256))
		fail_with("a vector");
	if (memcmp(guest_fpu + 576, now.native.fpu + 576, 256))
		fail_with("a vector's upper half");
	for (unsigned i = 0; now.form->mmx && i < 8; i++)
		if (memcmp(guest_fpu + 32 + 16 * i, now.native.fpu + 32 + 16 * i, 10))
			fail_with("a register of MMX");
	if (memcmp(guest_vcpu.gpr, now.native.gpr, sizeof(guest_vcpu.gpr)))
		fail_with("a register");
	if (memcmp(guest_device, area, GUEST_DEVICE_SIZE) ||
	    memcmp(guest_ram + 0x300000, area + GUEST_DEVICE_SIZE, 4096))
		fail_with("memory");
}

static void like_the_processor(void **state)
{
	(void)state;
	if (!__builtin_cpu_supports("avx2")) {
		print_message("no AVX2 here\n");
		skip();
	}
	for (unsigned i = 0; i < ARRAY_COUNT(forms); i++) {
		now.form = &forms[i];
		for (unsigned n = 0; n < CASES; n++) {
			make();
			native_put(page, now.code, now.n);
			now.vector = native_try(&now.native, page);
			emulate();
			compare();
			cases++;
			faults += now.vector == EXC_PF;
			undefined += now.vector == EXC_UD;
		}
	}
	print_message("%u cases, %u #PF, %u #UD, %u of the exit's page\n", cases, faults, undefined,
		      met);
	assert_true(faults > 500 && undefined > 500 && met > cases / 3);
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
		cmocka_unit_test_setup(like_the_processor, setup),
	};

	page = native_page();
	if (mmap(area, AREA, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != area)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
