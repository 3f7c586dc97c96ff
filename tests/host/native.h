/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions executed on the processor that the test runs on, with registers and flags as given:
 * what the emulator is compared with.
 */
#pragma once

#include "vmm/regs.h"

struct native {
	uint64_t gpr[GPR_COUNT], flags;
};

/* Loads all registers but RSP, runs the code, which ends in RET, and stores them. */
void native_run(struct native *n, const void *code);
/* Likewise; false: it divided by zero or overflowed, and *n is as before. */
bool native_divides(struct native *n, const void *code);
/* A page to write code to. */
uint8_t *native_page(void);
