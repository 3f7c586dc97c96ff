/* SPDX-License-Identifier: BSD-2-Clause */
/* See vinbox.h. */
#include "vdev/vinbox.h"

void vinbox_init(struct vinbox *b)
{
	*b = (struct vinbox){ .end = &b->first };
}

struct vinbox_parcel *vinbox_wrap(unsigned queue, const struct host_frame *f)
{
	uint32_t n = f->size - f->head_size;
	struct vinbox_parcel *p = host_alloc(sizeof(*p) + n);

	if (!p)
		return NULL;
	p->queue = queue;
	p->frame = *f;
	p->frame.from = NULL;
	p->frame.segment = NULL;
	p->frame.count = 0;
	p->frame.skip = 0;
	p->frame.body = p->body;
	if (host_frame_read(f, f->head_size, p->body, n)) {
		host_free(p);
		return NULL;
	}
	return p;
}

bool vinbox_put(struct vinbox *b, struct vinbox_parcel *p)
{
	if (b->frames >= VINBOX_FRAMES || b->bytes + p->frame.size > VINBOX_BYTES)
		return false;
	p->next = NULL;
	*b->end = p;
	b->end = &p->next;
	b->frames++;
	b->bytes += p->frame.size;
	return true;
}

struct vinbox_parcel *vinbox_first(const struct vinbox *b, unsigned queue)
{
	struct vinbox_parcel *p = b->first;

	while (p && p->queue != queue)
		p = p->next;
	return p;
}

void vinbox_remove(struct vinbox *b, struct vinbox_parcel *p)
{
	struct vinbox_parcel **at = &b->first;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	b->end = p->next ? b->end : at;
	b->frames--;
	b->bytes -= p->frame.size;
}

void vinbox_empty(struct vinbox *b, unsigned queue)
{
	struct vinbox_parcel *p;

	while ((p = vinbox_first(b, queue))) {
		vinbox_remove(b, p);
		host_free(p);
	}
}
