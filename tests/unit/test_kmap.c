/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mm/paging.c mm/paging_host.c mm/page_init.c mm/page.c mm/page_intake.c tests/host/memory.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * The kernel's map built from a machine's memory map, by the real mm/kmap.c (compiled here, with
 * CR3 faked): nothing is both writable and executable, the image's constants have no writable
 * alias, guard pages stay empty, windows and stacks come and go.
 */
#include "cpu/cpu.h"

static uint64_t fake_cr3, loaded_cr3, loaded_cr4;

#define cpu_read_cr3()		fake_cr3
#define cpu_write_cr3(v)	(loaded_cr3 = (v))
#define cpu_read_cr4()		loaded_cr4
#define cpu_write_cr4(v)	(loaded_cr4 = (v))

#include "mm/kmap.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/memory.h"

#define TOP	(5 * GIB)
#define RESERVED_RAM	(GIB - 64 * KIB)	/* where SeaBIOS keeps its tables */

struct bootinfo bootinfo;

/* The "image": four pages of text, two of constants, three of data. */
static struct { char text[4 * 4096], rodata[2 * 4096], data[3 * 4096]; } image aligned(4096);

__asm__(".globl image_start, text_start, text_end, rodata_start, rodata_end, data_start, data_end\n"
	".set image_start, image\n.set text_start, image\n.set text_end, image + 4 * 4096\n"
	".set rodata_start, image + 4 * 4096\n.set rodata_end, image + 6 * 4096\n"
	".set data_start, image + 6 * 4096\n.set data_end, image + 9 * 4096");

static unsigned shootdowns;

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	shootdowns++;
	fn(arg);
}

static struct cpuid_regs a_modern_cpu(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	switch (leaf) {
	case 0: return (struct cpuid_regs){ .eax = 7 };
	case 7: return (struct cpuid_regs){ .ebx = BIT(7) | BIT(20) };
	case 0x80000000: return (struct cpuid_regs){ .eax = 0x80000008 };
	case 0x80000001: return (struct cpuid_regs){ .edx = BIT(20) | BIT(26) };
	default: return (struct cpuid_regs){ 0 };
	}
}

static void region(uint64_t start, uint64_t end, enum boot_mem type)
{
	bootinfo.region[bootinfo.region_count++] = (struct boot_region){
		HPA(start), end - start, type,
	};
}

static int start(void **state)
{
	(void)state;
	memory_reserve(TOP);
	host_cpuid = a_modern_cpu;
	bootinfo.image_start = HPA(2 * MIB);
	bootinfo.image_size = sizeof(image);
	region(0, 0x9f000, BOOT_MEM_USABLE);
	region(MIB, 2 * MIB, BOOT_MEM_USABLE);
	region(2 * MIB, 2 * MIB + sizeof(image), BOOT_MEM_KEEL);
	region(2 * MIB + sizeof(image), RESERVED_RAM, BOOT_MEM_USABLE);
	region(RESERVED_RAM, GIB, BOOT_MEM_RESERVED);
	region(0xb0000000, 0xc0000000, BOOT_MEM_RESERVED);
	region(4 * GIB, 5 * GIB, BOOT_MEM_USABLE);
	fake_cr3 = 0x5000;	/* the boot code's tables, in low memory */
	page_init();
	kmap_init();
	return 0;
}

static unsigned prot_at(const void *va)
{
	struct paging_leaf leaf;

	return paging_lookup(&map, (uint64_t)va, &leaf) ? 0 : leaf.prot;
}

static void visit(struct page *table, unsigned level, unsigned *leaves)
{
	const uint64_t *e = page_virt(table);

	for (unsigned i = 0; i < 512; i++) {
		if (!(e[i] & 1))
			continue;
		if (level > 1 && !(e[i] & BIT(7))) {
			/* A part that is no-execute from its top needs no bits below. */
			if (!(e[i] & BIT(63)))
				visit(page_at(HPA(e[i] & BITS(51, 12))), level - 1, leaves);
			continue;
		}
		assert_true(!(e[i] & BIT(1)) || (e[i] & BIT(63)));
		assert_false(e[i] & BIT(2));
		++*leaves;
	}
}

