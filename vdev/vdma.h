/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two 8237 DMA controllers of a PC, for who tests or clears them: addresses, counts and masks
 * read back, and nothing asks for a transfer. The page registers are vpost's.
 */
#pragma once

#include "vdev/host.h"

enum { VDMA_BYTES, VDMA_WORDS };	/* regions: 16 ports at 0; 32 at 0xc0, two a register */

int vdma_create(struct vdev **out);
