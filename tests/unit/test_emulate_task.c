/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c lib/format.c tests/host/guest.c tests/host/native.c
 * tests/host/heap.c tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * Switches of tasks: what is saved and loaded, what stays busy, and what faults, in the old task
 * before anything has changed, or in the new one.
 */
#include "tests/host/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "cpu/registers.h"
#include "vmm/exit.h"

#define GDT	0x6000u
#define OLD	0x5000u			/* TSSs */
#define NEW	0x5200u
#define STACK	0x9000u
#define CODE32	0x00cf9a000000fffful
#define DATA	0x00cf92000000fffful
#define TSS(at, type, limit) ((limit) | (uint64_t)(at) << 16 | (uint64_t)(type) << 40)
#define BUSY	BIT(41)

enum { K32 = 0x08, KDATA = 0x10, OLD_TSS = 0x18, NEW_TSS = 0x20, SHORT_TSS = 0x28,
       ABSENT_TSS = 0x30, NEW_TSS16 = 0x38, TASK_GATE_TO_NEW = 0x40, ABSENT_CODE = 0x48,
       LDT = 0x50, TABLE_END = 0x58 };

static struct vcpu before;
static struct segment segments[SEG_COUNT];
static uint8_t ram[0x10000];

static void put(uint64_t gpa, uint64_t v, unsigned size)
{
	memcpy(guest_ram + gpa, &v, size);
}

static uint64_t get(uint64_t gpa, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, guest_ram + gpa, size);
	return v;
}

static void new_task(void)
{
	put(NEW + 28, 0x123000, 4);			/* CR3, which nobody looks at */
	put(NEW + 32, 0x4321, 4);
	put(NEW + 36, 0x10202, 4);			/* IF, RF */
	for (unsigned r = 0; r < 8; r++)
		put(NEW + 40 + 4 * r, r == GPR_RSP ? STACK : 0x1000 + r, 4);
	for (unsigned r = 0; r < 6; r++)
		put(NEW + 72 + 4 * r, r == SEG_CS ? K32 : KDATA, 4);
	put(NEW + 96, LDT, 4);
	for (unsigned r = 0; r < 8; r++)
		put(NEW + 18 + 2 * r + 0x200, r == GPR_RSP ? STACK : 0x2000 + r, 2);
	put(NEW + 0x200 + 14, 0x4321, 2);
	put(NEW + 0x200 + 16, 2, 2);
	for (unsigned r = 0; r < 4; r++)
		put(NEW + 0x200 + 34 + 2 * r, r == SEG_CS ? K32 : KDATA, 2);
}

static int setup(void **state)
{
	const uint64_t gdt[] = { 0, CODE32, DATA, TSS(OLD, 0x8b, 103), TSS(NEW, 0x89, 103),
				 TSS(NEW, 0x89, 102), TSS(NEW, 0x09, 103),
				 TSS(NEW + 0x200, 0x81, 43), NEW_TSS << 16 | 0x85ul << 40,
				 CODE32 & ~BIT(47), TSS(0x7000, 0x82, 15) };

	(void)state;
	guest_reset();
	guest_flat(32);
	features.vendor = VENDOR_OTHER;
	memcpy(guest_ram + GDT, gdt, sizeof(gdt));
	guest_segment[SEG_GDTR] = (struct segment){ .base = GDT, .limit = TABLE_END - 1 };
	guest_segment[SEG_LDTR].attr = SEG_UNUSABLE;
	guest_segment[SEG_TR] = (struct segment){ .selector = OLD_TSS, .base = OLD, .limit = 103,
						  .attr = SEG_P | 11 };
	for (unsigned r = 0; r < GPR_COUNT; r++)
		guest_vcpu.gpr[r] = 0x11111100 + r;
	for (unsigned r = SEG_ES; r <= SEG_GS; r++)
		guest_segment[r].selector = (uint16_t)(0x100 + r);
	guest_vcpu.rflags = RFLAGS_ONE | RFLAGS_CF;
	guest_reg[REG_DR7] = 0x4ff;
	new_task();
	return 0;
}

