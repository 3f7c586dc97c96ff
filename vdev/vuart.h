/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A serial port. The line has no speed: a sent byte is gone at once (the host drops what it
 * cannot take, the guest never waits), so the transmitter is always empty; a received byte below
 * the FIFO's trigger level raises the time-out indication at once. Bytes are fetched from the host
 * only when the FIFO has room, so none is overrun.
 */
#pragma once

#include "vdev/host.h"

enum { VUART_PORTS };	/* region: 8 ports */
enum { VUART_IRQ };	/* lines: IRQ 4 for the first, through MCR's OUT2 */
enum { VUART_CONSOLE };	/* media */

int vuart_create(struct vdev **out);
