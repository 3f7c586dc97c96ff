/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the VGA share: its registers, all of them, and which file has what. Registers
 * are read and written under the device's lock; video memory without it, by what was seen of them.
 */
#pragma once

#include "vdev/vvga.h"

#define VVGA_PLANES	0x40000u	/* bytes of video memory that VGA modes use: four planes,
					 * byte `p` of each four is plane p's; the VBE's 16 colours
					 * use all that there is like this */
#define VVGA_COLORS	256u

enum {
	SEQ_RESET, SEQ_CLOCK, SEQ_MAP_MASK, SEQ_FONT, SEQ_MEMORY, SEQ_COUNT,
};
#define CLOCK_EIGHT	0x01		/* dots of a character, else nine */
#define CLOCK_HALF	0x08
#define CLOCK_OFF	0x20		/* the screen */
#define MEMORY_CHAIN4	0x08

enum {
	CRTC_COLUMNS = 0x01, CRTC_OVERFLOW = 0x07, CRTC_CELL = 0x09, CRTC_CURSOR_START = 0x0a,
	CRTC_CURSOR_END = 0x0b, CRTC_START_HIGH = 0x0c, CRTC_START_LOW = 0x0d,
	CRTC_CURSOR_HIGH = 0x0e, CRTC_CURSOR_LOW = 0x0f, CRTC_RETRACE_END = 0x11,
	CRTC_ROWS = 0x12, CRTC_OFFSET = 0x13, CRTC_MODE = 0x17, CRTC_COMPARE = 0x18, CRTC_COUNT,
};
#define CELL_DOUBLE	0x80		/* each line twice */
#define CURSOR_OFF	0x20
#define RETRACE_PROTECT	0x80		/* registers 0 to 7 */

enum {
	GC_SET, GC_SET_ENABLE, GC_COMPARE, GC_FUNCTION, GC_READ_PLANE, GC_MODE, GC_MISC,
	GC_DONT_CARE, GC_BIT_MASK, GC_COUNT,
};
#define MODE_READ_COMPARE 0x08
#define MODE_ODD_EVEN	0x10
#define MISC_GRAPHICS	0x01

enum {
	ATTR_MODE = 0x10, ATTR_OVERSCAN, ATTR_PLANES, ATTR_PAN, ATTR_COLOR, ATTR_COUNT,
};
#define ATTR_NINTH	0x04		/* line graphics go on in the ninth dot */
#define ATTR_BLINK	0x08
#define ATTR_FOUR_BITS	0x80		/* of a colour come from ATTR_COLOR */
#define ATTR_SHOWN	0x20		/* of the index: the palette is the screen's */

enum {
	VBE_ID, VBE_WIDTH, VBE_HEIGHT, VBE_DEPTH, VBE_ENABLE, VBE_BANK, VBE_LINE, VBE_LINES,
	VBE_X, VBE_Y, VBE_MEMORY, VBE_COUNT,
};
#define VBE_ENABLED	0x01
#define VBE_LIMITS	0x02		/* width, height and depth read as the largest there are */
#define VBE_DAC8	0x20
#define VBE_LINEAR	0x40
#define VBE_KEEP	0x80		/* memory is not cleared */

struct vvga_regs {
	uint8_t misc, feature;
	uint8_t seq_index, seq[SEQ_COUNT];
	uint8_t crtc_index, crtc[CRTC_COUNT];
	uint8_t gc_index, gc[GC_COUNT];
	uint8_t attr_index, attr[ATTR_COUNT];
	uint8_t attr_data;		/* 1: what is written to 3C0h is data, not an index */
	uint8_t dac_mask, dac_state;	/* state: 0 writes, 3 reads */
	uint8_t dac_index, dac_part;	/* what comes next: of which colour the red, green, blue */
	uint8_t dac[VVGA_COLORS][3];	/* six bits each, or eight */
	uint8_t latch[4];
	uint16_t vbe_index, vbe[VBE_COUNT];
};

struct vvga {
	struct vdev dev;
	struct vpci_function function;
	uint64_t vram;
	struct vvga_regs r;
	uint8_t edid[128];
};

static inline struct vvga *vvga_of(struct vdev *d)
{
	return container_of(d, struct vvga, dev);
}

static inline bool vvga_vbe_on(const struct vvga_regs *r)
{
	return r->vbe[VBE_ENABLE] & VBE_ENABLED;
}

/* --- vvga_regs.c: ports 3B0h to 3DFh, one byte each, by their offset; lock held */
uint8_t vvga_port_read(struct vvga *g, unsigned offset);
void vvga_port_write(struct vvga *g, unsigned offset, uint8_t v);
/* Of a loaded state: is it one that the registers can have? */
bool vvga_regs_valid(const struct vvga_regs *r);

/* --- vvga_vbe.c; lock held */
uint16_t vvga_vbe_read(const struct vvga *g, unsigned index);
/* True: the lines that are shown are to be cleared, without the lock. */
bool vvga_vbe_write(struct vvga *g, unsigned index, uint16_t v) must_check;
void vvga_vbe_clear(struct vvga *g);		/* no lock held */
/* Bytes of a line, of as many pixels as VBE_LINE says. */
uint64_t vvga_vbe_pitch(const struct vvga_regs *r);
/* Values as a guest may write them become such as can be: what is shown lies in video memory. */
void vvga_vbe_settle(const struct vvga *g, uint16_t vbe[VBE_COUNT]);

/* --- vvga_window.c: a byte of A0000h to BFFFFh; no lock held */
uint8_t vvga_window_read(struct vvga *g, uint64_t offset);
void vvga_window_write(struct vvga *g, uint64_t offset, uint8_t v);
/* Of what finds no memory nothing remains, and the log says so. */
void vvga_put(struct vvga *g, uint64_t at, const void *from, size_t n);

/* --- vvga_edid.c */
void vvga_edid(uint8_t out[128]);
