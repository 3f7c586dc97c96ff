/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen; see drivers/screen.h.
 *
 * Design. `vt` is what the screen is to show; `shown` is what it does show, cell by cell. Drawing
 * compares the two and touches the cells that differ, so whoever writes never waits for it, and
 * what has scrolled by meanwhile is never drawn; the screen itself is never read. Larger screens
 * than a vt are used in part. Device memory is written in as few accesses as possible: until
 * the final map combines them each goes out alone.
 *
 * Locking. Who draws owns `busy`, taken by exchange; who finds it taken goes away, and the owner
 * looks once more for new lines after giving it back. Until screen_attach() the owner also writes
 * the vt, from the log; afterwards the console's thread writes it, and the drawer reads it beside
 * that: a cell that it sees too early is drawn once more. Panic writes and draws regardless.
 */
#include "drivers/screen.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "drivers/font.h"
#include "drivers/vt.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/layout.h"

#define COLUMNS_MIN	80u		/* of a screen that can be a console */
#define ROWS_MIN	24u
#define EGA_CRTC	0x3d4		/* its index; the data port is the next */
#define EGA_CURSOR	0x0a
#define EGA_CURSOR_OFF	0x20
#define BLACK		0x000000ul	/* alike in any order of the colours, as are */
#define GREY		0xaaaaaaul
#define WHITE		0xfffffful
#define UNKNOWN		0		/* in `shown`: to be drawn whatever it is */
#define TICK_NS		200000000ull	/* between two looks at the log */
#define FRAME_NS	20000000ull	/* from one drawing to the next */
#define WEIGHT		64		/* of its thread: a slow screen is no guest's burden */

static uint8_t *base;			/* NULL: nothing to draw on */
static bool mapped;			/* `base` is in the final map, not in the boot code's */
static bool threaded, busy, panicking;
static bool attached;			/* the log comes by screen_write() */
static struct vt vt;
static uint16_t shown[VT_ROWS_MAX][VT_COLUMNS_MAX];
static uint32_t panic_begin;		/* vt.lines then */
static uint64_t log_next;		/* sequence of the next line to take */
static struct waitq wake;
static bool changed;			/* atomic: there is something to draw */

/* ---- drawing ---- */

static void draw_ega(unsigned y, unsigned x, uint16_t cell)
{
	volatile uint16_t *line = (void *)(base + (uint64_t)y * bootinfo.framebuffer.pitch);
	uint16_t colours = cell & VT_REVERSE ? 0x7000 : cell & VT_BOLD ? 0x0f00 : 0x0700;

	line[x] = colours | (cell & 0xff);
}

/* The first dot of a pair is the lower half. */
static void draw_dots(volatile uint8_t *to, uint8_t dots, uint64_t ink, uint64_t paper)
{
	const uint64_t pairs[] = {
		paper << 32 | paper, ink << 32 | paper, paper << 32 | ink, ink << 32 | ink,
	};

	if (bootinfo.framebuffer.bpp == 32) {
		for (unsigned i = 0; i < FONT_WIDTH / 2; i++)
			((volatile uint64_t *)to)[i] = pairs[dots >> (6 - 2 * i) & 3];
		return;
	}
	for (unsigned i = 0; i < 3 * FONT_WIDTH; i++)
		to[i] = (uint8_t)(dots & 0x80 >> i / 3 ? ink : paper);
}

static void draw_glyph(unsigned y, unsigned x, uint16_t cell)
{
	const uint8_t *glyph = font_glyphs[(cell & 0xff) - FONT_FIRST];
	uint64_t pitch = bootinfo.framebuffer.pitch;
	uint64_t ink = cell & VT_BOLD ? WHITE : GREY, paper = BLACK;
	uint8_t *to = base + y * FONT_HEIGHT * pitch +
		      x * FONT_WIDTH * bootinfo.framebuffer.bpp / 8;

	if (cell & VT_REVERSE)
		paper = ink, ink = BLACK;
	for (unsigned i = 0; i < FONT_HEIGHT; i++)
		draw_dots(to + i * pitch, glyph[i], ink, paper);
}

static void draw_row(unsigned y)
{
	for (unsigned x = 0; x < vt.columns; x++) {
		uint16_t wanted = vt_cell(&vt, y, x);

		if (shown[y][x] == wanted)
			continue;
		shown[y][x] = wanted;
		if (bootinfo.framebuffer.text)
			draw_ega(y, x, wanted);
		else
			draw_glyph(y, x, wanted);
	}
}

/* The boot code's map ends when the final one begins: until screen_init() there is no screen. */
static bool can_draw(void)
{
	return base && (mapped || !kmap_cr3);
}

static void draw(void)
{
	if (!can_draw())
		return;
	for (unsigned y = 0; y < vt.rows; y++) {
		draw_row(y);
		if (threaded && !panicking)
			sched_point();
	}
}

/* ---- text ---- */

/* Plain text: who wants control characters to work comes by screen_write(). */
static void put(char c)
{
	if (c == '\n')
		vt_write(&vt, "\r\n", 2);
	else
		vt_write(&vt, c >= FONT_FIRST && c < FONT_FIRST + FONT_COUNT ? &c : "?", 1);
}

static void put_text(const char *s, size_t n)
{
	while (n--)
		put(*s++);
}

static bool take_lines(void)
{
	struct log_line line;
	bool some = false;
	char buf[sizeof(line.text) + 40];

	while (log_read(log_next, &line)) {
		log_next = line.sequence + 1;
		if (line.level > LOG_INFO)
			continue;
		put_text(buf, (size_t)log_format_line(&line, buf, sizeof(buf)));
		some = true;
	}
	return some;
}

