/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vvga*.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vvga: registers behind their indexes, the window's modes against a model that goes bit by
 * bit, text, planes and 256 colours as they are drawn, VBE modes and their limits, saved form.
 */
#include "tests/host/vdev_test.h"

#include <stdlib.h>

#include "include/bits.h"

#include "vdev/vpci.h"
#include "vdev/vvga_core.h"

#define GRAPHICS_PORT	0x1e
#define SEQUENCER_PORT	0x14
#define CRTC_PORT	0x24

static struct vdev *bus, *d;
static struct vdev_host *b, *h;
static uint8_t rgb[3 * VVGA_WIDTH_MAX];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vpci_create(NULL, &bus) | vvga_create(VDEV_HOST_VRAM, &d), 0);
	b = vdev_host_attach(bus);
	h = vdev_host_attach(d);
	assert_int_equal(vpci_attach(bus, 0, 1, 0, vvga_function(d)), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	vdev_host_detach(b);
	return 0;
}

static uint8_t in(unsigned offset)
{
	return (uint8_t)vdev_host_read(d, VVGA_PORTS, offset, 1);
}

static void out(unsigned offset, uint8_t v)
{
	vdev_host_write(d, VVGA_PORTS, offset, 1, v);
}

/* By one write of two bytes, as firmware does it. */
static void set(unsigned port, unsigned index, unsigned v)
{
	vdev_host_write(d, VVGA_PORTS, port, 2, index | v << 8);
}

static void attribute(unsigned index, uint8_t v)
{
	(void)in(0x2a);
	out(0x10, (uint8_t)index);
	out(0x10, v);
}

static void vbe(unsigned index, unsigned v)
{
	vdev_host_write(d, VVGA_VBE, 0, 2, index);
	vdev_host_write(d, VVGA_VBE, 1, 2, v);
}

static unsigned vbe_is(unsigned index)
{
	vdev_host_write(d, VVGA_VBE, 0, 2, index);
	return (unsigned)vdev_host_read(d, VVGA_VBE, 1, 2);
}

static void color(unsigned i, uint8_t red, uint8_t green, uint8_t blue)
{
	out(0x18, (uint8_t)i);
	out(0x19, red);
	out(0x19, green);
	out(0x19, blue);
}

static uint8_t window(unsigned at)
{
	return (uint8_t)vdev_host_read(d, VVGA_WINDOW, at, 1);
}

static void window_put(unsigned at, uint8_t v)
{
	vdev_host_write(d, VVGA_WINDOW, at, 1, v);
}

static uint32_t pixel(unsigned x)
{
	return (uint32_t)rgb[3 * x] << 16 | rgb[3 * x + 1] << 8 | rgb[3 * x + 2];
}

static void row(unsigned y)
{
	vvga_pixel_row(d, y, rgb);
}

/* ---- registers ---- */

static void ports(void **state)
{
	(void)state;
	out(0x12, 0x67);			/* colour */
	assert_int_equal(in(0x1c), 0x67);
	assert_int_equal(in(0x12), 0x10);		/* there is a monitor */
	for (unsigned i = 0; i < SEQ_COUNT; i++)
		set(SEQUENCER_PORT, i, 0xff);
	out(SEQUENCER_PORT, SEQ_MAP_MASK);
	assert_int_equal(in(SEQUENCER_PORT + 1), 0x0f);
	out(SEQUENCER_PORT, 7);
	assert_int_equal(in(SEQUENCER_PORT + 1), 0);
	set(GRAPHICS_PORT, GC_BIT_MASK, 0xa5);
	assert_int_equal(in(GRAPHICS_PORT + 1), 0xa5);
	set(GRAPHICS_PORT, 15, 0xa5);
	assert_int_equal(in(GRAPHICS_PORT + 1), 0);
	set(CRTC_PORT, CRTC_RETRACE_END, 0x0e);
	set(CRTC_PORT, CRTC_COLUMNS, 79);
	set(CRTC_PORT, CRTC_OVERFLOW, 0);
	set(CRTC_PORT, CRTC_RETRACE_END, 0x8e);
	set(CRTC_PORT, CRTC_COLUMNS, 39);		/* protected */
	assert_int_equal(in(CRTC_PORT + 1), 79);
	set(CRTC_PORT, CRTC_OVERFLOW, 0xff);
	assert_int_equal(in(CRTC_PORT + 1), 0x10);
	assert_int_equal(in(0x05), 0xff);		/* where a monochrome one is */
	out(0x04, CRTC_START_LOW);
	out(0x05, 0x77);
	set(CRTC_PORT, CRTC_START_LOW, 0x11);
	out(0x12, 0x66);				/* and there it is */
	out(0x04, CRTC_START_LOW);
	assert_int_equal(in(0x05), 0x11);
	assert_int_equal(in(CRTC_PORT + 1), 0xff);
	out(0x12, 0x67);
}

