/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VBE extensions of Bochs: a mode is a few numbers. While one is on, what cannot be shown is
 * cut down to what can when it is written, so that whoever reads them never leaves video memory.
 * While none is, the numbers wait as they came: width and height may be those of a depth that is
 * yet to come. Interface: Bochs, "VBE display interface" (DISPI); QEMU, "QEMU Standard VGA".
 */
#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vvga_core.h"

#define ID_FIRST	0xb0c0u
#define ID_LAST		0xb0c5u
#define BANK		0x10000u
#define PIECE		512u
#define ENABLE_BITS	(VBE_ENABLED | VBE_LIMITS | VBE_DAC8 | VBE_LINEAR | VBE_KEEP)

static bool is_depth(uint16_t v)
{
	return v == 4 || v == 8 || v == 15 || v == 16 || v == 24 || v == 32;
}

static uint64_t pitch_of(unsigned depth, unsigned pixels)
{
	return depth == 4 ? pixels / 2u : (uint64_t)pixels * DIV_UP(depth, 8);
}

uint64_t vvga_vbe_pitch(const struct vvga_regs *r)
{
	return pitch_of(r->vbe[VBE_DEPTH], r->vbe[VBE_LINE]);
}

/* Of 16 colours a bank is 64 KiB of each plane. */
static uint16_t banks(const struct vvga *g, const uint16_t vbe[VBE_COUNT])
{
	return (uint16_t)(g->vram / BANK / (vbe[VBE_DEPTH] == 4 ? 4 : 1));
}

static void fit(const struct vvga *g, uint16_t vbe[VBE_COUNT])
{
	uint64_t lines;

	if (!is_depth(vbe[VBE_DEPTH]))
		vbe[VBE_DEPTH] = 8;
	vbe[VBE_WIDTH] = (uint16_t)MAX(MIN(vbe[VBE_WIDTH], VVGA_WIDTH_MAX) & ~7u, 8u);
	vbe[VBE_LINE] = (uint16_t)MAX(vbe[VBE_LINE] & ~7u, vbe[VBE_WIDTH]);
	lines = g->vram / pitch_of(vbe[VBE_DEPTH], vbe[VBE_LINE]);
	vbe[VBE_LINES] = (uint16_t)MIN(lines, 0xfffful);
	vbe[VBE_HEIGHT] = (uint16_t)MAX(MIN(MIN(vbe[VBE_HEIGHT], VVGA_HEIGHT_MAX),
					    vbe[VBE_LINES]), 1u);
	vbe[VBE_X] = (uint16_t)MIN(vbe[VBE_X], vbe[VBE_LINE] - vbe[VBE_WIDTH]);
	vbe[VBE_Y] = (uint16_t)MIN(vbe[VBE_Y], vbe[VBE_LINES] - vbe[VBE_HEIGHT]);
	vbe[VBE_BANK] &= (uint16_t)(banks(g, vbe) - 1);
}

void vvga_vbe_settle(const struct vvga *g, uint16_t vbe[VBE_COUNT])
{
	vbe[VBE_ID] = MAX(MIN(vbe[VBE_ID], ID_LAST), ID_FIRST);
	vbe[VBE_ENABLE] &= ENABLE_BITS;
	vbe[VBE_MEMORY] = (uint16_t)(g->vram / BANK);
	if (vbe[VBE_ENABLE] & VBE_ENABLED)
		fit(g, vbe);
}

uint16_t vvga_vbe_read(const struct vvga *g, unsigned index)
{
	const uint16_t *vbe = g->r.vbe;

	if (index >= VBE_COUNT)
		return 0xffff;
	if (!(vbe[VBE_ENABLE] & VBE_LIMITS))
		return vbe[index];
	return index == VBE_WIDTH    ? (uint16_t)VVGA_WIDTH_MAX
	       : index == VBE_HEIGHT ? (uint16_t)VVGA_HEIGHT_MAX
	       : index == VBE_DEPTH  ? 32
				     : vbe[index];
}

/* One that is set anew begins at its first pixel, with lines as long as are seen. */
static bool enable(struct vvga *g, uint16_t v)
{
	uint16_t *vbe = g->r.vbe;
	bool begins = v & VBE_ENABLED && !(vbe[VBE_ENABLE] & VBE_ENABLED);

	vbe[VBE_ENABLE] = v;
	if (begins)
		vbe[VBE_LINE] = vbe[VBE_X] = vbe[VBE_Y] = 0;
	if (!(v & VBE_ENABLED))
		vbe[VBE_BANK] = 0;
	return begins && !(v & VBE_KEEP);
}

bool vvga_vbe_write(struct vvga *g, unsigned index, uint16_t v)
{
	uint16_t *vbe = g->r.vbe;
	bool clear = false;

	if (index == VBE_ID && v >= ID_FIRST && v <= ID_LAST)
		vbe[VBE_ID] = v;
	else if (index == VBE_ENABLE)
		clear = enable(g, v);
	else if (index > VBE_ID && index < VBE_MEMORY && index != VBE_LINES)
		vbe[index] = v;
	vvga_vbe_settle(g, vbe);
	return clear;
}

/* What is zero already is left alone: of memory that nobody has written there is none. */
static bool clear_piece(struct vvga *g, uint64_t at)
{
	static const uint8_t zeros[PIECE];
	uint8_t there[PIECE];

	if (host_vram_read(&g->dev, at, there, PIECE))
		return false;
	return !memcmp(there, zeros, PIECE) || !host_vram_write(&g->dev, at, zeros, PIECE);
}

void vvga_vbe_clear(struct vvga *g)
{
	uint64_t flags = host_lock(&g->dev);
	uint64_t size = vvga_vbe_on(&g->r) ? vvga_vbe_pitch(&g->r) * g->r.vbe[VBE_HEIGHT] : 0;

	host_unlock(&g->dev, flags);
	size = MIN(ALIGN_UP(size, PIECE), g->vram);
	for (uint64_t at = 0; at < size && clear_piece(g, at); at += PIECE)
		;
}
