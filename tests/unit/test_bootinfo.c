/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot information: multiboot2 and PVH from bytes, good and hostile; the memory map's resolution;
 * cpio archives; options.
 */
/* links: boot/bootinfo.c boot/multiboot2.c boot/pvh.c boot/cpio.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/gather.h"
#include "include/bits.h"
#include "include/errno.h"

#define MEMORY_SIZE 65536

/* Physical memory from 0. A heap block, so that ASan sees what runs over its end. */
static uint8_t *memory;
static size_t used;

static const void *map(hpa_t a, uint64_t size)
{
	return a.v < MEMORY_SIZE && size <= MEMORY_SIZE - a.v ? memory + a.v : NULL;
}

static int setup(void **state)
{
	(void)state;
	memory = calloc(1, MEMORY_SIZE);
	used = 0;
	gather_reset();
	bootinfo.image_start = HPA(2 * MIB);
	bootinfo.image_size = 300 * KIB + 5;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

/* ---- multiboot2 ---- */

#define INFO 0x1000

static void begin_info(void)
{
	used = INFO + 8;
}

static void put(const void *data, size_t n)
{
	memcpy(memory + used, data, n);
	used += n;
}

static void put32(uint32_t v)
{
	put(&v, 4);
}

static void put64(uint64_t v)
{
	put(&v, 8);
}

static void tag(uint32_t type, uint32_t size)
{
	used = ALIGN_UP(used, 8ul);
	put32(type);
	put32(size);
}

static void string_tag(uint32_t type, const char *s)
{
	tag(type, 8 + (uint32_t)strlen(s) + 1);
	put(s, strlen(s) + 1);
}

static void module_tag(uint32_t start, uint32_t end, const char *s)
{
	tag(3, 16 + (uint32_t)strlen(s) + 1);
	put32(start);
	put32(end);
	put(s, strlen(s) + 1);
}

static void region_entry(uint64_t start, uint64_t size, uint32_t type)
{
	put64(start);
	put64(size);
	put32(type);
	put32(0);
}

static void end_info(void)
{
	uint32_t size;

	tag(0, 8);
	size = (uint32_t)(used - INFO);
	memcpy(memory + INFO, &size, 4);
}

static int gather_now(void)
{
	int err = multiboot2_gather(HPA(INFO), map);

	gather_finish();
	return err;
}

static void expect_region(unsigned i, uint64_t start, uint64_t end, enum boot_mem type)
{
	assert_true(i < bootinfo.region_count);
	assert_int_equal(bootinfo.region[i].start.v, start);
	assert_int_equal(bootinfo.region[i].start.v + bootinfo.region[i].size, end);
	assert_int_equal(bootinfo.region[i].type, type);
}

static void test_multiboot2(void **state)
{
	uint8_t rsdp[36] = "RSD PTR ";

	(void)state;
	begin_info();
	string_tag(1, "panic=reboot cpus=4");
	string_tag(2, "GRUB 2.06");
	module_tag(0x800000, 0x800801, "/boot/vmlinuz  console=ttyS0 quiet");
	module_tag(0x900000, 0x900000, "empty");
	tag(6, 16 + 3 * 24);
	put32(24);
	put32(0);
	region_entry(0, 0x9fc00, 1);
	region_entry(0x9fc00, 0x400, 2);
	region_entry(MIB, 15 * MIB, 1);
	tag(0x7777, 12);
	put32(1);
	tag(14, 28);
	put(rsdp, 20);
	tag(15, 44);
	rsdp[15] = 2;
	put(rsdp, 36);
	end_info();

	assert_int_equal(gather_now(), 0);
	assert_string_equal(bootinfo.cmdline, "panic=reboot cpus=4");
	assert_string_equal(bootinfo.loader, "GRUB 2.06");
	assert_int_equal(bootinfo.module_count, 2);
	assert_string_equal(bootinfo.module[0].name, "vmlinuz");
	assert_string_equal(bootinfo.module[0].args, "console=ttyS0 quiet");
	assert_int_equal(bootinfo.module[0].size, 0x801);
	assert_string_equal(bootinfo.module[1].name, "empty");
	assert_string_equal(bootinfo.module[1].args, "");
	assert_true(bootinfo.rsdp_valid);
	assert_int_equal(bootinfo.rsdp[15], 2);
	assert_false(bootinfo.uefi);
	expect_region(0, 0, INFO, BOOT_MEM_USABLE);
	expect_region(1, INFO, INFO + 0x1000, BOOT_MEM_MODULES);
	expect_region(2, INFO + 0x1000, 0x9f000, BOOT_MEM_USABLE);
	expect_region(3, 0x9f000, 0xa0000, BOOT_MEM_RESERVED);
	expect_region(4, MIB, 2 * MIB, BOOT_MEM_USABLE);
	expect_region(5, 2 * MIB, 2 * MIB + 304 * KIB, BOOT_MEM_KEEL);
	expect_region(6, 2 * MIB + 304 * KIB, 0x800000, BOOT_MEM_USABLE);
	expect_region(7, 0x800000, 0x801000, BOOT_MEM_MODULES);
	expect_region(8, 0x801000, 16 * MIB, BOOT_MEM_USABLE);
	assert_int_equal(bootinfo.region_count, 9);
}

static void gather_screen(uint32_t size, uint8_t type, uint8_t bpp)
{
	uint8_t rest[8] = { bpp, type };

	gather_reset();
	begin_info();
	tag(8, size);
	put64(0xb8000);
	put32(160);
	put32(80);
	put32(25);
	put(rest, size - 28);
	end_info();
	assert_int_equal(gather_now(), 0);
}

static void test_screens(void **state)
{
	(void)state;
	gather_screen(36, 2, 16);
	assert_int_equal(bootinfo.framebuffer.base.v, 0xb8000);
	assert_int_equal(bootinfo.framebuffer.pitch, 160);
	assert_int_equal(bootinfo.framebuffer.width, 80);
	assert_int_equal(bootinfo.framebuffer.height, 25);
	assert_int_equal(bootinfo.framebuffer.bpp, 16);
	assert_true(bootinfo.framebuffer.text);
	gather_screen(36, 1, 32);
	assert_int_equal(bootinfo.framebuffer.bpp, 32);
	assert_false(bootinfo.framebuffer.text);
	/* Indexed, of no known kind, cut short: none. */
	gather_screen(36, 0, 8);
	assert_int_equal(bootinfo.framebuffer.bpp, 0);
	gather_screen(36, 3, 32);
	assert_int_equal(bootinfo.framebuffer.bpp, 0);
	gather_screen(29, 1, 32);
	assert_int_equal(bootinfo.framebuffer.bpp, 0);
}

static void test_tag_runs_over_the_end(void **state)
{
	(void)state;
	begin_info();
	string_tag(1, "kept");
	tag(2, 0x10000);
	put("X", 1);
	end_info();
	assert_int_equal(gather_now(), -EINVAL);
	assert_string_equal(bootinfo.cmdline, "kept");
}

static void test_tag_too_short(void **state)
{
	(void)state;
	for (uint32_t size = 0; size < 8; size++) {
		begin_info();
		tag(1, size);
		end_info();
		assert_int_equal(gather_now(), -EINVAL);
	}
	for (uint32_t type = 1; type < 24; type++) {
		begin_info();
		tag(type, 8);
		end_info();
		gather_reset();
		assert_int_equal(gather_now(), 0);
	}
}

static void test_block_out_of_reach(void **state)
{
	uint32_t huge = 0xfffffff0, tiny = 8;

	(void)state;
	memcpy(memory + INFO, &huge, 4);
	assert_int_equal(gather_now(), -EINVAL);
	memcpy(memory + INFO, &tiny, 4);
	assert_int_equal(gather_now(), -EINVAL);
	assert_int_equal(multiboot2_gather(HPA(INFO + 4), map), -EINVAL);
	assert_int_equal(multiboot2_gather(HPA(MEMORY_SIZE), map), -EINVAL);
}

static void test_memory_map_entry_size(void **state)
{
	(void)state;
	for (uint32_t entry = 0; entry < 64; entry++) {
		gather_reset();
		begin_info();
		tag(6, 16 + 48);
		put32(entry);
		put32(0);
		region_entry(MIB, MIB, 1);
		region_entry(4 * MIB, MIB, 1);
		end_info();
		assert_int_equal(gather_now(), 0);
		/* The one is the information block itself. */
		assert_true(entry >= 24 || bootinfo.region_count == 1);
	}
}

static void test_module_string_without_end(void **state)
{
	(void)state;
	begin_info();
	tag(3, 16 + 4);
	put32(0x10000);
	put32(0x20000);
	put("abcd", 4);
	tag(3, 16);
	put32(0x30000);
	put32(0x20000);		/* ends before it starts */
	end_info();
	assert_int_equal(gather_now(), 0);
	assert_int_equal(bootinfo.module_count, 1);
	assert_string_equal(bootinfo.module[0].name, "abcd");
}

static void test_too_many_modules(void **state)
{
	(void)state;
	begin_info();
	for (unsigned i = 0; i < BOOT_MODULE_MAX + 20; i++)
		module_tag(0x100000 + i * 0x1000, 0x100800 + i * 0x1000, "a/b/c d");
	end_info();
	assert_int_equal(gather_now(), 0);
	assert_int_equal(bootinfo.module_count, BOOT_MODULE_MAX);
}

/* ---- the memory map ---- */

/*
 * However long the map is, the image and the modules are in the list, and what had no room is
 * counted. Neighbours of one type take one entry.
 */
static void test_map_too_long(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		gather_region(16 * MIB + i * 4096, 4096, BOOT_MEM_USABLE);
	gather_module(20 * MIB, 4096, "a", 1);
	gather_finish();
	assert_int_equal(bootinfo.regions_dropped, 0);
	assert_int_equal(bootinfo.region_count, 4);
	assert_true(boot_image_listed());

	for (unsigned holes = 0; holes < 2; holes++) {
		gather_reset();
		bootinfo.image_start = HPA(2 * MIB);
		bootinfo.image_size = 300 * KIB + 5;
		gather_region(MIB, 7 * MIB, BOOT_MEM_USABLE);
		for (unsigned i = 0; i < BOOT_ENTRY_MAX + 9; i++)
			gather_region(16 * MIB + i * 8192, holes ? 4096 : 1,
				      holes ? BOOT_MEM_USABLE : BOOT_MEM_RESERVED);
		for (unsigned i = 0; i < BOOT_MODULE_MAX; i++)
			gather_module(4 * MIB + i * 8192, 4096, "m", 1);
		gather_finish();
		assert_true(boot_image_listed());
		assert_int_equal(bootinfo.region_count, BOOT_REGION_MAX);
		assert_true(bootinfo.regions_dropped > 9);
		expect_region(1, 2 * MIB, 2 * MIB + 304 * KIB, BOOT_MEM_KEEL);
		expect_region(3, 4 * MIB, 4 * MIB + 4096, BOOT_MEM_MODULES);
	}
}

static void expect_sane(void)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];

		assert_true(r->size);
		assert_true(i == 0 || r->start.v >= end);
		end = r->start.v + r->size;
		assert_true(end > r->start.v || end == 0);
		if (r->type == BOOT_MEM_USABLE)
			assert_true(IS_ALIGNED(r->start.v, PAGE_SIZE) &&
				    IS_ALIGNED(r->size, PAGE_SIZE));
	}
}

