/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own map.
 *
 * Design. Until kmap_init the boot code's tables are in force; only the page array is added to
 * them, by hand, because the walker needs struct pages itself. kmap_init builds the final
 * tables with the walker, takes the page array's part over, and loads them. The direct map
 * shows the image's text and constants read-only, so that no writable alias of code exists.
 * Device windows are handed out upwards and not reused: 512 GiB last. Stacks have equal slots
 * of 16 pages: guard first. A stack that is freed stays mapped, for the next who wants one of its
 * size; when there are many of these, half of them go, with one shootdown for all.
 *
 * Locking. kmap_lock (LOCK_KMAP) guards the tables, the window cursor and the stack slots. The TLB
 * shootdown happens without it, since the other CPUs may wait for it with interrupts off; addresses
 * and frames are given free only after it.
 */
#include "mm/kmap.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "lib/string.h"

#define STACK_SLOT	(16 * PAGE_SIZE)
#define STACK_GROUP	(8 * PAGE_SIZE)		/* slots whose bits fill a page */
#define STACK_GROUPS	(LAYOUT_STACKS_SIZE / STACK_SLOT / STACK_GROUP)
#define SPARES		32u			/* freed stacks that stay mapped */
#define FLUSH_MAX	64		/* pages one by one; above, everything */
#define RESERVED_GAP	(64 * MIB)
#define PAT_VALUE \
	(PAT_WB | PAT_WT << 8 | PAT_UC_MINUS << 16 | PAT_UC << 24 | (uint64_t)PAT_WC << 32 | \
	 (uint64_t)PAT_WP << 40 | (uint64_t)PAT_UC_MINUS << 48 | (uint64_t)PAT_UC << 56)

extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[];
extern char data_start[], data_end[];

uint64_t kmap_cr3;

static struct spinlock kmap_lock = SPINLOCK_INIT("kmap", LOCK_KMAP);
static struct paging map;
static uint64_t io_next = LAYOUT_IO + PAGE_SIZE;
static uint64_t *stack_used[STACK_GROUPS];	/* a page of bits each, made when wanted */
static struct stack {
	uint64_t base;
	unsigned pages;
} spare[SPARES];
static unsigned spare_count;

hpa_t kmap_direct_hpa(const void *p)
{
	uintptr_t v = (uintptr_t)p;

	if (v >= LAYOUT_IMAGE)
		return HPA(bootinfo.image_start.v + (v - (uintptr_t)image_start));
	ASSERT(v - LAYOUT_DIRECT < LAYOUT_DIRECT_SIZE);
	return HPA(v - LAYOUT_DIRECT);
}

/* ---- TLBs ------------------------------------------------------------------------------------ */

struct flush {
	uint64_t va, pages;
};

static void flush_here(void *arg)
{
	const struct flush *f = arg;
	uint64_t cr4;

	if (f->pages <= FLUSH_MAX) {
		for (uint64_t i = 0; i < f->pages; i++)
			cpu_invlpg(f->va + i * PAGE_SIZE);
		return;
	}
	/* Global entries go only so. */
	cr4 = cpu_read_cr4();
	cpu_write_cr4(cr4 & ~CR4_PGE);
	cpu_write_cr4(cr4);
}

static void flush_all_cpus(uint64_t va, uint64_t size)
{
	struct flush f = { va, size / PAGE_SIZE };

	ASSERT(!spin_held_count());
	flush_here(&f);
	if (cpu_count > 1)
		ipi_call_others(flush_here, &f);
}

/* Removes exact former mappings, so nothing is split and nothing can fail. kmap_lock held. */
static void unmap_locked(uint64_t va, uint64_t size)
{
	ASSERT(spin_held(&kmap_lock));
	if (paging_unmap(&map, va, size) < 0)
		panic("kmap: %lx cannot be unmapped", va);
}

static void unmap(uint64_t va, uint64_t size)
{
	struct list tables;
	uint64_t irq = spin_lock_irq(&kmap_lock);

	unmap_locked(va, size);
	paging_retired(&map, &tables);
	spin_unlock_irq(&kmap_lock, irq);
	flush_all_cpus(va, size);
	paging_free_retired(&tables);
}

/* ---- device windows -------------------------------------------------------------------------- */

/*
 * Large windows begin at the same offset in 2 MiB as what they show, for large leaves. A page stays
 * free between two.
 */
static uint64_t io_place(uint64_t pa, uint64_t size)
{
	uint64_t va = io_next;

	ASSERT(spin_held(&kmap_lock));
	if (size >= PAGE_2M)
		va = ALIGN_UP(va, PAGE_2M) + pa % PAGE_2M;
	if (!range_within(va, size, LAYOUT_IO, LAYOUT_IO_SIZE))
		return 0;
	io_next = va + size + PAGE_SIZE;
	return va;
}

