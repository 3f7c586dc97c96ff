/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MC146818 clock with its CMOS memory. The time is a second's number and the VM-clock
 * instant at which it began; registers are computed from that when read. Flags of the past
 * (update, periodic, alarm) are worked out when someone looks at register C or a timer set for
 * the next *enabled* event fires, so an idle clock costs nothing. What a battery keeps is written
 * through to it: a reset, and a device that is made anew with the same one, go on with the CMOS
 * memory that is there and with a clock as far ahead of the host's as the guest's was.
 */
#pragma once

#include "vdev/host.h"

enum { VRTC_PORTS };	/* region: 2 ports at 0x70 */
enum { VRTC_IRQ };	/* lines: IRQ 8 */

/* Zeroed: new. Of one device at a time. */
struct vrtc_battery {
	bool written;
	uint8_t ram[128];
	int64_t ahead;			/* of the host's clock, in seconds */
};

struct vrtc_config {
	/* Shown where firmware leaves or looks for them; in bytes. */
	uint64_t ram_below_4g, ram_above_4g;
	unsigned base_kib;		/* KiB from 0 on that are free to use */
	unsigned vcpus;
	struct vrtc_battery *battery;	/* NULL: all is new with each reset */
};

int vrtc_create(const struct vrtc_config *config, struct vdev **out);
