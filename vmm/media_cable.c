/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cables between network cards: two ends of one name, or one end that leads back to itself. A frame
 * goes to the other end's device in the sender's thread.
 *
 * Design. An end is open while its VM runs. Who brings it a frame counts himself in first and looks
 * whether it is open then; who closes it says so first and waits until nobody is inside then. So
 * the device and its VM stay while a frame arrives, no lock is held meanwhile, and an end may go at
 * any time. What comes for a closed end is lost, as on a cable. The sender's vCPU is quiet
 * (vm_quiet_begin) while it works for the other VM: it may wait there for that VM's vCPUs, and is
 * not waited for itself.
 *
 * Locking. `cables` (LOCK_LEAF): the list, and who has which end. A cable is freed with its last
 * end; a sender has one.
 */
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

struct cable_end {
	struct media *media;		/* (atomic) NULL: nobody's */
	bool open;			/* (atomic) */
	unsigned inside;		/* (atomic) frames that arrive */
};

struct cable {
	struct cable *next;
	char name[MEDIA_CABLE_NAME_MAX];
	unsigned refs;			/* under `lock` */
	struct cable_end end[2];
	struct waitq left;		/* somebody has left a closed end */
};

struct cable_media {
	struct media media;
	struct cable *cable;
	unsigned own, other;		/* ends; the same one of a loop */
	struct media_cable_stats stats;
};

static struct spinlock lock = SPINLOCK_INIT("cables", LOCK_LEAF);
static struct cable *cables;		/* but for loops */

static struct cable_media *cable_media_of(struct media *m)
{
	return container_of(m, struct cable_media, media);
}

/* ---- arriving ---- */

static void leave(struct cable *c, struct cable_end *e)
{
	if (!__atomic_sub_fetch(&e->inside, 1, __ATOMIC_SEQ_CST) &&
	    unlikely(!__atomic_load_n(&e->open, __ATOMIC_SEQ_CST)))
		waitq_wake_all(&c->left);
}

static bool enter(struct cable *c, struct cable_end *e)
{
	__atomic_add_fetch(&e->inside, 1, __ATOMIC_SEQ_CST);
	if (likely(__atomic_load_n(&e->open, __ATOMIC_SEQ_CST)))
		return true;
	leave(c, e);
	return false;
}

static void close_end(struct cable *c, struct cable_end *e)
{
	__atomic_store_n(&e->open, false, __ATOMIC_SEQ_CST);
	WAITQ_WAIT(&c->left, !__atomic_load_n(&e->inside, __ATOMIC_SEQ_CST), THREAD_FOREVER);
}

static int arrive(struct cable_media *to, const struct host_frame *f)
{
	struct vdev *d = to->media.host->dev;
	int err = d->ops->media_frame(d, to->media.number, f);

	__atomic_fetch_add(&to->stats.rx_frames, !err, __ATOMIC_RELAXED);
	__atomic_fetch_add(&to->stats.rx_bytes, err ? 0 : f->size, __ATOMIC_RELAXED);
	__atomic_fetch_add(&to->stats.rx_drops, !!err, __ATOMIC_RELAXED);
	return err;
}

static bool cable_link(struct media *m)
{
	struct cable_media *c = cable_media_of(m);

	return __atomic_load_n(&c->cable->end[c->other].media, __ATOMIC_SEQ_CST);
}

static int cable_send(struct media *m, const struct host_frame *f)
{
	struct cable_media *from = cable_media_of(m);
	struct cable_end *e = &from->cable->end[from->other];
	struct vcpu *self;
	int err;

	if (!enter(from->cable, e)) {
		__atomic_fetch_add(&from->stats.tx_drops, 1, __ATOMIC_RELAXED);
		return cable_link(m) ? -EAGAIN : -ENODEV;
	}
	self = vm_quiet_begin(m->host->vm);
	err = arrive(cable_media_of(e->media), f);
	vm_quiet_end(self);
	leave(from->cable, e);
	__atomic_fetch_add(&from->stats.tx_frames, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&from->stats.tx_bytes, f->size, __ATOMIC_RELAXED);
	return err;
}

/* ---- coming and going ---- */

/* The end's device looks at its link; one that is closed does when it opens. */
static void tell(struct cable *c, struct cable_end *e)
{
	struct media *m;

	if (!enter(c, e))
		return;
	m = e->media;
	m->host->dev->ops->media_link(m->host->dev, m->number);
	leave(c, e);
}

static void cable_stop(struct media *m)
{
	struct cable_media *c = cable_media_of(m);

	close_end(c->cable, &c->cable->end[c->own]);
}

static void cable_go(struct media *m)
{
	struct cable_media *c = cable_media_of(m);
	struct cable_end *e = &c->cable->end[c->own];

	__atomic_store_n(&e->open, true, __ATOMIC_SEQ_CST);
	tell(c->cable, e);
}

/* Whose last end was this? */
static bool forget(struct cable *c)
{
	uint64_t flags = spin_lock_irq(&lock);
	bool last = !--c->refs;

	for (struct cable **p = &cables; last && *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	spin_unlock_irq(&lock, flags);
	return last;
}

static void cable_destroy(struct media *m)
{
	struct cable_media *cm = cable_media_of(m);
	struct cable *c = cm->cable;

	__atomic_store_n(&c->end[cm->own].media, NULL, __ATOMIC_SEQ_CST);
	tell(c, &c->end[cm->other]);
	if (forget(c))
		heap_free(c);
	heap_free(cm);
}

static const struct media_ops cable_ops = {
	.send = cable_send, .link = cable_link, .stop = cable_stop, .go = cable_go,
	.destroy = cable_destroy,
};

/* An end of the cable of that name, which is `fresh` if there is none. Under the lock. */
static int take_end(struct cable_media *m, const char *name, struct cable *fresh)
{
	bool loop = !strcmp(name, MEDIA_CABLE_LOOP);
	struct cable *c = loop ? NULL : cables;

	while (c && strcmp(c->name, name))
		c = c->next;
	if (c && c->end[0].media && c->end[1].media)
		return -EBUSY;
	if (!c) {
		c = fresh;
		c->next = cables;
		cables = loop ? cables : c;
	}
	m->cable = c;
	m->own = c->end[0].media != NULL;
	m->other = loop ? m->own : !m->own;
	c->refs++;
	__atomic_store_n(&c->end[m->own].media, &m->media, __ATOMIC_SEQ_CST);
	return 0;
}

int media_cable_create(const char *name, struct media **out)
{
	struct cable_media *m = heap_alloc(sizeof(*m));
	struct cable *fresh = heap_alloc(sizeof(*fresh));
	uint64_t flags;
	int err = -ENOMEM;

	if (m && fresh) {
		m->media.ops = &cable_ops;
		m->media.facts.kind = HOST_MEDIA_CABLE;
		str_copy(m->media.facts.name, name, sizeof(m->media.facts.name));
		str_copy(fresh->name, name, sizeof(fresh->name));
		waitq_init(&fresh->left);
		flags = spin_lock_irq(&lock);
		err = take_end(m, name, fresh);
		spin_unlock_irq(&lock, flags);
	}
	if (err || m->cable != fresh)
		heap_free(fresh);
	if (err) {
		heap_free(m);
		if (err == -EBUSY)
			log_warn("cable '%s' has two ends already: take one of another name", name);
		return err;
	}
	tell(m->cable, &m->cable->end[m->other]);
	*out = &m->media;
	return 0;
}

struct media_cable_stats media_cable_stats(const struct media *m)
{
	return container_of(m, struct cable_media, media)->stats;
}
