/* SPDX-License-Identifier: BSD-2-Clause */
/* links: tests/host/percpu.c tests/host/heap.c tests/host/log.c */
/*
 * drivers/wire.c, compiled here: who shares a wire with whom, who is asked, what is undone; a wire
 * that nobody has asked for is given up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/wire.c"

extern unsigned host_log_count[4];

#define WIRES	24

static struct {
	bool open[WIRES], low[WIRES], level[WIRES];
	unsigned settled, freed;
	int alloc_error;
} chip;

int irq_alloc(struct irq *irq, unsigned cpu)
{
	static unsigned next;

	if (chip.alloc_error)
		return chip.alloc_error;
	irq->cpu = cpu;
	irq->vector = IRQ_FIRST + next++ % 100;
	return (int)irq->vector;
}

void irq_free(struct irq *irq)
{
	struct wire *w = irq->arg;

	if (w->gsi < WIRES)
		assert_false(chip.open[w->gsi]);	/* silenced before */
	chip.freed++;
}

void irq_settle(const struct irq *irq)
{
	(void)irq;
	chip.settled++;
}

int ioapic_route(uint32_t gsi, unsigned vector, uint32_t apic_id, bool low, bool level)
{
	(void)vector;
	assert_int_equal(apic_id, 5);
	if (gsi >= WIRES)
		return -ENODEV;
	chip.low[gsi] = low;
	chip.level[gsi] = level;
	chip.open[gsi] = false;
	return 0;
}

void ioapic_mask(uint32_t gsi, bool masked)
{
	chip.open[gsi] = !masked;
}

uint32_t lapic_id_of(unsigned cpu) { return cpu + 5; }

struct acpi_override acpi_isa_irq(unsigned irq)
{
	return (struct acpi_override){ .gsi = irq ? irq : 2, .level = irq == 9, .low = irq == 9 };
}

struct device {
	bool asks;
	unsigned asked, lost;
};

static bool on(void *arg)
{
	struct device *d = arg;
	bool mine = d->asks;

	d->asked++;
	d->asks = false;
	return mine;
}

static void lost(void *arg)
{
	((struct device *)arg)->lost++;
}

#define USER(n, d) { .name = n, .fn = on, .lost = lost, .arg = &(d) }

static int setup(void **state)
{
	(void)state;
	memset(&chip, 0, sizeof(chip));
	memset(host_log_count, 0, 4 * sizeof(unsigned));
	return 0;
}

static void fire(struct wire_user *u)
{
	struct irq *irq = &u->wire->irq;

	irq->fn(irq->arg);
}

static void shared(void **state)
{
	struct device a = { 0 }, b = { 0 }, c = { 0 };
	struct wire_user ua = USER("a", a), ub = USER("b", b), uc = USER("c", c);

	(void)state;
	assert_int_equal(wire_open(&ua, 18, true, true), 0);
	assert_true(chip.open[18] && chip.low[18] && chip.level[18]);
	assert_int_equal(wire_open(&ub, 18, true, true), 0);
	assert_int_equal(wire_open(&uc, 18, false, true), -EBUSY);	/* another polarity */
	assert_int_equal(wire_open(&uc, 18, true, false), -EBUSY);
	assert_ptr_equal(ua.wire, ub.wire);
	b.asks = true;
	fire(&ua);
	assert_int_equal(a.asked + b.asked, 2);
	assert_false(b.asks);
	/* One goes: the other is not disturbed, and the handler has ended. */
	wire_close(&ub);
	assert_int_equal(chip.settled, 1);
	assert_true(chip.open[18]);
	fire(&ua);
	assert_int_equal(a.asked, 2);
	assert_int_equal(b.asked, 1);
	wire_close(&ub);			/* nothing */
	assert_int_equal(chip.settled + chip.freed, 1);
	wire_close(&ua);
	assert_int_equal(chip.freed, 1);
	assert_false(chip.open[18]);
	assert_int_equal(wire_open(&uc, 18, false, false), 0);	/* it is anybody's again */
	assert_false(chip.low[18] || chip.level[18]);
	assert_int_equal(wire_open(&ua, 18, false, false), -EBUSY);
	wire_close(&uc);
}

static void refused(void **state)
{
	struct device a = { 0 };
	struct wire_user u = USER("a", a);

	(void)state;
	assert_int_equal(wire_open(&u, WIRES, true, true), -ENODEV);
	assert_int_equal(chip.freed, 1);		/* its vector */
	chip.alloc_error = -ENOSPC;
	assert_int_equal(wire_open(&u, 3, true, true), -ENOSPC);
	assert_null(u.wire);
	assert_null(wires);
	chip.alloc_error = 0;
	assert_int_equal(wire_open_isa(&u, 0), 0);
	assert_true(chip.open[2] && !chip.low[2] && !chip.level[2]);
	wire_close(&u);
	assert_int_equal(wire_open_isa(&u, 9), 0);
	assert_true(chip.open[9] && chip.low[9] && chip.level[9]);
	wire_close(&u);
}

static void given_up(void **state)
{
	struct device a = { 0 }, b = { 0 };
	struct wire_user ua = USER("a", a), ub = USER("b", b), uc = USER("c", b);

	(void)state;
	assert_int_equal(wire_open(&ua, 5, true, true), 0);
	assert_int_equal(wire_open(&ub, 5, true, true), 0);
	for (unsigned i = 0; i < 9999; i++)
		fire(&ua);
	b.asks = true;
	fire(&ua);
	for (unsigned i = 0; i < 9999; i++)
		fire(&ua);
	assert_true(chip.open[5]);
	fire(&ua);
	assert_false(chip.open[5]);
	fire(&ua);				/* one that was under way */
	assert_int_equal(a.lost, 1);
	assert_int_equal(b.lost, 1);
	assert_int_equal(host_log_count[1], 1);
	assert_int_equal(wire_open(&uc, 5, true, true), -EBUSY);
	wire_close(&ua);
	wire_close(&ub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(shared, setup),
		cmocka_unit_test_setup(refused, setup),
		cmocka_unit_test_setup(given_up, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