static void attributes(void **state)
{
	(void)state;
	out(0x12, 1);
	attribute(3, 0x2a);
	attribute(ATTR_PAN, 0xff);
	(void)in(0x2a);
	out(0x10, 3);
	assert_int_equal(in(0x10), 3);
	assert_int_equal(in(0x11), 0x2a);
	(void)in(0x2a);
	out(0x10, ATTR_PAN);
	assert_int_equal(in(0x11), 0x0f);
	(void)in(0x2a);
	out(0x10, 0x3f);			/* no such register */
	out(0x10, 0xff);
	assert_int_equal(in(0x11), 0);
}

static void palette(void **state)
{
	(void)state;
	color(255, 0x3f, 0xff, 1);
	out(0x19, 9);				/* the next one is the first */
	assert_int_equal(in(0x17), 0);
	out(0x17, 255);
	assert_int_equal(in(0x17), 3);
	assert_int_equal(in(0x19), 0x3f);
	assert_int_equal(in(0x19), 0x3f);
	assert_int_equal(in(0x19), 1);
	assert_int_equal(in(0x19), 9);
	vbe(VBE_ENABLE, VBE_DAC8);
	color(1, 0xff, 0x80, 0);
	out(0x17, 1);
	assert_int_equal(in(0x19), 0xff);
}

/* Who waits for the beginning or the end of a retrace sees it, within a frame. */
static void retrace(void **state)
{
	unsigned seen[4] = { 0 };

	(void)state;
	out(0x12, 1);
	for (unsigned i = 0; i < 2000; i++, h->now += 10000)
		seen[(in(0x2a) & 1) | (in(0x2a) >> 2 & 2)]++;
	assert_true(seen[0] > 1000 && seen[1] > 100 && seen[3] > 50);
	assert_int_equal(seen[2], 0);
}

/* ---- the window ---- */

/* One bit of one plane, as the manual tells it. */
static unsigned model_bit(const uint8_t *gc, unsigned p, unsigned bit, uint8_t v, unsigned latch)
{
	unsigned turned = v >> ((bit + gc[GC_FUNCTION] % 8) % 8) & 1, set = gc[GC_SET] >> p & 1;
	unsigned open = gc[GC_BIT_MASK] >> bit & 1, function = gc[GC_FUNCTION] >> 3, from;

	switch (gc[GC_MODE] & 3) {
	case 0:
		from = gc[GC_SET_ENABLE] >> p & 1 ? set : turned;
		break;
	case 1:
		return latch;
	case 2:
		from = v >> p & 1;
		break;
	default:
		from = set;
		open &= turned;
		break;
	}
	from = function == 0   ? from
	       : function == 1 ? (from & latch)
	       : function == 2 ? (from | latch)
			       : from ^ latch;
	return open ? from : latch;
}

static void write_modes(void **state)
{
	(void)state;
	srand(1);
	set(SEQUENCER_PORT, SEQ_MEMORY, 6);
	for (unsigned n = 0; n < 20000; n++) {
		uint8_t gc[GC_COUNT], before[4], *there, v = (uint8_t)rand();
		unsigned map = rand() & 15;

		for (unsigned i = 0; i < GC_COUNT; i++)
			gc[i] = (uint8_t)rand();
		gc[GC_SET] &= 15, gc[GC_SET_ENABLE] &= 15, gc[GC_FUNCTION] &= 31, gc[GC_MODE] &= 11;
		gc[GC_MISC] = 5;
		for (unsigned i = 0; i < GC_COUNT; i++)
			set(GRAPHICS_PORT, i, gc[i]);
		set(SEQUENCER_PORT, SEQ_MAP_MASK, map);
		(void)window(n % 0x4000);		/* the latches; and memory is there */
		there = h->vram + 4 * (n % 0x4000);
		for (unsigned p = 0; p < 4; p++)
			before[p] = there[p] = (uint8_t)rand();
		(void)window(n % 0x4000);
		window_put(n % 0x4000, v);
		for (unsigned p = 0; p < 4; p++) {
			uint8_t want = 0;

			for (unsigned bit = 0; bit < 8; bit++)
				want |= (uint8_t)(model_bit(gc, p, bit, v, before[p] >> bit & 1)
						  << bit);
			if (there[p] != (map >> p & 1 ? want : before[p]))
				fail_msg("mode %u plane %u: %02x, not %02x", gc[GC_MODE], p, there[p],
					 want);
		}
	}
}