static void nothing_is_writable_and_executable(void **state)
{
	unsigned leaves = 0;

	(void)state;
	visit(map.root, 4, &leaves);
	assert_true(leaves > 20);
	assert_int_equal(loaded_cr3, kmap_cr3);
	assert_int_equal(kmap_cr3, page_hpa(map.root).v);
	assert_int_equal(loaded_cr4, CR4_PGE | CR4_SMEP | CR4_SMAP);
}

static void the_image_is_protected(void **state)
{
	(void)state;
	assert_int_equal(prot_at(image.text), PROT_READ | PROT_EXEC | PROT_GLOBAL);
	assert_int_equal(prot_at(image.rodata), PROT_READ | PROT_GLOBAL);
	assert_int_equal(prot_at(image.data), PROT_READ | PROT_WRITE | PROT_GLOBAL);
	assert_int_equal(prot_at(image.data + 3 * 4096), 0);
	assert_int_equal(kmap_direct_hpa(image.data).v, 2 * MIB + 6 * 4096);
	assert_int_equal(prot_at(kmap_direct(kmap_direct_hpa(image.text))),
			 PROT_READ | PROT_GLOBAL);
	assert_int_equal(prot_at(kmap_direct(kmap_direct_hpa(image.rodata + 8191))),
			 PROT_READ | PROT_GLOBAL);
	assert_int_equal(prot_at(kmap_direct(kmap_direct_hpa(image.data))),
			 PROT_READ | PROT_WRITE | PROT_GLOBAL);
}

static void the_direct_map_shows_memory_only(void **state)
{
	struct paging_leaf leaf;

	(void)state;
	assert_true(prot_at(kmap_direct(HPA(0))));
	assert_true(prot_at(kmap_direct(HPA(0xb8000))));
	assert_true(prot_at(kmap_direct(HPA(RESERVED_RAM))));
	assert_false(prot_at(kmap_direct(HPA(GIB))));
	assert_false(prot_at(kmap_direct(HPA(0xb0000000))));
	assert_false(prot_at(kmap_direct(HPA(4 * GIB - 1))));
	assert_false(prot_at(kmap_direct(HPA(5 * GIB))));
	assert_int_equal(paging_lookup(&map, LAYOUT_DIRECT + 4 * GIB, &leaf), 0);
	assert_int_equal(leaf.size, PAGE_1G);
	assert_int_equal(leaf.address.v, 4 * GIB);
}

static void windows_show_devices(void **state)
{
	struct paging_leaf leaf;
	char *a = kmap_io(HPA(0xfee00030), 4, CACHE_UC);
	char *b = kmap_io(HPA(0xb0000000), 256 * MIB, CACHE_UC);
	char *c = kmap_io(HPA(0xfed00ffe), 4, CACHE_WB);

	(void)state;
	assert_true(a && b && c);
	assert_int_equal((uint64_t)a % PAGE_SIZE, 0x30);
	assert_int_equal(paging_lookup(&map, (uint64_t)a, &leaf), 0);
	assert_int_equal(leaf.address.v, 0xfee00030);
	assert_int_equal(paging_lookup(&map, (uint64_t)b + 5 * MIB, &leaf), 0);
	assert_int_equal(leaf.size, PAGE_2M);
	assert_int_equal(leaf.address.v, 0xb0000000 + 5 * MIB);
	assert_int_equal(paging_lookup(&map, (uint64_t)c + 3, &leaf), 0);
	assert_int_equal(leaf.address.v, 0xfed01001);
	assert_false(prot_at(a - PAGE_SIZE));
	assert_false(prot_at(a + PAGE_SIZE));
	kmap_io_unmap(b, 256 * MIB);
	assert_false(prot_at(b));
	assert_false(prot_at(b + 256 * MIB - 1));
	kmap_io_unmap(c, 4);
	assert_false(prot_at(c));
	assert_false(prot_at(c + 4));
	kmap_io_unmap(a, 4);
	assert_null(kmap_io(HPA(0), 0, CACHE_UC));
	assert_null(kmap_io(HPA(0), 1ul << 50, CACHE_UC));
	assert_null(kmap_io(HPA(~0ul - 10), 4096, CACHE_UC));
}

