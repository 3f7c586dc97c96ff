/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk of constant bytes, an image that the boot loader brought, and what was written over them.
 *
 * Design. The overlay, which may outlive the disk (a reboot makes a new one over it), knows blocks
 * of 4 KiB: a block is the image's, or zeros, or a page of its own. Blocks stand in tables of 512,
 * which come when first needed. A block that is written gets its page with all bytes in it before
 * anybody sees it; what is written to a page that is there goes into it at once. A block that is
 * given back gives its page back. Each page is promised as guest memory is (gmem_promise), so that
 * an overlay takes nothing of what was promised to guests: where nothing is left, the write fails.
 *
 * Locking. A table's entries are read and changed under one of a few locks (LOCK_LEAF), and a page
 * is used with a reference; nothing is copied or allocated under them. Who reads and writes the
 * same block at once sees bytes of both, as on any disk.
 */
#include "vmm/media.h"

#include "include/bits.h"
#include "kernel/sched.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/page.h"
#include "vmm/vm.h"

#define BLOCKS		512u			/* of a table */
#define TABLE_SIZE	(BLOCKS * PAGE_SIZE)	/* bytes of the disk */
#define LOCKS		16u

#define BLOCK_IMAGE	0ul			/* an entry; else a struct page */
#define BLOCK_ZERO	1ul

struct media_overlay {
	unsigned refs;				/* (a) */
	struct charge charge;
	uint64_t table_count;			/* constant */
	struct spinlock lock[LOCKS];
	uint64_t *table[];			/* [table_count]; NULL: all are the image's */
};

struct disk {
	struct media media;
	const uint8_t *image;
	struct media_overlay *over;		/* NULL: read-only */
};

/* How a block was found: its entry, and the page with a reference if it has one. */
struct block {
	uint64_t entry;
	struct page *page;
};

static struct disk *disk_of(struct media *m)
{
	return container_of(m, struct disk, media);
}

/* ---- the overlay's memory ---- */

static struct page *overlay_alloc(struct media_overlay *o, unsigned flags)
{
	struct page *p;

	if (gmem_promise(1))
		return NULL;
	p = page_alloc(0, flags | PAGE_GUEST, NODE_ANY, &o->charge);
	if (!p)
		gmem_promise_take_back(1);
	return p;
}

/* Of who had it from overlay_alloc(); others may still hold references. */
static void overlay_free(struct page *p)
{
	gmem_promise_take_back(1);
	page_put(p);
}

static struct spinlock *lock_of(struct media_overlay *o, uint64_t table)
{
	return &o->lock[table % LOCKS];
}

static bool is_page(uint64_t entry)
{
	return entry > BLOCK_ZERO;
}

/* ---- blocks ---- */

static struct block block_get(struct media_overlay *o, uint64_t at)
{
	uint64_t t = at / TABLE_SIZE, flags;
	uint64_t *table = __atomic_load_n(&o->table[t], __ATOMIC_ACQUIRE);
	struct block b = { BLOCK_IMAGE, NULL };

	if (!table)
		return b;
	flags = spin_lock_irq(lock_of(o, t));
	b.entry = table[at / PAGE_SIZE % BLOCKS];
	if (is_page(b.entry)) {
		b.page = (struct page *)b.entry;
		page_get(b.page);
	}
	spin_unlock_irq(lock_of(o, t), flags);
	return b;
}

static void block_put(struct block b)
{
	if (b.page)
		page_put(b.page);
}

