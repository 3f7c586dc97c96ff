/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the assembly and the boot code hand over to.
 */
#pragma once

#include "include/compiler.h"

noreturn void kernel_main(void);	/* boot CPU */
noreturn void kernel_main_ap(void);	/* every other CPU, on its own stack and the final map */

/* Goes on in `fn` on another stack and never comes back; the old one is left as it is. */
noreturn void stack_leave(void *top, void (*fn)(void));
