/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an ATA disk or an ATAPI CD-ROM makes of a command: pure logic, without memory, media or a
 * bus. A command's registers go in, an operation comes out: an answer of so many bytes, bytes of
 * the medium to be moved, or an error. Who carries it out (vdev/vahci_run.c) tells vata_failed()
 * if the medium failed. No locks: a drive is its caller's. "ATA8-ACS", "MMC-5".
 */
#pragma once

#include "lib/record.h"

#define VATA_SECTOR	512u
#define VATA_DISC_SECTOR 2048u
#define VATA_BUFFER	4096u
#define VATA_PACKET	16u		/* bytes of a packet, 12 of which count */
#define VATA_TAGS	32u

enum {
	VATA_STATUS_ERROR = 0x01, VATA_STATUS_DATA = 0x08, VATA_STATUS_READY = 0x50,
	VATA_STATUS_BUSY = 0x80,
};

/* As MMC numbers them. */
enum vata_event { VATA_EVENT_NONE, VATA_EVENT_WANTED, VATA_EVENT_CAME, VATA_EVENT_WENT };

enum {
	VATA_ERROR_ABORT = 0x04, VATA_ERROR_NO_SECTOR = 0x10, VATA_ERROR_MEDIUM = 0x40,
};

struct vata_drive {
	/* Facts. */
	bool present, packet;		/* a CD-ROM */
	bool parallel;			/* at an IDE cable: neither NCQ nor TRIM */
	bool read_only;
	uint64_t sectors;		/* of 512 bytes */
	char name[32];
	/* What commands change. */
	bool write_cache, look_ahead, standby;
	uint8_t multiple;		/* sectors of a block; 0: not set */
	uint8_t heads, track;		/* of its geometry; track: in sectors */
	bool locked, open;		/* a CD-ROM's tray */
	uint8_t attention;		/* and what it has to tell, by its code; 0: nothing */
	uint8_t event;			/* of its tray, for who asks: enum vata_event */
	uint8_t round;			/* rises when another disc may lie there */
	uint8_t sense[3];		/* key, code, qualifier of its last error */
	/* The last queued command that failed. */
	bool queue_failed;
	uint8_t queue_tag, queue_error;
	uint64_t queue_lba;
};

/* The registers of a command, by a register FIS; count and features with 48 bits' upper halves. */
struct vata_registers {
	uint8_t command, device;
	uint16_t features, count;
	uint64_t lba;
};

enum vata_what { VATA_DONE, VATA_ANSWER, VATA_READ, VATA_WRITE, VATA_FLUSH, VATA_TRIM };

struct vata_operation {
	enum vata_what what;
	bool pio;			/* data go by PIO */
	bool queued, flush;		/* flush: behind a write */
	uint8_t tag;
	uint8_t round;			/* the drive's, as it began */
	uint8_t status, error;		/* as the command ends, if all goes well */
	uint8_t count;			/* and what the registers hold then */
	uint64_t lba;
	uint64_t offset, size;		/* bytes of the medium; size: of an answer or of ranges */
	uint32_t block;			/* bytes that go by PIO at once; 0: by its packet's limit */
	uint8_t buffer[VATA_BUFFER];	/* the answer; or a VATA_TRIM's ranges, to be fetched */
};

/* As after power-on, but for the facts and a CD-ROM's tray. */
void vata_reset(struct vata_drive *d);
/* What the registers hold after a reset. */
void vata_signature(const struct vata_drive *d, struct vata_operation *op);
/* `packet`: 16 bytes, of the command PACKET alone. Fills all of `op` but, beyond size, buffer. */
void vata_command(struct vata_drive *d, const struct vata_registers *r, const uint8_t *packet,
	struct vata_operation *op);
/* The operation came to nothing: with that error of ATA. */
void vata_failed(struct vata_drive *d, struct vata_operation *op, uint8_t error);
/* Likewise if its disc is not the one any more that it began with: then it is true. */
bool vata_disc_gone(struct vata_drive *d, struct vata_operation *op);
/* Of a CD-ROM's tray: see vdev/host.h's media_tray. 0 sectors: no disc. */
int vata_eject(struct vata_drive *d, bool force) must_check;
void vata_insert(struct vata_drive *d, uint64_t sectors, bool open);
/* The n-th range of a VATA_TRIM in bytes; a size of 0 is to be skipped. False: not the disk's. */
bool vata_trim_range(const struct vata_drive *d, const struct vata_operation *op, unsigned n,
	uint64_t *offset, uint64_t *size);

void vata_save(const struct vata_drive *d, struct record_writer *w);
void vata_read(struct vata_drive *d, struct record_reader *r);	/* the reader has the error */

/* --- for vata.c and vata_packet.c */
#define VATA_CHANGED	0x28		/* codes of attention: another disc, perhaps */
#define VATA_WAS_RESET	0x29
void vata_packet(struct vata_drive *d, const uint8_t *packet, struct vata_operation *op);
void vata_fail(struct vata_operation *op, uint8_t error);
