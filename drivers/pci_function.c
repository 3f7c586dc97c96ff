/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One PCI function's registers; see drivers/pci.h. Lists of capabilities may lead anywhere and in a
 * circle: they are followed within the space they must lie in, for as many steps as it has room
 * for.
 */
#include "drivers/pci.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/features.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/thread.h"
#include "mm/kmap.h"

#define PCI_BAR(i)		(0x10 + 4 * (i))
#define PCI_CAPABILITIES	0x34

#define STATUS_CAPABILITIES	0x10
#define SPACE_FIRST		0x40
#define SPACE_END		0x100
#define BAR_WIDE		0x4

#define EXPRESS_CAPABILITIES	0x04
#define EXPRESS_CONTROL		0x08
#define EXPRESS_STATUS		0x0a
#define EXPRESS_CAN_RESET	BIT(28)
#define EXPRESS_RESET		0x8000
#define EXPRESS_PENDING		0x20
#define ADVANCED_CAPABILITIES	0x03
#define ADVANCED_CONTROL	0x04
#define ADVANCED_STATUS		0x05

#define RESET_NS		100000000	/* it is not to be spoken to for so long */
#define RESET_ROUNDS		10		/* of that, until it must be back */
#define MS			1000000

unsigned pci_capability(const struct pci_device *d, unsigned id, unsigned length)
{
	unsigned steps = (SPACE_END - SPACE_FIRST) / 4, at;

	if ((d->header_type & 0x7f) > 1 || !(pci_read(d, PCI_STATUS, 2) & STATUS_CAPABILITIES))
		return 0;
	at = pci_read(d, PCI_CAPABILITIES, 1) & 0xfc;
	for (; at >= SPACE_FIRST && steps; steps--) {
		uint32_t head = pci_read(d, at, 2);

		if ((head & 0xff) == id && at + length <= SPACE_END)
			return at;
		at = head >> 8 & 0xfc;
	}
	return 0;
}

/* ---- base address registers ---- */

static unsigned bar_count(const struct pci_device *d)
{
	static const uint8_t counts[] = { PCI_BAR_MAX, 2, 0 };

	return counts[MIN(d->header_type & 0x7f, 2)];
}

static bool is_wide(uint32_t low)
{
	return (low & 7) == BAR_WIDE;
}

/* Not the upper half of the one before it. */
static bool begins(const struct pci_device *d, unsigned i)
{
	unsigned k = 0;

	while (k < i)
		k += is_wide(pci_read(d, PCI_BAR(k), 4)) ? 2 : 1;
	return k == i;
}

static uint64_t bar_value(const struct pci_device *d, unsigned i, bool wide)
{
	return pci_read(d, PCI_BAR(i), 4) |
	       (wide ? (uint64_t)pci_read(d, PCI_BAR(i + 1), 4) << 32 : 0);
}

static void bar_write(const struct pci_device *d, unsigned i, bool wide, uint64_t v)
{
	pci_write(d, PCI_BAR(i), 4, (uint32_t)v);
	if (wide)
		pci_write(d, PCI_BAR(i + 1), 4, (uint32_t)(v >> 32));
}

int pci_bar_peek(const struct pci_device *d, unsigned i, struct pci_bar *out)
{
	unsigned count = bar_count(d);
	uint32_t low;

	if (i >= count || !begins(d, i))
		return -ENOENT;
	low = pci_read(d, PCI_BAR(i), 4);
	*out = (struct pci_bar){ .io = low & 1, .wide = is_wide(low) };
	if (out->wide && i + 1 == count)
		return -ENOENT;
	out->address = HPA(bar_value(d, i, out->wide) & (out->io ? ~3ul : ~15ul));
	return out->address.v ? 0 : -ENOENT;
}

/* What it does not let be set is its size. I/O registers may lack the upper half. */
static uint64_t find_size(const struct pci_device *d, unsigned i, const struct pci_bar *bar)
{
	uint64_t value = bar_value(d, i, bar->wide), flags = cpu_irq_save(), mask;
	uint16_t command = (uint16_t)pci_read(d, PCI_COMMAND, 2);

	pci_write(d, PCI_COMMAND, 2,
		  command & ~(uint32_t)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	bar_write(d, i, bar->wide, ~0ul);
	mask = bar_value(d, i, bar->wide) & (bar->io ? ~3ul : ~15ul);
	bar_write(d, i, bar->wide, value);
	pci_write(d, PCI_COMMAND, 2, command);
	cpu_irq_restore(flags);
	return mask & -mask;
}

/* A register over what the machine runs on would have its memory written as a device's. */
static bool over_ram(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];

		if (r->type != BOOT_MEM_RESERVED && start < r->start.v + r->size &&
		    r->start.v < end)
			return true;
	}
	return false;
}

