/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives one virtual device by the fuzzer's bytes: reads and writes within its regions, time with
 * its timers, console input, loads of arbitrary bytes, and the round trip: what a device saves in
 * whatever state, a fresh one must accept, save alike and hold the same lines for. Locks, deadlines
 * that fire for ever and memory faults are vdev_host's and the sanitizers' to find.
 * A target defines `fuzz_create` and `fuzz_regions` (their sizes, ending with 0) and may define
 * `fuzz_call` before this.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "include/bits.h"
#include "tests/host/vdev_host.h"

#ifndef SAVED_MAX
#define SAVED_MAX	16384
#endif

struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

static uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && in->size; i++, in->size--)
		v |= (uint64_t)*in->data++ << 8 * i;
	return v;
}

#ifndef FUZZ_CALL
#define FUZZ_CALL(d, in) (void)(d)
#endif

static struct vdev *fuzz_new(uint64_t now)
{
	struct vdev *d;
	struct vdev_host *h;

	if (fuzz_create(&d))
		abort();
	h = vdev_host_attach(d);
	h->now = now;
	return d;
}

/*
 * A place that the bus would let through: within a region and of a size that ports and memory have.
 */
static void fuzz_access(struct vdev *d, struct fuzz_input *in, bool write)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	unsigned count = 0, region, size;
	uint64_t offset;

	while (fuzz_regions[count])
		count++;
	region = (unsigned)fuzz_take(in, 1) % count;
	size = sizes[fuzz_take(in, 1) % 4];
	size = (unsigned)MIN((uint64_t)size, fuzz_regions[region] & -fuzz_regions[region]);
	offset = fuzz_take(in,
		fuzz_regions[region] > 256 ? 4 : 1) % (fuzz_regions[region] - size + 1);
	if (write)
		vdev_host_write(d, region, offset, size, fuzz_take(in, size));
	else
		vdev_host_read(d, region, offset, size);
}

static void fuzz_round_trip(struct vdev *d)
{
	static uint8_t one[SAVED_MAX], two[SAVED_MAX];
	size_t n = vdev_host_save(d, one, sizeof(one));
	struct vdev *fresh = fuzz_new(vdev_host_of(d)->now);

	if (vdev_host_load(fresh, one, n, d->ops->version))
		abort();
	if (vdev_host_save(fresh, two, sizeof(two)) != n || memcmp(one, two, n))
		abort();
	if (memcmp(vdev_host_of(d)->line, vdev_host_of(fresh)->line, sizeof(vdev_host_of(d)->line)))
		abort();
	vdev_host_detach(fresh->host);
}

/* Half the time saved bytes with a few changes, else any bytes. */
static void fuzz_load(struct vdev *d, struct fuzz_input *in)
{
	static uint8_t saved[SAVED_MAX];
	size_t n = vdev_host_save(d, saved, sizeof(saved));
	unsigned changes = fuzz_take(in, 1) & 15;

	if (changes & 8) {
		n = MIN(n, in->size);
		memcpy(saved, in->data, n);
		fuzz_take(in, 0);
	}
	for (; changes & 7 && n; changes--)
		saved[fuzz_take(in, 2) % n] = (uint8_t)fuzz_take(in, 1);
	if (!vdev_host_load(d, saved, n, d->ops->version))
		fuzz_round_trip(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct vdev *d = fuzz_new(1000000000);

	while (in.size) {
		switch (fuzz_take(&in, 1) % 12) {
		case 0 ... 3:
			fuzz_access(d, &in, true);
			break;
		case 4 ... 6:
			fuzz_access(d, &in, false);
			break;
		case 7:
			vdev_host_advance(d->host, fuzz_take(&in, 4) % 20000000);
			break;
		case 8:
			vdev_host_of(d)->now = MIN(vdev_host_of(d)->now + fuzz_take(&in, 7),
				BIT(60));
			break;
		case 9:
			if (d->ops->media_input)
				vdev_host_type(d->host, "ab");
			FUZZ_CALL(d, &in);
			break;
		case 10:
			fuzz_load(d, &in);
			break;
		case 11:
			if (fuzz_take(&in, 1) & 1)
				d->ops->reset(d);
			break;
		}
	}
	fuzz_round_trip(d);
	vdev_host_detach(d->host);
	return 0;
}
