/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/ve1000*.c vdev/vframe.c vdev/vinbox.c vdev/vpci*.c lib/record.c
 * tests/host/vdev_host.c */
/*
 * One of Intel's network cards, of either chip, on a cable that leads back to it: besides what is
 * done with every device, rings set up as a driver does, descriptors that are nearly right, frames
 * from outside with any wishes, turns that somebody else has, memory that is short, bytes anywhere.
 */
#include <string.h>

#include "vdev/ve1000_core.h"

static const unsigned long fuzz_regions[] = { VE1000_SIZE, VE1000_PORTS_SIZE / 2,
					      VE1000_MESSAGES_SIZE, 0 };

static enum ve1000_model fuzz_model;

static int fuzz_device_create(struct vdev **out)
{
	return ve1000_create(fuzz_model, (const uint8_t[6]){ 0x52, 0x54, 0, 0, 0, 1 }, out);
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return ve1000_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

#define RX_RING		0x1000u
#define TX_RING		0x2000u
#define FRAMES		0xc000u
#define SLOTS		16u

static void put(struct vdev *d, unsigned at, uint32_t v)
{
	vdev_host_write(d, VE1000_REGISTERS, at, 4, v);
}

static void ring(struct vdev *d, unsigned reg, uint32_t at, uint32_t tail)
{
	put(d, reg, at);
	put(d, reg + 4, 0);
	put(d, reg + 8, 16 * SLOTS);
	put(d, reg + 0x10, 0);
	put(d, reg + 0x18, tail);
}

static void bring_up(struct vdev *d, struct fuzz_input *in)
{
	uint8_t *m = vdev_host_of(d)->memory;
	unsigned what = (unsigned)fuzz_take(in, 1);

	vdev_host_of(d)->peer = what & 1 ? vdev_host_of(d) : NULL;
	d->ops->media_link(d, 0);
	fuzz_config(d, 4, 2, 7);
	for (unsigned i = 0; i < 4 * SLOTS; i++) {
		uint64_t at = 0x4000 + (what & 2 ? 0x400 : 0x100) * i;

		memcpy(m + RX_RING + 16 * i, &at, 8);
	}
	for (unsigned q = 0; q < 2; q++) {
		ring(d, 0x2800 + 0x100 * q, RX_RING + 0x400 * q, SLOTS - 1);
		ring(d, 0x3800 + 0x100 * q, TX_RING + 0x400 * q, 0);
	}
	put(d, 0x5008, what & 4 ? 0x8000 : 0);			/* extended */
	put(d, 0x5000, what & 8 ? 0x2300 : 0x300);		/* RXCSUM */
	put(d, 0x5818, 0x1f0001);
	put(d, 0x5c00, 0x80008000);
	put(d, 0x2170, (uint32_t)fuzz_take(in, 4));
	put(d, 0x00d0, ~0u);
	put(d, 0x00e4, (uint32_t)fuzz_take(in, 4));
	put(d, 0x0000, what & 16 ? 0x40000000 : 0);		/* tags */
	put(d, 0x0100, 0x803e | (uint32_t)fuzz_take(in, 4));
	put(d, 0x0400, 2);
}

/* The beginnings of a frame that may be right, for our own address. */
static void put_frame(uint8_t *p, struct fuzz_input *in)
{
	static const uint8_t start[] = {
		0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2, 0x08, 0, 0x45, 0, 0x05, 0xdc, 0, 0,
		0, 0, 0, 6, 0, 0,
	};
	unsigned what = (unsigned)fuzz_take(in, 1);

	memcpy(p, start, sizeof(start));
	p[46] = 0x50;
	if (what & 1) {
		p[12] = 0x86;
		p[13] = 0xdd;
		p[14] = 0x60;
		p[20] = 6;
		p[66] = 0x50;
	}
	for (unsigned i = 0; i < what >> 6; i++)
		p[fuzz_take(in, 1) % 64] = (uint8_t)fuzz_take(in, 1);
}

static void descriptors(struct vdev *d, struct fuzz_input *in)
{
	struct vdev_host *h = vdev_host_of(d);
	unsigned what = (unsigned)fuzz_take(in, 1), queue = what >> 7, n = what % 8;
	uint32_t at = (uint32_t)vdev_host_read(d, 0, 0x3818 + 0x100 * queue, 4);

	put_frame(h->memory + FRAMES, in);
	for (unsigned i = 0; i < n; i++) {
		uint64_t v[2] = { FRAMES + (i ? fuzz_take(in, 2) : 0), 0 };
		unsigned kind = (unsigned)fuzz_take(in, 1);

		if (kind & 1) {				/* a context */
			v[0] = 14 | 24 << 8 | 33 << 16 | 34ul << 32 | 50ul << 40;
			v[1] = 0x20000000 | (uint64_t)(kind & 0xf) << 24;
			v[1] |= fuzz_take(in, 2) << 48 | 54ul << 40;
		} else {
			v[1] = 0x28100000 | fuzz_take(in, kind & 2 ? 1 : 2);
			v[1] |= (uint64_t)(kind & 0xc4) << 24 | (kind & 8 ? 0x1000000 : 0);
			v[1] |= (uint64_t)(kind >> 4 & 3) << 40;
		}
		if (kind & 0x40 && kind & 0x10)
			v[kind & 1] ^= fuzz_take(in, 4) << (kind & 0x20);
		memcpy(h->memory + TX_RING + 0x400 * queue + 16 * ((at + i) % SLOTS), v, 16);
	}
	put(d, 0x3818 + 0x100 * queue, (at + n) % SLOTS);
}

/* From outside, with wishes that are right: the cable has seen to that. */
static void arrive(struct vdev *d, struct fuzz_input *in)
{
	static uint8_t body[9000];
	struct host_frame f = { .body = body };

	put_frame(f.head, in);
	f.size = 14 + (uint32_t)fuzz_take(in, 2) % 8000;
	f.head_size = MIN(f.size, HOST_FRAME_HEAD);
	f.csum_start = 34;
	f.csum_offset = (uint16_t)(fuzz_take(in, 1) & 1 ? 16 : 6);
	f.flags = f.size > 60 && fuzz_take(in, 1) & 1 ? VFRAME_NEEDS_CSUM : 0;
	if (f.flags && !vframe_large(&f, f.head[12] == 8 ? VFRAME_GSO_TCP4 : VFRAME_GSO_TCP6,
				     (uint16_t)(fuzz_take(in, 2) | 32)))
		f.gso_type = 0;
	d->ops->media_frame(d, 0, &f);
}

/* Somebody serves, or does no more. */
static void hold(struct vdev *d, unsigned what)
{
	struct ve1000 *e = ve1000_of(d);

	e->rx_turn = what & 8 ? TURN_OWNED : 0;
	e->tx_turn = what & 16 ? TURN_OWNED : 0;
}

static void call(struct vdev *d, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);

	switch (what % 8) {
	case 0:
		bring_up(d, in);
		break;
	case 1 ... 2:
		descriptors(d, in);
		break;
	case 3:
		arrive(d, in);
		break;
	case 4:
		hold(d, what);			/* only until somebody waits for it */
		descriptors(d, in);
		arrive(d, in);
		hold(d, 0);
		break;
	case 5:
		fuzz_poke(d, in);
		break;
	case 6:
		vdev_host_of(d)->mem_interrupt = what >> 3 & 7;
		put(d, 0x2818, what >> 3);
		break;
	case 7:
		if (what & 8)
			fuzz_work(d, what >> 4 & 3);
		else
			fuzz_config(d, (unsigned)fuzz_take(in, 2), 1u << (what >> 4 & 3),
				    fuzz_take(in, 4));
		break;
	}
}

#undef FUZZ_CALL
#define FUZZ_CALL(d, in) call(d, in)

/* The first byte says which chip it is. */
#define LLVMFuzzerTestOneInput fuzz_one
#include "tests/fuzz/vdev_fuzz.h"
#undef LLVMFuzzerTestOneInput

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_model = size && *data & 1 ? VE1000_82574 : VE1000_82540;
	return fuzz_one(data, size);
}
