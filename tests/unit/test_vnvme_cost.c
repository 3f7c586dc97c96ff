/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vnvme*.c vdev/vpci*.c lib/record.c lib/format.c tests/host/vdev_host.c
 * tests/host/steps.c */
/*
 * What a read of 4 KiB costs in the controller's own code, in instructions: from the doorbell to
 * the end of what the driver added, without what the host does for it (memory, the medium).
 */
#include "tests/host/nvme_driver.h"
#include "tests/host/steps.h"

/* The section of what is counted: see the Makefile. */
extern char __start_counted[], __stop_counted[];

static uint64_t steps;

static void count_step(uintptr_t rip)
{
	steps += steps_within(rip, __start_counted, __stop_counted);
}

/* The doorbell's register is written by hand: what the driver itself does is not counted. */
static uint64_t read_cost(unsigned depth)
{
	for (unsigned i = 0; i < depth; i++) {
		nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .id = (uint16_t)i,
			.prp1 = NVME_DATA, .word = { 0, 0, 7 } };
		nvme_enter(1);
	}
	nvme_put32(NVME_SHADOW + 8, nvme_sq[1].place);
	steps = 0;
	steps_trap(true);
	nvme_dev->ops->write(nvme_dev, 0, VNVME_DOORBELLS + 8, 4, nvme_sq[1].place);
	steps_trap(false);
	for (unsigned i = 0; i < depth; i++)
		assert_int_equal(nvme_reap(1), 0);
	return steps / depth;
}

static void check_cost(bool shadow, uint64_t alone, uint64_t deep)
{
	uint64_t cost;

	nvme_driver_make(1);
	nvme_driver_start();
	nvme_msix(true);
	nvme_driver_queue(1, 64, 64);
	if (shadow) {
		nvme_command = (struct nvme_entry){ .opcode = 0x7c, .prp1 = NVME_SHADOW,
			.prp2 = NVME_SHADOW + 0x1000 };
		assert_int_equal(nvme_admin(), 0);
		nvme_shadow = true;
	}
	for (unsigned i = 0; i < 8; i++) {
		cost = read_cost(1);
		print_message("alone: %lu instructions\n", cost);
		assert_in_range(cost, alone / 8, alone);
		cost = read_cost(32);
		print_message("32 at once: %lu instructions each\n", cost);
		assert_in_range(cost, deep / 8, deep);
	}
	nvme_driver_end();
}

static void by_registers(void **state)
{
	(void)state;
	check_cost(false, 720, 370);
}

static void by_memory(void **state)
{
	(void)state;
	check_cost(true, 780, 370);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_registers), cmocka_unit_test(by_memory),
	};

	steps_begin(count_step);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
