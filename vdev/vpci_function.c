/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpci_function.h. What follows from registers (DMA and messages allowed, the pin's line) is
 * computed anew after each change of them, under the lock; where BARs
 * answer is told to the host behind it, in vpci_function_tell. ("PCI Local Bus Specification" 3.0,
 * Configuration Space.)
 */
#include "vdev/vpci_function.h"

#include "lib/string.h"
#include "vdev/vpci_bridge.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_msi.h"
#include "vdev/vpci_regs.h"

void vpci_function_init(struct vpci_function *f, struct vdev *owner, uint16_t vendor,
	uint16_t device, uint32_t class_revision, uint16_t subvendor, uint16_t subdevice)
{
	*f = (struct vpci_function){ .owner = owner, .capability_end = PCI_HEADER_END,
		.extended_end = PCI_EXTENDED };
	vpci_regs_set(f->config + PCI_VENDOR, 2, vendor);
	vpci_regs_set(f->config + PCI_DEVICE, 2, device);
	vpci_regs_set(f->config + PCI_REVISION, 4, class_revision);
	vpci_regs_set(f->config + PCI_SUBVENDOR, 2, subvendor);
	vpci_regs_set(f->config + PCI_SUBDEVICE, 2, subdevice);
	vpci_regs_set(f->writable + PCI_COMMAND, 2, COMMAND_WRITABLE);
	vpci_regs_set(f->writable + PCI_CACHE_LINE, 1, 0xff);
	vpci_regs_set(f->writable + PCI_INTERRUPT_LINE, 1, 0xff);
}

void vpci_function_fini(struct vpci_function *f)
{
	vpci_msi_fini(f);
}

void vpci_function_bar(struct vpci_function *f, unsigned bar, struct vpci_bar what)
{
	unsigned at = PCI_BAR0 + 4 * bar, kind = what.space == HOST_PORT ? BAR_IO : 0;
	uint64_t mask = ~(what.size - 1) & ~(what.space == HOST_PORT ? 3ul : 15ul);

	if (what.space == HOST_MMIO)
		kind |= (what.wide ? BAR_WIDE : 0) | (what.prefetch ? BAR_PREFETCH : 0);
	what.base = 0;
	what.enabled = false;
	f->bars[bar] = what;
	vpci_regs_set(f->config + at, 4, kind);
	vpci_regs_set(f->writable + at, what.wide ? 8 : 4, mask);
}

/* Capabilities lie and are chained in the order in which they were added. */
unsigned vpci_function_capability(struct vpci_function *f, uint8_t id, unsigned size)
{
	unsigned at = f->capability_end, link = PCI_CAPABILITIES;

	if (size < 2 || at + size > PCI_EXTENDED)
		return 0;
	while (f->config[link])
		link = f->config[link] + 1u;
	f->config[link] = (uint8_t)at;
	f->config[at] = id;
	f->config[PCI_STATUS] |= STATUS_CAPABLE;
	f->capability_end = ALIGN_UP(at + size, 4u);
	return at;
}

/* {id: 16, version: 4, next: 12}; the first is at 0x100 always. */
unsigned vpci_function_extended(struct vpci_function *f, uint16_t id, unsigned version,
	unsigned size)
{
	unsigned at = f->extended_end, link = PCI_EXTENDED, next;

	if (size < 4 || at + size > VPCI_CONFIG_SIZE)
		return 0;
	while ((next = (unsigned)vpci_regs_get(f->config + link + 2, 2) >> 4))
		link = next;
	if (at != PCI_EXTENDED)
		f->config[link + 2] |= (uint8_t)(at << 4 & 0xf0);
	if (at != PCI_EXTENDED)
		f->config[link + 3] = (uint8_t)(at >> 4);
	vpci_regs_set(f->config + at, 4, id | version << 16);
	f->extended_end = ALIGN_UP(at + size, 4u);
	return at;
}

void vpci_function_pin(struct vpci_function *f, unsigned pin, unsigned line)
{
	f->config[PCI_INTERRUPT_PIN] = (uint8_t)pin;
	f->line = (uint8_t)line;
}

/* --- BARs */

/* Where a BAR is and whether it answers, by the configuration space. */
static bool bar_wanted(const struct vpci_function *f, unsigned bar, uint64_t *base)
{
	const struct vpci_bar *b = &f->bars[bar];
	unsigned at = PCI_BAR0 + 4 * bar, bytes = b->wide ? 8 : 4;
	unsigned enable = b->space == HOST_PORT ? COMMAND_IO : COMMAND_MEMORY;

	*base = vpci_regs_get(f->config + at, bytes) & vpci_regs_get(f->writable + at, bytes);
	return *base && f->config[PCI_COMMAND] & enable && vpci_express_is_on(f) &&
		vpci_bridge_passes(f->bus->bridge, b->space, *base, b->size);
}

/* The next BAR whose place the host does not know, noted as told; or -1. */
static int bar_next(struct vpci_function *f)
{
	for (unsigned i = 0; i < VPCI_BARS; i++) {
		struct vpci_bar *b = &f->bars[i];
		uint64_t base;
		bool enabled;

		if (!b->size)
			continue;
		enabled = bar_wanted(f, i, &base);
		if (enabled == b->enabled && (!enabled || base == b->base))
			continue;
		b->base = base;
		b->enabled = enabled;
		return (int)i;
	}
	return -1;
}

/*
 * Tells the host where BARs have moved, without the lock, since that may wait. Only one caller at a
 * time does so and goes on until nothing is left, hence what the host heard last is what the
 * registers say.
 */
static void move_bars(struct vpci_function *f)
{
	uint64_t flags = host_lock(f->root);
	int i;

	if (f->moving) {
		host_unlock(f->root, flags);
		return;
	}
	f->moving = true;
	while ((i = bar_next(f)) >= 0) {
		struct vpci_bar b = f->bars[i];

		host_unlock(f->root, flags);
		if (host_region_set(f->owner, b.region, b.space, b.base, b.size, b.enabled))
			host_log(f->owner, "BAR %d at %#lx cannot be mapped", i, b.base);
		flags = host_lock(f->root);
	}
	f->moving = false;
	host_unlock(f->root, flags);
}

/* Its own BARs, and those that its windows hold. */
static void move_all_bars(struct vpci_function *f)
{
	move_bars(f);
	for (unsigned i = 0; f->bridge && i < f->bridge->bus.count; i++)
		if (f->bridge->behind[i])
			move_bars(f->bridge->behind[i]);
}

/* --- what follows from registers */

static void drive_line(struct vpci_function *f)
{
	bool up = f->config[PCI_STATUS] & STATUS_INTX && f->messages.kind == VPCI_PIN &&
		!(f->config[PCI_COMMAND + 1] & COMMAND_INTX_OFF >> 8);

	if (up == f->line_up)
		return;
	f->line_up = up;
	host_line_set(f->owner, f->line, up);
}

/* Between vpci_msi_begin and vpci_msi_end. */
static void derive(struct vpci_function *f)
{
	WRITE_ONCE(f->master, f->config[PCI_COMMAND] & COMMAND_MASTER && vpci_express_is_on(f) &&
		vpci_bridge_is_master(f->bus->bridge));
	vpci_msi_derive(f);
	drive_line(f);
}

/* Bridges stand on bus 0 alone: what is behind one is no bridge. */
static void refresh_behind(struct vpci_bridge *b)
{
	for (unsigned i = 0; i < b->bus.count; i++) {
		struct vpci_function *f = b->behind[i];

		if (!f)
			continue;
		vpci_msi_begin(f);
		derive(f);
		vpci_msi_end(f);
	}
}

static void end_change(struct vpci_function *f)
{
	derive(f);
	vpci_msi_end(f);
	if (f->bridge)
		refresh_behind(f->bridge);
}

/* All registers have been replaced. */
static void end_replace(struct vpci_function *f)
{
	if (f->bridge)
		vpci_bridge_replaced(f->bridge);
	end_change(f);
}

/* --- accesses; `reg` with `size` lies within its dword (or qword by ECAM) */

uint64_t vpci_function_config_read(const struct vpci_function *f, unsigned reg, unsigned size)
{
	return reg + size <= VPCI_CONFIG_SIZE ? vpci_regs_get(f->config + reg, size) : 0;
}

/* Bytes that are not the guest's are left alone: who sends a message may be changing them. */
void vpci_function_config_write(struct vpci_function *f, unsigned reg, unsigned size,
	uint64_t value)
{
	uint8_t state = f->config[f->power + POWER_STATE];

	if (reg + size > VPCI_CONFIG_SIZE)
		return;
	vpci_msi_begin(f);
	for (unsigned i = reg; i < reg + size; i++, value >>= 8) {
		unsigned kept = f->config[i] & ~f->writable[i];

		if (f->writable[i] | f->clear[i])
			f->config[i] = (uint8_t)((kept | (value & f->writable[i])) &
				~(value & f->clear[i]));
	}
	vpci_express_written(f, state);
	if (f->bridge)
		vpci_bridge_written(f->bridge);
	end_change(f);
}

uint64_t vpci_function_get(struct vpci_function *f, unsigned at, unsigned size)
{
	uint64_t flags = host_lock(f->root), v = vpci_function_config_read(f, at, size);

	host_unlock(f->root, flags);
	return v;
}

void vpci_function_put(struct vpci_function *f, unsigned at, unsigned size, uint64_t value)
{
	uint64_t flags = host_lock(f->root);

	vpci_msi_begin(f);
	vpci_regs_set(f->config + at, size, value);
	end_change(f);
	host_unlock(f->root, flags);
}

void vpci_function_pin_set(struct vpci_function *f, bool level)
{
	uint64_t flags = host_lock(f->root);

	f->config[PCI_STATUS] = (uint8_t)((f->config[PCI_STATUS] & ~STATUS_INTX) |
		(level ? STATUS_INTX : 0));
	drive_line(f);
	host_unlock(f->root, flags);
}

int vpci_function_dma_read(struct vpci_function *f, gpa_t a, void *dst, size_t n)
{
	return vpci_function_is_master(f) ? host_mem_read(f->owner, a, dst, n) : -EPERM;
}

int vpci_function_dma_write(struct vpci_function *f, gpa_t a, const void *src, size_t n)
{
	return vpci_function_is_master(f) ? host_mem_write(f->owner, a, src, n) : -EPERM;
}

/* --- resets and other consequences, without the lock */

static void reset_owner(struct vpci_function *f)
{
	if (f->reset)
		f->reset(f);
	else
		f->owner->ops->reset(f->owner);
}

/* Was it asked for? Whoever takes it does it. */
static bool take(struct vpci_function *f, bool *asked)
{
	uint64_t flags = host_lock(f->root);
	bool was = *asked;

	*asked = false;
	host_unlock(f->root, flags);
	return was;
}

void vpci_function_tell(struct vpci_function *f, unsigned reg, unsigned size)
{
	if (take(f, &f->reset_self))
		reset_owner(f);
	if (take(f, &f->reset_below))
		for (unsigned i = 0; i < f->bridge->bus.count; i++)
			if (f->bridge->behind[i])
				reset_owner(f->bridge->behind[i]);
	if (reg < PCI_HEADER_END || (f->power && reg - f->power < POWER_SIZE))
		move_all_bars(f);
	if (f->written)
		f->written(f, reg, size);
}

void vpci_function_reset(struct vpci_function *f)
{
	uint64_t flags;

	if (!f->root)
		return;
	flags = host_lock(f->root);
	vpci_msi_begin(f);
	memcpy(f->config, f->initial, sizeof(f->config));
	vpci_msi_reset(f);
	f->reset_self = false;
	end_replace(f);
	host_unlock(f->root, flags);
	move_all_bars(f);
}

/* --- saved form */

void vpci_function_save(struct vpci_function *f, struct record_writer *w)
{
	uint64_t flags = host_lock(f->root);

	record_put(w, f->config, sizeof(f->config));
	vpci_msi_save(f, w);
	host_unlock(f->root, flags);
}

/* Bits that change without the guest's writing them. */
static uint8_t changing(const struct vpci_function *f, unsigned at)
{
	unsigned messages = 1u << FIELD(f->config[f->msi + MSI_CONTROL], 3, 1);
	unsigned pending = f->msi + MSI_PENDING;

	if (at == PCI_STATUS && f->config[PCI_INTERRUPT_PIN])
		return STATUS_INTX;
	if (!f->msi || at < pending || at >= pending + 4)
		return 0;
	return (uint8_t)((BIT(messages) - 1) >> 8 * (at - pending));
}

/*
 * What a guest cannot change must be what this function has; a saved BAR thus fits as well. A reset
 * that is asked for is none of a function's states.
 */
void vpci_function_read(struct vpci_function *f, struct record_reader *r, struct vpci_saved *to)
{
	record_get(r, to->config, VPCI_CONFIG_SIZE);
	for (unsigned i = 0; i < VPCI_CONFIG_SIZE; i++)
		if ((to->config[i] ^ f->config[i]) &
		    ~(f->writable[i] | f->clear[i] | changing(f, i)))
			r->error = -EINVAL;
	if (f->express && to->config[f->express + EXPRESS_CONTROL + 1] & EXPRESS_RESET >> 8)
		r->error = -EINVAL;
	to->messages = vpci_msi_read(f, r);
}

void vpci_function_commit(struct vpci_function *f, const struct vpci_saved *from)
{
	uint64_t flags = host_lock(f->root);

	vpci_msi_begin(f);
	memcpy(f->config, from->config, sizeof(f->config));
	vpci_msi_commit(f, from->messages);
	end_replace(f);
	host_unlock(f->root, flags);
	move_all_bars(f);
}
