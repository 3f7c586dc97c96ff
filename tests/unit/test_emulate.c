/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c lib/format.c tests/host/guest.c tests/host/heap.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * The emulator by hand: faults, modes and odd places. What each instruction does is compared with
 * the processor's by test_emulate_native.c.
 */
#include "tests/host/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/registers.h"
#include "vmm/exit.h"
#include "vmm/insn/breakpoint.h"
#include "vmm/insn/fetch.h"

static int setup(void **state)
{
	(void)state;
	guest_reset();
	return 0;
}

static void run(const char *hex, uint64_t gpa, bool write)
{
	uint8_t code[16];
	unsigned n = 0;
	char *end;

	for (; n < sizeof(code); hex = end) {
		unsigned long v = strtoul(hex, &end, 16);

		if (end == hex)
			break;
		code[n++] = (uint8_t)v;
	}
	guest_code(code, n);
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(gpa), write ? GMEM_WRITE : GMEM_READ);
}

static void expect_event(unsigned vector, uint32_t error, uint64_t payload)
{
	assert_int_equal(guest_log.events, 1);
	assert_int_equal(guest_log.nexts, 0);
	assert_int_equal(guest_log.event.vector, vector);
	assert_int_equal(guest_log.event.error, error);
	assert_int_equal(guest_log.event.payload, payload);
	assert_int_equal(guest_vcpu.rip, 0x1000);
}

static void done(unsigned length)
{
	assert_int_equal(guest_log.events, 0);
	assert_int_equal(guest_log.crashes, 0);
	assert_int_equal(guest_log.nexts, 1);
	assert_int_equal(guest_log.length, length);
}

/* Cache lines of a device are flushed without its noticing; what shares the opcode is refused. */
static void flushes_do_nothing(void **state)
{
	static const char *const flushes[] = { "0f ae 3b", "66 0f ae 3b", "66 0f ae 33" },
				 *const others[] = { "0f ae 33", "0f ae 23", "f3 0f ae 33",
						     "66 0f ae 2b", "0f ae 03" };

	(void)state;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 4095;
	for (unsigned i = 0; i < ARRAY_COUNT(flushes); i++) {
		run(flushes[i], GUEST_DEVICE + 4095, false);
		done(i ? 4 : 3);
		assert_int_equal(guest_log.reads + guest_log.writes, 0);
		/* where no page is */
		guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 0x100000;
		run(flushes[i], GUEST_DEVICE + 64, false);
		expect_event(EXC_PF, 0, GUEST_MMIO + 0x100000);
		guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 4095;
	}
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++) {
		run(others[i], GUEST_DEVICE + 4095, false);
		assert_int_equal(guest_log.crashes, 1);
	}
}

static void one_access_of_the_right_size(void **state)
{
	(void)state;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 0x10;
	run("8b 03", GUEST_DEVICE + 0x10, false);
	done(2);
	assert_int_equal(guest_log.reads, 1);
	assert_int_equal(guest_log.sizes[0], 4);
	run("66 89 43 02", GUEST_DEVICE + 0x12, true);
	assert_int_equal(guest_log.writes, 1);
	assert_int_equal(guest_log.sizes[0], 2);
	run("48 8b 03", GUEST_DEVICE + 0x10, false);
	assert_int_equal(guest_log.sizes[0], 8);
	/* misaligned, but the device's own affair */
	run("8b 43 01", GUEST_DEVICE + 0x11, false);
	assert_int_equal(guest_log.reads, 1);
	/* crossing pages: 1 + 1 + 2 bytes in aligned units */
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 4095;
	run("8b 03", GUEST_DEVICE + 4095, false);
	done(2);
	assert_int_equal(guest_log.reads, 3);
	assert_int_equal(guest_log.sizes[0] + guest_log.sizes[1] + guest_log.sizes[2], 4);
	/* moffs, RIP-relative, SIB */
	run("a1 10 00 00 40 00 00 00 00", GUEST_DEVICE + 0x10, false);
	done(9);
	run("8b 05 0a f0 ff 3f", GUEST_DEVICE + 0x10, false);
	done(6);
	guest_vcpu.gpr[GPR_RAX] = 4;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO;
	run("8b 4c 83 08", GUEST_DEVICE + 0x18, false);
	done(4);
	guest_segment[SEG_GS].base = GUEST_MMIO;
	run("65 8b 0c 25 20 00 00 00", GUEST_DEVICE + 0x20, false);
	done(8);
}

static void faults_come_first(void **state)
{
	(void)state;
	/* RAM, then nothing: MOVS from the device to the last bytes */
	guest_vcpu.gpr[GPR_RSI] = GUEST_MMIO;
	guest_vcpu.gpr[GPR_RDI] = GUEST_MMIO + 0x2ffe;
	run("a5", GUEST_DEVICE, false);
	expect_event(EXC_PF, PF_WRITE, GUEST_MMIO + 0x3000);
	assert_int_equal(guest_log.reads, 0);
	/* REP does what it can, then faults with registers where it stopped */
	guest_vcpu.gpr[GPR_RDI] = GUEST_MMIO + 0x2ff0;
	guest_vcpu.gpr[GPR_RCX] = 100;
	run("f3 a5", GUEST_DEVICE, false);
	expect_event(EXC_PF, PF_WRITE, GUEST_MMIO + 0x3000);
	assert_int_equal(guest_log.reads, 4);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 96);
	assert_int_equal(guest_vcpu.gpr[GPR_RDI], GUEST_MMIO + 0x3000);
	/* non-canonical; by the stack */
	guest_vcpu.gpr[GPR_RDI] = 1ul << 60;
	run("a5", GUEST_DEVICE, false);
	expect_event(EXC_GP, 0, 0);
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO;
	guest_vcpu.gpr[GPR_RSP] = 1ul << 60;
	run("ff 33", GUEST_DEVICE, false);
	expect_event(EXC_SS, 0, 0);
	assert_int_equal(guest_log.reads, 0);
	/* a read-modify-write that exited as a read must not write what the guest may not */
	memset(guest_ram + 2 * MIB + 0x4000, 0x5, 1);
	run("01 03", GUEST_DEVICE, false);
	expect_event(EXC_PF, PF_PRESENT | PF_WRITE, GUEST_MMIO);
	assert_int_equal(guest_log.reads, 0);
}

