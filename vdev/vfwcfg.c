/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vfwcfg.h. The selector's key and an offset are all that the ports know; a DMA takes them
 * along and gives them back at its end.
 *
 * Design of the DMA. One transfer is under way at most. An OUT to the low address does a piece of
 * it, in `transfer`, which no other vCPU touches while `busy` is set; is there more, the OUT runs
 * again, as does that of another vCPU, which helps on its way. So a transfer of 4 GiB stops for
 * everything that an instruction stops for, and its state is between two instructions.
 */
#include "vdev/vfwcfg.h"

#include "include/bits.h"
#include "lib/string.h"

#define ITEM_MAX	64
#define PIECE		32768u		/* of a DMA, in one exit */
#define CHUNK		512u		/* through the stack, and of zeros */
#define DMA_LOW		4u		/* offset of the low half of the address */

#define KEY_WRITE	0x4000u		/* of the selector: not part of the key */

/* The control word of a descriptor. */
#define DMA_ERROR	1u
#define DMA_READ	2u
#define DMA_SKIP	4u
#define DMA_SELECT	8u
#define DMA_WRITE	16u
#define DMA_ACTIONS	(DMA_READ | DMA_WRITE | DMA_SKIP)

struct descriptor {		/* big-endian */
	uint32_t control, length;
	uint64_t address;
};

struct file {			/* big-endian */
	uint32_t size;
	uint16_t key, reserved;
	char name[VFWCFG_NAME_MAX];
};

struct directory {
	uint32_t count;
	struct file file[VFWCFG_FILE_MAX];
};

_Static_assert(sizeof(struct file) == 64 && sizeof(struct descriptor) == 16, "the guest's layout");

struct transfer {
	bool active, failed;
	uint8_t action;		/* one of DMA_ACTIONS */
	uint16_t key;
	uint32_t offset, left;
	uint64_t descriptor, address;
};

struct vfwcfg {
	struct vdev dev;
	struct vfwcfg_item item[ITEM_MAX];	/* fixed once the guest runs, as what follows */
	void *copy[ITEM_MAX];			/* to be freed */
	unsigned count, file_count;
	struct directory directory;

	uint16_t key;
	uint32_t offset;
	uint32_t high;				/* of the descriptor's address */
	struct transfer transfer;
	bool busy;				/* some vCPU is in a piece of it */
};

static struct vfwcfg *vfwcfg_of(struct vdev *d)
{
	return container_of(d, struct vfwcfg, dev);
}

/* ---- items ---- */

static const struct vfwcfg_item *find(const struct vfwcfg *f, uint16_t key)
{
	for (unsigned i = 0; i < f->count; i++)
		if (f->item[i].key == key)
			return &f->item[i];
	return NULL;
}

/* How many bytes are there from `offset` on. */
static uint32_t rest(const struct vfwcfg_item *i, uint32_t offset)
{
	return i && offset < i->size ? i->size - offset : 0;
}

static void fetch(const struct vfwcfg_item *i, uint32_t offset, void *dst, size_t n)
{
	if (i->source)
		i->source(i, offset, dst, n);
	else
		memcpy(dst, (const uint8_t *)i->data + offset, n);
}

/* The directory is sorted by name, as QEMU's is. */
static void list_file(struct vfwcfg *f, const struct vfwcfg_item *i)
{
	struct directory *d = &f->directory;
	unsigned at = f->file_count++;

	for (; at && strcmp(d->file[at - 1].name, i->name) > 0; at--)
		d->file[at] = d->file[at - 1];
	d->file[at] = (struct file){
		.size = __builtin_bswap32(i->size), .key = __builtin_bswap16(i->key),
	};
	str_copy(d->file[at].name, i->name, VFWCFG_NAME_MAX);
	d->count = __builtin_bswap32(f->file_count);
	f->item[0].size = (uint32_t)(sizeof(d->count) + f->file_count * sizeof(d->file[0]));
}

static bool has_file(const struct vfwcfg *f, const char *name)
{
	for (unsigned i = 0; i < f->file_count; i++)
		if (!strcmp(f->directory.file[i].name, name))
			return true;
	return false;
}

int vfwcfg_add(struct vdev *d, const struct vfwcfg_item *item)
{
	struct vfwcfg *f = vfwcfg_of(d);
	struct vfwcfg_item *to = &f->item[f->count];

	if (f->count == ITEM_MAX || (item->name && f->file_count == VFWCFG_FILE_MAX))
		return -ENOSPC;
	if (item->name && strlen(item->name) >= VFWCFG_NAME_MAX)
		return -EINVAL;
	if (item->name ? has_file(f, item->name) : find(f, item->key) != NULL)
		return -EEXIST;
	*to = *item;
	f->count++;
	if (!item->name)
		return 0;
	to->key = (uint16_t)(VFWCFG_FILES + f->file_count);
	list_file(f, to);
	return 0;
}

