/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vide.h and vide_channel.h: the ports of both channels and of the bus master. A command is
 * done when it is written, as far as it wants neither medium nor memory; data go by the data port
 * from and to the channel's buffer.
 */
#include "vdev/vide.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vide_channel.h"

enum { REG_DATA, REG_FEATURES, REG_COUNT, REG_LBA, REG_DEVICE = 6, REG_COMMAND };

#define DEVICE_SECOND	0x10
#define DEVICE_FIXED	0xa0
#define STATUS_DATA	(VATA_STATUS_READY | VATA_STATUS_DATA)
#define COMMAND_RESET	0x08
#define COMMAND_DIAGNOSE 0x90
#define COMMAND_PACKET	0xa0
#define PACKET_BYTES	12u
#define PACKET_DMA	0x01		/* of the features register */
#define REASON_COMMAND	1		/* of a packet, in the count register */
#define REASON_TO_HOST	2

/* ---- interrupts ---- */

void vide_line(struct vide *v, struct ide_channel *c)
{
	host_line_set(&v->dev, (unsigned)(c - v->channel),
		      c->interrupt && !(c->control & IDE_CONTROL_SILENT));
}

void vide_raise(struct vide *v, struct ide_channel *c)
{
	c->interrupt = true;
	if (!(c->control & IDE_CONTROL_SILENT))
		c->master_status |= MASTER_INTERRUPT;
	vide_line(v, c);
}

/* ---- a command's way ---- */

static void show(struct ide_unit *u, const struct vata_operation *op)
{
	u->status = op->status;
	u->error = op->error;
	u->count = op->count;
	u->lba = op->lba;
}

void vide_complete(struct vide *v, struct ide_channel *c)
{
	c->phase = IDE_IDLE;
	show(vide_unit(c), &c->op);
	vide_raise(v, c);
}

static void await_work(struct ide_channel *c, enum ide_phase phase)
{
	c->phase = (uint8_t)phase;
	vide_unit(c)->status = phase == IDE_DMA ? STATUS_DATA : VATA_STATUS_BUSY;
}

static void await_guest(struct ide_channel *c, enum ide_phase phase, uint32_t bytes)
{
	c->phase = (uint8_t)phase;
	c->block = c->at + bytes;
	vide_unit(c)->status = STATUS_DATA;
}

/* A packet's block is even, but for the last, and tells its length. */
void vide_give_block(struct vide *v, struct ide_channel *c)
{
	struct ide_unit *u = vide_unit(c);
	uint32_t left = c->end - c->at, n = MIN(left, c->packet ? c->limit : c->op.block);

	await_guest(c, IDE_IN, n);
	if (c->packet) {
		u->count = REASON_TO_HOST;
		u->lba = (u->lba & 0xff) | (uint64_t)n << 8;
	}
	vide_raise(v, c);
}

void vide_take_block(struct ide_channel *c)
{
	c->at = 0;
	await_guest(c, IDE_OUT, (uint32_t)MIN(c->op.size - c->moved, c->op.block));
	c->end = c->block;
}

static void begin_answer(struct vide *v, struct ide_channel *c)
{
	c->end = c->block = (uint32_t)MIN(c->op.size, VATA_BUFFER);
	memcpy(c->data, c->op.buffer, c->end);
	c->moved = c->op.size;
	if (c->dma)
		await_work(c, IDE_DMA);
	else
		vide_give_block(v, c);
}

/* What was made of the command is begun. True: there is something for the work. */
static bool begin(struct vide *v, struct ide_channel *c)
{
	c->moved = c->at = c->block = c->end = 0;
	switch (c->op.what) {
	case VATA_ANSWER:
		begin_answer(v, c);
		break;
	case VATA_READ:
		await_work(c, c->dma ? IDE_DMA : IDE_FETCH);
		break;
	case VATA_WRITE:
		if (c->dma)
			await_work(c, IDE_DMA);
		else
			vide_take_block(c);
		break;
	case VATA_FLUSH:
		await_work(c, IDE_FLUSH);
		break;
	default:
		vide_complete(v, c);
	}
	return c->phase >= IDE_DMA;
}

static unsigned medium_of(const struct vide *v, const struct ide_channel *c)
{
	return (unsigned)(c - v->channel) * VIDE_UNITS + c->second;
}

