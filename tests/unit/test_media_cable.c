/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/media.c vmm/media_frame.c vmm/media_cable.c vmm/vm_copy.c vmm/gmem/gmem*.c mm/paging.c
 * mm/paging_host.c mm/paging_npt.c mm/paging_ept.c mm/page.c mm/page_intake.c tests/host/heap.c
 * tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c
 * tests/host/log.c tests/host/one_thread.c */
/*
 * Cables between the cards of two VMs: who has which end, frames copied from memory to memory, what
 * of either side is no memory, ends that close, come and go while the other sends.
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

#define RAM	(4 * MIB)

extern void (*host_wait)(void);			/* one_thread.c */
void ipi_call_others(void (*fn)(void *arg), void *arg);

/* A VM with a card. */
struct side {
	struct vm vm;
	struct vdev_host host;
	struct vdev dev;
	struct media *media;
	unsigned links, frames;
	uint32_t at, size;		/* where it copies frames to, and how much of each */
	void (*hook)(void);		/* called while one arrives */
	int result;
};

static struct side a, b, c;
static unsigned quiet;

void vcpu_main(void *arg)
{
	(void)arg;
}

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
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

/* The sender's vCPU. */
struct vcpu *vm_quiet_begin(struct vm *vm)
{
	assert_ptr_equal(vm, &a.vm);
	assert_int_equal(quiet++, 0);
	return (struct vcpu *)&quiet;
}

void vm_quiet_end(struct vcpu *self)
{
	assert_ptr_equal(self, &quiet);
	quiet--;
}

static int media_frame(struct vdev *d, unsigned medium, const struct host_frame *f)
{
	struct side *s = container_of(d, struct side, dev);

	assert_int_equal(medium, 0);
	assert_int_equal(quiet, 1);
	s->frames++;
	if (s->hook)
		s->hook();
	return s->result ?: host_frame_copy(d, f, 0, GPA(s->at), MIN(f->size, s->size));
}

static void media_link(struct vdev *d, unsigned medium)
{
	struct side *s = container_of(d, struct side, dev);

	assert_int_equal(medium, 0);
	s->links++;
}

static const struct vdev_ops ops = {
	.name = "test", .media_frame = media_frame, .media_link = media_link,
};

static void flush(void *arg)
{
	(void)arg;
}

static void make(struct side *s)
{
	struct gmem_config g = {
		.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 48, .node = NODE_ANY,
		.charge = &s->vm.charge, .flush = flush,
	};

	memset(s, 0, sizeof(*s));
	s->vm.charge.name = "vm";
	assert_int_equal(gmem_init(&s->vm.gmem, &g), 0);
	assert_int_equal(gmem_add_ram(&s->vm.gmem, GPA(0), RAM), 0);
	s->dev = (struct vdev){ .ops = &ops, .host = &s->host };
	s->host.vm = &s->vm;
	s->host.dev = &s->dev;
	s->at = 0x1ff0;
	s->size = HOST_FRAME_MAX;
}

static int setup(void **state)
{
	(void)state;
	make(&a);
	make(&b);
	make(&c);
	return 0;
}

static void unplug(struct side *s)
{
	if (s->media)
		media_destroy(s->media);
	s->media = s->host.media[0] = NULL;
}

static int teardown(void **state)
{
	struct side *const all[] = { &a, &b, &c };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		unplug(all[i]);
		gmem_destroy(&all[i]->vm.gmem);
		assert_int_equal(all[i]->vm.charge.pages, 0);
	}
	return 0;
}

static int plug(struct side *s, const char *name)
{
	int err = media_cable_create(name, &s->media);

	if (!err)
		media_attach(s->media, &s->host, 0);
	return err;
}

static bool link_of(struct side *s)
{
	return host_media_link(&s->dev, 0);
}

/* From a: so many bytes, of which those behind the head lie at 5000 and where they end up. */
static int send(uint32_t n)
{
	struct host_segment s[2] = { { 5000, 3000 }, { 0x30001, n - 128 - 3000 } };
	struct host_frame f = {
		.size = n, .head_size = 128, .segment = s, .count = 2, .gso_size = 77,
	};

	memset(f.head, 0x11, sizeof(f.head));
	return host_frame_send(&a.dev, 0, &f);
}

