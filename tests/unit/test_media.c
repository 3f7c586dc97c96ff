/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/media.c vmm/media_disk.c vmm/media_disc.c vmm/vm_copy.c vmm/gmem/gmem*.c
 * mm/paging.c mm/paging_host.c mm/paging_npt.c
 * mm/paging_ept.c mm/page.c mm/page_intake.c tests/host/heap.c tests/host/memory.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c tests/host/log.c
 * tests/host/one_thread.c */
/*
 * Media by handle: what requests may name, a read-only image and an overlay against a plain copy of
 * the image, memory that runs out, what is done later, and consoles.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "tests/host/memory.h"
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

#define IMAGE	(9 * MIB + 1536)		/* its last block is not whole */
#define RAM	(4 * MIB)

extern void (*host_wait)(void);			/* one_thread.c */
void ipi_call_others(void (*fn)(void *arg), void *arg);

static struct vm vm;
static struct vcpu vcpu;
static struct vdev_host host;
static struct vdev dev;
static uint8_t *image, *model;
static struct work *queued;
static unsigned done_count;
static uint32_t done_tag[16];
static int done_error[16];

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

extern void *host_argument;			/* one_thread.c: in an exit, or not */

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
	assert_null(queued);
	queued = w;
}

void work_cancel_sync(struct work *w)
{
	if (queued == w)
		queued = NULL;
}

static void run_work(void)
{
	struct work *w = queued;

	queued = NULL;
	if (w)
		w->fn(w);
}

static void media_done(struct vdev *d, unsigned medium, uint32_t tag, int error)
{
	assert_ptr_equal(d, &dev);
	assert_int_equal(medium, 0);
	done_tag[done_count % 16] = tag;
	done_error[done_count++ % 16] = error;
}

static const struct vdev_ops ops = { .name = "test", .media_done = media_done };

static void flush(void *arg)
{
	(void)arg;
}

static struct media *attach_over(struct media_overlay *overlay)
{
	struct media_image i = {
		.name = "an image with a name that is too long", .data = image, .size = IMAGE,
		.overlay = overlay,
	};
	struct media *m;

	assert_int_equal(media_disk_create(&i, &m), 0);
	media_attach(m, &host, 0);
	return m;
}

static struct media *attach(bool overlay)
{
	struct media_overlay *o = NULL;
	struct media *m;

	if (overlay)
		assert_int_equal(media_overlay_create(IMAGE, &o), 0);
	m = attach_over(o);
	media_overlay_put(o);
	return m;
}

static void detach(struct media *m)
{
	media_destroy(m);
	host.media[0] = NULL;
}

static int setup(void **state)
{
	struct gmem_config c = {
		.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 48, .node = NODE_ANY,
		.charge = &vm.charge, .flush = flush,
	};

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.charge.name = "vm";
	assert_int_equal(gmem_init(&vm.gmem, &c), 0);
	assert_int_equal(gmem_add_ram(&vm.gmem, GPA(0), RAM), 0);
	dev = (struct vdev){ .ops = &ops, .host = &host };
	memset(&host, 0, sizeof(host));
	host.vm = &vm;
	host.dev = &dev;
	done_count = 0;
	queued = NULL;
	image = malloc(IMAGE);
	model = malloc(IMAGE);
	for (unsigned i = 0; i < IMAGE; i++)
		image[i] = model[i] = (uint8_t)(i * 7 + i / 512 + i / 8192);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gmem_destroy(&vm.gmem);
	assert_int_equal(gmem_promised(), 0);
	assert_int_equal(vm.charge.pages, 0);
	free(image);
	free(model);
	return 0;
}

static int transfer(enum host_media_op op, uint64_t offset, uint64_t at, uint64_t n)
{
	struct host_segment s = { at, n };
	struct host_media_request r = {
		.op = op, .offset = offset, .size = n, .segment = &s, .count = 1,
	};

	return host_media_submit(&dev, 0, &r);
}

static int range(enum host_media_op op, uint64_t offset, uint64_t n, uint32_t tag)
{
	struct host_media_request r = { .op = op, .tag = tag, .offset = offset, .size = n };

	return host_media_submit(&dev, 0, &r);
}

