/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The older modes of the processor, each with exits of every kind: 32-bit code with no paging,
 * two-level and PAE paging; real mode with its vector table and the 8259s. modes.asm has the code.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

#define SEL_APIC	0x50
#define SEL_MAIN	0x58
#define SEL_OTHER	0x60
#define SEL_GATE	0x68
#define DONE		0xd09e

extern uint32_t modes_result[64], legacy_cr3, legacy_cr4, legacy_paging, pae_entry, pae_other;
extern char body_32[], body_pae[], body_real[], body_tasks[], other_task[];
void legacy_run(const char *fn);

uint32_t tss_main[26], tss_other[26];
uint64_t tasks_idt[0x21];
static uint32_t directory[1024] aligned(4096);
static uint64_t pae_root[4] aligned(4096);

static const char *name_of(const char *mode, const char *what)
{
	static char text[64];
	unsigned n = 0;

	while (*mode)
		text[n++] = *mode++;
	while (*what && n + 1 < sizeof(text))
		text[n++] = *what++;
	text[n] = 0;
	return text;
}

static void run_32(const char *mode, uint32_t cr3, uint32_t cr4, bool paging)
{
	static const struct { unsigned index; uint32_t want; const char *name; } wanted[] = {
		{ 3, 0x112233ff, "in_byte" }, { 4, 0x1122ffff, "in_word" },
		{ 5, 0xffffffff, "in_long" }, { 6, 0xfe, "out" }, { 7, 0x10055, "mmio_moffs" },
		{ 8, 0x10057, "mmio_or" }, { 9, 0x10057, "mmio_segment_base" },
		{ 10, 0x10011, "mmio_rep_stos" }, { 11, 0xffffffff, "rep_insb" },
		{ 15, 0x5a5a, "stack" }, { 16, DONE, "end" },
	};

	print("TRY %s\n", mode);
	fill(modes_result, 0, sizeof(modes_result));
	legacy_cr3 = cr3;
	legacy_cr4 = cr4;
	legacy_paging = paging;
	legacy_run(body_32);
	for (unsigned i = 0; i < 3; i++)
		check_equal(modes_result[i], cpuid(0).ebx, name_of(mode, "cpuid"));
	for (unsigned i = 0; i < ARRAY_COUNT(wanted); i++)
		check_equal(modes_result[wanted[i].index], wanted[i].want,
			    name_of(mode, wanted[i].name));
	check(!(modes_result[12] & (EFER_LMA | EFER_LME)), name_of(mode, "efer"), "%x",
	      modes_result[12]);
	check_equal(modes_result[13] >> 31, paging, name_of(mode, "cr0_pg"));
}

/* A page directory whose first page is `page`. */
static uint32_t pointer_to(const void *page)
{
	uint64_t *pd = page_get(), *pt = page_get();

	pt[0] = (uint64_t)page | PTE_P | PTE_W | PTE_U;
	pd[0] = (uint64_t)pt | PTE_P | PTE_W | PTE_U;
	return (uint32_t)(uint64_t)pd | PTE_P;
}

static void pkru_set(uint32_t value)
{
	uint64_t cr4 = cr4_read();

	cr4_write(cr4 | CR4_PKE);
	wrpkru(value);
	cr4_write(cr4);
}

/*
 * PAE's four pointers: what the processor takes for its own accesses a hypervisor takes for INS and
 * MOVS, the loaded ones where they are loaded. Keys, which forbid everything here, are for long
 * mode alone.
 */
static void pae_pointers(void)
{
	uint32_t *first = page_get(), *other = page_get();
	bool loaded = !on_qemu_chip(), keys = cpu_has_keys();

	print("TRY pae pointers\n");
	fill(modes_result, 0, sizeof(modes_result));
	pae_root[1] = pointer_to(first);
	pae_entry = (uint32_t)(uint64_t)&pae_root[1];
	pae_other = pointer_to(other);
	legacy_cr3 = (uint32_t)(uint64_t)pae_root;
	legacy_cr4 = (uint32_t)(CR4_PAE | (keys ? CR4_PKE : 0));
	legacy_paging = true;
	if (keys)
		pkru_set(3);
	legacy_run(body_pae);
	if (keys)
		pkru_set(0);
	check_equal(modes_result[0], 0xff, "pae_ins_as_read");
	check_equal(modes_result[1], 0x10055, "pae_movs_as_read");
	check_equal(modes_result[2], loaded ? 0 : 0xff, "pae_pointer_loaded_anew");
	check_equal(modes_result[3], 0xff, "pae_ins_anew");
	check(first[0] == (loaded ? 0xff : 0) && first[1] == (loaded ? 0x10055 : 0),
	      "pae_pointer_loaded", "%x %x", first[0], first[1]);
	check(other[0] == 0xff && other[1] == 0x10055, "pae_pointer_in_memory", "%x %x", other[0],
	      other[1]);
	check_equal(modes_result[4], DONE, "pae_pointers_end");
}

static uint64_t tss_descriptor(const uint32_t *tss)
{
	uint64_t base = (uint64_t)tss;

	return 103 | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
}

