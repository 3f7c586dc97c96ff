/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vata.h: a disk's commands, one table of them, and what disk and CD-ROM have in common. All
 * commands with 28 and 48 bits of address share their code: a row says how wide it is.
 */
#include "vdev/vata.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

#define MULTIPLE_MAX	16u
#define HEADS		16u		/* the geometry of a disk after a reset */
#define TRACK		63u
#define TRIM_BLOCKS	(VATA_BUFFER / VATA_SECTOR)
#define TRIM_RANGE	8u		/* bytes of one */
#define DEVICE_LBA	0x40
#define DEVICE_FUA	0x80		/* of a queued write */
#define LBA28_BITS	BITS(27, 0)
#define LBA48_BITS	BITS(47, 0)
#define LOG_DIRECTORY	0x00
#define LOG_QUEUE	0x10

struct row {
	uint8_t code;
	bool wide;			/* 48 bits of address, 16 of count */
	bool pio, flush, write;
	bool serial;			/* of SATA alone */
	void (*handle)(struct vata_drive *d, const struct row *row,
		       const struct vata_registers *r, struct vata_operation *op);
};

void vata_fail(struct vata_operation *op, uint8_t error)
{
	op->what = VATA_DONE;
	op->status = VATA_STATUS_READY | VATA_STATUS_ERROR;
	op->error = error;
}

/* ---- reading and writing ---- */

/* The command's sectors, 1 at least: a count of 0 is the largest. */
static uint64_t sectors_of(const struct row *row, const struct vata_registers *r)
{
	uint64_t n = row->wide ? r->count : r->count & 0xff;

	return n ?: row->wide ? 0x10000 : 0x100;
}

static uint64_t lba_of(const struct row *row, const struct vata_registers *r)
{
	if (row->wide)
		return r->lba & LBA48_BITS;
	return (r->lba & BITS(23, 0)) | (uint64_t)(r->device & 0xf) << 24;
}

/* By cylinder, head and sector, which counts from 1; beyond the end if there is no such one. */
static uint64_t chs_of(const struct vata_drive *d, const struct vata_registers *r)
{
	uint64_t cylinder = r->lba >> 8 & 0xffff, sector = r->lba & 0xff;
	unsigned head = r->device & 0xf;

	if (!sector || sector > d->track || head >= d->heads)
		return d->sectors;
	return (cylinder * d->heads + head) * d->track + sector - 1;
}

static void place(const struct vata_drive *d, struct vata_operation *op, enum vata_what what,
		  uint64_t lba, uint64_t sectors)
{
	if (!range_within(lba, sectors, 0, d->sectors)) {
		vata_fail(op, VATA_ERROR_NO_SECTOR);
		return;
	}
	if (what == VATA_WRITE && d->read_only) {
		vata_fail(op, VATA_ERROR_ABORT);
		return;
	}
	op->what = what;
	op->offset = lba * VATA_SECTOR;
	op->size = sectors * VATA_SECTOR;
}

/* Addresses by cylinder, head and sector are those of 28 bits alone, and no SATA disk's. */
static void transfer(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		     struct vata_operation *op)
{
	op->pio = row->pio;
	op->flush = row->flush;
	op->block = VATA_SECTOR;
	if (r->device & DEVICE_LBA)
		place(d, op, row->write ? VATA_WRITE : VATA_READ, lba_of(row, r),
		      sectors_of(row, r));
	else if (d->parallel && !row->wide)
		place(d, op, row->write ? VATA_WRITE : VATA_READ, chs_of(d, r), sectors_of(row, r));
	else
		vata_fail(op, VATA_ERROR_ABORT);
}

/* In blocks, the size of which must have been set. */
static void transfer_multiple(struct vata_drive *d, const struct row *row,
			      const struct vata_registers *r, struct vata_operation *op)
{
	if (d->multiple)
		transfer(d, row, r, op);
	else
		vata_fail(op, VATA_ERROR_ABORT);
	op->block = d->multiple * VATA_SECTOR;
}

static void verify(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		   struct vata_operation *op)
{
	transfer(d, row, r, op);
	op->what = VATA_DONE;
}

/* The tag is in the count register, the count in that of features. */
static void transfer_queued(struct vata_drive *d, const struct row *row,
			    const struct vata_registers *r, struct vata_operation *op)
{
	op->queued = true;
	op->tag = (uint8_t)(r->count >> 3 & (VATA_TAGS - 1));
	op->flush = row->write && r->device & DEVICE_FUA;
	place(d, op, row->write ? VATA_WRITE : VATA_READ, r->lba & LBA48_BITS,
	      r->features ?: 0x10000);
}

