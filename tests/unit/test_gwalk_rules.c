/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c lib/format.c tests/host/guest.c tests/host/heap.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * Who may access what: the walker beside a model that says the manuals' rules one by one, slowly,
 * bit by bit, for all combinations: every bit of every entry of every format and page size, under
 * every width of addresses; every combination of rights, privilege and control bits. Accessed and
 * dirty bits are compared as well.
 */
#include "vmm/insn/gwalk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "cpu/registers.h"
#include "include/errno.h"
#include "tests/host/guest.h"

enum format { LEGACY, PAE_READ, PAE_LOADED, LONG4, LONG5, FORMATS };

static const struct {
	const char *name;
	unsigned levels, index_bits, size;
	uint64_t address;
} formats[] = {
	[LEGACY] = { "32 bits", 2, 10, 4, 0xc0445678 },
	[PAE_READ] = { "PAE, read from memory", 3, 9, 8, 0xc0445678 },
	[PAE_LOADED] = { "PAE, loaded", 3, 9, 8, 0xc0445678 },
	[LONG4] = { "4 levels", 4, 9, 8, 0xffff9234567ab123 },
	[LONG5] = { "5 levels", 5, 9, 8, 0xff329234567ab123 },
};

/* The machine and the access, in words of the manuals. */
static struct {
	enum format format;
	unsigned maxphyaddr;
	bool pages_1g;
	bool wp, pse, nxe, smep, smap, pke;
	bool cpl3, implicit, ac;
	bool write, fetch;
	uint32_t pkru;
} m;

static bool is_pae(void)
{
	return m.format == PAE_READ || m.format == PAE_LOADED;
}

static bool is_long(void)
{
	return m.format == LONG4 || m.format == LONG5;
}

/* ---- the model */

struct outcome {
	bool fault;
	uint32_t error;
	uint64_t gpa;
	unsigned entries;
	struct { uint64_t at, value; } entry[5];	/* afterwards */
};

static bool bit(uint64_t v, unsigned n)
{
	return v >> n & 1;
}

static uint64_t read_entry(uint64_t at)
{
	uint64_t v = 0;

	memcpy(&v, guest_ram + at, formats[m.format].size);
	return v;
}

static unsigned shift_of(unsigned level)
{
	return 12 + (level - 1) * formats[m.format].index_bits;
}

static bool is_page(unsigned level, uint64_t e)
{
	if (level == 1)
		return true;
	if (m.format == LEGACY)
		return m.pse && bit(e, 7);
	if (level == 2)
		return bit(e, 7);
	return level == 3 && is_long() && m.pages_1g && bit(e, 7);
}

static bool is_reserved(unsigned level, bool large, unsigned n)
{
	if (m.format == LEGACY) {
		if (!large)
			return false;
		/* 13 is address bit 32, 20 is 39 */
		return n == 21 || (n >= 13 && n <= 20 && n - 13 + 32 >= m.maxphyaddr);
	}
	if (is_pae() && level == 3)
		return n >= m.maxphyaddr;
	if (n == 63)
		return !m.nxe;
	if (n >= 52)
		return is_pae();
	if (n >= m.maxphyaddr)
		return true;
	if (n == 7)
		return level >= 4 || (level == 3 && !m.pages_1g);
	if (large && level == 2)
		return n >= 13 && n <= 20;
	if (large && level == 3)
		return n >= 13 && n <= 29;
	return false;
}

static bool malformed(unsigned level, uint64_t e)
{
	for (unsigned n = 0; n < 8 * formats[m.format].size; n++)
		if (bit(e, n) && is_reserved(level, level > 1 && is_page(level, e), n))
			return true;
	return false;
}

/* A user's access is one at CPL 3 that the instruction asks for. */
static bool by_user(void)
{
	return m.cpl3 && !m.implicit;
}

