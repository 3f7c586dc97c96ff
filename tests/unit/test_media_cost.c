/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/media.c vmm/media_disk.c vmm/vm_copy.c vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c
 * mm/paging_npt.c mm/paging_ept.c mm/page.c mm/page_intake.c cpu/spinlock.c lib/string.c
 * tests/host/heap.c tests/host/memory.c tests/host/percpu.c tests/host/panic.c tests/host/log.c
 * tests/host/one_thread.c tests/host/steps.c */
/*
 * What a disk's request of 4 KiB costs in instructions of the product's code, in a vCPU's exit, as
 * devices ask for it: the copy is 512 of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "include/bits.h"
#include "tests/host/memory.h"
#include "tests/host/steps.h"
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

#define IMAGE	MIB
#define RAM	(4 * MIB)
#define COPY	512u

extern char __start_counted[], __stop_counted[];
extern void *host_argument;		/* one_thread.c: what the thread was made with */

static struct vm vm;
static struct vcpu vcpu;
static struct vdev_host host;
static struct vdev dev;
static uint64_t steps;

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

void vcpu_main(void *arg)
{
	(void)arg;
}

void work_init_slow(struct work *w, void (*fn)(struct work *w))
{
	*w = (struct work){ .fn = fn };
}

void work_queue(struct work *w)
{
	(void)w;
}

void work_cancel_sync(struct work *w)
{
	(void)w;
}

static void flush(void *arg)
{
	(void)arg;
}

static void count_step(uintptr_t rip)
{
	steps += steps_within(rip, __start_counted, __stop_counted);
}

static void check(const char *what, enum host_media_op op, uint64_t offset, uint64_t promise)
{
	struct host_segment s = { RAM / 2, 4096 };
	struct host_media_request r = {
		.op = op, .offset = offset, .size = 4096, .segment = &s, .count = 1,
	};
	uint64_t cost;

	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	steps = 0;
	steps_trap(true);
	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	steps_trap(false);
	cost = steps - COPY;
	print_message("%s: %lu instructions and the copy\n", what, cost);
	assert_in_range(cost, promise / 4, promise);
}

static void disk(void **state)
{
	struct gmem_config c = {
		.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 48, .node = NODE_ANY,
		.charge = &vm.charge, .flush = flush,
	};
	struct media_image i = { .name = "disk", .data = calloc(1, IMAGE), .size = IMAGE };
	struct media *m;

	(void)state;
	assert_int_equal(gmem_init(&vm.gmem, &c), 0);
	assert_int_equal(gmem_add_ram(&vm.gmem, GPA(0), RAM), 0);
	dev.host = &host;
	host.vm = vcpu.vm = &vm;
	host.dev = &dev;
	host_argument = &vcpu;
	assert_int_equal(media_overlay_create(IMAGE, &i.overlay), 0);
	assert_int_equal(media_disk_create(&i, &m), 0);
	media_attach(m, &host, 0);
	check("read, never written", HOST_MEDIA_READ, 0, 340);
	check("write", HOST_MEDIA_WRITE, 4096, 450);
	check("read, written", HOST_MEDIA_READ, 4096, 450);
	media_overlay_put(i.overlay);
	media_destroy(m);
	gmem_destroy(&vm.gmem);
	free((void *)i.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(disk) };

	steps_begin(count_step);
	memory_init(64 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
