/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vvga.h. This file is the device: who asks for what, reset, save and load; vvga_core.h says
 * where the rest is. BAR 2 as QEMU has it: the EDID, the ports from 3C0h on, the VBE registers, and
 * that pixels are little-endian. Interface: QEMU, "QEMU Standard VGA".
 */
#include "vdev/vvga_core.h"

#include "include/bits.h"
#include "lib/string.h"

#define MMIO_EDID	0x000u
#define MMIO_PORTS	0x400u		/* 3C0h to 3DFh */
#define MMIO_VBE	0x500u
#define MMIO_EXTENDED	0x600u
#define EXTENDED_SIZE	8u		/* and so it reads at first, then the order of bytes */
#define LITTLE_ENDIAN	0x1e1e1e1eu

struct vpci_function *vvga_function(struct vdev *d)
{
	return &vvga_of(d)->function;
}

/* ---- registers ---- */

/* An index at 1CEh, what is there at 1CFh and 1D0h; words. Bytes are for who looks closely. */
static uint64_t read_vbe(const struct vvga *g, uint64_t offset, unsigned size)
{
	uint64_t v = offset == 0 ? g->r.vbe_index : vvga_vbe_read(g, g->r.vbe_index);

	return size == 1 && offset == 2 ? v >> 8 : v;
}

static bool write_vbe(struct vvga *g, uint64_t offset, unsigned size, uint64_t v)
{
	if (size == 1 || offset > 2)
		return false;
	if (offset)
		return vvga_vbe_write(g, g->r.vbe_index, (uint16_t)v);
	g->r.vbe_index = (uint16_t)v;
	return size == 4 && vvga_vbe_write(g, g->r.vbe_index, (uint16_t)(v >> 16));
}

static uint64_t read_ports(struct vvga *g, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)vvga_port_read(g, (unsigned)offset + i) << 8 * i;
	return v;
}

static void write_ports(struct vvga *g, uint64_t offset, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		vvga_port_write(g, (unsigned)offset + i, (uint8_t)(v >> 8 * i));
}

static uint64_t read_bytes(const uint8_t *from, size_t count, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size && offset + i < count; i++)
		v |= (uint64_t)from[offset + i] << 8 * i;
	return v;
}

/* Words, of which a longer access has some in a row. */
static uint64_t read_words(const struct vvga *g, unsigned index, unsigned size)
{
	uint64_t v = vvga_vbe_read(g, index);

	for (unsigned i = 1; i < size / 2; i++)
		v |= (uint64_t)vvga_vbe_read(g, index + i) << 16 * i;
	return v;
}

static bool write_words(struct vvga *g, unsigned index, unsigned size, uint64_t v)
{
	bool clear = false;

	for (unsigned i = 0; i < size / 2; i++)
		clear |= vvga_vbe_write(g, index + i, (uint16_t)(v >> 16 * i));
	return clear;
}

static uint64_t read_mmio(struct vvga *g, uint64_t offset, unsigned size)
{
	if (offset < MMIO_PORTS)
		return read_bytes(g->edid, sizeof(g->edid), offset, size);
	if (range_within(offset, size, MMIO_PORTS, 0x20))
		return read_ports(g, offset - MMIO_PORTS + 0x10, size);
	if (range_within(offset, size, MMIO_VBE, 2 * VBE_COUNT) && IS_ALIGNED(offset, 2))
		return read_words(g, (unsigned)(offset - MMIO_VBE) / 2, size);
	if (offset == MMIO_EXTENDED)
		return EXTENDED_SIZE;
	return offset == MMIO_EXTENDED + 4 ? LITTLE_ENDIAN : 0;
}

static bool write_mmio(struct vvga *g, uint64_t offset, unsigned size, uint64_t v)
{
	if (range_within(offset, size, MMIO_PORTS, 0x20))
		write_ports(g, offset - MMIO_PORTS + 0x10, size, v);
	else if (range_within(offset, size, MMIO_VBE, 2 * VBE_COUNT) && IS_ALIGNED(offset, 2))
		return write_words(g, (unsigned)(offset - MMIO_VBE) / 2, size, v);
	return false;
}

/* ---- memory ---- */

static uint64_t read_memory(struct vvga *g, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	if (region == VVGA_VRAM)
		return host_vram_read(&g->dev, offset, &v, size) ? ~0ul : v;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)vvga_window_read(g, offset + i) << 8 * i;
	return v;
}

static void write_memory(struct vvga *g, unsigned region, uint64_t offset, unsigned size,
			 uint64_t v)
{
	if (region == VVGA_VRAM)
		vvga_put(g, offset, &v, size);
	for (unsigned i = 0; region == VVGA_WINDOW && i < size; i++)
		vvga_window_write(g, offset + i, (uint8_t)(v >> 8 * i));
}

