/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is on the screen, for who looks at it: a line of pixels or of characters at a time, each by
 * the registers as they are then; a guest that changes them in between tears its picture, and leads
 * nobody out of the four planes or the video memory. Not shown: blinking, the border, underlining,
 * text of twice the width (half the clock), a start within a row (preset row scan) or a cell; a
 * split screen (line compare) and panning are, but of text. The VBE is shown even if the attribute
 * controller has the screen off.
 * IBM, "VGA, XGA: Technical Reference", "CRT Controller Registers", "Attribute Controller".
 */
#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vvga_core.h"

#define UNIT		4u		/* bytes that one address of the planes is */
#define DOTS		8u		/* and what that is on the screen */
#define GLYPH_BYTES	32u
#define PIECE		240u		/* bytes: whole pixels of 1 to 4 */

enum kind { TEXT, PLANES, PAIRS, COLORS, LINEAR };

struct screen {
	enum kind kind;
	bool blank, doubled, half;	/* each line twice, each dot twice */
	unsigned width, height, columns, rows, cell, dots;
	uint64_t start, pitch;		/* bytes of video memory */
	uint64_t memory;		/* of which the planes are so many: a power of two */
	unsigned pan;			/* dots of a line that are not seen */
	struct vvga_regs r;
};

static uint8_t color_bits(const struct screen *s, uint8_t v)
{
	return s->r.vbe[VBE_ENABLE] & VBE_DAC8 ? v : (uint8_t)(v << 2 | v >> 4);
}

static void put_color(const struct screen *s, uint8_t index, uint8_t *rgb)
{
	const uint8_t *c = s->r.dac[index & s->r.dac_mask];

	for (unsigned i = 0; i < 3; i++)
		rgb[i] = color_bits(s, c[i]);
}

/* Of 16 colours: by the palette, and two or four bits more. */
static void put_palette(const struct screen *s, unsigned index, uint8_t *rgb)
{
	const uint8_t *attr = s->r.attr;
	uint8_t v = attr[index & 0xf] & 0x3f, more = attr[ATTR_COLOR];

	if (attr[ATTR_MODE] & ATTR_FOUR_BITS)
		v = (uint8_t)((v & 0x0f) | (more & 0x0f) << 4);
	else
		v |= (uint8_t)((more & 0x0c) << 4);
	put_color(s, v, rgb);
}

/* ---- the mode ---- */

static void linear_screen(struct vdev *d, struct screen *s)
{
	const uint16_t *vbe = s->r.vbe;
	unsigned depth = vbe[VBE_DEPTH];

	s->kind = depth == 4 ? PLANES : LINEAR;
	s->width = vbe[VBE_WIDTH];
	s->height = vbe[VBE_HEIGHT];
	s->pitch = vvga_vbe_pitch(&s->r);
	s->start = vbe[VBE_Y] * s->pitch +
		   (depth == 4 ? vbe[VBE_X] / DOTS * UNIT
			       : (uint64_t)vbe[VBE_X] * DIV_UP(depth, 8));
	s->memory = vvga_of(d)->vram;
	s->pan = depth == 4 ? vbe[VBE_X] % DOTS : 0;
}

static void text_screen(struct screen *s)
{
	s->kind = TEXT;
	s->dots = s->r.seq[SEQ_CLOCK] & CLOCK_EIGHT ? 8 : 9;
	s->columns = MIN(s->columns, VVGA_COLUMNS_MAX);
	s->rows = MIN(s->height / s->cell, VVGA_ROWS_MAX);
	s->width = s->columns * s->dots;
	s->height = s->rows * s->cell;
	s->blank |= !s->rows;
}

static void vga_screen(struct screen *s)
{
	const uint8_t *crtc = s->r.crtc;
	unsigned shift = s->r.gc[GC_MODE] >> 5;

	s->doubled = crtc[CRTC_CELL] & CELL_DOUBLE;
	s->cell = ((crtc[CRTC_CELL] & 0x1fu) + 1) << s->doubled;
	s->columns = crtc[CRTC_COLUMNS] + 1u;
	s->height = (crtc[CRTC_ROWS] | (crtc[CRTC_OVERFLOW] & 0x02u) << 7 |
		     (crtc[CRTC_OVERFLOW] & 0x40u) << 3) + 1;
	s->start = (crtc[CRTC_START_HIGH] << 8u | crtc[CRTC_START_LOW]) * UNIT;
	s->pitch = crtc[CRTC_OFFSET] * 2u * UNIT;
	s->blank = !(s->r.attr_index & ATTR_SHOWN) || s->r.seq[SEQ_CLOCK] & CLOCK_OFF ||
		   !crtc[CRTC_COLUMNS] || s->height == 1;
	s->memory = VVGA_PLANES;
	s->pan = s->r.attr[ATTR_PAN] & 7u;
	if (!(s->r.gc[GC_MISC] & MISC_GRAPHICS)) {
		text_screen(s);
		return;
	}
	s->kind = shift == 0 ? PLANES : shift == 1 ? PAIRS : COLORS;
	s->half = s->kind != COLORS && s->r.seq[SEQ_CLOCK] & CLOCK_HALF;
	s->width = MIN(s->columns * DOTS << s->half, VVGA_WIDTH_MAX);
}