static void test_overlaps_go_to_the_stricter(void **state)
{
	(void)state;
	gather_region(0, 16 * MIB, BOOT_MEM_USABLE);
	gather_region(4 * MIB, 4 * MIB, BOOT_MEM_RESERVED);
	gather_region(6 * MIB, 4 * MIB, BOOT_MEM_ACPI);
	gather_region(9 * MIB + 1, 1, BOOT_MEM_BAD);
	gather_finish();
	expect_sane();
	expect_region(3, 4 * MIB, 8 * MIB, BOOT_MEM_RESERVED);
	expect_region(4, 8 * MIB, 9 * MIB, BOOT_MEM_ACPI);
	expect_region(5, 9 * MIB, 9 * MIB + 4096, BOOT_MEM_BAD);
	expect_region(6, 9 * MIB + 4096, 10 * MIB, BOOT_MEM_ACPI);
	expect_region(7, 10 * MIB, 16 * MIB, BOOT_MEM_USABLE);
}

static void test_extremes_of_the_map(void **state)
{
	(void)state;
	gather_region(~0ul, ~0ul, BOOT_MEM_RESERVED);
	gather_region(0, ~0ul, BOOT_MEM_USABLE);
	gather_region(5, 10, BOOT_MEM_USABLE);
	gather_region(~0ul - 100, 101, BOOT_MEM_USABLE);
	gather_finish();
	expect_sane();
}

