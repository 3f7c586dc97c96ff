/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PS/2 keyboard, as it is behind its cable: commands go in, bytes of scan-code set 1, 2 or 3 come
 * out, answers before keys. A key is named by its code of set 1, with bit 7 where E0h precedes it.
 * A key that does not fit whole into the queue is refused, never cut. Keys do not repeat by
 * themselves: the typematic rate is taken and means nothing. No locks: its controller's (vkbd.c).
 * "Keyboard (101- and 102-Key)" as in the IBM Personal System/2 Hardware Interface Technical
 * Reference.
 */
#pragma once

#include "include/compiler.h"
#include "lib/record.h"

#define VPS2_QUEUE	16u	/* bytes of keys, as many as a keyboard of IBM's has */
#define VPS2_REPLY	4u

struct vps2 {
	uint8_t reply[VPS2_REPLY], queue[VPS2_QUEUE];
	uint8_t replies, count;		/* how many are there, the oldest first */
	uint8_t last;			/* what was sent last, for Resend */
	uint8_t pending;		/* a command that waits for its data byte, or 0 */
	uint8_t set;			/* of scan codes: 1 to 3 */
	uint8_t held;			/* modifiers that change what Pause and Print send */
	uint8_t leds;
	bool scanning;
	uint8_t breaks[32];		/* by code of set 3: it tells of its release */
};

void vps2_reset(struct vps2 *p);	/* power-up: its self test's AAh is the first byte */
void vps2_write(struct vps2 *p, uint8_t v);
bool vps2_take(struct vps2 *p, uint8_t *v);	/* false: it has nothing to say */
/*
 * -EINVAL: there is no such key; -EPERM: the guest has switched the keyboard off; -EAGAIN: no room
 * in the queue until the guest reads.
 */
int vps2_key(struct vps2 *p, uint8_t key, bool pressed) must_check;
/* A byte of set 2 as set 1, as the controller translates; `released` is its state between bytes. */
bool vps2_translate(bool *released, uint8_t *v);
void vps2_save(const struct vps2 *p, struct record_writer *w);
void vps2_load(struct vps2 *p, struct record_reader *r);	/* the reader tells of errors */