static bool lines_wait(void)
{
	struct log_line line;

	return !READ_ONCE(attached) && log_read(log_next, &line);
}

static void take_and_draw(void)
{
	do {
		if (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
			return;
		if (attached || take_lines())
			draw();
		__atomic_store_n(&busy, false, __ATOMIC_RELEASE);
	} while (lines_wait());
}

void screen_update(void)
{
	if (base && !READ_ONCE(threaded))
		take_and_draw();
}

/* Below all that a guest may have drawn, and out of whatever it has set. */
static void begin_panic(void)
{
	if (!attached)
		take_lines();
	vt_reset(&vt);
	WRITE_ONCE(vt.back, 0);
	if (attached) {
		vt.at.row = vt.rows - 1;
		put('\n');
	}
	panicking = true;
	panic_begin = vt.lines;
}

void screen_panic_print(const char *s)
{
	if (!base)
		return;
	if (!panicking)
		begin_panic();
	while (*s && vt.lines - panic_begin < vt.rows - 1)
		put(*s++);
	draw();
}

/* ---- the console ---- */

static void change(void)
{
	if (!__atomic_exchange_n(&changed, true, __ATOMIC_ACQ_REL))
		waitq_wake_all(&wake);
}

bool screen_can_attach(void)
{
	return base && threaded && vt.columns >= COLUMNS_MIN && vt.rows >= ROWS_MIN;
}

void screen_attach(void (*reply)(const char *text, size_t n))
{
	/* The last lines of the log, before whoever else may be at them goes away. */
	while (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
		thread_sleep_ns(FRAME_NS);
	take_lines();
	attached = true;
	vt.cursor = true;
	vt.reply = reply;
	__atomic_store_n(&busy, false, __ATOMIC_RELEASE);
	if (bootinfo.framebuffer.text) {
		cpu_out8(EGA_CRTC, EGA_CURSOR);
		cpu_out8(EGA_CRTC + 1, EGA_CURSOR_OFF);
	}
	change();
}

void screen_write(const void *data, size_t n)
{
	if (panicking)
		return;
	vt_write(&vt, data, n);
	change();
}

void screen_look_back(int screens)
{
	vt_look_back(&vt, screens * (int)(vt.rows / 2));
	change();
}

void screen_look_now(void)
{
	if (READ_ONCE(vt.back))
		screen_look_back(-(int)VT_PAST_MAX);
}

/* ---- from boot to the thread ---- */

static unsigned columns(void)
{
	uint32_t width = bootinfo.framebuffer.width;

	return MIN(bootinfo.framebuffer.text ? width : width / FONT_WIDTH, VT_COLUMNS_MAX);
}

static unsigned rows(void)
{
	uint32_t height = bootinfo.framebuffer.height;

	return MIN(bootinfo.framebuffer.text ? height : height / FONT_HEIGHT, VT_ROWS_MAX);
}

static bool usable(void)
{
	uint32_t bpp = bootinfo.framebuffer.bpp, width = bootinfo.framebuffer.width;
	uint32_t bytes = bootinfo.framebuffer.text ? 2 : bpp / 8;
	char word[8];

	if (boot_option("screen", word, sizeof(word)) && !strcmp(word, "no"))
		return false;
	if (!bootinfo.framebuffer.base.v || (!bootinfo.framebuffer.text && bpp != 24 && bpp != 32))
		return false;
	return columns() >= 20 && rows() >= 2 &&
	       bootinfo.framebuffer.pitch >= (uint64_t)width * bytes;
}

static uint64_t size(void)
{
	return (uint64_t)bootinfo.framebuffer.pitch * bootinfo.framebuffer.height;
}

void screen_early(void)
{
	uint64_t at = bootinfo.framebuffer.base.v;

	if (!usable())
		return;
	vt_init(&vt, columns(), rows());
	vt.cursor = false;
	memset(shown, UNKNOWN, sizeof(shown));
	if (range_within(at, size(), 0, LAYOUT_BOOT_DIRECT_SIZE))
		base = (uint8_t *)(LAYOUT_DIRECT + at);
}

void screen_init(void)
{
	bool ega = bootinfo.framebuffer.text;

	base = NULL;
	if (!usable())
		return;
	base = kmap_io(bootinfo.framebuffer.base, size(), ega ? CACHE_UC : CACHE_WC);
	if (!base) {
		log_warn("screen: no room to map it at %#lx", bootinfo.framebuffer.base.v);
		return;
	}
	mapped = true;
	log_info("screen: %u columns, %u rows, %s at %#lx", vt.columns, vt.rows,
		 ega ? "text" : "framebuffer", bootinfo.framebuffer.base.v);
}

static void screen_main(void *arg)
{
	(void)arg;
	for (;;) {
		/* The end of the wait is for the log, and for a wake-up that got lost. */
		if (WAITQ_WAIT(&wake, __atomic_exchange_n(&changed, false, __ATOMIC_ACQ_REL),
			       clock_ns() + TICK_NS) || lines_wait())
			take_and_draw();
		thread_sleep_ns(FRAME_NS);
	}
}

void screen_start(void)
{
	struct thread *t;

	if (!base)
		return;
	t = thread_create(&(struct thread_attr){
		.name = "screen", .entry = screen_main, .cpu = -1, .weight = WEIGHT,
	});
	if (!t) {
		log_warn("screen: no memory for its thread, it stands still");
		base = NULL;
		return;
	}
	waitq_init(&wake);
	WRITE_ONCE(threaded, true);
	thread_start(t);
	thread_put(t);
}
