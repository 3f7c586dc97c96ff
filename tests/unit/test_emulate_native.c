/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c vmm/regs.c lib/format.c tests/host/guest.c tests/host/native.c
 * tests/host/heap.c tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * The emulator against the processor that the test runs on: each instruction is executed natively
 * on a buffer and by the emulator on a device with the same contents; registers, flags and memory
 * must agree.
 */
#include "tests/host/guest.h"
#include "tests/host/native.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/registers.h"
#include "vmm/exit.h"

#define FLAGS	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define MIDDLE	2048			/* where in the device the operand is */

static uint8_t *page, native_memory[GUEST_DEVICE_SIZE] aligned(16),
	native_before[GUEST_DEVICE_SIZE];
static enum gpr base = GPR_RBX;
static uint64_t seed = 0x1234567;

static uint64_t random64(void)
{
	static const uint64_t special[] = { 0,	    1,		0x7f,	    0x80, 0xff,	    0x7fff,
					    0x8000, 0x7fffffff, 0x80000000, ~0ul, 1ul << 63 };

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % 5 ? seed : special[(seed >> 8) % ARRAY_COUNT(special)];
}

static int setup(void **state)
{
	(void)state;
	guest_reset();
	return 0;
}

static void fail_with(const char *what, const uint8_t *code, size_t n)
{
	char hex[64] = "";

	for (size_t i = 0; i < n; i++)
		sprintf(hex + 3 * i, "%02x ", code[i]);
	fail_msg("%s: %s (crash: %s)", what, hex, guest_log.crash);
}

/*
 * The exit may have been for reading, even of what then writes; one for a write is refused by what
 * only reads.
 */
static void emulate(unsigned offset)
{
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + offset),
		     random64() & 1 ? GMEM_WRITE : GMEM_READ);
	if (guest_log.flushes != 1)
		return;
	assert_int_equal(guest_log.nexts + guest_log.events + guest_log.crashes, 0);
	assert_memory_equal(guest_device, native_before, sizeof(guest_device));
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + offset), GMEM_READ);
}

/*
 * One instruction, its memory operand at (%rbx). `ignore`: flags that are undefined. `offset`: RBX
 * in the device.
 */
static void compare(const uint8_t *code, size_t n, uint64_t ignore, unsigned offset,
		    const uint64_t *fixed)
{
	struct native nat = { 0 };

	native_put(page, code, n);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		nat.gpr[i] = random64();
	if (fixed)
		nat.gpr[fixed[0]] = fixed[1];
	nat.flags = 0x202 | (random64() & FLAGS);
	for (unsigned i = offset - 64; i < offset + 128; i++)
		native_memory[i] = (uint8_t)random64();
	if (random64() & 1)		/* so that comparisons find equality */
		memcpy(native_memory + offset, &nat.gpr[GPR_RAX], 8);
	if (random64() & 1)
		memcpy(native_memory + offset + 8, &nat.gpr[GPR_RDX], 8);
	if (base == GPR_RSI && (random64() & 1)) {
		memcpy(native_memory + offset, &nat.gpr[GPR_RAX], 4);
		memcpy(native_memory + offset + 4, &nat.gpr[GPR_RDX], 4);
	}
	memcpy(native_before, native_memory, sizeof(guest_device));
	memcpy(guest_device, native_memory, sizeof(guest_device));
	memcpy(guest_vcpu.gpr, nat.gpr, sizeof(nat.gpr));
	guest_vcpu.gpr[base] = GUEST_MMIO + offset;
	guest_vcpu.rflags = nat.flags;
	nat.gpr[base] = (uintptr_t)native_memory + offset;
	native_run(&nat, page);

	guest_code(code, n);
	emulate(offset);
	if (guest_log.nexts != 1 || guest_log.length != n || guest_log.events || guest_log.crashes)
		fail_with("did not end as it should", code, n);
	if (memcmp(guest_device, native_memory, sizeof(native_memory)))
		fail_with("memory differs", code, n);
	guest_vcpu.gpr[base] += (uintptr_t)native_memory - GUEST_MMIO;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		if (i != GPR_RSP && guest_vcpu.gpr[i] != nat.gpr[i])
			fail_with("a register differs", code, n);
	if ((guest_vcpu.rflags ^ nat.flags) & FLAGS & ~ignore)
		fail_with("flags differ", code, n);
}

