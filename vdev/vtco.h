/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TCO watchdog of an ICH9, a part of vdev/vacpi.c under its lock. It counts down in ticks of
 * 0.6 s once a guest has touched it; at the second time that it ends without having been reloaded
 * the machine is reset, unless NO_REBOOT says otherwise, as it does after a reset. There are no
 * SMIs: the first time is a status bit alone.
 */
#pragma once

#include "vdev/host.h"

#define VTCO_SIZE	32u	/* ports */
#define VTCO_TICK_NS	600000000ul

struct vtco {
	uint8_t reg[VTCO_SIZE];
	bool no_reboot;
	uint8_t ended;		/* how often since it was reloaded: 0 or 1 */
	uint16_t left;		/* ticks, while it stands */
	uint64_t end;		/* VM clock; 0: it stands */
};

void vtco_reset(struct vtco *t);
uint64_t vtco_read(const struct vtco *t, uint64_t offset, unsigned size, uint64_t now);
void vtco_write(struct vtco *t, uint64_t offset, unsigned size, uint64_t value, uint64_t now);
/* To be called from `end` on. True: the machine is to be reset. */
bool vtco_expire(struct vtco *t, uint64_t now);
void vtco_save(const struct vtco *t, struct record_writer *w);
/* False: no state that there can be. */
bool vtco_load(struct vtco *t, struct record_reader *r);