static void stack(void **state)
{
	(void)state;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO;
	guest_vcpu.gpr[GPR_RSP] = 0x8000;
	memcpy(guest_device, "12345678", 8);
	run("ff 33", GUEST_DEVICE, false);
	done(2);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], 0x7ff8);
	assert_memory_equal(guest_ram + 0x7ff8, "12345678", 8);
	run("66 ff 33", GUEST_DEVICE, false);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], 0x7ff6);
	memset(guest_device, 0, 8);
	run("66 8f 03", GUEST_DEVICE, true);
	run("8f 03", GUEST_DEVICE, true);
	assert_int_equal(guest_vcpu.gpr[GPR_RSP], 0x8000);
	assert_memory_equal(guest_device, "12345678", 8);
	/* the stack in the device, the operand in memory */
	guest_vcpu.gpr[GPR_RSP] = GUEST_MMIO + 0x100;
	guest_vcpu.gpr[GPR_RBX] = 0x7ff8;
	run("ff 33", GUEST_DEVICE + 0xf8, true);
	done(2);
	assert_memory_equal(guest_device + 0xf8, "12345678", 8);
}

static void real_mode(void **state)
{
	(void)state;
	guest_flat(16);
	guest_segment[SEG_DS].base = GUEST_DEVICE;
	guest_vcpu.gpr[GPR_RBX] = 0xabcd0010;
	guest_vcpu.gpr[GPR_RSI] = 0x0001fffe;
	guest_vcpu.gpr[GPR_RAX] = 0x11112222;
	run("89 40 06", GUEST_DEVICE + 0x14, true);		/* [bx+si+6] wraps at 64K */
	done(3);
	assert_int_equal(guest_device[0x14], 0x22);
	assert_int_equal(guest_device[0x16], 0);
	assert_int_equal(guest_log.sizes[0], 2);
	guest_segment[SEG_DS].limit = 0x14;
	guest_vcpu.gpr[GPR_RCX] = 3;
	guest_vcpu.gpr[GPR_RSI] = 0x11;
	guest_vcpu.gpr[GPR_RDI] = 0x5000;
	run("f3 a5", GUEST_DEVICE + 0x11, false);
	expect_event(EXC_GP, 0, 0);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 1);
	assert_int_equal(guest_vcpu.gpr[GPR_RSI], 0x15);
}

static void protected_mode(void **state)
{
	(void)state;
	guest_flat(32);
	guest_vcpu.gpr[GPR_RBX] = GUEST_DEVICE | 0xffff000000000000;
	guest_vcpu.gpr[GPR_RAX] = 0x12345678;
	run("89 03", GUEST_DEVICE, true);
	done(2);
	assert_int_equal(guest_device[3], 0x12);
	/* a read-only segment, by an instruction whose exit does not vouch for it */
	guest_segment[SEG_ES].attr &= ~2u;
	guest_vcpu.gpr[GPR_RSI] = GUEST_DEVICE;
	guest_vcpu.gpr[GPR_RDI] = 0x5000;
	run("a5", GUEST_DEVICE, false);
	expect_event(EXC_GP, 0, 0);
	/* expand-down: only above the limit */
	guest_segment[SEG_ES].attr |= 2 | 4;
	guest_segment[SEG_ES].limit = 0x4fff;
	run("a5", GUEST_DEVICE, false);
	done(1);
	guest_vcpu.gpr[GPR_RDI] = 0x4fff;
	run("a5", GUEST_DEVICE, false);
	expect_event(EXC_GP, 0, 0);
	guest_segment[SEG_ES].attr |= SEG_UNUSABLE;
	run("a5", GUEST_DEVICE, false);
	expect_event(EXC_GP, 0, 0);
}

static const struct io_access insl = { .port = 0x1f0, .size = 4, .in = true, .rep = true,
				       .segment = SEG_COUNT };

static void ports(void **state)
{
	(void)state;
	guest_code("\xf3\x6d", 2);
	guest_vcpu.gpr[GPR_RDI] = 0x5000;
	guest_vcpu.gpr[GPR_RCX] = 3;
	emulate_string_io(&guest_vcpu, &insl);
	done(2);
	assert_int_equal(guest_log.ports, 3);
	assert_memory_equal(guest_ram + 0x5000, "\xf0\x01\0\0\xf1\x01\0\0\xf2\x01\0\0", 12);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 0);
	assert_int_equal(guest_vcpu.gpr[GPR_RDI], 0x500c);
	/* a fault before the port is read */
	guest_log = (struct guest_log){ 0 };
	guest_vcpu.rip = 0x1000;
	guest_vcpu.gpr[GPR_RDI] = GUEST_MMIO + 0x3000;
	guest_vcpu.gpr[GPR_RCX] = 3;
	emulate_string_io(&guest_vcpu, &insl);
	expect_event(EXC_PF, PF_WRITE, GUEST_MMIO + 0x3000);
	assert_int_equal(guest_log.ports, 0);
}

