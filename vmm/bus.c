/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus; see bus.h. Claims are replaced as a whole: a new array is published, and the old one is
 * freed once all vCPUs were seen outside (vm_quiesce). Two vCPUs may move regions of two devices at
 * once: bus->lock makes one change wait for the other, from reading the old array until that is
 * freed. Who waits for it is himself waited for by the one who holds it; so he counts as outside
 * from before he asks for the lock until he is done (vm_quiet_begin), for he holds on to nothing of
 * the old array meanwhile.
 */
#include "vmm/bus.h"

#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/vm.h"

#define PORTS		0x10000
#define PORT_CELLS	(PORTS / BUS_PORT_CELL)

/* The row behind the last ends every search. */
static void claims_end(struct bus_claims *c, unsigned count)
{
	c->count = count;
	c->claim[count] = (struct bus_claim){ .base = ~0ul, .end = ~0ul };
}

static struct bus_claims *claims_alloc(unsigned count)
{
	struct bus_claims *c = heap_alloc(sizeof(*c) + (count + 1) * sizeof(c->claim[0]));

	if (c)
		claims_end(c, count);
	return c;
}

/* For each cell of ports the first claim that ends behind its start: a few runs of equal bytes. */
static int index_ports(struct bus_claims *c)
{
	unsigned cell = 0;

	c->port_index = heap_alloc(PORT_CELLS * sizeof(c->port_index[0]));
	if (!c->port_index)
		return -ENOMEM;
	for (unsigned i = 0; i <= c->count; i++) {
		unsigned end = i < c->count ? (unsigned)DIV_UP(c->claim[i].end, BUS_PORT_CELL)
					    : PORT_CELLS;

		memset(c->port_index + cell, (int)i, end - cell);
		cell = end;
	}
	return 0;
}

static void claims_free(struct bus_claims *c)
{
	if (c)
		heap_free(c->port_index);
	heap_free(c);
}

int bus_init(struct bus *b)
{
	mutex_init(&b->lock, "bus");
	b->space[HOST_PORT] = claims_alloc(0);
	b->space[HOST_MMIO] = claims_alloc(0);
	if (!b->space[HOST_PORT] || !b->space[HOST_MMIO])
		return -ENOMEM;
	return index_ports(b->space[HOST_PORT]);
}

void bus_fini(struct bus *b)
{
	claims_free(b->space[HOST_PORT]);
	claims_free(b->space[HOST_MMIO]);
	b->space[HOST_PORT] = b->space[HOST_MMIO] = NULL;
}

static bool overlaps(const struct bus_claim *c, uint64_t base, uint64_t size)
{
	return size && base < c->end && c->base < base + size;
}

static bool is_same(const struct bus_claim *c, const struct vdev *d, unsigned region)
{
	return c->dev == d && c->region == region;
}

/* Copies the old claims but the replaced one, with the new one in its place by address. */
static struct bus_claims *rebuild(const struct bus_claims *old, const struct bus_claim *add)
{
	struct bus_claims *new = claims_alloc(old->count + 1);
	unsigned n = 0;
	bool placed = add->base == add->end;

	if (!new)
		return NULL;
	for (unsigned i = 0; i < old->count; i++) {
		if (is_same(&old->claim[i], add->dev, add->region))
			continue;
		if (!placed && add->base < old->claim[i].base) {
			new->claim[n++] = *add;
			placed = true;
		}
		new->claim[n++] = old->claim[i];
	}
	if (!placed)
		new->claim[n++] = *add;
	claims_end(new, n);
	return new;
}

/* May `add` stand among the claims of others? A withdrawal always may. */
static int check(const struct bus_claims *c, enum host_space space, const struct bus_claim *add)
{
	uint64_t size = add->end - add->base;
	unsigned others = 0;

	if (!size)
		return 0;
	if (add->end < add->base || (space == HOST_PORT && add->end > PORTS))
		return -EINVAL;
	for (unsigned i = 0; i < c->count; i++) {
		if (is_same(&c->claim[i], add->dev, add->region))
			continue;
		if (overlaps(&c->claim[i], add->base, size))
			return -EEXIST;
		others++;
	}
	return others < BUS_CLAIM_MAX ? 0 : -ENOSPC;
}