static void read_modes(void **state)
{
	static const uint8_t planes[4] = { 0x0f, 0x33, 0x55, 0xff };
	uint8_t want = 0;

	(void)state;
	set(SEQUENCER_PORT, SEQ_MEMORY, 6);
	set(GRAPHICS_PORT, GC_MISC, 5);
	(void)window(0);
	memcpy(h->vram + 4 * 0x123, planes, 4);
	for (unsigned p = 0; p < 4; p++) {
		set(GRAPHICS_PORT, GC_READ_PLANE, p);
		assert_int_equal(window(0x123), planes[p]);
	}
	set(GRAPHICS_PORT, GC_MODE, MODE_READ_COMPARE);
	set(GRAPHICS_PORT, GC_COMPARE, 0x9);
	set(GRAPHICS_PORT, GC_DONT_CARE, 0x7);		/* plane 3 does not count */
	for (unsigned bit = 0; bit < 8; bit++)
		want |= (uint8_t)((planes[0] >> bit & 1 && !(planes[1] >> bit & 1) &&
				   !(planes[2] >> bit & 1)) << bit);
	assert_int_equal(window(0x123), want);
	set(GRAPHICS_PORT, GC_MISC, 0x0d);		/* B8000h to BFFFFh */
	assert_int_equal(window(0x123), 0xff);
	assert_int_equal(window(0x18123), want);
	assert_int_equal(window(0x17fff), 0xff);
	set(GRAPHICS_PORT, GC_MISC, 0x01);		/* all of it */
	assert_int_equal(window(0x123), want);
	assert_int_equal(window(0x10123), want);	/* 64 KiB of each plane */
}

/* ---- what is drawn ---- */

static void text_mode(unsigned columns, unsigned rows)
{
	static const uint8_t ega[16] = { 0, 1, 2, 3, 4, 5, 20, 7, 56, 57, 58, 59, 60, 61, 62, 63 };

	out(0x12, 0x67);
	set(SEQUENCER_PORT, SEQ_CLOCK, 0);
	set(SEQUENCER_PORT, SEQ_MAP_MASK, 3);
	set(SEQUENCER_PORT, SEQ_MEMORY, 2);
	set(GRAPHICS_PORT, GC_MODE, MODE_ODD_EVEN);
	set(GRAPHICS_PORT, GC_MISC, 0x0e);
	set(GRAPHICS_PORT, GC_BIT_MASK, 0xff);
	set(CRTC_PORT, CRTC_RETRACE_END, 0);
	set(CRTC_PORT, CRTC_COLUMNS, columns - 1);
	set(CRTC_PORT, CRTC_OFFSET, columns / 2);
	set(CRTC_PORT, CRTC_CELL, 15);
	set(CRTC_PORT, CRTC_ROWS, (rows * 16 - 1) & 0xff);
	set(CRTC_PORT, CRTC_OVERFLOW, ((rows * 16 - 1) >> 8 & 1) << 1 |
				      ((rows * 16 - 1) >> 9 & 1) << 6);
	set(CRTC_PORT, CRTC_CURSOR_START, 13);
	set(CRTC_PORT, CRTC_CURSOR_END, 14);
	set(CRTC_PORT, CRTC_COMPARE, 0xff);
	for (unsigned i = 0; i < 16; i++)
		attribute(i, ega[i]);
	attribute(ATTR_PLANES, 0x0f);
	attribute(ATTR_MODE, ATTR_NINTH | ATTR_BLINK);
	color(7, 0x2a, 0x2a, 0x2a);
	color(1, 0, 0, 0x2a);
	(void)in(0x2a);
	out(0x10, ATTR_SHOWN);
}