/* Nothing happened, and the guest will run again by what its tables say now. */
static void runs_again(void)
{
	assert_int_equal(guest_log.events + guest_log.nexts + guest_log.ports + guest_log.crashes +
				 guest_log.reads + guest_log.writes,
			 0);
	assert_int_equal(guest_log.flushes, 1);
	assert_int_equal(guest_vcpu.rip, 0x1000);
}

/*
 * Another vCPU changes the bytes between the exit and the fetch. The chip has checked the port and
 * the size that it tells, the TSS may deny others.
 */
static void ports_of_changed_code(void **state)
{
	static const struct {
		const char *bytes;
		uint8_t size, address, segment;
		bool in, rep, done;
	} rows[] = {
		{ "\x6c", 1, 0, SEG_COUNT, true, false, true },		/* INSB */
		{ "\x6c", 1, 8, SEG_COUNT, true, false, true },
		{ "\x6d", 1, 0, SEG_COUNT, true, false, false },	/* four bytes */
		{ "\x6d", 2, 0, SEG_COUNT, true, false, false },
		{ "\x66\x6d", 1, 0, SEG_COUNT, true, false, false },	/* two */
		{ "\x66\x6d", 2, 0, SEG_COUNT, true, false, true },
		{ "\x48\x6d", 4, 0, SEG_COUNT, true, false, true },
		{ "\x6c", 4, 0, SEG_COUNT, true, false, false },
		{ "\x6e", 1, 0, SEG_COUNT, true, false, false },	/* OUTSB */
		{ "\xf3\x6c", 1, 0, SEG_COUNT, true, false, false },	/* REP */
		{ "\xf3\x6c", 1, 0, SEG_COUNT, true, true, true },
		{ "\xf2\x6c", 1, 0, SEG_COUNT, true, false, true },
		{ "\xf2\x6c", 1, 0, SEG_COUNT, true, true, true },
		{ "\x6c", 1, 0, SEG_COUNT, true, true, false },
		{ "\x67\x6c", 1, 8, SEG_COUNT, true, false, false },	/* EDI */
		{ "\x67\x6c", 1, 4, SEG_COUNT, true, false, true },
		{ "\x64\x6e", 1, 0, SEG_COUNT, false, false, true },	/* FS */
		{ "\x64\x6e", 1, 8, SEG_FS, false, false, true },
		{ "\x64\x6e", 1, 8, SEG_DS, false, false, false },
		{ "\x6e", 1, 8, SEG_GS, false, false, false },
		{ "\x6c", 1, 0, SEG_COUNT, false, false, false },
		{ "\x90", 1, 0, SEG_COUNT, true, false, false },
		{ "\xec", 1, 0, SEG_COUNT, true, false, false },		/* IN */
		{ "\xa4", 1, 0, SEG_COUNT, true, false, false },		/* MOVSB */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		guest_code(rows[i].bytes, strlen(rows[i].bytes));
		guest_log = (struct guest_log){ 0 };
		guest_vcpu.gpr[GPR_RDI] = guest_vcpu.gpr[GPR_RSI] = 0x5000;
		guest_vcpu.gpr[GPR_RCX] = 1;
		emulate_string_io(&guest_vcpu, &(struct io_access){
			.port = 0x60, .size = rows[i].size, .in = rows[i].in, .rep = rows[i].rep,
			.address = rows[i].address, .segment = rows[i].segment,
		});
		if (rows[i].done)
			done((unsigned)strlen(rows[i].bytes));
		else
			runs_again();
	}
}

static void changed_code(void **state)
{
	static const struct {
		const char *code;
		bool write;		/* what the chip exited for */
	} rows[] = {
		{ "90", false }, { "90", true },
		{ "89 d8", false },			/* a register's move */
		{ "8b 03", true },			/* a load after a store's exit */
		{ "39 03", true },			/* CMP, which reads */
		{ "8b 06", false }, { "89 06", true },	/* memory elsewhere, at the same place */
		{ "01 06", false }, { "ff 36", false }, { "8f 06", true }, { "0f ab 06", true },
		{ "a4", true }, { "ac", true }, { "aa", true }, { "a6", true },
		{ "0f ae 06", false }, { "d9 06", false },	/* not emulated; and not here */
		{ "50", true }, { "c3", false }, { "9d", false }, { "ff 16", false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 0x10;
		guest_vcpu.gpr[GPR_RSI] = guest_vcpu.gpr[GPR_RDI] = 0x5010;
		guest_vcpu.gpr[GPR_RSP] = 0x8010;
		guest_vcpu.gpr[GPR_RAX] = 0;
		run(rows[i].code, GUEST_DEVICE + 0x10, rows[i].write);
		runs_again();
		assert_int_equal(guest_vcpu.gpr[GPR_RSP], 0x8010);
		assert_int_equal(guest_vcpu.gpr[GPR_RSI], 0x5010);
	}
	/* it is this one that is not emulated */
	run("0f ae 0b", GUEST_DEVICE + 0x10, false);
	assert_int_equal(guest_log.crashes, 1);
	/* the chip's own access to a page table says nothing of the operand, which is checked */
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 0x3010;
	guest_code("\x89\x03", 2);
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x10), GMEM_WRITE | EXIT_TABLES);
	expect_event(EXC_PF, PF_WRITE, GUEST_MMIO + 0x3010);
}

/* Who comes back for the same access without end is stopped; who gets on in between is not. */
static void access_of_none(void **state)
{
	(void)state;
	guest_vcpu.gpr[GPR_RBX] = 0x5010;
	for (unsigned i = 0; i < 200; i++) {
		guest_vcpu.exit_now->count += 1 + (i % 64 == 63);
		run("ec", GUEST_DEVICE + 0x10, false);		/* IN */
		runs_again();
	}
	for (unsigned i = 0; i < 200; i++) {
		guest_vcpu.exit_now->count++;
		run("8b 03", GUEST_DEVICE + 0x10, false);
		if (guest_log.crashes)
			break;
		runs_again();
	}
	assert_int_equal(guest_log.crashes, 1);
	assert_non_null(strstr(guest_log.crash, "operands are elsewhere: 8b 03"));
}

