/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/load/load*.c vmm/firmware/memory_map.c lib/format.c */
/*
 * ELF kernels of each kind, PVH and both multiboots, made by hand, loaded into an array; then cut,
 * bent and placed where no memory is.
 */
#include "tests/host/load_test.h"

/* An ELF file with one segment to load at 1M (linked at `vaddr`) and a note behind it. */
static void make_elf(bool wide, uint64_t vaddr, uint64_t start)
{
	unsigned p = wide ? 64 : 52, size = wide ? 56 : 32;

	memcpy(file, "\177ELF", 4);
	file[4] = wide ? 2 : 1;
	file[5] = file[6] = 1;
	put(18, wide ? 62 : 3, 2);
	put(24, start, wide ? 8 : 4);
	put(wide ? 32 : 28, p, wide ? 8 : 4);
	put(wide ? 54 : 42, size, 2);
	put(wide ? 56 : 44, 2, 2);
	for (unsigned i = 0; i < 2; i++, p += size) {
		uint64_t offset = i ? 0x3000 : 0x1000, paddr = MIB, bytes = i ? 24 : 0x2000,
			 memory = i ? 24 : 0x8000;

		put(p, i ? 4 : 1, 4);
		put(p + (wide ? 8 : 4), offset, wide ? 8 : 4);
		put(p + (wide ? 16 : 8), vaddr, wide ? 8 : 4);
		put(p + (wide ? 24 : 12), paddr, wide ? 8 : 4);
		put(p + (wide ? 32 : 16), bytes, wide ? 8 : 4);
		put(p + (wide ? 40 : 20), memory, wide ? 8 : 4);
	}
	memset(file + 0x1000, 0xc3, 0x2000);
}

static void make_note(uint32_t type, unsigned size, uint64_t value)
{
	put(0x3000, 4, 4);
	put(0x3004, size, 4);
	put(0x3008, type, 4);
	memcpy(file + 0x300c, "Xen", 4);
	put(0x3010, value, size);
}

static void make_multiboot(unsigned at, uint32_t flags)
{
	put(at, 0x1badb002, 4);
	put(at + 4, flags, 4);
	put(at + 8, -(0x1badb002u + flags), 4);
}

static void pvh_loads(void **state)
{
	(void)state;
	for (unsigned wide = 0; wide < 2; wide++) {
		setup(NULL);
		make_elf(wide, 0x40100000, 0x40100000);
		make_note(18, wide ? 8 : 4, MIB + 0x40);
		give(0, sizeof(initrd), "rd", "");
		assert_int_equal(load(), 0);
		assert_string_equal(entry.kind, "PVH ELF");
		assert_int_equal(entry.start, LOAD_START_PROTECTED32);
		assert_int_equal(entry.rip, MIB + 0x40);
		assert_memory_equal(ram + MIB, file + 0x1000, 0x2000);
		assert_int_equal(get(entry.rbx, 4), 0x336ec578);
		assert_int_equal(get(entry.rbx + 4, 4), 1);
		assert_int_equal(get(entry.rbx + 12, 4), 1);
		assert_memory_equal(ram + get(get(entry.rbx + 16, 8), 8), initrd, sizeof(initrd));
		assert_string_equal((char *)ram + get(entry.rbx + 24, 8), image.cmdline);
		assert_int_equal(get(entry.rbx + 32, 8), 0xe0000);
		assert_int_equal(get(entry.rbx + 48, 4), 4);
		assert_int_equal(get(get(entry.rbx + 40, 8) + 48, 8), MIB);
	}
}

