/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/load/load*.c vmm/firmware/memory_map.c lib/format.c */
/*
 * Linux's bzImage made by hand, entered in each of its three ways; then cut and bent. And Debian's.
 */
#include "tests/host/load_test.h"

static void make_linux(void)
{
	put(0x1f1, 3, 1);
	put(0x1f4, (sizeof(file) - 2048) / 16, 4);
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2);
	put(0x202, 0x53726448, 4);
	put(0x206, 0x20f, 2);
	put(0x211, 1, 1);
	put(0x22c, 0x7fffffff, 4);
	put(0x230, 0x200000, 4);
	put(0x234, 1, 1);
	put(0x236, 1, 2);
	put(0x238, 2047, 4);
	put(0x250, 0x1234, 8);
	put(0x258, 16 * MIB, 8);
	put(0x260, MIB, 4);
	memset(file + 2048, 0x5a, sizeof(file) - 2048);
}

static void linux_loads(void **state)
{
	uint64_t rd, pd;

	(void)state;
	make_linux();
	give(0, sizeof(initrd), "rd", "");
	assert_int_equal(load(), 0);
	assert_string_equal(entry.kind, "Linux bzImage");
	assert_int_equal(entry.start, LOAD_START_LINUX64);
	assert_int_equal(entry.rip, 16 * MIB + 0x200);
	assert_memory_equal(ram + 16 * MIB, file + 2048, sizeof(file) - 2048);
	/* the zero page */
	assert_int_equal(get(entry.rsi + 0x202, 4), 0x53726448);
	assert_int_equal(get(entry.rsi + 0x210, 1), 0xff);
	assert_int_equal(get(entry.rsi + 0x070, 8), 0xe0000);
	assert_int_equal(get(entry.rsi + 0x250, 8), 0);
	assert_string_equal((char *)ram + get(entry.rsi + 0x228, 4), image.cmdline);
	rd = get(entry.rsi + 0x218, 4);
	assert_int_equal(get(entry.rsi + 0x21c, 4), sizeof(initrd));
	assert_int_equal(rd % 4096, 0);
	assert_true(rd + sizeof(initrd) <= RAM && rd >= 17 * MIB);
	assert_memory_equal(ram + rd, initrd, sizeof(initrd));
	assert_int_equal(get(entry.rsi + 0x1e8, 1), 4);
	assert_int_equal(get(entry.rsi + 0x2d0 + 40, 8), MIB);
	assert_int_equal(get(entry.rsi + 0x2d0 + 48, 8), RAM - MIB);
	assert_int_equal(get(entry.rsi + 0x2d0 + 56, 4), 1);
	/* identity tables: 3 GiB + 6 MiB + 5 */
	pd = get(get(entry.cr3.v, 8) & ~0xffful, 8) & ~0xffful;
	assert_int_equal(get(pd, 8), 0x83);
	pd = get((get(entry.cr3.v, 8) & ~0xffful) + 3 * 8, 8) & ~0xffful;
	assert_int_equal(get(pd + 3 * 8, 8), (3 * GIB + 6 * MIB) | 0x83);
	assert_int_equal(get(entry.gdt.v + 0x10, 8), 0x00af9b000000ffff);
}

/* A kernel without a 64-bit entry, moved by its header or not. */
static void linux_32(void **state)
{
	(void)state;
	make_linux();
	put(0x236, 0, 2);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.start, LOAD_START_PROTECTED32);
	assert_int_equal(entry.rip, 16 * MIB);
	assert_int_equal(get(entry.rsi + 0x202, 4), 0x53726448);
	assert_int_equal(get(entry.rsi + 0x214, 4), 16 * MIB);
	assert_string_equal((char *)ram + get(entry.rsi + 0x228, 4), image.cmdline);
	assert_int_equal(entry.gdt_size, 32);
	assert_int_equal(get(entry.gdt.v + 0x10, 8), 0x00cf9b000000ffff);
	put(0x234, 0, 1);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, MIB);
	assert_memory_equal(ram + MIB, file + 2048, sizeof(file) - 2048);
}

/* One with a real-mode entry alone: the fields that its version lacks are not believed. */
static void linux_real_mode(void **state)
{
	(void)state;
	make_linux();
	put(0x206, 0x207, 2);
	put(0x260, 0x20202020, 4);
	give(0, sizeof(initrd), "rd", "");
	assert_int_equal(load(), 0);
	assert_int_equal(entry.start, LOAD_START_REAL);
	assert_int_equal(entry.segment, 0x1000);
	assert_int_equal(entry.code_segment, 0x1020);
	assert_int_equal(entry.rip, 0);
	assert_memory_equal(ram + 0x10000, file, 0x1f1);
	assert_memory_equal(ram + 0x10000 + 0x240, file + 0x240, 2048 - 0x240);
	assert_memory_equal(ram + MIB, file + 2048, sizeof(file) - 2048);
	assert_int_equal(get(0x10210, 1), 0xff);
	assert_int_equal(get(0x10211, 1), 0x81);
	assert_true(get(0x10224, 2) + 0x200 <= entry.rsp);
	assert_int_equal(get(0x1021c, 4), sizeof(initrd));
	assert_memory_equal(ram + get(0x10218, 4), initrd, sizeof(initrd));
	assert_string_equal((char *)ram + get(0x10228, 4), image.cmdline);
	put(0x1f1, 200, 1);
	put(0x1f4, 0x1000, 4);
	refused(-EINVAL, "set-up code");
	put(0x1f1, 3, 1);
	put(0x206, 0x202, 2);
	assert_int_equal(load(), 0);
	image.cmdline = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	refused(-E2BIG, "256 characters");
}