/* Limits are not a page's: the chip has checked them for the bytes that it saw. */
static void segments_of_changed_code(void **state)
{
	(void)state;
	guest_flat(32);
	guest_segment[SEG_DS].limit = GUEST_DEVICE + 0x10;
	guest_vcpu.gpr[GPR_RBX] = GUEST_DEVICE + 0x10;
	run("88 03", GUEST_DEVICE + 0x10, true);
	done(2);
	run("89 03", GUEST_DEVICE + 0x10, true);
	expect_event(EXC_GP, 0, 0);
	run("8b 03", GUEST_DEVICE + 0x10, false);
	expect_event(EXC_GP, 0, 0);
	run("26 89 03", GUEST_DEVICE + 0x10, true);		/* by another segment: it may */
	done(3);
	guest_segment[SEG_ES].attr &= ~2u;
	run("26 89 03", GUEST_DEVICE + 0x10, true);
	expect_event(EXC_GP, 0, 0);
	/* the code segment ends within the instruction */
	guest_segment[SEG_CS].limit = 0x1001;
	run("88 03", GUEST_DEVICE + 0x10, true);
	done(2);
	run("88 43 00", GUEST_DEVICE + 0x10, true);
	runs_again();
}

static void alignment(void **state)
{
	static const struct io_access insw = { .port = 0x60, .size = 2, .in = true,
					       .segment = SEG_COUNT };

	(void)state;
	guest_mode.cpl = 3;
	guest_mode.cr0 |= CR0_AM;
	guest_vcpu.rflags |= RFLAGS_AC;
	for (uint64_t t = 2 * MIB; t < 2 * MIB + 0x4000; t += 0x1000)
		for (unsigned i = 0; i < 4; i++)
			guest_ram[t + i * 8] |= 4;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 2;
	run("66 89 43 00", GUEST_DEVICE + 2, true);
	done(4);
	run("01 03", GUEST_DEVICE + 2, true);
	expect_event(EXC_AC, 0, 0);
	/* ten bytes by eight, an environment by four, vectors by all that they have */
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 12;
	run("db 2b", GUEST_DEVICE + 12, false);
	expect_event(EXC_AC, 0, 0);
	run("d9 23", GUEST_DEVICE + 12, false);
	done(2);
	guest_mode.cr4 |= CR4_OSFXSR;
	run("f2 0f 10 03", GUEST_DEVICE + 12, false);
	expect_event(EXC_AC, 0, 0);
	run("0f 58 03", GUEST_DEVICE + 12, false);
	expect_event(EXC_GP, 0, 0);
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 8;
	run("db 2b", GUEST_DEVICE + 8, false);
	done(2);
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 2;
	guest_vcpu.gpr[GPR_RDI] = 0x5001;
	guest_code("\x66\x6d", 2);
	guest_log = (struct guest_log){ 0 };
	emulate_string_io(&guest_vcpu, &insw);
	expect_event(EXC_AC, 0, 0);
	assert_int_equal(guest_log.ports, 0);
	guest_vcpu.rflags &= ~RFLAGS_AC;
	run("01 03", GUEST_DEVICE + 2, true);
	done(2);
	/* CMPXCHG16B in any case */
	run("48 0f c7 0b", GUEST_DEVICE + 2, true);
	expect_event(EXC_GP, 0, 0);
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 16;
	run("48 0f c7 0b", GUEST_DEVICE + 16, true);
	done(4);
}

/* REP INS or OUTS of that many, from where rDI and rSI are; what came of it, one by one or not. */
static void string_io(const char *code, unsigned size, uint64_t at, uint64_t count)
{
	bool in = (uint8_t)code[1] == 0x6d || (uint8_t)code[2] == 0x6d;
	struct io_access io = { .port = 0x60, .size = (uint8_t)size, .in = in, .rep = true,
				.segment = SEG_COUNT };

	guest_vcpu.gpr[GPR_RDI] = guest_vcpu.gpr[GPR_RSI] = at;
	guest_vcpu.gpr[GPR_RCX] = count;
	guest_vcpu.rip = 0x1000;
	guest_code(code, strlen(code));
	guest_log = (struct guest_log){ 0 };
	emulate_string_io(&guest_vcpu, &io);
}

struct string_end {
	uint64_t rdi, rsi, rcx;
	struct guest_log log;
	uint8_t ram[3 * PAGE_SIZE];
};

static void string_state(struct string_end *e)
{
	e->rdi = guest_vcpu.gpr[GPR_RDI];
	e->rsi = guest_vcpu.gpr[GPR_RSI];
	e->rcx = guest_vcpu.gpr[GPR_RCX];
	e->log = guest_log;
	e->log.strings = 0;
	memcpy(e->ram, guest_ram + 0x5000, sizeof(e->ram));
}

