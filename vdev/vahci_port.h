/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vdev/vahci.c, the registers, and vdev/vahci_run.c, the commands, have in common.
 *
 * Design. Commands are done by the device's work, one at a time, a piece of at most 1 MiB each
 * turn. A command that cannot go on now (memory, bus master) is begun anew later: doing it twice
 * does no harm, as its end was not told. A port's command list counts as running (CR, FR) until
 * the work has let go of it, whatever the guest has asked for meanwhile; `round` tells the work
 * that its command is not wanted any more.
 *
 * Locking. All is under the device's lock, but what is the work's own (w): that is touched by it
 * without the lock while `stepping`, and by others, with the lock, only when not. Who wants to do
 * that while the guest runs says so in `held`, for which the work rests.
 */
#pragma once

#include "vdev/vahci.h"
#include "vdev/vata.h"

#define AHCI_SLOTS	32u
#define AHCI_WINDOW	256u		/* PRD entries that are read at once */
#define AHCI_PIECE	(1ul << 20)

enum {
	PORT_DONE = 0x1, PORT_PIO = 0x2, PORT_QUEUED = 0x8, PORT_ENTRY = 0x20, PORT_CHANGED = 0x40,
	PORT_READY_CHANGED = 0x400000, PORT_OVERFLOW = 0x1000000, PORT_BUS_ERROR = 0x20000000,
	PORT_TASK_ERROR = 0x40000000,
};
#define PORT_STATUS_BITS	0x7dc000ffu	/* those that may be enabled */
#define PORT_LATCHED		(PORT_DONE | PORT_PIO | PORT_QUEUED | PORT_ENTRY | \
				 PORT_OVERFLOW | PORT_BUS_ERROR | PORT_TASK_ERROR)

enum { CMD_START = 0x1, CMD_OVERRIDE = 0x8, CMD_FIS = 0x10, CMD_PACKET = 0x1000000 };
#define CMD_KEPT		(CMD_START | CMD_FIS | CMD_PACKET)

/* The line to the drive. */
enum ahci_link { LINK_NONE, LINK_RESET, LINK_OFF, LINK_UP };

struct ahci_port {
	uint64_t list, fis;		/* guest addresses */
	uint32_t status, enable, command, errors, control;
	uint32_t active, issued;	/* SACT, CI */
	uint8_t link;			/* enum ahci_link */
	bool signed_in;			/* the drive's signature came */
	bool halted;			/* by an error, until it is started anew */
	bool renew;			/* the drive is to be reset before its next command */
	bool resetting;			/* by a control FIS */
	uint8_t last;			/* slot */
	uint32_t signature;
	uint8_t task_status, task_error;
	uint32_t round;
	struct vata_drive drive;	/* (w) but for its facts */
};

struct ahci_entry {			/* of a PRD table */
	uint64_t at;
	uint32_t unused, size;
};

/* (w) */
struct ahci_run {
	uint32_t header, entries;
	uint64_t header_at, table;
	uint8_t fis[64];
	uint32_t index, skip;		/* where in the PRD table */
	uint64_t moved;
	unsigned range;			/* of a TRIM */
	bool begun;
	uint32_t told;			/* PORT_ENTRY if an entry wanted that */
	struct vata_operation op;
	struct ahci_entry entry[AHCI_WINDOW];
	struct host_segment segment[AHCI_WINDOW];
	unsigned segments;
};

struct vahci {
	struct vdev dev;
	struct vpci_function function;
	uint32_t control, status, index;	/* GHC, IS; BAR 4's index */
	struct ahci_port port[VAHCI_PORTS];
	/* The command under way. */
	bool busy, stepping;
	unsigned held;
	bool waiting;			/* for the medium */
	int result;			/* its */
	uint8_t run_port, run_slot;
	uint32_t run_round;
	struct ahci_run run;
};

#define GHC_RESET		0x1u
#define GHC_INTERRUPT		0x2u
#define GHC_AHCI		0x80000000u

#define AHCI_RETRY_TIMER	0

static inline struct vahci *vahci_of(struct vdev *d)
{
	return container_of(d, struct vahci, dev);
}

/* --- vahci.c; lock held */
/* Interrupts as all status registers want them. `again`: a message even for what was told of. */
void vahci_interrupt(struct vahci *a, bool again);
void vahci_reset_all(struct vahci *a);	/* then vahci_interrupt is due */

/* --- vahci_run.c */
void vahci_run_work(struct vdev *d);
void vahci_run_done(struct vdev *d, unsigned medium, uint32_t tag, int error);