static void text(void **state)
{
	uint16_t cells[VVGA_COLUMNS_MAX];
	struct vvga_mode m;

	(void)state;
	vvga_mode(d, &m);
	assert_true(m.blank && !m.text);
	text_mode(80, 25);
	vvga_mode(d, &m);
	assert_true(m.text && !m.blank && m.cursor_shown);
	assert_int_equal(m.width, 720);
	assert_int_equal(m.height, 400);
	assert_int_equal(m.columns, 80);
	assert_int_equal(m.rows, 25);
	assert_int_equal(m.cell_height, 16);
	for (unsigned i = 0; i < 4; i++) {
		vdev_host_write(d, VVGA_WINDOW, 0x18000 + 2 * (80 * 24 + i), 2, 0x1741 + i);
		assert_int_equal(vdev_host_read(d, VVGA_WINDOW, 0x18000 + 2 * (80 * 24 + i), 2),
				 0x1741 + i);
	}
	vvga_text_row(d, 24, cells);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(cells[i], 0x1741 + i);
	vvga_text_row(d, 25, cells);
	assert_int_equal(cells[0], 0);
	set(CRTC_PORT, CRTC_START_HIGH, 80 * 23 >> 8);
	set(CRTC_PORT, CRTC_START_LOW, 80 * 23 & 0xff);
	vvga_text_row(d, 1, cells);
	assert_int_equal(cells[3], 0x1744);
	set(CRTC_PORT, CRTC_CURSOR_HIGH, (80 * 25 + 7) >> 8);
	set(CRTC_PORT, CRTC_CURSOR_LOW, (80 * 25 + 7) & 0xff);
	vvga_mode(d, &m);
	assert_int_equal(m.cursor_row, 2);
	assert_int_equal(m.cursor_column, 7);
	set(CRTC_PORT, CRTC_CURSOR_START, CURSOR_OFF | 13);
	vvga_mode(d, &m);
	assert_false(m.cursor_shown);
	set(CRTC_PORT, CRTC_CURSOR_START, 15);		/* it ends before it begins */
	vvga_mode(d, &m);
	assert_false(m.cursor_shown);
	set(SEQUENCER_PORT, SEQ_CLOCK, CLOCK_OFF);
	vvga_mode(d, &m);
	assert_true(m.blank);
	set(SEQUENCER_PORT, SEQ_CLOCK, 0);
	set(GRAPHICS_PORT, GC_MISC, 2);			/* the window is 128 KiB */
	vdev_host_write(d, VVGA_WINDOW, 0x1fffe, 2, 0x1742);
	assert_int_equal(vdev_host_read(d, VVGA_WINDOW, 0x1fffe, 2), 0x1742);
	assert_int_equal(vdev_host_read(d, VVGA_WINDOW, 0x0fffe, 2), 0);
	set(CRTC_PORT, CRTC_START_HIGH, 0xff);
	set(CRTC_PORT, CRTC_START_LOW, 0xff);
	vvga_text_row(d, 0, cells);
	assert_int_equal(cells[0], 0x1742);
	assert_int_equal(cells[1], 0);			/* around the end of the planes */
	vdev_host_write(d, VVGA_WINDOW, 0, 2, 0x1743);
	vvga_text_row(d, 0, cells);
	assert_int_equal(cells[1], 0x1743);
}

static void glyphs(void **state)
{
	(void)state;
	text_mode(80, 25);
	(void)window(0x18000);
	h->vram[(0xc4 * 32 + 5) * 4 + 2] = 0x81;
	h->vram[(0x41 * 32 + 5) * 4 + 2] = 0x81;
	h->vram[0x8000 * 4 + (0x41 * 32 + 5) * 4 + 2] = 0x40;	/* of map 2 */
	vdev_host_write(d, VVGA_WINDOW, 0x18000, 8, 0x174117c417410f41);
	set(CRTC_PORT, CRTC_CURSOR_LOW, 3);
	row(5);
	assert_int_equal(pixel(18 + 0), 0xaaaaaa);	/* C4h: on to the ninth */
	assert_int_equal(pixel(18 + 1), 0x0000aa);
	assert_int_equal(pixel(18 + 8), 0xaaaaaa);
	assert_int_equal(pixel(27 + 7), 0xaaaaaa);	/* 41h: not */
	assert_int_equal(pixel(27 + 8), 0x0000aa);
	row(13);
	assert_int_equal(pixel(18), 0x0000aa);
	for (unsigned x = 27; x < 36; x++)
		assert_int_equal(pixel(x), 0xaaaaaa);	/* the cursor */
	set(SEQUENCER_PORT, SEQ_FONT, 2 << 2);		/* bright ones have a font of their own */
	color(63, 0x3f, 0x3f, 0x3f);
	row(5);
	assert_int_equal(pixel(1), 0xffffff);
	assert_int_equal(pixel(0), 0);
	assert_int_equal(pixel(9 + 0), 0xaaaaaa);
}

static void graphics_mode(unsigned shift, unsigned scan)
{
	text_mode(80, 25);
	set(GRAPHICS_PORT, GC_MODE, shift << 5);
	set(GRAPHICS_PORT, GC_MISC, 5);
	set(CRTC_PORT, CRTC_CELL, 0x40 | (scan - 1));
	set(CRTC_PORT, CRTC_OVERFLOW, 0x12);
	set(CRTC_PORT, CRTC_MODE, 0xe3);
	set(CRTC_PORT, CRTC_OFFSET, 40);
	set(CRTC_PORT, CRTC_CURSOR_START, CURSOR_OFF);
	for (unsigned i = 0; i < 64; i++)
		color(i, (uint8_t)i, 0, 0);
}

static uint32_t red(unsigned i)
{
	return (i << 2 | i >> 4) << 16;
}

