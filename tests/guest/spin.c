/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Busy for ever, with interrupts off and no exit: what a fair scheduler shares a core with. With
 * `pause` on the command line it PAUSEs now and then, at which an emulator that runs its CPUs in
 * turns goes on to the next: far too seldom for PAUSE-loop exits. With `quiet` it says nothing
 * first.
 */
#include "tests/guest/lib/guest.h"

#define ROUNDS	65536u

void test_main(void)
{
	bool pauses = cmdline_has("pause");

	if (!cmdline_has("quiet"))
		print("SPIN\n");
	for (;;) {
		for (unsigned i = 0; i < ROUNDS; i++)
			barrier();
		if (pauses)
			pause();
	}
}
