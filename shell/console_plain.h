/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes a terminal plain again, whatever a guest has left of it.
 */
#pragma once

/*
 * Whatever the guest has left of the terminal: a sequence that it has not finished (CAN, and ST for
 * those that do not listen to that inside a string), the alternate screen, modes. The soft reset
 * does most of it where it is known, the rest says the same in parts. What moves the cursor stands
 * between saving and restoring it. Sources: VT510 manual, "ANSI Control Functions"; "XTerm Control
 * Sequences".
 */
static const char console_plain[] =
	"\x18\x1b\\"
	"\x1b" "7\x1b[?1049l"		/* to the first screen, at its cursor or this one */
	"\x1b[!p"			/* soft reset */
	"\x1b[?69l\x1b" "7\x1b[r\x1b" "8"	/* margins: none */
	"\x1b[>4m\x1b[m"		/* keys as usual, no colours */
	"\x1b[?1;5;9;1000;1002;1003;1004;1005;1006;1015;2004l"	/* arrows, mouse, paste: usual */
	"\x1b[4;20l\x1b[?7;25h\x1b>"	/* replace, no extra CR, wrap, cursor, keypad: usual */
	"\x1b(B\x1b)B\x0f";		/* ASCII */
