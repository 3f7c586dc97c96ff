/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vide_channel.h: a controller's life, its configuration space, what is saved of it, and what
 * is done with its trays from outside. A command is saved as it stands between two pieces of the
 * work, with what is in its channel's buffer.
 */
#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vide_channel.h"
#include "vdev/vpci_regs.h"

#define REG_TIMINGS	0x40		/* a word for each channel */
#define TIMINGS_DECODE	0x80		/* in its upper byte: the ports answer */

struct vpci_function *vide_function(struct vdev *d)
{
	return &vide_of(d)->function;
}

static bool is_resting(struct vdev *d)
{
	struct vide *v = vide_of(d);
	uint64_t flags = host_lock(d);
	bool rests = !v->stepping;

	host_unlock(d, flags);
	return rests;
}

/* ---- trays ---- */

/* Whatever was being read as a tray was opened has come to its end. */
static bool is_opened(struct vdev *d)
{
	struct vide *v = vide_of(d);
	uint64_t flags = host_lock(d);
	bool opened = !v->stepping || v->steps != v->tray_step;

	host_unlock(d, flags);
	return opened;
}

static int vide_tray(struct vdev *d, unsigned medium, enum host_tray what)
{
	struct vide *v = vide_of(d);
	struct host_media_facts f;
	struct vata_drive *drive;
	uint64_t flags;
	int err = 0;

	host_media_facts(d, medium, &f);
	flags = host_lock(d);
	drive = &v->channel[medium / VIDE_UNITS].unit[medium % VIDE_UNITS].drive;
	if (what == HOST_TRAY_LOAD)
		vata_insert(drive, f.size / VATA_SECTOR, f.open);
	else
		err = vata_eject(drive, what == HOST_TRAY_FORCE);
	v->tray_step = v->steps;
	host_unlock(d, flags);
	host_wait_until(d, is_opened);
	return err;
}

/* ---- reset ---- */

static void drive_facts(struct vdev *d, unsigned n, struct vata_drive *drive)
{
	struct host_media_facts f;

	host_media_facts(d, n, &f);
	*drive = (struct vata_drive){
		.present = f.kind == HOST_MEDIA_DISK, .packet = f.optical, .parallel = true,
		.read_only = f.read_only || f.optical, .sectors = f.size / VATA_SECTOR,
		.open = f.open,
	};
	memcpy(drive->name, f.name, sizeof(drive->name));
	vata_reset(drive);
}

static void vide_reset(struct vdev *d)
{
	struct vide *v = vide_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned i = 0; i < VIDE_CHANNELS; i++) {
		v->channel[i].phase = IDE_IDLE;
		v->channel[i].round++;
	}
	host_unlock(d, flags);
	host_wait_until(d, is_resting);
	flags = host_lock(d);
	for (unsigned i = 0; i < VIDE_CHANNELS * VIDE_UNITS; i++)
		drive_facts(d, i, &v->channel[i / VIDE_UNITS].unit[i % VIDE_UNITS].drive);
	for (unsigned i = 0; i < VIDE_CHANNELS; i++) {
		vide_clear(&v->channel[i]);
		vide_line(v, &v->channel[i]);
	}
	v->run.channel = 0;
	host_timer_cancel(d, IDE_RETRY_TIMER);
	host_unlock(d, flags);
	vpci_function_reset(&v->function);
}

/* ---- saved form ---- */

static void save_unit(const struct ide_unit *u, struct record_writer *w)
{
	vata_save(&u->drive, w);
	record_put_u16(w, u->features);
	record_put_u16(w, u->count);
	record_put_u64(w, u->lba);
	record_put_u8(w, u->device);
	record_put_u8(w, u->status);
	record_put_u8(w, u->error);
}

static void save_operation(const struct vata_operation *op, struct record_writer *w)
{
	record_put_u8(w, (uint8_t)op->what);
	record_put_bool(w, op->flush);
	record_put_u8(w, op->status);
	record_put_u8(w, op->error);
	record_put_u8(w, op->count);
	record_put_u64(w, op->lba);
	record_put_u64(w, op->offset);
	record_put_u64(w, op->size);
	record_put_u32(w, op->block);
}

