/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c lib/format.c tests/host/guest.c tests/host/heap.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * Walks of guest page tables by hand: every format and page size, some reserved bits, accessed and
 * dirty bits. All combinations of rights and all bits are test_gwalk_rules.c's.
 */
#include "vmm/insn/gwalk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/registers.h"
#include "include/errno.h"
#include "tests/host/guest.h"

#define P	1ul
#define W	2ul
#define U	4ul
#define A	0x20ul
#define D	0x40ul
#define PS	0x80ul
#define NX	(1ul << 63)
#define ALL	(P | W | U)

static struct gwalk out;
static struct event fault;

static int setup(void **state)
{
	(void)state;
	guest_reset();
	memset(guest_ram, 0, sizeof(guest_ram));
	guest_mode.cr3 = 0x10000;
	return 0;
}

static void put(uint64_t at, uint64_t v, unsigned size)
{
	memcpy(guest_ram + at, &v, size);
}

static uint64_t get(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, guest_ram + at, size);
	return v;
}

static int walk(uint64_t a, unsigned access)
{
	memset(&fault, 0, sizeof(fault));
	memset(&out, 0, sizeof(out));
	return gwalk(&guest_vm.gmem, &guest_mode, &(struct gwalk_access){ .access = access },
		     GVA(a), &out, &fault);
}

static void leads_to(uint64_t a, uint64_t gpa, unsigned levels)
{
	assert_int_equal(walk(a, GMEM_READ), 0);
	assert_int_equal(out.gpa.v, gpa);
	assert_int_equal(out.levels, levels);
}

static void faults(uint64_t a, unsigned access, uint32_t error)
{
	assert_int_equal(walk(a, access), -EFAULT);
	assert_int_equal(fault.vector, EXC_PF);
	assert_int_equal(fault.payload, a);
	if (fault.error != error)
		fail_msg("error code 0x%x, not 0x%x", fault.error, error);
}

static void no_paging(void **state)
{
	(void)state;
	guest_flat(32);
	leads_to(0xfee00020, 0xfee00020, 0);
}

static void two_levels(void **state)
{
	(void)state;
	guest_mode =
		(struct vcpu_mode){ .cr0 = CR0_PE | CR0_PG | CR0_WP, .cr3 = 0x10018, .bits = 32 };
	put(0x10000 + 0x301 * 4, 0x11000 | ALL, 4);
	put(0x11000 + 0x045 * 4, 0xabcde000 | ALL, 4);
	leads_to(0xc0445678, 0xabcde678, 2);
	assert_int_equal(get(0x10000 + 0x301 * 4, 4), 0x11000 | ALL | A);
	assert_int_equal(get(0x11000 + 0x045 * 4, 4), 0xabcde000 | ALL | A);
	assert_int_equal(walk(0xc0445678, GMEM_WRITE), 0);
	assert_int_equal(get(0x11000 + 0x045 * 4, 4), 0xabcde000 | ALL | A | D);
	/* the neighbour is untouched */
	assert_int_equal(get(0x11000 + 0x046 * 4, 4), 0);
	faults(0xc0446000, GMEM_WRITE, PF_WRITE);
	/* 4M pages only with PSE; bits 20:13 are address bits 39:32 */
	put(0x10000 + 0x302 * 4, 0xff800000 | ALL | PS | 0x2000, 4);
	guest_mode.cr4 = CR4_PSE;
	leads_to(0xc0812345, 0x1ff812345, 1);
	put(0x10000 + 0x302 * 4, 0xff800000 | ALL | PS | 0x200000, 4);
	faults(0xc0812345, GMEM_READ, PF_PRESENT | PF_RSVD);
	guest_mode.cr4 = 0;
	put(0x10000 + 0x302 * 4, 0x11000 | ALL | PS, 4);
	leads_to(0xc0845678, 0xabcde678, 2);
}