static void switch_to(enum task_switch by, unsigned selector, unsigned length)
{
	guest_log = (struct guest_log){ 0 };
	before = guest_vcpu;
	memcpy(segments, guest_segment, sizeof(segments));
	memcpy(ram, guest_ram, sizeof(ram));
	emulate_task_switch(&guest_vcpu, by, selector, length);
}

static void in_new(void)
{
	assert_string_equal(guest_log.crash, "");
	assert_int_equal(guest_vcpu.rip, 0x4321);
	assert_int_equal(guest_segment[SEG_TR].selector, NEW_TSS);
	assert_int_equal(guest_segment[SEG_TR].base, NEW);
	assert_int_equal(guest_segment[SEG_TR].attr, SEG_P | 11);
	assert_true(get(GDT + NEW_TSS, 8) & BUSY);
	assert_true(guest_reg[REG_CR0] & CR0_TS);
	assert_int_equal(guest_reg[REG_DR7], 0x4ff & ~0x155);
}

static void saved(uint64_t next, uint64_t flags)
{
	assert_int_equal(get(OLD + 32, 4), next);
	assert_int_equal(get(OLD + 36, 4), flags);
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(get(OLD + 40 + 4 * r, 4), before.gpr[r]);
	for (unsigned r = 0; r < 6; r++)
		assert_int_equal(get(OLD + 72 + 4 * r, 4), 0x100 + r);
}

static void call_and_return(void **state)
{
	(void)state;
	switch_to(TASK_CALL, NEW_TSS, 7);
	assert_int_equal(guest_log.nexts, 1);
	in_new();
	saved(0x1007, RFLAGS_ONE | RFLAGS_CF);
	assert_int_equal(guest_vcpu.rflags, 0x10202 | RFLAGS_NT);
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(guest_vcpu.gpr[r], r == GPR_RSP ? STACK : 0x1000 + r);
	assert_int_equal(guest_segment[SEG_CS].selector, K32);
	assert_int_equal(guest_segment[SEG_CS].limit, 0xffffffff);
	assert_int_equal(guest_segment[SEG_GS].selector, KDATA);
	assert_int_equal(guest_segment[SEG_LDTR].base, 0x7000);
	assert_int_equal(get(NEW, 2), OLD_TSS);
	assert_true(get(GDT + OLD_TSS, 8) & BUSY);
	assert_int_equal(guest_reg[REG_CR3], 0);
	/* and back, where its selectors are none: a fault of the task that was gone back to */
	guest_vcpu.event.nmi_masked = true;
	switch_to(TASK_IRET, 0, 1);
	assert_int_equal(guest_log.events, 1);
	assert_int_equal(guest_log.event.vector, EXC_TS);
	assert_int_equal(guest_log.event.error, 0x100);
	assert_int_equal(guest_vcpu.rip, 0x1007);
	assert_int_equal(guest_vcpu.gpr[GPR_RAX], 0x11111100);
	assert_int_equal(guest_segment[SEG_TR].selector, OLD_TSS);
	assert_true(guest_segment[SEG_DS].attr & SEG_UNUSABLE);
	assert_false(guest_vcpu.event.nmi_masked);
	assert_int_equal(get(NEW + 36, 4), 0x202);		/* without NT */
	assert_false(get(GDT + NEW_TSS, 8) & BUSY);
}

static void jump(void **state)
{
	(void)state;
	put(NEW, 0xaaaa, 2);
	switch_to(TASK_JMP, NEW_TSS, 7);
	in_new();
	saved(0x1007, RFLAGS_ONE | RFLAGS_CF);
	assert_int_equal(guest_vcpu.rflags, 0x10202);
	assert_int_equal(get(NEW, 2), 0xaaaa);
	assert_false(get(GDT + OLD_TSS, 8) & BUSY);
	/* to one of 16 bits and its own trap bit's neighbour */
	setup(NULL);
	switch_to(TASK_JMP, NEW_TSS16, 7);
	assert_int_equal(guest_log.events, 0);
	assert_int_equal(guest_vcpu.rip, 0x4321);
	assert_int_equal(guest_vcpu.gpr[GPR_RDI], 0x2007);
	assert_int_equal(guest_segment[SEG_DS].selector, KDATA);
	assert_true(guest_segment[SEG_FS].attr & SEG_UNUSABLE);
	assert_true(guest_segment[SEG_LDTR].attr & SEG_UNUSABLE);
	assert_int_equal(guest_segment[SEG_TR].attr, SEG_P | 3);
	/* a task that wants to be seen */
	setup(NULL);
	put(NEW + 100, 1, 1);
	switch_to(TASK_JMP, NEW_TSS, 7);
	assert_int_equal(guest_log.event.vector, EXC_DB);
	assert_int_equal(guest_log.event.payload, DR6_BT);
	in_new();
}