static void planes(void **state)
{
	struct vvga_mode m;

	(void)state;
	graphics_mode(0, 1);
	for (unsigned i = 0; i < 16; i++)
		attribute(i, (uint8_t)i);
	(void)in(0x2a);
	out(0x10, ATTR_SHOWN);
	set(SEQUENCER_PORT, SEQ_MEMORY, 6);
	set(SEQUENCER_PORT, SEQ_MAP_MASK, 0x5);
	window_put(80 * 3 + 1, 0x80);
	vvga_mode(d, &m);
	assert_int_equal(m.width, 640);
	assert_int_equal(m.height, 400);
	row(3);
	assert_int_equal(pixel(8), red(5));
	assert_int_equal(pixel(7), 0);
	attribute(ATTR_PAN, 3);
	attribute(ATTR_PLANES, 0x4);
	(void)in(0x2a);
	out(0x10, ATTR_SHOWN);
	row(3);
	assert_int_equal(pixel(5), red(4));
	set(CRTC_PORT, CRTC_OVERFLOW, 0x02);		/* a split: at line 101 it begins anew */
	set(CRTC_PORT, CRTC_CELL, 0);
	set(CRTC_PORT, CRTC_COMPARE, 100);
	set(CRTC_PORT, CRTC_START_HIGH, 0x40);
	row(3);
	assert_int_equal(pixel(5), 0);
	row(104);
	assert_int_equal(pixel(5), red(4));
}

static void mode_13h(void **state)
{
	struct vvga_mode m;

	(void)state;
	graphics_mode(2, 2);
	set(SEQUENCER_PORT, SEQ_MEMORY, 0x0e);
	set(SEQUENCER_PORT, SEQ_MAP_MASK, 0xf);
	for (unsigned i = 0; i < 8; i++)
		window_put(320 * 7 + i, (uint8_t)(10 + i));
	assert_int_equal(window(320 * 7 + 3), 13);
	vvga_mode(d, &m);
	assert_int_equal(m.width, 640);
	assert_int_equal(m.height, 400);
	for (unsigned y = 14; y < 16; y++) {
		row(y);
		for (unsigned x = 0; x < 16; x++)
			assert_int_equal(pixel(x), red(10 + x / 2));
	}
	row(16);
	assert_int_equal(pixel(0), 0);
	out(0x16, 0x08);				/* the mask of all indexes */
	row(14);
	assert_int_equal(pixel(0), red(8));
	set(SEQUENCER_PORT, SEQ_MAP_MASK, 0xd);
	window_put(320 * 7 + 1, 63);
	assert_int_equal(window(320 * 7 + 1), 11);
}

/*
 * 320 x 200 in four colours, as a CGA: odd lines 8 KiB behind the even ones, two to a row of
 * addresses, and each shown twice.
 */
static void cga(void **state)
{
	struct vvga_mode m;

	(void)state;
	graphics_mode(1, 2);
	set(CRTC_PORT, CRTC_CELL, 0xc1);
	set(GRAPHICS_PORT, GC_MODE, 0x30);
	set(GRAPHICS_PORT, GC_MISC, 0x0f);
	set(SEQUENCER_PORT, SEQ_CLOCK, CLOCK_HALF | CLOCK_EIGHT);
	set(SEQUENCER_PORT, SEQ_MAP_MASK, 3);
	set(CRTC_PORT, CRTC_COLUMNS, 39);
	set(CRTC_PORT, CRTC_OFFSET, 20);
	set(CRTC_PORT, CRTC_MODE, 0xa2);
	for (unsigned i = 0; i < 4; i++)
		attribute(i, (uint8_t)(i * 3));
	(void)in(0x2a);
	out(0x10, ATTR_SHOWN);
	window_put(0x18000, 0x1b);			/* 0 1 2 3 */
	window_put(0x18001, 0xe4);			/* 3 2 1 0 */
	window_put(0x1a000, 0xff);
	window_put(0x18000 + 80 * 99, 0x40);		/* line 198 */
	window_put(0x1a000 + 80 * 99, 0x80);		/* line 199, the last */
	vvga_mode(d, &m);
	assert_int_equal(m.width, 640);
	assert_int_equal(m.height, 400);
	row(0);
	for (unsigned x = 0; x < 8; x++)
		assert_int_equal(pixel(x), red(x / 2 * 3));
	for (unsigned x = 8; x < 16; x++)
		assert_int_equal(pixel(x), red((7 - x / 2) * 3));
	row(2);
	assert_int_equal(pixel(0), red(9));
	for (unsigned y = 4; y < 396; y++) {
		row(y);
		assert_int_equal(pixel(0), 0);
	}
	for (unsigned y = 396; y < 400; y++) {
		row(y);
		assert_int_equal(pixel(0), red(y < 398 ? 3 : 6));
	}
}

/* 640 x 200 in two: the same, but that an address is a byte of one plane. */
static void cga_fine(void **state)
{
	(void)state;
	graphics_mode(0, 2);
	set(GRAPHICS_PORT, GC_MISC, 0x0d);
	set(SEQUENCER_PORT, SEQ_MEMORY, 6);
	set(SEQUENCER_PORT, SEQ_MAP_MASK, 1);
	set(CRTC_PORT, CRTC_CELL, 0xc1);
	set(CRTC_PORT, CRTC_MODE, 0xc2);
	attribute(1, 0x17);
	attribute(ATTR_PLANES, 1);
	(void)in(0x2a);
	out(0x10, ATTR_SHOWN);
	window_put(0x18000 + 80 * 50, 0x40);		/* line 100 */
	window_put(0x1a000 + 80 * 50 + 79, 0x01);	/* line 101 */
	for (unsigned y = 0; y < 400; y++) {
		row(y);
		assert_int_equal(pixel(1), y / 2 == 100 ? red(0x17) : 0);
		assert_int_equal(pixel(639), y / 2 == 101 ? red(0x17) : 0);
	}
}

