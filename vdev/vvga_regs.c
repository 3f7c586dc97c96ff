/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports of a VGA. Four groups of registers are behind an index each; what a register does not
 * have of its bits reads 0. The retrace bits go with the VM's clock, sixty times a second, so that
 * who waits for either sees it come. IBM, "VGA, XGA: Technical Reference", "Registers".
 */
#include "vdev/vvga_core.h"

#define FRAME_NS	16666667ul
#define RETRACE_NS	15900000ul	/* of a frame: the vertical retrace begins */
#define LINE_NS		31778ul
#define LINE_SHOWN_NS	25422ul

#define MISC_COLOR	0x01		/* CRTC and status at 3D4h and on, else at 3B4h */
#define MISC_BITS	0xef
#define FEATURE_BITS	0x03
#define STATUS0_SENSE	0x10		/* a monitor is there */

/* Offsets from 3B0h. */
enum {
	MONO_CRTC = 0x04, MONO_STATUS = 0x0a, ATTRIBUTE = 0x10, ATTRIBUTE_READ = 0x11,
	MISC_WRITE = 0x12, ENABLE = 0x13, SEQUENCER = 0x14, DAC_MASK = 0x16, DAC_READ = 0x17,
	DAC_WRITE = 0x18, DAC_DATA = 0x19, FEATURE_READ = 0x1a, MISC_READ = 0x1c, GRAPHICS = 0x1e,
	COLOR_CRTC = 0x24, COLOR_STATUS = 0x2a,
};

static const uint8_t seq_bits[SEQ_COUNT] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t gc_bits[GC_COUNT] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t attr_bits[ATTR_COUNT] = {
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	0xef, 0xff, 0x3f, 0x0f, 0x0f,
};

/* Which of the two places of CRTC and status answers; the other is nobody's. */
static bool is_elsewhere(const struct vvga_regs *r, unsigned offset)
{
	if (offset >= ATTRIBUTE && offset < 0x20)
		return false;
	return (offset >= 0x20) != (r->misc & MISC_COLOR);
}

/* ---- colours ---- */

static uint8_t dac_next(struct vvga_regs *r)
{
	uint8_t v = r->dac[r->dac_index][r->dac_part];

	if (++r->dac_part == 3) {
		r->dac_part = 0;
		r->dac_index++;
	}
	return v;
}

static void dac_put(struct vvga_regs *r, uint8_t v)
{
	r->dac[r->dac_index][r->dac_part] = r->vbe[VBE_ENABLE] & VBE_DAC8 ? v : v & 0x3f;
	(void)dac_next(r);
}

static void dac_from(struct vvga_regs *r, uint8_t index, uint8_t state)
{
	r->dac_index = index;
	r->dac_part = 0;
	r->dac_state = state;
}

/* ---- reading ---- */

/* And what comes next at 3C0h is an index. */
static uint8_t read_status(struct vvga *g)
{
	uint64_t at = host_clock_ns(&g->dev) % FRAME_NS;

	g->r.attr_data = 0;
	if (at >= RETRACE_NS)
		return 0x09;
	return at % LINE_NS >= LINE_SHOWN_NS;
}

static uint8_t at_index(const uint8_t *reg, unsigned count, uint8_t index)
{
	return index < count ? reg[index] : 0;
}

