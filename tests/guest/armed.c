/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Breakpoints at the hypervisor's own addresses: on code (exec=FROM-TO, each byte) and on data
 * (data=FROM-TO, each 8 bytes), hexadecimal, from the command line. Four at a time are armed, then
 * it exits in several ways. They are this guest's, so nothing may come of them: it meets none, and
 * who runs beside it notices nothing.
 */
#include "tests/guest/lib/apic.h"

#define TYPE_DATA	0xfffful	/* four times: 8 bytes, reads and writes */

static unsigned met;

static uint64_t number(const char **at)
{
	uint64_t value = 0;

	for (;; (*at)++) {
		unsigned c = (uint8_t)**at;

		if (c - '0' < 10)
			value = value << 4 | (c - '0');
		else if (c - 'a' < 6)
			value = value << 4 | (c - 'a' + 10);
		else
			return value;
	}
}

static void exits(unsigned round)
{
	cpuid(0);
	if (round % 16)
		return;
	inb(0x21);
	mmio_read(LAPIC_BASE + APIC_LVT_ERROR);
	apic_self_ipi(0x70);
	sti_hlt_cli();
}

static unsigned arm_range(uint64_t from, uint64_t to, uint64_t step, uint64_t type)
{
	unsigned rounds = 0;

	for (uint64_t at = from; at < to; at += 4 * step, rounds++) {
		dr0_write(at), dr1_write(at + step);
		dr2_write(at + 2 * step), dr3_write(at + 3 * step);
		dr7_write(0x400 | 0x55 | type << 16);
		exits(rounds);
		if (dr7_read() != (0x455 | type << 16) || dr0_read() != at)
			check(false, "armed", "%lx %lx", dr7_read(), dr0_read());
	}
	dr7_write(0x400);
	return rounds;
}

void test_main(void)
{
	unsigned rounds = 0, woken = 0;

	apic_init(APIC_XAPIC);
	trap_count_set(0x70, &woken);
	trap_count_set(VEC_DB, &met);
	print("ARMING\n");
	for (const char *at = cmdline(); *at; at++) {
		bool exec = !compare(at, "exec=", 5);
		uint64_t from;

		if (!exec && compare(at, "data=", 5))
			continue;
		at += 5;
		from = number(&at);
		at++;
		rounds += arm_range(from, number(&at), exec ? 1 : 8, exec ? 0 : TYPE_DATA);
		if (!*at)
			break;
	}
	check(rounds && !met, "armed_at_keel", "%u rounds, %u met", rounds, met);
}