/* ---- VBE ---- */

static void vbe_modes(void **state)
{
	static const struct { unsigned depth, bytes; uint32_t value, seen; } modes[] = {
		{ 15, 2, 0x7c1f, 0xff00ff }, { 16, 2, 0xffe0, 0xffff00 }, { 24, 3, 0x123456, 0x123456 },
		{ 32, 4, 0xff123456, 0x123456 }, { 8, 1, 5, 0x140000 },
	};
	struct vvga_mode m;

	(void)state;
	color(5, 5, 0, 0);
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		vbe(VBE_ENABLE, 0);
		vbe(VBE_WIDTH, 400);
		vbe(VBE_HEIGHT, 300);
		vbe(VBE_DEPTH, modes[i].depth);
		vbe(VBE_ENABLE, VBE_ENABLED | VBE_LINEAR);
		vvga_mode(d, &m);
		assert_true(!m.text && !m.blank && m.width == 400 && m.height == 300);
		vbe(VBE_LINE, 512);
		vbe(VBE_X, 3);
		vbe(VBE_Y, 7);
		assert_int_equal(vbe_is(VBE_LINES), MIN(VDEV_HOST_VRAM / (512 * modes[i].bytes),
							65535u));
		vdev_host_write(d, VVGA_VRAM, (512 * 9 + 103) * modes[i].bytes & ~3ul, 4, 0);
		memcpy(h->vram + (512 * 9 + 103) * modes[i].bytes, &modes[i].value, modes[i].bytes);
		row(2);
		assert_int_equal(pixel(100), modes[i].seen);
		assert_int_equal(pixel(101), 0);
		vbe(VBE_ENABLE, 0);
		vbe(VBE_ENABLE, VBE_ENABLED | VBE_LINEAR | VBE_KEEP);
		assert_memory_equal(h->vram + (512 * 9 + 103) * modes[i].bytes, &modes[i].value,
				    modes[i].bytes);
		assert_int_equal(vbe_is(VBE_LINE), 400);
		memset(h->vram, 0x55, VDEV_HOST_VRAM);
		vbe(VBE_ENABLE, 0);
		vbe(VBE_ENABLE, VBE_ENABLED | VBE_LINEAR);
		for (unsigned k = 0; k < 400 * 300 * modes[i].bytes; k++)
			assert_int_equal(h->vram[k], 0);
	}
}

static void vbe_limits(void **state)
{
	(void)state;
	assert_int_equal(vbe_is(VBE_ID), 0xb0c5);
	vbe(VBE_ID, 0xb0c2);
	assert_int_equal(vbe_is(VBE_ID), 0xb0c2);
	vbe(VBE_ID, 0xb0c6);
	assert_int_equal(vbe_is(VBE_ID), 0xb0c2);
	assert_int_equal(vbe_is(VBE_MEMORY), VDEV_HOST_VRAM / 65536);
	assert_int_equal(vbe_is(VBE_COUNT), 0xffff);
	vbe(VBE_ENABLE, VBE_LIMITS);
	assert_int_equal(vbe_is(VBE_WIDTH), VVGA_WIDTH_MAX);
	assert_int_equal(vbe_is(VBE_HEIGHT), VVGA_HEIGHT_MAX);
	assert_int_equal(vbe_is(VBE_DEPTH), 32);
	vbe(VBE_ENABLE, 0);
	vbe(VBE_WIDTH, 0xffff);
	vbe(VBE_HEIGHT, 0xffff);
	vbe(VBE_DEPTH, 32);
	vbe(VBE_ENABLE, VBE_ENABLED);
	assert_int_equal(vbe_is(VBE_WIDTH), VVGA_WIDTH_MAX);
	assert_int_equal(vbe_is(VBE_HEIGHT), VDEV_HOST_VRAM / (4 * VVGA_WIDTH_MAX));
	vbe(VBE_X, 0xffff);
	vbe(VBE_Y, 0xffff);
	assert_int_equal(vbe_is(VBE_X), 0);
	assert_int_equal(vbe_is(VBE_Y), 0);
	vbe(VBE_DEPTH, 7);
	assert_int_equal(vbe_is(VBE_DEPTH), 8);
	vbe(VBE_BANK, 0xffff);
	assert_int_equal(vbe_is(VBE_BANK), 15);
	window_put(0x1234, 0x77);
	assert_int_equal(h->vram[15 * 0x10000 + 0x1234], 0x77);
	assert_int_equal(window(0x1234), 0x77);
	assert_int_equal(window(0x11234), 0xff);
}