static uint64_t vvga_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vvga *g = vvga_of(d);
	uint64_t flags, v;

	if (region == VVGA_VRAM || region == VVGA_WINDOW)
		return read_memory(g, region, offset, size);
	flags = host_lock(d);
	v = region == VVGA_PORTS ? read_ports(g, offset, size)
	  : region == VVGA_VBE	 ? read_vbe(g, offset, size)
				 : read_mmio(g, offset, size);
	host_unlock(d, flags);
	return v;
}

static void vvga_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size, uint64_t v)
{
	struct vvga *g = vvga_of(d);
	bool clear = false;
	uint64_t flags;

	if (region == VVGA_VRAM || region == VVGA_WINDOW) {
		write_memory(g, region, offset, size, v);
		return;
	}
	flags = host_lock(d);
	if (region == VVGA_PORTS)
		write_ports(g, offset, size, v);
	else
		clear = region == VVGA_VBE ? write_vbe(g, offset, size, v)
					   : write_mmio(g, offset, size, v);
	host_unlock(d, flags);
	if (clear)
		vvga_vbe_clear(g);
}

/* ---- life ---- */

static void vvga_reset(struct vdev *d)
{
	struct vvga *g = vvga_of(d);
	uint64_t flags = host_lock(d);

	memset(&g->r, 0, sizeof(g->r));
	g->r.dac_mask = 0xff;
	g->r.vbe[VBE_ID] = 0xb0c5;
	vvga_vbe_settle(g, g->r.vbe);
	host_unlock(d, flags);
	vpci_function_reset(&g->function);
}

/* The registers are bytes, the latches last, but for the VBE's behind them. */
#define SAVED_BYTES	(offsetof(struct vvga_regs, latch) + sizeof(((struct vvga *)0)->r.latch))

static void vvga_save(struct vdev *d, struct record_writer *w)
{
	struct vvga *g = vvga_of(d);

	record_put(w, &g->r, SAVED_BYTES);
	record_put_u16(w, g->r.vbe_index);
	for (unsigned i = 0; i < VBE_COUNT; i++)
		record_put_u16(w, g->r.vbe[i]);
	vpci_function_save(&g->function, w);
}

static int vvga_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vvga *g = vvga_of(d);
	struct vpci_saved saved;
	uint16_t settled[VBE_COUNT];
	struct vvga_regs new;
	uint64_t flags;

	memset(&new, 0, sizeof(new));
	record_get(r, &new, SAVED_BYTES);
	new.vbe_index = record_get_u16(r);
	for (unsigned i = 0; i < VBE_COUNT; i++)
		new.vbe[i] = record_get_u16(r);
	vpci_function_read(&g->function, r, &saved);
	memcpy(settled, new.vbe, sizeof(settled));
	vvga_vbe_settle(g, settled);
	if (version != d->ops->version || record_finish(r) || !vvga_regs_valid(&new) ||
	    memcmp(settled, new.vbe, sizeof(settled)))
		return -EINVAL;
	flags = host_lock(d);
	g->r = new;
	host_unlock(d, flags);
	vpci_function_commit(&g->function, &saved);
	return 0;
}

static void vvga_destroy(struct vdev *d)
{
	vpci_function_fini(vvga_function(d));
	host_free(vvga_of(d));
}

static const struct vdev_ops vvga_ops = {
	.name = "vga", .version = 1, .read = vvga_read, .write = vvga_write, .reset = vvga_reset,
	.save = vvga_save, .load = vvga_load, .destroy = vvga_destroy,
};

int vvga_create(uint64_t vram, struct vdev **out)
{
	struct vvga *g;
	struct vpci_function *f;

	if (vram < VVGA_VRAM_MIN || vram > VVGA_VRAM_MAX || vram & (vram - 1))
		return -EINVAL;
	g = host_alloc(sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->dev.ops = &vvga_ops;
	g->vram = vram;
	vvga_edid(g->edid);
	f = &g->function;
	vpci_function_init(f, &g->dev, 0x1234, 0x1111, 0x03000002, 0x1af4, 0x1100);
	vpci_function_bar(f, 0, (struct vpci_bar){ .size = vram, .space = HOST_MMIO,
		.prefetch = true, .region = VVGA_VRAM });
	vpci_function_bar(f, 2, (struct vpci_bar){ .size = VVGA_MMIO_SIZE, .space = HOST_MMIO,
		.region = VVGA_MMIO });
	*out = &g->dev;
	return 0;
}
