/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Busy for ever, with interrupts off and no exit: what a fair scheduler shares a core with. With
 * `pause` on the command line it PAUSEs now and then, at which an emulator that runs its CPUs in
 * turns goes on to the next: far too seldom for PAUSE-loop exits. With `quiet` it says nothing
 * first; with `all` its other processors spin, too.
 */
#include "tests/guest/lib/apic.h"

#define ROUNDS		65536u
#define ICR		0x830
#define ICR_OTHERS	0xc0000
#define ICR_INIT	0x4500
#define ICR_SIPI	0x4600
#define FIRST_PAGE	8

static const uint8_t spinner[] = { 0xfa, 0xeb, 0xfe };	/* cli; again */

static void start_others(void)
{
	apic_init(APIC_X2APIC);
	copy((void *)(FIRST_PAGE * 4096ul), spinner, sizeof(spinner));
	wrmsr(ICR, ICR_OTHERS | ICR_INIT);
	wrmsr(ICR, ICR_OTHERS | ICR_SIPI | FIRST_PAGE);
}

void test_main(void)
{
	bool pauses = cmdline_has("pause");

	if (!cmdline_has("quiet"))
		print("SPIN\n");
	if (cmdline_has("all"))
		start_others();
	for (;;) {
		for (unsigned i = 0; i < ROUNDS; i++)
			barrier();
		if (pauses)
			pause();
	}
}