static void elf_refused(void **state)
{
	(void)state;
	make_elf(true, MIB, MIB);
	refused(-EINVAL, "not a kernel");
	make_note(18, 8, 5 * GIB);
	refused(-EINVAL, "entry point");
	make_note(18, 8, MIB);
	assert_int_equal(load(), 0);
	put(64 + 8, sizeof(file) - 0x1000, 8);
	refused(-EINVAL, "truncated");
	put(64 + 8, ~0xffful, 8);
	refused(-EINVAL, "truncated");
	put(64 + 8, 0x1000, 8);
	put(64 + 24, RAM - 0x1000, 8);
	refused(-E2BIG, "memory");
	put(64 + 24, 0x9f000, 8);
	refused(-E2BIG, "memory");
	put(64 + 24, 0x1000, 8);
	assert_int_equal(load(), 0);
	assert_true(entry.rbx >= 0x9000);
	put(64 + 24, MIB, 8);
	put(64 + 40, 0x1000, 8);
	refused(-EINVAL, "outside");
	put(64 + 40, 0x8000, 8);
	put(56, 0xffff, 2);
	refused(-EINVAL, "program header");
}

/* No image makes us copy more than it has. */
static void elf_copies_once(void **state)
{
	(void)state;
	make_elf(true, MIB, MIB);
	make_note(18, 8, MIB);
	put(56, 3, 2);
	memcpy(file + 64 + 2 * 56, file + 64, 56);
	refused(-EINVAL, "overlap");
	put(64 + 2 * 56 + 24, MIB + 0x7fff, 8);
	refused(-EINVAL, "overlap");
	put(64 + 2 * 56 + 24, MIB + 0x8000, 8);
	assert_int_equal(load(), 0);
	put(64 + 2 * 56 + 8, 0, 8);
	put(64 + 2 * 56 + 32, sizeof(file) - 0x2000, 8);
	put(64 + 2 * 56 + 40, MIB, 8);
	assert_int_equal(load(), 0);
	put(64 + 2 * 56 + 32, sizeof(file) - 0x2000 + 1, 8);
	refused(-EINVAL, "more bytes");
}

/* A file that names much to look through is refused for that, and soon. */
static void elf_too_much(void **state)
{
	static uint8_t big[16 * MIB];
	clock_t began = clock();

	(void)state;
	make_elf(true, MIB, MIB);
	make_note(18, 8, MIB);
	put(56, 65, 2);
	refused(-EINVAL, "more than 64 program headers");
	put(56, 64, 2);			/* the rest are of type 0 */
	assert_int_equal(load(), 0);
	/* 4095 empty notes before the one that counts, then 4096 */
	memset(file + 0x3000, 0, 24);
	put(64 + 56 + 8, 0x4000, 8);
	put(64 + 56 + 32, 4096 * 12 + 24, 8);
	put(0x4000 + 4095 * 12, 4, 4);
	put(0x4000 + 4095 * 12 + 4, 8, 4);
	put(0x4000 + 4095 * 12 + 8, 18, 4);
	memcpy(file + 0x4000 + 4095 * 12 + 12, "Xen", 4);
	put(0x4000 + 4095 * 12 + 16, MIB + 0x40, 8);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, MIB + 0x40);
	put(64 + 56 + 8, 0x4000 - 12, 8);
	refused(-EINVAL, "too many notes");
	/* as many as fit into a large file, and over again by each header */
	memcpy(big, file, 0x3000);
	for (unsigned i = 1; i < 64; i++) {
		memcpy(big + 64 + i * 56, file + 64 + 56, 56);
		memcpy(big + 64 + i * 56 + 32, &(uint64_t){ sizeof(big) - 0x4000 }, 8);
	}
	image.kernel = big;
	image.kernel_size = sizeof(big);
	for (unsigned i = 0; i < 100; i++)
		refused(-EINVAL, "too many notes");
	memset(big + 56, 0xff, 2);	/* and that with all the headers there can be */
	refused(-EINVAL, "program headers");
	assert_in_range((clock() - began) / CLOCKS_PER_SEC, 0, 2);
}

