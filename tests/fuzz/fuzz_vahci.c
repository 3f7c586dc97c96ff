/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vahci*.c vdev/vata*.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * A SATA controller with a disk or a disc: besides what is done with every device, a port that is
 * started, command tables that are nearly right, media that fail or are slow, bytes anywhere.
 */
#include <string.h>

#include "vdev/vahci.h"

#define SAVED_MAX	16384

static const unsigned long fuzz_regions[] = { VAHCI_SIZE, VAHCI_INDEX_SIZE, 0 };

static int fuzz_device_create(struct vdev **out)
{
	return vahci_create(out);
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return vahci_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

#define LIST	0x1000u
#define FIS	0x2000u
#define TABLE	0x3000u

static void put(struct vdev *d, unsigned at, uint32_t v)
{
	vdev_host_write(d, VAHCI_REGISTERS, at, 4, v);
}

static void begin(struct vdev *d, bool disc)
{
	vdev_host_of(d)->disk_optical = disc;
	d->ops->reset(d);
	fuzz_config(d, 4, 2, 7);
	put(d, 0x100, LIST);
	put(d, 0x108, FIS);
	put(d, 0x114, ~0u);
	put(d, 4, 2);
	put(d, 0x118, 0x11);
}

/* A command of so many bytes of data, in slot 0 or at a tag; the rest is the fuzzer's. */
static void command(struct vdev *d, struct fuzz_input *in)
{
	uint8_t *m = vdev_host_of(d)->memory, *t = m + TABLE;
	unsigned slot = (unsigned)fuzz_take(in, 1) % 32, entries = (unsigned)fuzz_take(in, 1) % 8;
	uint32_t header[4] = { 5 | (slot & 1) << 5 | entries << 16, 0, TABLE, 0 };

	memcpy(m + LIST + 32 * slot, header, sizeof(header));
	memset(t, 0, 0x80);
	t[0] = 0x27;
	t[1] = slot & 2 ? 0x80 : (uint8_t)fuzz_take(in, 1);
	t[2] = slot & 1 ? 0xa0 : (uint8_t)fuzz_take(in, 1);
	t[3] = (uint8_t)fuzz_take(in, 1);
	t[4] = (uint8_t)fuzz_take(in, 1);
	t[7] = 0x40;
	t[8] = (uint8_t)fuzz_take(in, 1);
	t[12] = (uint8_t)fuzz_take(in, 1);
	for (unsigned i = 0; i < 12; i++)
		t[0x40 + i] = slot & 1 ? (uint8_t)fuzz_take(in, 1) : 0;
	for (unsigned i = 0; i < entries; i++) {
		uint32_t e[4] = { (uint32_t)fuzz_take(in, 2), 0, 0, (uint32_t)fuzz_take(in, 2) };

		memcpy(t + 0x80 + 16 * i, e, sizeof(e));
	}
	put(d, 0x134, slot & 4 ? 1u << slot : 0);
	put(d, 0x138, 1u << slot);
}

static void surroundings(struct vdev *d, struct fuzz_input *in)
{
	static const int errors[] = { 0, 0, -EIO, -ENOMEM, -EPERM, -EINTR, -EAGAIN, -EFAULT };
	struct vdev_host *h = vdev_host_of(d);
	unsigned what = (unsigned)fuzz_take(in, 1);

	h->disk_error = errors[what & 7];
	h->disk_late = what & 8;
	h->mem_interrupt = what >> 4 & 3;
	if (what & 0x80)
		vdev_host_finish(h);
}

/* Another size of disc, or none, or the guest's drive is asked to open. */
static void tray(struct vdev *d, unsigned what)
{
	struct vdev_host *h = vdev_host_of(d);
	enum host_tray how = what % 3;

	h->disk_size = what & 4 ? 0 : VDEV_HOST_DISK >> (what & 1);
	h->disk_open = how == HOST_TRAY_LOAD ? what & 1 : h->disk_open;
	if (h->disk_optical && !d->ops->media_tray(d, 0, how))
		h->disk_open |= how != HOST_TRAY_LOAD;
}

static void call(struct vdev *d, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);

	switch (what % 8) {
	case 0:
		begin(d, what & 0x80);
		break;
	case 1 ... 3:
		command(d, in);
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
		if (what & 0x80)
			tray(d, what >> 3 & 7);
		else
			fuzz_work(d, what >> 3 & 3);
		break;
	}
}

#undef FUZZ_CALL
#define FUZZ_CALL(d, in) call(d, in)

#include "tests/fuzz/vdev_fuzz.h"
