/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For a test_NAME_cost: counts the instructions of the product's files that it links, which lie in
 * sections of their own (see the Makefile), by having the processor trap after each one.
 */
#pragma once

#include "include/compiler.h"

/* `fn` is called at each trap, for the instruction that comes next. */
void steps_begin(void (*fn)(uintptr_t rip));

static always_inline void steps_trap(bool on)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n"
			 "pushfq\n"
			 "andl $~0x100, (%%rsp)\n"
			 "orl %0, (%%rsp)\n"
			 "popfq\n"
			 "lea 128(%%rsp), %%rsp" : : "r"(on ? 0x100 : 0) : "memory", "cc");
}

static inline bool steps_within(uintptr_t rip, const char *start, const char *stop)
{
	return rip - (uintptr_t)start < (uintptr_t)(stop - start);
}
