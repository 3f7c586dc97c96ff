/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvpanic from inside: what it understands, an event that is only logged, events that it does not
 * know, and then the end. The last never returns.
 */
#include "tests/guest/lib/guest.h"

#define PORT		0x505
#define PANICKED	1
#define CRASH_LOADED	2

void test_main(void)
{
	check_equal(inb(PORT), PANICKED | CRASH_LOADED, "events");
	outb(PORT, 0);
	outb(PORT, 0xf8);
	outb(PORT, CRASH_LOADED);
	print("STILL HERE\n");
	outb(PORT, PANICKED);
	astray("a panic came back");
}
