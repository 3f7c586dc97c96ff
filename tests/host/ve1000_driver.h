/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of Intel's network cards for tests of devices: lays rings out in the stand-in's guest
 * memory, brings a card up, adds descriptors, sees what came. What it writes a test may bend.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "include/bits.h"
#include "tests/host/vdev_host.h"
#include "vdev/ve1000.h"
#include "vdev/vpci.h"

#define DRIVER_SLOTS	16u
#define DRIVER_RX	0x1000u		/* rings; of queue 1 0x400 further on */
#define DRIVER_TX	0x2000u
#define DRIVER_BUFFERS	0x4000u		/* of receiving, 2 KiB each */
#define DRIVER_FRAME	0xc000u		/* what is sent, up to the memory's end */

enum {
	REG_CTRL = 0x0000, REG_STATUS = 0x0008, REG_EECD = 0x0010, REG_EERD = 0x0014,
	REG_CTRL_EXT = 0x0018, REG_MDIC = 0x0020, REG_VET = 0x0038, REG_ICR = 0x00c0,
	REG_ITR = 0x00c4, REG_ICS = 0x00c8, REG_IMS = 0x00d0, REG_IMC = 0x00d8, REG_EIAC = 0x00dc,
	REG_IAM = 0x00e0, REG_IVAR = 0x00e4, REG_EITR = 0x00e8, REG_RCTL = 0x0100,
	REG_TCTL = 0x0400, REG_PSRCTL = 0x2170, REG_RX = 0x2800, REG_RDTR = 0x2820,
	REG_RADV = 0x282c, REG_TX = 0x3800, REG_TIDV = 0x3820, REG_TADV = 0x382c,
	REG_STATS = 0x4000, REG_RXCSUM = 0x5000, REG_RFCTL = 0x5008, REG_MTA = 0x5200,
	REG_RA = 0x5400, REG_VFTA = 0x5600, REG_MRQC = 0x5818, REG_SWSM = 0x5b50,
	REG_RETA = 0x5c00, REG_RSSRK = 0x5c80,
	RING_LOW = 0x00, RING_HIGH = 0x04, RING_SIZE = 0x08, RING_FIRST = 0x10, RING_LAST = 0x18,
};

struct nic {
	struct vdev *bus, *d;
	struct vdev_host *b, *h;
	uint8_t *memory;
	unsigned rx, tx;		/* the next descriptors */
};

static const uint8_t driver_mac[2][6] = {
	{ 0x52, 0x54, 0, 0, 0, 1 }, { 0x52, 0x54, 0, 0, 0, 2 },
};

static inline void nic_config(struct nic *n, unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(n->bus, VPCI_ECAM, 4 << 15 | reg, size, v);
}

static inline uint32_t nic_get(struct nic *n, unsigned reg)
{
	return (uint32_t)vdev_host_read(n->d, VE1000_REGISTERS, reg, 4);
}

static inline void nic_put(struct nic *n, unsigned reg, uint32_t v)
{
	vdev_host_write(n->d, VE1000_REGISTERS, reg, 4, v);
}

static inline void nic_create(struct nic *n, enum ve1000_model model, const uint8_t *mac)
{
	if (vpci_create(NULL, &n->bus) || ve1000_create(model, mac, &n->d))
		abort();
	vdev_host_attach(n->bus);
	vdev_host_attach(n->d);
	if (vpci_attach(n->bus, 0, 4, 0, ve1000_function(n->d)))
		abort();
	n->b = n->bus->host;
	n->h = n->d->host;
	n->memory = n->h->memory;
	n->rx = n->tx = 0;
	nic_config(n, 4, 2, 6);		/* memory, bus master */
}

static inline void nic_destroy(struct nic *n)
{
	vdev_host_detach(n->h);
	vdev_host_detach(n->b);
}

static inline void nic_ring(struct nic *n, unsigned reg, uint32_t at, uint32_t size)
{
	nic_put(n, reg + RING_LOW, at);
	nic_put(n, reg + RING_HIGH, 0);
	nic_put(n, reg + RING_SIZE, size);
	nic_put(n, reg + RING_FIRST, 0);
	nic_put(n, reg + RING_LAST, 0);
}

static inline void nic_set64(struct nic *n, uint32_t at, uint64_t v)
{
	memcpy(n->memory + at, &v, 8);
}

static inline uint64_t nic_get64(const struct nic *n, uint32_t at)
{
	uint64_t v;

	memcpy(&v, n->memory + at, 8);
	return v;
}

static inline void nic_tx_up(struct nic *n)
{
	memset(n->memory + DRIVER_TX, 0, 16 * DRIVER_SLOTS);
	nic_ring(n, REG_TX, DRIVER_TX, 16 * DRIVER_SLOTS);
	nic_put(n, REG_TCTL, 0x2);
	n->tx = 0;
}

/* With buffers of 2 KiB in all descriptors but one; `size` of a descriptor is 16 or 32. */
static inline void nic_rx_up(struct nic *n, uint32_t rctl, unsigned size)
{
	memset(n->memory + DRIVER_RX, 0, size * DRIVER_SLOTS);
	for (unsigned i = 0; i < DRIVER_SLOTS; i++)
		nic_set64(n, DRIVER_RX + size * i, DRIVER_BUFFERS + 2048 * i);
	nic_ring(n, REG_RX, DRIVER_RX, size * DRIVER_SLOTS);
	nic_put(n, REG_RCTL, rctl | 2);
	nic_put(n, REG_RX + RING_LAST, DRIVER_SLOTS - 1);
	n->rx = 0;
}

/* One descriptor into the ring; the doorbell is the caller's. */
static inline void nic_tx_add(struct nic *n, uint64_t at, uint32_t low, uint32_t high)
{
	uint32_t to = DRIVER_TX + 16 * n->tx;

	nic_set64(n, to, at);
	nic_set64(n, to + 8, low | (uint64_t)high << 32);
	n->tx = (n->tx + 1) % DRIVER_SLOTS;
}

static inline void nic_tx_ring(struct nic *n)
{
	nic_put(n, REG_TX + RING_LAST, n->tx);
}
