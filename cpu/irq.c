/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt vectors: a table of handlers that all CPUs share for what Keel sends itself, and a
 * table of each CPU's own for devices, whose rows are the owners'.
 *
 * Locking: irq_lock (LOCK_LEAF) orders claims among each other. Dispatch reads without it: a row is
 * filled before it is published, and as handlers run with interrupts off, a CPU that has answered a
 * call is in none that it found before: irq_free() needs no other mark of who runs.
 *
 * For tests irq_drop() makes a chip of this one that loses interrupts, as QEMU's TCG does now and
 * then: what is lost waits until the next interrupt on that CPU is not.
 */
#include "cpu/irq.h"

#include "cpu/ipi.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/string.h"

#define VECTORS		256
#define FIXED_FIRST	(IRQ_DYNAMIC_LAST + 1)

static struct spinlock irq_lock = SPINLOCK_INIT("irq", LOCK_LEAF);
static struct irq fixed[VECTORS - FIXED_FIRST];		/* `count` is not used */
static PERCPU uint64_t counts[VECTORS - FIXED_FIRST];
static PERCPU struct irq *own[FIXED_FIRST - IRQ_FIRST];
static PERCPU bool strayed;			/* told of a vector that is nobody's */

static unsigned drop_one_of;			/* one of so many gets lost; 0: none */
static PERCPU uint64_t lost[VECTORS / 64];	/* vectors that were, and wait */
static PERCPU uint32_t chance;

int irq_claim(unsigned vector, const char *name, irq_handler *fn, void *arg)
{
	struct irq *r;
	uint64_t flags;
	int err = 0;

	if (vector < FIXED_FIRST || vector >= VECTORS)
		return -EINVAL;
	r = &fixed[vector - FIXED_FIRST];
	flags = spin_lock_irq(&irq_lock);
	if (r->fn && r->fn != fn) {
		err = -EBUSY;
	} else {
		r->name = name;
		r->arg = arg;
		__atomic_store_n(&r->fn, fn, __ATOMIC_RELEASE);
	}
	spin_unlock_irq(&irq_lock, flags);
	return err;
}

int irq_alloc(struct irq *irq, unsigned cpu)
{
	struct irq **table;
	uint64_t flags;
	unsigned i = 0;
	int vector = -ENOSPC;

	if (cpu >= cpu_count)
		return -EINVAL;
	table = per_cpu(own, cpu);
	flags = spin_lock_irq(&irq_lock);
	while (i < ARRAY_COUNT(own) && table[i])
		i++;
	if (i < ARRAY_COUNT(own)) {
		irq->cpu = cpu;
		irq->vector = IRQ_FIRST + i;
		irq->count = 0;
		vector = (int)irq->vector;
		__atomic_store_n(&table[i], irq, __ATOMIC_RELEASE);
	}
	spin_unlock_irq(&irq_lock, flags);
	return vector;
}

static void nothing(void *unused)
{
	(void)unused;
}

void irq_settle(const struct irq *irq)
{
	ipi_call(irq->cpu, nothing, NULL);
}

void irq_free(struct irq *irq)
{
	uint64_t flags = spin_lock_irq(&irq_lock);

	per_cpu(own, irq->cpu)[irq->vector - IRQ_FIRST] = NULL;
	spin_unlock_irq(&irq_lock, flags);
	irq_settle(irq);
}

static noinline void without_handler(unsigned vector)
{
	if (vector == IRQ_KICK || vector == IRQ_SPURIOUS || this_cpu(strayed))
		return;
	this_cpu(strayed) = true;
	log_warn("irq: vector %#x without a handler on CPU %u", vector, cpu_index());
}

/* The shared ones are what guests wait for; a device's row may vanish while it is looked at. */
static always_inline const struct irq *find(unsigned vector)
{
	struct irq *r;

	if (likely(vector >= FIXED_FIRST)) {
		this_cpu(counts)[vector - FIXED_FIRST]++;
		return &fixed[vector - FIXED_FIRST];
	}
	r = __atomic_load_n(&this_cpu(own)[vector - IRQ_FIRST], __ATOMIC_ACQUIRE);
	if (r)
		r->count++;
	return r;
}

static always_inline void handle(unsigned vector)
{
	const struct irq *r = find(vector);
	irq_handler *fn = r ? __atomic_load_n(&r->fn, __ATOMIC_ACQUIRE) : NULL;

	if (SPIN_CHECKED)
		spin_enter_interrupt();
	if (likely(fn))
		fn(r->arg);
	else
		without_handler(vector);
	if (SPIN_CHECKED)
		spin_leave_interrupt();
}

void irq_drop(unsigned one_of)
{
	drop_one_of = one_of;
}

/* Does this one get lost? Else what was lost before comes with it. */
static noinline bool loses(unsigned vector)
{
	uint64_t *waits = this_cpu(lost);

	this_cpu(chance) = this_cpu(chance) * 1103515245 + 12345;
	if ((this_cpu(chance) >> 16) % drop_one_of == 0 && vector != IRQ_SPURIOUS) {
		waits[vector / 64] |= BIT(vector % 64);
		return true;
	}
	for (unsigned i = 0; i < VECTORS / 64; i++) {
		for (; waits[i]; waits[i] &= waits[i] - 1)
			handle(i * 64 + bit_lowest(waits[i]));
	}
	return false;
}

void irq_dispatch(unsigned vector)
{
	if (likely(!drop_one_of) || !loses(vector))
		handle(vector);
	if (likely(vector != IRQ_SPURIOUS))
		lapic_eoi();
}

static bool describe_fixed(unsigned vector, struct irq_info *out)
{
	const struct irq *r = &fixed[vector - FIXED_FIRST];
	const char *name = r->fn ? r->name : vector == IRQ_KICK ? "kick" :
			   vector == IRQ_SPURIOUS ? "spurious" : NULL;

	if (!name)
		return false;
	*out = (struct irq_info){ .vector = vector, .cpu = -1 };
	str_copy(out->name, name, sizeof(out->name));
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		out->count += per_cpu(counts, cpu)[vector - FIXED_FIRST];
	return true;
}

static bool describe_own(unsigned cpu, unsigned vector, struct irq_info *out)
{
	uint64_t flags = spin_lock_irq(&irq_lock);
	const struct irq *r = per_cpu(own, cpu)[vector - IRQ_FIRST];

	if (r) {
		*out = (struct irq_info){ .vector = vector, .cpu = (int)cpu, .count = r->count };
		str_copy(out->name, r->name, sizeof(out->name));
	}
	spin_unlock_irq(&irq_lock, flags);
	return r;
}

unsigned irq_next(unsigned from, struct irq_info *out)
{
	for (from = MAX(from, (unsigned)IRQ_FIRST * CPU_MAX); from < VECTORS * CPU_MAX; from++) {
		unsigned vector = from / CPU_MAX, cpu = from % CPU_MAX;

		if (vector >= FIXED_FIRST ? !cpu && describe_fixed(vector, out) :
		    cpu < cpu_count && describe_own(cpu, vector, out))
			return from + 1;
	}
	return 0;
}
