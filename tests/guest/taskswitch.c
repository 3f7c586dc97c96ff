/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardware task switches: long mode has none, a jump to a TSS is #GP. (32-bit mode has:
 * see `task` of die.c.)
 */
#include "tests/guest/lib/guest.h"

static void jump(void *arg)
{
	struct { uint32_t offset; uint16_t selector; } packed to = { 0, SEL_TSS };

	(void)arg;
	__asm__ volatile("ljmpl *%0" :: "m"(to));
}

static void call(void *arg)
{
	struct { uint32_t offset; uint16_t selector; } packed to = { 0, SEL_TSS };

	(void)arg;
	__asm__ volatile("lcall *%0" :: "m"(to));
}

void test_main(void)
{
	check_fault(fault_call(jump, NULL), VEC_GP, SEL_TSS, "jump_to_tss");
	check_fault(fault_call(call, NULL), VEC_GP, SEL_TSS, "call_to_tss");
}