static void multiboot_loads(void **state)
{
	(void)state;
	for (unsigned wide = 0; wide < 2; wide++) {
		setup(NULL);
		make_elf(wide, 0x40100000, 0x40100010);
		make_multiboot(0x1004, 3);
		give(0, sizeof(initrd), "rd", "");
		assert_int_equal(load(), 0);
		assert_string_equal(entry.kind, "multiboot ELF");
		assert_int_equal(entry.rip, MIB + 0x10);
		assert_int_equal(entry.rax, 0x2badb002);
		assert_int_equal(get(entry.rbx, 4), 0x24d);
		assert_int_equal(get(entry.rbx + 4, 4), 639);
		assert_int_equal(get(entry.rbx + 8, 4), 63 * 1024);
		assert_int_equal(get(entry.rbx + 20, 4), 1);
		assert_int_equal(get(get(entry.rbx + 24, 4), 4), MIB + 0x8000);
		assert_int_equal(get(get(entry.rbx + 24, 4) + 4, 4), MIB + 0x8000 + sizeof(initrd));
		assert_memory_equal(ram + MIB + 0x8000, initrd, sizeof(initrd));
		assert_int_equal(get(entry.rbx + 44, 4), 4 * 24);
		assert_int_equal(get(get(entry.rbx + 48, 4) + 2 * 24, 4), 20);
		assert_int_equal(get(get(entry.rbx + 48, 4) + 2 * 24 + 4, 8), MIB);
		assert_string_equal((char *)ram + get(entry.rbx + 64, 4), "Keel");
	}
}

static void multiboot_addresses(void **state)
{
	(void)state;
	make_multiboot(64, 0x10003);
	put(64 + 12, 2 * MIB + 64, 4);
	put(64 + 16, 2 * MIB, 4);
	put(64 + 20, 2 * MIB + 0x1000, 4);
	put(64 + 24, 2 * MIB + 0x4000, 4);
	put(64 + 28, 2 * MIB + 0x100, 4);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, 2 * MIB + 0x100);
	assert_memory_equal(ram + 2 * MIB, file, 0x1000);
	assert_int_equal(get(2 * MIB + 0x1000, 8), 0);
	put(64 + 20, 0, 4);		/* the whole file */
	assert_int_equal(load(), 0);
	put(64 + 20, 4 * MIB, 4);
	refused(-EINVAL, "truncated");
	put(64 + 20, 2 * MIB - 1, 4);
	refused(-EINVAL, "truncated");
	put(64 + 20, 0, 4);
	put(64 + 16, 2 * MIB - 1, 4);
	refused(-EINVAL, "load address");
	put(64 + 16, 3 * MIB, 4);
	refused(-EINVAL, "load address");
}

static void multiboot_refused(void **state)
{
	(void)state;
	make_multiboot(0, 3);
	refused(-EINVAL, "no addresses");
	make_multiboot(0, 8);
	refused(-EINVAL, "flags 0x8");
	make_multiboot(0, 3);
	put(8, 0, 4);
	refused(-EINVAL, "not a kernel");
	make_elf(false, MIB, 0x40000000);
	make_multiboot(0x1000, 3);
	refused(-EINVAL, "entry point");
	image.kernel_size = 0x1010;
	refused(-EINVAL, "truncated");
	image.kernel_size = 0;
	refused(-EINVAL, "not a kernel");
}

/*
 * Any number of modules: each with its name and arguments, on its own pages, behind the kernel; the
 * program's name comes first on the command line.
 */