static void look(struct vdev *d, struct screen *s)
{
	struct vvga *g = vvga_of(d);
	uint64_t flags = host_lock(d);

	memset(s, 0, sizeof(*s));
	s->r = g->r;
	host_unlock(d, flags);
	if (vvga_vbe_on(&s->r))
		linear_screen(d, s);
	else
		vga_screen(s);
	if (s->blank) {
		s->kind = LINEAR;
		s->width = 640;
		s->height = 480;
	}
}

/* Of the planes, around their end. Zeros where memory cannot be had. */
static void planes_read(struct vdev *d, const struct screen *s, uint64_t at, uint8_t *to, size_t n)
{
	size_t first = MIN(n, s->memory - (at & (s->memory - 1)));

	if (host_vram_read(d, at & (s->memory - 1), to, first))
		memset(to, 0, first);
	if (n > first)
		planes_read(d, s, 0, to + first, n - first);
}

static bool has_cursor(const struct screen *s)
{
	unsigned first = s->r.crtc[CRTC_CURSOR_START], last = s->r.crtc[CRTC_CURSOR_END];

	return !(first & CURSOR_OFF) && (first & 0x1f) <= (last & 0x1f);
}

void vvga_mode(struct vdev *d, struct vvga_mode *out)
{
	struct screen s;
	unsigned at, start;

	look(d, &s);
	*out = (struct vvga_mode){
		.text = s.kind == TEXT, .blank = s.blank, .width = s.width, .height = s.height,
	};
	if (s.kind != TEXT)
		return;
	at = s.r.crtc[CRTC_CURSOR_HIGH] << 8u | s.r.crtc[CRTC_CURSOR_LOW];
	start = (unsigned)(s.start / UNIT);
	out->columns = s.columns;
	out->rows = s.rows;
	out->cell_height = s.cell;
	if (!has_cursor(&s) || at < start || !s.pitch)
		return;
	out->cursor_column = (at - start) % (unsigned)(s.pitch / UNIT);
	out->cursor_row = (at - start) / (unsigned)(s.pitch / UNIT);
	out->cursor_shown = out->cursor_column < s.columns && out->cursor_row < s.rows;
}

/* ---- text ---- */

static void cells_of(struct vdev *d, const struct screen *s, unsigned row, uint16_t *cells)
{
	uint8_t there[VVGA_COLUMNS_MAX * UNIT];

	planes_read(d, s, s->start + row * s->pitch, there, s->columns * UNIT);
	for (unsigned i = 0; i < s->columns; i++)
		cells[i] = (uint16_t)(there[i * UNIT] | there[i * UNIT + 1] << 8);
}

void vvga_text_row(struct vdev *d, unsigned row, uint16_t *cells)
{
	struct screen s;

	look(d, &s);
	memset(cells, 0, VVGA_COLUMNS_MAX * sizeof(cells[0]));
	if (s.kind == TEXT && row < s.rows)
		cells_of(d, &s, row, cells);
}

/* Where in plane 2 the glyphs of such a character are: of two maps its attribute has one. */
static uint64_t font_of(const struct screen *s, uint16_t cell)
{
	uint8_t v = s->r.seq[SEQ_FONT];
	unsigned map = cell & 0x0800 ? (v >> 2 & 3) | (v >> 5 & 1) << 2
				     : (v & 3) | (v >> 4 & 1) << 2;

	return (map & 3) * 0x4000u + (map >> 2) * 0x2000u;
}

/* The ninth dot of line graphics is the eighth again. */
static unsigned glyph_of(struct vdev *d, const struct screen *s, uint16_t cell, unsigned line)
{
	uint64_t at = font_of(s, cell) + (cell & 0xff) * GLYPH_BYTES + line;
	bool joined = (cell & 0xe0) == 0xc0 && s->r.attr[ATTR_MODE] & ATTR_NINTH;
	uint8_t dots[UNIT];

	planes_read(d, s, at * UNIT, dots, sizeof(dots));
	return dots[2] << 1u | (joined ? dots[2] & 1u : 0);
}

static bool is_cursor(const struct screen *s, uint64_t address, unsigned line)
{
	const uint8_t *crtc = s->r.crtc;

	return has_cursor(s) &&
	       address == ((unsigned)crtc[CRTC_CURSOR_HIGH] << 8 | crtc[CRTC_CURSOR_LOW]) &&
	       line >= (crtc[CRTC_CURSOR_START] & 0x1fu) && line <= (crtc[CRTC_CURSOR_END] & 0x1fu);
}

static void text_line(struct vdev *d, const struct screen *s, unsigned y, uint8_t *rgb)
{
	unsigned row = y / s->cell, line = (y % s->cell) >> s->doubled;
	uint64_t address = (s->start + row * s->pitch) / UNIT;
	uint16_t cells[VVGA_COLUMNS_MAX];

	cells_of(d, s, row, cells);
	for (unsigned i = 0; i < s->columns; i++) {
		unsigned glyph = is_cursor(s, address + i, line) ? 0x1ff
								 : glyph_of(d, s, cells[i], line);
		unsigned back = cells[i] >> 12;

		if (s->r.attr[ATTR_MODE] & ATTR_BLINK)
			back &= 7;
		for (unsigned x = 0; x < s->dots; x++, rgb += 3)
			put_palette(s, glyph << x & 0x100 ? cells[i] >> 8 & 0xf : back, rgb);
	}
}

