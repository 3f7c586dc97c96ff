/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake_ops.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/features.h"
#include "cpu/fpu.h"
#include "cpu/fpu_run.h"
#include "cpu/ipi.h"
#include "cpu/tsc.h"
#include "drivers/rtc.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/trace.h"
#include "kernel/work.h"

#define FPU_SIZE	832

struct fake_arch {
	uint64_t reg[REG_COUNT];
	struct segment seg[SEG_COUNT];
	uint64_t tsc_offset;
};

const struct vmm_ops *vmm_ops = &fake_ops;
struct features features;
unsigned fake_ipis;
uint64_t fake_xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;

/* ---- the back end ---- */

static struct fake_arch *arch_of(struct vcpu *vcpu)
{
	return vcpu->arch;
}

static unsigned leaf_level(void)
{
	return 2;
}

static int vcpu_make(struct vcpu *vcpu)
{
	vcpu->arch = calloc(1, sizeof(struct fake_arch));
	return vcpu->arch ? 0 : -ENOMEM;
}

static void vcpu_free(struct vcpu *vcpu)
{
	free(vcpu->arch);
	vcpu->arch = NULL;
}

static void power_up(struct vcpu *vcpu)
{
	struct fake_arch *a = arch_of(vcpu);

	memset(a, 0, sizeof(*a));
	a->reg[REG_CR0] = CR0_ET | CR0_CD | CR0_NW;
	a->reg[REG_XCR0] = XCR0_X87;
	a->reg[REG_DR6] = DR6_RESET;
	a->reg[REG_DR7] = DR7_RESET;
}

static bool no_run(struct vcpu *vcpu)
{
	(void)vcpu;
	return false;
}

static void vcpu_nothing(struct vcpu *vcpu)
{
	(void)vcpu;
}

static uint64_t reg_get(struct vcpu *vcpu, enum reg r)
{
	return r == REG_CR8 ? vcpu->vlapic.tpr >> 4 : arch_of(vcpu)->reg[r];
}

static void reg_set(struct vcpu *vcpu, enum reg r, uint64_t v)
{
	if (r == REG_CR8)
		vcpu->vlapic.tpr = (uint32_t)v << 4;
	else
		arch_of(vcpu)->reg[r] = v;
}

static void segment_get(struct vcpu *vcpu, enum seg s, struct segment *out)
{
	*out = arch_of(vcpu)->seg[s];
}

static void segment_set(struct vcpu *vcpu, enum seg s, const struct segment *in)
{
	arch_of(vcpu)->seg[s] = *in;
}

static uint64_t segment_base(struct vcpu *vcpu, enum seg s)
{
	return arch_of(vcpu)->seg[s].base;
}

static void mode(struct vcpu *vcpu, struct vcpu_mode *out)
{
	const uint64_t *reg = arch_of(vcpu)->reg;

	*out = (struct vcpu_mode){ .cr0 = reg[REG_CR0], .cr3 = reg[REG_CR3], .cr4 = reg[REG_CR4],
				   .efer = reg[REG_EFER], .bits = 64, .long_mode = true };
}

static bool code64(struct vcpu *vcpu, uint64_t *cr3, uint64_t *cr4)
{
	*cr3 = arch_of(vcpu)->reg[REG_CR3];
	*cr4 = arch_of(vcpu)->reg[REG_CR4];
	return true;
}

static void tsc_offset_set(struct vcpu *vcpu, uint64_t offset)
{
	arch_of(vcpu)->tsc_offset = offset;
}

static const char *exit_name(unsigned row)
{
	(void)row;
	return NULL;
}

const struct vmm_ops fake_ops = {
	.name = "fake", .second_level = &paging_npt, .max_leaf_level = leaf_level,
	.vcpu_init = vcpu_make, .vcpu_fini = vcpu_free,
	.vcpu_reset = power_up, .run = no_run, .leave_cpu = vcpu_nothing, .flush_tlb = vcpu_nothing,
	.reg_get = reg_get, .reg_set = reg_set, .segment_get = segment_get,
	.segment_set = segment_set, .mode = mode, .code64 = code64,
	.segment_base = segment_base,
	.tsc_offset_set = tsc_offset_set, .exit_name = exit_name,
};

/* ---- the CPU and the kernel around ---- */