static void stacks_have_guards(void **state)
{
	uint64_t before;
	char *s[20];

	(void)state;
	/* The first leaves its slots' bits and, as a spare, the tables above them. */
	s[0] = kmap_stack_alloc(4);
	kmap_stack_free(s[0]);
	before = memory_free();
	for (unsigned i = 0; i < 20; i++) {
		s[i] = kmap_stack_alloc(4);
		assert_non_null(s[i]);
		assert_int_equal((uint64_t)s[i] % 16, 0);
		assert_true(prot_at(s[i] - 1) & PROT_WRITE);
		assert_true(prot_at(s[i] - 4 * PAGE_SIZE));
		assert_false(prot_at(s[i] - 4 * PAGE_SIZE - 1));
		assert_true(kmap_is_guard((uint64_t)s[i] - 4 * PAGE_SIZE - 1));
		assert_false(kmap_is_guard((uint64_t)s[i] - 4 * PAGE_SIZE));
	}
	for (unsigned i = 0; i < 20; i++)
		kmap_stack_free(s[i]);
	/* They stay as they are for who comes next, the youngest first. */
	assert_true(kmap_is_guard((uint64_t)s[0] - 4 * PAGE_SIZE - 1));
	assert_int_equal(memory_free(), before - 19 * 4);
	assert_ptr_equal(kmap_stack_alloc(4), s[19]);
	assert_int_equal(memory_free(), before - 19 * 4);
	kmap_stack_free(s[19]);
	assert_null(kmap_stack_alloc(0));
	assert_null(kmap_stack_alloc(KMAP_STACK_PAGES_MAX + 1));
	s[0] = kmap_stack_alloc(KMAP_STACK_PAGES_MAX);
	assert_non_null(s[0]);
	kmap_stack_free(s[0]);
	/* Memory that runs out half-way leaves nothing. */
	before = memory_free();
	for (unsigned i = 0; i < 5; i++) {
		page_charge_kernel.limit = page_charge_kernel.pages + i;
		assert_null(kmap_stack_alloc(5));
		page_charge_kernel.limit = 0;
		assert_int_equal(memory_free(), before);
	}
}

/* Far more than fill one page of bits; what is freed goes in heaps, each with one shootdown. */
static void as_many_stacks_as_memory_holds(void **state)
{
	enum { MANY = 40000 };
	char **s = calloc(MANY, sizeof(*s));
	uint64_t before = memory_free();

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		s[i] = kmap_stack_alloc(1);
		assert_non_null(s[i]);
	}
	assert_true(kmap_is_guard((uint64_t)s[MANY - 1] - PAGE_SIZE - 1));
	shootdowns = 0;
	for (unsigned i = 0; i < MANY; i++)
		kmap_stack_free(s[i]);
	assert_in_range(shootdowns, 1, MANY / (SPARES / 2) + 1);
	assert_int_equal(spare_count <= SPARES, true);
	assert_false(kmap_is_guard((uint64_t)s[100] - PAGE_SIZE - 1));
	/* What stays: the spares, instead of larger ones, the tables above them, a page of bits. */
	assert_true(memory_free() + 1 + 2 * SPARES >= before);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_writable_and_executable),
		cmocka_unit_test(the_image_is_protected),
		cmocka_unit_test(the_direct_map_shows_memory_only),
		cmocka_unit_test(windows_show_devices),
		cmocka_unit_test(stacks_have_guards),
		cmocka_unit_test(as_many_stacks_as_memory_holds),
		cmocka_unit_test(nothing_is_writable_and_executable),
	};

	host_percpu_init(2);
	return cmocka_run_group_tests(tests, start, NULL);
}