/* ---- graphics ---- */

/* The colour of a dot of the eight that an address is. */
static void put_dot(const struct screen *s, const uint8_t unit[UNIT], unsigned dot, uint8_t *rgb)
{
	unsigned pair = 6 - 2 * (dot & 3), plane = dot >> 2, index = 0;

	if (s->kind == COLORS) {
		put_color(s, unit[dot / 2], rgb);
		return;
	}
	if (s->kind == PAIRS)
		index = (unit[plane] >> pair & 3u) | (unit[plane + 2] >> pair & 3u) << 2;
	for (unsigned p = 0; s->kind == PLANES && p < UNIT; p++)
		index |= (unit[p] >> (7 - dot) & 1u) << p;
	put_palette(s, index & s->r.attr[ATTR_PLANES], rgb);
}

/*
 * Where a line begins. A row of addresses is shown as often as a cell has lines; as a CGA has it,
 * by CRTC_MODE, the two lowest bits of a line's number in it are bits 13 and 14 of the address.
 */
static uint64_t line_start(const struct screen *s, unsigned y)
{
	const uint8_t *crtc = s->r.crtc;
	unsigned compare = crtc[CRTC_COMPARE] | (crtc[CRTC_OVERFLOW] & 0x10u) << 4 |
			   (crtc[CRTC_CELL] & 0x40u) << 3;
	unsigned mode = crtc[CRTC_MODE], bit = 14 + (mode >> 6 & 1);
	uint64_t at = s->start, line;

	if (vvga_vbe_on(&s->r))
		return at + y * s->pitch;
	if (y > compare) {
		y -= compare + 1;
		at = 0;
	}
	at += y / s->cell * s->pitch;
	line = y % s->cell >> s->doubled;
	if (!(mode & 1))
		at = (at & ~BIT(bit)) | (line & 1) << bit;
	if (!(mode & 2))
		at = (at & ~BIT(bit + 1)) | (line & 2) << bit;
	return at;
}

static void planes_line(struct vdev *d, const struct screen *s, unsigned y, uint8_t *rgb)
{
	uint64_t at = line_start(s, y), have = ~0ul;
	uint8_t unit[UNIT];

	for (unsigned x = 0; x < s->width; x++, rgb += 3) {
		unsigned dot = (x >> s->half) + s->pan;

		if (have != dot / DOTS)
			planes_read(d, s, at + dot / DOTS * UNIT, unit, sizeof(unit));
		have = dot / DOTS;
		put_dot(s, unit, dot % DOTS, rgb);
	}
}

static uint8_t wide(uint32_t v, unsigned at, unsigned bits)
{
	uint32_t c = v >> at & ((1u << bits) - 1);

	return (uint8_t)(c << (8 - bits) | c >> (2 * bits - 8));
}

static void put_linear(const struct screen *s, const uint8_t *from, uint8_t *rgb)
{
	uint32_t v = from[0] | (s->r.vbe[VBE_DEPTH] > 8 ? from[1] << 8u : 0);
	unsigned green = s->r.vbe[VBE_DEPTH] == 15 ? 5 : 6;

	if (s->r.vbe[VBE_DEPTH] == 8) {
		put_color(s, from[0], rgb);
	} else if (s->r.vbe[VBE_DEPTH] <= 16) {
		rgb[0] = wide(v, 5 + green, 5);
		rgb[1] = wide(v, 5, green);
		rgb[2] = wide(v, 0, 5);
	} else {
		for (unsigned i = 0; i < 3; i++)
			rgb[i] = from[2 - i];
	}
}

static void linear_line(struct vdev *d, const struct screen *s, unsigned y, uint8_t *rgb)
{
	unsigned bytes = DIV_UP(s->r.vbe[VBE_DEPTH], 8u), done = 0;
	uint64_t at = s->start + y * s->pitch;
	uint8_t piece[PIECE];

	while (done < s->width) {
		unsigned n = MIN(PIECE / bytes, s->width - done);

		if (host_vram_read(d, at + (uint64_t)done * bytes, piece, n * bytes))
			memset(piece, 0, sizeof(piece));
		for (unsigned i = 0; i < n; i++, rgb += 3)
			put_linear(s, piece + i * bytes, rgb);
		done += n;
	}
}

void vvga_pixel_row(struct vdev *d, unsigned y, uint8_t *rgb)
{
	struct screen s;

	look(d, &s);
	memset(rgb, 0, 3 * VVGA_WIDTH_MAX);
	if (s.blank || y >= s.height)
		return;
	if (s.kind == TEXT)
		text_line(d, &s, y, rgb);
	else if (s.kind == LINEAR)
		linear_line(d, &s, y, rgb);
	else
		planes_line(d, &s, y, rgb);
}