/* The disk is what the model says, read in pieces that lie as they will. */
static void compare(void)
{
	static uint8_t got[100 * 1024];

	for (uint64_t at = 0, n; at < IMAGE; at += n) {
		n = MIN(IMAGE - at, 99ul * 1024);
		assert_int_equal(transfer(HOST_MEDIA_READ, at, 12345, n), 0);
		assert_int_equal(gmem_read(&vm.gmem, GPA(12345), got, n), 0);
		assert_memory_equal(got, model + at, n);
	}
}

static uint32_t seed = 4711;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Guest memory that holds what the disk holds, then all but one byte of it. */
static void compare_by_request(uint64_t at, uint64_t to, uint64_t n)
{
	uint64_t wrong = any((uint32_t)n);
	uint8_t byte = (uint8_t)~model[at + wrong];

	assert_int_equal(gmem_write(&vm.gmem, GPA(to), model + at, n), 0);
	assert_int_equal(transfer(HOST_MEDIA_COMPARE, at, to, n), 0);
	assert_int_equal(gmem_write(&vm.gmem, GPA(to + wrong), &byte, 1), 0);
	assert_int_equal(transfer(HOST_MEDIA_COMPARE, at, to, n), HOST_MEDIA_DIFFERS);
}

static void facts(void **state)
{
	struct host_media_facts f;
	struct media *m;
	struct media_image odd = { .name = "odd", .data = image, .size = 1000 };

	(void)state;
	assert_int_equal(media_disk_create(&odd, &m), -EINVAL);
	odd.size = 0;
	assert_int_equal(media_disk_create(&odd, &m), -EINVAL);
	host_media_facts(&dev, 0, &f);
	assert_int_equal(f.kind, HOST_MEDIA_NONE);
	assert_int_equal(range(HOST_MEDIA_FLUSH, 0, 0, 0), -ENOSYS);
	m = attach(false);
	host_media_facts(&dev, 0, &f);
	assert_int_equal(f.kind, HOST_MEDIA_DISK);
	assert_true(f.read_only);
	assert_int_equal(f.size, IMAGE);
	assert_string_equal(f.name, "an image with a name that is to");
	host_media_facts(&dev, HOST_MEDIA_MAX, &f);
	assert_int_equal(f.kind, HOST_MEDIA_NONE);
	detach(m);
}

/* What a request may not name; none of it changes the disk or memory that is not the guest's. */
static void refused(void **state)
{
	struct media *m = attach(true);
	struct host_segment s[HOST_SEGMENT_MAX + 1];
	struct host_media_request r = {
		.op = HOST_MEDIA_READ, .size = 512, .segment = s, .count = 2,
	};

	(void)state;
	assert_int_equal(transfer(HOST_MEDIA_READ, 1, 0, 512), -EINVAL);
	assert_int_equal(transfer(HOST_MEDIA_READ, 0, 0, 511), -EINVAL);
	assert_int_equal(transfer(HOST_MEDIA_READ, IMAGE - 512, 0, 1024), -EINVAL);
	assert_int_equal(transfer(HOST_MEDIA_READ, -512ul, 0, 1024), -EINVAL);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 0, 0, 1ul << 63), -EINVAL);
	assert_int_equal(transfer(HOST_MEDIA_READ, 0, RAM - 511, 512), -EFAULT);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 0, RAM, 512), -EFAULT);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 0, -256ul, 512), -EFAULT);
	s[0] = (struct host_segment){ 0, -512ul };
	s[1] = (struct host_segment){ 0, 1024 };
	assert_int_equal(host_media_submit(&dev, 0, &r), -EINVAL);
	s[0].size = 511;
	s[1].size = 2;
	assert_int_equal(host_media_submit(&dev, 0, &r), -EINVAL);
	s[1].size = 1;
	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	r.count = HOST_SEGMENT_MAX + 1;
	assert_int_equal(host_media_submit(&dev, 0, &r), -EINVAL);
	assert_int_equal(host_media_submit(&dev, 1, &r), -ENOSYS);
	compare();
	detach(m);
	m = attach(false);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 0, 0, 512), -EPERM);
	compare_by_request(512, 4095, 8192);
	assert_int_equal(transfer(HOST_MEDIA_COMPARE, 0, RAM, 512), -EFAULT);
	assert_int_equal(transfer(HOST_MEDIA_COMPARE, IMAGE, 0, 512), -EINVAL);
	assert_int_equal(range(HOST_MEDIA_ZERO, 0, 512, 0), -EPERM);
	assert_int_equal(range(HOST_MEDIA_DISCARD, 0, 512, 0), -EPERM);
	assert_int_equal(range(HOST_MEDIA_FLUSH, 0, 0, 0), 0);
	compare();
	detach(m);
}