static void faults_of_the_old(void **state)
{
	static const struct {
		enum task_switch by;
		unsigned selector, vector, error;
	} rows[] = {
		{ TASK_CALL, 0, EXC_GP, 0 }, { TASK_JMP, NEW_TSS | 4, EXC_GP, NEW_TSS | 4 },
		{ TASK_JMP, OLD_TSS, EXC_GP, OLD_TSS }, { TASK_JMP, KDATA, EXC_GP, KDATA },
		{ TASK_CALL, SHORT_TSS, EXC_TS, SHORT_TSS },
		{ TASK_CALL, ABSENT_TSS, EXC_NP, ABSENT_TSS },
		{ TASK_CALL, TABLE_END, EXC_GP, TABLE_END },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		switch_to(rows[i].by, rows[i].selector, 7);
		assert_int_equal(guest_log.events, 1);
		assert_int_equal(guest_log.event.vector, rows[i].vector);
		assert_int_equal(guest_log.event.error, rows[i].error);
		assert_memory_equal(before.gpr, guest_vcpu.gpr, sizeof(before.gpr));
		assert_int_equal(before.rip, guest_vcpu.rip);
		assert_int_equal(before.rflags, guest_vcpu.rflags);
		assert_memory_equal(segments, guest_segment, sizeof(segments));
		assert_memory_equal(ram, guest_ram, sizeof(ram));
	}
	put(OLD, NEW_TSS, 2);					/* which is not busy */
	switch_to(TASK_IRET, 0, 1);
	assert_int_equal(guest_log.event.vector, EXC_TS);
	assert_int_equal(guest_log.event.error, NEW_TSS);
	guest_segment[SEG_TR].limit = 102;
	switch_to(TASK_JMP, NEW_TSS, 7);
	assert_int_equal(guest_log.event.vector, EXC_TS);
	assert_int_equal(guest_log.event.error, OLD_TSS);
	assert_int_equal(guest_vcpu.rip, 0x1000);
}

static void faults_of_the_new(void **state)
{
	static const struct {
		unsigned at, value, vector, error;
	} rows[] = {
		{ 96, KDATA, EXC_TS, KDATA }, { 96, 0x14, EXC_TS, 0x14 },
		{ 96, TABLE_END, EXC_TS, TABLE_END },
		{ 76, 0, EXC_TS, 0 }, { 76, KDATA, EXC_TS, KDATA }, { 76, K32 | 1, EXC_TS, K32 },
		{ 76, ABSENT_CODE, EXC_NP, ABSENT_CODE },
		{ 80, 0, EXC_TS, 0 }, { 80, K32, EXC_TS, K32 }, { 84, OLD_TSS, EXC_TS, OLD_TSS },
		{ 88, ABSENT_CODE, EXC_NP, ABSENT_CODE }, { 92, TABLE_END, EXC_TS, TABLE_END },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(NULL);
		put(NEW + rows[i].at, rows[i].value, 4);
		switch_to(TASK_CALL, NEW_TSS, 7);
		assert_int_equal(guest_log.nexts, 0);
		assert_int_equal(guest_log.events, 1);
		assert_int_equal(guest_log.event.vector, rows[i].vector);
		assert_int_equal(guest_log.event.error, rows[i].error);
		in_new();
		saved(0x1007, RFLAGS_ONE | RFLAGS_CF);
		assert_int_equal(guest_vcpu.rflags, 0x10202 | RFLAGS_NT);
	}
}

