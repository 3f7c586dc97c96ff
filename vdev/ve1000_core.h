/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the card have in common: ve1000.c the table of registers and its life,
 * ve1000_irq.c interrupts, ve1000_phy.c the PHY and the NVM, ve1000_rx.c and ve1000_tx.c frames.
 *
 * Design. Rings are served as virtio's queues are: by who has the turn, in the exit of the doorbell
 * or in the thread of who sends, within a budget, the rest by the device's work. Descriptors are
 * copied, then looked at; a frame leaves the transmit ring as a whole. Frames that find no
 * descriptor wait in the inbox, as they do in the card's memory. Who serves works on a copy of the
 * ring's registers, and his progress counts if `round` says that nobody has changed them meanwhile.
 * A reset, and who switches receiving or sending off, waits until the turns are free.
 *
 * Locking. All is under the device's lock, but the inside of `run`, which is whose who has tx_turn.
 */
#pragma once

#include "include/bits.h"
#include "vdev/ve1000.h"
#include "vdev/vframe.h"
#include "vdev/vinbox.h"
#include "vdev/turn.h"

#define VE1000_QUEUES	2u		/* of the 82574, in either direction */
#define VE1000_NEVER	(~0ul)

/* Where a register is kept, in `reg`. */
enum {
	R_NONE,
	R_CTRL, R_EECD, R_EERD, R_CTRL_EXT, R_MDIC, R_FCAL, R_FCAH, R_FCT, R_VET,
	R_ICR, R_ITR, R_IMS, R_EIAC, R_IAM, R_IVAR, R_EITR,
	R_RCTL = R_EITR + VE1000_VECTORS, R_FCTTV, R_TCTL, R_TIPG, R_AIT, R_LEDCTL,
	R_EXTCNF_CTRL, R_EXTCNF_SIZE, R_PBA, R_PBS, R_ERT, R_FCRTL, R_FCRTH, R_PSRCTL,
	R_RDTR, R_RADV, R_RSRPD, R_TIDV, R_TADV, R_TSPMT,
	R_RX,				/* of each queue: enum ring_register */
	R_TX = R_RX + 6 * VE1000_QUEUES,
	R_TARC = R_TX + 6 * VE1000_QUEUES,
	R_STATS = R_TARC + VE1000_QUEUES,	/* from 4000h on */
	R_RXCSUM = R_STATS + 74, R_RFCTL,
	R_MTA, R_RA = R_MTA + 128, R_VFTA = R_RA + 32,
	R_WUC = R_VFTA + 128, R_WUFC, R_WUS, R_MRQC, R_MANC, R_RSSIM, R_RSSIR,
	R_GCR, R_SWSM, R_SWSM2, R_GCR2, R_RETA,
	R_RSSRK = R_RETA + 32, R_COUNT = R_RSSRK + 10
};
enum ring_register { RING_BASE, RING_BASE_HIGH, RING_LENGTH, RING_HEAD, RING_TAIL, RING_CONTROL,
	RING_REGISTERS };

enum {
	CTRL_FULL_DUPLEX = 0x1, CTRL_NO_MASTER = 0x4, CTRL_LINK = 0x40, CTRL_RESET = 0x4000000,
	CTRL_TAGS = 0x40000000,
};
#define CTRL_PHY_RESET		0x80000000u
enum {
	CTRL_EXT_RELOAD = 0x2000, CTRL_EXT_MASKS_MESSAGES = 0x1000000,
	CTRL_EXT_MASKS_READS = 0x8000000,
};
enum {
	RCTL_ON = 0x2, RCTL_ALL_UNI = 0x8, RCTL_ALL_MULTI = 0x10, RCTL_LONG = 0x20,
	RCTL_LOOP = 0xc0, RCTL_SPLITS = 0x400, RCTL_BROADCAST = 0x8000, RCTL_TAG_FILTER = 0x40000,
	RCTL_CFI_FILTER = 0x80000, RCTL_CFI = 0x100000, RCTL_LARGE = 0x2000000,
	RCTL_STRIPS_CRC = 0x4000000,
};
#define TCTL_ON			0x2u

/* Causes of interrupts. */
enum {
	CAUSE_SENT = 0x1, CAUSE_ALL_SENT = 0x2, CAUSE_LINK = 0x4, CAUSE_RX_LOW = 0x10,
	CAUSE_RX_LOST = 0x40, CAUSE_RECEIVED = 0x80, CAUSE_MDIO = 0x200, CAUSE_RX_SMALL = 0x10000,
	CAUSE_RX0 = 0x100000, CAUSE_RX1 = 0x200000, CAUSE_TX0 = 0x400000, CAUSE_TX1 = 0x800000,
	CAUSE_OTHER = 0x1000000,
};

/* Statistics, from R_STATS on. */
enum {
	STAT_LOST = 4, STAT_RX_64 = 23, STAT_RX_GOOD = 29, STAT_RX_BROADCAST = 30,
	STAT_RX_MULTICAST = 31, STAT_TX_GOOD = 32, STAT_RX_GOOD_BYTES = 34,
	STAT_TX_GOOD_BYTES = 36, STAT_NO_BUFFER = 40, STAT_OVERSIZE = 43, STAT_RX_BYTES = 48,
	STAT_TX_BYTES = 50, STAT_RX = 52, STAT_TX = 53, STAT_TX_64 = 54, STAT_TX_MULTICAST = 60,
	STAT_TX_BROADCAST = 61, STAT_LARGE = 62, STAT_LARGE_FAILED = 63, STAT_INTERRUPTS = 64,
	STAT_RX_LOW = 72,
};