static void multiboot_modules(void **state)
{
	static const char *const text[] = { "dom0 root=/dev/ram quiet", "empty", "rd" };
	uint64_t entry_at, at = MIB + 0x8000;

	(void)state;
	make_elf(false, MIB, MIB);
	make_multiboot(0x1000, 0);
	give(0, 5000, "dom0", "root=/dev/ram quiet");
	give(1, 0, "empty", "");
	give(2, 100, "rd", "");
	assert_int_equal(load(), 0);
	assert_string_equal((char *)ram + get(entry.rbx + 16, 4), "prog console=ttyS0 x=y");
	assert_int_equal(get(entry.rbx + 20, 4), 3);
	entry_at = get(entry.rbx + 24, 4);
	for (unsigned i = 0; i < 3; i++, entry_at += 16) {
		assert_int_equal(get(entry_at, 4), at);
		assert_int_equal(get(entry_at + 4, 4), at + module[i].size);
		assert_string_equal((char *)ram + get(entry_at + 8, 4), text[i]);
		assert_int_equal(get(entry_at + 12, 4), 0);
		assert_memory_equal(ram + at, initrd, module[i].size);
		at = (at + module[i].size + 4095) & ~4095ul;
	}
	image.cmdline = "";
	assert_int_equal(load(), 0);
	assert_string_equal((char *)ram + get(entry.rbx + 16, 4), "prog");
}

/* What is told of a thousand modules needs more room than there is below 640 KiB. */
static void modules_many(void **state)
{
	static char line[600];
	uint64_t list;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	for (unsigned i = 0; i < ARRAY_COUNT(module); i++)
		give(i, 1, "m", line);
	for (unsigned pvh = 0; pvh < 2; pvh++) {
		memset(file, 0, 0x4000);
		make_elf(false, MIB, MIB);
		if (pvh)
			make_note(18, 4, MIB);
		else
			make_multiboot(0x1000, 0);
		assert_int_equal(load(), 0);
		assert_true(entry.rbx >= MIB);
		list = get(entry.rbx + (pvh ? 16 : 24), 4) + 1999 * (pvh ? 32 : 16);
		assert_memory_equal(ram + get(list, 4), initrd, 1);
		assert_int_equal(strlen((char *)ram + get(list + (pvh ? 16 : 8), 4)),
				 pvh ? 599 : 601);
	}
	give(1999, RAM - MIB - 1999 * 4096, "m", line);
	refused(-E2BIG, "modules");
	give(1999, RAM - MIB - MIB / 2 - 1999 * 4096, "m", line);
	refused(-E2BIG, "no room");
}

static void pvh_modules(void **state)
{
	uint64_t list;

	(void)state;
	make_elf(true, MIB, MIB);
	make_note(18, 8, MIB);
	give(0, 5000, "dom0", "a b");
	give(1, 100, "rd", "");
	assert_int_equal(load(), 0);
	assert_string_equal((char *)ram + get(entry.rbx + 24, 8), "console=ttyS0 x=y");
	assert_int_equal(get(entry.rbx + 12, 4), 2);
	list = get(entry.rbx + 16, 8);
	assert_int_equal(get(list, 8), RAM - 3 * 4096);
	assert_int_equal(get(list + 8, 8), 5000);
	assert_string_equal((char *)ram + get(list + 16, 8), "a b");
	assert_int_equal(get(list + 32, 8), RAM - 4096);
	assert_int_equal(get(list + 48, 8), 0);
	assert_memory_equal(ram + RAM - 4096, initrd, 100);
}

/* A kernel in the first 64 KiB: the information goes elsewhere. */
static void multiboot_low(void **state)
{
	(void)state;
	make_elf(false, 0x2000, 0x2000);
	put(52 + 12, 0x2000, 4);
	make_multiboot(0x1000, 0);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, 0x2000);
	assert_true(entry.rbx >= 0xa000 || entry.rbx < 0x2000);
	assert_memory_equal(ram + 0x2000, file + 0x1000, 0x2000);
}

/* A multiboot2 header at 0x1000, to which tags are added. */
static unsigned header_end;

static void make_multiboot2(uint32_t architecture)
{
	put(0x1000, 0xe85250d6, 4);
	put(0x1004, architecture, 4);
	header_end = 0x1010;
}

