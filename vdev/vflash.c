/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vflash.h. A command is a byte written anywhere; those that want a second one have it written
 * where they are to act. What firmware knows of the chip it asks by query (98h) and identifier
 * (90h). Sources: JEDEC JESD68.01, "Common Flash Interface"; Intel, "StrataFlash Embedded Memory
 * (P30)" datasheet, "Command Set".
 */
#include "vdev/vflash.h"

#include "include/bits.h"

enum {
	READ_ARRAY = 0xff, PROGRAM = 0x40, PROGRAM_OLD = 0x10, ERASE = 0x20, CLEAR_STATUS = 0x50,
	LOCK = 0x60, READ_STATUS = 0x70, READ_ID = 0x90, QUERY = 0x98,
	CONFIRM = 0xd0,
};

#define STATUS_READY		0x80
#define STATUS_SEQUENCE		0x30	/* two commands that do not belong together */
#define STATUS_ALL		0xf8

#define MAKER			0x89
#define CHIP			0x18
#define PROGRAM_LOG2_US		7
#define ERASE_LOG2_MS		10

struct vflash {
	struct vdev dev;
	struct vflash_config config;
	uint8_t mode;		/* READ_ARRAY, READ_STATUS, READ_ID or QUERY: what reads give */
	uint8_t pending;	/* a command that waits for its second byte, or 0 */
	uint8_t status;
	bool shown, telling;	/* what the host was told last; some vCPU is about to tell it */
};

static struct vflash *vflash_of(struct vdev *d)
{
	return container_of(d, struct vflash, dev);
}

/* Without the lock, by one vCPU at a time: see vmch.c. */
static void tell(struct vflash *f)
{
	uint64_t flags = host_lock(&f->dev);
	bool shown;

	if (!f->telling) {
		f->telling = true;
		while (f->shown != (shown = f->mode == READ_ARRAY && !f->pending)) {
			f->shown = shown;
			host_unlock(&f->dev, flags);
			if (host_nvram_show(&f->dev, shown))
				host_log(&f->dev, "it cannot be %s", shown ? "shown" : "hidden");
			flags = host_lock(&f->dev);
		}
		f->telling = false;
	}
	host_unlock(&f->dev, flags);
}

/* --- reads */

static uint8_t query(const struct vflash *f, uint64_t at)
{
	const uint8_t size = (uint8_t)(63 - __builtin_clzl(f->config.size | 1));
	const unsigned blocks = (unsigned)(f->config.size / VFLASH_BLOCK) - 1;
	const uint8_t table[] = {
		[0x10] = 'Q', 'R', 'Y', 1, 0, 0x31, 0,		/* Intel's; its own table's place */
		[0x1b] = 0x45, 0x55, 0, 0,			/* volts */
		[0x1f] = PROGRAM_LOG2_US, 0, ERASE_LOG2_MS, 0, 1, 0, 1, 0,
		[0x27] = size, 0, 0, 0, 0, 1,			/* no buffer, one kind of block */
		[0x2d] = (uint8_t)blocks, (uint8_t)(blocks >> 8),
		[0x2f] = (uint8_t)(VFLASH_BLOCK >> 8), (uint8_t)(VFLASH_BLOCK >> 16),
		[0x31] = 'P', 'R', 'I', '1', '0',
	};

	return at < sizeof(table) ? table[at] : 0;
}

static uint8_t register_byte(const struct vflash *f, uint64_t at)
{
	if (f->mode == QUERY)
		return query(f, at & 0xff);
	if (f->mode == READ_ID)
		return (at & 0xff) == 0 ? MAKER : (at & 0xff) == 1 ? CHIP : 0;
	return f->status;
}

static uint64_t vflash_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vflash *f = vflash_of(d);
	uint64_t flags = host_lock(d), v = 0;
	bool array = f->mode == READ_ARRAY && !f->pending;

	(void)region;
	for (unsigned i = 0; i < size && !array; i++)
		v |= (uint64_t)register_byte(f, offset + i) << 8 * i;
	host_unlock(d, flags);
	/* About to be shown, or the host could not: from its memory. */
	if (array && host_nvram_read(d, offset, &v, size))
		v = ~0ul;
	return v;
}

/* --- commands */

