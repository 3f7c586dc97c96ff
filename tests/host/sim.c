/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulated machine: see sim.h. It also stands in for what lies below the scheduler: spinlocks,
 * LAPIC, IPIs, heap and stacks.
 */
#include "tests/host/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "kernel/sched.h"
#include "kernel/thread_struct.h"
#include "mm/heap.h"
#include "mm/kmap.h"
#include "mm/page.h"

#define STACK_SIZE	(256u << 10)
#define NEVER		(~0ul)

struct sim_cpu {
	uintptr_t sp;			/* while the simulator has control */
	uint64_t until;			/* burns until then */
	bool halted, irq_on;
	uint64_t lapic;			/* deadline */
	uint8_t pending[256];
	unsigned pending_count;
};

static struct sim_cpu sim[SIM_CPUS_MAX];
static uintptr_t sim_sp;
static unsigned sim_last;
static uint32_t sim_state;
static bool sim_done, sim_running;
static void (*sim_main)(void);

uint64_t sim_deadline;
int64_t sim_skew[SIM_CPUS_MAX];
uint64_t sim_ipis, sim_timer_interrupts, sim_timer_programs, sim_halts;
uint64_t sim_blocks[SIM_CPUS_MAX];
unsigned sim_heap_objects;

/* The same as kernel/switch.asm, which the host's build does not assemble. */
__asm__(".text\n"
	".globl switch_stacks\n"
	"switch_stacks:\n"
	"	push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, (%rdi); mov %rsi, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"	ret\n"
	"switch_begin:\n"
	"	call sched_begin\n"
	"	ud2\n"
	"sim_begin:\n"
	"	call sim_cpu_begin\n"
	"	ud2\n");

void sim_begin(void);
void sim_cpu_begin(void);

static uintptr_t prepare(void *top, void (*fn)(void))
{
	uintptr_t *sp = top;

	*--sp = (uintptr_t)fn;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	return (uintptr_t)sp;
}

uintptr_t switch_prepare(void *stack_top)
{
	return prepare(stack_top, switch_begin);
}

/* The compiler puts a call of it into each block of the scheduler's code: see the Makefile. */
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	sim_blocks[cpu_index()]++;
}

uint32_t sim_random(uint32_t limit)
{
	sim_state ^= sim_state << 13;
	sim_state ^= sim_state >> 17;
	sim_state ^= sim_state << 5;
	return sim_state % limit;
}

static struct sim_cpu *me(void)
{
	return &sim[cpu_index()];
}

/* To the simulator and back, in which other CPUs may run. */
static void leave(uint64_t until)
{
	struct sim_cpu *c = me();

	if (!sim_running)
		return;		/* the simulator itself took a lock */
	c->until = until;
	c->irq_on = host_irq_on;
	switch_stacks(&c->sp, sim_sp);
	host_irq_on = c->irq_on;
}

static void become(unsigned cpu)
{
	host_cpu_become(cpu);
	host_tsc_skew = sim_skew[cpu];
}

static bool interrupted(const struct sim_cpu *c)
{
	return c->pending_count;
}

static void interrupt(unsigned cpu, unsigned vector)
{
	sim[cpu].pending_count += !sim[cpu].pending[vector];
	sim[cpu].pending[vector] = 1;
}

static void deliver(void)
{
	struct sim_cpu *c = me();
	uint8_t *p;

	while (host_irq_on && interrupted(c)) {
		p = memchr(c->pending, 1, sizeof(c->pending));
		*p = 0;
		c->pending_count--;
		host_irq_on = false;
		sim_timer_interrupts += p - c->pending == IRQ_TIMER;
		irq_dispatch((unsigned)(p - c->pending));
		host_irq_on = true;
	}
}

/* Until something happens to this CPU; returns how many ticks are left. */
static uint64_t burn_some(uint64_t ticks)
{
	uint64_t start = host_tsc;

	leave(start + ticks);
	ticks -= host_tsc - start < ticks ? host_tsc - start : ticks;
	deliver();
	return ticks;
}

void sim_spin(uint64_t ticks)
{
	while (ticks)
		ticks = burn_some(ticks);
}

void sim_burn(uint64_t ticks)
{
	while (ticks) {
		ticks = burn_some(ticks);
		sched_point();
	}
}

static void pause_cpu(void)
{
	leave(host_tsc + 1 + sim_random(3));
	deliver();
}

static void halt_cpu(void)
{
	struct sim_cpu *c = me();

	sim_halts++;
	host_irq_on = true;
	while (!interrupted(c)) {
		c->halted = true;
		leave(NEVER);
		c->halted = false;
	}
	deliver();
	host_irq_on = false;
}

/* ---- the machine's main loop ---- */

static uint64_t next_event(const struct sim_cpu *c)
{
	uint64_t t = c->until;

	if (c->halted || c->irq_on) {
		if (interrupted(c))
			return host_tsc;
		if (c->lapic < t)
			t = c->lapic;
	}
	return t < host_tsc ? host_tsc : t;
}

static unsigned choose(void)
{
	unsigned best = 0;
	uint64_t when = NEVER;

	for (unsigned i = 1; i <= cpu_count; i++) {
		unsigned c = (sim_last + i) % cpu_count;
		uint64_t t = next_event(&sim[c]);

		if (t < when || (t == when && when != NEVER && !sim_random(3))) {
			when = t;
			best = c;
		}
	}
	if (when == NEVER) {
		fprintf(stderr, "sim: every CPU halts for ever: a wake-up was lost\n");
		abort();
	}
	host_tsc = when;
	return best;
}

