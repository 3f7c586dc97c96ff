/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt vectors: one table of handlers for all CPUs, counters per CPU.
 *
 * Locking: irq_lock (LOCK_LEAF) orders claims among each other. Dispatch reads without it: a row's
 * `fn` is written last when it is claimed and first when it is freed, and who frees a vector has
 * silenced its source.
 *
 * For tests irq_drop() makes a chip of this one that loses interrupts, as QEMU's TCG does now and
 * then: what is lost waits until the next interrupt on that CPU is not.
 */
#include "cpu/irq.h"

#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/string.h"

#define VECTORS		256

struct row {
	irq_handler *fn;
	void *arg;
	bool used;
	char name[20];
};

static struct spinlock irq_lock = SPINLOCK_INIT("irq", LOCK_LEAF);
static struct row rows[VECTORS];
static PERCPU uint64_t counts[VECTORS - IRQ_FIRST];

static unsigned drop_one_of;			/* one of so many gets lost; 0: none */
static PERCPU uint64_t lost[VECTORS / 64];	/* vectors that were, and wait */
static PERCPU uint32_t chance;

static void fill(struct row *r, const char *name, irq_handler *fn, void *arg)
{
	r->used = true;
	str_copy(r->name, name, sizeof(r->name));
	r->arg = arg;
	__atomic_store_n(&r->fn, fn, __ATOMIC_RELEASE);
}

int irq_claim(unsigned vector, const char *name, irq_handler *fn, void *arg)
{
	uint64_t flags;
	int err = 0;

	if (vector < IRQ_FIRST || vector >= VECTORS)
		return -EINVAL;
	flags = spin_lock_irq(&irq_lock);
	if (rows[vector].used)
		err = -EBUSY;
	else
		fill(&rows[vector], name, fn, arg);
	spin_unlock_irq(&irq_lock, flags);
	return err;
}

int irq_alloc(const char *name, irq_handler *fn, void *arg)
{
	uint64_t flags = spin_lock_irq(&irq_lock);
	int vector = IRQ_FIRST;

	while (vector <= IRQ_DYNAMIC_LAST && rows[vector].used)
		vector++;
	if (vector <= IRQ_DYNAMIC_LAST)
		fill(&rows[vector], name, fn, arg);
	else
		vector = -ENOSPC;
	spin_unlock_irq(&irq_lock, flags);
	return vector;
}

void irq_free(unsigned vector)
{
	uint64_t flags;

	if (vector < IRQ_FIRST || vector >= VECTORS)
		return;
	flags = spin_lock_irq(&irq_lock);
	__atomic_store_n(&rows[vector].fn, NULL, __ATOMIC_RELEASE);
	rows[vector].used = false;
	spin_unlock_irq(&irq_lock, flags);
}

static noinline void without_handler(unsigned vector)
{
	if (vector != IRQ_KICK && vector != IRQ_SPURIOUS &&
	    this_cpu(counts)[vector - IRQ_FIRST] == 1)
		log_warn("irq: vector %#x without a handler on CPU %u", vector, cpu_index());
}

static always_inline void handle(unsigned vector)
{
	const struct row *r = &rows[vector];
	irq_handler *fn = __atomic_load_n(&r->fn, __ATOMIC_ACQUIRE);

	this_cpu(counts)[vector - IRQ_FIRST]++;
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

uint64_t irq_count(unsigned vector)
{
	uint64_t sum = 0;

	if (vector >= IRQ_FIRST && vector < VECTORS)
		for (unsigned cpu = 0; cpu < cpu_count; cpu++)
			sum += per_cpu(counts, cpu)[vector - IRQ_FIRST];
	return sum;
}

const char *irq_name(unsigned vector)
{
	if (vector >= VECTORS || !rows[vector].used)
		return vector == IRQ_KICK ? "kick" : vector == IRQ_SPURIOUS ? "spurious" : "";
	return rows[vector].name;
}
