/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An 8042 keyboard controller with a PS/2 keyboard (vps2.c) and, where it is made with one, a mouse
 * (vmouse.c): it passes its self test, keeps its command byte, translates scan codes, answers a
 * byte sent to an absent mouse with a time-out, and pulses the reset line. With it port 0x92 (fast
 * A20 and reset). A20 cannot be switched off.
 */
#pragma once

#include "vdev/host.h"

enum { VKBD_DATA, VKBD_COMMAND, VKBD_PORT92 };	/* regions of one port each: 0x60, 0x64, 0x92 */
enum { VKBD_IRQ, VKBD_AUX_IRQ };		/* lines: IRQ 1, IRQ 12 */

int vkbd_create(bool mouse, struct vdev **out);
/* A key, as vps2_key() has it. Thread context. */
int vkbd_key(struct vdev *d, uint8_t key, bool pressed) must_check;
/* As vmouse_move() has it; -ENOSYS: there is no mouse. Thread context. */
int vkbd_mouse(struct vdev *d, int dx, int dy, int wheel, unsigned buttons) must_check;
