/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Busy for ever, with interrupts off and no exit: what a fair scheduler shares a core with. With
 * `pause` on the command line its loop contains PAUSE.
 */
#include "tests/guest/lib/guest.h"

void test_main(void)
{
	print("SPIN\n");
	if (cmdline_has("pause"))
		for (;;)
			pause();
	for (;;)
		barrier();
}