/* bus->lock held. */
static int replace(struct vm *vm, enum host_space space, const struct bus_claim *add)
{
	struct bus_claims *old = vm->bus.space[space], *new;
	int err = check(old, space, add);

	if (err)
		return err;
	new = rebuild(old, add);
	if (!new || (space == HOST_PORT && index_ports(new))) {
		heap_free(new);
		return -ENOMEM;
	}
	__atomic_store_n(&vm->bus.space[space], new, __ATOMIC_RELEASE);
	vm_quiesce(vm);
	claims_free(old);
	return 0;
}

int bus_claim(struct vm *vm, enum host_space space, struct vdev *d, unsigned region, uint64_t base,
	      uint64_t size)
{
	struct bus_claim add = {
		.base = base, .end = base + size, .dev = d, .region = (uint8_t)region,
	};
	struct vcpu *self = vm_quiet_begin(vm);
	int err;

	ASSERT(!mutex_held(&vm->lock));
	mutex_lock(&vm->bus.lock);
	err = replace(vm, space, &add);
	mutex_unlock(&vm->bus.lock);
	vm_quiet_end(self);
	return err;
}

static const struct bus_claim *first_behind_address(const struct bus_claims *c, uint64_t address)
{
	unsigned lo = 0, hi = c->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (c->claim[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return &c->claim[lo];
}

static inline const struct bus_claim *first_behind(const struct vm *vm, enum host_space space,
						   uint64_t address)
{
	const struct bus_claims *c = READ_ONCE(vm->bus.space[space]);

	return space == HOST_PORT ? bus_first_behind_port(c, (uint16_t)address)
				  : first_behind_address(c, address);
}

/* Does nobody answer to any of the bytes? `c` is the first claim that ends behind the first one. */
static bool is_unclaimed(struct vm *vm, enum host_space space, const struct bus_claim *c,
			 uint64_t address, unsigned size)
{
	if (c->base <= address || c->base - address < size)
		return false;
	__atomic_add_fetch(&vm->bus.unclaimed[space], size, __ATOMIC_RELAXED);
	return true;
}

/* What no claim holds as a whole, byte by byte; what none holds at all reads as ones. */
static noinline uint64_t read_bytes(struct vm *vm, enum host_space space,
				    const struct bus_claim *c, uint64_t address, unsigned size)
{
	uint64_t value = 0;

	if (is_unclaimed(vm, space, c, address, size))
		return bytes_mask(size);
	for (unsigned i = 0; i < size; i++)
		value |= bus_read(vm, space, address + i, 1) << (8 * i);
	return value;
}

uint64_t bus_read(struct vm *vm, enum host_space space, uint64_t address, unsigned size)
{
	const struct bus_claim *c = first_behind(vm, space, address);

	if (unlikely(!bus_claim_holds(c, address, size)))
		return read_bytes(vm, space, c, address, size);
	return c->dev->ops->read(c->dev, c->region, address - c->base, size) & bytes_mask(size);
}

static noinline void write_bytes(struct vm *vm, enum host_space space, const struct bus_claim *c,
				 uint64_t address, unsigned size, uint64_t value)
{
	if (is_unclaimed(vm, space, c, address, size))
		return;
	for (unsigned i = 0; i < size; i++)
		bus_write(vm, space, address + i, 1, value >> (8 * i) & 0xff);
}

void bus_write(struct vm *vm, enum host_space space, uint64_t address, unsigned size,
	       uint64_t value)
{
	const struct bus_claim *c = first_behind(vm, space, address);

	if (unlikely(!bus_claim_holds(c, address, size)))
		write_bytes(vm, space, c, address, size, value);
	else
		c->dev->ops->write(c->dev, c->region, address - c->base, size,
				   value & bytes_mask(size));
}