/* The numbers of a mode come in any order; those of the last one have no say. */
static void vbe_order(void **state)
{
	static const unsigned before[] = { 4, 32, 7 };

	(void)state;
	for (unsigned i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		vbe(VBE_ENABLE, 0);
		vbe(VBE_DEPTH, before[i]);
		vbe(VBE_ENABLE, VBE_ENABLED);
		vbe(VBE_LINE, 0xffff);
		vbe(VBE_ENABLE, 0);
		vbe(VBE_WIDTH, 1024);
		vbe(VBE_HEIGHT, 768);
		vbe(VBE_DEPTH, 8);
		vbe(VBE_ENABLE, VBE_ENABLED);
		assert_int_equal(vbe_is(VBE_WIDTH), 1024);
		assert_int_equal(vbe_is(VBE_HEIGHT), 768);
		assert_int_equal(vbe_is(VBE_LINE), 1024);
		assert_int_equal(vbe_is(VBE_LINES), 1024);
	}
}

/* 1024 x 768 in 16 colours: more than a bank of each plane. */
static void vbe_planes(void **state)
{
	(void)state;
	graphics_mode(0, 1);
	for (unsigned i = 0; i < 16; i++)
		attribute(i, (uint8_t)i);
	set(SEQUENCER_PORT, SEQ_MEMORY, 6);
	set(SEQUENCER_PORT, SEQ_MAP_MASK, 0x6);
	vbe(VBE_WIDTH, 1024);
	vbe(VBE_HEIGHT, 768);
	vbe(VBE_DEPTH, 4);
	vbe(VBE_ENABLE, VBE_ENABLED);
	assert_int_equal(vbe_is(VBE_HEIGHT), 768);
	assert_int_equal(vbe_is(VBE_LINES), VDEV_HOST_VRAM / 512);
	vbe(VBE_BANK, 0xffff);
	assert_int_equal(vbe_is(VBE_BANK), VDEV_HOST_VRAM / 0x40000 - 1);
	vbe(VBE_BANK, 1);
	window_put(128 + 1, 0x81);			/* line 513, dots 8 and 15 */
	set(GRAPHICS_PORT, GC_READ_PLANE, 1);
	assert_int_equal(window(128 + 1), 0x81);
	row(513);
	assert_int_equal(pixel(8), red(6));
	assert_int_equal(pixel(15), red(6));
	assert_int_equal(pixel(9), 0);
	row(1);
	assert_int_equal(pixel(8), 0);
	vbe(VBE_LINE, 1040);
	vbe(VBE_X, 11);
	vbe(VBE_BANK, 0);
	window_put(130 + 1, 0x81);
	row(1);
	assert_int_equal(pixel(4), red(6));
	assert_int_equal(pixel(3), 0);
}

static void bars(void **state)
{
	uint8_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 128; i += 4) {
		uint32_t v = (uint32_t)vdev_host_read(d, VVGA_MMIO, i, 4);

		sum = (uint8_t)(sum + v + (v >> 8) + (v >> 16) + (v >> 24));
	}
	assert_int_equal(sum, 0);
	assert_int_equal(vdev_host_read(d, VVGA_MMIO, 0, 8), 0x00ffffffffffff00);
	assert_int_equal(vdev_host_read(d, VVGA_MMIO, 0x80, 4), 0);
	vdev_host_write(d, VVGA_MMIO, 0x502, 2, 640);
	assert_int_equal(vbe_is(VBE_WIDTH), 640);
	assert_int_equal(vdev_host_read(d, VVGA_MMIO, 0x502, 2), 640);
	vdev_host_write(d, VVGA_MMIO, 0x502, 4, 0x03000400);
	assert_int_equal(vdev_host_read(d, VVGA_MMIO, 0x502, 4), 0x03000400);
	assert_int_equal(vbe_is(VBE_HEIGHT), 768);
	vdev_host_write(d, VVGA_MMIO, 0x502, 1, 0);
	assert_int_equal(vbe_is(VBE_WIDTH), 1024);
	vdev_host_write(d, VVGA_MMIO, 0x402, 1, 0x67);
	assert_int_equal(in(0x1c), 0x67);
	assert_int_equal(vdev_host_read(d, VVGA_MMIO, 0x40c, 1), 0x67);
	assert_int_equal(vdev_host_read(d, VVGA_MMIO, 0x600, 4), 8);
	assert_int_equal(vdev_host_read(d, VVGA_MMIO, 0x604, 4), 0x1e1e1e1e);
	vdev_host_write(d, VVGA_VRAM, 0x80000, 8, 0x1122334455667788);
	assert_int_equal(vdev_host_read(d, VVGA_VRAM, 0x80004, 2), 0x3344);
	h->vram_error = -ENOMEM;
	vdev_host_write(d, VVGA_VRAM, 0x80000, 8, 0);
	assert_int_equal(vdev_host_read(d, VVGA_VRAM, 0x80000, 8), 0x1122334455667788);
	assert_int_equal(h->logged, 1);
}