/* A buffer's bytes as far as there are any: those that were taken, too, of a block that is not. */
static void save_channel(const struct ide_channel *c, struct record_writer *w)
{
	bool busy = c->phase != IDE_IDLE;

	for (unsigned i = 0; i < VIDE_UNITS; i++)
		save_unit(&c->unit[i], w);
	record_put_bool(w, c->second);
	record_put_bool(w, c->interrupt);
	record_put_u8(w, c->control);
	record_put_u8(w, c->phase);
	record_put_u8(w, c->master);
	record_put_u8(w, c->master_status);
	record_put_u32(w, c->table);
	record_put_u32(w, c->entry);
	record_put_u32(w, c->skip);
	record_put_bool(w, busy && c->dma);
	record_put_bool(w, busy && c->packet);
	record_put_u32(w, busy ? c->limit : 0);
	record_put_u64(w, busy ? c->moved : 0);
	record_put_u32(w, busy ? c->at : 0);
	record_put_u32(w, busy ? c->block : 0);
	record_put_u32(w, busy ? c->end : 0);
	if (!busy)
		return;
	save_operation(&c->op, w);
	record_put(w, c->data, MAX(c->end, c->block));
}

static void vide_save(struct vdev *d, struct record_writer *w)
{
	struct vide *v = vide_of(d);

	for (unsigned i = 0; i < VIDE_CHANNELS; i++)
		save_channel(&v->channel[i], w);
	vpci_function_save(&v->function, w);
}

static void read_unit(struct record_reader *r, struct ide_unit *u)
{
	vata_read(&u->drive, r);
	u->features = record_get_u16(r);
	u->count = record_get_u16(r);
	u->lba = record_get_below(r, 8, BITS(47, 0));
	u->device = record_get_u8(r);
	u->status = record_get_u8(r);
	u->error = record_get_u8(r);
}

static void read_operation(struct record_reader *r, struct vata_operation *op)
{
	op->what = (enum vata_what)record_get_below(r, 1, VATA_FLUSH);
	op->flush = record_get_bool(r);
	op->status = record_get_u8(r);
	op->error = record_get_u8(r);
	op->count = record_get_u8(r);
	op->lba = record_get_below(r, 8, BITS(47, 0));
	op->offset = record_get_u64(r);
	op->size = record_get_u64(r);
	op->block = (uint32_t)record_get_below(r, 4, IDE_BUFFER);
}

/* Does what is done in that phase find what it goes by? */
static bool command_valid(const struct ide_channel *c)
{
	const struct vata_operation *op = &c->op;
	bool reads = op->what == VATA_READ, writes = op->what == VATA_WRITE;

	if (c->moved > op->size || c->at > c->block || c->block > IDE_BUFFER || c->limit & 1)
		return false;
	switch (c->phase) {
	case IDE_IDLE:
		return true;
	case IDE_IN:
		return c->at < c->block && c->block <= c->end &&
		       (c->packet ? c->limit : op->block) &&
		       (reads || (op->what == VATA_ANSWER && c->moved == op->size));
	case IDE_OUT:
		return writes && c->at < c->block && op->block && c->block <= op->size - c->moved;
	case IDE_PACKET:
		return c->packet && c->at < c->block && c->block <= 12 && c->limit;
	case IDE_STORE:
		return writes && c->block && !(c->block % VATA_SECTOR) && op->block &&
		       c->block <= op->size - c->moved;
	case IDE_FETCH:
		return reads && c->moved < op->size && (c->packet ? c->limit : op->block);
	case IDE_DMA:
		return op->what == VATA_ANSWER ? c->at < c->end : (reads || writes) &&
		       c->moved < op->size;
	default:
		return true;
	}
}

/* `c` has the facts of the drives that are there. */
static bool channel_valid(const struct ide_channel *c)
{
	bool busy = c->phase != IDE_IDLE;

	return (!busy || c->unit[c->second].drive.present) && command_valid(c) &&
	       !(c->control & ~(IDE_CONTROL_SILENT | IDE_CONTROL_RESET | IDE_CONTROL_HIGH)) &&
	       !(c->master & ~(MASTER_START | MASTER_TO_MEMORY)) && !(c->table & 3) &&
	       !(c->master_status & ~(MASTER_ACTIVE | MASTER_ERROR | MASTER_INTERRUPT |
				      MASTER_KEPT)) &&
	       c->entry <= IDE_TABLE && c->skip < 0x10000;
}

