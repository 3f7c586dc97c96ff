/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI bus 0: configuration accesses by 0xcf8/0xcfc (and ECAM where the machine has it), the host
 * bridge at 00:00.0, and the frame on which PCI devices stand: a `vpci_function` is configuration
 * space with write masks whose BARs, when the guest moves or enables them, become host_region_set
 * calls for the device that owns it. Port 0xcf9 (reset) lies inside.
 *
 * Locks: configuration space is under the vpci device's lock; `written` and host_region_set are
 * called without it. A function's owner saves and loads it inside its own record.
 */
#pragma once

#include "vdev/host.h"

enum { VPCI_PORTS, VPCI_ECAM };		/* regions: 8 ports at 0xcf8; 1 MiB (bus 0) of memory */

#define VPCI_CONFIG_SIZE	256
#define VPCI_ECAM_SIZE		(1ul << 20)
#define VPCI_BARS		6
#define VPCI_FUNCTIONS		256

/* The I/O APIC pin of a function's INTA to INTD (`pin` 0 to 3), as dsdt.asl tells the guest. */
#define VPCI_GSI(slot, pin)	(16 + ((slot) + (pin)) % 8)

struct vpci_config {
	uint16_t vendor, device;	/* of the host bridge; 0: 1b36:0008 */
};

struct vpci_bar {
	uint64_t size;			/* a power of two, 16 at least; 0: absent */
	enum host_space space;
	bool wide, prefetch;		/* 64 bits (takes the next one too) */
	unsigned region;		/* of the owner */
	/* what host_region_set was told last */
	uint64_t base;
	bool enabled;
};

struct vpci_function {
	struct vdev *owner, *bus;
	uint8_t config[VPCI_CONFIG_SIZE];
	uint8_t writable[VPCI_CONFIG_SIZE];	/* bits that a guest may change */
	uint8_t clear[VPCI_CONFIG_SIZE];	/* bits that a guest clears by writing 1 */
	struct vpci_bar bars[VPCI_BARS];
	unsigned capability_end;		/* where the next capability goes */
	bool moving;				/* someone is telling the host about the BARs */
	/* Or NULL: a guest wrote there (after the change; no lock held). */
	void (*written)(struct vpci_function *f, unsigned offset, unsigned size);
};

int vpci_create(const struct vpci_config *config, struct vdev **out);

/* Fills in the identity and the usual masks. */
void vpci_function_init(struct vpci_function *f, struct vdev *owner, uint16_t vendor,
	uint16_t device, uint32_t class_revision, uint16_t subvendor, uint16_t subdevice);
/* Before the function is attached. */
void vpci_function_bar(struct vpci_function *f, unsigned bar, struct vpci_bar what);
/*
 * A capability of `size` bytes with the header; its offset, or 0 when there is no room. Before
 * it is attached.
 */
unsigned vpci_function_capability(struct vpci_function *f, uint8_t id, unsigned size);
/* 0, -EBUSY (the place is taken), -EINVAL. Before the VM runs. */
int vpci_attach(struct vdev *bus, unsigned slot, unsigned function, struct vpci_function *f);
/* Registers as after power-on: BARs 0, decoding off. */
void vpci_function_reset(struct vpci_function *f);
void vpci_function_save(struct vpci_function *f, struct record_writer *w);
/* In two steps, so that an owner checks everything before it commits. */
void vpci_function_read(struct vpci_function *f, struct record_reader *r,
	uint8_t config[VPCI_CONFIG_SIZE]);
void vpci_function_commit(struct vpci_function *f, const uint8_t config[VPCI_CONFIG_SIZE]);