/* All operand sizes and registers of one opcode of the kind `op /r (%rbx)`; `imm` 1: a byte, 4: a
 * word. */
static void sweep(const char *opcode, size_t opcode_size, unsigned imm, uint64_t ignore, bool group,
		  unsigned g, unsigned offset)
{
	uint8_t code[16];

	for (unsigned variant = 0; variant < 64; variant++) {
		unsigned reg = group ? g : variant & 15, rex = 0, n = 0, size = 4;
		bool high_byte;

		if (variant & 16) {
			code[n++] = 0x66;
			size = 2;
		}
		if (!group)
			rex = reg > 7 ? 0x44 : 0;
		if (variant & 32) {
			rex |= 0x48;
			size = 8;
		}
		if (rex)
			code[n++] = (uint8_t)rex;
		/* RSP is not compared, and RBX (BH) differs by nature. Without REX number 4 is AH.
		 */
		high_byte = !rex && opcode_size == 1 && !(opcode[0] & 1);
		if (!group && (reg == GPR_RBX || (reg == GPR_RSP && !high_byte) ||
			       (reg == 7 && !rex && !(opcode[opcode_size - 1] & 1))))
			continue;
		memcpy(code + n, opcode, opcode_size);
		n += opcode_size;
		code[n++] = (uint8_t)((reg & 7) << 3 | 3);
		for (unsigned i = 0; i < (imm == 4 ? MIN(size, 4u) : imm); i++)
			code[n++] = (uint8_t)random64();
		for (unsigned i = 0; i < 12; i++)
			compare(code, n, ignore, offset, NULL);
	}
}

static void everything_at(unsigned offset)
{
	char op[3] = { 0 };

	for (unsigned alu = 0; alu < 8; alu++) {
		uint64_t ignore = alu == 1 || alu == 4 || alu == 6 ? RFLAGS_AF : 0;

		for (unsigned form = 0; form < 4; form++) {
			op[0] = (char)(alu << 3 | form);
			sweep(op, 1, 0, ignore, false, 0, offset);
		}
		sweep("\x80", 1, 1, ignore, true, alu, offset);
		sweep("\x81", 1, 4, ignore, true, alu, offset);
		sweep("\x83", 1, 1, ignore, true, alu, offset);
	}
	for (op[0] = (char)0x84; op[0] <= (char)0x85; op[0]++)
		sweep(op, 1, 0, RFLAGS_AF, false, 0, offset);
	for (op[0] = (char)0x86; op[0] <= (char)0x8b; op[0]++)
		sweep(op, 1, 0, 0, false, 0, offset);
	sweep("\x63", 1, 0, 0, false, 0, offset);
	sweep("\xc6", 1, 1, 0, true, 0, offset);
	sweep("\xc7", 1, 4, 0, true, 0, offset);
	for (unsigned wide = 0; wide < 2; wide++) {
		op[0] = (char)(0xf6 + wide);
		sweep(op, 1, wide ? 4 : 1, RFLAGS_AF, true, 0, offset);
		sweep(op, 1, 0, 0, true, 2, offset);
		sweep(op, 1, 0, 0, true, 3, offset);
		op[0] = (char)(0xfe + wide);
		sweep(op, 1, 0, 0, true, 0, offset);
		sweep(op, 1, 0, 0, true, 1, offset);
	}
	for (unsigned g = 0; g < 8; g++) {
		uint64_t loose = g < 4 ? 0 : RFLAGS_AF;	/* OF is one bit's alone */

		for (unsigned wide = 0; wide < 2; wide++) {
			op[0] = (char)(0xd0 + wide);
			sweep(op, 1, 0, loose, true, g, offset);
			op[0] = (char)(0xd2 + wide);
			sweep(op, 1, 0, loose | RFLAGS_OF, true, g, offset);
			op[0] = (char)(0xc0 + wide);
			sweep(op, 1, 1, loose | RFLAGS_OF, true, g, offset);
		}
	}
	op[0] = 0x0f;
	for (unsigned cc = 0; cc < 16; cc++) {
		op[1] = (char)(0x90 + cc);
		sweep(op, 2, 0, 0, true, 0, offset);
		op[1] = (char)(0x40 + cc);
		sweep(op, 2, 0, 0, false, 0, offset);
	}
	for (unsigned i = 0; i < 8; i++) {
		static const uint8_t plain[] = { 0xb0, 0xb1, 0xb6, 0xb7, 0xbe, 0xbf, 0xc0, 0xc1 };

		op[1] = (char)plain[i];
		sweep(op, 2, 0, 0, false, 0, offset);
	}
	for (unsigned g = 4; g < 8; g++)
		sweep("\x0f\xba", 2, 1, FLAGS & ~(RFLAGS_CF | RFLAGS_ZF), true, g, offset);
}