int vfwcfg_add_copy(struct vdev *d, const struct vfwcfg_item *item)
{
	struct vfwcfg *f = vfwcfg_of(d);
	struct vfwcfg_item i = *item;
	void *copy = host_alloc(item->size ?: 1);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, item->data, item->size);
	i.data = copy;
	err = vfwcfg_add(d, &i);
	if (err)
		host_free(copy);
	else
		f->copy[f->count - 1] = copy;
	return err;
}

/* ---- DMA ---- */

static int give_zeros(struct vfwcfg *f, uint64_t address, uint32_t n)
{
	static const uint8_t zeros[CHUNK];
	int err = 0;

	for (uint32_t at = 0; at < n && !err; at += CHUNK)
		err = host_mem_write(&f->dev, GPA(address + at), zeros, MIN(n - at, CHUNK));
	return err;
}

static int give(struct vfwcfg *f, const struct vfwcfg_item *i, uint32_t offset, uint64_t address,
		uint32_t n)
{
	uint8_t buf[CHUNK];
	int err = 0;

	if (!i->source)
		return host_mem_write(&f->dev, GPA(address), (const uint8_t *)i->data + offset, n);
	for (uint32_t at = 0; at < n && !err; at += CHUNK) {
		uint32_t part = MIN(n - at, CHUNK);

		i->source(i, offset + at, buf, part);
		err = host_mem_write(&f->dev, GPA(address + at), buf, part);
	}
	return err;
}

/* As far as one kind of bytes goes: those of the item, or the zeros behind them. */
static int advance(struct vfwcfg *f, struct transfer *t, uint32_t most)
{
	const struct vfwcfg_item *i = find(f, t->key);
	uint32_t there = rest(i, t->offset), n = MIN(t->left, there ? MIN(there, most) : most);
	int err = 0;

	if (t->action == DMA_WRITE)
		return -EPERM;
	if (t->action == DMA_READ)
		err = there ? give(f, i, t->offset, t->address, n) : give_zeros(f, t->address, n);
	if (err)
		return err;
	t->offset += there ? n : 0;
	t->address += n;
	t->left -= n;
	return 0;
}

/* One exit's share; nothing is copied when bytes are skipped. */
static int piece(struct vfwcfg *f, struct transfer *t)
{
	uint32_t most = t->action == DMA_SKIP ? ~0u : PIECE, end = t->left - MIN(t->left, most);
	int err = 0;

	while (t->left > end && !err)
		err = advance(f, t, t->left - end);
	return err;
}

static int begin(struct vfwcfg *f, struct transfer *t)
{
	struct descriptor desc;
	uint32_t control;
	int err = host_mem_read(&f->dev, GPA(t->descriptor), &desc, sizeof(desc));

	if (err)
		return err;
	t->active = true;
	control = __builtin_bswap32(desc.control);
	if (control & DMA_SELECT) {
		t->key = (uint16_t)(control >> 16 & ~KEY_WRITE);
		t->offset = 0;
	}
	t->address = __builtin_bswap64(desc.address);
	t->left = control & DMA_ACTIONS ? __builtin_bswap32(desc.length) : 0;
	/* The first of them that is asked for. */
	t->action = control & DMA_READ	  ? DMA_READ
		    : control & DMA_WRITE ? DMA_WRITE
					  : control & DMA_SKIP;
	return 0;
}

/* The guest waits for the control word to become 0, but for the error. */
static bool finish(struct vfwcfg *f, struct transfer *t)
{
	uint32_t control = __builtin_bswap32(t->failed ? DMA_ERROR : 0);
	int err = host_mem_write(&f->dev, GPA(t->descriptor), &control, sizeof(control));

	/* Where it cannot be written there is nobody to tell. */
	t->active = err == -EINTR;
	return !t->active;
}

/* True: the transfer is done; `t` is as it was at its end. */
static bool do_piece(struct vfwcfg *f, struct transfer *t)
{
	int err = t->active ? 0 : begin(f, t);

	if (!err)
		err = piece(f, t);
	if (err == -EINTR || (!err && t->left))
		return false;
	if (err) {
		t->failed = true;
		t->left = 0;
	}
	return finish(f, t);
}

static void dma(struct vfwcfg *f, uint32_t low)
{
	uint64_t flags = host_lock(&f->dev), descriptor = (uint64_t)f->high << 32 | low;
	struct transfer t = f->transfer;
	bool mine = !t.active || t.descriptor == descriptor, wait = f->busy, done;

	if (!t.active)
		t = (struct transfer){
			.descriptor = descriptor, .key = f->key, .offset = f->offset,
		};
	f->busy = true;
	host_unlock(&f->dev, flags);
	if (wait) {
		host_again(&f->dev);
		return;
	}
	done = do_piece(f, &t);
	flags = host_lock(&f->dev);
	f->transfer = done ? (struct transfer){ 0 } : t;
	f->busy = false;
	if (done) {
		f->key = t.key;
		f->offset = t.offset;
	}
	if (done && mine)
		f->high = 0;
	host_unlock(&f->dev, flags);
	if (!done || !mine)
		host_again(&f->dev);
}

/* ---- registers ---- */