static void flush(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		  struct vata_operation *op)
{
	(void)d, (void)row, (void)r;
	op->what = VATA_FLUSH;
}

static void trim(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		 struct vata_operation *op)
{
	(void)row;
	if (d->read_only || r->features != 1 || !r->count || r->count > TRIM_BLOCKS) {
		vata_fail(op, VATA_ERROR_ABORT);
		return;
	}
	op->what = VATA_TRIM;
	op->size = r->count * VATA_SECTOR;
}

bool vata_trim_range(const struct vata_drive *d, const struct vata_operation *op, unsigned n,
	uint64_t *offset, uint64_t *size)
{
	uint64_t range;

	memcpy(&range, op->buffer + n * TRIM_RANGE, sizeof(range));
	*offset = (range & LBA48_BITS) * VATA_SECTOR;
	*size = (range >> 48) * VATA_SECTOR;
	return !*size || range_within(*offset, *size, 0, d->sectors * VATA_SECTOR);
}

/* ---- what a disk tells of itself ---- */

static void put_word(uint8_t *to, unsigned word, uint16_t v)
{
	to[2 * word] = (uint8_t)v;
	to[2 * word + 1] = (uint8_t)(v >> 8);
}

/* Each word's two bytes in turn, spaces behind it. */
static void put_text(uint8_t *to, const char *text, unsigned size)
{
	for (unsigned i = 0; i < size; i++) {
		to[i ^ 1] = (uint8_t)(*text ? *text : ' ');
		text += *text != 0;
	}
}

struct word {
	uint8_t at;
	uint16_t value;
};

static const struct word disk_words[] = {
	{ 0, 0x0040 }, { 3, HEADS }, { 6, TRACK }, { 47, 0x8000 | MULTIPLE_MAX },
	{ 49, 0x0b00 },			/* IORDY, LBA, DMA */
	{ 50, 0x4000 }, { 53, 7 }, { 63, 7 }, { 64, 3 }, { 65, 120 },
	{ 66, 120 }, { 67, 120 }, { 68, 120 }, { 75, VATA_TAGS - 1 },
	{ 76, 0x0102 },			/* NCQ, 1.5 Gb/s */
	{ 80, 0x01f0 },
	{ 82, 0x0068 }, { 83, 0x7400 },	/* power, cache, look-ahead; 48 bits, FLUSH CACHE (EXT) */
	{ 84, 0x4060 },			/* logs, FUA */
	{ 86, 0x3400 }, { 87, 0x4060 }, { 88, 0x203f }, { 106, 0x6003 }, { 217, 1 },
	{ 222, 0x1010 },
};

static void put_words(uint8_t *to, const struct word *w, unsigned n)
{
	for (; n--; w++)
		put_word(to, w->at, w->value);
}

static void identify_names(const struct vata_drive *d, uint8_t *b)
{
	put_text(b + 20, d->name, 20);
	put_text(b + 46, "1.0", 8);
	put_text(b + 54, d->packet ? "KEEL DVD-ROM" : "KEEL HARDDISK", 40);
}

static void put_size(uint8_t *b, const struct vata_drive *d)
{
	uint64_t sectors = d->sectors, small = MIN(sectors, LBA28_BITS);
	uint64_t cylinders = MIN(sectors / (HEADS * TRACK), 16383ul);
	uint64_t now = MIN(sectors / (d->heads * d->track), 65535ul);

	put_word(b, 1, (uint16_t)cylinders);
	put_word(b, 54, (uint16_t)now);
	put_word(b, 55, d->heads);
	put_word(b, 56, d->track);
	memcpy(b + 2 * 57, &(uint32_t){ (uint32_t)(now * d->heads * d->track) }, 4);
	memcpy(b + 2 * 60, &small, 4);
	memcpy(b + 2 * 100, &sectors, 8);
}

/* What a drive at an IDE cable has else; word 93: that it was found by reset, and 80 wires. */
static void make_parallel(const struct vata_drive *d, uint8_t *b)
{
	static const struct word words[] = {
		{ 75, 0 }, { 76, 0 }, { 84, 0x4040 }, { 87, 0x4040 }, { 93, 0x600b }, { 105, 0 },
		{ 169, 0 }, { 222, 0 },
	};

	if (d->parallel)
		put_words(b, words + (d->packet ? 4 : 0), ARRAY_COUNT(words) - (d->packet ? 4 : 0));
	if (d->parallel && d->packet)
		put_word(b, 76, 0);
}

/* All bytes and this one sum up to 0. */
static void seal(uint8_t *b)
{
	uint8_t sum = b[510] = 0xa5;

	for (unsigned i = 0; i < 510; i++)
		sum = (uint8_t)(sum + b[i]);
	b[511] = (uint8_t)-sum;
}