/* Whatever is done at once is as if it had come one by one. */
static void strings_at_once(void **state)
{
	static const struct {
		const char *code;
		unsigned size;
		uint64_t at, count;
		bool once;			/* it may not be done at once */
	} rows[] = {
		{ "\xf3\x66\x6d", 2, 0x5010, 256, false }, { "\xf3\x6d", 4, 0x5ff0, 64, false },
		{ "\xf3\x66\x6d", 2, 0x5fff, 1, true }, { "\xf3\x66\x6d", 2, 0x5ffd, 40, false },
		{ "\xf3\x66\x6f", 2, 0x5100, 300, false }, { "\xf3\x6f", 4, 0x5ffe, 9, false },
		{ "\xf3\x66\x6d", 2, 0x5010, 0, true }, { "\xf3\x6d", 4, 0x5010, 1, true },
		{ "\xf3\x67\x6d", 4, 0xfffffff0, 8, true },
	};
	static struct string_end alone, many;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		for (unsigned down = 0; down < 2; down++)
			for (guest_string = 1; guest_string < 400; guest_string += 57) {
				unsigned most = guest_string;

				guest_vcpu.rflags &= ~RFLAGS_DF;
				guest_vcpu.rflags |= down ? RFLAGS_DF : 0;
				memset(guest_ram + 0x5000, 0x5a, sizeof(alone.ram));
				guest_string = 0;
				string_io(rows[i].code, rows[i].size, rows[i].at, rows[i].count);
				string_state(&alone);
				memset(guest_ram + 0x5000, 0x5a, sizeof(alone.ram));
				guest_string = most;
				string_io(rows[i].code, rows[i].size, rows[i].at, rows[i].count);
				assert_int_equal(guest_log.strings != 0, !rows[i].once && !down);
				string_state(&many);
				assert_memory_equal(&alone, &many, sizeof(many));
			}
	/* One step each, and where somebody watches. */
	guest_vcpu.rflags &= ~RFLAGS_DF;
	guest_vcpu.rflags |= RFLAGS_TF;
	string_io("\xf3\x66\x6d", 2, 0x5010, 16);
	assert_int_equal(guest_log.strings, 0);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 15);
	guest_vcpu.rflags &= ~RFLAGS_TF;
	/* A segment that ends on the way. */
	guest_flat(32);
	guest_segment[SEG_ES].limit = 0x501f;
	guest_string = 100;
	string_io("\xf3\x66\x6d", 2, 0x5010, 16);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 8);
	expect_event(EXC_GP, 0, 0);
	guest_string = 0;
}

/* ---- breakpoints on data and ports: DR7 has type and length of each, 4 bits from bit 16 on */

#define DR7_ON(n, type, length) \
	(1ul << 2 * (n) | ((type) | (uint64_t)(length) << 2) << (16 + 4 * (n)))
enum { DR7_EXEC, DR7_WRITE, DR7_IO, DR7_ANY };
enum { DR7_BYTE, DR7_WORD, DR7_QUAD, DR7_LONG };

static void watched(const char *hex, unsigned access, uint64_t hits)
{
	guest_reg[REG_DR0] = GUEST_MMIO + 0x10;
	guest_reg[REG_DR1] = GUEST_MMIO + 0x18;
	run(hex, GUEST_DEVICE + 0x10, false);		/* code, and what it does unwatched */
	guest_vcpu.rip = 0x1000;
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x10), access | EXIT_WATCHED);
	assert_int_equal(guest_log.nexts, 1);
	assert_int_equal(guest_log.events, hits != 0);
	if (!hits)
		return;
	assert_int_equal(guest_log.event.vector, EXC_DB);
	assert_int_equal(guest_log.event.payload, hits);
}

static void watched_data(void **state)
{
	(void)state;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO + 0x10;
	guest_reg[REG_DR7] = DR7_ON(0, DR7_WRITE, DR7_LONG) | DR7_ON(1, DR7_ANY, DR7_QUAD);
	watched("89 03", GMEM_WRITE, DR6_B0);
	watched("8b 03", GMEM_READ, 0);
	watched("8b 43 04", GMEM_READ, 0);
	watched("89 43 03", GMEM_WRITE, DR6_B0);	/* its first byte */
	watched("89 43 fd", GMEM_WRITE, DR6_B0);	/* its last */
	watched("89 43 04", GMEM_WRITE, 0);
	watched("89 43 05", GMEM_WRITE, DR6_B1);
	watched("48 8b 43 04", GMEM_READ, DR6_B1);
	watched("48 89 43 01", GMEM_WRITE, DR6_B0 | DR6_B1);
	watched("8b 43 0f", GMEM_READ, DR6_B1);
	watched("8b 43 10", GMEM_READ, 0);
	watched("01 03", GMEM_READ, DR6_B0);		/* reads, then writes */
	watched("39 03", GMEM_READ, 0);
	watched("87 43 08", GMEM_WRITE, DR6_B1);
	/* not enabled; on instructions; on ports */
	guest_reg[REG_DR7] = DR7_ON(0, DR7_WRITE, DR7_LONG) & ~3ul;
	watched("89 03", GMEM_WRITE, 0);
	guest_reg[REG_DR7] = DR7_ON(0, DR7_EXEC, DR7_BYTE) | DR7_ON(1, DR7_IO, DR7_BYTE);
	guest_reg[REG_CR4] = CR4_DE;
	watched("89 03", GMEM_WRITE, 0);
	/* the other operand, in RAM */
	guest_reg[REG_DR7] = DR7_ON(2, DR7_WRITE, DR7_WORD);
	guest_reg[REG_DR2] = 0x5002;
	guest_vcpu.gpr[GPR_RSI] = GUEST_MMIO + 0x10;
	guest_vcpu.gpr[GPR_RDI] = 0x5000;
	guest_code("\xa5", 1);
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x10), GMEM_READ | EXIT_WATCHED);
	assert_int_equal(guest_log.event.payload, DR6_B2);
	/* what faults has met nothing */
	guest_vcpu.gpr[GPR_RSI] = GUEST_MMIO + 0x10;
	guest_vcpu.gpr[GPR_RDI] = guest_reg[REG_DR2] = GUEST_MMIO + 0x3000;
	guest_code("\xa5", 1);
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x10), GMEM_READ | EXIT_WATCHED);
	expect_event(EXC_PF, PF_WRITE, GUEST_MMIO + 0x3000);
}