static void virtual_8086(void **state)
{
	(void)state;
	put(NEW + 36, RFLAGS_VM | 2, 4);
	for (unsigned r = 0; r < 6; r++)
		put(NEW + 72 + 4 * r, 0x1000 * (r + 1), 4);
	switch_to(TASK_JMP, NEW_TSS, 7);
	assert_int_equal(guest_log.events, 0);
	in_new();
	assert_int_equal(guest_vcpu.rflags, RFLAGS_VM | 2);
	for (unsigned r = 0; r < 6; r++) {
		assert_int_equal(guest_segment[r].base, 0x10000 * (r + 1));
		assert_int_equal(guest_segment[r].attr, 0xf3);
		assert_int_equal(guest_segment[r].limit, 0xffff);
	}
}

static void pend(struct event e)
{
	e.valid = true;
	guest_vcpu.event.pending = e;
}

/* By a gate of the IDT: an exception brings its error code along and goes on where it was. */
static void events(void **state)
{
	(void)state;
	pend((struct event){ .type = EVENT_EXCEPTION, .vector = EXC_PF, .has_error = true,
			     .error = 6 });
	switch_to(TASK_GATE, NEW_TSS, 0);
	assert_int_equal(guest_log.events, 0);
	in_new();
	saved(0x1000, RFLAGS_ONE | RFLAGS_CF | RFLAGS_RF);
	assert_false(guest_vcpu.event.pending.valid);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], STACK - 4);
	assert_int_equal(get(STACK - 4, 4), 6);
	assert_int_equal(get(NEW, 2), OLD_TSS);
	assert_true(guest_vcpu.rflags & RFLAGS_NT);
	/* an interrupt is nobody's instruction, and what hinders it external */
	setup(NULL);
	pend((struct event){ .type = EVENT_INTERRUPT, .vector = 32 });
	switch_to(TASK_GATE, SHORT_TSS, 0);
	assert_int_equal(guest_log.event.vector, EXC_TS);
	assert_int_equal(guest_log.event.error, SHORT_TSS | 1);
	setup(NULL);
	pend((struct event){ .type = EVENT_SOFT_INTERRUPT, .vector = 32, .length = 2 });
	switch_to(TASK_GATE, SHORT_TSS, 2);
	assert_int_equal(guest_log.event.error, SHORT_TSS);
	switch_to(TASK_GATE, NEW_TSS, 2);
	in_new();
	saved(0x1002, RFLAGS_ONE | RFLAGS_CF);
	/* no stack for the error code: the new task's #SS */
	setup(NULL);
	put(GDT + KDATA, 0x0040920000000fff, 8);
	pend((struct event){ .type = EVENT_EXCEPTION, .vector = EXC_GP, .has_error = true });
	switch_to(TASK_GATE, NEW_TSS, 0);
	assert_int_equal(guest_log.event.vector, EXC_SS);
	in_new();
}

/* JMP and CALL whose pointer is in a device, to a TSS and by a task gate. */
static void by_the_emulator(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		setup(NULL);
		guest_vcpu.gpr[GPR_RBX] = GUEST_DEVICE + 0x20;
		memcpy(guest_device + 0x20, "\xf4\xf4\xf4\xf4", 4);
		guest_device[0x24] = n & 1 ? TASK_GATE_TO_NEW : NEW_TSS;
		guest_code(n & 2 ? "\xff\x1b" : "\xff\x2b", 2);
		before = guest_vcpu;
		guest_log = (struct guest_log){ 0 };
		emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x20), GMEM_READ);
		assert_int_equal(guest_log.events, 0);
		assert_int_equal(guest_log.nexts, 1);
		in_new();
		saved(0x1002, RFLAGS_ONE | RFLAGS_CF);
	}
	setup(NULL);
	guest_mode.cpl = 3;
	guest_vcpu.gpr[GPR_RBX] = GUEST_DEVICE + 0x20;
	guest_device[0x24] = NEW_TSS | 3;
	guest_code("\xff\x2b", 2);
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x20), GMEM_READ);
	assert_int_equal(guest_log.event.vector, EXC_GP);
	assert_int_equal(guest_log.event.error, NEW_TSS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(call_and_return, setup), cmocka_unit_test_setup(jump, setup),
		cmocka_unit_test_setup(faults_of_the_old, setup),
		cmocka_unit_test_setup(faults_of_the_new, setup),
		cmocka_unit_test_setup(virtual_8086, setup), cmocka_unit_test_setup(events, setup),
		cmocka_unit_test_setup(by_the_emulator, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
