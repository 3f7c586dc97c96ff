/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio*.c vdev/vframe.c vdev/vinbox.c vdev/vpci*.c
 * lib/record.c tests/host/vdev_host.c
 * tests/host/steps.c */
/*
 * What a request costs in virtio's own code, in instructions: of a disk, a console, a balloon; from
 * the doorbell to the end of what the driver added, without what the host does for it (memory, the
 * medium, the interrupt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/host/steps.h"
#include "virtio_driver.h"
#include "vdev/virtio/virtio_balloon.h"
#include "vdev/virtio/virtio_blk.h"
#include "vdev/virtio/virtio_console.h"

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

/* A line of text to the medium. */
static void console(void **state)
{
	struct driver_part p = { BUFFER, 80, false };
	struct virtio *v;
	struct vdev_host *h;
	struct driver d;
	uint32_t written;
	uint16_t id;

	(void)state;
	assert_int_equal(virtio_console_create(1, &v), 0);
	h = driver_attach(v);
	assert_true(driver_negotiate(v, BIT(VIRTIO_VERSION_1) | BIT(VIRTIO_EVENT_IDX)));
	assert_true(driver_queue(&d, v, 1, 64));
	driver_start(v);
	for (unsigned i = 0; i < 8; i++) {
		driver_add(&d, &p, 1, false);
		driver_want(&d, 0);
		steps = 0;
		steps_trap(true);
		virtio_kick(v, 1);
		steps_trap(false);
		assert_true(driver_take(&d, &id, &written));
		print_message("a line: %lu instructions\n", steps);
		assert_in_range(steps, 800 / 8, 800);
	}
	vdev_host_detach(h);
}

/* So many pages as Linux tells of at once; falling, as it often has them. */
static void balloon(void **state)
{
	struct driver_part p = { BUFFER, 1024, false };
	struct virtio *v;
	struct vdev_host *h;
	struct driver d;
	uint32_t written;
	uint16_t id;

	(void)state;
	assert_int_equal(virtio_balloon_create(&v), 0);
	h = driver_attach(v);
	assert_true(driver_negotiate(v, BIT(VIRTIO_VERSION_1)));
	assert_true(driver_queue(&d, v, 0, 64));
	driver_start(v);
	for (unsigned i = 0; i < 256; i++)
		put32(&d, BUFFER + 4 * i, 100000 - i);
	driver_add(&d, &p, 1, false);
	steps = 0;
	steps_trap(true);
	virtio_kick(v, 0);
	steps_trap(false);
	assert_true(driver_take(&d, &id, &written));
	print_message("256 pages: %lu instructions\n", steps);
	assert_in_range(steps, 256, 40000);
	vdev_host_detach(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_ring), cmocka_unit_test(packed_rings),
		cmocka_unit_test(console), cmocka_unit_test(balloon),
	};

	steps_begin(count_step);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