/* ROM and what is hidden is no memory for a device, not even to be read. */
static void only_ram(void **state)
{
	struct media *m = attach(true);

	(void)state;
	assert_int_equal(gmem_add_ram(&vm.gmem, GPA(8 * MIB), PAGE_2M), 0);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 0, 8 * MIB, 512), 0);
	memset(model, 0, 512);
	assert_int_equal(gmem_slot_deny(&vm.gmem, GPA(8 * MIB), GMEM_WRITE), 0);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 0, 8 * MIB, 512), -EFAULT);
	assert_int_equal(transfer(HOST_MEDIA_READ, 0, 8 * MIB, 512), -EFAULT);
	compare();
	detach(m);
}

/* Two slots side by side are one range; with a hole between them they are not. */
static void across_slots(void **state)
{
	struct media *m = attach(false);

	(void)state;
	assert_int_equal(gmem_add_ram(&vm.gmem, GPA(RAM), PAGE_2M), 0);
	assert_int_equal(transfer(HOST_MEDIA_READ, 0, RAM - 1024, 4096), 0);
	assert_int_equal(gmem_slot_move(&vm.gmem, GPA(RAM), GPA(RAM + PAGE_SIZE)), 0);
	assert_int_equal(transfer(HOST_MEDIA_READ, 0, RAM - 1024, 8192), -EFAULT);
	detach(m);
}

/* Writes, zeros and discards of all sizes; a discarded range is read and believed. */
static void overlay_round(void)
{
	struct media *m = attach(true);
	static uint8_t data[20 * 1024];

	compare();
	for (unsigned round = 0; round < 2000; round++) {
		uint64_t n = 512ul * (1 + any(sizeof(data) / 512));
		uint64_t at = 512ul * any((uint32_t)((IMAGE - n) / 512 + 1)), to = any(RAM - 20480);
		unsigned what = any(8);

		if (what >= 3) {
			for (unsigned i = 0; i < n; i++)
				data[i] = (uint8_t)any(256);
			assert_int_equal(gmem_write(&vm.gmem, GPA(to), data, n), 0);
			assert_int_equal(transfer(HOST_MEDIA_WRITE, at, to, n), 0);
			memcpy(model + at, data, n);
		} else if (what) {
			assert_int_equal(range(HOST_MEDIA_ZERO, at, n, 0), 0);
			memset(model + at, 0, n);
		} else {
			assert_int_equal(range(HOST_MEDIA_DISCARD, at, n, 0), 0);
			assert_int_equal(transfer(HOST_MEDIA_READ, at, to, n), 0);
			assert_int_equal(gmem_read(&vm.gmem, GPA(to), model + at, n), 0);
		}
		compare_by_request(at, to, n);
	}
	compare();
	for (unsigned i = 0; i < IMAGE; i++)
		assert_int_equal(image[i], (uint8_t)(i * 7 + i / 512 + i / 8192));
	detach(m);
}

static void overlay(void **state)
{
	(void)state;
	overlay_round();
	memcpy(model, image, IMAGE);
	vcpu.vm = &vm;
	host_argument = &vcpu;
	overlay_round();
	host_argument = NULL;
}

/* Discards and zeros of whole blocks give the overlay's memory back. */
static void gives_back(void **state)
{
	struct media *m = attach(true);
	uint64_t before, full;

	(void)state;
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 0, 0, 512), 0);
	before = gmem_promised();
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(transfer(HOST_MEDIA_WRITE, i * 4096, 0, 4096), 0);
	full = gmem_promised();
	assert_int_equal(full, before + 255);
	assert_int_equal(gmem_promised(), RAM / 4096 + 257);
	assert_int_equal(range(HOST_MEDIA_DISCARD, 512, 4096 * 256 - 512, 0), 0);
	assert_int_equal(gmem_promised(), before);
	assert_int_equal(range(HOST_MEDIA_ZERO, 0, 4096, 0), 0);
	assert_int_equal(gmem_promised(), before - 1);
	/* The last block is shorter than others, and whole. */
	assert_int_equal(transfer(HOST_MEDIA_WRITE, IMAGE - 512, 0, 512), 0);
	full = gmem_promised();
	assert_int_equal(range(HOST_MEDIA_DISCARD, IMAGE - 1536, 1536, 0), 0);
	assert_int_equal(gmem_promised(), full - 1);
	detach(m);
}

