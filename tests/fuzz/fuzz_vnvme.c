/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vnvme*.c vdev/vpci*.c lib/record.c lib/format.c tests/host/vdev_host.c */
/*
 * An NVMe controller: besides what is done with every device, one that is enabled with queues,
 * commands that are nearly right, doorbells in memory, media that fail or are slow, bytes anywhere.
 */
#include <string.h>

#include "tests/host/vdev_host.h"
#include "vdev/vnvme.h"

#define SAVED_MAX	16384

static const unsigned long fuzz_regions[] = { VNVME_SIZE, 0 };

static struct vdev_ops nvme_ops;
static int (*nvme_load)(struct vdev *d, struct record_reader *r, uint32_t version);
static void (*nvme_save)(struct vdev *d, struct record_writer *w);

/* Nothing is under way when a VM is saved or loaded. */
static int load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	vdev_host_finish(d->host);
	return nvme_load(d, r, version);
}

static void save(struct vdev *d, struct record_writer *w)
{
	vdev_host_finish(d->host);
	nvme_save(d, w);
}

static int fuzz_device_create(struct vdev **out)
{
	struct vnvme_config c = { .queues = 3, .uuid = { 1, 2, 3 } };
	int err = vnvme_create(&c, out);

	if (err)
		return err;
	nvme_ops = *(*out)->ops;
	nvme_load = nvme_ops.load;
	nvme_save = nvme_ops.save;
	nvme_ops.load = load;
	nvme_ops.save = save;
	(*out)->ops = &nvme_ops;
	return 0;
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return vnvme_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

#define QUEUE(i)	(0x1000u * (i))	/* submission queues; completions from A000h on */
#define ENTRIES		8u
#define SHADOW		0x6000u
#define LIST		0x8000u

static void put(struct vdev *d, unsigned at, uint32_t v)
{
	vdev_host_write(d, 0, at, 4, v);
}

static unsigned tails[4];

static void command(struct vdev *d, unsigned queue, const uint32_t words[16])
{
	uint8_t *m = vdev_host_of(d)->memory;

	memcpy(m + QUEUE(queue + 1) + 64 * tails[queue], words, 64);
	tails[queue] = (tails[queue] + 1) % ENTRIES;
	memcpy(m + SHADOW + 8 * queue, &tails[queue], 4);
	put(d, VNVME_DOORBELLS + 8 * queue, tails[queue]);
}

/* So many answers of each queue are seen. */
static void see(struct vdev *d, unsigned head)
{
	for (unsigned i = 0; i < 4; i++)
		put(d, VNVME_DOORBELLS + 8 * i + 4, head % ENTRIES);
}

static void make_queue(struct vdev *d, unsigned i, unsigned cq)
{
	uint32_t create_cq[16] = { 5, [6] = 0xa000 + QUEUE(i), [10] = i | (ENTRIES - 1) << 16,
		[11] = 3 | i << 16 };
	uint32_t create_sq[16] = { 1, [6] = QUEUE(i + 1), [10] = i | (ENTRIES - 1) << 16,
		[11] = 1 | cq << 16 };

	command(d, 0, create_cq);
	command(d, 0, create_sq);
	tails[i] = 0;
}

static void begin(struct vdev *d, bool messages)
{
	d->ops->reset(d);
	fuzz_config(d, 4, 2, 7);
	if (messages)
		fuzz_config(d, 0x42, 2, 0x8000);
	put(d, 0x24, (ENTRIES - 1) * 0x10001u);
	put(d, 0x28, QUEUE(1));
	put(d, 0x30, 0xa000);
	put(d, 0x14, 0x460001);
	tails[0] = 0;
	make_queue(d, 1, 1);
	make_queue(d, 2, messages ? 2 : 1);
	see(d, 4);
	vdev_host_work(d->host);
}

static void any_command(struct vdev *d, struct fuzz_input *in)
{
	static const uint8_t opcodes[] = { 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 0x7c, 0x80 };
	unsigned what = (unsigned)fuzz_take(in, 1), flags = (unsigned)fuzz_take(in, 1);
	uint32_t w[16] = { opcodes[what % sizeof(opcodes)], 1 };

	if (flags & 1)
		w[0] |= (uint32_t)fuzz_take(in, 3) << 8;
	if (flags & 2)
		w[1] = (uint32_t)fuzz_take(in, 4);
	w[6] = flags & 4 ? (uint32_t)fuzz_take(in, 3) : LIST;
	w[8] = flags & 8 ? (uint32_t)fuzz_take(in, 3) : LIST + 0x1000;
	w[10] = (uint32_t)fuzz_take(in, flags & 0x10 ? 4 : 1);
	w[11] = (uint32_t)fuzz_take(in, flags & 0x20 ? 4 : 1);
	w[12] = (uint32_t)fuzz_take(in, flags & 0x40 ? 4 : 1);
	command(d, what >> 6 & 3, w);
}

static void surroundings(struct vdev *d, struct fuzz_input *in)
{
	static const int errors[] = { 0, 0, -EIO, -ENOMEM, -EPERM, -EINTR, -EAGAIN, -EFAULT };
	struct vdev_host *h = vdev_host_of(d);
	unsigned what = (unsigned)fuzz_take(in, 1);

	h->disk_error = errors[what & 7];
	h->disk_late = what & 8;
	h->mem_interrupt = what >> 4 & 3;
	h->disk_read_only = what & 0x40;
	if (what & 0x80)
		vdev_host_finish(h);
}

static void call(struct vdev *d, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);

	switch (what % 8) {
	case 0:
		begin(d, what & 0x80);
		break;
	case 1 ... 3:
		any_command(d, in);
		break;
	case 4:
		surroundings(d, in);
		break;
	case 5:
		fuzz_poke(d, in);
		break;
	case 6:
		fuzz_config(d, (unsigned)fuzz_take(in, 2), 1u << (what >> 3 & 3), fuzz_take(in, 4));
		break;
	case 7:
		if (what & 0x40)
			see(d, (unsigned)fuzz_take(in, 1));
		fuzz_work(d, what >> 3 & 3);
		break;
	}
}

#undef FUZZ_CALL
#define FUZZ_CALL(d, in) call(d, in)

#include "tests/fuzz/vdev_fuzz.h"