static uint32_t error_of_access(void)
{
	bool names_fetches = (formats[m.format].size == 8 && m.nxe) || m.smep;

	return (m.write ? PF_WRITE : 0) | (by_user() ? PF_USER : 0) |
	       (m.fetch && names_fetches ? PF_FETCH : 0);
}

static bool key_denies(bool user_page, uint64_t leaf)
{
	unsigned key = (unsigned)(leaf >> 59) & 15;
	bool no_access = bit(m.pkru, 2 * key), no_write = bit(m.pkru, 2 * key + 1);

	if (!is_long() || !m.pke || !user_page || m.fetch)
		return false;
	if (no_access)
		return true;
	return no_write && m.write && (by_user() || m.wp);
}

static bool rights_deny(bool user_page, bool writable, bool no_execute)
{
	bool supervisor = !by_user();

	if (!supervisor && !user_page)
		return true;
	if (m.fetch && no_execute)
		return true;
	if (m.fetch && supervisor && user_page && m.smep)
		return true;
	if (!m.fetch && supervisor && user_page && m.smap) {
		if (m.implicit)
			return true;
		if (!m.ac)
			return true;
	}
	if (m.write && !writable && !supervisor)
		return true;
	if (m.write && !writable && supervisor && m.wp)
		return true;
	return false;
}

static uint64_t page_address(unsigned level, uint64_t e, uint64_t a)
{
	uint64_t size = 1ul << shift_of(level), base = 0;

	for (unsigned n = shift_of(level); n < (m.format == LEGACY ? 32u : 52u); n++)
		base |= e & 1ul << n;
	if (m.format == LEGACY && level == 2)
		for (unsigned n = 13; n <= 20; n++)
			base |= (uint64_t)bit(e, n) << (n - 13 + 32);
	return base + a % size;
}

static struct outcome faults(struct outcome o, uint32_t error)
{
	o.fault = true;
	o.error = error | error_of_access();
	return o;
}

static struct outcome model(uint64_t table, uint64_t a)
{
	bool user_page = true, writable = true, no_execute = false;
	struct outcome o = { 0 };
	unsigned level;
	uint64_t e = 0;

	for (level = formats[m.format].levels; level > 0; level--) {
		unsigned index_bits = is_pae() && level == 3 ? 2 : formats[m.format].index_bits;
		uint64_t index = a >> shift_of(level) & ((1u << index_bits) - 1);
		uint64_t at = table + index * formats[m.format].size;

		if (at >= GUEST_RAM)		/* nobody there */
			return faults(o, 0);
		e = read_entry(at);
		if (!(is_pae() && level == 3)) {
			o.entry[o.entries].at = at;
			o.entry[o.entries++].value = e;
		}
		if (!bit(e, 0))
			return faults(o, 0);
		/* Those that are loaded were looked at then. */
		if (!(m.format == PAE_LOADED && level == 3) && malformed(level, e))
			return faults(o, PF_PRESENT | PF_RSVD);
		if (!(is_pae() && level == 3)) {
			writable = writable && bit(e, 1);
			user_page = user_page && bit(e, 2);
			no_execute = no_execute || (m.format != LEGACY && bit(e, 63));
		}
		if (is_page(level, e))
			break;
		table = e & (m.format == LEGACY ? 0xfffff000 : 0x000ffffffffff000);
	}
	if (key_denies(user_page, e))
		return faults(o, PF_PRESENT | PF_PK);
	if (rights_deny(user_page, writable, no_execute))
		return faults(o, PF_PRESENT);
	o.gpa = page_address(level, e, a);
	for (unsigned i = 0; i < o.entries; i++)
		o.entry[i].value |= 0x20;
	if (m.write)
		o.entry[o.entries - 1].value |= 0x40;
	return o;
}

/* ---- the walker beside it */

#define TABLE(level)	(0x10000ul + (level) * 0x4000)
#define P		1ul
#define W		2ul
#define U		4ul
#define PS		0x80ul
#define NX		(1ul << 63)

