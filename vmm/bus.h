/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus: which device answers at which port or guest physical address. An immutable sorted array
 * of claims per space, found by binary search without a lock; a moved region publishes a new array.
 * Where two want the same place, the device that comes first in the machine has it, and the other
 * when that one moves off; so what is published follows from what is wanted alone, whatever moved
 * when. Unclaimed reads give all ones and are counted.
 */
#pragma once

#include "kernel/mutex.h"
#include "vdev/host.h"

struct vm;

struct bus_claim {
	uint64_t base, end;		/* end: the first address behind */
	struct vdev *dev;
	uint8_t region;
};

#define BUS_CLAIM_MAX	250	/* per space, with those that found their place taken */
#define BUS_PORT_CELL	8	/* ports that share a cell of the index */

struct bus_claims {
	unsigned count;
	unsigned waiting;		/* claims whose place another has */
	uint8_t *port_index;		/* ports only */
	/* `count` of them, one that ends every search, and those that wait */
	struct bus_claim claim[];
};

struct bus {
	struct mutex lock;		/* one change at a time, until the old array is freed */
	struct bus_claims *space[2];	/* by enum host_space; never NULL once bus_init succeeded */
	uint64_t unclaimed[2];
};

int bus_init(struct bus *b) must_check;
void bus_fini(struct bus *b);
/*
 * The device's claim on that region, in place of the one it had; `size` 0 withdraws it, whatever
 * `base` says. -EEXIST: another has the place, and the claim waits for it. -EINVAL, -ENOSPC,
 * -ENOMEM: nothing has changed. Waits for the vm's other vCPUs: from a vCPU's exit or while none
 * runs, with no lock held (nor vm->lock: a vCPU takes that on its way to park).
 */
int bus_claim(struct vm *vm, enum host_space space, struct vdev *d, unsigned region, uint64_t base,
	      uint64_t size) must_check;
/* The same for `n` claims at once, of which no two are of one device's region. */
int bus_claim_all(struct vm *vm, enum host_space space, const struct bus_claim *add,
		  unsigned n) must_check;

/* Where the device's region has its place now; false: nowhere. Waits as bus_claim(). */
bool bus_claimed(struct vm *vm, enum host_space space, const struct vdev *d, unsigned region,
		 uint64_t *base);

/*
 * `size` 1, 2, 4 or 8 (MMIO only). An access that is only partly within a claim is
 * split into bytes.
 */
uint64_t bus_read(struct vm *vm, enum host_space space, uint64_t address, unsigned size);
void bus_write(struct vm *vm, enum host_space space, uint64_t address, unsigned size,
	       uint64_t value);

/* vdev/host.h's read_string and write_string of the device at that port; 0 if it has none. */
unsigned bus_read_string(struct vm *vm, unsigned port, unsigned size, void *to, unsigned n);
unsigned bus_write_string(struct vm *vm, unsigned port, unsigned size, const void *from,
			  unsigned n);

/*
 * The first claim that ends behind `port`, 0 to 0xffff: there is one always, the row behind the
 * last.
 */
static inline const struct bus_claim *bus_first_behind_port(const struct bus_claims *c,
							    unsigned port)
{
	const struct bus_claim *at = &c->claim[c->port_index[port / BUS_PORT_CELL]];

	__asm__("" : "+r"(at));		/* lest the compiler find it twice */
	while (at->end <= port)
		at++;
	return at;
}

/* Of the first claim that ends behind `address`. */
static inline bool bus_claim_holds(const struct bus_claim *c, uint64_t address, unsigned size)
{
	return c->base <= address && size <= c->end - address;
}

/* For the exits of IN and OUT: the claim that holds the access as a whole, or NULL. */
static inline const struct bus_claim *bus_port_claim(const struct bus *b, unsigned port,
						     unsigned size)
{
	const struct bus_claim *c = bus_first_behind_port(READ_ONCE(b->space[HOST_PORT]), port);

	return likely(bus_claim_holds(c, port, size)) ? c : NULL;
}