uint8_t vvga_port_read(struct vvga *g, unsigned offset)
{
	struct vvga_regs *r = &g->r;

	if (is_elsewhere(r, offset))
		return 0xff;
	switch (offset) {
	case ATTRIBUTE:
		return r->attr_index;
	case ATTRIBUTE_READ:
		return at_index(r->attr, ATTR_COUNT, r->attr_index & 0x1f);
	case MISC_WRITE:			/* status 0: there is no retrace interrupt */
		return STATUS0_SENSE;
	case ENABLE:
		return 1;
	case SEQUENCER:
		return r->seq_index;
	case SEQUENCER + 1:
		return at_index(r->seq, SEQ_COUNT, r->seq_index);
	case DAC_MASK:
		return r->dac_mask;
	case DAC_READ:
		return r->dac_state;
	case DAC_WRITE:
		return r->dac_index;
	case DAC_DATA:
		return dac_next(r);
	case FEATURE_READ:
		return r->feature;
	case MISC_READ:
		return r->misc;
	case GRAPHICS:
		return r->gc_index;
	case GRAPHICS + 1:
		return at_index(r->gc, GC_COUNT, r->gc_index);
	case MONO_CRTC:
	case COLOR_CRTC:
		return r->crtc_index;
	case MONO_CRTC + 1:
	case COLOR_CRTC + 1:
		return at_index(r->crtc, CRTC_COUNT, r->crtc_index);
	case MONO_STATUS:
	case COLOR_STATUS:
		return read_status(g);
	default:
		return 0xff;
	}
}

/* ---- writing ---- */

static void write_attribute(struct vvga_regs *r, uint8_t v)
{
	uint8_t index = r->attr_index & 0x1f;

	if (!r->attr_data)
		r->attr_index = v & 0x3f;
	else if (index < ATTR_COUNT)
		r->attr[index] = v & attr_bits[index];
	r->attr_data ^= 1;
}

/* Of what is protected, one bit of line compare is not. */
static void write_crtc(struct vvga_regs *r, uint8_t v)
{
	uint8_t index = r->crtc_index;

	if (index >= CRTC_COUNT)
		return;
	if (index <= CRTC_OVERFLOW && r->crtc[CRTC_RETRACE_END] & RETRACE_PROTECT) {
		if (index != CRTC_OVERFLOW)
			return;
		v = (uint8_t)((r->crtc[index] & ~0x10) | (v & 0x10));
	}
	r->crtc[index] = v;
}

void vvga_port_write(struct vvga *g, unsigned offset, uint8_t v)
{
	struct vvga_regs *r = &g->r;

	if (is_elsewhere(r, offset))
		return;
	switch (offset) {
	case ATTRIBUTE:
		write_attribute(r, v);
		break;
	case MISC_WRITE:
		r->misc = v & MISC_BITS;
		break;
	case SEQUENCER:
		r->seq_index = v & 0x07;
		break;
	case SEQUENCER + 1:
		if (r->seq_index < SEQ_COUNT)
			r->seq[r->seq_index] = v & seq_bits[r->seq_index];
		break;
	case DAC_MASK:
		r->dac_mask = v;
		break;
	case DAC_READ:
		dac_from(r, v, 3);
		break;
	case DAC_WRITE:
		dac_from(r, v, 0);
		break;
	case DAC_DATA:
		dac_put(r, v);
		break;
	case GRAPHICS:
		r->gc_index = v & 0x0f;
		break;
	case GRAPHICS + 1:
		if (r->gc_index < GC_COUNT)
			r->gc[r->gc_index] = v & gc_bits[r->gc_index];
		break;
	case MONO_CRTC:
	case COLOR_CRTC:
		r->crtc_index = v & 0x3f;
		break;
	case MONO_CRTC + 1:
	case COLOR_CRTC + 1:
		write_crtc(r, v);
		break;
	case MONO_STATUS:
	case COLOR_STATUS:
		r->feature = v & FEATURE_BITS;
		break;
	}
}

/* ---- loading ---- */

static bool within(const uint8_t *reg, const uint8_t *bits, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (reg[i] & ~bits[i])
			return false;
	return true;
}

bool vvga_regs_valid(const struct vvga_regs *r)
{
	return within(r->seq, seq_bits, SEQ_COUNT) && within(r->gc, gc_bits, GC_COUNT) &&
	       within(r->attr, attr_bits, ATTR_COUNT) && !(r->misc & ~MISC_BITS) &&
	       !(r->feature & ~FEATURE_BITS) && r->seq_index <= 0x07 &&
	       r->gc_index <= 0x0f && r->crtc_index <= 0x3f && r->attr_index <= 0x3f &&
	       r->attr_data <= 1 && r->dac_part < 3 && (r->dac_state == 0 || r->dac_state == 3);
}
