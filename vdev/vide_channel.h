/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vdev/vide.c, the ports, vdev/vide_run.c, media and DMA, and vdev/vide_state.c, the life,
 * have in common.
 *
 * Design. A channel does one command at a time, and its phase says what that waits for: for the
 * guest (to read or write a block at the data port, or to start the bus master), or for the
 * device's work (a medium, guest memory). The command itself is done when it is written, as it
 * is pure logic. The work does a piece each turn, without the lock, of what it has copied; the
 * channel's buffer is its alone meanwhile, for the drive is busy then. Who resets a drive while the
 * work is at its channel leaves a note, and the drive stays busy until the work has seen it.
 *
 * Locking. All is under the device's lock, but `run` and that buffer while `stepping`.
 */
#pragma once

#include "vdev/vata.h"
#include "vdev/vide.h"

#define IDE_BUFFER	8192u		/* 16 sectors, as many as go by PIO at once */
#define IDE_WINDOW	256u		/* PRD entries that are read at once */
#define IDE_TABLE	8192u		/* and in all */
#define IDE_PIECE	(1ul << 20)
#define IDE_RETRY_TIMER	0

enum ide_phase {
	IDE_IDLE,
	IDE_IN, IDE_OUT, IDE_PACKET,	/* the guest's turn, at the data port */
	IDE_DMA,			/* the work's, when the bus master is started */
	IDE_FETCH, IDE_STORE, IDE_FLUSH,	/* the work's */
	IDE_PHASES
};

enum { IDE_CONTROL_SILENT = 0x02, IDE_CONTROL_RESET = 0x04, IDE_CONTROL_HIGH = 0x80 };
enum { MASTER_START = 0x01, MASTER_TO_MEMORY = 0x08 };
enum { MASTER_ACTIVE = 0x01, MASTER_ERROR = 0x02, MASTER_INTERRUPT = 0x04, MASTER_KEPT = 0x60 };
enum ide_note { NOTE_NOTHING, NOTE_RESET, NOTE_DEVICE };

struct ide_unit {
	struct vata_drive drive;
	uint16_t features, count;	/* with what was written before in the upper half */
	uint64_t lba;			/* likewise, 24 bits each */
	uint8_t device, status, error;
};

struct ide_channel {
	struct ide_unit unit[VIDE_UNITS];
	bool second;			/* unit 1 is selected */
	bool interrupt;
	uint8_t control, phase;
	uint8_t note;			/* enum ide_note: a reset that waits for the work */
	/* The command. */
	bool dma, packet;
	uint32_t limit;			/* bytes of a block of a packet's data */
	struct vata_operation op;
	uint64_t moved;			/* bytes from or to the medium */
	uint32_t at, block, end;	/* in `data`: next byte, the block's end, what there is */
	uint8_t data[IDE_BUFFER];
	/* The bus master. */
	uint8_t master, master_status;
	uint32_t table, entry, skip;	/* skip: bytes of that entry */
	uint32_t round;			/* rises as it is stopped */
};

struct ide_entry {			/* of a PRD table */
	uint32_t at, size;
};

/* A piece of work, and what came of it. */
struct ide_run {
	uint8_t channel, phase, what;
	uint32_t round;
	uint32_t table, entry, skip;
	uint64_t offset;		/* on the medium; of an answer, in the buffer */
	uint64_t want, moved;		/* moved: by this piece */
	bool ended;			/* the table, with it */
	struct ide_entry window[IDE_WINDOW];
	struct host_segment segment[IDE_WINDOW];
	unsigned segments;
};

struct vide {
	struct vdev dev;
	struct vpci_function function;
	struct ide_channel channel[VIDE_CHANNELS];
	bool stepping;
	uint32_t steps, tray_step;	/* turns so far; at that one a tray was opened */
	struct ide_run run;
};

static inline struct vide *vide_of(struct vdev *d)
{
	return container_of(d, struct vide, dev);
}

static inline struct ide_unit *vide_unit(struct ide_channel *c)
{
	return &c->unit[c->second];
}

/* --- vide.c; lock held */
void vide_line(struct vide *v, struct ide_channel *c);
void vide_raise(struct vide *v, struct ide_channel *c);
/* What the operation has come to, with an interrupt. */
void vide_complete(struct vide *v, struct ide_channel *c);
/* The buffer's next block is the guest's to read; to write. */
void vide_give_block(struct vide *v, struct ide_channel *c);
void vide_take_block(struct ide_channel *c);
void vide_noted(struct ide_channel *c);		/* the reset that waited for the work */
void vide_clear(struct ide_channel *c);		/* as after power-on, but for the drives */
uint64_t vide_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size);
void vide_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size, uint64_t value);
unsigned vide_read_string(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	void *to, unsigned n);
unsigned vide_write_string(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	const void *from, unsigned n);

/* --- vide_run.c */
void vide_run_work(struct vdev *d);
