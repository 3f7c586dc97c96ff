/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt wires; see drivers/wire.h. A wire has a vector of its own and a list of users, which
 * the vector's handler walks without a lock: a user is whole before it is in the list, and who
 * takes one out waits until the handler has ended. A wire that brings interrupts without end that
 * nobody has asked for is masked: what it is tied to is not what the tables say.
 */
#include "drivers/wire.h"

#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "drivers/acpi.h"
#include "drivers/ioapic.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "mm/heap.h"

#define UNASKED_MAX	10000		/* in a row */

struct wire {
	struct wire *next;
	struct irq irq;
	uint32_t gsi;
	bool low, level;
	unsigned unasked;
	struct wire_user *users;
};

static struct wire *wires;

static void give_up(struct wire *w)
{
	ioapic_mask(w->gsi, true);
	log_warn("wire: %u brings interrupts that nobody has asked for", w->gsi);
	for (struct wire_user *u = w->users; u; u = u->next)
		if (u->lost)
			u->lost(u->arg);
}

static void interrupt(void *arg)
{
	struct wire *w = arg;
	bool asked = false;

	for (struct wire_user *u = __atomic_load_n(&w->users, __ATOMIC_ACQUIRE); u;
	     u = __atomic_load_n(&u->next, __ATOMIC_ACQUIRE))
		asked |= u->fn(u->arg);
	if (asked)
		w->unasked = 0;
	else if (++w->unasked == UNASKED_MAX)
		give_up(w);
}

static void add(struct wire *w, struct wire_user *u)
{
	u->wire = w;
	u->next = w->users;
	__atomic_store_n(&w->users, u, __ATOMIC_RELEASE);
}

/* A wire that nobody has had: its vector first, then its way there, then it may speak. */
static int connect(struct wire *w, struct wire_user *u)
{
	int err = irq_alloc(&w->irq, cpu_index());

	if (err < 0)
		return err;
	err = ioapic_route(w->gsi, w->irq.vector, lapic_id_of(w->irq.cpu), w->low, w->level);
	if (err) {
		irq_free(&w->irq);
		return err;
	}
	add(w, u);
	w->next = wires;
	wires = w;
	ioapic_mask(w->gsi, false);
	return 0;
}

int wire_open(struct wire_user *u, uint32_t gsi, bool low, bool level)
{
	struct wire *w = wires;
	int err;

	while (w && w->gsi != gsi)
		w = w->next;
	if (w) {
		if (!level || !w->level || low != w->low || w->unasked >= UNASKED_MAX)
			return -EBUSY;
		add(w, u);
		return 0;
	}
	w = heap_alloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct wire){ .gsi = gsi, .low = low, .level = level,
			    .irq = { .name = u->name, .fn = interrupt, .arg = w } };
	err = connect(w, u);
	if (err)
		heap_free(w);
	return err;
}

int wire_open_isa(struct wire_user *u, unsigned irq)
{
	struct acpi_override o = acpi_isa_irq(irq);

	return wire_open(u, o.gsi, o.low, o.level);
}

static void disconnect(struct wire *w)
{
	struct wire **at = &wires;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	ioapic_mask(w->gsi, true);
	irq_free(&w->irq);
	heap_free(w);
}

void wire_close(struct wire_user *u)
{
	struct wire *w = u->wire;
	struct wire_user **at;

	if (!w)
		return;
	for (at = &w->users; *at != u;)
		at = &(*at)->next;
	__atomic_store_n(at, u->next, __ATOMIC_RELEASE);
	u->wire = NULL;
	if (w->users) {
		w->irq.name = w->users->name;
		irq_settle(&w->irq);
	} else {
		disconnect(w);
	}
}