static void bytes(void **state)
{
	static uint8_t from[60000], got[60000];

	(void)state;
	assert_int_equal(plug(&a, "x"), 0);
	assert_int_equal(plug(&b, "x"), 0);
	media_go(a.media);
	media_go(b.media);
	memset(from, 0x11, 128);
	for (unsigned i = 128; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 13 + i / 256);
	assert_int_equal(gmem_write(&a.vm.gmem, GPA(5000), from + 128, 3000), 0);
	assert_int_equal(gmem_write(&a.vm.gmem, GPA(0x30001), from + 3128, 50000), 0);
	for (uint32_t n = 3200; n < 50000; n += 6777) {
		assert_int_equal(send(n), 0);
		assert_int_equal(gmem_read(&b.vm.gmem, GPA(b.at), got, n), 0);
		assert_memory_equal(got, from, n);
	}
	assert_int_equal(media_cable_stats(a.media).tx_frames, 7);
	assert_int_equal(media_cable_stats(b.media).rx_frames, 7);
	assert_int_equal(media_cable_stats(b.media).rx_bytes,
			 media_cable_stats(a.media).tx_bytes);
	assert_int_equal(media_cable_stats(a.media).rx_frames, 0);
}

/* Parts of it, and to a buffer. */
static void parts(void)
{
	struct host_segment s[2] = { { 0x1ffe, 4 }, { 0, 100 } };
	struct host_frame f = {
		.from = &a.dev, .size = 232, .head_size = 128, .segment = s, .count = 2,
	};
	uint8_t got[12];

	memset(f.head, 0x22, 128);
	assert_int_equal(gmem_write(&a.vm.gmem, GPA(0x1ffe), "abcd", 4), 0);
	assert_int_equal(gmem_write(&a.vm.gmem, GPA(0), "efghij", 6), 0);
	assert_int_equal(host_frame_read(&f, 126, got, 12), 0);
	assert_memory_equal(got, "\x22\x22" "abcdefghij", 12);
	assert_int_equal(host_frame_read(&f, 130, got, 4), 0);
	assert_memory_equal(got, "cdef", 4);
	f.body = (const uint8_t *)"0123456789";
	assert_int_equal(host_frame_read(&f, 127, got, 3), 0);
	assert_memory_equal(got, "\x22" "01", 3);
}

static void refused(void **state)
{
	struct host_segment s[2] = { { 0, 100 }, { RAM - 10, 11 } };
	struct host_frame f = { .size = 139, .head_size = 128, .segment = s + 1, .count = 1 };

	(void)state;
	parts();
	assert_int_equal(host_frame_send(&a.dev, 0, &f), -ENODEV);
	assert_false(link_of(&a));
	assert_int_equal(plug(&a, "x"), 0);
	assert_int_equal(plug(&b, "x"), 0);
	media_go(b.media);
	assert_int_equal(host_frame_send(&a.dev, 0, &f), -EFAULT);	/* the sender's */
	s[1].size = 10;
	assert_int_equal(host_frame_send(&a.dev, 0, &f), -EINVAL);	/* and what it adds up to */
	f.size = 138;
	assert_int_equal(host_frame_send(&a.dev, 1, &f), -ENODEV);
	assert_int_equal(host_frame_send(&a.dev, 0, &f), 0);
	b.at = RAM - 100;						/* the receiver's */
	assert_int_equal(host_frame_send(&a.dev, 0, &f), -EFAULT);
	assert_int_equal(media_cable_stats(b.media).rx_drops, 1);
	f.count = HOST_SEGMENT_MAX + 1;
	assert_int_equal(host_frame_send(&a.dev, 0, &f), -EINVAL);
	f.count = 0;
	f.size = f.head_size = 0;
	assert_int_equal(host_frame_send(&a.dev, 0, &f), -EINVAL);
	f.size = f.head_size = HOST_FRAME_HEAD + 1;
	assert_int_equal(host_frame_send(&a.dev, 0, &f), -EINVAL);
	assert_int_equal(b.frames, 2);
}

/* ROM is not for devices; and a sender whose memory went while his frame was on its way. */
static void hide(void)
{
	assert_int_equal(gmem_slot_move(&a.vm.gmem, GPA(0), GPA(64 * MIB)), 0);
}