/* A reboot makes a new disk over what was written to the last one. */
static void outlives_the_disk(void **state)
{
	uint64_t before = gmem_promised();
	struct media_overlay *o;
	struct media *m;
	uint8_t sent[512], got[512];

	(void)state;
	assert_int_equal(media_overlay_create(IMAGE, &o), 0);
	m = attach_over(o);
	memset(sent, 0x5a, sizeof(sent));
	assert_int_equal(gmem_write(&vm.gmem, GPA(0), sent, sizeof(sent)), 0);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, 4096, 0, 512), 0);
	detach(m);
	assert_true(gmem_promised() > before);
	m = attach_over(o);
	media_overlay_put(o);
	assert_int_equal(transfer(HOST_MEDIA_READ, 4096, 4096, 512), 0);
	assert_int_equal(gmem_read(&vm.gmem, GPA(4096), got, sizeof(got)), 0);
	assert_memory_equal(sent, got, sizeof(got));
	detach(m);
	assert_int_equal(gmem_promised(), before);
}

/* Memory that is promised to guests is not an overlay's to take: the write fails, and later not. */
static void runs_out(void **state)
{
	struct media *m = attach(true);
	uint64_t left = gmem_available();
	unsigned written = 0;

	(void)state;
	assert_true(left > 600);
	assert_int_equal(gmem_promise(left - 40), 0);
	while (!transfer(HOST_MEDIA_WRITE, written * 4096, 0, 4096))
		written++;
	assert_in_range(written, 38, 39);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, written * 4096, 0, 4096), -ENOMEM);
	assert_int_equal(range(HOST_MEDIA_ZERO, 4 * MIB, 512, 0), -ENOMEM);
	memset(model, 0, written * 4096);
	compare();
	gmem_promise_take_back(left - 40);
	assert_int_equal(transfer(HOST_MEDIA_WRITE, written * 4096, 0, 4096), 0);
	memset(model + written * 4096, 0, 4096);
	compare();
	detach(m);
}

/* Large ranges are cleared later, in their order; so is what comes behind them. */
static void later(void **state)
{
	struct media *m = attach(true);
	uint64_t left;

	(void)state;
	assert_int_equal(range(HOST_MEDIA_ZERO, 512, 8 * MIB, 1), HOST_MEDIA_LATER);
	assert_int_equal(range(HOST_MEDIA_DISCARD, 0, 4096, 2), HOST_MEDIA_LATER);
	for (uint32_t i = 3; i <= MEDIA_LATER_MAX; i++)
		assert_int_equal(range(HOST_MEDIA_ZERO, 0, 512, i), HOST_MEDIA_LATER);
	assert_int_equal(range(HOST_MEDIA_ZERO, 0, 512, 9), -EAGAIN);
	assert_int_equal(done_count, 0);
	run_work();
	assert_int_equal(done_count, MEDIA_LATER_MAX);
	for (uint32_t i = 0; i < MEDIA_LATER_MAX; i++) {
		assert_int_equal(done_tag[i], i + 1);
		assert_int_equal(done_error[i], 0);
	}
	memset(model, 0, 512 + 8 * MIB);
	compare();
	assert_int_equal(range(HOST_MEDIA_ZERO, 0, 512, 0), 0);		/* at once again */
	detach(m);
	/* One that fails is told so. */
	m = attach(true);
	left = gmem_available();
	assert_int_equal(gmem_promise(left), 0);
	assert_int_equal(range(HOST_MEDIA_ZERO, 1024, 9 * MIB, 7), HOST_MEDIA_LATER);
	run_work();
	assert_int_equal(done_tag[MEDIA_LATER_MAX], 7);
	assert_int_equal(done_error[MEDIA_LATER_MAX], -ENOMEM);
	gmem_promise_take_back(left);
	detach(m);
}

/* Who stops the VM, or ends it, waits for what is under way. */
static void quiesced(void **state)
{
	struct media *m = attach(true);

	(void)state;
	assert_int_equal(range(HOST_MEDIA_ZERO, 0, 8 * MIB, 1), HOST_MEDIA_LATER);
	host_wait = run_work;
	media_quiesce(m);
	assert_int_equal(done_count, 1);
	assert_int_equal(range(HOST_MEDIA_ZERO, 0, 8 * MIB, 2), HOST_MEDIA_LATER);
	detach(m);
	assert_int_equal(done_count, 2);
	host_wait = NULL;
}