static void like_the_processor(void **state)
{
	(void)state;
	everything_at(MIDDLE);
}

/* Two pages of the device: two walks, split accesses. */
static void across_pages(void **state)
{
	(void)state;
	everything_at(4096 - 1);
	assert_true(guest_log.reads + guest_log.writes >= 2);
}

static void special_ones(void **state)
{
	static const uint8_t cmpxchg8b[] = { 0xf0, 0x0f, 0xc7, 0x0e },
			     cmpxchg16b[] = { 0x48, 0x0f, 0xc7, 0x0e };
	static const uint8_t movnti[] = { 0x0f, 0xc3, 0x0b },
			     movnti64[] = { 0x48, 0x0f, 0xc3, 0x0b };
	static const uint8_t movbe[][5] = { { 0x0f, 0x38, 0xf0, 0x0b },
					    { 0x48, 0x0f, 0x38, 0xf1, 0x0b } };
	static const uint8_t lock_add[] = { 0xf0, 0x01, 0x0b }, mov_disp[] = { 0x89, 0x4b, 0x10 };

	unsigned a = 1, b, leaf1, d;
	bool has_movbe;

	(void)state;
	__asm__("cpuid" : "+a"(a), "=b"(b), "=c"(leaf1), "=d"(d));
	has_movbe = leaf1 & 1u << 22;
	for (unsigned i = 0; i < 100; i++) {
		base = GPR_RSI;
		compare(cmpxchg8b, sizeof(cmpxchg8b), 0, MIDDLE, NULL);
		compare(cmpxchg16b, sizeof(cmpxchg16b), 0, MIDDLE, NULL);
		base = GPR_RBX;
		compare(movnti, sizeof(movnti), 0, MIDDLE, NULL);
		compare(movnti64, sizeof(movnti64), 0, MIDDLE, NULL);
		compare(lock_add, sizeof(lock_add), 0, MIDDLE, NULL);
		compare(mov_disp, sizeof(mov_disp), 0, MIDDLE, NULL);
		if (has_movbe) {
			compare(movbe[0], 4, 0, MIDDLE, NULL);
			compare(movbe[1], 5, 0, MIDDLE, NULL);
		}
	}
}

/* BT and its like by register, whose offset reaches bytes before and after. */
static void bits_far_away(void **state)
{
	(void)state;
	for (unsigned op = 0xa3; op <= 0xbb; op += 8) {
		for (unsigned variant = 0; variant < 3; variant++) {
			uint8_t code[5];
			unsigned n = 0;

			if (variant)
				code[n++] = variant == 1 ? 0x66 : 0x48;
			code[n++] = 0x0f;
			code[n++] = (uint8_t)op;
			code[n++] = 0x0b;
			for (int bit = -500; bit < 500; bit++)
				compare(code, n, FLAGS & ~(RFLAGS_CF | RFLAGS_ZF), MIDDLE,
					(uint64_t[]){ GPR_RCX, (uint64_t)(int64_t)bit });
		}
	}
}

