/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's device for those who learn to write drivers, edu (1234:11e8): an identification, a
 * liveness check, factorials, interrupts that one raises oneself, DMA between RAM and a buffer of
 * 4 KiB. As QEMU's documentation has it ("EDU device"), but that it is a function of PCI Express,
 * and its DMA is quick.
 */
#pragma once

#include "vdev/vpci_function.h"

enum { VEDU_REGISTERS };		/* region: 1 MiB, BAR 0 */

#define VEDU_SIZE	(1ul << 20)
#define VEDU_BUFFER	0x40000		/* where DMA finds the buffer; no register is there */
#define VEDU_BUFFER_SIZE 4096
#define VEDU_DMA_MASK	0xffffffful	/* of addresses in RAM: 28 bits */

int vedu_create(struct vdev **out);
struct vpci_function *vedu_function(struct vdev *d);