static uint8_t *answer(struct vata_operation *op, unsigned size)
{
	op->what = VATA_ANSWER;
	op->size = op->block = size;
	memset(op->buffer, 0, size);
	return op->buffer;
}

static void identify(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		     struct vata_operation *op)
{
	uint8_t *b = answer(op, 512);

	(void)r;
	op->pio = row->pio;
	put_words(b, disk_words, ARRAY_COUNT(disk_words));
	identify_names(d, b);
	put_size(b, d);
	if (d->multiple)
		put_word(b, 59, 0x0100 | d->multiple);
	put_word(b, 85, (uint16_t)(0x0008 | d->write_cache << 5 | d->look_ahead << 6));
	if (!d->read_only) {
		put_word(b, 105, TRIM_BLOCKS);
		put_word(b, 169, 1);
	}
	make_parallel(d, b);
	seal(b);
}

/* Of the directory and the one log there is. */
static void read_log(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		     struct vata_operation *op)
{
	uint8_t log = r->lba & 0xff, *b;

	if (r->count != 1 || r->lba & 0xff00 || (log != LOG_DIRECTORY && log != LOG_QUEUE)) {
		vata_fail(op, VATA_ERROR_ABORT);
		return;
	}
	op->pio = row->pio;
	b = answer(op, 512);
	if (log == LOG_DIRECTORY) {
		put_word(b, 0, 1);
		put_word(b, LOG_QUEUE, 1);
		return;
	}
	b[0] = d->queue_failed ? d->queue_tag : 0x80;
	b[2] = VATA_STATUS_READY | VATA_STATUS_ERROR;
	b[3] = d->queue_error;
	for (unsigned i = 0; i < 3; i++) {
		b[4 + i] = (uint8_t)(d->queue_lba >> 8 * i);
		b[8 + i] = (uint8_t)(d->queue_lba >> 8 * (3 + i));
	}
	for (unsigned i = 0; i < 511; i++)
		b[511] = (uint8_t)(b[511] - b[i]);
	d->queue_failed = false;
}

static void native_max(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		       struct vata_operation *op)
{
	(void)r;
	op->lba = d->sectors - 1;
	if (!row->wide)
		op->lba = MIN(op->lba, LBA28_BITS);
}

/* ---- settings ---- */

static void set_multiple(struct vata_drive *d, const struct row *row,
			 const struct vata_registers *r, struct vata_operation *op)
{
	uint8_t n = r->count & 0xff;

	(void)row;
	if (n > MULTIPLE_MAX || n & (n - 1))
		vata_fail(op, VATA_ERROR_ABORT);
	else
		d->multiple = n;
}

/* The transfer mode is SATA's affair: any will do. */
static void set_features(struct vata_drive *d, const struct row *row,
			 const struct vata_registers *r, struct vata_operation *op)
{
	(void)row;
	switch (r->features & 0xff) {
	case 0x02:
	case 0x82:
		d->write_cache = !(r->features & 0x80);
		op->what = d->write_cache ? VATA_DONE : VATA_FLUSH;
		break;
	case 0x55:
	case 0xaa:
		d->look_ahead = r->features & 0x80;
		break;
	case 0x03:
	case 0x66:
	case 0xcc:
		break;
	default:
		vata_fail(op, VATA_ERROR_ABORT);
	}
}

static void power(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		  struct vata_operation *op)
{
	(void)r;
	d->standby = row->write;
	op->what = row->write && !d->packet ? VATA_FLUSH : VATA_DONE;
}

static void check_power(struct vata_drive *d, const struct row *row,
			const struct vata_registers *r, struct vata_operation *op)
{
	(void)row, (void)r;
	op->count = d->standby ? 0 : 0xff;
}

/* Its geometry, which CHS addresses go by. */
static void set_geometry(struct vata_drive *d, const struct row *row,
			 const struct vata_registers *r, struct vata_operation *op)
{
	(void)row;
	if (!(r->count & 0xff)) {
		vata_fail(op, VATA_ERROR_ABORT);
		return;
	}
	d->heads = (r->device & 0xf) + 1;
	d->track = (uint8_t)r->count;
}

static void nothing(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		    struct vata_operation *op)
{
	(void)d, (void)row, (void)r, (void)op;
}

static void diagnose(struct vata_drive *d, const struct row *row, const struct vata_registers *r,
		     struct vata_operation *op)
{
	(void)row, (void)r;
	vata_signature(d, op);
}

/* ---- commands ---- */