/* TSSs of 32 bits: by CALL, JMP, IRET and gates, of an exception with its error code. */
static void tasks(const char *mode, uint64_t cr3, uint64_t cr4, bool paging)
{
	const struct { unsigned index; uint32_t mask, want; const char *name; } wanted[] = {
		{ 0, ~0u, 1, "task_called" }, { 1, 0x4000, 0x4000, "task_nested" },
		{ 2, 8, 8, "task_ts" }, { 3, ~0u, SEL_OTHER, "task_tr" },
		{ 4, 0xffff, SEL_MAIN, "task_link" }, { 5, ~0u, 2, "task_gates" },
		{ 6, ~0u, 0, "task_int_next" }, { 7, ~0u, 0xfff8, "task_error" },
		{ 8, ~0u, 0, "task_fault" }, { 10, 0x4000, 0, "task_jumped" },
		{ 12, ~0u, 0x12345678, "task_registers" }, { 13, 0x4000, 0, "task_back" },
		{ 14, 0xf00, 0xb00, "task_busy" }, { 15, 0xf00, 0x900, "task_free" },
		{ 22, ~0u, 2, "task_nmis" }, { 23, ~0u, 1, "task_interrupt" },
		{ 11, ~0u, DONE, "task_end" },
	};
	static uint32_t stack[256];

	print("TRY %stasks\n", mode);
	fill(modes_result, 0, sizeof(modes_result));
	fill(tss_main, 0, sizeof(tss_main));
	fill(tss_other, 0, sizeof(tss_other));
	tss_other[8] = (uint32_t)(uint64_t)other_task;
	tss_other[9] = 2;
	tss_other[14] = (uint32_t)(uint64_t)(stack + 256);
	for (unsigned r = 18; r < 24; r++)
		tss_other[r] = r == 19 ? SEL_CODE32 : SEL_DATA;
	tss_main[7] = tss_other[7] = (uint32_t)cr3;
	gdt[SEL_MAIN / 8] = tss_descriptor(tss_main);
	gdt[SEL_OTHER / 8] = tss_descriptor(tss_other);
	gdt[SEL_GATE / 8] = SEL_OTHER << 16 | 0x85ul << 40;
	tasks_idt[2] = tasks_idt[13] = tasks_idt[0x20] = gdt[SEL_GATE / 8];
	legacy_cr3 = (uint32_t)cr3;
	legacy_cr4 = (uint32_t)cr4;
	legacy_paging = paging;
	legacy_run(body_tasks);
	for (unsigned i = 0; i < ARRAY_COUNT(wanted); i++)
		check_equal(modes_result[wanted[i].index] & wanted[i].mask,
			    i == 6 ? modes_result[20] : i == 8 ? modes_result[21] : wanted[i].want,
			    name_of(mode, wanted[i].name));
	if (!on_qemu_chip())
		check_equal(modes_result[9] & 0x10000, 0x10000, name_of(mode, "task_resume"));
	gdt[SEL_TSS / 8] &= ~(1ul << 41);
	__asm__ volatile("ltr %w0" :: "r"(SEL_TSS));
}

static void real_mode(void)
{
	print("TRY real mode\n");
	pic_init(0x30);
	pic_mask(0xfffe);
	apic_write(APIC_LVT_LINT0, 0x700);
	outb(0x43, 0x34);
	outb(0x40, 0xa9);
	outb(0x40, 0x04);			/* 1 kHz */
	fill(modes_result, 0, sizeof(modes_result));
	legacy_cr3 = 0;
	legacy_cr4 = 0;
	legacy_paging = 0;
	legacy_run(body_real);
	pic_mask(0xffff);
	check_equal(modes_result[0], cpuid(0).ebx, "real_cpuid");
	check_equal(modes_result[1], cpuid(0).ebx, "real_cpuid_66");
	check_equal(modes_result[2], 0x1122ffff, "real_in_word");
	check_equal(modes_result[3], 0xffffffff, "real_in_long");
	check_equal(modes_result[4], 7, "real_rep_insb_di");
	check_equal(modes_result[5], 0x00ffffff, "real_rep_insb");
	check_equal(modes_result[6], 7, "real_int_ud_de");
	check_equal(modes_result[7], 3, "real_hlt_interrupts");
	check_equal(modes_result[8] & 0x80000001, 0, "real_cr0");
	check_equal(modes_result[10], DONE, "real_end");
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	gdt[SEL_APIC / 8] = 0xfecf93e00000ffff;	/* base 0xfee00000, 4 GiB */
	for (uint32_t i = 0; i < 1024; i++)
		directory[i] = i << 22 | PTE_PS | PTE_P | PTE_W;
	for (unsigned i = 0; i < 4; i++)
		pae_root[i] = (uint64_t)(boot_pd + i * 512) | PTE_P;
	run_32("flat_", 0, 0, false);
	run_32("two_level_", (uint32_t)(uint64_t)directory, CR4_PSE, true);
	run_32("pae_", (uint32_t)(uint64_t)pae_root, CR4_PAE, true);
	pae_pointers();
	tasks("flat_", 0, 0, false);
	tasks("two_level_", (uint64_t)directory, CR4_PSE, true);
	tasks("pae_", (uint64_t)pae_root, CR4_PAE, true);
	real_mode();
	check_equal(cpuid(0).ebx, modes_result[0], "long_again");
}