static char said[16];

static size_t put(void *arg, const void *data, size_t n)
{
	assert_ptr_equal(arg, said);
	memcpy(said, data, MIN(n, sizeof(said)));
	return n;
}

static size_t get(void *arg, void *data, size_t n)
{
	(void)arg;
	memcpy(data, "typed", MIN(n, 5ul));
	return MIN(n, 5ul);
}

static void console(void **state)
{
	struct host_media_facts f;
	struct media *m;
	char got[8];

	(void)state;
	assert_int_equal(host_media_put(&dev, 0, "x", 1), 1);	/* nobody listens */
	assert_int_equal(host_media_get(&dev, 0, got, 8), 0);
	assert_int_equal(media_console_create(&m), 0);
	media_attach(m, &host, 0);
	host_media_facts(&dev, 0, &f);
	assert_int_equal(f.kind, HOST_MEDIA_CONSOLE);
	assert_int_equal(host_media_put(&dev, 0, "x", 1), 1);
	vm.config.console_put = put;
	vm.config.console_get = get;
	vm.config.arg = said;
	assert_int_equal(host_media_put(&dev, 0, "hello", 5), 5);
	assert_memory_equal(said, "hello", 5);
	assert_int_equal(host_media_get(&dev, 0, got, 8), 5);
	assert_memory_equal(got, "typed", 5);
	assert_int_equal(range(HOST_MEDIA_FLUSH, 0, 0, 0), -ENOSYS);
	detach(m);
}

/* Into and out of the device's own memory, over the edges of blocks. */
static void own_memory(void **state)
{
	static uint8_t got[8192], put[8192];
	struct host_media_request r = { .op = HOST_MEDIA_READ, .offset = 3584, .size = 8192,
					.data = got };
	struct media *m = attach(true);

	(void)state;
	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	assert_memory_equal(got, image + 3584, 8192);
	memset(put, 0xa5, sizeof(put));
	r.op = HOST_MEDIA_WRITE;
	r.data = put;
	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	r.op = HOST_MEDIA_ZERO;
	r.offset = 4096;
	r.size = 4096;
	r.data = NULL;
	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	memset(put + 512, 0, 4096);
	r.op = HOST_MEDIA_READ;
	r.offset = 3584;
	r.size = 8192;
	r.data = got;
	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	assert_memory_equal(got, put, 8192);
	r.count = 1;						/* not both */
	r.segment = &(struct host_segment){ 0, 8192 };
	assert_int_equal(host_media_submit(&dev, 0, &r), -EINVAL);
	detach(m);
	m = attach(false);
	r.count = 0;
	assert_int_equal(host_media_submit(&dev, 0, &r), 0);
	assert_memory_equal(got, image + 3584, 8192);
	r.op = HOST_MEDIA_WRITE;
	assert_int_equal(host_media_submit(&dev, 0, &r), -EPERM);
	r.op = HOST_MEDIA_READ;
	r.offset = ALIGN_DOWN(IMAGE, 512ul) - 512;
	assert_int_equal(host_media_submit(&dev, 0, &r), -EINVAL);
	detach(m);
}

/* ---- a drive ---- */

static enum host_tray asked[8];
static unsigned asked_count;
static bool held_shut;

static int media_tray(struct vdev *d, unsigned medium, enum host_tray what)
{
	struct host_media_facts f;

	host_media_facts(d, medium, &f);
	if (what == HOST_TRAY_LOAD)
		assert_int_equal(f.open, !f.size);
	asked[asked_count++ % 8] = what;
	return held_shut && what == HOST_TRAY_EJECT ? -EBUSY : 0;
}

static int read_disc(uint64_t offset, uint64_t size)
{
	struct host_segment s = { 0x1000, size };
	struct host_media_request r = {
		.op = HOST_MEDIA_READ, .offset = offset, .size = size, .segment = &s, .count = 1,
	};

	return host_media_submit(&dev, 0, &r);
}