static void memory_goes(void **state)
{
	(void)state;
	assert_int_equal(plug(&a, "x"), 0);
	assert_int_equal(plug(&b, "x"), 0);
	media_go(b.media);
	assert_int_equal(gmem_slot_deny(&b.vm.gmem, GPA(0), GMEM_WRITE), 0);
	assert_int_equal(send(4000), -EFAULT);
	assert_int_equal(gmem_slot_deny(&b.vm.gmem, GPA(0), 0), 0);
	assert_int_equal(send(4000), 0);
	b.hook = hide;
	assert_int_equal(send(4000), -ENOENT);
}

/* Two ends to a name; each hears of the other. */
static void ends(void **state)
{
	(void)state;
	assert_int_equal(plug(&a, "x"), 0);
	media_go(a.media);
	assert_int_equal(a.links, 1);
	assert_false(link_of(&a));
	assert_int_equal(send(4000), -ENODEV);
	assert_int_equal(plug(&b, "x"), 0);
	assert_int_equal(a.links, 2);
	assert_true(link_of(&a) && link_of(&b));
	assert_int_equal(plug(&c, "x"), -EBUSY);
	assert_int_equal(plug(&c, "y"), 0);
	assert_false(link_of(&c));
	assert_int_equal(send(4000), -EAGAIN);		/* its VM stands */
	assert_int_equal(media_cable_stats(a.media).tx_drops, 2);
	media_go(b.media);
	assert_int_equal(b.links, 1);
	assert_int_equal(send(4000), 0);
	media_quiesce(b.media);
	assert_int_equal(send(4000), -EAGAIN);
	assert_true(link_of(&a));
	unplug(&b);
	assert_int_equal(a.links, 3);
	assert_false(link_of(&a));
	unplug(&c);
	assert_int_equal(plug(&c, "x"), 0);		/* another one in its stead */
	media_go(c.media);
	assert_int_equal(send(4000), 0);
	assert_int_equal(c.frames, 1);
	unplug(&a);					/* the first end goes first */
	assert_false(link_of(&c));
	assert_int_equal(plug(&a, "x"), 0);
	assert_true(link_of(&c));
	media_quiesce(a.media);
	unplug(&a);
	assert_int_equal(c.links, 4);
}

static void loop(void **state)
{
	(void)state;
	assert_int_equal(plug(&a, MEDIA_CABLE_LOOP), 0);
	assert_int_equal(plug(&b, MEDIA_CABLE_LOOP), 0);	/* a cable of its own */
	assert_int_equal(plug(&c, MEDIA_CABLE_LOOP), 0);
	assert_true(link_of(&a));
	assert_int_equal(send(4000), -EAGAIN);
	media_go(a.media);
	media_go(b.media);
	assert_int_equal(send(4000), 0);
	assert_int_equal(a.frames, 1);
	assert_int_equal(b.frames, 0);
}

/* Who closes an end waits while a frame arrives there, and nobody comes in meanwhile. */
static jmp_buf out;
static bool waited;

static void waiting(void)
{
	waited = true;
	longjmp(out, 1);
}

static void close_it(void)
{
	b.hook = NULL;
	host_wait = waiting;
	if (!setjmp(out)) {
		media_quiesce(b.media);
		fail_msg("it did not wait");
	}
	host_wait = NULL;
	quiet = 0;
	assert_int_equal(send(4000), -EAGAIN);
	quiet = 1;
}

static void closes_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(plug(&a, "x"), 0);
	assert_int_equal(plug(&b, "x"), 0);
	media_go(b.media);
	b.hook = close_it;
	assert_int_equal(send(4000), 0);
	assert_true(waited);
	assert_int_equal(b.frames, 1);
	media_quiesce(b.media);				/* now it does not */
	b.result = -ENOSPC;
	media_go(b.media);
	assert_int_equal(send(4000), -ENOSPC);
	assert_int_equal(media_cable_stats(b.media).rx_drops, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(ends, setup, teardown),
		cmocka_unit_test_setup_teardown(loop, setup, teardown),
		cmocka_unit_test_setup_teardown(closes_meanwhile, setup, teardown),
	};

	memory_init(64 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
