/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neighbour: sleeps and wakes by its APIC's timer, and says `tick N` every 64 wake-ups, for
 * ever. As long as it is heard, what others do has not reached it.
 */
#include "tests/guest/lib/apic.h"

#define VEC	0x70
#define EVERY	64

static unsigned count;

void test_main(void)
{
	unsigned said = 0;

	apic_init(APIC_XAPIC);
	trap_count_set(VEC, &count);
	apic_write(APIC_LVT_TIMER, VEC | LVT_PERIODIC);
	apic_write(APIC_TIMER_INIT, 1000000);
	for (;;) {
		sti_hlt_cli();
		if (count / EVERY != said) {
			said = count / EVERY;
			print("tick %u\n", said);
		}
	}
}