static const struct row disk_rows[] = {
	{ .code = 0x06, .wide = true, .serial = true, .handle = trim },
	{ .code = 0x10, .handle = nothing },			/* recalibrate */
	{ .code = 0x20, .pio = true, .handle = transfer },
	{ .code = 0x21, .pio = true, .handle = transfer },	/* without retries, as some more */
	{ .code = 0x24, .wide = true, .pio = true, .handle = transfer },
	{ .code = 0x25, .wide = true, .handle = transfer },
	{ .code = 0x27, .wide = true, .handle = native_max },
	{ .code = 0x29, .wide = true, .pio = true, .handle = transfer_multiple },
	{ .code = 0x2f, .wide = true, .serial = true, .pio = true, .handle = read_log },
	{ .code = 0x30, .pio = true, .write = true, .handle = transfer },
	{ .code = 0x31, .pio = true, .write = true, .handle = transfer },
	{ .code = 0x34, .wide = true, .pio = true, .write = true, .handle = transfer },
	{ .code = 0x35, .wide = true, .write = true, .handle = transfer },
	{ .code = 0x39, .wide = true, .pio = true, .write = true, .handle = transfer_multiple },
	{ .code = 0x3d, .wide = true, .write = true, .flush = true, .handle = transfer },
	{ .code = 0x40, .handle = verify },
	{ .code = 0x41, .handle = verify },
	{ .code = 0x42, .wide = true, .handle = verify },
	{ .code = 0x47, .wide = true, .serial = true, .handle = read_log },
	{ .code = 0x60, .wide = true, .serial = true, .handle = transfer_queued },
	{ .code = 0x61, .wide = true, .serial = true, .write = true, .handle = transfer_queued },
	{ .code = 0x90, .handle = diagnose },
	{ .code = 0x70, .handle = nothing },			/* seek */
	{ .code = 0x91, .handle = set_geometry },
	{ .code = 0xc4, .pio = true, .handle = transfer_multiple },
	{ .code = 0xc5, .pio = true, .write = true, .handle = transfer_multiple },
	{ .code = 0xc6, .handle = set_multiple },
	{ .code = 0xc8, .handle = transfer },
	{ .code = 0xc9, .handle = transfer },
	{ .code = 0xca, .write = true, .handle = transfer },
	{ .code = 0xcb, .write = true, .handle = transfer },
	{ .code = 0xce, .wide = true, .pio = true, .write = true, .flush = true,
	  .handle = transfer_multiple },
	{ .code = 0xe0, .write = true, .handle = power },	/* write: into standby */
	{ .code = 0xe1, .handle = power },
	{ .code = 0xe2, .write = true, .handle = power },
	{ .code = 0xe3, .handle = power },
	{ .code = 0xe5, .handle = check_power },
	{ .code = 0xe7, .handle = flush },
	{ .code = 0xea, .wide = true, .handle = flush },
	{ .code = 0xec, .pio = true, .handle = identify },
	{ .code = 0xef, .handle = set_features },
	{ .code = 0xf8, .handle = native_max },
};

static const struct word disc_words[] = {
	{ 0, 0x85c0 }, { 49, 0x0b00 }, { 53, 7 }, { 63, 7 }, { 64, 3 }, { 65, 180 }, { 66, 180 },
	{ 67, 180 }, { 68, 180 }, { 71, 30 }, { 72, 30 }, { 76, 0x0002 }, { 80, 0x01f0 },
	{ 82, 0x0018 }, { 83, 0x4000 }, { 84, 0x4000 }, { 85, 0x0018 }, { 87, 0x4000 },
	{ 88, 0x203f }, { 222, 0x1010 },
};

static void identify_disc(struct vata_drive *d, const struct row *row,
			  const struct vata_registers *r, struct vata_operation *op)
{
	uint8_t *b = answer(op, 512);

	(void)r;
	op->pio = row->pio;
	put_words(b, disc_words, ARRAY_COUNT(disc_words));
	identify_names(d, b);
	make_parallel(d, b);
	seal(b);
}

/* It is none of these: the signature says what it is. */
static void refuse_disk(struct vata_drive *d, const struct row *row,
			const struct vata_registers *r, struct vata_operation *op)
{
	(void)row, (void)r;
	vata_signature(d, op);
	vata_fail(op, VATA_ERROR_ABORT);
}

static const struct row disc_rows[] = {
	{ .code = 0x08, .handle = diagnose },
	{ .code = 0x20, .handle = refuse_disk },
	{ .code = 0x90, .handle = diagnose },
	{ .code = 0xa1, .pio = true, .handle = identify_disc },
	{ .code = 0xe0, .write = true, .handle = power },
	{ .code = 0xe1, .handle = power },
	{ .code = 0xe5, .handle = check_power },
	{ .code = 0xec, .handle = refuse_disk },
	{ .code = 0xef, .handle = set_features },
};

