/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flash chip that keeps a firmware's variables: Intel's command set, one byte wide, blocks of
 * 4 KiB. In array mode the guest reads its memory without an exit, and writes are commands; in
 * every other mode reads are the device's, too. Programming clears bits, erasing a block sets them.
 * There are no buffered writes; locks of blocks are taken and have no effect.
 *
 * Locks: the mode is under the device's lock; memory is shown, hidden and written without it.
 */
#pragma once

#include "vdev/host.h"

enum { VFLASH_CHIP };		/* region: all of it */

#define VFLASH_BLOCK	4096u

struct vflash_config {
	uint64_t base, size;	/* size: a multiple of VFLASH_BLOCK */
};

int vflash_create(const struct vflash_config *config, struct vdev **out);
