/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A drive for discs. What lies in its tray, constant bytes that stay as long as Keel runs, may be
 * changed while the guest runs; the tray may outlive the drive (a reboot makes a new one around
 * it), so that what was ejected stays so. The device has the last word on a change: it opens the
 * tray when none of its requests is under way, or says that the guest holds it shut.
 *
 * Locking. `change`, a mutex: one change at a time, from opening the tray to shutting it, and whose
 * drive it is in. `lock` (LOCK_LEAF): what lies there. A request has a copy of that.
 */
#include "include/bits.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

/* A drive has no size of its own: each request is checked against the disc. */
#define ANY_SIZE	ALIGN_DOWN(~0ul, (uint64_t)HOST_MEDIA_BLOCK)

struct media_tray {
	unsigned refs;			/* (a) */
	struct mutex change;
	struct media *drive;		/* or NULL; by `change` */
	struct spinlock lock;
	const uint8_t *data;
	struct media_tray_state state;
};

struct disc {
	struct media media;
	struct media_tray *tray;
};

static struct media_tray *tray_of(struct media *m)
{
	return container_of(m, struct disc, media)->tray;
}

/* ---- the tray ---- */

int media_tray_create(struct media_tray **out)
{
	struct media_tray *t = heap_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->refs = 1;
	mutex_init(&t->change, "tray");
	spin_init(&t->lock, "tray", LOCK_LEAF);
	*out = t;
	return 0;
}

void media_tray_get(struct media_tray *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

void media_tray_put(struct media_tray *t)
{
	if (t && !__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
		heap_free(t);
}

static const uint8_t *look(struct media_tray *t, struct media_tray_state *out)
{
	uint64_t flags = spin_lock_irq(&t->lock);
	const uint8_t *data = t->data;

	*out = t->state;
	spin_unlock_irq(&t->lock, flags);
	return data;
}

void media_tray_look(struct media_tray *t, struct media_tray_state *out)
{
	(void)look(t, out);
}

static void move(struct media_tray *t, bool open)
{
	uint64_t flags = spin_lock_irq(&t->lock);

	t->state.open = open;
	spin_unlock_irq(&t->lock, flags);
}

/* NULL: nothing, in an open tray. */
static void lay(struct media_tray *t, const struct media_image *i)
{
	uint64_t flags = spin_lock_irq(&t->lock);

	t->data = i ? i->data : NULL;
	t->state = (struct media_tray_state){ .size = i ? i->size : 0, .open = !i };
	if (i)
		str_copy(t->state.name, i->name, sizeof(t->state.name));
	spin_unlock_irq(&t->lock, flags);
}

/* A drive's device, if it is in one. */
static int tell(struct media_tray *t, enum host_tray what)
{
	const struct media *m = t->drive;
	struct vdev *d = m && m->host ? m->host->dev : NULL;

	return d && d->ops->media_tray ? d->ops->media_tray(d, m->number, what) : 0;
}

int media_tray_change(struct media_tray *t, const struct media_image *i, bool force)
{
	int err;

	if (i && (!i->size || i->size % HOST_MEDIA_BLOCK))
		return -EINVAL;
	mutex_lock(&t->change);
	err = tell(t, force ? HOST_TRAY_FORCE : HOST_TRAY_EJECT);
	if (!err) {
		lay(t, i);
		err = tell(t, HOST_TRAY_LOAD);
	}
	mutex_unlock(&t->change);
	return err;
}

/* ---- the drive ---- */

static void disc_facts(struct media *m, struct host_media_facts *out)
{
	struct media_tray_state s;

	look(tray_of(m), &s);
	out->size = s.size;
	out->open = s.open;
}

static void disc_tray(struct media *m, bool open)
{
	move(tray_of(m), open);
}

static int disc_transfer(struct media *m, struct vm *vm, bool write, uint64_t offset,
			 struct host_segment s)
{
	struct media_tray_state state;
	const uint8_t *data = look(tray_of(m), &state);

	if (write || state.open || !range_within(offset, s.size, 0, state.size))
		return -EIO;
	return vm_write(vm, GPA(s.at), data + offset, s.size);
}

static int disc_copy(struct media *m, bool write, uint64_t offset, void *data, uint64_t n)
{
	struct media_tray_state state;
	const uint8_t *from = look(tray_of(m), &state);

	if (write || state.open || !range_within(offset, n, 0, state.size))
		return -EIO;
	memcpy(data, from + offset, n);
	return 0;
}

static int disc_flush(struct media *m)
{
	(void)m;
	return 0;
}

static void disc_destroy(struct media *m)
{
	struct media_tray *t = tray_of(m);

	mutex_lock(&t->change);
	t->drive = NULL;
	mutex_unlock(&t->change);
	media_tray_put(t);
	heap_free(container_of(m, struct disc, media));
}

static const struct media_ops disc_ops = {
	.transfer = disc_transfer, .copy = disc_copy, .flush = disc_flush, .facts = disc_facts,
	.tray = disc_tray,
	.destroy = disc_destroy,
};

int media_disc_create(struct media_tray *t, struct media **out)
{
	struct disc *d = heap_alloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->media.ops = &disc_ops;
	/* It has one name, whatever lies in it: guests know it by that. */
	d->media.facts = (struct host_media_facts){
		.kind = HOST_MEDIA_DISK, .read_only = true, .optical = true, .size = ANY_SIZE,
		.name = "drive",
	};
	d->tray = t;
	media_tray_get(t);
	mutex_lock(&t->change);
	t->drive = &d->media;
	mutex_unlock(&t->change);
	*out = &d->media;
	return 0;
}