int pci_bar_get(struct pci_device *d, unsigned i, struct pci_bar *out)
{
	int err = pci_bar_peek(d, i, out);
	uint64_t end;

	if (err)
		return err;
	out->size = find_size(d, i, out);
	if (!out->size)
		return -ENOENT;
	if (out->address.v & (out->size - 1) ||
	    __builtin_add_overflow(out->address.v, out->size, &end) ||
	    end > (out->io ? 0x10000 : 1ul << features.physical_bits) ||
	    (!out->io && over_ram(out->address.v, end)))
		return -EINVAL;
	return 0;
}

void *pci_bar_map(const struct pci_bar *bar, uint64_t offset, uint64_t size)
{
	if (bar->io || offset > bar->size || size > bar->size - offset)
		return NULL;
	return kmap_io(HPA(bar->address.v + offset), size, CACHE_UC);
}

void pci_command(struct pci_device *d, uint16_t on, uint16_t off)
{
	pci_write(d, PCI_COMMAND, 2, (pci_read(d, PCI_COMMAND, 2) | on) & ~(uint32_t)off);
}

/* ---- reset ---- */

/* Where a bit set in a register resets the function, and another says that it is not idle. */
struct resetter {
	unsigned control, status;	/* registers */
	unsigned size;			/* of control */
	uint16_t reset, pending;
};

static bool find_resetter(const struct pci_device *d, struct resetter *out)
{
	unsigned cap;

	if (d->header_type & 0x7f)
		return false;
	cap = pci_capability(d, PCI_CAP_EXPRESS, EXPRESS_STATUS + 2);
	if (cap && pci_read(d, cap + EXPRESS_CAPABILITIES, 4) & EXPRESS_CAN_RESET) {
		*out = (struct resetter){ cap + EXPRESS_CONTROL, cap + EXPRESS_STATUS, 2,
					  EXPRESS_RESET, EXPRESS_PENDING };
		return true;
	}
	cap = pci_capability(d, PCI_CAP_ADVANCED, ADVANCED_STATUS + 1);
	*out = (struct resetter){ cap + ADVANCED_CONTROL, cap + ADVANCED_STATUS, 1, 1, 1 };
	return cap && (pci_read(d, cap + ADVANCED_CAPABILITIES, 1) & 3) == 3;
}

static bool becomes_idle(const struct pci_device *d, const struct resetter *r)
{
	for (unsigned i = 0; i < 100; i++) {
		if (!(pci_read(d, r->status, 1) & r->pending))
			return true;
		thread_sleep_ns(MS);
	}
	return false;
}

static bool comes_back(const struct pci_device *d)
{
	for (unsigned i = 0; i < RESET_ROUNDS; i++) {
		thread_sleep_ns(RESET_NS);
		if (pci_read(d, 0, 4) == (d->vendor_id | (uint32_t)d->device_id << 16))
			return true;
	}
	return false;
}

bool pci_can_reset(const struct pci_device *d)
{
	struct resetter r;

	return find_resetter(d, &r);
}

int pci_reset(struct pci_device *d)
{
	uint32_t saved[16], control;
	struct resetter r;

	if (!find_resetter(d, &r))
		return -ENOSYS;
	pci_command(d, 0, PCI_COMMAND_MASTER);
	if (!becomes_idle(d, &r))
		return -EBUSY;
	for (unsigned i = 0; i < ARRAY_COUNT(saved); i++)
		saved[i] = pci_read(d, 4 * i, 4);
	control = pci_read(d, r.control, r.size);
	pci_write(d, r.control, r.size, control | r.reset);
	if (!comes_back(d))
		return -EIO;
	pci_write(d, r.control, r.size, control & ~(uint32_t)r.reset);
	for (unsigned i = ARRAY_COUNT(saved) - 1; i > 1; i--)
		pci_write(d, 4 * i, 4, saved[i]);
	pci_write(d, PCI_COMMAND, 2, saved[1]);
	return 0;
}
