/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between CPUs; see cpu/ipi.h. Each CPU may have one function call under way; whom it asks
 * has a bit for each CPU that waits for it. Who waits has interrupts on and so serves the others'
 * calls meanwhile; therefore CPUs that call each other do not stand still. A thread does not leave
 * its CPU while it waits. A message that brought no answer for long is sent again.
 */
#include "cpu/ipi.h"

#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"

#define ICR_NMI		0x400
#define RESEND_SPINS	10000000

#define WORDS		(CPU_MAX / 64)

struct call {
	void (*fn)(void *arg);
	void *arg;
	unsigned left;		/* (a) CPUs that have not run it yet */
};

static struct call call PERCPU;		/* of who asks */
static uint64_t asked[WORDS] PERCPU;	/* (a) by whom this CPU is asked */

void ipi_send(unsigned cpu, unsigned vector)
{
	lapic_send(lapic_id_of(cpu), vector);
}

void ipi_send_others(unsigned vector)
{
	for (unsigned i = 0; i < cpu_count; i++)
		if (i != cpu_index())
			ipi_send(i, vector);
}

void ipi_send_nmi_others(void)
{
	if (!lapic_is_ready())
		return;
	for (unsigned i = 0; i < cpu_count; i++)
		if (i != cpu_index())
			lapic_send(lapic_id_of(i), ICR_NMI);
}

static void run(unsigned from)
{
	struct call *c = &per_cpu(call, from);

	c->fn(c->arg);
	__atomic_sub_fetch(&c->left, 1, __ATOMIC_RELEASE);
}

static void on_call(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t *word = &this_cpu(asked)[i], bits;

		if (!READ_ONCE(*word))
			continue;
		for (bits = __atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE); bits; bits &= bits - 1)
			run(i * 64 + bit_lowest(bits));
	}
}

void ipi_init(void)
{
	if (irq_claim(IRQ_CALL, "call", on_call, NULL))
		panic("ipi: vector taken");
}

static void begin(void (*fn)(void *arg), void *arg, unsigned count)
{
	ASSERT(cpu_irq_enabled() && !this_cpu(call).left);
	this_cpu(call) = (struct call){ fn, arg, count };
}

static void request(unsigned cpu)
{
	unsigned self = cpu_index();

	__atomic_or_fetch(&per_cpu(asked, cpu)[self / 64], BIT(self % 64), __ATOMIC_RELEASE);
	ipi_send(cpu, IRQ_CALL);
}

static void resend(void)
{
	unsigned self = cpu_index();

	for (unsigned i = 0; i < cpu_count; i++)
		if (READ_ONCE(per_cpu(asked, i)[self / 64]) & BIT(self % 64))
			ipi_send(i, IRQ_CALL);
}

static void finish(void)
{
	unsigned *left = &this_cpu(call).left;

	for (uint64_t spins = 1; __atomic_load_n(left, __ATOMIC_ACQUIRE); spins++) {
		cpu_pause();
		if (spins % RESEND_SPINS == 0)
			resend();
	}
}

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	if (cpu_count == 1)
		return;
	begin(fn, arg, cpu_count - 1);
	for (unsigned i = 0; i < cpu_count; i++)
		if (i != cpu_index())
			request(i);
	finish();
}

void ipi_call(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	if (cpu == cpu_index()) {
		uint64_t flags = cpu_irq_save();

		fn(arg);
		cpu_irq_restore(flags);
		return;
	}
	begin(fn, arg, 1);
	request(cpu);
	finish();
}
