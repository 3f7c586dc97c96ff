/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An 8042 keyboard controller with nothing plugged in: it passes its self test, keeps its command
 * byte, answers a byte sent to the absent keyboard with a time-out, and pulses the reset line. With
 * it port 0x92 (fast A20 and reset). A20 cannot be switched off.
 */
#pragma once

#include "vdev/host.h"

enum { VKBD_DATA, VKBD_COMMAND, VKBD_PORT92 };	/* regions of one port each: 0x60, 0x64, 0x92 */
enum { VKBD_IRQ, VKBD_AUX_IRQ };		/* lines: IRQ 1, IRQ 12 */

int vkbd_create(struct vdev **out);
