/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vmm/media.h: what all media have in common. Requests are checked here, so that a kind of
 * medium sees only what it can do. The serial console is here too: it is two callbacks.
 */
#include "vmm/media.h"

#include "include/bits.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

#define COMPARED	256u		/* bytes at once, on the stack */

/* ---- what is done later ---- */

static bool later_add(struct media *m, const struct host_media_request *r)
{
	uint64_t flags = spin_lock_irq(&m->lock);
	bool room = m->count < MEDIA_LATER_MAX, begin = !m->runs;

	if (room) {
		m->later[(m->first + m->count++) % MEDIA_LATER_MAX] = (struct media_later){
			.offset = r->offset, .size = r->size, .tag = r->tag,
			.zero = r->op == HOST_MEDIA_ZERO,
		};
		m->runs = true;
	}
	spin_unlock_irq(&m->lock, flags);
	if (begin)
		work_queue(&m->work);
	return room;
}

/* The device has been told of the first one. Is there another? */
static bool later_remove(struct media *m)
{
	uint64_t flags = spin_lock_irq(&m->lock);
	bool more;

	m->first = (m->first + 1) % MEDIA_LATER_MAX;
	WRITE_ONCE(m->count, m->count - 1);
	more = m->runs = m->count;
	spin_unlock_irq(&m->lock, flags);
	return more;
}

static void run_later(struct work *w)
{
	struct media *m = container_of(w, struct media, work);
	struct vdev *d = m->host->dev;
	bool more = true;

	while (more) {
		struct media_later *l = &m->later[m->first];
		uint64_t n = MIN(l->size, MEDIA_AT_ONCE - l->offset % MEDIA_AT_ONCE);
		int err = m->ops->clear(m, l->offset, n, l->zero);

		l->offset += n;
		l->size -= n;
		if (err || !l->size) {
			d->ops->media_done(d, m->number, l->tag, err);
			more = later_remove(m);
		}
		sched_point();
	}
	waitq_wake_all(&m->idle);
}

void media_quiesce(struct media *m)
{
	if (m->ops->stop)
		m->ops->stop(m);
	WAITQ_WAIT(&m->idle, !READ_ONCE(m->count), THREAD_FOREVER);
	work_cancel_sync(&m->work);
}

void media_go(struct media *m)
{
	if (m->ops->go)
		m->ops->go(m);
}

/* ---- requests ---- */

static bool is_well_formed(const struct media *m, const struct host_media_request *r)
{
	uint64_t sum = 0;

	if (r->count > HOST_SEGMENT_MAX || (r->offset | r->size) % HOST_MEDIA_BLOCK ||
	    !range_within(r->offset, r->size, 0, m->facts.size))
		return false;
	if (r->op > HOST_MEDIA_COMPARE)
		return true;
	if (r->data)
		return !r->count && r->op != HOST_MEDIA_COMPARE;
	for (unsigned i = 0; i < r->count; i++)
		if (__builtin_add_overflow(sum, r->segment[i].size, &sum))
			return false;
	return sum == r->size;
}

static int compare(struct media *m, struct vm *vm, uint64_t at, struct host_segment s)
{
	uint8_t medium[COMPARED], guest[COMPARED];
	int err = 0;

	for (uint64_t n; s.size && !err; at += n, s.at += n, s.size -= n) {
		n = MIN(s.size, COMPARED);
		err = m->ops->copy(m, false, at, medium, n) ?: vm_read(vm, GPA(s.at), guest, n);
		if (!err && memcmp(medium, guest, n))
			err = HOST_MEDIA_DIFFERS;
	}
	return err;
}

static int transfer(struct media *m, const struct host_media_request *r)
{
	struct vm *vm = m->host->vm;
	uint64_t at = r->offset;
	int err = 0;

	for (unsigned i = 0; i < r->count && !err; i++) {
		struct host_segment s = r->segment[i];

		if (!vm_is_plain(vm, GPA(s.at), s.size))
			return -EFAULT;
		err = r->op == HOST_MEDIA_COMPARE
		    ? compare(m, vm, at, s)
		    : m->ops->transfer(m, vm, r->op == HOST_MEDIA_WRITE, at, s);
		at += s.size;
	}
	return err;
}

static int clear(struct media *m, const struct host_media_request *r)
{
	if (!r->size)
		return 0;
	if (r->size <= MEDIA_AT_ONCE && !READ_ONCE(m->count))
		return m->ops->clear(m, r->offset, r->size, r->op == HOST_MEDIA_ZERO);
	return later_add(m, r) ? HOST_MEDIA_LATER : -EAGAIN;
}