void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	uint64_t offset = a.v % PAGE_SIZE, pa = a.v - offset;
	uint64_t span = ALIGN_UP(size + offset, PAGE_SIZE), va, irq;
	int err = -EINVAL;

	if (!size || size > LAYOUT_IO_SIZE / 2 || pa + span < pa)
		return NULL;
	irq = spin_lock_irq(&kmap_lock);
	va = io_place(pa, span);
	if (va)
		err = paging_map(&map, va, HPA(pa), span, PROT_READ | PROT_WRITE | PROT_GLOBAL, c);
	spin_unlock_irq(&kmap_lock, irq);
	return err < 0 ? NULL : (void *)(va + offset);
}

void kmap_io_unmap(void *p, uint64_t size)
{
	uint64_t va = (uint64_t)p, offset = va % PAGE_SIZE;

	ASSERT(range_within(va, size, LAYOUT_IO, LAYOUT_IO_SIZE));
	unmap(va - offset, ALIGN_UP(size + offset, PAGE_SIZE));
}

/* ---- stacks ---------------------------------------------------------------------------------- */

/* Bits of a group, if need be of a new one; NULL without memory. kmap_lock held. */
static uint64_t *group_bits(unsigned group)
{
	struct page *p;

	ASSERT(spin_held(&kmap_lock));
	if (!stack_used[group]) {
		p = page_alloc(0, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);
		stack_used[group] = p ? page_virt(p) : NULL;
	}
	return stack_used[group];
}

/* kmap_lock held. */
static int64_t slot_find(void)
{
	uint64_t *bits;

	ASSERT(spin_held(&kmap_lock));
	for (unsigned g = 0; g < STACK_GROUPS && (bits = group_bits(g)); g++)
		for (unsigned i = 0; i < STACK_GROUP / 64; i++)
			if (~bits[i]) {
				unsigned bit = bit_lowest(~bits[i]);

				bits[i] |= BIT(bit);
				return (int64_t)(g * STACK_GROUP + i * 64 + bit);
			}
	return -ENOSPC;
}

static void slot_free(uint64_t va)
{
	uint64_t slot = (va - LAYOUT_STACKS) / STACK_SLOT, irq = spin_lock_irq(&kmap_lock);

	ASSERT(range_within(va, STACK_SLOT, LAYOUT_STACKS, LAYOUT_STACKS_SIZE));
	stack_used[slot / STACK_GROUP][slot % STACK_GROUP / 64] &= ~BIT(slot % 64);
	spin_unlock_irq(&kmap_lock, irq);
}

/* One frame more on a stack. */
static int stack_page(uint64_t va)
{
	struct page *p = page_alloc(0, 0, NODE_ANY, &page_charge_kernel);
	uint64_t irq;
	int err;

	if (!p)
		return -ENOMEM;
	irq = spin_lock_irq(&kmap_lock);
	err = paging_map(&map, va, page_hpa(p), PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_GLOBAL,
			 CACHE_WB);
	spin_unlock_irq(&kmap_lock, irq);
	if (err < 0)
		page_put(p);
	return err;
}

/* The mapped pages of the slot at `base`. */
static unsigned stack_frames(uint64_t base, struct page *frames[KMAP_STACK_PAGES_MAX])
{
	struct paging_leaf leaf;
	unsigned count = 0;

	while (count < KMAP_STACK_PAGES_MAX &&
	       !paging_lookup(&map, base + (count + 1) * PAGE_SIZE, &leaf))
		frames[count++] = page_at(leaf.address);
	return count;
}

/* Takes the pages of up to half the spares' number back, and the slots; one shootdown. */
static void stacks_release(const struct stack *stacks, unsigned n)
{
	struct page *frames[SPARES / 2][KMAP_STACK_PAGES_MAX];
	unsigned count[SPARES / 2];
	struct list tables;
	uint64_t irq = spin_lock_irq(&kmap_lock);

	for (unsigned i = 0; i < n; i++) {
		count[i] = stack_frames(stacks[i].base, frames[i]);
		/* Even of nothing: a failed mapping may have left tables to be freed. */
		unmap_locked(stacks[i].base + PAGE_SIZE, MAX(count[i], 1u) * PAGE_SIZE);
	}
	paging_retired(&map, &tables);
	spin_unlock_irq(&kmap_lock, irq);
	flush_all_cpus(stacks[0].base, n == 1 ? STACK_SLOT : (FLUSH_MAX + 1) * PAGE_SIZE);
	paging_free_retired(&tables);
	for (unsigned i = 0; i < n; i++) {
		while (count[i])
			page_put(frames[i][--count[i]]);
		slot_free(stacks[i].base);
	}
}