static void read_channel(struct record_reader *r, struct ide_channel *c)
{
	for (unsigned i = 0; i < VIDE_UNITS; i++)
		read_unit(r, &c->unit[i]);
	c->second = record_get_bool(r);
	c->interrupt = record_get_bool(r);
	c->control = record_get_u8(r);
	c->phase = (uint8_t)record_get_below(r, 1, IDE_PHASES - 1);
	c->master = record_get_u8(r);
	c->master_status = record_get_u8(r);
	c->table = record_get_u32(r);
	c->entry = record_get_u32(r);
	c->skip = record_get_u32(r);
	c->dma = record_get_bool(r);
	c->packet = record_get_bool(r);
	c->limit = (uint32_t)record_get_below(r, 4, 0xfffe);
	c->moved = record_get_u64(r);
	c->at = record_get_u32(r);
	c->block = (uint32_t)record_get_below(r, 4, IDE_BUFFER);
	c->end = (uint32_t)record_get_below(r, 4, IDE_BUFFER);
	memset(&c->op, 0, offsetof(struct vata_operation, buffer));
	if (c->phase == IDE_IDLE && (c->dma || c->packet || c->limit || c->moved || c->at ||
				     c->block || c->end))
		r->error = -EINVAL;
	if (c->phase == IDE_IDLE)
		return;
	read_operation(r, &c->op);
	record_get(r, c->data, MAX(c->end, c->block));
}

struct saved {
	struct ide_channel channel[VIDE_CHANNELS];
	struct vpci_saved function;
};

/* The discs that lie there now are what the commands under way began with. */
static void commit(struct vide *v, const struct saved *s)
{
	for (unsigned i = 0; i < VIDE_CHANNELS; i++) {
		struct ide_channel *c = &v->channel[i];

		*c = s->channel[i];
		c->note = 0;
		c->round++;
		c->op.round = c->unit[c->second].drive.round;
		for (unsigned u = 0; u < VIDE_UNITS; u++)
			if (c->unit[u].drive.packet)
				host_media_tray(&v->dev, i * VIDE_UNITS + u,
						c->unit[u].drive.open);
		vide_line(v, c);
	}
	host_timer_cancel(&v->dev, IDE_RETRY_TIMER);
}

static int vide_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vide *v = vide_of(d);
	struct saved *s = host_alloc(sizeof(*s));
	bool valid = true;
	uint64_t flags;

	if (!s)
		return -ENOMEM;
	for (unsigned i = 0; i < VIDE_CHANNELS; i++) {
		s->channel[i] = v->channel[i];
		read_channel(r, &s->channel[i]);
		valid &= channel_valid(&s->channel[i]);
	}
	vpci_function_read(&v->function, r, &s->function);
	if (version != d->ops->version || record_finish(r) || !valid) {
		host_free(s);
		return -EINVAL;
	}
	host_wait_until(d, is_resting);
	flags = host_lock(d);
	commit(v, s);
	host_unlock(d, flags);
	vpci_function_commit(&v->function, &s->function);
	host_free(s);
	host_work_queue(d);
	return 0;
}

/* ---- life ---- */

/* It may be a bus master now, which a command has waited for. */
static void config_written(struct vpci_function *f, unsigned offset, unsigned size)
{
	if (range_within(PCI_COMMAND, 1, offset, size) && vpci_function_is_master(f))
		host_work_queue(f->owner);
}

static void vide_timer(struct vdev *d, unsigned timer)
{
	(void)timer;
	host_work_queue(d);
}

static void vide_destroy(struct vdev *d)
{
	vpci_function_fini(vide_function(d));
	host_free(vide_of(d));
}

static const struct vdev_ops vide_ops = {
	.name = "vide", .version = 1, .read = vide_read, .write = vide_write, .reset = vide_reset,
	.read_string = vide_read_string, .write_string = vide_write_string,
	.save = vide_save, .load = vide_load, .destroy = vide_destroy,
	.timer = vide_timer, .work = vide_run_work, .media_tray = vide_tray,
};

/* Its ports answer always; drivers look whether firmware has set the bits that say so. */
int vide_create(struct vdev **out)
{
	struct vide *v = host_alloc(sizeof(*v));
	struct vpci_function *f;

	if (!v)
		return -ENOMEM;
	v->dev.ops = &vide_ops;
	f = &v->function;
	vpci_function_init(f, &v->dev, 0x8086, 0x7010, 0x01018000, 0x1af4, 0x1100);
	f->written = config_written;
	vpci_function_bar(f, 4, (struct vpci_bar){ .size = VIDE_MASTER_SIZE, .space = HOST_PORT,
		.region = VIDE_MASTER });
	for (unsigned i = 0; i < VIDE_CHANNELS; i++) {
		f->config[REG_TIMINGS + 2 * i + 1] = TIMINGS_DECODE;
		memset(f->writable + REG_TIMINGS + 2 * i, 0xff, 2);
	}
	*out = &v->dev;
	return 0;
}