static bool execute(struct vide *v, struct ide_channel *c, uint8_t command)
{
	struct ide_unit *u = vide_unit(c);
	struct vata_registers r = {
		.command = command, .device = u->device, .features = u->features,
		.count = u->count, .lba = u->lba,
	};
	uint8_t packet[VATA_PACKET] = { 0 };
	bool open = u->drive.open;

	if (c->packet)
		memcpy(packet, c->data, PACKET_BYTES);
	vata_command(&u->drive, &r, packet, &c->op);
	if (u->drive.open != open)
		host_media_tray(&v->dev, medium_of(v, c), u->drive.open);
	c->dma = c->packet ? u->features & PACKET_DMA : !c->op.pio;
	return begin(v, c);
}

/* The packet comes by the data port; the guest says how many bytes it takes at once. */
static void await_packet(struct ide_channel *c)
{
	struct ide_unit *u = vide_unit(c);

	c->limit = (uint32_t)(u->lba >> 8 & 0xfffe) ?: 0xfffe;
	c->packet = true;
	c->at = 0;
	c->moved = c->end = 0;
	memset(&c->op, 0, offsetof(struct vata_operation, buffer));
	u->count = REASON_COMMAND;
	await_guest(c, IDE_PACKET, PACKET_BYTES);
}

/* ---- resets ---- */

static void sign_in(struct ide_unit *u)
{
	struct vata_operation op;

	if (!u->drive.present)
		return;
	memset(&op, 0, offsetof(struct vata_operation, buffer));
	vata_signature(&u->drive, &op);
	show(u, &op);
	u->device = 0;
}

void vide_clear(struct ide_channel *c)
{
	c->second = c->interrupt = false;
	c->control = c->phase = c->note = 0;
	c->dma = c->packet = false;
	c->moved = c->limit = c->at = c->block = c->end = 0;
	memset(&c->op, 0, offsetof(struct vata_operation, buffer));
	c->master = c->master_status = 0;
	c->table = c->entry = c->skip = 0;
	c->round++;
	for (unsigned i = 0; i < VIDE_UNITS; i++) {
		struct vata_drive drive = c->unit[i].drive;

		c->unit[i] = (struct ide_unit){ .drive = drive };
		sign_in(&c->unit[i]);
	}
}

void vide_noted(struct ide_channel *c)
{
	if (c->note == NOTE_DEVICE)
		sign_in(vide_unit(c));
	for (unsigned i = 0; c->note == NOTE_RESET && i < VIDE_UNITS; i++) {
		vata_reset(&c->unit[i].drive);
		sign_in(&c->unit[i]);
	}
	c->note = NOTE_NOTHING;
}

static bool is_at_work(const struct vide *v, const struct ide_channel *c)
{
	return v->stepping && &v->channel[v->run.channel] == c;
}

/* What is under way is not wanted any more. */
static void reset_noted(struct vide *v, struct ide_channel *c, enum ide_note note)
{
	c->phase = IDE_IDLE;
	c->round++;
	c->note = (uint8_t)note;
	if (!is_at_work(v, c))
		vide_noted(c);
}

static void control_write(struct vide *v, struct ide_channel *c, uint8_t value)
{
	bool was = c->control & IDE_CONTROL_RESET, now = value & IDE_CONTROL_RESET;

	c->control = value & (IDE_CONTROL_SILENT | IDE_CONTROL_RESET | IDE_CONTROL_HIGH);
	if (now && !was) {
		c->phase = IDE_IDLE;
		c->note = NOTE_NOTHING;
		c->round++;
		c->second = c->interrupt = false;
		for (unsigned i = 0; i < VIDE_UNITS; i++)
			c->unit[i].status = c->unit[i].drive.present ? VATA_STATUS_BUSY : 0;
	}
	if (was && !now)
		reset_noted(v, c, NOTE_RESET);
	vide_line(v, c);
}

/* ---- the registers of a channel ---- */

static bool diagnose(struct vide *v, struct ide_channel *c)
{
	c->second = false;
	for (unsigned i = 0; i < VIDE_UNITS; i++)
		sign_in(&c->unit[i]);
	vide_raise(v, c);
	return false;
}

static bool command_write(struct vide *v, struct ide_channel *c, uint8_t command)
{
	struct ide_unit *u = vide_unit(c);

	if (command == COMMAND_RESET && u->drive.present && u->drive.packet) {
		u->status = VATA_STATUS_BUSY;
		reset_noted(v, c, NOTE_DEVICE);
		return false;
	}
	if (c->phase != IDE_IDLE || u->status & VATA_STATUS_BUSY)
		return false;
	c->interrupt = false;
	vide_line(v, c);
	if (command == COMMAND_DIAGNOSE)
		return diagnose(v, c);
	if (!u->drive.present)
		return false;
	c->packet = u->drive.packet && command == COMMAND_PACKET;
	if (!c->packet)
		return execute(v, c, command);
	await_packet(c);
	return false;
}