/* A repeated instruction traps behind the iteration that met it, and goes on from there. */
static void watched_repeats(void **state)
{
	(void)state;
	guest_reg[REG_DR3] = GUEST_MMIO + 0x14;
	guest_reg[REG_DR7] = DR7_ON(3, DR7_WRITE, DR7_LONG);
	guest_vcpu.gpr[GPR_RDI] = GUEST_MMIO + 0x10;
	guest_vcpu.gpr[GPR_RCX] = 4;
	guest_code("\xf3\xab", 2);
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x10), GMEM_WRITE | EXIT_WATCHED);
	assert_int_equal(guest_log.event.payload, DR6_B3);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 2);
	assert_int_equal(guest_vcpu.rip, 0x1000);
	assert_true(guest_vcpu.rflags & RFLAGS_RF);
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x18), GMEM_WRITE | EXIT_WATCHED);
	done(2);
	/* the last iteration ends the instruction */
	guest_vcpu.gpr[GPR_RDI] = GUEST_MMIO + 0x14;
	guest_vcpu.gpr[GPR_RCX] = 1;
	guest_vcpu.rip = 0x1000;
	guest_log = (struct guest_log){ 0 };
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + 0x14), GMEM_WRITE | EXIT_WATCHED);
	assert_int_equal(guest_log.event.payload, DR6_B3);
	assert_int_equal(guest_vcpu.rip, 0x1002);
}

static void watched_ports(void **state)
{
	struct io_access io = { .port = 0x61, .size = 1, .in = true, .segment = SEG_COUNT,
				.watched = true };

	(void)state;
	guest_reg[REG_DR0] = 0x60;
	guest_reg[REG_DR7] = DR7_ON(0, DR7_IO, DR7_WORD);
	assert_int_equal(breakpoint_io(&guest_vcpu, 0x60, 1), 0);	/* no CR4.DE */
	guest_reg[REG_CR4] = CR4_DE;
	assert_int_equal(breakpoint_io(&guest_vcpu, 0x60, 1), DR6_B0);
	assert_int_equal(breakpoint_io(&guest_vcpu, 0x61, 2), DR6_B0);
	assert_int_equal(breakpoint_io(&guest_vcpu, 0x5e, 4), DR6_B0);
	assert_int_equal(breakpoint_io(&guest_vcpu, 0x5e, 2), 0);
	assert_int_equal(breakpoint_io(&guest_vcpu, 0x62, 4), 0);
	assert_int_equal(breakpoint_data(&guest_vcpu, 0x60, 1, true), 0);
	guest_vcpu.gpr[GPR_RDI] = 0x5000;
	guest_code("\x6c", 1);
	emulate_string_io(&guest_vcpu, &io);
	assert_int_equal(guest_log.event.payload, DR6_B0);
	assert_int_equal(guest_log.ports, 1);
	assert_int_equal(guest_vcpu.rip, 0x1001);
}

static void long_repeats_give_way(void **state)
{
	unsigned rounds = 0;

	(void)state;
	guest_vcpu.gpr[GPR_RDI] = GUEST_MMIO;
	guest_vcpu.gpr[GPR_RCX] = 4096;
	guest_vcpu.gpr[GPR_RAX] = 0x5a;
	do {
		run("f3 aa", GUEST_DEVICE, true);
		rounds++;
	} while (!guest_log.nexts && rounds < 10);
	assert_int_equal(rounds, 4);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(guest_device[i], 0x5a);
	/* a request ends it after one iteration */
	guest_vcpu.requests = VCPU_REQ_STOP;
	guest_vcpu.gpr[GPR_RDI] = GUEST_MMIO;
	guest_vcpu.gpr[GPR_RCX] = 10;
	run("f3 aa", GUEST_DEVICE, true);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 9);
	assert_int_equal(guest_log.nexts, 0);
	/* with TF each is a step */
	guest_vcpu.requests = 0;
	guest_vcpu.rflags |= RFLAGS_TF;
	run("f3 aa", GUEST_DEVICE, true);
	assert_int_equal(guest_vcpu.gpr[GPR_RCX], 8);
	assert_int_equal(guest_log.nexts, 1);
	assert_int_equal(guest_log.length, 0);
}

static void what_is_not_emulated(void **state)
{
	static const struct {
		const char *code, *why;
		bool write;
	} rows[] = {
		{ "0f 0f 03 b4", "is not emulated", false },		/* PFMUL */
		{ "0f ae 03", "extended state", true },			/* FXSAVE */
		{ "0f ae 2b", "extended state", false },		/* XRSTOR */
		{ "62 f1 7c 48 58 43 01", "EVEX", false },		/* VADDPS, 64 bytes on */
		{ "62 f2 7d 48 90 04 0b", "EVEX", false },
		{ "8f e9 78 80 03", "XOP", false },			/* VFRCZPS */
		{ "c5 f8 90 03", "is not emulated", false },		/* KMOVW */
	};

	(void)state;
	guest_mode.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	guest_reg[REG_XCR0] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		run(rows[i].code, GUEST_DEVICE, rows[i].write);
		assert_int_equal(guest_log.crashes, 1);
		assert_non_null(strstr(guest_log.crash, rows[i].code));
		assert_non_null(strstr(guest_log.crash, rows[i].why));
		assert_int_equal(guest_log.nexts, 0);
	}
	run("0f 04", GUEST_DEVICE, false);
	expect_event(EXC_UD, 0, 0);
	/* code that is not in memory */
	guest_log = (struct guest_log){ 0 };
	guest_vcpu.rip = GUEST_MMIO;
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE), GMEM_READ);
	assert_int_equal(guest_log.crashes, 1);
}

