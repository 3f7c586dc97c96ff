/* SPDX-License-Identifier: BSD-2-Clause */
/* See lib/png.h. Each piece that deflate makes is a chunk of its own. */
#include "lib/png.h"

#include "lib/crc.h"
#include "lib/string.h"

#define TYPE_RGB	2
#define TYPE_PALETTE	3
#define FILTER_NONE	0
#define FILTER_SUB	1

static void put_u32(uint8_t *to, uint32_t n)
{
	for (unsigned i = 4; i--; n >>= 8)
		to[i] = (uint8_t)n;
}

static int chunk(struct png *p, const char *type, const void *data, size_t n)
{
	uint8_t head[8], tail[4];
	int e;

	put_u32(head, (uint32_t)n);
	memcpy(head + 4, type, 4);
	put_u32(tail, crc32(crc32(0, head + 4, 4), data, n));
	e = p->put(p->arg, head, sizeof(head));
	if (!e && n)
		e = p->put(p->arg, data, n);
	return e ?: p->put(p->arg, tail, sizeof(tail));
}

static int put_data(void *arg, const void *data, size_t n)
{
	return chunk(arg, "IDAT", data, n);
}

/* --- colours */

/* Where the colour is, or would be: half of the slots at least are empty. */
static uint16_t *slot_of(struct png *p, const uint8_t *rgb)
{
	uint32_t pixel = (uint32_t)(rgb[0] << 16 | rgb[1] << 8 | rgb[2]);
	unsigned i = pixel * 0x9e3779b1u >> 23;

	if (pixel == p->last)
		return &p->slot[p->last_slot];
	while (p->slot[i] && memcmp(p->palette[p->slot[i] - 1], rgb, 3))
		i = (i + 1) % PNG_SLOTS;
	p->last = pixel;
	p->last_slot = i;
	return &p->slot[i];
}

void png_look_begin(struct png *p)
{
	memset(p, 0, offsetof(struct png, palette));
	p->last = ~0u;
}

void png_look(struct png *p, const uint8_t *rgb, unsigned width)
{
	for (; width-- && p->colours <= PNG_COLOURS; rgb += 3) {
		uint16_t *slot = slot_of(p, rgb);

		if (*slot)
			continue;
		if (p->colours < PNG_COLOURS)
			memcpy(p->palette[p->colours], rgb, 3);
		*slot = (uint16_t)++p->colours;
	}
}

static unsigned index_of(struct png *p, const uint8_t *rgb)
{
	unsigned index = *slot_of(p, rgb);

	return index ? index - 1 : 0;
}

/* --- the picture */

int png_begin(struct png *p, unsigned width, unsigned height, deflate_put_t *put, void *arg)
{
	uint8_t head[13] = { 0 };
	int e;

	p->put = put;
	p->arg = arg;
	p->width = width;
	p->depth = p->colours > PNG_COLOURS ? 0 : p->colours > 16 ? 8 : p->colours > 4 ? 4 :
		   p->colours > 2 ? 2 : 1;
	put_u32(head, width);
	put_u32(head + 4, height);
	head[8] = (uint8_t)(p->depth ?: 8);
	head[9] = p->depth ? TYPE_PALETTE : TYPE_RGB;
	e = put(arg, "\x89PNG\r\n\x1a\n", 8);
	e = e ?: chunk(p, "IHDR", head, sizeof(head));
	if (!e && p->depth)
		e = chunk(p, "PLTE", p->palette, 3 * p->colours);
	deflate_begin(&p->z, put_data, p);
	return e;
}

static void put_indices(struct png *p, const uint8_t *rgb)
{
	unsigned byte = 1;		/* its bits, below a mark */

	for (unsigned x = 0; x < p->width; x++, rgb += 3) {
		byte = byte << p->depth | index_of(p, rgb);
		if (byte < 0x100)
			continue;
		deflate_write(&p->z, &(uint8_t){ (uint8_t)byte }, 1);
		byte = 1;
	}
	if (byte == 1)
		return;
	while (byte < 0x100)
		byte <<= p->depth;
	deflate_write(&p->z, &(uint8_t){ (uint8_t)byte }, 1);
}

static void put_differences(struct png *p, const uint8_t *rgb)
{
	for (unsigned i = 0; i < 3 * p->width; i++) {
		uint8_t left = i < 3 ? 0 : rgb[i - 3];

		deflate_write(&p->z, &(uint8_t){ (uint8_t)(rgb[i] - left) }, 1);
	}
}

int png_row(struct png *p, const uint8_t *rgb)
{
	deflate_write(&p->z, &(uint8_t){ p->depth ? FILTER_NONE : FILTER_SUB }, 1);
	if (p->depth)
		put_indices(p, rgb);
	else
		put_differences(p, rgb);
	return p->z.error;
}

int png_end(struct png *p)
{
	int e = deflate_end(&p->z);

	return e ?: chunk(p, "IEND", NULL, 0);
}
