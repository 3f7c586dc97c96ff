/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For targets of one PCI device: it sits on a bus of its own, which goes with it, and besides its
 * registers its configuration space is accessed and its work done. A target defines
 * fuzz_device_create and fuzz_device_function before this, and includes vdev_fuzz.h behind it.
 */
#pragma once

#include <stdlib.h>

#include "tests/host/vdev_host.h"
#include "vdev/vpci.h"

#define FUZZ_DEVFN	(3u << 3)

struct fuzz_input;
static uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes);	/* vdev_fuzz.h */

/* A byte of guest memory, as another vCPU writes it. */
static inline void fuzz_poke(struct vdev *d, struct fuzz_input *in)
{
	uint64_t at = fuzz_take(in, 2);

	vdev_host_of(d)->memory[at] = (uint8_t)fuzz_take(in, 1);
}

static struct vdev_ops fuzz_ops;
static void (*fuzz_inner_destroy)(struct vdev *d);

static void fuzz_destroy(struct vdev *d)
{
	struct vdev *root = fuzz_device_function(d)->root;

	fuzz_inner_destroy(d);
	vdev_host_detach(root->host);
}

static int fuzz_create(struct vdev **out)
{
	struct vdev *root;

	if (vpci_create(NULL, &root) || fuzz_device_create(out))
		abort();
	vdev_host_attach(root);
	fuzz_ops = *(*out)->ops;
	fuzz_inner_destroy = fuzz_ops.destroy;
	fuzz_ops.destroy = fuzz_destroy;
	(*out)->ops = &fuzz_ops;
	return vpci_attach(root, 0, FUZZ_DEVFN >> 3, 0, fuzz_device_function(*out));
}

static void fuzz_config(struct vdev *d, unsigned at, unsigned size, uint64_t v)
{
	struct vdev *root = fuzz_device_function(d)->root;

	at &= ~(size - 1) & 0x1ff;
	vdev_host_read(root, VPCI_ECAM, FUZZ_DEVFN << 12 | at, size);
	vdev_host_write(root, VPCI_ECAM, FUZZ_DEVFN << 12 | at, size, v);
}

static void fuzz_work(struct vdev *d, unsigned interrupts)
{
	if (!d->ops->work)
		return;
	vdev_host_of(d)->mem_interrupt = interrupts;
	d->ops->work(d);
}

#define FUZZ_CALL(d, in)                                                                           \
	do {                                                                                       \
		unsigned what_ = (unsigned)fuzz_take(in, 1);                                       \
		if (what_ & 0x80)                                                                  \
			fuzz_work(d, what_ & 1);                                                   \
		else                                                                               \
			fuzz_config(d, (unsigned)fuzz_take(in, 2), 1u << (what_ & 3),              \
				fuzz_take(in, 4));                                                 \
	} while (0)