static void lba_write(struct ide_unit *u, unsigned byte, uint8_t value)
{
	uint64_t before = u->lba >> 8 * byte & 0xff;

	u->lba &= ~(0xfful << 8 * byte | 0xfful << (24 + 8 * byte));
	u->lba |= (uint64_t)value << 8 * byte | before << (24 + 8 * byte);
}

/* Both drives hear it; while one is at a command, none does. True: there is something to do. */
static bool register_write(struct vide *v, struct ide_channel *c, unsigned reg, uint8_t value)
{
	if (reg == REG_COMMAND)
		return command_write(v, c, value);
	if (c->phase != IDE_IDLE || vide_unit(c)->status & VATA_STATUS_BUSY)
		return false;
	c->control &= (uint8_t)~IDE_CONTROL_HIGH;
	for (unsigned i = 0; i < VIDE_UNITS; i++) {
		struct ide_unit *u = &c->unit[i];

		if (reg == REG_FEATURES)
			u->features = (uint16_t)(u->features << 8 | value);
		else if (reg == REG_COUNT)
			u->count = (uint16_t)(u->count << 8 | value);
		else if (reg == REG_DEVICE)
			u->device = value;
		else
			lba_write(u, reg - REG_LBA, value);
	}
	if (reg == REG_DEVICE)
		c->second = value & DEVICE_SECOND;
	return false;
}

static uint8_t register_read(struct vide *v, struct ide_channel *c, unsigned reg)
{
	const struct ide_unit *u = vide_unit(c);
	unsigned high = c->control & IDE_CONTROL_HIGH ? 1 : 0;

	if (!u->drive.present)
		return reg == REG_DEVICE && c->unit[0].drive.present ? u->device | DEVICE_FIXED : 0;
	switch (reg) {
	case REG_FEATURES:
		return u->error;
	case REG_COUNT:
		return (uint8_t)(u->count >> 8 * high);
	case REG_DEVICE:
		return u->device | DEVICE_FIXED;
	case REG_COMMAND:
		c->interrupt = false;
		vide_line(v, c);
		return u->status;
	default:
		return (uint8_t)(u->lba >> (8 * (reg - REG_LBA) + 24 * high));
	}
}

/* ---- the data port ---- */

/* The guest has read a block. True: there is something for the work. */
static bool block_given(struct vide *v, struct ide_channel *c)
{
	if (c->at < c->end) {
		vide_give_block(v, c);
		return false;
	}
	if (c->moved < c->op.size) {
		await_work(c, IDE_FETCH);
		return true;
	}
	if (c->packet) {
		vide_complete(v, c);
		return false;
	}
	c->phase = IDE_IDLE;			/* the last block had its interrupt */
	show(vide_unit(c), &c->op);
	return false;
}

static uint64_t data_read(struct vide *v, struct ide_channel *c, unsigned size, bool *wanted)
{
	uint64_t value = 0;
	uint32_t n = MIN(size, c->block - c->at);

	if (c->phase != IDE_IN)
		return 0;
	memcpy(&value, c->data + c->at, n);
	c->at += n;
	if (unlikely(c->at == c->block))
		*wanted = block_given(v, c);
	return value;
}

static bool data_write(struct vide *v, struct ide_channel *c, unsigned size, uint64_t value)
{
	uint32_t n = MIN(size, c->block - c->at);

	if (c->phase != IDE_OUT && c->phase != IDE_PACKET)
		return false;
	memcpy(c->data + c->at, &value, n);
	c->at += n;
	if (likely(c->at < c->block))
		return false;
	if (c->phase == IDE_PACKET)
		return execute(v, c, COMMAND_PACKET);
	await_work(c, IDE_STORE);
	return true;
}

/* As much of a block as there is, and whole elements. */
unsigned vide_read_string(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	void *to, unsigned n)
{
	struct vide *v = vide_of(d);
	struct ide_channel *c = &v->channel[region / 2 % VIDE_CHANNELS];
	uint64_t flags;
	bool wanted = false;

	if (region == VIDE_MASTER || offset != REG_DATA || size == 1)
		return 0;
	flags = host_lock(d);
	n = c->phase == IDE_IN ? MIN(n, (c->block - c->at) / size) : 0;
	memcpy(to, c->data + c->at, n * size);
	c->at += n * size;
	if (n && c->at == c->block)
		wanted = block_given(v, c);
	host_unlock(d, flags);
	if (wanted)
		host_work_queue(d);
	return n;
}

