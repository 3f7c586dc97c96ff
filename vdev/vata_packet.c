/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vata.h: packets that a CD-ROM takes, a table of them. An answer is made whole and cut to what
 * the packet allows. What failed is kept as sense data until it is asked for. The tray is opened
 * and shut by the guest, which may hold it shut, and by whoever administers the machine, who alone
 * puts something else into it.
 */
#include "vdev/vata.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

#define REASON_DONE	3		/* count register: no data, the command is complete */
#define LEAD_OUT	0xaa
#define TOC_SIZE	20
#define CD_SECTORS	450000u		/* more are a DVD */
#define PROFILE_CD	0x0008
#define PROFILE_DVD	0x0010

enum { SENSE_NOT_READY = 2, SENSE_ILLEGAL = 5, SENSE_ATTENTION = 6 };

struct packet_row {
	uint8_t code;
	bool at_once;			/* though there is something to be told */
	bool wants_disc;
	void (*handle)(struct vata_drive *d, const uint8_t *p, struct vata_operation *op);
};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static bool has_disc(const struct vata_drive *d)
{
	return !d->open && d->sectors >= VATA_DISC_SECTOR / VATA_SECTOR;
}

static void sense(struct vata_drive *d, struct vata_operation *op, uint8_t key, uint8_t code,
		  uint8_t qualifier)
{
	memcpy(d->sense, (uint8_t[]){ key, code, qualifier }, 3);
	vata_fail(op, (uint8_t)(key << 4 | VATA_ERROR_ABORT));
}

static void bad_field(struct vata_drive *d, struct vata_operation *op)
{
	sense(d, op, SENSE_ILLEGAL, 0x24, 0);
}

/* `size` bytes of an answer, as many of them as are wanted. */
static void answer(struct vata_operation *op, unsigned size, unsigned wanted)
{
	op->size = MIN(size, wanted);
	op->what = op->size ? VATA_ANSWER : VATA_DONE;
}

static uint32_t disc_sectors(const struct vata_drive *d)
{
	return (uint32_t)MIN(d->sectors / (VATA_DISC_SECTOR / VATA_SECTOR), 0xffffffff0ul >> 4);
}

/* ---- what it is ---- */

static void test_ready(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	(void)d, (void)p, (void)op;
}

static void request_sense(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	uint8_t *b = op->buffer;

	if (d->attention)
		memcpy(d->sense, (uint8_t[]){ SENSE_ATTENTION, d->attention, 0 }, 3);
	d->attention = 0;
	b[0] = 0x70;
	b[2] = d->sense[0];
	b[7] = 10;
	b[12] = d->sense[1];
	b[13] = d->sense[2];
	memset(d->sense, 0, sizeof(d->sense));
	answer(op, 18, p[4]);
}

static void put_spaced(uint8_t *to, const char *text, unsigned n)
{
	memset(to, ' ', n);
	memcpy(to, text, strlen(text));
}

static void inquiry(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	uint8_t *b = op->buffer;

	if (p[1] & 1 || p[2]) {
		bad_field(d, op);
		return;
	}
	b[0] = 5;			/* a CD-ROM */
	b[1] = 0x80;			/* the medium may be taken out */
	b[3] = 0x21;
	b[4] = 31;
	put_spaced(b + 8, "KEEL", 8);
	put_spaced(b + 16, "DVD-ROM", 16);
	put_spaced(b + 32, "1.0", 4);
	answer(op, 36, get16(p + 3));
}

/* A header of a feature, and where the next one goes. */
static uint8_t *feature(uint8_t *b, uint16_t code, uint8_t flags, uint8_t size)
{
	put16(b, code);
	b[2] = flags;
	b[3] = size;
	return b + 4 + size;
}