/* What is to happen at its time. */
enum ve1000_deadline { DUE_RX, DUE_RX_ABSOLUTE, DUE_TX, DUE_TX_ABSOLUTE, DUE_RETRY, DUES };

/* A transmit queue's last context, and what of a frame goes nowhere. */
struct ve1000_context {
	uint32_t ip, tcp, command, mss;	/* as its descriptor has them */
};
struct ve1000_tx {
	struct ve1000_context context;
	bool dropping;			/* the frame whose end is still to come */
};

struct ve1000_descriptor {
	uint64_t at;
	uint32_t low, high;
};

#define VE1000_WINDOW	16u		/* descriptors that are read at once */

/* Whose who has tx_turn. */
struct ve1000_run {
	struct ve1000_descriptor window[VE1000_WINDOW];
	uint32_t window_first, window_count;
	struct host_segment segment[HOST_SEGMENT_MAX];
};

/* A Microwire EEPROM: what it was told since it was selected, and the bit that it shows. */
struct ve1000_wire {
	uint16_t in, at;
	uint8_t count;
	bool reads;
};

struct ve1000 {
	struct vdev dev;
	struct vpci_function function;
	bool express;			/* 82574 */
	uint8_t mac[6];
	uint32_t index;			/* of the ports */
	uint32_t reg[R_COUNT];
	uint16_t phy[32];
	bool link;			/* the cable has another end */
	bool link_lost;			/* and had none since the PHY was asked */
	struct ve1000_wire wire;
	uint64_t quiet[1 + VE1000_VECTORS];	/* no interrupt before that; of each vector */
	uint64_t due[DUES];
	uint64_t armed;			/* what the timer is set to */
	uint32_t told;			/* causes that the driver has an interrupt for */
	bool pin;			/* it is up */
	bool stopping;			/* a reset waits */
	uint8_t rx_turn, tx_turn;
	uint32_t round;
	struct vinbox inbox;
	struct ve1000_tx tx[VE1000_QUEUES];
	struct ve1000_run run;
};

static inline struct ve1000 *ve1000_of(struct vdev *d)
{
	return container_of(d, struct ve1000, dev);
}

static inline uint32_t *ve1000_ring(struct ve1000 *e, unsigned first, unsigned queue)
{
	return &e->reg[first + RING_REGISTERS * queue];
}

/* A ring as its registers have it at one moment. */
struct ve1000_place {
	uint64_t base;
	uint32_t count, head, tail;
	uint32_t round;
};
/* Of descriptors of that size; false: its registers make no ring. Lock held. */
bool ve1000_place(struct ve1000 *e, unsigned first, unsigned queue, unsigned size,
		  struct ve1000_place *out);
static inline uint32_t ve1000_place_filled(const struct ve1000_place *p)
{
	return (p->tail + p->count - p->head) % p->count;
}

/* Lock held: statistics stop at their ends; 64 bits are two registers. */
void ve1000_count(struct ve1000 *e, unsigned stat, uint64_t n);
/* Of a frame, by its size on the wire: STAT_RX_64 or STAT_TX_64. */
void ve1000_count_size(struct ve1000 *e, unsigned stat, uint32_t n);
/* Is it to come back instead of going out? */
bool ve1000_loops(const struct ve1000 *e);
/* Memory was short: the work looks again later. Lock held. */
void ve1000_retry(struct ve1000 *e);

/* --- ve1000_irq.c; lock held */
void ve1000_irq_raise(struct ve1000 *e, uint32_t causes);
void ve1000_irq_received(struct ve1000 *e, unsigned queue, bool low);
void ve1000_irq_sent(struct ve1000 *e, unsigned queue, bool delayed);
/* Interrupts as all registers want them now, and the timer. */
void ve1000_irq_update(struct ve1000 *e);
void ve1000_irq_reset(struct ve1000 *e);
uint32_t ve1000_irq_read(struct ve1000 *e);	/* ICR, with what that does */
/* True: it was the work's. */
bool ve1000_irq_timer(struct ve1000 *e);

/* --- ve1000_phy.c; lock held */
void ve1000_phy_reset(struct ve1000 *e);
void ve1000_phy_mdic(struct ve1000 *e, uint32_t v);
bool ve1000_phy_link(const struct ve1000 *e);
bool ve1000_phy_loops(const struct ve1000 *e);
void ve1000_phy_eerd(struct ve1000 *e, uint32_t v);
uint32_t ve1000_phy_eecd_read(const struct ve1000 *e);
void ve1000_phy_eecd_write(struct ve1000 *e, uint32_t v);
#define VE1000_EECD_KEPT	0x47u	/* SK, CS, DI and the request */

/* --- ve1000_rx.c; no lock held */
int ve1000_rx_frame(struct vdev *d, unsigned medium, const struct host_frame *f);
void ve1000_rx_kick(struct ve1000 *e);

/* --- ve1000_tx.c; likewise */
void ve1000_tx_kick(struct ve1000 *e);
