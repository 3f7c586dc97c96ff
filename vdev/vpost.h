/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports that a PC has and that must be quiet: POST code and DMA page registers (bytes that are
 * kept), the delay port 0xed.
 */
#pragma once

#include "vdev/host.h"

enum { VPOST_PAGES, VPOST_DELAY };	/* regions: 16 ports at 0x80; 1 at 0xed */

int vpost_create(struct vdev **out);