static void test_random_maps(void **state)
{
	(void)state;
	srand(7);
	for (unsigned round = 0; round < 200; round++) {
		gather_reset();
		for (unsigned i = 0; i < 300; i++)
			gather_region((uint64_t)rand() << rand() % 33,
				      (uint64_t)rand() << rand() % 33,
				      (enum boot_mem)(rand() % 7));
		gather_finish();
		expect_sane();
	}
}

/* ---- PVH and cpio ---- */

static uint64_t put_at(uint64_t at, const void *data, size_t n)
{
	memcpy(memory + at, data, n);
	return at + n;
}

static uint64_t put_member(uint64_t at, const char *name, unsigned mode, const char *data)
{
	char head[111];

	snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 1, mode, 0, 0, 1, 0, (unsigned)strlen(data), 0, 0, 0, 0,
		 (unsigned)strlen(name) + 1, 0);
	at = put_at(at, head, 110);
	at = ALIGN_UP(put_at(at, name, strlen(name) + 1), 4ul);
	return ALIGN_UP(put_at(at, data, strlen(data)), 4ul);
}

static void test_pvh(void **state)
{
	uint64_t module = 0x8000, end;
	struct {
		uint32_t magic, version, flags, modules;
		uint64_t module_list, cmdline, rsdp, map;
		uint32_t map_count, reserved;
	} info = { PVH_LOADED, 1, 0, 1, 0x2000, 0x3000, 0, 0x4000, 2, 0 };

	(void)state;
	end = put_member(module, "./keel.conf", 0100644, "[vm a]\n");
	end = put_member(end, "guests", 040755, "");
	end = put_member(end, "guests/vmlinuz", 0100644, "MZ");
	end = put_member(end, "TRAILER!!!", 0, "");
	put_at(0x1000, &info, sizeof(info));
	put_at(0x2000, (uint64_t[]){ module, end - module, 0, 0 }, 32);
	put_at(0x3000, "quiet", 6);
	put_at(0x4000, (uint64_t[]){ 0, 0xa0000, 1, MIB, 31 * MIB, 1 }, 48);

	assert_int_equal(pvh_gather(HPA(0x1000), map), 0);
	gather_finish();
	expect_sane();
	assert_string_equal(bootinfo.cmdline, "quiet");
	assert_int_equal(bootinfo.module_count, 2);
	assert_string_equal(bootinfo.module[0].name, "keel.conf");
	assert_int_equal(bootinfo.module[0].size, 7);
	assert_memory_equal(memory + bootinfo.module[0].start.v, "[vm a]\n", 7);
	assert_string_equal(bootinfo.module[1].name, "vmlinuz");
	assert_memory_equal(memory + bootinfo.module[1].start.v, "MZ", 2);
}

