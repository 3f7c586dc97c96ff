/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's firmware configuration: numbered items that a guest's firmware, and kernels that know it,
 * read by a port or by DMA: how many CPUs, how much memory, the kernel, files by name. What there
 * is the machine says (vmm/firmware/fwcfg.c); items only grow in number, before the guest runs.
 * Nothing can be written.
 *
 * A long DMA is done in pieces: an OUT that has not finished it runs again (host_again).
 * Locks: host_lock around the registers; items are read without it.
 * Source: QEMU, "QEMU Firmware Configuration (fw_cfg) Device".
 */
#pragma once

#include "vdev/host.h"

enum {				/* regions */
	VFWCFG_PORTS,		/* 2 ports at 0x510: selector, data */
	VFWCFG_DMA,		/* 8 at 0x514: the descriptor's address, big-endian */
};

enum {				/* keys of items that are no files */
	VFWCFG_SIGNATURE = 0x00,
	VFWCFG_ID = 0x01,
	VFWCFG_UUID = 0x02,
	VFWCFG_RAM_SIZE = 0x03,
	VFWCFG_NOGRAPHIC = 0x04,
	VFWCFG_CPUS = 0x05,
	VFWCFG_MACHINE_ID = 0x06,
	VFWCFG_KERNEL_ADDRESS = 0x07,
	VFWCFG_KERNEL_SIZE = 0x08,
	VFWCFG_INITRD_ADDRESS = 0x0a,
	VFWCFG_INITRD_SIZE = 0x0b,
	VFWCFG_NUMA = 0x0d,
	VFWCFG_BOOT_MENU = 0x0e,
	VFWCFG_CPUS_MAX = 0x0f,
	VFWCFG_KERNEL_DATA = 0x11,
	VFWCFG_INITRD_DATA = 0x12,
	VFWCFG_CMDLINE_ADDRESS = 0x13,
	VFWCFG_CMDLINE_SIZE = 0x14,
	VFWCFG_CMDLINE_DATA = 0x15,
	VFWCFG_SETUP_ADDRESS = 0x16,
	VFWCFG_SETUP_SIZE = 0x17,
	VFWCFG_SETUP_DATA = 0x18,
	VFWCFG_DIRECTORY = 0x19,
	VFWCFG_FILES = 0x20,		/* the first file's */
	VFWCFG_IRQ0_OVERRIDE = 0x8002,	/* from 8000h on: what this architecture alone has */
};

#define VFWCFG_NAME_MAX		56	/* of a file, with its NUL */
#define VFWCFG_FILE_MAX		32

struct vfwcfg_item {
	uint16_t key;		/* of a file: not looked at, it gets the next */
	const char *name;	/* of a file; NULL: it is none */
	uint32_t size;
	const void *data;	/* its bytes, or what `source` knows it by; kept */
	/*
	 * The bytes from `offset` to `offset + n`, which lie within `size`, made when they are
	 * wanted; NULL: they are at `data`. Thread context, no lock.
	 */
	void (*source)(const struct vfwcfg_item *item, uint32_t offset, void *dst, size_t n);
};

int vfwcfg_create(struct vdev **out);
/* -EEXIST, -ENOSPC, -EINVAL (the name is too long). Before the guest runs. */
int vfwcfg_add(struct vdev *d, const struct vfwcfg_item *item) must_check;
/* Keeps a copy of `data`; -ENOMEM too. */
int vfwcfg_add_copy(struct vdev *d, const struct vfwcfg_item *item) must_check;