static void get_configuration(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	uint8_t *b = op->buffer, *at = b + 8;
	unsigned first = get16(p + 2), type = p[1] & 3;
	uint16_t now = disc_sectors(d) > CD_SECTORS ? PROFILE_DVD : PROFILE_CD;

	if (type == 3) {
		bad_field(d, op);
		return;
	}
	put16(b + 6, has_disc(d) ? now : 0);
	if (first == 0) {		/* profiles */
		put16(at + 4, PROFILE_DVD);
		at[6] = has_disc(d) && now == PROFILE_DVD;
		put16(at + 8, PROFILE_CD);
		at[10] = has_disc(d) && now == PROFILE_CD;
		at = feature(at, 0, 3, 8);
	}
	if (type == 2 ? first == 1 : first <= 1) {	/* core: ATAPI */
		put32(at + 4, 2);
		at[8] = 1;
		at = feature(at, 1, 0x0b, 8);
	}
	if (type == 2 ? first == 3 : first <= 3) {	/* a tray that can be locked */
		at[4] = 0x29;
		at = feature(at, 3, 3, 4);
	}
	put32(b, (uint32_t)(at - b) - 4);
	answer(op, (unsigned)(at - b), get16(p + 7));
}

/* Page 1: errors; 2Ah: what it can do. */
static void mode_sense(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	unsigned page = p[2] & 0x3f, control = p[2] >> 6, n = 8;
	uint8_t *b = op->buffer;

	if (control == 3) {
		sense(d, op, SENSE_ILLEGAL, 0x39, 0);	/* nothing is saved */
		return;
	}
	b[2] = d->open ? 0x71 : has_disc(d) ? 0x01 : 0x70;
	if (page == 0x01 || page == 0x3f) {
		b[n] = 0x01;
		b[n + 1] = 6;
		b[n + 3] = control == 1 ? 0 : 5;
		n += 8;
	}
	if (page == 0x2a || page == 0x3f) {
		uint8_t *q = b + n;

		q[0] = 0x2a;
		q[1] = 18;
		if (control != 1) {
			q[2] = 0x08;	/* reads DVD-ROM */
			q[4] = 0x40;	/* several sessions */
			q[6] = (uint8_t)(0x29 | d->locked << 1);
			put16(q + 8, 706);
			put16(q + 12, 512);
			put16(q + 14, 706);
		}
		n += 20;
	}
	if (n == 8) {
		bad_field(d, op);
		return;
	}
	put16(b, n - 2);
	answer(op, n, get16(p + 7));
}

/* Asked for, not waited for; of media alone. An event is told once. */
static void event_status(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	uint8_t *b = op->buffer;
	bool media = p[4] & 0x10;

	if (!(p[1] & 1)) {
		bad_field(d, op);
		return;
	}
	put16(b, media ? 6 : 2);
	b[2] = media ? 4 : 0x80;	/* 80h: none of those classes */
	b[3] = 0x10;
	if (media) {
		b[4] = d->event;
		d->event = VATA_EVENT_NONE;
		b[5] = (uint8_t)(d->open | has_disc(d) << 1);
	}
	answer(op, media ? 8 : 4, get16(p + 7));
}

static void mechanism_status(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	op->buffer[1] = (uint8_t)(d->open << 4);
	op->buffer[5] = 1;		/* slots */
	answer(op, 8, get16(p + 8));
}

/* ---- the disc ---- */

static void read_capacity(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	(void)p;
	put32(op->buffer, disc_sectors(d) - 1);
	put32(op->buffer + 4, VATA_DISC_SECTOR);
	answer(op, 8, 8);
}

static void put_address(uint8_t *to, uint32_t sector, bool msf)
{
	uint32_t frame = sector + 150;

	if (!msf) {
		put32(to, sector);
		return;
	}
	to[1] = (uint8_t)(frame / 75 / 60);
	to[2] = (uint8_t)(frame / 75 % 60);
	to[3] = (uint8_t)(frame % 75);
}

static uint8_t *toc_entry(uint8_t *b, uint8_t track, uint32_t sector, bool msf)
{
	b[1] = 0x14;			/* data */
	b[2] = track;
	put_address(b + 4, sector, msf);
	return b + 8;
}

/* One track, one session. */
static void read_toc(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	uint8_t *b = op->buffer, *at = b + 4, first = p[6];
	unsigned format = p[2] & 0xf ?: p[9] >> 6;
	bool msf = p[1] & 2;

	if (format > 1 || (format == 0 && first > 1 && first != LEAD_OUT)) {
		bad_field(d, op);
		return;
	}
	b[2] = b[3] = 1;
	if (format == 1 || first <= 1)
		at = toc_entry(at, 1, 0, msf);
	if (format == 0)
		at = toc_entry(at, LEAD_OUT, disc_sectors(d), msf);
	put16(b, (uint32_t)(at - b) - 2);
	answer(op, (unsigned)(at - b), get16(p + 7));
}

