/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions executed on the processor that the test runs on, with registers and flags as given:
 * what the emulator is compared with.
 */
#pragma once

#include "vmm/regs.h"

struct native {
	uint64_t gpr[GPR_COUNT], flags;
	uint64_t extended;		/* 1: this state, too: x87, SSE and AVX, as XSAVE has it */
	uint8_t fpu[1024] aligned(64);
};

/* A page for code; the code and what leads back from it. */
uint8_t *native_page(void);
void native_put(uint8_t *page, const void *code, size_t n);
/* Loads all registers, runs what was put at `page`, stores them. */
void native_run(struct native *n, const uint8_t *page);
/* Likewise; the vector of the fault that it raised, or -1. */
int native_try(struct native *n, const uint8_t *page);
/* Another processor that adds one to *counter so many times, whole; until it has. */
void native_adder(uint32_t *counter, unsigned rounds);
void native_adder_ends(void);
