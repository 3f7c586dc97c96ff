/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's pc-testdev, for test kernels only, by keel.conf (debug_exit): ports and memory that read
 * back what was written, a port that makes the machine forget where memory is, and one port per
 * interrupt line that sets its level. Wiring and memory are the machine's.
 * Locks: host_lock around the lines' levels; bytes need none.
 */
#pragma once

#include "vdev/host.h"

enum {				/* regions */
	VTESTDEV_PORTS,		/* 4 ports at 0xe0 */
	VTESTDEV_FLUSH,		/* 4 at 0xe4 */
	VTESTDEV_BYTES,		/* VTESTDEV_BYTES_SIZE at 0xe8: the same bytes as VTESTDEV_PORTS */
	VTESTDEV_LINES,		/* VTESTDEV_LINE_COUNT at 0x2000 */
	VTESTDEV_MEMORY,	/* VTESTDEV_MEMORY_SIZE at VTESTDEV_MEMORY_BASE */
};

#define VTESTDEV_BYTES_SIZE	5		/* 0xec too */
#define VTESTDEV_LINE_COUNT	24
#define VTESTDEV_MEMORY_BASE	0xff000000ul
#define VTESTDEV_MEMORY_SIZE	0x10000ul

struct vtestdev_config {
	/* A line as the guest numbers them: ISA's, and from 16 on the I/O APIC's. Any context. */
	void (*line)(void *context, unsigned line, bool level);
	/* The page at `a` is to be looked up anew. vCPU thread, no lock; may wait. */
	void (*flush)(void *context, gpa_t a);
	void *context;
};

int vtestdev_create(const struct vtestdev_config *config, struct vdev **out);
