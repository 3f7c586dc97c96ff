/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VGA with the Bochs VBE extensions, as QEMU's stdvga ("VGA", 1234:1111): text and planar modes
 * by the ports and the window at A0000h, linear ones in video memory at BAR 0, and its registers
 * once more, with an EDID, at BAR 2. Who looks at the screen calls the three below: each sees the
 * registers at one moment, and the memory as it is then.
 */
#pragma once

#include "vdev/vpci_function.h"

enum vvga_region {
	VVGA_PORTS,		/* 3B0h to 3DFh */
	VVGA_VBE,		/* 1CEh to 1D1h */
	VVGA_WINDOW,		/* A0000h to BFFFFh */
	VVGA_VRAM,		/* BAR 0 */
	VVGA_MMIO,		/* BAR 2 */
};
#define VVGA_PORTS_BASE		0x3b0u
#define VVGA_PORTS_SIZE		0x30u
#define VVGA_VBE_BASE		0x1ceu
#define VVGA_VBE_SIZE		4u
#define VVGA_WINDOW_BASE	0xa0000u
#define VVGA_WINDOW_SIZE	0x20000u
#define VVGA_MMIO_SIZE		0x1000u

#define VVGA_WIDTH_MAX		2560u
#define VVGA_HEIGHT_MAX		1600u
#define VVGA_COLUMNS_MAX	160u
#define VVGA_ROWS_MAX		100u

struct vvga_mode {
	bool text;			/* columns, rows and cell_height are set */
	bool blank;			/* the guest has switched the screen off, or set no mode */
	unsigned width, height;		/* pixels; of text, too */
	unsigned columns, rows, cell_height;
	bool cursor_shown;
	unsigned cursor_column, cursor_row;
};

#define VVGA_VRAM_MIN		0x100000u
#define VVGA_VRAM_MAX		0x4000000u

/* `vram`: bytes of video memory, a power of two in these bounds. */
int vvga_create(uint64_t vram, struct vdev **out) must_check;
struct vpci_function *vvga_function(struct vdev *d);

/*
 * --- thread context, no lock held. The mode may be another one at each call: what is beyond the
 *     present one is blank, and there is room for the widest there can be, all of which is written.
 */
void vvga_mode(struct vdev *d, struct vvga_mode *out);
/*
 * VVGA_COLUMNS_MAX cells, of which `columns` are shown: the character in the low byte, its
 * attribute above.
 */
void vvga_text_row(struct vdev *d, unsigned row, uint16_t *cells);
/*
 * VVGA_WIDTH_MAX pixels of red, green and blue, of which `width` are shown; text is drawn in the
 * font that the guest has loaded.
 */
void vvga_pixel_row(struct vdev *d, unsigned y, uint8_t *rgb);