static void drive(void **state)
{
	static const struct vdev_ops with_tray = { .name = "test", .media_tray = media_tray };
	struct media_image disc = { .name = "disc", .data = image, .size = 4096 };
	struct media_tray_state now;
	struct host_media_facts f;
	struct media_tray *t;
	struct media *m;
	uint8_t got[512];

	(void)state;
	dev.ops = &with_tray;
	asked_count = 0;
	held_shut = false;
	assert_int_equal(media_tray_create(&t), 0);
	assert_int_equal(media_tray_change(t, &disc, false), 0);	/* it is in no drive */
	assert_int_equal(media_disc_create(t, &m), 0);
	media_attach(m, &host, 0);
	host_media_facts(&dev, 0, &f);
	assert_true(f.kind == HOST_MEDIA_DISK && f.optical && f.read_only && !f.open);
	assert_int_equal(f.size, 4096);
	assert_int_equal(read_disc(512, 3584), 0);
	assert_int_equal(vm_read(&vm, GPA(0x1000), got, 512), 0);
	assert_memory_equal(got, image + 512, 512);
	assert_int_equal(read_disc(512, 4096), -EIO);
	assert_int_equal(read_disc(~0ul - 1023, 512), -EIO);
	assert_int_equal(host_media_submit(&dev, 0,
		&(struct host_media_request){ .op = HOST_MEDIA_DISCARD, .size = 512 }), -EPERM);
	held_shut = true;
	assert_int_equal(media_tray_change(t, NULL, false), -EBUSY);
	assert_int_equal(read_disc(0, 512), 0);
	assert_int_equal(media_tray_change(t, NULL, true), 0);
	assert_int_equal(asked_count, 3);
	assert_int_equal(asked[1], HOST_TRAY_FORCE);
	assert_int_equal(asked[2], HOST_TRAY_LOAD);
	media_tray_look(t, &now);
	assert_true(now.open && !now.name[0] && !now.size);
	assert_int_equal(read_disc(0, 512), -EIO);
	disc.size = 100;
	assert_int_equal(media_tray_change(t, &disc, true), -EINVAL);
	disc.size = 1024;
	held_shut = false;
	assert_int_equal(media_tray_change(t, &disc, false), 0);
	assert_int_equal(asked[4], HOST_TRAY_LOAD);
	assert_int_equal(read_disc(512, 512), 0);
	assert_int_equal(read_disc(1024, 512), -EIO);
	host_media_tray(&dev, 0, true);				/* the guest's hand */
	media_tray_look(t, &now);
	assert_true(now.open);
	assert_string_equal(now.name, "disc");
	assert_int_equal(read_disc(0, 512), -EIO);
	detach(m);
	assert_int_equal(media_tray_change(t, NULL, false), 0);
	assert_int_equal(asked_count, 5);			/* nobody is there to be told */
	media_tray_put(t);
	dev.ops = &ops;
}

static void channel(void **state)
{
	struct media_channel c = { .name = "org.keel.test.0", .arg = said, .put = put, .get = get };
	struct host_media_facts f;
	struct media *m, *other;
	char got[8];

	(void)state;
	assert_int_equal(media_channel_create(&c, &m), 0);
	media_attach(m, &host, 1);
	assert_int_equal(media_console_create(&other), 0);
	media_attach(other, &host, 0);
	vm.config.console_put = NULL;
	c = (struct media_channel){ .name = "gone" };		/* it was copied */
	host_media_facts(&dev, 1, &f);
	assert_int_equal(f.kind, HOST_MEDIA_CONSOLE);
	assert_string_equal(f.name, "org.keel.test.0");
	strcpy(said, "");
	assert_int_equal(host_media_put(&dev, 0, "x", 1), 1);
	assert_string_equal(said, "");
	assert_int_equal(host_media_put(&dev, 1, "hello", 5), 5);
	assert_memory_equal(said, "hello", 5);
	assert_int_equal(host_media_get(&dev, 1, got, 8), 5);
	assert_memory_equal(got, "typed", 5);
	detach(other);
	host.media[1] = NULL;
	media_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(facts, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(only_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(across_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(overlay, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_back, setup, teardown),
		cmocka_unit_test_setup_teardown(outlives_the_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_out, setup, teardown),
		cmocka_unit_test_setup_teardown(later, setup, teardown),
		cmocka_unit_test_setup_teardown(quiesced, setup, teardown),
		cmocka_unit_test_setup_teardown(console, setup, teardown),
		cmocka_unit_test_setup_teardown(own_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(drive, setup, teardown),
		cmocka_unit_test_setup_teardown(channel, setup, teardown),
	};

	memory_init(64 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
