/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vvga*.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * A VGA: besides what is done with every device, registers behind an index, VBE modes, runs of
 * bytes in the window, and somebody who looks at the screen at any time.
 */
#include "vdev/vvga.h"

#define SAVED_MAX	32768

static const unsigned long fuzz_regions[] = {
	VVGA_PORTS_SIZE, VVGA_VBE_SIZE, VVGA_WINDOW_SIZE, VVGA_VRAM_MIN, VVGA_MMIO_SIZE, 0,
};

static int fuzz_device_create(struct vdev **out)
{
	return vvga_create(VVGA_VRAM_MIN, out);
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return vvga_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

static void look(struct vdev *d, struct fuzz_input *in)
{
	static uint8_t rgb[3 * VVGA_WIDTH_MAX];
	static uint16_t cells[VVGA_COLUMNS_MAX];
	unsigned y = (unsigned)fuzz_take(in, 2);
	struct vvga_mode m;

	vvga_mode(d, &m);
	if (!m.width || m.width > VVGA_WIDTH_MAX || !m.height || m.height > VVGA_HEIGHT_MAX ||
	    m.columns > VVGA_COLUMNS_MAX || m.rows > VVGA_ROWS_MAX ||
	    (m.cursor_shown && (m.cursor_column >= m.columns || m.cursor_row >= m.rows)))
		abort();
	vvga_pixel_row(d, y & 0x8000 ? y : y % m.height, rgb);
	vvga_text_row(d, y % 128, cells);
}

static void registers(struct vdev *d, struct fuzz_input *in)
{
	static const uint8_t at[] = { 0x10, 0x14, 0x1e, 0x24, 0x04 };
	unsigned group = (unsigned)fuzz_take(in, 1);
	uint64_t first = fuzz_take(in, 1) & 0x1f, n = group >> 4;

	for (unsigned i = 0; i < n; i++)
		vdev_host_write(d, VVGA_PORTS, at[group % 5], 2,
				(first + i) | fuzz_take(in, 1) << 8);
}

static void mode(struct vdev *d, struct fuzz_input *in)
{
	for (unsigned i = 1; i < 10; i++)
		vdev_host_write(d, VVGA_MMIO, 0x500 + 2 * i, 2, fuzz_take(in, 2));
	vdev_host_write(d, VVGA_MMIO, 0x508, 2, fuzz_take(in, 1));
}

static void window(struct vdev *d, struct fuzz_input *in)
{
	uint64_t at = fuzz_take(in, 3) % (VVGA_WINDOW_SIZE - 64);

	for (unsigned i = 0; i < 32; i++) {
		vdev_host_write(d, VVGA_WINDOW, at + i, 1, fuzz_take(in, 1));
		vdev_host_read(d, VVGA_WINDOW, at + i, 1);
	}
}

static void call(struct vdev *d, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);

	switch (what % 8) {
	case 0 ... 2:
		look(d, in);
		break;
	case 3:
		registers(d, in);
		break;
	case 4:
		mode(d, in);
		break;
	case 5:
		window(d, in);
		break;
	case 6:
		fuzz_work(d, 0);
		vdev_host_of(d)->vram_error = what & 0x80 ? -ENOMEM : 0;
		break;
	case 7:
		fuzz_config(d, (unsigned)fuzz_take(in, 2), 1u << (what >> 3 & 3), fuzz_take(in, 4));
		break;
	}
}

#undef FUZZ_CALL
#define FUZZ_CALL(d, in) call(d, in)

#include "tests/fuzz/vdev_fuzz.h"
