/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/host/steps.h"

#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

static void (*at_step)(uintptr_t rip);

static void trapped(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	at_step((uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
}

void steps_begin(void (*fn)(uintptr_t rip))
{
	struct sigaction trap = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };

	at_step = fn;
	sigaction(SIGTRAP, &trap, NULL);
}