/* What a string instruction's exit is for; none of its own where it leaves the device alone. */
static unsigned exit_of(uint8_t opcode, bool source_is_device)
{
	unsigned op = opcode & 0xfe;
	bool source = op == 0xa4 || op == 0xa6 || op == 0xac, writes = op == 0xa4 || op == 0xaa;

	if (source_is_device)
		return source ? GMEM_READ : GMEM_READ | EXIT_TABLES;
	if (op == 0xac)
		return GMEM_READ | EXIT_TABLES;
	return writes ? GMEM_WRITE : GMEM_READ;
}

/* One string instruction natively on two buffers and emulated on the device (and RAM behind it). */
static void compare_string(const uint8_t *code, size_t n, unsigned count, bool down,
			   bool source_is_device)
{
	static uint8_t first[1024], second[1024];
	uint8_t *ram = guest_ram + 0x300000 + 512, *device = guest_device + 512;
	struct native nat = { 0 };
	uint64_t source = source_is_device ? GUEST_MMIO + 512 : GUEST_MMIO + 0x2000 + 512;
	uint64_t to = source_is_device ? GUEST_MMIO + 0x2000 + 512 : GUEST_MMIO + 512;

	native_put(page, code, n);
	for (unsigned i = 0; i < sizeof(first); i++) {
		first[i] = (uint8_t)random64() & 3;
		second[i] = random64() % 8 ? first[i] : 1;
	}
	memcpy((source_is_device ? device : ram) - 512, first, 1024);
	memcpy((source_is_device ? ram : device) - 512, second, 1024);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		nat.gpr[i] = random64();
	nat.gpr[GPR_RAX] = 0x0101010101010101;
	nat.gpr[GPR_RCX] = count;
	nat.flags = 0x202 | (random64() & FLAGS) | (down ? RFLAGS_DF : 0);
	memcpy(guest_vcpu.gpr, nat.gpr, sizeof(nat.gpr));
	nat.gpr[GPR_RSI] = (uintptr_t)first + 512;
	nat.gpr[GPR_RDI] = (uintptr_t)second + 512;
	guest_vcpu.gpr[GPR_RSI] = source;
	guest_vcpu.gpr[GPR_RDI] = to;
	guest_vcpu.rflags = nat.flags;
	native_run(&nat, page);
	guest_code(code, n);
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 512), exit_of(code[n - 1], source_is_device));
	if (guest_log.nexts != 1 || guest_log.length != n || guest_log.events || guest_log.crashes)
		fail_with("did not end as it should", code, n);
	guest_vcpu.gpr[GPR_RSI] += (uintptr_t)first + 512 - source;
	guest_vcpu.gpr[GPR_RDI] += (uintptr_t)second + 512 - to;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		if (i != GPR_RSP && guest_vcpu.gpr[i] != nat.gpr[i])
			fail_with("a register differs", code, n);
	if ((guest_vcpu.rflags ^ nat.flags) & FLAGS)
		fail_with("flags differ", code, n);
	if (memcmp((source_is_device ? device : ram) - 512, first, 1024) ||
	    memcmp((source_is_device ? ram : device) - 512, second, 1024))
		fail_with("memory differs", code, n);
}

static void strings(void **state)
{
	static const uint8_t ops[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf };

	(void)state;
	for (unsigned i = 0; i < sizeof(ops); i++) {
		for (unsigned variant = 0; variant < 9 * 4; variant++) {
			unsigned prefix = variant % 3, wide = variant / 3 % 3, n = 0;
			uint8_t code[4];

			if (prefix)
				code[n++] = prefix == 1 ? 0xf2 : 0xf3;
			if (wide)
				code[n++] = wide == 1 ? 0x66 : 0x48;
			code[n++] = ops[i];
			for (unsigned count = 0; count < 40; count += 3)
				compare_string(code, n, count, variant / 9 & 1, variant / 18);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(like_the_processor, setup),
		cmocka_unit_test_setup(across_pages, setup),
		cmocka_unit_test_setup(special_ones, setup),
		cmocka_unit_test_setup(bits_far_away, setup),
		cmocka_unit_test_setup(strings, setup),
	};

	page = native_page();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