static void linux_refused(void **state)
{
	static char line[2049];

	(void)state;
	make_linux();
	image.kernel_size = sizeof(file) - 16;
	refused(-EINVAL, "truncated");
	image.kernel_size = 1000;
	refused(-EINVAL, "truncated");
	image.kernel_size = 0x204;
	refused(-EINVAL, "not a kernel");
	image.kernel_size = sizeof(file);
	put(0x236, 0, 2);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.start, LOAD_START_PROTECTED32);
	put(0x236, 1, 2);
	put(0x206, 0x201, 2);
	refused(-EINVAL, "2.01");
	put(0x206, 0x20c, 2);
	memset(line, 'x', 2048);
	image.cmdline = line;
	refused(-E2BIG, "2048 characters");
	line[2047] = 0;
	assert_int_equal(load(), 0);
	put(0x260, 0xffffffff, 4);
	refused(-E2BIG, "memory");
	put(0x258, ~0xffful, 8);
	refused(-E2BIG, "memory");
	put(0x258, 16 * MIB, 8);
	put(0x260, MIB, 4);
	give(0, 47 * MIB + 1, "rd", "");
	refused(-E2BIG, "initrd");
	give(0, sizeof(initrd), "rd", "");
	put(0x22c, 17 * MIB - 1, 4);
	refused(-E2BIG, "initrd");
	machine.memory = 4096;
	refused(-E2BIG, "2 MiB");
}

/* The map of a VM with memory above 4 GiB; what the other loaders tell is made of the same. */
static void linux_map(void **state)
{
	static const uint64_t want[][3] = {
		{ 0, 639 * KIB, 1 }, { 639 * KIB, MIB - 639 * KIB, 2 }, { MIB, 2815 * MIB, 1 },
		{ 2816 * MIB, 256 * MIB, 2 }, { 4 * GIB, 1280 * MIB, 1 },
	};

	(void)state;
	make_linux();
	machine.memory = 4 * GIB;
	assert_int_equal(load(), 0);
	assert_int_equal(get(entry.rsi + 0x1e8, 1), ARRAY_COUNT(want));
	for (unsigned i = 0; i < ARRAY_COUNT(want); i++) {
		assert_int_equal(get(entry.rsi + 0x2d0 + 20 * i, 8), want[i][0]);
		assert_int_equal(get(entry.rsi + 0x2d0 + 20 * i + 8, 8), want[i][1]);
		assert_int_equal(get(entry.rsi + 0x2d0 + 20 * i + 16, 4), want[i][2]);
	}
}

/* One initrd in pieces, each on 4 bytes. */
static void linux_modules(void **state)
{
	uint64_t at;

	(void)state;
	make_linux();
	give(0, 4999, "early", "");
	give(1, 5000, "late", "");
	assert_int_equal(load(), 0);
	assert_int_equal(get(entry.rsi + 0x21c, 4), 10000);
	at = get(entry.rsi + 0x218, 4);
	assert_memory_equal(ram + at, initrd, 4999);
	assert_int_equal(ram[at + 4999], 0);
	assert_memory_equal(ram + at + 5000, initrd, 5000);
}

/* Debian's kernel, where `make guests` has put it. */
static void linux_real(void **state)
{
	FILE *f = fopen("build/guest/vmlinuz", "rb");
	const char *kind = "";
	uint8_t *data;
	long size;

	(void)state;
	if (!f)
		skip();
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	data = malloc((size_t)size);
	assert_int_equal(fread(data, 1, (size_t)size, f), size);
	fclose(f);
	image.kernel = data;
	image.kernel_size = (size_t)size;
	assert_int_equal(load_check(&image, 192 * MIB, &kind, why, sizeof(why)), 0);
	assert_string_equal(kind, "Linux bzImage");
	image.kernel_size -= 64 * KIB;
	assert_int_equal(load_check(&image, 192 * MIB, &kind, why, sizeof(why)), -EINVAL);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(linux_loads, setup),
		cmocka_unit_test_setup(linux_32, setup),
		cmocka_unit_test_setup(linux_real_mode, setup),
		cmocka_unit_test_setup(linux_refused, setup),
		cmocka_unit_test_setup(linux_map, setup),
		cmocka_unit_test_setup(linux_modules, setup),
		cmocka_unit_test_setup(linux_real, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