static void header_tag(uint16_t type, uint16_t flags, const uint32_t *words, unsigned count)
{
	put(header_end, type, 2);
	put(header_end + 2, flags, 2);
	put(header_end + 4, 8 + 4 * count, 4);
	for (unsigned i = 0; i < count; i++)
		put(header_end + 8 + 4 * i, words[i], 4);
	header_end += (8 + 4 * count + 7) & ~7u;
	put(header_end, 0, 4);
	put(header_end + 4, 8, 4);
	put(0x1008, header_end + 8 - 0x1000, 4);
	put(0x100c, -(0xe85250d6u + (uint32_t)get_file(0x1004) + header_end + 8 - 0x1000), 4);
}

/* The information's tag of that type, the i-th of them; 0 if there is none. */
static uint64_t info_tag(uint32_t type, unsigned i)
{
	uint64_t at = entry.rbx + 8, end = entry.rbx + get(entry.rbx, 4);

	for (; at < end; at += (get(at + 4, 4) + 7) & ~7ul) {
		if (get(at, 4) == type && !i--)
			return at;
		if (!get(at, 4))
			break;
	}
	assert_int_equal(at + 8, end);
	return 0;
}

static void multiboot2_loads(void **state)
{
	static const uint32_t request[] = { 6, 1, 15, 3 };
	uint64_t at, h;

	(void)state;
	for (unsigned wide = 0; wide < 2; wide++) {
		setup(NULL);
		make_elf(wide, 0x40100000, 0x40100010);
		make_multiboot2(0);
		header_tag(1, 0, request, 4);
		header_tag(9, 0, request, 1);
		header_tag(10, 0, request, 4);
		header_tag(77, 1, request, 0);
		/* three sections: none, one that is loaded, one of names that is not */
		put(wide ? 40 : 32, 0x8000, wide ? 8 : 4);
		put(wide ? 58 : 46, wide ? 64 : 40, 2);
		put(wide ? 60 : 48, 3, 2);
		put(wide ? 62 : 50, 2, 2);
		h = 0x8000 + (wide ? 64 : 40);
		put((unsigned)h + 4, 1, 4);
		put((unsigned)h + (wide ? 16 : 12), MIB, 4);
		put((unsigned)h + (wide ? 32 : 20), 64, 4);
		h += wide ? 64 : 40;
		put((unsigned)h + 4, 3, 4);
		put((unsigned)h + (wide ? 24 : 16), 0x9000, 4);
		put((unsigned)h + (wide ? 32 : 20), 100, 4);
		memset(file + 0x9000, 0x66, 100);
		memcpy(ram + 0xe0000, "RSD PTR abcdefghijklmnopqrstuvwxyz01", 36);
		give(0, 5000, "dom0", "a b");
		give(1, 1, "m", "");
		assert_int_equal(load(), 0);
		assert_string_equal(entry.kind, "multiboot2 ELF");
		assert_int_equal(entry.start, LOAD_START_PROTECTED32);
		assert_int_equal(entry.rip, MIB + 0x10);
		assert_int_equal(entry.rax, 0x36d76289);
		assert_int_equal(entry.rbx % 8, 0);
		assert_string_equal((char *)ram + info_tag(1, 0) + 8, image.cmdline);
		assert_string_equal((char *)ram + info_tag(3, 0) + 16, "a b");
		assert_int_equal(get(info_tag(3, 0) + 8, 4), MIB + 0x8000);
		assert_int_equal(get(info_tag(3, 0) + 12, 4), MIB + 0x8000 + 5000);
		assert_int_equal(get(info_tag(3, 1) + 8, 4), MIB + 0xa000);
		assert_int_equal(info_tag(3, 2), 0);
		assert_int_equal(get(info_tag(4, 0) + 8, 4), 639);
		assert_int_equal(get(info_tag(4, 0) + 12, 4), 63 * 1024);
		at = info_tag(6, 0);
		assert_int_equal(get(at + 4, 4), 16 + 4 * 24);
		assert_int_equal(get(at + 8, 4), 24);
		assert_int_equal(get(at + 16 + 2 * 24, 8), MIB);
		assert_int_equal(get(at + 16 + 2 * 24 + 16, 4), 1);
		assert_int_equal(get(info_tag(8, 0) + 8, 8), 0xb8000);
		assert_int_equal(ram[info_tag(8, 0) + 29], 2);
		assert_memory_equal(ram + info_tag(14, 0) + 8, "RSD PTR abcdefghijkl", 20);
		assert_memory_equal(ram + info_tag(15, 0) + 8, ram + 0xe0000, 36);
		assert_int_equal(get(info_tag(21, 0) + 8, 4), MIB);
		at = info_tag(9, 0);
		assert_int_equal(get(at + 8, 4), 3);
		assert_int_equal(get(at + 16, 4), 2);
		h = at + 20 + (wide ? 64 : 40);
		assert_int_equal(get(h + (wide ? 16 : 12), 4), MIB);
		h += wide ? 64 : 40;
		assert_memory_equal(ram + get(h + (wide ? 16 : 12), 4), file + 0x9000, 100);
	}
	/* sections that lie are not told */
	put(0x8000 + 128 + 24, sizeof(file) - 99, 8);
	assert_int_equal(load(), 0);
	assert_int_equal(info_tag(9, 0), 0);
}