static int table_need(struct media_overlay *o, uint64_t t)
{
	uint64_t *none = NULL;
	struct page *p;

	if (__atomic_load_n(&o->table[t], __ATOMIC_ACQUIRE))
		return 0;
	p = overlay_alloc(o, PAGE_ZEROED);
	if (!p)
		return -ENOMEM;
	if (!__atomic_compare_exchange_n(&o->table[t], &none, (uint64_t *)page_virt(p), false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		overlay_free(p);
	return 0;
}

/* Its table exists. False: it is no longer as `old` says. */
static bool block_set(struct media_overlay *o, uint64_t at, uint64_t old, uint64_t new)
{
	uint64_t t = at / TABLE_SIZE, flags, *e = &o->table[t][at / PAGE_SIZE % BLOCKS];
	bool same;

	flags = spin_lock_irq(lock_of(o, t));
	same = *e == old;
	if (same)
		*e = new;
	spin_unlock_irq(lock_of(o, t), flags);
	return same;
}

/* Bytes of the image that lie in the block at `at`, fewer in the last one. */
static uint64_t image_part(const struct disk *d, uint64_t at)
{
	return MIN(PAGE_SIZE, d->media.facts.size - at);
}

/* ---- reading and writing ---- */

/* The other end of a copy: a guest's memory, Keel's, or zeros where there is neither. */
struct end {
	struct vm *vm;
	gpa_t at;
	uint8_t *data;
};

static int give(const struct end *to, const uint8_t *from, uint64_t n)
{
	if (to->vm)
		return vm_write(to->vm, to->at, from, n);
	memcpy(to->data, from, n);
	return 0;
}

static int give_zeros(const struct end *to, uint64_t n)
{
	if (to->vm)
		return gmem_fill(&to->vm->gmem, to->at, 0, n);
	memset(to->data, 0, n);
	return 0;
}

/* Within one block. */
static int read_part(struct disk *d, uint64_t offset, const struct end *to, uint64_t n)
{
	uint64_t within = offset % PAGE_SIZE;
	struct block b = block_get(d->over, offset - within);
	const uint8_t *from = d->image + offset;
	int err;

	if (b.page)
		from = (uint8_t *)page_virt(b.page) + within;
	err = b.entry == BLOCK_ZERO ? give_zeros(to, n) : give(to, from, n);
	block_put(b);
	return err;
}

static int take(const struct end *from, uint8_t *to, uint64_t n)
{
	if (from->vm)
		return vm_read(from->vm, from->at, to, n);
	if (from->data)
		memcpy(to, from->data, n);
	else
		memset(to, 0, n);
	return 0;
}

/* What the block holds now, which has no page, and the new bytes. */
static int fill_page(struct disk *d, uint8_t *p, struct block was, uint64_t offset,
		     const struct end *from, uint64_t n)
{
	uint64_t within = offset % PAGE_SIZE, at = offset - within;

	if (n < PAGE_SIZE) {
		uint64_t part = was.entry == BLOCK_ZERO ? 0 : image_part(d, at);

		memcpy(p, d->image + at, part);
		memset(p + part, 0, PAGE_SIZE - part);
	}
	return take(from, p + within, n);
}

/* A page for the block, in place of what it was. -EAGAIN: it was changed meanwhile. */
static int write_new(struct disk *d, struct block was, uint64_t offset, const struct end *from,
		     uint64_t n)
{
	uint64_t at = ALIGN_DOWN(offset, PAGE_SIZE);
	struct page *p;
	int err = table_need(d->over, at / TABLE_SIZE);

	p = err ? NULL : overlay_alloc(d->over, 0);
	if (!p)
		return -ENOMEM;
	err = fill_page(d, page_virt(p), was, offset, from, n);
	if (!err && !block_set(d->over, at, was.entry, (uint64_t)p))
		err = -EAGAIN;
	if (err)
		overlay_free(p);
	return err;
}

static int write_part(struct disk *d, uint64_t offset, const struct end *from, uint64_t n)
{
	uint64_t within = offset % PAGE_SIZE;
	int err;

	do {
		struct block b = block_get(d->over, offset - within);

		if (b.page)
			err = take(from, (uint8_t *)page_virt(b.page) + within, n);
		else
			err = write_new(d, b, offset, from, n);
		block_put(b);
	} while (err == -EAGAIN);
	return err;
}

static int move(struct disk *d, bool write, uint64_t offset, struct end e, uint64_t size)
{
	int err = 0;

	while (size && !err) {
		uint64_t n = MIN(size, PAGE_SIZE - offset % PAGE_SIZE);

		if (!(offset % PAGE_2M))
			sched_point();
		err = write ? write_part(d, offset, &e, n) : read_part(d, offset, &e, n);
		offset += n;
		e.at.v += n;
		if (e.data)
			e.data += n;
		size -= n;
	}
	return err;
}

static int disk_transfer(struct media *m, struct vm *vm, bool write, uint64_t offset,
			 struct host_segment s)
{
	struct disk *d = disk_of(m);

	if (!d->over)
		return vm_write(vm, GPA(s.at), d->image + offset, s.size);
	return move(d, write, offset, (struct end){ .vm = vm, .at = GPA(s.at) }, s.size);
}

static int disk_copy(struct media *m, bool write, uint64_t offset, void *data, uint64_t n)
{
	struct disk *d = disk_of(m);

	if (d->over)
		return move(d, write, offset, (struct end){ .data = data }, n);
	memcpy(data, d->image + offset, n);
	return 0;
}

/* Pages are memory until Keel ends: there is nothing to do. */
static int disk_flush(struct media *m)
{
	(void)m;
	return 0;
}

/* ---- giving back ---- */

/* A whole block. One that was never written needs no table to stay as it is. */
static int clear_block(struct disk *d, uint64_t at, bool zero)
{
	struct block b;
	int err = 0;

	do {
		b = block_get(d->over, at);
		block_put(b);
		if (b.entry == BLOCK_ZERO || (!b.page && !zero))
			return 0;
		err = table_need(d->over, at / TABLE_SIZE);
	} while (!err && !block_set(d->over, at, b.entry, BLOCK_ZERO));
	if (!err && b.page)
		overlay_free(b.page);
	return err;
}

/* Parts of a block are written when they are to be zeros, else they are left. */
static int disk_clear(struct media *m, uint64_t offset, uint64_t size, bool zero)
{
	struct disk *d = disk_of(m);
	int err = 0;

	while (size && !err) {
		uint64_t n = MIN(size, PAGE_SIZE - offset % PAGE_SIZE);

		if (!(offset % PAGE_SIZE) && n == image_part(d, offset))
			err = clear_block(d, offset, zero);
		else if (zero)
			err = write_part(d, offset, &(struct end){ 0 }, n);
		offset += n;
		size -= n;
	}
	return err;
}

/* ---- life ---- */

static void free_table(uint64_t *table)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		if (is_page(table[i]))
			overlay_free((struct page *)table[i]);
	overlay_free(page_of(HPA((uint64_t)table - LAYOUT_DIRECT)));
}

int media_overlay_create(uint64_t size, struct media_overlay **out)
{
	uint64_t tables = DIV_UP(size, TABLE_SIZE);
	struct media_overlay *o = heap_alloc(sizeof(*o) + tables * sizeof(o->table[0]));

	if (!o)
		return -ENOMEM;
	o->refs = 1;
	o->charge.name = "overlay";
	o->table_count = tables;
	for (unsigned n = 0; n < LOCKS; n++)
		spin_init(&o->lock[n], "disk", LOCK_LEAF);
	*out = o;
	return 0;
}

void media_overlay_put(struct media_overlay *o)
{
	if (!o || __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (uint64_t t = 0; t < o->table_count; t++) {
		if (o->table[t])
			free_table(o->table[t]);
		sched_point();
	}
	heap_free(o);
}

static void disk_destroy(struct media *m)
{
	struct disk *d = disk_of(m);

	media_overlay_put(d->over);
	heap_free(d);
}

static const struct media_ops disk_ops = {
	.transfer = disk_transfer, .copy = disk_copy, .flush = disk_flush, .clear = disk_clear,
	.destroy = disk_destroy,
};

int media_disk_create(const struct media_image *i, struct media **out)
{
	struct disk *d;

	if (!i->size || i->size % HOST_MEDIA_BLOCK)
		return -EINVAL;
	d = heap_alloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->media.ops = &disk_ops;
	d->media.facts = (struct host_media_facts){
		.kind = HOST_MEDIA_DISK, .read_only = !i->overlay, .size = i->size,
	};
	str_copy(d->media.facts.name, i->name, sizeof(d->media.facts.name));
	d->image = i->data;
	d->over = i->overlay;
	if (d->over)
		__atomic_fetch_add(&d->over->refs, 1, __ATOMIC_RELAXED);
	*out = &d->media;
	return 0;
}
