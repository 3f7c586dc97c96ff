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
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/vm.h"

#define PORTS		0x10000
#define PORT_CELLS	(PORTS / BUS_PORT_CELL)

static struct bus_claims *claims_alloc(unsigned total)
{
	struct bus_claims *c = heap_alloc(sizeof(*c) + (total + 1) * sizeof(c->claim[0]));

	if (c)
		c->claim[0] = (struct bus_claim){ .base = ~0ul, .end = ~0ul };
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

static always_inline const struct bus_claim *first_behind_address(const struct bus_claims *c,
								   uint64_t address)
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

static bool is_same(const struct bus_claim *a, const struct bus_claim *b)
{
	return a->dev == b->dev && a->region == b->region;
}

/* Who comes first in the machine; a device's own regions by number. */
static int by_order(const struct bus_claim *a, const struct bus_claim *b)
{
	if (a->dev->order != b->dev->order)
		return a->dev->order < b->dev->order ? -1 : 1;
	return (int)a->region - (int)b->region;
}

/* Unless another has some of its place. */
static bool insert(struct bus_claims *c, const struct bus_claim *add)
{
	struct bus_claim *at = (struct bus_claim *)first_behind_address(c, add->base);

	if (at->base < add->end)
		return false;
	memmove(at + 1, at, (size_t)(c->claim + c->count + 1 - at) * sizeof(*at));
	*at = *add;
	c->count++;
	return true;
}

/* Into its place by order; those of a machine that is made come in order. */
static unsigned add_wish(struct bus_claim *want, unsigned n, const struct bus_claim *add)
{
	unsigned at = n;

	for (; at && by_order(add, &want[at - 1]) < 0; at--)
		want[at] = want[at - 1];
	want[at] = *add;
	return n + 1;
}

/* All that is wanted once `add` holds, in order; `want` has room. */
static unsigned gather(const struct bus_claims *old, const struct bus_claim *add, unsigned n,
		       struct bus_claim *want)
{
	unsigned wanted = 0;

	for (unsigned i = 0; i < old->count + 1 + old->waiting; i++) {
		bool replaced = i == old->count;

		for (unsigned j = 0; j < n && !replaced; j++)
			replaced = is_same(&old->claim[i], &add[j]);
		if (!replaced)
			wanted = add_wish(want, wanted, &old->claim[i]);
	}
	for (unsigned j = 0; j < n; j++)
		if (add[j].end != add[j].base)
			wanted = add_wish(want, wanted, &add[j]);
	return wanted;
}

/* Each has its place unless one before it does. */
static struct bus_claims *settle(const struct bus_claim *want, unsigned wanted)
{
	struct bus_claims *new = claims_alloc(wanted);

	for (unsigned i = 0; new && i < wanted; i++)
		if (!insert(new, &want[i]))
			new->claim[wanted - new->waiting++] = want[i];
	return new;
}

static bool has_place(const struct bus_claims *c, const struct bus_claim *add)
{
	return add->end == add->base || is_same(first_behind_address(c, add->base), add);
}

static int check(enum host_space space, const struct bus_claim *add)
{
	return add->end < add->base || (space == HOST_PORT && add->end > PORTS) ? -EINVAL : 0;
}

/* bus->lock held. */
static int replace(struct vm *vm, enum host_space space, const struct bus_claim *add, unsigned n)
{
	struct bus_claims *old = vm->bus.space[space], *new;
	struct bus_claim *want = heap_alloc((old->count + old->waiting + n) * sizeof(*want));
	unsigned wanted = want ? gather(old, add, n, want) : 0;
	int err = 0;

	if (wanted > BUS_CLAIM_MAX) {
		heap_free(want);
		return -ENOSPC;
	}
	new = want ? settle(want, wanted) : NULL;
	heap_free(want);
	if (!new || (space == HOST_PORT && index_ports(new))) {
		heap_free(new);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n && !err; i++)
		err = has_place(new, &add[i]) ? 0 : -EEXIST;
	__atomic_store_n(&vm->bus.space[space], new, __ATOMIC_RELEASE);
	vm_quiesce(vm);
	claims_free(old);
	return err;
}

int bus_claim_all(struct vm *vm, enum host_space space, const struct bus_claim *add, unsigned n)
{
	struct vcpu *self;
	int err = 0;

	ASSERT(!mutex_held(&vm->lock));
	ASSERT(thread_may_wait());
	for (unsigned i = 0; i < n && !err; i++)
		err = check(space, &add[i]);
	if (err || !n)
		return err;
	self = vm_quiet_begin(vm);
	mutex_lock(&vm->bus.lock);
	err = replace(vm, space, add, n);
	mutex_unlock(&vm->bus.lock);
	vm_quiet_end(self);
	return err;
}

int bus_claim(struct vm *vm, enum host_space space, struct vdev *d, unsigned region, uint64_t base,
	      uint64_t size)
{
	struct bus_claim add = {
		.base = size ? base : 0, .end = size ? base + size : 0, .dev = d,
		.region = (uint8_t)region,
	};

	return bus_claim_all(vm, space, &add, 1);
}

bool bus_claimed(struct vm *vm, enum host_space space, const struct vdev *d, unsigned region,
		 uint64_t *base)
{
	struct vcpu *self = vm_quiet_begin(vm);
	const struct bus_claims *c;
	bool found = false;

	mutex_lock(&vm->bus.lock);
	c = vm->bus.space[space];
	for (unsigned i = 0; i < c->count && !found; i++) {
		found = c->claim[i].dev == d && c->claim[i].region == region;
		*base = found ? c->claim[i].base : 0;
	}
	mutex_unlock(&vm->bus.lock);
	vm_quiet_end(self);
	return found;
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

	ASSERT(size && size <= 8);
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

	ASSERT(size && size <= 8);
	if (unlikely(!bus_claim_holds(c, address, size)))
		write_bytes(vm, space, c, address, size, value);
	else
		c->dev->ops->write(c->dev, c->region, address - c->base, size,
				   value & bytes_mask(size));
}

unsigned bus_read_string(struct vm *vm, unsigned port, unsigned size, void *to, unsigned n)
{
	const struct bus_claim *c = bus_port_claim(&vm->bus, port, size);

	if (!c || !c->dev->ops->read_string)
		return 0;
	return c->dev->ops->read_string(c->dev, c->region, port - c->base, size, to, n);
}

unsigned bus_write_string(struct vm *vm, unsigned port, unsigned size, const void *from,
			  unsigned n)
{
	const struct bus_claim *c = bus_port_claim(&vm->bus, port, size);

	if (!c || !c->dev->ops->write_string)
		return 0;
	return c->dev->ops->write_string(c->dev, c->region, port - c->base, size, from, n);
}
