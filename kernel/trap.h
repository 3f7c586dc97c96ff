/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts as the CPU delivers them: the table of 256 gates, and what a gate's
 * stub saves. Stubs from IRQ_FIRST on call irq_dispatch(); an exception is looked up in the
 * fixup table (cpu/cpu.h, FIXUP) and is otherwise the end, for Keel's own code raises none. Stubs
 * are right also when they interrupt ring 3: an exception there ends its thread, and nobody goes
 * back before others who want the CPU had it.
 * Source: Intel SDM 3, "Interrupt and Exception Handling".
 */
#pragma once

#include "include/compiler.h"

/* What the stubs below IRQ_FIRST push, in memory order. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;			/* error is 0 where the CPU gives none */
	uint64_t rip, cs, rflags, rsp, ss;	/* by the CPU */
};

void trap_init(void);		/* fills the table; boot CPU, once */
void trap_cpu_init(void);	/* loads it */
uint64_t trap_idt_base(void);

/* For a back end whose exit says that a machine check arrived in guest mode. */
void trap_machine_check(void);
/* Once all CPUs run: warns of errors that were in their machine-check banks when they started. */
void trap_log_leftovers(void);
/* For a panic's report: a line for each stopped CPU whose machine-check banks hold an error. */
void trap_say_machine_checks(void (*say)(const char *line));

/*
 * From the stubs, before they go back to ring 3, interrupts off: the thread gives way if it should.
 * Wherever it goes on then, the next entry finds the stack whose top is behind its frame.
 */
void trap_to_user(void *stack_top);
/*
 * From a thread to ring 3, for good: the next trap begins at the top of the thread's stack. The
 * user's GS base and address space are the caller's to have set. Interrupts are on there.
 */
noreturn void trap_enter_user(uint64_t rip, uint64_t rsp, void *stack_top);

/* From the stubs below IRQ_FIRST. */
void trap_dispatch(struct trap_frame *f);