static uint64_t entry_at(unsigned level)
{
	unsigned bits = is_pae() && level == 3 ? 2 : formats[m.format].index_bits;
	uint64_t index = formats[m.format].address >> shift_of(level) & ((1u << bits) - 1);

	return TABLE(level) + index * formats[m.format].size;
}

static void put(unsigned level, uint64_t v)
{
	memcpy(guest_ram + entry_at(level), &v, formats[m.format].size);
}

/* The way to a page of that level, with all rights. */
static void path(unsigned leaf)
{
	for (unsigned level = formats[m.format].levels; level > 0; level--) {
		uint64_t rights = is_pae() && level == 3 ? P : P | W | U;

		if (level == leaf)
			put(level, rights | (level > 1 ? PS : 0) | 0x80000000);
		else
			put(level, rights | TABLE(level - 1));
	}
}

static void describe(const char *what, uint64_t want, uint64_t got)
{
	fail_msg("%s: %s 0x%lx, not 0x%lx; M %u 1g %d wp %d pse %d nxe %d smep %d smap %d pke %d "
		 "cpl3 %d implicit %d ac %d write %d fetch %d pkru %x; entries %lx %lx %lx %lx",
		 formats[m.format].name, what, got, want, m.maxphyaddr, m.pages_1g, m.wp, m.pse,
		 m.nxe, m.smep, m.smap, m.pke, m.cpl3, m.implicit, m.ac, m.write, m.fetch, m.pkru,
		 read_entry(entry_at(4)), read_entry(entry_at(3)), read_entry(entry_at(2)),
		 read_entry(entry_at(1)));
}

static void configure(struct vcpu_mode *mode, struct gwalk_access *by)
{
	features.physical_bits = (uint8_t)m.maxphyaddr;
	features.bits[FEATURE_PAGE_1G / 64] = m.pages_1g ? BIT(FEATURE_PAGE_1G % 64) : 0;
	*mode = (struct vcpu_mode){
		.cr0 = CR0_PE | CR0_PG | (m.wp ? CR0_WP : 0),
		.cr3 = TABLE(formats[m.format].levels),
		.cr4 = (m.format == LEGACY ? 0 : CR4_PAE) | (m.format == LONG5 ? CR4_LA57 : 0) |
		       (m.pse ? CR4_PSE : 0) | (m.smep ? CR4_SMEP : 0) | (m.smap ? CR4_SMAP : 0) |
		       (m.pke ? CR4_PKE : 0),
		.efer = (is_long() ? EFER_LME | EFER_LMA : 0) | (m.nxe ? EFER_NXE : 0),
		.cpl = m.cpl3 ? 3 : 0, .bits = is_long() ? 64 : 32, .long_mode = is_long(),
	};
	*by = (struct gwalk_access){
		.access = m.fetch ? GMEM_EXEC : m.write ? GMEM_WRITE : GMEM_READ,
		.ac = m.ac, .implicit = m.implicit, .pkru = m.pkru,
		.has_pdpte = m.format == PAE_LOADED,
		.pdpte = m.format == PAE_LOADED ? read_entry(entry_at(3)) : ~0ul,
	};
}

static unsigned walks, faulted;

static void both(void)
{
	uint64_t a = formats[m.format].address;
	struct outcome want = model(TABLE(formats[m.format].levels), a);
	uint64_t top = read_entry(entry_at(3));
	struct gwalk_access by;
	struct vcpu_mode mode;
	struct event fault;
	struct gwalk out;
	int err;

	configure(&mode, &by);
	err = gwalk(&guest_vm.gmem, &mode, &by, GVA(a), &out, &fault);
	walks++;
	faulted += want.fault;
	if (want.fault != (err == -EFAULT) || (!want.fault && err))
		describe("result", want.fault, (uint64_t)-err);
	if (want.fault && fault.error != want.error)
		describe("error", want.error, fault.error);
	if (want.fault && fault.payload != a)
		describe("address", a, fault.payload);
	if (!want.fault && out.gpa.v != want.gpa)
		describe("gpa", want.gpa, out.gpa.v);
	for (unsigned i = 0; i < want.entries; i++)
		if (read_entry(want.entry[i].at) != want.entry[i].value)
			describe("entry", want.entry[i].value, read_entry(want.entry[i].at));
	/* Nothing marks these: with A set the next load of CR3 would refuse them. */
	if (is_pae() && read_entry(entry_at(3)) != top)
		describe("pointer", top, read_entry(entry_at(3)));
}

