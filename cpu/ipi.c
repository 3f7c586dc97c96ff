/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between CPUs; see cpu/ipi.h. There is one function call under way at a time in the whole
 * machine. Who wants to start the next waits with interrupts on, and so serves the one that is
 * under way; therefore two CPUs that call each other do not stand still. A message that brought no
 * answer for long is sent again.
 */
#include "cpu/ipi.h"

#include "cpu/cpu.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "include/bits.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/panic.h"

#define ICR_NMI		0x400
#define RESEND_SPINS	10000000

static struct {
	bool busy;
	void (*fn)(void *arg);
	void *arg;
	unsigned left;		/* CPUs that have not run it yet */
} call;

static bool call_pending PERCPU;

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

static void on_call(void *unused)
{
	(void)unused;
	if (!__atomic_exchange_n(&this_cpu(call_pending), false, __ATOMIC_ACQUIRE))
		return;
	call.fn(call.arg);
	__atomic_sub_fetch(&call.left, 1, __ATOMIC_RELEASE);
}

void ipi_init(void)
{
	if (irq_claim(IRQ_CALL, "call", on_call, NULL))
		panic("ipi: vector taken");
}

static void begin(void (*fn)(void *arg), void *arg, unsigned count)
{
	ASSERT(cpu_irq_enabled());
	while (__atomic_exchange_n(&call.busy, true, __ATOMIC_ACQUIRE))
		cpu_pause();
	call.fn = fn;
	call.arg = arg;
	call.left = count;
}

static void request(unsigned cpu)
{
	__atomic_store_n(&per_cpu(call_pending, cpu), true, __ATOMIC_RELEASE);
	ipi_send(cpu, IRQ_CALL);
}

static void resend(void)
{
	for (unsigned i = 0; i < cpu_count; i++)
		if (READ_ONCE(per_cpu(call_pending, i)))
			ipi_send(i, IRQ_CALL);
}

static void finish(void)
{
	for (uint64_t spins = 1; __atomic_load_n(&call.left, __ATOMIC_ACQUIRE); spins++) {
		cpu_pause();
		if (spins % RESEND_SPINS == 0)
			resend();
	}
	__atomic_store_n(&call.busy, false, __ATOMIC_RELEASE);
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