static unsigned length_of(const char *bytes, size_t n, unsigned opcode)
{
	guest_code(bytes, n);
	return emulate_length_of(&guest_vcpu, opcode);
}

static void lengths(void **state)
{
	static const unsigned two[] = { 0x0f31, 0x0f09, 0 };
	unsigned cr, found;
	enum gpr r;
	bool write;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(length_of("\x0f\xa2", 2, 0x0fa2), 2);
		assert_int_equal(length_of("\x66\x0f\xa2", 3, 0x0fa2), 3);
		assert_int_equal(length_of("\xf3\x0f\xa2", 3, 0x0fa2), 3);
		assert_int_equal(length_of("\x0f\x31", 2, 0x0fa2), 0);
		assert_int_equal(length_of("\xf4", 1, 0xf4), 1);
		assert_int_equal(length_of("\x66\xf4", 2, 0xf4), 2);
		assert_int_equal(length_of("\x90", 1, 0xf4), 0);
		assert_int_equal(length_of("\x0f\x01\xd9", 3, 0x0f01d9), 3);
		assert_int_equal(length_of("\x48\x0f\x01\xd9", 4, 0x0f01d9), 4);
		assert_int_equal(length_of("\x0f\x01\xd8", 3, 0x0f01d9), 0);
		assert_int_equal(length_of("\xf3\x90", 2, 0xf390), 2);
		assert_int_equal(length_of("\xf3\x66\x90", 3, 0xf390), 3);
		assert_int_equal(length_of("\x90", 1, 0xf390), 0);
		assert_int_equal(length_of("\x90", 1, 0x90), 1);
	}
	assert_int_equal(guest_log.events, 0);
	/* the back ends' way: only what is cached */
	assert_int_equal(length_of("\x0f\xa2\xf4", 3, 0x0fa2), 2);
	assert_true(fetch_is_at_rip(&guest_vcpu, guest_mode.cr3, guest_mode.cr4, 0x0fa2, 2));
	assert_false(fetch_is_at_rip(&guest_vcpu, guest_mode.cr3, guest_mode.cr4, 0x0f32, 2));
	assert_false(
		fetch_is_at_rip(&guest_vcpu, guest_mode.cr3 + 4096, guest_mode.cr4, 0x0fa2, 2));
	assert_false(
		fetch_is_at_rip(&guest_vcpu, guest_mode.cr3, guest_mode.cr4 | CR4_LA57, 0x0fa2, 2));
	guest_code("\x44\x0f\x22\xc1", 4);
	assert_int_equal(emulate_decode_mov_cr(&guest_vcpu, &cr, &write, &r), 4);
	assert_int_equal(cr, 8);
	assert_true(write);
	assert_int_equal(r, GPR_RCX);
	assert_int_equal(emulate_length_among(&guest_vcpu, two, &found), 0);
	assert_int_equal(found, 0);
	guest_code("\xf3\x0f\x09", 3);
	assert_int_equal(emulate_length_among(&guest_vcpu, two, &found), 3);
	assert_int_equal(found, 0x0f09);
	/* RDTSC with a prefix is as long as RDTSCP */
	guest_code("\x66\x0f\x31", 3);
	assert_int_equal(emulate_length_among(&guest_vcpu, two, &found), 3);
	assert_int_equal(found, 0x0f31);
}

/* The last bytes of a page, with the next page there, elsewhere, or not at all. */
static void at_the_page_end(void **state)
{
	uint64_t pde = 2 * MIB + 0x4000;
	uint8_t bytes[15];

	(void)state;
	memset(guest_ram + 0x300000, 0xcc, 4096);
	memset(guest_ram + 0x5000, 0xcc, 4096);
	memcpy(guest_ram + pde + 3 * 8, &(uint64_t){ 0x5000 | 3 }, 8);
	memcpy(guest_ram + 0x300fff, "\x0f", 1);
	memcpy(guest_ram + 0x5000, "\xa2", 1);
	guest_vcpu.rip = GUEST_MMIO + 0x2fff;
	guest_mode.cpl = 0;
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 2);
	assert_int_equal(emulate_fetch_bytes(&guest_vcpu, bytes), 15);
	assert_int_equal(bytes[1], 0xa2);
	memset(guest_ram + pde + 3 * 8, 0, 8);
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 0);
	assert_int_equal(guest_log.events, 1);
	assert_int_equal(guest_log.event.vector, EXC_PF);
	assert_int_equal(guest_log.event.error, PF_FETCH);
	assert_int_equal(guest_log.event.payload, GUEST_MMIO + 0x3000);
	assert_int_equal(emulate_fetch_bytes(&guest_vcpu, bytes), 1);
	/* one that ends there needs no next page */
	guest_log = (struct guest_log){ 0 };
	guest_ram[0x300fff] = 0xf4;
	assert_int_equal(emulate_length_of(&guest_vcpu, 0xf4), 1);
	assert_int_equal(guest_log.events, 0);
}