static int setup(void **state)
{
	(void)state;
	guest_reset();
	memset(&m, 0, sizeof(m));
	walks = faulted = 0;
	return 0;
}

/* What page sizes there may be, were the chip to have them all. */
static bool may_be_page(unsigned level)
{
	return level <= 2 || (level == 3 && is_long());
}

static void each_bit(unsigned leaf)
{
	for (unsigned level = formats[m.format].levels; level >= leaf; level--) {
		for (unsigned n = 0; n < 8 * formats[m.format].size; n++) {
			path(leaf);
			put(level, read_entry(entry_at(level)) ^ 1ul << n);
			both();
		}
	}
}

static void every_bit_of_every_entry(void **state)
{
	static const unsigned widths[] = { 32, 36, 39, 40, 46, 52 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(widths) * FORMATS * 8; i++) {
		m.maxphyaddr = widths[i / 8 % ARRAY_COUNT(widths)];
		m.format = i / 8 / ARRAY_COUNT(widths);
		m.nxe = i & 1;
		m.pse = i & 2;
		m.pages_1g = i & 4;
		for (unsigned leaf = 1; leaf <= 3; leaf++)
			if (may_be_page(leaf))
				each_bit(leaf);
	}
	assert_true(walks > 50000 && faulted > 5000);
}

/* W, U and NX of one entry, from three bits. */
static uint64_t rights_of(unsigned three)
{
	return (three & 1 ? W : 0) | (three & 2 ? U : 0) |
	       (three & 4 && m.format != LEGACY ? NX : 0);
}

/* All rights at an upper level and at the page, the others allow everything. */
static void set_rights(unsigned six, unsigned leaf, unsigned upper)
{
	const uint64_t all = W | U | NX;

	path(leaf);
	put(leaf, (read_entry(entry_at(leaf)) & ~all) | rights_of(six & 7) |
			  (is_long() ? 5ul << 59 : 0));
	if (upper > leaf && !(is_pae() && upper == 3))
		put(upper, (read_entry(entry_at(upper)) & ~all) | rights_of(six >> 3));
}

/* The page's key is 5; all others forbid everything, or nothing. */
static void set_key(unsigned two)
{
	m.pkru = (two & 1 ? 0 : ~(3u << 10)) | two << 10;
}

/* All combinations, or one in `stride`. */
static void all_rights(unsigned leaf, unsigned stride)
{
	unsigned levels = formats[m.format].levels, uppers = levels - leaf;

	for (unsigned n = 0; n < 3u << 16; n += stride) {
		unsigned access = n >> 16, bits = n & 0xffff;

		m.fetch = access == 2;
		m.write = access == 1;
		m.cpl3 = bits & 1, m.implicit = bits & 2 && !m.fetch;
		m.wp = bits & 4, m.smep = bits & 8, m.smap = bits & 16, m.ac = bits & 32;
		m.nxe = bits & 64, m.pke = bits & 128;
		set_key(bits >> 8 & 3);
		/* Each upper level has its turn. */
		set_rights(bits >> 10, leaf, leaf + (uppers ? 1 + (n * 7919 >> 3) % uppers : 0));
		both();
	}
}

