/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio*.c vdev/vframe.c vdev/vinbox.c vdev/vpci*.c
 * lib/record.c tests/host/vdev_host.c
 * tests/host/steps.c */
/*
 * What a block request costs in virtio's own code, in instructions: from the doorbell to the end of
 * what the driver added, without what the host does for it (memory, the medium, the interrupt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/host/steps.h"
#include "virtio_driver.h"
#include "vdev/virtio/virtio_blk.h"

#define DEPTH	16u
#define BUFFER	0xc000u

/* The section of what is counted: see the Makefile. */
extern char __start_counted[], __stop_counted[];

static uint64_t steps;

static void count_step(uintptr_t rip)
{
	steps += steps_within(rip, __start_counted, __stop_counted);
}

static uint64_t request_cost(struct driver *d, unsigned depth)
{
	struct driver_part p[3] = {
		{ BUFFER, 16, false }, { BUFFER + 512, 4096, true }, { BUFFER + 32, 1, true },
	};
	uint32_t written;
	uint16_t id;

	memset(d->memory + BUFFER, 0, 16);
	for (unsigned i = 0; i < depth; i++)
		driver_add(d, p, 3, true);
	driver_want(d, depth - 1);
	steps = 0;
	steps_trap(true);
	virtio_kick(d->v, 0);
	steps_trap(false);
	for (unsigned i = 0; i < depth; i++)
		assert_true(driver_take(d, &id, &written));
	return steps / depth;
}

static void check_cost(bool packed_ring, uint64_t alone, uint64_t deep)
{
	struct virtio *v;
	struct vdev_host *h;
	struct driver d;
	uint64_t cost;

	assert_int_equal(virtio_blk_create(1, &v), 0);
	h = driver_attach(v);
	assert_true(driver_negotiate(v, BIT(VIRTIO_VERSION_1) | BIT(VIRTIO_EVENT_IDX) |
					BIT(VIRTIO_INDIRECT) |
					(packed_ring ? BIT(VIRTIO_PACKED) : 0)));
	assert_true(driver_queue(&d, v, 0, 64));
	driver_start(v);
	for (unsigned i = 0; i < 8; i++) {
		cost = request_cost(&d, 1);
		print_message("alone: %lu instructions\n", cost);
		assert_in_range(cost, alone / 8, alone);
		cost = request_cost(&d, DEPTH);
		print_message("%u at once: %lu instructions each\n", DEPTH, cost);
		assert_in_range(cost, deep / 8, deep);
	}
	vdev_host_detach(h);
}

static void split_ring(void **state)
{
	(void)state;
	check_cost(false, 980, 580);
}

static void packed_rings(void **state)
{
	(void)state;
	check_cost(true, 980, 580);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_ring), cmocka_unit_test(packed_rings),
	};

	steps_begin(count_step);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