static void pae(void **state)
{
	(void)state;
	guest_mode = (struct vcpu_mode){ .cr0 = CR0_PE | CR0_PG | CR0_WP,
					 .cr4 = CR4_PAE,
					 .cr3 = 0x10020,
					 .bits = 32,
					 .efer = EFER_NXE };
	put(0x10020 + 3 * 8, 0x11000 | P, 8); /* no rights there, they count for nothing */
	put(0x11000 + 2 * 8, 0x12000 | ALL, 8);
	put(0x12000 + 5 * 8, 0xf12345000 | ALL, 8);
	leads_to(0xc0405678, 0xf12345678, 3);
	assert_int_equal(get(0x10020 + 3 * 8, 8), 0x11000 | P);
	put(0x10020 + 3 * 8, 0x11000 | P | A, 8);	/* some chips set it */
	leads_to(0xc0405678, 0xf12345678, 3);
	assert_int_equal(walk(0xc0405678, GMEM_WRITE), 0);
	assert_int_equal(get(0x12000 + 5 * 8, 8), 0xf12345000 | ALL | A | D);
	put(0x11000 + 3 * 8, 0x40600000 | ALL | PS, 8);
	put(0x10020 + 3 * 8, 0x11000 | P, 8);
	leads_to(0xc0765432, 0x40765432, 2);
	assert_int_equal(get(0x10020 + 3 * 8, 8), 0x11000 | P);
	put(0x12000 + 5 * 8, 0xf12345000 | ALL | 1ul << 52, 8);
	faults(0xc0405678, GMEM_READ, PF_PRESENT | PF_RSVD);
	faults(0x00405678, GMEM_EXEC, PF_FETCH);
	guest_mode.efer = 0;
	faults(0x00405678, GMEM_EXEC, 0);
}

static void four_and_five_levels(void **state)
{
	const uint64_t a = 0xffff9234567ab123;		/* 0x124, 0x0d1, 0x0b3, 0x1ab */

	(void)state;
	put(0x10000 + 0x124 * 8, 0x11000 | ALL, 8);
	put(0x11000 + 0x0d1 * 8, 0x12000 | ALL, 8);
	put(0x12000 + 0x0b3 * 8, 0x13000 | ALL, 8);
	put(0x13000 + 0x1ab * 8, 0x3333333000 | ALL, 8);
	leads_to(a, 0x3333333123, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_true(out.value[i] & A);
	assert_ptr_equal(out.entry[3], guest_ram + 0x13000 + 0x1ab * 8);
	put(0x12000 + 0x0b3 * 8, 0x3333200000 | ALL | PS, 8);
	leads_to(a, 0x33333ab123, 3);
	put(0x11000 + 0x0d1 * 8, 0x3340000000 | ALL | PS, 8);
	leads_to(a, 0x33567ab123, 2);
	/* reserved: bits within a large page's offset (but PAT), PS at the top, above the guest's
	 * addresses, NX without NXE */
	put(0x11000 + 0x0d1 * 8, 0x3340000000 | ALL | PS | 1ul << 12, 8);
	assert_int_equal(walk(a, GMEM_READ), 0);
	put(0x11000 + 0x0d1 * 8, 0x3340000000 | ALL | PS | 1ul << 13, 8);
	faults(a, GMEM_READ, PF_PRESENT | PF_RSVD);
	put(0x11000 + 0x0d1 * 8, 1ul << 40 | ALL | PS, 8);
	faults(a, GMEM_WRITE, PF_PRESENT | PF_RSVD | PF_WRITE);
	put(0x11000 + 0x0d1 * 8, 0x3340000000 | ALL | PS | NX, 8);
	assert_int_equal(walk(a, GMEM_READ), 0);
	guest_mode.efer &= ~EFER_NXE;
	faults(a, GMEM_READ, PF_PRESENT | PF_RSVD);
	guest_mode.efer |= EFER_NXE;
	put(0x10000 + 0x124 * 8, 0x11000 | ALL | PS, 8);
	faults(a, GMEM_READ, PF_PRESENT | PF_RSVD);
	/* bits that are the guest's to use */
	put(0x10000 + 0x124 * 8, 0x11000 | ALL | 0x7ff0000000000e00, 8);
	assert_int_equal(walk(a, GMEM_READ), 0);
	guest_mode.cr4 |= CR4_LA57;
	put(0x20000 + 0x1ff * 8, 0x10000 | ALL, 8);
	guest_mode.cr3 = 0x20000;
	leads_to(a, 0x33567ab123, 3);
	/* a table that is not in memory */
	put(0x20000 + 0x1ff * 8, 0x90000000 | ALL, 8);
	faults(a, GMEM_READ, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_paging, setup),
		cmocka_unit_test_setup(two_levels, setup),
		cmocka_unit_test_setup(pae, setup),
		cmocka_unit_test_setup(four_and_five_levels, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