static void every_right(void **state)
{
	(void)state;
	m.maxphyaddr = 40;
	m.pages_1g = m.pse = true;
	/* What the other formats have of their own is where they begin. */
	for (m.format = LEGACY; m.format < FORMATS; m.format++)
		all_rights(1, m.format == PAE_LOADED || m.format == LONG5 ? 5 : 1);
	m.format = LONG4;
	all_rights(3, 5);
	m.format = LEGACY;
	all_rights(2, 5);
	assert_true(walks > 700000 && faulted > 100000 && walks - faulted > 100000);
}

/* ---- what the vCPU brings along */

static void reads_pkru_and_pdptes(void **state)
{
	struct event fault;
	struct gwalk out;

	(void)state;
	m.format = LONG4;
	m.maxphyaddr = 40;
	path(1);
	put(1, 0x5000 | P | W | U | 5ul << 59);
	guest_mode.cr3 = TABLE(4);
	guest_mode.cr4 |= CR4_PKE;
	guest_pkru = 2u << 10;
	assert_int_equal(gwalk_vcpu(&guest_vcpu, &guest_mode, GVA(formats[LONG4].address),
				    GMEM_READ, &out, &fault), 0);
	assert_int_equal(gwalk_vcpu(&guest_vcpu, &guest_mode, GVA(formats[LONG4].address),
				    GMEM_WRITE, &out, &fault), -EFAULT);
	assert_int_equal(fault.error, PF_PRESENT | PF_WRITE | PF_PK);
	/* PAE: memory says otherwise since the chip has loaded its own */
	m.format = PAE_READ;
	path(1);
	put(1, 0x6000 | P | W | U);
	guest_mode = (struct vcpu_mode){ .cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .cr3 = TABLE(3),
					 .bits = 32 };
	guest_reg[REG_PDPTE3] = read_entry(entry_at(3));
	put(3, 0);
	assert_int_equal(gwalk_vcpu(&guest_vcpu, &guest_mode, GVA(formats[PAE_READ].address),
				    GMEM_READ, &out, &fault), -EFAULT);
	guest_loads_pdptes();
	assert_int_equal(gwalk_vcpu(&guest_vcpu, &guest_mode, GVA(formats[PAE_READ].address),
				    GMEM_READ, &out, &fault), 0);
	assert_int_equal(out.gpa.v, 0x6678);
	assert_int_equal(gwalk_vcpu(&guest_vcpu, &guest_mode, GVA(0x40445678), GMEM_READ, &out,
				    &fault), -EFAULT);
	assert_int_equal(fault.error, 0);
}

/* ---- another vCPU changes the page's entry while its dirty bit is about to be set */

static uint64_t changed;

static void change(gpa_t a, unsigned access)
{
	if (access != GMEM_WRITE || a.v != entry_at(1))
		return;
	memcpy(guest_ram + a.v, &changed, 8);
	guest_peeked = NULL;
}

static void entries_change(void **state)
{
	struct gwalk_access by = { .access = GMEM_WRITE };
	struct event fault;
	struct gwalk out;

	(void)state;
	m.format = LONG4;
	for (unsigned i = 0; i < 3; i++) {
		path(1);
		guest_mode.cr3 = TABLE(4);
		changed = i == 0 ? 0 : i == 1 ? 0x7000 | P : 0x8000 | P | W;
		guest_peeked = change;
		assert_int_equal(gwalk(&guest_vm.gmem, &guest_mode, &by,
				       GVA(formats[LONG4].address), &out, &fault),
				 i == 2 ? 0 : -EFAULT);
		assert_int_equal(read_entry(entry_at(1)), i == 2 ? changed | 0x60 : changed);
		if (i == 2)
			assert_int_equal(out.gpa.v, 0x8123);
		else
			assert_int_equal(fault.error, i ? PF_PRESENT | PF_WRITE : PF_WRITE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_bit_of_every_entry, setup),
		cmocka_unit_test_setup(every_right, setup),
		cmocka_unit_test_setup(reads_pkru_and_pdptes, setup),
		cmocka_unit_test_setup(entries_change, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