/* ---- saved form ---- */

static void saved(void **state)
{
	static uint8_t one[16384], two[16384], bent[16384];
	struct vvga_mode m;
	size_t n;

	(void)state;
	text_mode(80, 25);
	vbe(VBE_WIDTH, 800);
	n = vdev_host_save(d, one, sizeof(one));
	d->ops->reset(d);
	vvga_mode(d, &m);
	assert_true(m.blank);
	assert_int_equal(vdev_host_load(d, one, n, 2), -EINVAL);
	assert_int_equal(vdev_host_load(d, one, n - 1, 1), -EINVAL);
	assert_int_equal(vdev_host_load(d, one, n, 1), 0);
	assert_int_equal(vdev_host_save(d, two, sizeof(two)), n);
	assert_memory_equal(one, two, n);
	vvga_mode(d, &m);
	assert_true(m.text && m.columns == 80);
	for (size_t i = 0; i < n; i++) {
		unsigned y = (unsigned)rand() % 400;

		memcpy(bent, one, n);
		bent[i] ^= (uint8_t)(1 + rand() % 255);
		if (vdev_host_load(d, bent, n, 1))
			continue;
		row(y);
		assert_int_equal(vdev_host_save(d, two, sizeof(two)), n);
		assert_memory_equal(bent, two, n);
	}
}

/* What no guest can have written is in no record. */
static void hostile(void **state)
{
	static uint8_t one[16384], two[16384], bent[16384];
	const size_t vbe_at = offsetof(struct vvga_regs, latch) + 4 + 2;
	const struct { size_t at; uint8_t v; } bad[] = {
		{ offsetof(struct vvga_regs, misc), 0x10 },
		{ offsetof(struct vvga_regs, feature), 0x04 },
		{ offsetof(struct vvga_regs, seq_index), 0x08 },
		{ offsetof(struct vvga_regs, seq) + SEQ_MAP_MASK, 0x10 },
		{ offsetof(struct vvga_regs, crtc_index), 0x40 },
		{ offsetof(struct vvga_regs, gc_index), 0x10 },
		{ offsetof(struct vvga_regs, gc) + GC_READ_PLANE, 0x04 },
		{ offsetof(struct vvga_regs, attr_index), 0x40 },
		{ offsetof(struct vvga_regs, attr), 0x40 },
		{ offsetof(struct vvga_regs, attr_data), 2 },
		{ offsetof(struct vvga_regs, dac_part), 3 },
		{ offsetof(struct vvga_regs, dac_state), 1 },
		{ vbe_at + 2 * VBE_ID, 0xc6 },
		{ vbe_at + 2 * VBE_WIDTH + 1, 0xff },
		{ vbe_at + 2 * VBE_HEIGHT + 1, 0xff },
		{ vbe_at + 2 * VBE_DEPTH, 7 },
		{ vbe_at + 2 * VBE_ENABLE, VBE_ENABLED | 0x04 },
		{ vbe_at + 2 * VBE_ENABLE + 1, 0x01 },
		{ vbe_at + 2 * VBE_BANK, 16 },
		{ vbe_at + 2 * VBE_LINE + 1, 0 },
		{ vbe_at + 2 * VBE_LINES + 1, 0xff },
		{ vbe_at + 2 * VBE_X + 1, 0xff },
		{ vbe_at + 2 * VBE_Y + 1, 0xff },
		{ vbe_at + 2 * VBE_MEMORY, 0xff },
	};
	size_t n;

	(void)state;
	text_mode(80, 25);
	vbe(VBE_WIDTH, 800);
	vbe(VBE_HEIGHT, 600);
	vbe(VBE_ENABLE, VBE_ENABLED);
	n = vdev_host_save(d, one, sizeof(one));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(bent, one, n);
		bent[bad[i].at] = bad[i].v;
		if (vdev_host_load(d, bent, n, 1) != -EINVAL)
			fail_msg("byte %zu as %02x is taken", bad[i].at, bad[i].v);
		assert_int_equal(vdev_host_save(d, two, sizeof(two)), n);
		assert_memory_equal(one, two, n);
	}
	assert_int_equal(vdev_host_load(d, one, n, 1), 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ports), CASE(attributes), CASE(palette), CASE(retrace), CASE(write_modes),
		CASE(read_modes), CASE(text), CASE(glyphs), CASE(planes), CASE(mode_13h), CASE(cga),
		CASE(cga_fine), CASE(vbe_modes), CASE(vbe_limits), CASE(vbe_order),
		CASE(vbe_planes), CASE(bars), CASE(saved), CASE(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
