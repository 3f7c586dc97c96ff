/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/ve1000*.c vdev/vframe.c vdev/vinbox.c vdev/vpci*.c lib/record.c
 * tests/host/vdev_host.c tests/host/steps.c */
/*
 * What a frame costs in the card's own code, in instructions: sent from one card to another, from
 * the doorbell to the receiver's interrupt, without what the host does for it (memory, the copy);
 * and an access to a register.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/host/steps.h"
#include "ve1000_driver.h"

#define DEPTH	8u

/* The section of what is counted: see the Makefile. */
extern char __start_counted[], __stop_counted[];

static struct nic a, b;
static uint64_t steps;

static void count_step(uintptr_t rip)
{
	steps += steps_within(rip, __start_counted, __stop_counted);
}

static void count(bool on)
{
	if (on)
		steps = 0;
	steps_trap(on);
}

static void begin(enum ve1000_model model)
{
	nic_create(&a, model, driver_mac[0]);
	nic_create(&b, model, driver_mac[1]);
	a.h->peer = b.h;
	b.h->peer = a.h;
	nic_tx_up(&a);
	nic_rx_up(&b, 0x4000000, 16);
	memcpy(a.memory + DRIVER_FRAME, driver_mac[1], 6);
}

static uint64_t frames_cost(unsigned n)
{
	nic_tx_up(&a);
	nic_rx_up(&b, 0x4000000, 16);
	for (unsigned i = 0; i < n; i++)
		nic_tx_add(&a, DRIVER_FRAME, 0x0b000000 | 60, 0);
	count(true);
	nic_tx_ring(&a);
	count(false);
	assert_int_equal(nic_get(&b, REG_RX + RING_FIRST), n);
	return steps / n;
}

static void check_cost(enum ve1000_model model, uint64_t alone, uint64_t deep)
{
	uint64_t cost;

	begin(model);
	for (unsigned i = 0; i < 4; i++) {
		cost = frames_cost(1);
		print_message("alone: %lu instructions\n", cost);
		assert_in_range(cost, alone / 8, alone);
		cost = frames_cost(DEPTH);
		print_message("%u at once: %lu instructions each\n", DEPTH, cost);
		assert_in_range(cost, deep / 8, deep);
	}
	nic_destroy(&a);
	nic_destroy(&b);
}

static void e1000(void **state)
{
	(void)state;
	check_cost(VE1000_82540, 2500, 2000);
}

static void e1000e(void **state)
{
	(void)state;
	check_cost(VE1000_82574, 2500, 2000);
}

static void registers(void **state)
{
	static const unsigned regs[] = { REG_CTRL, REG_ICR, REG_IMS, REG_VFTA, 0x5c80 };

	(void)state;
	begin(VE1000_82574);
	for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		count(true);
		nic_get(&b, regs[i]);
		count(false);
		print_message("register %#x: %lu instructions\n", regs[i], steps);
		assert_in_range(steps, 20, 300);
	}
	nic_destroy(&a);
	nic_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e1000),
		cmocka_unit_test(e1000e),
		cmocka_unit_test(registers),
	};

	steps_begin(count_step);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
