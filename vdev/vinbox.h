/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that came for a network card while somebody else was at its queue, or had no buffer for
 * them: copies, bounded, which the queue's owner takes in their order. All but vinbox_wrap is
 * called with the card's lock held.
 */
#pragma once

#include "vdev/host.h"

#define VINBOX_FRAMES	64u
#define VINBOX_BYTES	(256u * 1024)

/* A frame; its bytes behind the head follow. */
struct vinbox_parcel {
	struct vinbox_parcel *next;
	unsigned queue;
	struct host_frame frame;
	uint8_t body[];
};

struct vinbox {
	struct vinbox_parcel *first, **end;
	unsigned frames, bytes;
};

void vinbox_init(struct vinbox *b);
/* For that queue; NULL: no memory, or the frame cannot be read. Else the caller's: put or free. */
struct vinbox_parcel *vinbox_wrap(unsigned queue, const struct host_frame *f);
bool vinbox_put(struct vinbox *b, struct vinbox_parcel *p) must_check;	/* false: no room */
struct vinbox_parcel *vinbox_first(const struct vinbox *b, unsigned queue);	/* or NULL */
/* It is the caller's. */
void vinbox_remove(struct vinbox *b, struct vinbox_parcel *p);
void vinbox_empty(struct vinbox *b, unsigned queue);