int host_media_submit(struct vdev *d, unsigned medium, const struct host_media_request *r)
{
	struct vdev_host *h = d->host;
	struct media *m = medium < HOST_MEDIA_MAX ? h->media[medium] : NULL;

	if (!m || !m->ops->transfer)
		return -ENOSYS;
	if (!is_well_formed(m, r))
		return -EINVAL;
	if (r->op == HOST_MEDIA_FLUSH)
		return m->ops->flush(m);
	if (r->op != HOST_MEDIA_READ && r->op != HOST_MEDIA_COMPARE && m->facts.read_only)
		return -EPERM;
	if (r->op > HOST_MEDIA_COMPARE)
		return clear(m, r);
	if (r->data)
		return m->ops->copy(m, r->op == HOST_MEDIA_WRITE, r->offset, r->data, r->size);
	return transfer(m, r);
}

void host_media_facts(struct vdev *d, unsigned medium, struct host_media_facts *out)
{
	struct vdev_host *h = d->host;

	*out = (struct host_media_facts){ .kind = HOST_MEDIA_NONE };
	if (medium < HOST_MEDIA_MAX && h->media[medium])
		*out = h->media[medium]->facts;
	if (out->kind && h->media[medium]->ops->facts)
		h->media[medium]->ops->facts(h->media[medium], out);
}

void host_media_tray(struct vdev *d, unsigned medium, bool open)
{
	struct vdev_host *h = d->host;
	struct media *m = medium < HOST_MEDIA_MAX ? h->media[medium] : NULL;

	if (m && m->ops->tray)
		m->ops->tray(m, open);
}

size_t host_media_put(struct vdev *d, unsigned medium, const void *data, size_t n)
{
	struct vdev_host *h = d->host;
	struct media *m = medium < HOST_MEDIA_MAX ? h->media[medium] : NULL;

	return m && m->ops->put ? m->ops->put(m, data, n) : n;
}

size_t host_media_get(struct vdev *d, unsigned medium, void *data, size_t n)
{
	struct vdev_host *h = d->host;
	struct media *m = medium < HOST_MEDIA_MAX ? h->media[medium] : NULL;

	return m && m->ops->get ? m->ops->get(m, data, n) : 0;
}

/* ---- life ---- */

void media_attach(struct media *m, struct vdev_host *h, unsigned number)
{
	m->host = h;
	m->number = number;
	spin_init(&m->lock, "media", LOCK_LEAF);
	work_init_slow(&m->work, run_later);
	m->work.group = h->vm->group;
	waitq_init(&m->idle);
	h->media[number] = m;
}

void media_destroy(struct media *m)
{
	media_quiesce(m);
	m->ops->destroy(m);
}

/* ---- the serial console ---- */

static size_t console_put(struct media *m, const void *data, size_t n)
{
	const struct vm_config *c = &m->host->vm->config;

	return c->console_put ? c->console_put(c->arg, data, n) : n;
}

static size_t console_get(struct media *m, void *data, size_t n)
{
	const struct vm_config *c = &m->host->vm->config;

	return c->console_get ? c->console_get(c->arg, data, n) : 0;
}

static void console_destroy(struct media *m)
{
	heap_free(m);
}

static const struct media_ops console_ops = {
	.put = console_put, .get = console_get, .destroy = console_destroy,
};

int media_console_create(struct media **out)
{
	struct media *m = heap_alloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->ops = &console_ops;
	m->facts = (struct host_media_facts){ .kind = HOST_MEDIA_CONSOLE, .name = "console" };
	*out = m;
	return 0;
}

/* ---- channels ---- */

struct channel {
	struct media media;
	struct media_channel to;
};

static struct media_channel *channel_of(struct media *m)
{
	return &container_of(m, struct channel, media)->to;
}

static size_t channel_put(struct media *m, const void *data, size_t n)
{
	return channel_of(m)->put(channel_of(m)->arg, data, n);
}

static size_t channel_get(struct media *m, void *data, size_t n)
{
	return channel_of(m)->get(channel_of(m)->arg, data, n);
}

static void channel_destroy(struct media *m)
{
	heap_free(container_of(m, struct channel, media));
}

static const struct media_ops channel_ops = {
	.put = channel_put, .get = channel_get, .destroy = channel_destroy,
};

int media_channel_create(const struct media_channel *c, struct media **out)
{
	struct channel *channel = heap_alloc(sizeof(*channel));

	if (!channel)
		return -ENOMEM;
	channel->to = *c;
	channel->media.ops = &channel_ops;
	channel->media.facts.kind = HOST_MEDIA_CONSOLE;
	str_copy(channel->media.facts.name, c->name, sizeof(channel->media.facts.name));
	*out = &channel->media;
	return 0;
}
