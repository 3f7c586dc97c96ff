/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PS/2 mouse with a wheel and five buttons, as it is behind its cable: commands go in, answers
 * and packets come out, answers first. What its user did waits as steps, each a state of the
 * buttons and the movement made with it; a packet is made of the first when the controller has
 * room, so that movement adds up and no packet is ever cut. Drivers that know the knock find an
 * IntelliMouse (id 3: wheel) or its Explorer (id 4: five buttons). Rate and resolution are kept,
 * told and mean nothing. No locks: its controller's (vkbd.c). "Mouse" as in the IBM Personal
 * System/2 Hardware Interface Technical Reference.
 */
#pragma once

#include "include/compiler.h"
#include "lib/record.h"

#define VMOUSE_STEPS	8u
#define VMOUSE_REPLY	5u		/* an acknowledgement and a packet */
#define VMOUSE_SUM	32767		/* what a step holds at most, each way */
#define VMOUSE_BUTTONS	0x1fu		/* left, right, middle, the two at the side: bit 0 on */

struct vmouse_step {
	int16_t sum[3];		/* to the right, down, and of the wheel */
	uint8_t buttons;
};

struct vmouse {
	uint8_t reply[VMOUSE_REPLY], packet[4];	/* kept when they are sent, for Resend */
	uint8_t replies, replied;	/* how many there are, and how many of them are sent */
	uint8_t left;			/* of the packet under way */
	uint8_t pending;		/* a command that waits for its data byte, or 0 */
	uint8_t id, rate, resolution;
	uint8_t knock[2];		/* the rates before this one */
	uint8_t held, told;		/* buttons: as they are, as the guest knows them */
	uint8_t count;			/* of steps, the oldest first */
	bool reporting, remote, wrapping, scaling;
	bool packet_last;		/* it was sent last, and no answer */
	struct vmouse_step step[VMOUSE_STEPS];
};

void vmouse_reset(struct vmouse *m);	/* power-up; what it says then nobody has kept */
void vmouse_write(struct vmouse *m, uint8_t v);
bool vmouse_take(struct vmouse *m, uint8_t *v);	/* false: it has nothing to say */
/*
 * Moved by so many counts to the right and down, the wheel turned by so many notches towards the
 * user, and the buttons as they are now. -EINVAL: it has no such buttons; -EPERM: the guest does
 * not listen to it, and will hear of the buttons alone; -EAGAIN: nothing of this was taken, since
 * too many changes of buttons wait. Movement alone always has room.
 */
int vmouse_move(struct vmouse *m, int dx, int dy, int wheel, unsigned buttons) must_check;
void vmouse_save(const struct vmouse *m, struct record_writer *w);
void vmouse_load(struct vmouse *m, struct record_reader *r);	/* the reader tells of errors */