static void read_sectors(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	uint64_t lba = get32(p + 2), n = p[0] == 0xa8 ? get32(p + 6) : get16(p + 7);

	if (!range_within(lba, n, 0, disc_sectors(d))) {
		sense(d, op, SENSE_ILLEGAL, 0x21, 0);
		return;
	}
	op->what = n ? VATA_READ : VATA_DONE;
	op->offset = lba * VATA_DISC_SECTOR;
	op->size = n * VATA_DISC_SECTOR;
}

static void seek(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	if (get32(p + 2) >= disc_sectors(d))
		sense(d, op, SENSE_ILLEGAL, 0x21, 0);
}

/* ---- the tray ---- */

static void prevent_removal(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	(void)op;
	d->locked = p[4] & 1;
}

static void start_stop(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	bool load = p[4] & 1, tray = p[4] & 2;

	if (p[4] >> 4 || !tray)		/* power, or the motor alone */
		return;
	if (!load && d->locked) {
		sense(d, op, d->open ? SENSE_NOT_READY : SENSE_ILLEGAL, 0x53, 2);
		return;
	}
	if (load && d->open)
		vata_insert(d, d->sectors, false);
	if (!load && !d->open) {
		d->open = true;
		d->round++;
	}
}

int vata_eject(struct vata_drive *d, bool force)
{
	if (d->open)
		return 0;
	if (d->locked && !force) {
		d->event = VATA_EVENT_WANTED;
		return -EBUSY;
	}
	d->event = d->sectors ? VATA_EVENT_WENT : VATA_EVENT_NONE;
	d->open = true;
	d->round++;
	return 0;
}

void vata_insert(struct vata_drive *d, uint64_t sectors, bool open)
{
	d->sectors = sectors;
	d->open = open;
	d->round++;
	if (!has_disc(d))
		return;
	d->attention = VATA_CHANGED;
	d->event = VATA_EVENT_CAME;
}

bool vata_disc_gone(struct vata_drive *d, struct vata_operation *op)
{
	if (!d->packet || op->round == d->round)
		return false;
	if (has_disc(d))
		sense(d, op, SENSE_ATTENTION, VATA_CHANGED, 0);
	else
		sense(d, op, SENSE_NOT_READY, 0x3a, d->open ? 2 : 1);
	return true;
}

static const struct packet_row rows[] = {
	{ .code = 0x00, .wants_disc = true, .handle = test_ready },
	{ .code = 0x03, .at_once = true, .handle = request_sense },
	{ .code = 0x12, .at_once = true, .handle = inquiry },
	{ .code = 0x1b, .handle = start_stop },
	{ .code = 0x1e, .handle = prevent_removal },
	{ .code = 0x25, .wants_disc = true, .handle = read_capacity },
	{ .code = 0x28, .wants_disc = true, .handle = read_sectors },
	{ .code = 0x2b, .wants_disc = true, .handle = seek },
	{ .code = 0x43, .wants_disc = true, .handle = read_toc },
	{ .code = 0x46, .at_once = true, .handle = get_configuration },
	{ .code = 0x4a, .at_once = true, .handle = event_status },
	{ .code = 0x5a, .handle = mode_sense },
	{ .code = 0xa8, .wants_disc = true, .handle = read_sectors },
	{ .code = 0xbd, .handle = mechanism_status },
};

static const struct packet_row *find(uint8_t code)
{
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

void vata_packet(struct vata_drive *d, const uint8_t *p, struct vata_operation *op)
{
	const struct packet_row *row = find(p[0]);

	memset(op->buffer, 0, 64);
	op->count = REASON_DONE;
	if (!row) {
		sense(d, op, SENSE_ILLEGAL, 0x20, 0);
	} else if (d->attention && !row->at_once) {
		sense(d, op, SENSE_ATTENTION, d->attention, 0);
		d->attention = 0;
	} else if (row->wants_disc && !has_disc(d)) {
		sense(d, op, SENSE_NOT_READY, 0x3a, d->open ? 2 : 1);
	} else {
		row->handle(d, p, op);
	}
}