static void step(void)
{
	unsigned i = choose();

	if (sim_deadline && host_tsc > sim_deadline) {
		fprintf(stderr, "sim: not done after %lu ticks\n", (unsigned long)host_tsc);
		abort();
	}
	for (unsigned c = 0; c < cpu_count; c++) {
		if (sim[c].lapic <= host_tsc) {
			sim[c].lapic = NEVER;
			interrupt(c, IRQ_TIMER);
		}
	}
	sim_last = i;
	become(i);
	sim_running = true;
	switch_stacks(&sim_sp, sim[i].sp);
	sim_running = false;
}

void sim_cpu_begin(void)
{
	host_irq_on = false;
	timer_cpu_init();
	if (cpu_index())
		sched_start_ap();
	sched_init();
	host_irq_on = true;
	sim_main();
	sim_finish();
}

void sim_finish(void)
{
	sim_done = true;
	for (;;)
		leave(host_tsc + 1);
}

void sim_run(unsigned cpus, unsigned seed, void (*main_fn)(void))
{
	void *stacks[SIM_CPUS_MAX];

	host_pause = pause_cpu;
	host_halt = halt_cpu;
	sim_state = seed * 2654435761u + 1;
	sim_main = main_fn;
	sim_done = false;
	sim_deadline = 0;
	sim_heap_objects = 0;
	sim_ipis = sim_timer_interrupts = sim_halts = 0;
	host_tsc = 1000;
	host_percpu_init(cpus);
	for (unsigned i = 0; i < cpus; i++) {
		stacks[i] = aligned_alloc(64, STACK_SIZE);
		sim[i] = (struct sim_cpu){ .lapic = NEVER, .until = host_tsc };
		sim[i].sp = prepare((char *)stacks[i] + STACK_SIZE, sim_begin);
	}
	while (!sim_done)
		step();
	for (unsigned i = 0; i < cpus; i++)
		free(stacks[i]);
	memset(sim_skew, 0, sizeof(sim_skew));
	become(0);
	host_pause = host_halt = NULL;
	host_irq_on = true;
}

/* ---- what lies below the scheduler ---- */

void lapic_eoi(void)
{
}

void lapic_timer_set(uint64_t tsc, uint64_t ns)
{
	sim_timer_programs++;
	me()->lapic = tsc + tsc_from_ns(ns) + 1 - (uint64_t)sim_skew[cpu_index()];
}

void lapic_timer_stop(void)
{
	me()->lapic = NEVER;
}

void ipi_send(unsigned cpu, unsigned vector)
{
	sim_ipis++;
	interrupt(cpu, vector);
}

void ipi_send_others(unsigned vector)
{
	for (unsigned i = 0; i < cpu_count; i++)
		if (i != cpu_index())
			ipi_send(i, vector);
}

void ipi_call(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	(void)cpu;
	fn(arg);
}

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	unsigned self = cpu_index();

	for (unsigned i = 0; i < cpu_count; i++) {
		if (i == self)
			continue;
		while (!sim[i].irq_on)		/* it answers when it has them on */
			leave(host_tsc + 1);
		become(i);
		fn(arg);
		become(self);
	}
}

static void complain(const struct spinlock *l, const char *what)
{
	fprintf(stderr, "sim: lock %s %s\n", l->name, what);
	abort();
}

void spin_init(struct spinlock *l, const char *name, enum lock_level level)
{
	*l = (struct spinlock)SPINLOCK_INIT(name, level);
}

bool spin_held(const struct spinlock *l)
{
	return l->holder == (int16_t)cpu_index();
}

bool spin_try(struct spinlock *l)
{
	if (l->holder >= 0)
		return false;
	l->holder = (int16_t)cpu_index();
	return true;
}

/*
 * Only the simulator's stack is outside of all CPUs; a lock taken with interrupts on must not be
 * wanted by handlers.
 */
void spin_lock(struct spinlock *l)
{
	if (spin_held(l))
		complain(l, "taken twice");
	if (!sim_random(6))
		leave(host_tsc);
	while (!spin_try(l))
		leave(host_tsc + 1);
}

void spin_unlock(struct spinlock *l)
{
	if (!spin_held(l))
		complain(l, "released by who does not hold it");
	l->holder = -1;
}

uint64_t spin_lock_irq(struct spinlock *l)
{
	uint64_t flags = cpu_irq_save();

	spin_lock(l);
	return flags;
}

void spin_unlock_irq(struct spinlock *l, uint64_t flags)
{
	spin_unlock(l);
	cpu_irq_restore(flags);
}

void *heap_alloc(size_t size)
{
	sim_heap_objects++;
	return calloc(1, size);
}

void heap_free(void *p)
{
	sim_heap_objects--;
	free(p);
}

void *kmap_stack_alloc(unsigned pages)
{
	(void)pages;
	sim_heap_objects++;
	return (char *)aligned_alloc(64, STACK_SIZE) + STACK_SIZE;
}

void kmap_stack_free(void *top)
{
	sim_heap_objects--;
	free((char *)top - STACK_SIZE);
}

/* Takes a while, with interrupts on. Weak: a test may have the real one. */
__attribute__((weak)) bool page_scrub_some(void)
{
	if (!host_irq_on) {
		fprintf(stderr, "sim: scrubbing with interrupts off\n");
		abort();
	}
	leave(host_tsc + sim_random(2000));
	deliver();
	return !sim_random(3);
}

/* Not kept on the host. */
unsigned spin_held_count(void)
{
	return 0;
}

void spin_enter_interrupt(void)
{
}

void spin_leave_interrupt(void)
{
}
