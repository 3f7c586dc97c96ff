/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The window at A0000h: a byte of it is one of a bank of the VBE's memory, or of one plane, or of
 * all four by what the graphics controller makes of it (of a bank of each, where the VBE has 16
 * colours). Addresses of planes are as QEMU has them: a character and its attribute lie next to
 * each other in planes 0 and 1, and the 256 colours of mode 13h one behind the other. Registers are
 * looked at under the lock, memory is not. IBM, "VGA, XGA: Technical Reference", "Graphics
 * Controller".
 */
#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vvga_core.h"

#define BANK		0x10000u
#define PLANE_MASK	(VVGA_PLANES / 4 - 1)	/* what a bank is of each */

/* What an access goes by. */
struct way {
	uint8_t gc[GC_COUNT];
	uint8_t map_mask;
	bool linear, chain4;
	bool none;			/* the window is elsewhere */
	uint64_t at;			/* in the memory if linear, else of what is shown of it */
	uint64_t bank;			/* of each plane, if of planes */
	uint8_t latch[4];
};

/* Where the window lies, by the graphics controller's miscellaneous register. */
static bool offset_in(const struct vvga_regs *r, uint64_t *offset)
{
	static const struct { uint32_t base, size; } at[] = {
		{ 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 },
	};
	unsigned i = r->gc[GC_MISC] >> 2 & 3;

	if (*offset - at[i].base >= at[i].size)
		return false;
	*offset -= at[i].base;
	return true;
}

static struct way look(struct vvga *g, uint64_t offset)
{
	uint64_t flags = host_lock(&g->dev);
	const struct vvga_regs *r = &g->r;
	struct way w = {
		.map_mask = r->seq[SEQ_MAP_MASK], .chain4 = r->seq[SEQ_MEMORY] & MEMORY_CHAIN4,
		.linear = vvga_vbe_on(r) && r->vbe[VBE_DEPTH] > 4,
	};

	if (w.linear) {
		w.none = offset >= BANK;
		w.at = (uint64_t)r->vbe[VBE_BANK] * BANK + offset;
	} else {
		w.none = !offset_in(r, &offset);
		w.at = offset;
		w.bank = vvga_vbe_on(r) ? (uint64_t)r->vbe[VBE_BANK] * BANK : 0;
	}
	memcpy(w.gc, r->gc, sizeof(w.gc));
	memcpy(w.latch, r->latch, sizeof(w.latch));
	host_unlock(&g->dev, flags);
	return w;
}

static uint8_t get(struct vvga *g, uint64_t at)
{
	uint8_t v;

	return host_vram_read(&g->dev, at, &v, 1) ? 0xff : v;
}

/* Of all four planes' bytes: where. */
static uint64_t planes_at(const struct way *w)
{
	return (w->bank + (w->at & PLANE_MASK)) * 4;
}

/* Of a byte that is one plane's: where, if odd and even addresses, of 128 KiB, are two planes. */
static uint64_t odd_even(uint64_t at, unsigned plane)
{
	return (at & ~1ul) * 2 | plane;
}

/* ---- reading ---- */

/* All four planes into the latches, and what the read mode makes of them. */
static uint8_t read_planes(struct vvga *g, const struct way *w)
{
	uint8_t latch[4], v = 0xff;
	uint64_t flags;

	if (host_vram_read(&g->dev, planes_at(w), latch, sizeof(latch)))
		return 0xff;
	flags = host_lock(&g->dev);
	memcpy(g->r.latch, latch, sizeof(latch));
	host_unlock(&g->dev, flags);
	if (!(w->gc[GC_MODE] & MODE_READ_COMPARE))
		return latch[w->gc[GC_READ_PLANE]];
	for (unsigned p = 0; p < 4; p++)
		if (w->gc[GC_DONT_CARE] >> p & 1)
			v &= (uint8_t)(w->gc[GC_COMPARE] >> p & 1 ? latch[p] : ~latch[p]);
	return v;
}

uint8_t vvga_window_read(struct vvga *g, uint64_t offset)
{
	struct way w = look(g, offset);

	if (w.none)
		return 0xff;
	if (w.linear)
		return get(g, w.at);
	if (w.chain4)
		return get(g, w.at & (VVGA_PLANES - 1));
	if (w.gc[GC_MODE] & MODE_ODD_EVEN)
		return get(g, odd_even(w.at, (w.gc[GC_READ_PLANE] & 2) | (w.at & 1)));
	return read_planes(g, &w);
}

/* ---- writing ---- */

void vvga_put(struct vvga *g, uint64_t at, const void *from, size_t n)
{
	if (host_vram_write(&g->dev, at, from, n))
		host_log(&g->dev, "there is no memory for what is drawn");
}

static uint8_t rotated(uint8_t v, unsigned by)
{
	return (uint8_t)(v >> by | v << (8 - by));
}

static uint8_t combined(unsigned function, uint8_t v, uint8_t latch)
{
	switch (function) {
	case 1:
		return v & latch;
	case 2:
		return v | latch;
	case 3:
		return v ^ latch;
	default:
		return v;
	}
}

/* What plane `p` is to hold: the four write modes. */
static uint8_t plane_value(const struct way *w, unsigned p, uint8_t v)
{
	uint8_t set = w->gc[GC_SET] >> p & 1 ? 0xff : 0, mask = w->gc[GC_BIT_MASK];
	uint8_t turned = rotated(v, w->gc[GC_FUNCTION] & 7), latch = w->latch[p];

	switch (w->gc[GC_MODE] & 3) {
	case 0:
		v = w->gc[GC_SET_ENABLE] >> p & 1 ? set : turned;
		break;
	case 1:
		return latch;
	case 2:
		v = v >> p & 1 ? 0xff : 0;
		break;
	case 3:
		mask &= turned;
		v = set;
		break;
	}
	v = combined(w->gc[GC_FUNCTION] >> 3 & 3, v, latch);
	return (uint8_t)((v & mask) | (latch & ~mask));
}

static void write_planes(struct vvga *g, const struct way *w, uint8_t v)
{
	uint64_t at = planes_at(w);
	uint8_t to[4];

	for (unsigned p = 0; p < 4; p++)
		to[p] = plane_value(w, p, v);
	if (w->map_mask == 0xf)
		vvga_put(g, at, to, sizeof(to));
	for (unsigned p = 0; p < 4 && w->map_mask != 0xf; p++)
		if (w->map_mask >> p & 1)
			vvga_put(g, at + p, &to[p], 1);
}

static void write_byte(struct vvga *g, const struct way *w, uint64_t at, unsigned plane, uint8_t v)
{
	if (w->map_mask >> plane & 1)
		vvga_put(g, at, &v, 1);
}

void vvga_window_write(struct vvga *g, uint64_t offset, uint8_t v)
{
	struct way w = look(g, offset);

	if (w.none)
		return;
	if (w.linear)
		vvga_put(g, w.at, &v, 1);
	else if (w.chain4)
		write_byte(g, &w, w.at & (VVGA_PLANES - 1), w.at & 3, v);
	else if (w.gc[GC_MODE] & MODE_ODD_EVEN)
		write_byte(g, &w, odd_even(w.at, w.at & 1), w.at & 1, v);
	else
		write_planes(g, &w, v);
}
