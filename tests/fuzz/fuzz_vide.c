/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vide*.c vdev/vata*.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * An IDE controller with a disk or a disc: besides what is done with every device, commands and
 * packets that are nearly right, blocks at the data port, PRD tables, media that fail, trays.
 */
#include <string.h>

#include "vdev/vide.h"

#define SAVED_MAX	49152

static const unsigned long fuzz_regions[] = {
	VIDE_COMMAND_SIZE, 1, VIDE_COMMAND_SIZE, 1, VIDE_MASTER_SIZE, 0,
};

static int fuzz_device_create(struct vdev **out)
{
	return vide_create(out);
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return vide_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

#define TABLE	0x1000u

static void put(struct vdev *d, unsigned reg, uint64_t v)
{
	vdev_host_write(d, VIDE_COMMAND, reg, 1, v);
}

static void begin(struct vdev *d, bool disc)
{
	vdev_host_of(d)->disk_optical = disc;
	d->ops->reset(d);
	fuzz_config(d, 4, 2, 7);
	vdev_host_write(d, VIDE_MASTER, 4, 4, TABLE);
}

static void command(struct vdev *d, struct fuzz_input *in)
{
	put(d, 6, 0xe0);
	put(d, 1, fuzz_take(in, 1));
	for (unsigned i = 2; i < 6; i++)
		put(d, i, fuzz_take(in, 1));
	put(d, 7, fuzz_take(in, 1));
}

static void packet(struct vdev *d, struct fuzz_input *in)
{
	put(d, 6, 0xa0);
	put(d, 1, fuzz_take(in, 1));
	put(d, 4, fuzz_take(in, 1));
	put(d, 5, fuzz_take(in, 1));
	put(d, 7, 0xa0);
	for (unsigned i = 0; i < 12; i += 4)
		vdev_host_write(d, VIDE_COMMAND, 0, 4, fuzz_take(in, 4));
}

static void block(struct vdev *d, unsigned words, bool write)
{
	uint8_t many[64];

	if (words & 1 && write)
		d->ops->write_string(d, VIDE_COMMAND, 0, 4, memset(many, 1, 64), 16);
	else if (words & 1)
		d->ops->read_string(d, VIDE_COMMAND, 0, 2, many, 32);
	for (unsigned i = 0; i < 16 * words; i++)
		if (write)
			vdev_host_write(d, VIDE_COMMAND, 0, 4, i);
		else
			vdev_host_read(d, VIDE_COMMAND, 0, 2);
}

static void start(struct vdev *d, struct fuzz_input *in)
{
	unsigned n = (unsigned)fuzz_take(in, 1) % 8;

	for (unsigned i = 0; i < n; i++) {
		uint32_t e[2] = { (uint32_t)fuzz_take(in, 2), (uint32_t)fuzz_take(in, 2) };

		e[1] |= i + 1 == n ? 1u << 31 : 0;
		memcpy(vdev_host_of(d)->memory + TABLE + 8 * i, e, sizeof(e));
	}
	vdev_host_write(d, VIDE_MASTER, 0, 1, 8);
	vdev_host_write(d, VIDE_MASTER, 0, 1, 9);
}

static void surroundings(struct vdev *d, unsigned what)
{
	static const int errors[] = { 0, 0, -EIO, -ENOMEM, -EPERM, -EINTR, -EAGAIN, -EFAULT };
	struct vdev_host *h = vdev_host_of(d);
	enum host_tray how = what >> 3 & 3;

	h->disk_error = errors[what & 7];
	if (!(what & 0x20) || !h->disk_optical || how > HOST_TRAY_LOAD)
		return;
	h->disk_size = what & 0x40 ? 0 : VDEV_HOST_DISK;
	if (how == HOST_TRAY_LOAD)
		h->disk_open = what & 0x80;
	if (!d->ops->media_tray(d, 0, how) && how != HOST_TRAY_LOAD)
		h->disk_open = true;
}

static void call(struct vdev *d, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);

	switch (what % 8) {
	case 0:
		begin(d, what & 0x80);
		break;
	case 1:
		command(d, in);
		break;
	case 2:
		packet(d, in);
		break;
	case 3:
	case 4:
		block(d, what >> 3, what & 1);
		break;
	case 5:
		start(d, in);
		break;
	case 6:
		surroundings(d, (unsigned)fuzz_take(in, 1));
		break;
	case 7:
		fuzz_work(d, what >> 3 & 3);
		break;
	}
}

#undef FUZZ_CALL
#define FUZZ_CALL(d, in) call(d, in)

#include "tests/fuzz/vdev_fuzz.h"