/* What the kernel executed there says nothing of what a user may fetch. */
static void rights_of_the_second_page(void **state)
{
	uint64_t pte = 2 * MIB + 0x4000;

	(void)state;
	for (uint64_t t = 2 * MIB; t < 2 * MIB + 0x4000; t += 0x1000)
		for (unsigned i = 0; i < 4; i++)
			guest_ram[t + i * 8] |= 4;
	memcpy(guest_ram + pte + 3 * 8, &(uint64_t){ 0x5000 | 3 }, 8);
	memcpy(guest_ram + 0x5000, "\x0f\xa2\x12\x34\x56", 5);
	guest_vcpu.rip = GUEST_MMIO + 0x3000;
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 2);
	guest_mode.cpl = 3;
	memcpy(guest_ram + 0x300ffe, "\xc7\x03", 2);	/* a store of what follows */
	guest_vcpu.rip = GUEST_MMIO + 0x2ffe;
	guest_vcpu.gpr[GPR_RBX] = GUEST_MMIO;
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE), GMEM_WRITE);
	assert_int_equal(guest_log.writes, 0);
	assert_int_equal(guest_log.events, 1);
	assert_int_equal(guest_log.event.error, PF_PRESENT | PF_USER | PF_FETCH);
	assert_int_equal(guest_log.event.payload, GUEST_MMIO + 0x3000);
}

/* The guest changes its tables, without an exit, between two instructions at the same address. */
static void tables_change(void **state)
{
	uint64_t pte = 2 * MIB + 0x4000 + 2 * 8;

	(void)state;
	memcpy(guest_ram + 0x300000, "\x0f\xa2", 2);
	memcpy(guest_ram + 0x6000, "\x66\x0f\xa2", 3);
	guest_vcpu.rip = GUEST_MMIO + 0x2000;
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 2);
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 2);
	memcpy(guest_ram + pte, &(uint64_t){ 0x6000 | 7 }, 8);
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 3);
	memcpy(guest_ram + pte, &(uint64_t){ 0x6000 | 7 | 1ul << 63 }, 8);
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 0);
	assert_int_equal(guest_log.event.error, PF_PRESENT | PF_FETCH);
	/* a flush forgets pointers, not correctness */
	memcpy(guest_ram + pte, &(uint64_t){ 0x300000 | 7 }, 8);
	emulate_flush(&guest_vcpu);
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 2);
}

static bool is_cpuid(uint64_t cr3)
{
	return fetch_is_at_rip(&guest_vcpu, cr3, guest_mode.cr4, 0x0fa2, 2) ||
	       (fetch_root_turned(guest_vcpu.fetch, cr3) &&
		fetch_is_at_rip(&guest_vcpu, cr3, guest_mode.cr4, 0x0fa2, 2));
}

/* Roots that lead to the same tables need no walk of their own; those that do not, get one. */
static void roots_change(void **state)
{
	uint64_t first = guest_mode.cr3, other = 0x8000, pte = 2 * MIB + 0x4000 + 2 * 8, top;

	(void)state;
	assert_false(is_cpuid(1));				/* nothing is there yet */
	memcpy(guest_ram + other, guest_ram + first, 4096);
	memcpy(guest_ram + 0x300000, "\x0f\xa2\x90\x90", 4);
	guest_vcpu.rip = GUEST_MMIO + 0x2000;
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 2);
	/* the walk has set its accessed bit in the first root alone, as the chip has in both */
	assert_false(is_cpuid(other));
	memcpy(guest_ram + other, guest_ram + first, 4096);
	for (unsigned round = 0; round < 3; round++) {
		assert_true(is_cpuid(other | 0x18));		/* PCD and PWT are no address */
		assert_true(is_cpuid(first));
	}
	assert_false(is_cpuid(1ul << 40));			/* no memory */
	assert_false(is_cpuid(1));
	/* what is below changes for all */
	assert_true(is_cpuid(other));
	memcpy(guest_ram + pte, &(uint64_t){ 0x6000 | 7 }, 8);
	assert_false(is_cpuid(other));
	assert_false(is_cpuid(first));
	memcpy(guest_ram + 0x6000, "\x66\x0f\xa2\x90", 4);
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 3);
	/* a root that leads elsewhere */
	memcpy(&top, guest_ram + first, 8);
	memcpy(guest_ram + 0x9000, guest_ram + (top & ~0xffful), 4096);
	memcpy(guest_ram + other, &(uint64_t){ 0x9000 | (top & 0xfff) }, 8);
	assert_false(is_cpuid(other));
	guest_mode.cr3 = other;
	memcpy(guest_ram + 0x6000, "\x0f\xa2\x90\x90", 4);
	assert_int_equal(emulate_length_of(&guest_vcpu, 0x0fa2), 2);
	assert_true(is_cpuid(other));
	assert_false(is_cpuid(first));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(flushes_do_nothing, setup),
		cmocka_unit_test_setup(one_access_of_the_right_size, setup),
		cmocka_unit_test_setup(faults_come_first, setup),
		cmocka_unit_test_setup(stack, setup),
		cmocka_unit_test_setup(real_mode, setup),
		cmocka_unit_test_setup(protected_mode, setup),
		cmocka_unit_test_setup(ports, setup),
		cmocka_unit_test_setup(ports_of_changed_code, setup),
		cmocka_unit_test_setup(changed_code, setup),
		cmocka_unit_test_setup(access_of_none, setup),
		cmocka_unit_test_setup(segments_of_changed_code, setup),
		cmocka_unit_test_setup(alignment, setup),
		cmocka_unit_test_setup(strings_at_once, setup),
		cmocka_unit_test_setup(watched_data, setup),
		cmocka_unit_test_setup(watched_repeats, setup),
		cmocka_unit_test_setup(watched_ports, setup),
		cmocka_unit_test_setup(long_repeats_give_way, setup),
		cmocka_unit_test_setup(what_is_not_emulated, setup),
		cmocka_unit_test_setup(lengths, setup),
		cmocka_unit_test_setup(at_the_page_end, setup),
		cmocka_unit_test_setup(rights_of_the_second_page, setup),
		cmocka_unit_test_setup(tables_change, setup),
		cmocka_unit_test_setup(roots_change, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