void vcpu_next(struct vcpu *vcpu, unsigned length)
{
	vcpu_next_slowly(vcpu, vcpu->rip + length);
}

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	(void)fn, (void)arg;
}

void ipi_send(unsigned cpu, unsigned vector)
{
	(void)cpu;
	(void)vector;
	fake_ipis++;
}

size_t fpu_area_size(void)
{
	return FPU_SIZE;
}

uint32_t fpu_pkru_loaded(void)
{
	return 0;
}

uint32_t fpu_pkru_saved(const void *area)
{
	(void)area;
	return 0;
}

void fpu_save(void *area)
{
	(void)area;
}

int fpu_restore(const void *area)
{
	(void)area;
	return 0;
}

uint64_t fpu_xcr0_refuse(uint64_t xcr0, uint64_t allowed)
{
	return xcr0 & allowed;
}

uint64_t fpu_xcr0(void)
{
	return 0;
}

uint64_t fpu_xcr0_offered(void)
{
	return fake_xcr0;
}

void fpu_area_init(void *area)
{
	memset(area, 0, FPU_SIZE);
}

/* None of these tests' guests has vectors at a device. */
unsigned fpu_run(void *area, struct fpu_insn *i)
{
	(void)area;
	(void)i;
	abort();
}

struct fpu_legacy *fpu_legacy(void *area)
{
	return area;
}

bool fpu_xcr0_valid(uint64_t xcr0)
{
	return xcr0 & XCR0_X87 && !(xcr0 & XCR0_AVX && !(xcr0 & XCR0_SSE));
}

uint64_t rtc_wall_ns(void)
{
	return 1000000000ul * 86400 * 365;
}

PERCPU bool sched_wanted_flag;

void sched_yield(void)
{
}

void thread_wake(struct thread *t)
{
	(void)t;
}

void (*fake_join)(void);

void thread_join(struct thread *t)
{
	(void)t;
	if (fake_join)
		fake_join();
}

uint64_t thread_run_ticks(const struct thread *t)
{
	(void)t;
	return 0;
}

uint64_t thread_wait_ticks(const struct thread *t)
{
	(void)t;
	return 0;
}

int thread_cpu(const struct thread *t)
{
	(void)t;
	return 0;
}

void trace_dump(unsigned count, void (*print)(const char *line))
{
	(void)count;
	(void)print;
}

struct trace_ring trace_ring PERCPU;

/* ---- timers ---- */

#define TIMERS	256

static struct timer *armed[TIMERS];

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn, .cpu = -1 };
}

bool timer_cancel(struct timer *t)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		if (armed[i] != t)
			continue;
		armed[i] = NULL;
		return true;
	}
	return false;
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	timer_cancel(t);
	t->deadline_ns = deadline_ns;
	for (unsigned i = 0; i < TIMERS; i++) {
		if (armed[i])
			continue;
		armed[i] = t;
		return;
	}
	abort();
}

void timer_cancel_sync(struct timer *t)
{
	timer_cancel(t);
}

bool timer_armed(const struct timer *t)
{
	for (unsigned i = 0; i < TIMERS; i++)
		if (armed[i] == t)
			return true;
	return false;
}

void fake_timers_run(void)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		struct timer *t = armed[i];

		if (!t || t->deadline_ns > clock_ns())
			continue;
		armed[i] = NULL;
		t->fn(t);
	}
}

/* ---- work ---- */

static struct work *queued[16];

void work_init(struct work *w, void (*fn)(struct work *w))
{
	*w = (struct work){ .fn = fn };
}

void work_init_slow(struct work *w, void (*fn)(struct work *w))
{
	work_init(w, fn);
}

void work_queue(struct work *w)
{
	for (unsigned i = 0; i < 16; i++) {
		if (queued[i] == w)
			return;
		if (queued[i])
			continue;
		queued[i] = w;
		return;
	}
	abort();
}

void work_cancel_sync(struct work *w)
{
	for (unsigned i = 0; i < 16; i++)
		if (queued[i] == w)
			queued[i] = NULL;
}

void fake_work_run(void)
{
	for (unsigned i = 0; i < 16; i++) {
		struct work *w = queued[i];

		queued[i] = NULL;
		if (w)
			w->fn(w);
	}
}
