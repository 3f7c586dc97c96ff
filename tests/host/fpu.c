/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For cpu/fpu_run.c in a program: this processor's own x87, SSE and AVX, text that may be written,
 * and faults that go where the fixup table says. States are guest_fpu's size.
 */
#define _GNU_SOURCE		/* REG_RIP */

#include "cpu/fpu.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "cpu/registers.h"
#include "include/bits.h"

#define AREA_SIZE	1024
#define STATES		(XCR0_X87 | XCR0_SSE | XCR0_AVX)

struct fixup {
	int32_t from, to;
} packed;

extern const struct fixup __start_host_fixup[], __stop_host_fixup[];
extern uint8_t fpu_run_slot[];

static uint8_t own[AREA_SIZE] aligned(FPU_ALIGN);

static void on_fault(int number, siginfo_t *info, void *context)
{
	greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)info;
	for (const struct fixup *x = __start_host_fixup; x < __stop_host_fixup; x++)
		if ((greg_t)&x->from + x->from == *rip) {
			*rip = (greg_t)&x->to + x->to;
			return;
		}
	signal(number, SIG_DFL);
}

/* They are cmocka's or libFuzzer's before and after. */
static const int signals[] = { SIGFPE, SIGILL, SIGSEGV };
static struct sigaction others[3];

static void take_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	for (unsigned i = 0; i < 3; i++)
		sigaction(signals[i], &action, &others[i]);
}

static void give_faults_back(void)
{
	for (unsigned i = 0; i < 3; i++)
		sigaction(signals[i], &others[i], NULL);
}

__attribute__((constructor)) static void open_text(void)
{
	if (mprotect((void *)((uintptr_t)fpu_run_slot & ~4095ul), 8192,
		     PROT_READ | PROT_WRITE | PROT_EXEC))
		abort();
}

static void xsave(void *area)
{
	__asm__ volatile("xsave64 (%0)" :: "r"(area), "a"(STATES), "d"(0) : "memory");
}

static void xrstor(const void *area)
{
	__asm__ volatile("xrstor64 (%0)" :: "r"(area), "a"(STATES), "d"(0) : "memory");
}

size_t fpu_area_size(void)
{
	return AREA_SIZE;
}

int fpu_restore(const void *area)
{
	take_faults();
	xsave(own);
	xrstor(area);
	return 0;
}

void fpu_save(void *area)
{
	xsave(area);
	xrstor(own);
	give_faults_back();
}