static void multiboot2_addresses(void **state)
{
	static const uint32_t where[] = { 2 * MIB + 0x1000, 2 * MIB, 2 * MIB + 0x2000, 3 * MIB };
	static const uint32_t start[] = { 2 * MIB + 0x100 };

	(void)state;
	make_multiboot2(0);
	header_tag(2, 0, where, 4);
	refused(-EINVAL, "no entry");
	header_tag(3, 0, start, 1);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, 2 * MIB + 0x100);
	assert_memory_equal(ram + 2 * MIB, file, 0x2000);
	assert_int_equal(info_tag(9, 0), 0);
	assert_int_equal(get(info_tag(21, 0) + 8, 4), 2 * MIB);
	image.kernel_size = 0x1fff;
	refused(-EINVAL, "truncated");
}

static void multiboot2_refused(void **state)
{
	static const uint32_t strange[] = { 1, 99 };

	(void)state;
	make_multiboot2(4);
	header_tag(6, 0, NULL, 0);
	refused(-EINVAL, "architecture 4");
	make_multiboot2(0);
	header_tag(6, 0, NULL, 0);
	refused(-EINVAL, "no addresses");
	header_tag(1, 0, strange, 2);
	refused(-EINVAL, "information 99");
	make_multiboot2(0);
	header_tag(77, 0, NULL, 0);
	refused(-EINVAL, "tag 77");
	make_multiboot2(0);
	header_tag(6, 0, NULL, 0);
	put(0x1014, 7, 4);
	refused(-EINVAL, "malformed");
	put(0x1014, 0xffffffff, 4);
	refused(-EINVAL, "malformed");
	make_multiboot2(0);
	for (unsigned i = 0; i < 70; i++)
		header_tag(6, 0, NULL, 0);
	refused(-EINVAL, "do not end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(multiboot2_loads, setup),
		cmocka_unit_test_setup(multiboot2_addresses, setup),
		cmocka_unit_test_setup(multiboot2_refused, setup),
		cmocka_unit_test_setup(pvh_loads, setup),
		cmocka_unit_test_setup(elf_refused, setup),
		cmocka_unit_test_setup(elf_copies_once, setup),
		cmocka_unit_test_setup(elf_too_much, setup),
		cmocka_unit_test_setup(multiboot_loads, setup),
		cmocka_unit_test_setup(multiboot_addresses, setup),
		cmocka_unit_test_setup(multiboot_refused, setup),
		cmocka_unit_test_setup(multiboot_modules, setup),
		cmocka_unit_test_setup(modules_many, setup),
		cmocka_unit_test_setup(pvh_modules, setup),
		cmocka_unit_test_setup(multiboot_low, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