/* The youngest of that size; 0 if there is none. kmap_lock held. */
static uint64_t spare_take(unsigned pages)
{
	ASSERT(spin_held(&kmap_lock));
	for (unsigned i = spare_count; i-- > 0;)
		if (spare[i].pages == pages) {
			uint64_t base = spare[i].base;

			spare[i] = spare[--spare_count];
			return base;
		}
	return 0;
}

/* A stack of `pages` pages in a new slot; 0 without memory. */
static uint64_t stack_make(unsigned pages, int64_t slot)
{
	struct stack s = { LAYOUT_STACKS + (uint64_t)slot * STACK_SLOT, pages };

	for (unsigned i = 1; i <= pages; i++)
		if (stack_page(s.base + i * PAGE_SIZE) < 0) {
			stacks_release(&s, 1);
			return 0;
		}
	return s.base;
}

void *kmap_stack_alloc(unsigned pages)
{
	uint64_t irq, base;
	int64_t slot = -ENOSPC;

	if (!pages || pages > KMAP_STACK_PAGES_MAX)
		return NULL;
	irq = spin_lock_irq(&kmap_lock);
	base = spare_take(pages);
	if (!base)
		slot = slot_find();
	spin_unlock_irq(&kmap_lock, irq);
	if (slot >= 0)
		base = stack_make(pages, slot);
	return base ? (void *)(base + (pages + 1) * PAGE_SIZE) : NULL;
}

void kmap_stack_free(void *top)
{
	struct stack s = { .base = ALIGN_DOWN((uint64_t)top - 1, STACK_SLOT) }, old[SPARES / 2];
	bool full;
	uint64_t irq;

	ASSERT(s.base >= LAYOUT_STACKS && IS_ALIGNED((uint64_t)top, PAGE_SIZE));
	s.pages = (unsigned)(((uint64_t)top - s.base) / PAGE_SIZE - 1);
	irq = spin_lock_irq(&kmap_lock);
	full = spare_count == SPARES;
	if (full) {
		memcpy(old, spare, sizeof(old));
		memmove(spare, spare + SPARES / 2, sizeof(old));
		spare_count = SPARES / 2;
	}
	spare[spare_count++] = s;
	spin_unlock_irq(&kmap_lock, irq);
	if (full)
		stacks_release(old, SPARES / 2);
}

bool kmap_is_guard(uint64_t va)
{
	uint64_t slot = (va - LAYOUT_STACKS) / STACK_SLOT;
	const uint64_t *bits;

	if (va < LAYOUT_STACKS || slot >= STACK_GROUPS * STACK_GROUP ||
	    va % STACK_SLOT >= PAGE_SIZE)
		return false;
	bits = stack_used[slot / STACK_GROUP];
	return bits && bits[slot % STACK_GROUP / 64] & BIT(slot % 64);
}

/* ---- the page array -------------------------------------------------------------------------- */

#define BOOT_TABLE	3u		/* present, writable */
#define BOOT_LARGE	0x83u
#define ARRAY_NX	BIT(63)

/* A table of the boot map, below 4 GiB by nature. */
static uint64_t *boot_table(uint64_t *table, unsigned index)
{
	if (!(table[index] & 1))
		table[index] = page_early_alloc(PAGE_SIZE, PAGE_SIZE).v | BOOT_TABLE;
	return kmap_direct(HPA(table[index] & BITS(51, 12)));
}

static void array_map_boot(uint64_t va, hpa_t a)
{
	uint64_t *t = kmap_direct(HPA(cpu_read_cr3() & BITS(51, 12)));

	t = boot_table(t, va >> 39 & 511);
	t = boot_table(t, va >> 30 & 511);
	t[va >> 21 & 511] = a.v | BOOT_LARGE;
}

void kmap_array_map(uint64_t va, hpa_t a)
{
	ASSERT(IS_ALIGNED(va | a.v, PAGE_2M));
	if (!map.root)
		array_map_boot(va, a);
	else if (paging_map(&map, va, a, PAGE_2M, PROT_READ | PROT_WRITE | PROT_GLOBAL, CACHE_WB) <
		 0)
		fatal_boot("not enough memory for the kernel's page tables: give the machine more");
}

/* ---- building -------------------------------------------------------------------------------- */

static void map_or_die(uint64_t va, hpa_t a, uint64_t size, unsigned prot)
{
	if (size && paging_map(&map, va, a, size, prot | PROT_GLOBAL, CACHE_WB) < 0)
		fatal_boot("not enough memory for the kernel's page tables: give the machine more");
}