/* A command's first byte. */
static void begin(struct vflash *f, uint8_t command)
{
	switch (command) {
	case PROGRAM:
	case PROGRAM_OLD:
	case ERASE:
	case LOCK:
		f->pending = command;
		f->mode = READ_STATUS;
		break;
	case CLEAR_STATUS:
		f->status = 0;
		f->mode = READ_ARRAY;
		break;
	case READ_STATUS:
	case READ_ID:
	case QUERY:
		f->mode = command;
		break;
	default:
		f->mode = READ_ARRAY;
	}
}

static int program(struct vflash *f, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t now = 0;
	int err = host_nvram_read(&f->dev, offset, &now, size);

	now &= value;
	return err ?: host_nvram_write(&f->dev, offset, &now, size);
}

static int erase(struct vflash *f, uint64_t offset)
{
	const uint64_t ones = ~0ul;
	uint64_t at = ALIGN_DOWN(offset, (uint64_t)VFLASH_BLOCK);
	int err = 0;

	for (unsigned i = 0; i < VFLASH_BLOCK && !err; i += sizeof(ones))
		err = host_nvram_write(&f->dev, at + i, &ones, sizeof(ones));
	return err;
}

/* Its second byte: the memory is written without the lock; what comes meanwhile reads status. */
static void finish(struct vflash *f, uint8_t command, uint64_t offset, unsigned size,
	uint64_t value)
{
	bool confirmed = (uint8_t)value == CONFIRM;
	uint64_t flags;
	int err = 0;

	if (command == PROGRAM || command == PROGRAM_OLD)
		err = program(f, offset, size, value);
	else if (command == ERASE && confirmed)
		err = erase(f, offset);
	if (err)
		host_log(&f->dev, "no memory: a write to it is lost");
	flags = host_lock(&f->dev);
	f->status |= STATUS_READY;
	if (command == ERASE && !confirmed)
		f->status |= STATUS_SEQUENCE;
	host_unlock(&f->dev, flags);
}

static void vflash_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vflash *f = vflash_of(d);
	uint64_t flags = host_lock(d);
	uint8_t command = f->pending;

	(void)region;
	f->pending = 0;
	if (!command)
		begin(f, (uint8_t)value);
	host_unlock(d, flags);
	if (command)
		finish(f, command, offset, size, value);
	tell(f);
}

/* --- life */

static void vflash_reset(struct vdev *d)
{
	struct vflash *f = vflash_of(d);
	uint64_t flags = host_lock(d);

	f->mode = READ_ARRAY;
	f->pending = 0;
	f->status = STATUS_READY;
	host_unlock(d, flags);
	if (host_region_set(d, VFLASH_CHIP, HOST_MMIO, f->config.base, f->config.size, true))
		host_log(d, "it cannot be mapped");
	tell(f);
}

static void vflash_save(struct vdev *d, struct record_writer *w)
{
	struct vflash *f = vflash_of(d);
	uint64_t flags = host_lock(d);

	record_put_u8(w, f->mode);
	record_put_u8(w, f->pending);
	record_put_u8(w, f->status);
	host_unlock(d, flags);
}

static bool is_mode(uint8_t mode)
{
	return mode == READ_ARRAY || mode == READ_STATUS || mode == READ_ID || mode == QUERY;
}

static bool is_pending(uint8_t command)
{
	return !command || command == PROGRAM || command == PROGRAM_OLD || command == ERASE ||
	       command == LOCK;
}

static int vflash_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vflash *f = vflash_of(d);
	uint8_t mode = record_get_u8(r), pending = record_get_u8(r), status = record_get_u8(r);
	uint64_t flags;

	if (version != d->ops->version || record_finish(r) || !is_mode(mode) ||
	    !is_pending(pending) || status & ~STATUS_ALL || (pending && mode != READ_STATUS))
		return -EINVAL;
	flags = host_lock(d);
	f->mode = mode;
	f->pending = pending;
	f->status = status;
	host_unlock(d, flags);
	tell(f);
	return 0;
}

static void vflash_destroy(struct vdev *d)
{
	host_free(vflash_of(d));
}

static const struct vdev_ops vflash_ops = {
	.name = "vflash", .version = 1, .read = vflash_read, .write = vflash_write,
	.reset = vflash_reset, .save = vflash_save, .load = vflash_load,
	.destroy = vflash_destroy,
};

int vflash_create(const struct vflash_config *config, struct vdev **out)
{
	struct vflash *f = host_alloc(sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->dev.ops = &vflash_ops;
	f->config = *config;
	f->shown = true;		/* as the host has it from the start */
	f->mode = READ_ARRAY;
	*out = &f->dev;
	return 0;
}
