/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/decode.c */
/*
 * The decoder against a table of hand-picked instructions, and against objdump: every instruction
 * of programs at hand must have the length that objdump gives it, and must be told incomplete one
 * byte earlier.
 */
#include "vmm/insn/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "include/errno.h"

static struct insn insn;

/* "0f a2" to bytes. */
static size_t parse(const char *hex, uint8_t *out, size_t max)
{
	size_t n = 0;
	char *end;

	while (n < max) {
		unsigned long v = strtoul(hex, &end, 16);

		if (end == hex)
			break;
		out[n++] = (uint8_t)v;
		hex = end;
	}
	return n;
}

static int run(unsigned mode, const char *hex)
{
	uint8_t bytes[32];
	size_t n = parse(hex, bytes, sizeof(bytes));
	uint8_t *exact = malloc(n);
	int err;

	memcpy(exact, bytes, n);	/* so that the sanitizer sees one byte too many */
	memset(&insn, 0xcc, sizeof(insn));
	err = decode(exact, n, mode, &insn);
	free(exact);
	return err;
}

static void lengths(void **state)
{
	static const struct { uint8_t mode, length; const char *hex; } table[] = {
		{ 64, 2, "0f a2" }, { 64, 3, "66 0f a2" }, { 64, 3, "f3 0f a2" },
		{ 64, 2, "0f 32 90" }, { 64, 1, "f4 90" },
		{ 64, 3, "0f 01 d9" }, { 64, 3, "0f 01 c1" }, { 64, 3, "0f 01 f9" },
		{ 64, 3, "0f 01 d1" }, { 64, 2, "f3 90" },
		{ 64, 10, "48 b8 1 2 3 4 5 6 7 8" }, { 64, 5, "b8 1 2 3 4" },
		{ 64, 4, "66 b8 1 2" }, { 16, 3, "b8 1 2" },
		{ 64, 9, "a1 1 2 3 4 5 6 7 8" }, { 64, 6, "67 a1 1 2 3 4" },
		{ 32, 5, "a1 1 2 3 4" }, { 16, 3, "a1 1 2" },
		{ 64, 7, "48 8b 05 1 2 3 4" }, { 64, 8, "48 8b 04 25 1 2 3 4" },
		{ 32, 6, "8b 05 1 2 3 4" },
		{ 16, 4, "8b 06 1 2" }, { 16, 3, "8b 46 1" }, { 16, 4, "8b 86 1 2" },
		{ 16, 2, "8b 07" }, { 16, 8, "67 8b 84 24 1 2 3 4" },
		{ 64, 10, "c7 05 1 2 3 4 5 6 7 8" }, { 64, 9, "66 c7 05 1 2 3 4 5 6" },
		{ 64, 7, "c6 05 1 2 3 4 5" },
		{ 64, 6, "f7 15 1 2 3 4" }, { 64, 3, "f6 c0 1" }, { 64, 2, "f6 d0" },
		{ 64, 6, "f7 c0 1 2 3 4" }, { 64, 2, "f7 d0" },
		{ 64, 4, "c8 1 2 3" }, { 64, 3, "c2 1 2" }, { 32, 7, "9a 1 2 3 4 5 6" },
		{ 16, 5, "ea 1 2 3 4" },
		{ 64, 3, "0f 22 c0" }, { 64, 3, "0f 20 00" }, { 64, 4, "44 0f 20 c0" },
		{ 64, 3, "0f 22 05" },
		{ 64, 6, "0f 84 1 2 3 4" }, { 64, 5, "e8 1 2 3 4" }, { 64, 4, "66 e8 1 2" },
		{ 64, 3, "c5 f8 77" },
		{ 64, 4, "c5 f9 6f c1" }, { 64, 5, "c4 e2 7d 58 c1" },
		{ 64, 6, "c4 e3 7d 39 c1 1" }, { 64, 6, "62 f1 7c 48 28 c1" },
		{ 64, 7, "62 f1 7c 48 28 40 1" }, { 64, 5, "8f e9 78 81 c1" }, { 32, 2, "c5 00" },
		{ 32, 2, "c4 00" }, { 32, 2, "62 00" },
		{ 64, 2, "8f 00" }, { 64, 4, "0f 0f c1 9e" }, { 64, 6, "66 0f 3a 0f c1 8" },
		{ 64, 15, "66 66 66 66 66 66 66 66 66 66 66 66 66 0f a2" },
		{ 64, 5, "64 48 8b 04 24" }, { 64, 3, "48 40 90" }, { 64, 4, "66 48 0f a2" },
		{ 64, 6, "66 0f 78 c0 1 2" }, { 64, 3, "0f 78 c0" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		int err = run(table[i].mode, table[i].hex);

		if (err || insn.length != table[i].length)
			fail_msg("%s: error %d, length %u, not %u", table[i].hex, err, insn.length,
				 table[i].length);
	}
}

static void undefined(void **state)
{
	static const struct { uint8_t mode; int error; const char *hex; } table[] = {
		{ 64, -EINVAL, "06" }, { 64, -EINVAL, "60" }, { 64, -EINVAL, "82 00 00" },
		{ 64, -EINVAL, "9a 1 2 3 4 5 6" },
		{ 64, -EINVAL, "0f 04" }, { 64, -EINVAL, "f0 89 00" }, { 64, -EINVAL, "f0 01 c0" },
		{ 64, -EINVAL, "f0 8b 00" }, { 64, -EINVAL, "66 c5 f8 77" },
		{ 64, -EINVAL, "48 c5 f8 77" }, { 64, -EINVAL, "f0 0f a2" },
		{ 64, -EINVAL, "0f 24 c0" }, { 64, -EINVAL, "d6" }, { 64, -EINVAL, "ce" },
		{ 64, -EAGAIN, "66" }, { 64, -EAGAIN, "0f" },
		{ 64, -EAGAIN, "48" }, { 64, -EAGAIN, "8b" }, { 64, -EAGAIN, "c4" },
		{ 64, -EAGAIN, "62" }, { 64, -EAGAIN, "8f" }, { 64, -EAGAIN, "66 0f 3a 0f c1" },
		{ 64, -EAGAIN, "0f ff" },
		{ 64, -E2BIG, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 0f a2" },
		{ 64, -E2BIG, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 66" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		int err = run(table[i].mode, table[i].hex);

		if (err != table[i].error)
			fail_msg("%s: %d, not %d", table[i].hex, err, table[i].error);
	}
}

static void operands(void **state)
{
	(void)state;
	assert_int_equal(run(64, "4c 89 54 8b f0"), 0);		/* mov %r10, -16(%rbx,%rcx,4) */
	assert_true(insn.memory);
	assert_int_equal(insn.reg, GPR_R10);
	assert_int_equal(insn.base, GPR_RBX);
	assert_int_equal(insn.index, GPR_RCX);
	assert_int_equal(insn.shift, 2);
	assert_int_equal(insn.disp, -16);
	assert_int_equal(insn.operand, 8);
	assert_int_equal(insn.segment, SEG_DS);
	assert_int_equal(run(64, "8b 44 24 08"), 0);
	assert_int_equal(insn.base, GPR_RSP);
	assert_int_equal(insn.index, INSN_NO_REG);
	assert_int_equal(insn.segment, SEG_SS);
	assert_int_equal(run(64, "65 8b 05 fc ff ff ff"), 0);
	assert_int_equal(insn.base, INSN_RIP);
	assert_int_equal(insn.disp, -4);
	assert_int_equal(insn.segment, SEG_GS);
	assert_int_equal(run(64, "2e 8b 45 00"), 0); /* CS counts for nothing: RBP's SS stays */
	assert_int_equal(insn.segment, SEG_SS);
	assert_int_equal(run(64, "41 8b 45 00"), 0);
	assert_int_equal(insn.base, GPR_R13);
	assert_int_equal(insn.segment, SEG_DS);
	assert_int_equal(run(64, "42 8b 04 25 00 00 00 f0"), 0); /* REX.X makes R12 of "no index" */
	assert_int_equal(insn.index, GPR_R12);
	assert_int_equal(insn.base, INSN_NO_REG);
	assert_int_equal(insn.disp, -0x10000000);
	assert_int_equal(run(16, "26 8a 42 7f"), 0);
	assert_int_equal(insn.base, GPR_RBP);
	assert_int_equal(insn.index, GPR_RSI);
	assert_int_equal(insn.segment, SEG_ES);
	assert_int_equal(run(64, "48 c7 00 ff ff ff ff"), 0);
	assert_int_equal(insn.imm, ~0ul);
	assert_int_equal(run(64, "f3 48 a5"), 0);
	assert_int_equal(insn.rep, 0xf3);
	assert_int_equal(run(64, "41 0f 22 c3"), 0);
	assert_int_equal(insn.rm, GPR_R11);
	assert_false(insn.memory);
	assert_int_equal(run(64, "48 66 89 00"),
			 0); /* REX not right before the opcode is nothing */
	assert_int_equal(insn.operand, 2);
	assert_int_equal(run(32, "67 8b 07"), 0);
	assert_int_equal(insn.address, 2);
	assert_int_equal(insn.base, GPR_RBX);
}

/* All of a program's instructions as objdump sees them; how many. */
static unsigned compare(const char *file, unsigned *wrong)
{
	char command[300], line[400];
	uint8_t bytes[32];
	unsigned count = 0;
	FILE *f;

	snprintf(command, sizeof(command), "objdump -d --insn-width=15 %s 2>/dev/null", file);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *hex = strchr(line, '\t'), *text = hex ? strchr(hex + 1, '\t') : NULL;
		size_t n;
		int err;

		if (!text || strstr(text, "(bad)") || strstr(text, ".byte"))
			continue;
		*text = 0;
		n = parse(hex + 1, bytes, sizeof(bytes));
		/* A lone prefix that objdump shows as an instruction of its own; FWAIT, which it
		 * joins to the next. */
		if (n == 1 && (strstr(text + 1, "rex") == text + 1 || bytes[0] == 0x66 ||
			       (bytes[0] & 0xfc) == 0x64))
			continue;
		if (bytes[0] == 0x9b && n > 1)
			continue;
		count++;
		err = decode(bytes, n, 64, &insn);
		if ((err || insn.length != n) && (*wrong)++ < 20)
			print_error("%s%s\t%s: error %d, length %u\n", line, hex, text + 1, err,
				    insn.length);
		if (n > 1 && decode(bytes, n - 1, 64, &insn) != -EAGAIN && (*wrong)++ < 20)
			print_error("%s%s\t%s: not told incomplete\n", line, hex, text + 1);
	}
	pclose(f);
	return count;
}

static void against_objdump(void **state)
{
	static const char *const files[] = { "build/keel.elf", "/bin/busybox",
					     "/lib/x86_64-linux-gnu/libc.so.6",
					     "/lib/x86_64-linux-gnu/libm.so.6" };
	unsigned wrong = 0, count = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(files); i++)
		count += compare(files[i], &wrong);
	print_message("%u instructions\n", count);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths), cmocka_unit_test(undefined), cmocka_unit_test(operands),
		cmocka_unit_test(against_objdump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
