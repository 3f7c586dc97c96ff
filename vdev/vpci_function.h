/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame on which virtual PCI devices stand: a `vpci_function` is configuration space with masks
 * of what a guest may change. BARs that the guest moves or enables become host_region_set calls for
 * the device that owns the function, if the bridge before it lets them through.
 *
 * What an owner does, in this order: vpci_function_init, BARs, capabilities (vpci_msi.h,
 * vpci_express.h), registers of its own in `config`, `writable` and `clear`; then the machine calls
 * vpci_attach (vpci.h), and what `config` holds at that moment is what a reset brings back. The
 * owner's own reset, save and load call those of the function.
 *
 * Locks: configuration space is under the lock of the device `root`, which is inside the owner's
 * own: all of vpci_*.h but vpci_function_reset and vpci_function_commit (host_region_set waits) may
 * be called with the owner's lock held. Callbacks come without a lock.
 */
#pragma once

#include "vdev/host.h"

#define VPCI_CONFIG_SPAN	4096	/* of a function, by ECAM; what is not kept reads 0 */
#define VPCI_CONFIG_SIZE	512	/* of it kept */
#define VPCI_BARS		6

struct vpci_bus;
struct vpci_bridge;

struct vpci_bar {
	uint64_t size;			/* a power of two, 16 at least; 0: absent */
	enum host_space space;
	bool wide, prefetch;		/* 64 bits (takes the next one too) */
	unsigned region;		/* of the owner */
	/* what host_region_set was told last */
	uint64_t base;
	bool enabled;
};

/* As MSI-X has them; a guest writes them. */
struct vpci_message {
	uint64_t address;
	uint32_t data, control;		/* control: bit 0 masks it */
};

enum vpci_interrupt { VPCI_PIN, VPCI_MSI, VPCI_MSIX };

/* vpci_msi.c's */
struct vpci_messages {
	uint32_t version;		/* odd: they are being changed */
	uint8_t kind;			/* enum vpci_interrupt: what the guest has enabled */
	bool open;			/* it may be sent, but for each one's mask */
	unsigned count;			/* of MSI-X */
	uint32_t table, pba;		/* where in their BAR */
	struct vpci_message *entry;
	uint32_t *pending;
};

struct vpci_function {
	struct vdev *owner;
	struct vdev *root;		/* whose lock holds; NULL before vpci_attach */
	struct vpci_bus *bus;		/* where it sits, and at which slot * 8 + function */
	uint8_t devfn;
	struct vpci_bridge *bridge;	/* that it is, or NULL */
	uint8_t config[VPCI_CONFIG_SIZE] aligned(8);
	uint8_t initial[VPCI_CONFIG_SIZE];	/* after a reset */
	uint8_t writable[VPCI_CONFIG_SIZE];	/* bits that a guest may change */
	uint8_t clear[VPCI_CONFIG_SIZE];	/* bits that a guest clears by writing 1 */
	struct vpci_bar bars[VPCI_BARS];
	/* Where the next capability goes; an owner that wants a place of its own sets it. */
	unsigned capability_end, extended_end;
	uint16_t power, express, msi, msix;	/* the capability's offset; 0: none */
	uint8_t line;			/* the owner's, of its pin */
	bool line_up;
	bool master;			/* it may write to memory: DMA and messages */
	bool moving;			/* someone is telling the host about the BARs */
	bool reset_self, reset_below;	/* asked for by a register, not done yet */
	struct vpci_messages messages;

	/* Or NULL: a guest wrote there (after the change). */
	void (*written)(struct vpci_function *f, unsigned offset, unsigned size);
	/* Or NULL: a guest is going to read there: vpci_function_put what it is to see. */
	void (*reading)(struct vpci_function *f, unsigned offset, unsigned size);
	/*
	 * Or NULL, then the owner's ops->reset: function-level reset or reset of the bus, from a
	 * vCPU's exit while others run. Ends DMA, calls vpci_function_reset.
	 */
	void (*reset)(struct vpci_function *f);
};

/* What vpci_function_read found, until it is committed; as long as the reader's buffer. */
struct vpci_saved {
	uint8_t config[VPCI_CONFIG_SIZE];
	const uint8_t *messages;
};

/* Fills in the identity and the usual masks. */
void vpci_function_init(struct vpci_function *f, struct vdev *owner, uint16_t vendor,
	uint16_t device, uint32_t class_revision, uint16_t subvendor, uint16_t subdevice);
/* Frees what its messages took. From the owner's destroy. */
void vpci_function_fini(struct vpci_function *f);
void vpci_function_bar(struct vpci_function *f, unsigned bar, struct vpci_bar what);
/* A capability of `size` bytes with the header; its offset, or 0 when there is no room. */
unsigned vpci_function_capability(struct vpci_function *f, uint8_t id, unsigned size);
/* The same behind the first 256 bytes, for a function that has vpci_express_init's. */
unsigned vpci_function_extended(struct vpci_function *f, uint16_t id, unsigned version,
	unsigned size);
/* Its interrupt pin is INTA (1) to INTD (4), which is that line of the owner's. */
void vpci_function_pin(struct vpci_function *f, unsigned pin, unsigned line);

/* Registers as after power-on: BARs 0, decoding off, messages masked, the pin down. */
void vpci_function_reset(struct vpci_function *f);
void vpci_function_save(struct vpci_function *f, struct record_writer *w);
/* In two steps, so that an owner checks everything before it commits; the reader has the error. */
void vpci_function_read(struct vpci_function *f, struct record_reader *r, struct vpci_saved *to);
void vpci_function_commit(struct vpci_function *f, const struct vpci_saved *from);

/* Registers, 1 to 8 bytes, whatever the masks say; get and put take the lock. */
uint64_t vpci_function_get(struct vpci_function *f, unsigned at, unsigned size);
void vpci_function_put(struct vpci_function *f, unsigned at, unsigned size, uint64_t value);
/* A level of its pin: shown in the status register, and on the line if the guest has left it on. */
void vpci_function_pin_set(struct vpci_function *f, bool level);

/* May it do DMA? Its own bus master bit, and those of the bridges before it. */
static inline bool vpci_function_is_master(const struct vpci_function *f)
{
	return READ_ONCE(f->master);
}

/* Guest memory, as host_mem_read and host_mem_write; -EPERM: it may not. No lock held. */
int vpci_function_dma_read(struct vpci_function *f, gpa_t a, void *dst, size_t n) must_check;
int vpci_function_dma_write(struct vpci_function *f, gpa_t a, const void *src, size_t n) must_check;

/* --- for vdev/vpci*.c: under the root's lock */
uint64_t vpci_function_config_read(const struct vpci_function *f, unsigned reg, unsigned size);
void vpci_function_config_write(struct vpci_function *f, unsigned reg, unsigned size,
	uint64_t value);
/* --- and without: what a write there leads to */
void vpci_function_tell(struct vpci_function *f, unsigned reg, unsigned size);