unsigned vide_write_string(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	const void *from, unsigned n)
{
	struct vide *v = vide_of(d);
	struct ide_channel *c = &v->channel[region / 2 % VIDE_CHANNELS];
	uint64_t flags;
	bool wanted;

	if (region == VIDE_MASTER || offset != REG_DATA || size == 1)
		return 0;
	flags = host_lock(d);
	n = c->phase == IDE_OUT ? MIN(n, (c->block - c->at) / size) : 0;
	memcpy(c->data + c->at, from, n * size);
	c->at += n * size;
	wanted = n && c->at == c->block;
	if (wanted)
		await_work(c, IDE_STORE);
	host_unlock(d, flags);
	if (wanted)
		host_work_queue(d);
	return n;
}

/* ---- the bus master ---- */

static uint64_t master_read(const struct ide_channel *c)
{
	return c->master | (uint64_t)c->master_status << 16 | (uint64_t)c->table << 32;
}

static bool start_write(struct ide_channel *c, uint8_t value)
{
	uint8_t was = c->master;

	c->master = value & (MASTER_START | MASTER_TO_MEMORY);
	if (!((was ^ c->master) & MASTER_START))
		return false;
	c->entry = c->skip = 0;
	c->round++;
	if (c->master & MASTER_START)
		c->master_status |= MASTER_ACTIVE;
	else
		c->master_status &= (uint8_t)~MASTER_ACTIVE;
	return c->master & MASTER_START;
}

static bool master_write(struct ide_channel *c, unsigned reg, uint8_t value)
{
	unsigned shift = 8 * (reg & 3);

	if (reg == 0)
		return start_write(c, value);
	if (reg == 2) {
		c->master_status &= (uint8_t)~((value & (MASTER_ERROR | MASTER_INTERRUPT)) |
					       MASTER_KEPT);
		c->master_status |= value & MASTER_KEPT;
	} else if (reg >= 4) {
		c->table = (c->table & ~(0xffu << shift)) | (uint32_t)value << shift;
		c->table &= ~3u;
	}
	return false;
}

/* ---- accesses ---- */

static uint64_t read_part(struct vide *v, unsigned region, uint64_t at, unsigned size,
			  bool *wanted)
{
	struct ide_channel *c = &v->channel[region / 2 % VIDE_CHANNELS];
	uint64_t value = 0;

	if (region == VIDE_MASTER)
		return master_read(&v->channel[at / 8]) >> at % 8 * 8;
	if (region == VIDE_CONTROL || region == VIDE_CONTROL1)
		return vide_unit(c)->status;
	if (at == REG_DATA && size > 1)
		return data_read(v, c, size, wanted);
	for (unsigned i = 0; i < size; i++)
		if (at + i != REG_DATA)
			value |= (uint64_t)register_read(v, c, (unsigned)at + i) << 8 * i;
	return value;
}

uint64_t vide_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	bool wanted = false;
	uint64_t flags = host_lock(d), value = read_part(vide_of(d), region, offset, size, &wanted);

	host_unlock(d, flags);
	if (wanted)
		host_work_queue(d);
	return value;
}

static bool write_part(struct vide *v, unsigned region, uint64_t at, unsigned size, uint64_t value)
{
	struct ide_channel *c = &v->channel[region / 2 % VIDE_CHANNELS];
	bool wanted = false;

	if (region != VIDE_MASTER && at == REG_DATA && size > 1)
		return data_write(v, c, size, value);
	for (unsigned i = 0; i < size; i++, at++, value >>= 8) {
		if (region == VIDE_MASTER)
			wanted |= master_write(&v->channel[at / 8], at % 8, (uint8_t)value);
		else if (region == VIDE_CONTROL || region == VIDE_CONTROL1)
			control_write(v, c, (uint8_t)value);
		else if (at != REG_DATA)
			wanted |= register_write(v, c, (unsigned)at, (uint8_t)value);
	}
	return wanted;
}

void vide_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t flags = host_lock(d);
	bool wanted = write_part(vide_of(d), region, offset, size, value);

	host_unlock(d, flags);
	if (wanted)
		host_work_queue(d);
}
