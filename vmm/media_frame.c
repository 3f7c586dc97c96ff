/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames on their way from guest to guest (vdev/host.h): one copy, from the sender's pinned page
 * into the receiver's memory, by whichever thread sends. What cannot be had of the sender is told
 * apart from what cannot be written, so that neither answers for the other. No locks.
 */
#include "include/bits.h"
#include "lib/string.h"
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

static struct media *cable_of(struct vdev *d, unsigned medium)
{
	struct vdev_host *h = d->host;
	struct media *m = medium < HOST_MEDIA_MAX ? h->media[medium] : NULL;

	return m && m->ops->send ? m : NULL;
}

static struct gmem *gmem_of(struct vdev *d)
{
	return &((struct vdev_host *)d->host)->vm->gmem;
}

static int check(struct gmem *g, const struct host_frame *f)
{
	uint64_t sum = f->head_size;

	if (f->count > HOST_SEGMENT_MAX || f->size > HOST_FRAME_MAX || !f->head_size ||
	    f->head_size > HOST_FRAME_HEAD)
		return -EINVAL;
	for (unsigned i = 0; i < f->count; i++) {
		const struct host_segment *s = &f->segment[i];

		if (__builtin_add_overflow(sum, s->size, &sum))
			return -EINVAL;
		if (!gmem_is_plain(g, GPA(s->at), s->size))
			return -EFAULT;
	}
	return sum == f->size ? 0 : -EINVAL;
}

int host_frame_send(struct vdev *d, unsigned medium, struct host_frame *f)
{
	struct media *m = cable_of(d, medium);
	int err;

	if (!m)
		return -ENODEV;
	f->from = d;
	f->body = NULL;
	f->skip = 0;
	err = check(gmem_of(d), f);
	return err ?: m->ops->send(m, f);
}

bool host_media_link(struct vdev *d, unsigned medium)
{
	struct media *m = cable_of(d, medium);

	return m && m->ops->link(m);
}

/* ---- for who gets it ---- */

typedef int frame_sink(void *to, const void *bytes, uint32_t n);

/* Bytes of one segment, page by page. */
static int give_segment(struct gmem *g, uint64_t at, uint32_t n, frame_sink *sink, void *to)
{
	int err = 0;

	while (n && !err) {
		struct gmem_mapping m;

		err = gmem_map(g, GPA(at), n, GMEM_READ, &m);
		if (err)
			return err == -ENOMEM ? err : -ENOENT;
		err = sink(to, m.ptr, (uint32_t)m.len);
		at += m.len;
		n -= (uint32_t)m.len;
		gmem_unmap(&m);
	}
	return err;
}

/* `offset` is counted behind the head. */
static int give_segments(const struct host_frame *f, uint64_t offset, uint32_t n,
			 frame_sink *sink, void *to)
{
	int err = 0;

	for (unsigned i = 0; i < f->count && n && !err; i++) {
		const struct host_segment *s = &f->segment[i];
		uint32_t part;

		if (offset >= s->size) {
			offset -= s->size;
			continue;
		}
		part = (uint32_t)MIN(s->size - offset, (uint64_t)n);
		err = give_segment(gmem_of(f->from), s->at + offset, part, sink, to);
		offset = 0;
		n -= part;
	}
	return err;
}

static int give(const struct host_frame *f, uint32_t offset, uint32_t n, frame_sink *sink,
		void *to)
{
	uint32_t part = offset < f->head_size ? MIN(n, f->head_size - offset) : 0;
	int err = part ? sink(to, f->head + offset, part) : 0;

	offset += part;
	n -= part;
	if (err || !n)
		return err;
	offset = offset - f->head_size + f->skip;
	return f->body ? sink(to, f->body + offset, n) : give_segments(f, offset, n, sink, to);
}

struct place {
	struct gmem *gmem;
	gpa_t at;
};

static int to_guest(void *to, const void *bytes, uint32_t n)
{
	struct place *p = to;
	int err = gmem_write(p->gmem, p->at, bytes, n);

	p->at.v += n;
	return err;
}

int host_frame_copy(struct vdev *d, const struct host_frame *f, uint32_t offset, gpa_t to,
		    uint32_t n)
{
	struct place p = { gmem_of(d), to };

	return give(f, offset, n, to_guest, &p);
}

static int to_buffer(void *to, const void *bytes, uint32_t n)
{
	uint8_t **p = to;

	memcpy(*p, bytes, n);
	*p += n;
	return 0;
}

int host_frame_read(const struct host_frame *f, uint32_t offset, void *dst, uint32_t n)
{
	uint8_t *p = dst;

	return give(f, offset, n, to_buffer, &p);
}