static void map_image(char *start, const char *end, unsigned prot)
{
	map_or_die((uint64_t)start, kmap_direct_hpa(start), (uint64_t)(end - start), prot);
}

/* Code and constants have no writable alias. */
static void protect_alias(const char *start, const char *end)
{
	uint64_t va = (uint64_t)kmap_direct(kmap_direct_hpa(start));

	if (paging_protect(&map, va, (uint64_t)(end - start), PROT_READ | PROT_GLOBAL) < 0)
		fatal_boot("not enough memory for the kernel's page tables: give the machine more");
}

/* Up to here the direct map takes reserved regions too. */
static uint64_t reserved_limit(void)
{
	uint64_t end = MIB;

	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];

		if (r->type != BOOT_MEM_RESERVED && r->type != BOOT_MEM_BAD && r->start.v < 4 * GIB)
			end = MAX(end, r->start.v + r->size);
	}
	return MIN(ALIGN_UP(end, RESERVED_GAP), 4 * GIB);
}

static bool in_direct_map(const struct boot_region *r, uint64_t limit)
{
	if (r->type == BOOT_MEM_BAD)
		return false;
	return r->type != BOOT_MEM_RESERVED || r->start.v + r->size <= limit;
}

/* Neighbouring regions are mapped together, for large leaves. */
static void map_direct(void)
{
	uint64_t limit = reserved_limit(), start = 0, end = MIB;

	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];
		uint64_t first = ALIGN_DOWN(r->start.v, PAGE_SIZE);
		uint64_t last = MIN(ALIGN_UP(r->start.v + r->size, PAGE_SIZE), LAYOUT_DIRECT_SIZE);

		if (!in_direct_map(r, limit) || last <= end)
			continue;
		if (first > end) {
			map_or_die(LAYOUT_DIRECT + start, HPA(start), end - start,
				   PROT_READ | PROT_WRITE);
			start = first;
		}
		end = last;
	}
	map_or_die(LAYOUT_DIRECT + start, HPA(start), end - start, PROT_READ | PROT_WRITE);
}

static bool have_1g_pages(void)
{
	return cpu_cpuid(0x80000000, 0).eax >= 0x80000001 &&
	       (cpu_cpuid(0x80000001, 0).edx & BIT(26));
}

/*
 * The part that array_map_boot made goes on in the final map, no-execute from the top; its tables
 * are never freed.
 */
static void adopt_array(void)
{
	const uint64_t *boot = kmap_direct(HPA(cpu_read_cr3() & BITS(51, 12)));
	uint64_t *root = page_virt(map.root);

	root[LAYOUT_PAGES >> 39 & 511] = boot[LAYOUT_PAGES >> 39 & 511] | ARRAY_NX;
	map.root->used++;
}

void kmap_init(void)
{
	if (paging_init(&map, &paging_host, have_1g_pages() ? 3 : 2, &page_charge_kernel))
		fatal_boot("not enough memory for the kernel's page tables: give the machine more");
	adopt_array();
	map_direct();
	map_image(text_start, text_end, PROT_READ | PROT_EXEC);
	map_image(rodata_start, rodata_end, PROT_READ);
	map_image(data_start, data_end, PROT_READ | PROT_WRITE);
	protect_alias(text_start, text_end);
	protect_alias(rodata_start, rodata_end);
	kmap_cr3 = page_hpa(map.root).v;
	kmap_cpu_init();
	page_init_high();
}

static uint64_t cr4_wanted(void)
{
	struct cpuid_regs r = { 0 };
	uint64_t cr4 = CR4_PGE;

	if (cpu_cpuid(0, 0).eax >= 7)
		r = cpu_cpuid(7, 0);
	if (r.ebx & BIT(7))
		cr4 |= CR4_SMEP;
	if (r.ebx & BIT(20))
		cr4 |= CR4_SMAP;
	if (r.ecx & BIT(2))
		cr4 |= CR4_UMIP;
	return cr4;
}

void kmap_cpu_init(void)
{
	if (!(cpu_cpuid(0x80000001, 0).edx & BIT(20)))
		fatal_boot("the CPU cannot mark pages no-execute: enable NX (XD) in the firmware's settings");
	cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) | EFER_NXE);
	cpu_wrmsr(MSR_PAT, PAT_VALUE);
	cpu_write_cr0(cpu_read_cr0() | CR0_WP);
	cpu_write_cr3(kmap_cr3);
	/* With lower-half pages of the boot map gone SMEP and SMAP have nothing to hit. */
	cpu_write_cr4(cpu_read_cr4() | cr4_wanted());
}