static const struct row *find(const struct row *row, unsigned n, uint8_t code)
{
	for (; n--; row++)
		if (row->code == code)
			return row;
	return NULL;
}

#define COMMAND_PACKET	0xa0

void vata_command(struct vata_drive *d, const struct vata_registers *r, const uint8_t *packet,
	struct vata_operation *op)
{
	const struct row *row = d->packet ? find(disc_rows, ARRAY_COUNT(disc_rows), r->command)
					  : find(disk_rows, ARRAY_COUNT(disk_rows), r->command);

	memset(op, 0, offsetof(struct vata_operation, buffer));
	op->what = VATA_DONE;
	op->status = VATA_STATUS_READY;
	op->lba = r->lba & LBA48_BITS;
	op->round = d->round;
	if (d->packet && r->command == COMMAND_PACKET)
		vata_packet(d, packet, op);
	else if (row && !(row->serial && d->parallel))
		row->handle(d, row, r, op);
	else
		vata_fail(op, VATA_ERROR_ABORT);
	if (op->queued && op->status & VATA_STATUS_ERROR)
		vata_failed(d, op, op->error);
}

/* ---- life ---- */

void vata_failed(struct vata_drive *d, struct vata_operation *op, uint8_t error)
{
	vata_fail(op, error);
	if (d->packet) {
		memcpy(d->sense, (uint8_t[]){ 3, 0x11, 0 }, 3);	/* a read error */
		op->error = 3 << 4;
	}
	if (op->queued) {
		d->queue_failed = true;
		d->queue_tag = op->tag;
		d->queue_error = error;
		d->queue_lba = op->lba;
	}
}

void vata_reset(struct vata_drive *d)
{
	d->write_cache = d->look_ahead = true;
	d->standby = d->locked = d->queue_failed = false;
	d->multiple = MULTIPLE_MAX;
	d->heads = HEADS;
	d->track = TRACK;
	if (d->attention != VATA_CHANGED)
		d->attention = d->packet ? VATA_WAS_RESET : 0;
	d->queue_tag = d->queue_error = 0;
	d->queue_lba = 0;
	memset(d->sense, 0, sizeof(d->sense));
}

void vata_signature(const struct vata_drive *d, struct vata_operation *op)
{
	op->what = VATA_DONE;
	op->status = d->packet ? 0 : VATA_STATUS_READY;
	op->error = 1;			/* the drive is well */
	op->count = 1;
	op->lba = d->packet ? 0xeb1401 : 1;
}

void vata_save(const struct vata_drive *d, struct record_writer *w)
{
	record_put_bool(w, d->write_cache);
	record_put_bool(w, d->look_ahead);
	record_put_bool(w, d->standby);
	record_put_u8(w, d->multiple);
	record_put_u8(w, d->heads);
	record_put_u8(w, d->track);
	record_put_u8(w, d->attention);
	record_put_bool(w, d->locked);
	record_put_bool(w, d->open);
	record_put_u8(w, d->event);
	record_put(w, d->sense, sizeof(d->sense));
	record_put_bool(w, d->queue_failed);
	record_put_u8(w, d->queue_tag);
	record_put_u8(w, d->queue_error);
	record_put_u64(w, d->queue_lba);
}

void vata_read(struct vata_drive *d, struct record_reader *r)
{
	d->write_cache = record_get_bool(r);
	d->look_ahead = record_get_bool(r);
	d->standby = record_get_bool(r);
	d->multiple = (uint8_t)record_get_below(r, 1, MULTIPLE_MAX);
	d->heads = (uint8_t)record_get_below(r, 1, HEADS);
	d->track = record_get_u8(r);
	d->attention = record_get_u8(r);
	d->locked = record_get_bool(r);
	d->open = record_get_bool(r);
	d->event = (uint8_t)record_get_below(r, 1, VATA_EVENT_WENT);
	record_get(r, d->sense, sizeof(d->sense));
	d->queue_failed = record_get_bool(r);
	d->queue_tag = (uint8_t)record_get_below(r, 1, VATA_TAGS - 1);
	d->queue_error = record_get_u8(r);
	d->queue_lba = record_get_below(r, 8, LBA48_BITS);
	if (d->multiple & (d->multiple - 1) || !d->heads || !d->track ||
	    (d->attention && d->attention != VATA_CHANGED && d->attention != VATA_WAS_RESET))
		r->error = -EINVAL;
}
