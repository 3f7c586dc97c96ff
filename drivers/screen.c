/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen; see drivers/screen.h.
 *
 * Design. `text` is a ring of rows, what the screen is to show; `shown` is what it does show, cell
 * by cell. Drawing compares the two and touches the cells that differ, so that scrolling moves the
 * ring's top and redraws what is not blank in both; the screen itself is never read. Larger screens
 * than the ring are used in part. Device memory is written in as few accesses as possible: until
 * the final map combines them each goes out alone.
 *
 * Locking. Who draws owns `busy`, taken by exchange; who finds it taken goes away, and the owner
 * looks once more for new lines after giving it back. Panic draws regardless.
 */
#include "drivers/screen.h"

#include "boot/bootinfo.h"
#include "drivers/font.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/layout.h"

#define COLUMNS_MAX	240u
#define ROWS_MAX	100u
#define EGA_GREY	0x0700u		/* on black */
#define GREY		0xaaaaaaul	/* alike in any order of the colours */
#define UNKNOWN		0		/* in `shown`: to be drawn whatever it is */
#define TICK_NS		200000000ull
#define WEIGHT		64		/* of its thread: a slow screen is no guest's burden */

static uint8_t *base;			/* NULL: nothing to draw on */
static bool mapped;			/* `base` is in the final map, not in the boot code's */
static bool threaded, busy, panicking;
static unsigned columns, rows;
static uint8_t text[ROWS_MAX][COLUMNS_MAX], shown[ROWS_MAX][COLUMNS_MAX];
static unsigned top, row, column;	/* the ring's first row; where the next character goes */
static unsigned panic_rows;
static uint64_t log_next;		/* sequence of the next line to take */

/* ---- drawing ---- */

static void draw_ega(unsigned y, unsigned x, uint8_t c)
{
	volatile uint16_t *line = (void *)(base + (uint64_t)y * bootinfo.framebuffer.pitch);

	line[x] = (uint16_t)(EGA_GREY | c);
}

static void draw_dots(volatile uint8_t *to, uint8_t dots)
{
	static const uint64_t pairs[] = { 0, GREY << 32, GREY, GREY << 32 | GREY };

	if (bootinfo.framebuffer.bpp == 32) {
		for (unsigned i = 0; i < FONT_WIDTH / 2; i++)
			((volatile uint64_t *)to)[i] = pairs[dots >> (6 - 2 * i) & 3];
		return;
	}
	for (unsigned i = 0; i < 3 * FONT_WIDTH; i++)
		to[i] = dots & 0x80 >> i / 3 ? (uint8_t)GREY : 0;
}

static void draw_glyph(unsigned y, unsigned x, uint8_t c)
{
	const uint8_t *glyph = font_glyphs[c - FONT_FIRST];
	uint64_t pitch = bootinfo.framebuffer.pitch;
	uint8_t *to = base + y * FONT_HEIGHT * pitch +
		      x * FONT_WIDTH * bootinfo.framebuffer.bpp / 8;

	for (unsigned i = 0; i < FONT_HEIGHT; i++)
		draw_dots(to + i * pitch, glyph[i]);
}

static void draw_row(unsigned y)
{
	const uint8_t *wanted = text[(top + y) % rows];

	for (unsigned x = 0; x < columns; x++) {
		if (shown[y][x] == wanted[x])
			continue;
		shown[y][x] = wanted[x];
		if (bootinfo.framebuffer.text)
			draw_ega(y, x, wanted[x]);
		else
			draw_glyph(y, x, wanted[x]);
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
	for (unsigned y = 0; y < rows; y++) {
		draw_row(y);
		if (threaded && !panicking)
			sched_point();
	}
}

/* ---- text ---- */

static void new_line(void)
{
	column = 0;
	panic_rows += panicking;
	if (row + 1 < rows)
		row++;
	else
		top = (top + 1) % rows;
	memset(text[(top + row) % rows], ' ', columns);
}

static void put(char c)
{
	if (c == '\n') {
		new_line();
		return;
	}
	if (column == columns)
		new_line();
	if (c < FONT_FIRST || c >= FONT_FIRST + FONT_COUNT)
		c = '?';
	text[(top + row) % rows][column++] = (uint8_t)c;
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

static void take_and_draw(void)
{
	struct log_line line;

	do {
		if (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
			return;
		if (take_lines())
			draw();
		__atomic_store_n(&busy, false, __ATOMIC_RELEASE);
	} while (log_read(log_next, &line));
}

void screen_update(void)
{
	if (base && !READ_ONCE(threaded))
		take_and_draw();
}

void screen_panic_print(const char *s)
{
	if (!base)
		return;
	if (!panicking) {
		take_lines();
		panicking = true;
	}
	while (*s && panic_rows < rows - 1)
		put(*s++);
	draw();
}

/* ---- from boot to the thread ---- */

static bool usable(void)
{
	uint32_t bpp = bootinfo.framebuffer.bpp, width = bootinfo.framebuffer.width;
	uint32_t bytes = bootinfo.framebuffer.text ? 2 : bpp / 8;
	char word[8];

	if (boot_option("screen", word, sizeof(word)) && !strcmp(word, "no"))
		return false;
	if (!bootinfo.framebuffer.base.v || (!bootinfo.framebuffer.text && bpp != 24 && bpp != 32))
		return false;
	columns = bootinfo.framebuffer.text ? width : width / FONT_WIDTH;
	rows = bootinfo.framebuffer.text ? bootinfo.framebuffer.height
					 : bootinfo.framebuffer.height / FONT_HEIGHT;
	columns = MIN(columns, COLUMNS_MAX);
	rows = MIN(rows, ROWS_MAX);
	return columns >= 20 && rows >= 2 &&
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
	memset(text, ' ', sizeof(text));
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
	log_info("screen: %u columns, %u rows, %s at %#lx", columns, rows,
		 ega ? "text" : "framebuffer", bootinfo.framebuffer.base.v);
}

static void screen_main(void *arg)
{
	struct log_line line;

	(void)arg;
	for (;;) {
		if (log_read(log_next, &line))
			take_and_draw();
		thread_sleep_ns(TICK_NS);
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
	WRITE_ONCE(threaded, true);
	thread_start(t);
	thread_put(t);
}