static void test_cpio_cut_anywhere(void **state)
{
	uint64_t end = put_member(0, "one", 0100644, "0123456789");

	(void)state;
	end = put_member(end, "two", 0100644, "abc");
	end = put_member(end, "TRAILER!!!", 0, "");
	for (uint64_t size = 0; size <= end; size++) {
		gather_reset();
		assert_int_equal(cpio_gather(HPA(0), size, map), size >= 110);
		for (unsigned i = 0; i < bootinfo.module_count; i++)
			assert_true(bootinfo.module[i].start.v + bootinfo.module[i].size <= size);
	}
	assert_int_equal(bootinfo.module_count, 2);
}

/* ---- options ---- */

static void test_options(void **state)
{
	char v[8];

	(void)state;
	gather_cmdline("panic=reboot  quiet cpus=0x10 n=12z big=99999999999999999999 "
		       "long=123456789", 100);
	assert_true(boot_option("panic", v, sizeof(v)));
	assert_string_equal(v, "reboot");
	assert_true(boot_option("quiet", v, sizeof(v)));
	assert_string_equal(v, "");
	assert_false(boot_option("pani", v, sizeof(v)));
	assert_false(boot_option("reboot", v, sizeof(v)));
	assert_true(boot_option("long", v, sizeof(v)));
	assert_string_equal(v, "1234567");
	assert_int_equal(boot_option_number("cpus", 1), 16);
	assert_int_equal(boot_option_number("n", 5), 5);
	assert_int_equal(boot_option_number("big", 6), 6);
	assert_int_equal(boot_option_number("absent", 7), 7);
	assert_int_equal(boot_option_number("quiet", 8), 8);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_multiboot2), TEST(test_screens),
		TEST(test_tag_runs_over_the_end), TEST(test_tag_too_short),
		TEST(test_block_out_of_reach), TEST(test_memory_map_entry_size),
		TEST(test_module_string_without_end), TEST(test_too_many_modules),
		TEST(test_overlaps_go_to_the_stricter), TEST(test_extremes_of_the_map),
		TEST(test_map_too_long),
		TEST(test_random_maps), TEST(test_pvh), TEST(test_cpio_cut_anywhere),
		TEST(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