static uint8_t read_data(struct vfwcfg *f)
{
	uint64_t flags = host_lock(&f->dev);
	const struct vfwcfg_item *i = find(f, f->key);
	uint32_t at = f->offset;
	uint8_t v = 0;
	bool there = rest(i, at);

	f->offset += there;
	host_unlock(&f->dev, flags);
	if (there)
		fetch(i, at, &v, 1);
	return v;
}

static uint64_t vfwcfg_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	static const uint8_t signature[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };
	uint64_t v = 0;

	if (region == VFWCFG_PORTS)
		return size == 1 ? read_data(vfwcfg_of(d)) : ~0ul;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)signature[(offset + i) & 7] << 8 * i;
	return v;
}

static void write_selector(struct vfwcfg *f, uint16_t key)
{
	uint64_t flags = host_lock(&f->dev);

	f->key = (uint16_t)(key & ~KEY_WRITE);
	f->offset = 0;
	host_unlock(&f->dev, flags);
}

static void write_high(struct vfwcfg *f, uint32_t high)
{
	uint64_t flags = host_lock(&f->dev);

	f->high = high;
	host_unlock(&f->dev, flags);
}

static void vfwcfg_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct vfwcfg *f = vfwcfg_of(d);

	if (region == VFWCFG_PORTS && size == 2)
		write_selector(f, (uint16_t)value);
	else if (region == VFWCFG_DMA && size == 4 && offset == DMA_LOW)
		dma(f, __builtin_bswap32((uint32_t)value));
	else if (region == VFWCFG_DMA && size == 4 && !offset)
		write_high(f, __builtin_bswap32((uint32_t)value));
}

/* ---- life ---- */

static void vfwcfg_reset(struct vdev *d)
{
	struct vfwcfg *f = vfwcfg_of(d);
	uint64_t flags = host_lock(d);

	f->key = 0;
	f->offset = f->high = 0;
	f->transfer = (struct transfer){ 0 };
	host_unlock(d, flags);
}

static void vfwcfg_save(struct vdev *d, struct record_writer *w)
{
	const struct vfwcfg *f = vfwcfg_of(d);
	const struct transfer *t = &f->transfer;

	record_put_u16(w, f->key);
	record_put_u32(w, f->offset);
	record_put_u32(w, f->high);
	record_put_bool(w, t->active);
	record_put_bool(w, t->failed);
	record_put_u8(w, t->action);
	record_put_u16(w, t->key);
	record_put_u32(w, t->offset);
	record_put_u32(w, t->left);
	record_put_u64(w, t->descriptor);
	record_put_u64(w, t->address);
}

static bool transfer_valid(const struct transfer *t)
{
	bool known = t->action == DMA_READ || t->action == DMA_WRITE || t->action == DMA_SKIP;

	return !(t->key & KEY_WRITE) && (known || (!t->action && !t->left));
}

static int vfwcfg_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vfwcfg *f = vfwcfg_of(d);
	struct transfer t = { 0 };
	uint16_t key = record_get_u16(r);
	uint32_t offset = record_get_u32(r), high = record_get_u32(r);
	uint64_t flags;

	t.active = record_get_bool(r);
	t.failed = record_get_bool(r);
	t.action = record_get_u8(r);
	t.key = record_get_u16(r);
	t.offset = record_get_u32(r);
	t.left = record_get_u32(r);
	t.descriptor = record_get_u64(r);
	t.address = record_get_u64(r);
	if (version != d->ops->version || record_finish(r) || key & KEY_WRITE ||
	    !transfer_valid(&t))
		return -EINVAL;
	flags = host_lock(d);
	f->key = key;
	f->offset = offset;
	f->high = high;
	f->transfer = t;
	host_unlock(d, flags);
	return 0;
}

static void vfwcfg_destroy(struct vdev *d)
{
	struct vfwcfg *f = vfwcfg_of(d);

	for (unsigned i = 0; i < f->count; i++)
		host_free(f->copy[i]);
	host_free(f);
}

static const struct vdev_ops vfwcfg_ops = {
	.name = "vfwcfg", .version = 1, .read = vfwcfg_read, .write = vfwcfg_write,
	.reset = vfwcfg_reset, .save = vfwcfg_save, .load = vfwcfg_load,
	.destroy = vfwcfg_destroy,
};

int vfwcfg_create(struct vdev **out)
{
	static const struct vfwcfg_item signature = {
		.key = VFWCFG_SIGNATURE, .size = 4, .data = "QEMU",
	};
	static const uint32_t id_dma = 3;	/* the ports, and DMA */
	static const struct vfwcfg_item id = { .key = VFWCFG_ID, .size = 4, .data = &id_dma };
	struct vfwcfg *f = host_alloc(sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->dev.ops = &vfwcfg_ops;
	f->item[f->count++] = (struct vfwcfg_item){
		.key = VFWCFG_DIRECTORY, .size = sizeof(f->directory.count), .data = &f->directory,
	};
	f->item[f->count++] = signature;
	f->item[f->count++] = id;
	*out = &f->dev;
	return 0;
}
