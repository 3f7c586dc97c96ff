/* SPDX-License-Identifier: BSD-2-Clause */
/* links: build/gen/drivers/font.c boot/bootinfo.c drivers/vt.c kernel/log.c lib/format.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/tsc.c */
/*
 * drivers/screen: what stands on an EGA text screen and in framebuffers after lines were logged,
 * when they scroll, around the change of maps, as a console, and in a panic; which screens are left
 * alone. The source itself is included, to begin each test with its state afresh.
 */
#include "drivers/screen.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/format.h"

#include <sys/mman.h>

#define EGA	0xb8000u

uint64_t kmap_cr3;
static uint8_t *display, *early_display;
static uint64_t display_size;
static enum paging_cache display_cache;
static bool no_room;
static void (*thread_entry)(void *arg);
static jmp_buf thread_left;
static unsigned points, wakes;

void *kmap_io(hpa_t a, uint64_t n, enum paging_cache c)
{
	assert_int_equal(a.v, bootinfo.framebuffer.base.v);
	assert_true(n <= display_size);
	display_cache = c;
	return no_room ? NULL : display;
}

void sched_point(void) { points++; }
void thread_put(struct thread *t) { (void)t; }
void thread_start(struct thread *t) { (void)t; }

struct thread *thread_create(const struct thread_attr *attr)
{
	thread_entry = attr->entry;
	return no_room ? NULL : (struct thread *)display;
}

void thread_sleep_ns(uint64_t ns)
{
	assert_int_equal(ns, FRAME_NS);
	longjmp(thread_left, 1);
}

void waitq_init(struct waitq *q) { (void)q; }
void waitq_wake_all(struct waitq *q) { (void)q; wakes++; }
void waitq_enter(struct waitq *q, struct waitq_entry *e) { (void)q; (void)e; }
void waitq_leave(struct waitq *q, struct waitq_entry *e) { (void)q; (void)e; }
void thread_prepare(void) {}

bool thread_wait(uint64_t deadline_ns)
{
	assert_int_equal(deadline_ns, host_tsc + TICK_NS);
	return false;
}

/* One round of its thread. */
static void round_of_thread(void)
{
	if (!setjmp(thread_left))
		thread_entry(NULL);
}

static void early_text(const char *s, size_t n)
{
	(void)s, (void)n;
	screen_update();
}

static void screen(uint64_t at, uint32_t width, uint32_t height, uint32_t bpp, uint32_t pitch)
{
	bootinfo.framebuffer.base = HPA(at);
	bootinfo.framebuffer.width = width;
	bootinfo.framebuffer.height = height;
	bootinfo.framebuffer.bpp = (uint8_t)bpp;
	bootinfo.framebuffer.pitch = pitch;
	bootinfo.framebuffer.text = bpp == 16;
	free(display);
	display_size = (uint64_t)pitch * height;
	display = malloc(display_size);
	memset(display, 0x5a, display_size);
}

static int setup(void **state)
{
	struct log_line line;

	(void)state;
	memset(&bootinfo, 0, sizeof(bootinfo));
	base = NULL;
	mapped = threaded = busy = panicking = no_room = attached = changed = false;
	points = wakes = 0;
	kmap_cr3 = 0;
	log_set_early(NULL);
	while (log_read(log_next, &line))
		log_next = line.sequence + 1;
	log_set_early(early_text);
	return 0;
}

/* Line y of a text screen, its blanks at the end left out; "." for what is none of ours. */
static const char *ega_line(const uint8_t *at, unsigned y)
{
	static char s[200];
	unsigned n = bootinfo.framebuffer.width, length = 0;

	for (unsigned x = 0; x < n; x++) {
		const uint8_t *cell = at + y * bootinfo.framebuffer.pitch + 2 * x;

		s[x] = cell[1] == 0x07 ? (char)cell[0] : '.';
		if (s[x] != ' ')
			length = x + 1;
	}
	s[length] = 0;
	return s;
}

#define TIME	"[    0.000000] "

static void ega_from_early_on(void **state)
{
	(void)state;
	screen(EGA, 80, 25, 16, 160);
	memset(early_display, 0x20, 4000);		/* the loader's */
	screen_early();
	log_info("one");
	log_debug("not shown");
	log_warn("two");
	assert_string_equal(ega_line(early_display, 0), TIME "one");
	assert_string_equal(ega_line(early_display, 1), TIME "warning: two");
	assert_string_equal(ega_line(early_display, 24), "");
	/* Between the maps nothing is touched. */
	kmap_cr3 = 4096;
	log_info("three");
	assert_string_equal(ega_line(early_display, 2), "");
	memcpy(display, early_display, display_size);
	screen_init();
	assert_int_equal(display_cache, CACHE_UC);
	assert_string_equal(ega_line(display, 0), TIME "one");
	assert_string_equal(ega_line(display, 2), TIME "three");
	assert_string_equal(ega_line(display, 3),
			    TIME "screen: 80 columns, 25 rows, text at 0xb8000");
	for (unsigned y = 4; y < 25; y++)
		assert_string_equal(ega_line(display, y), "");
}

static void scrolling_and_wrapping(void **state)
{
	char line[200], expected[200];

	(void)state;
	screen(EGA, 80, 25, 16, 160);
	kmap_cr3 = 4096;
	screen_early();
	screen_init();
	for (unsigned i = 0; i < 100; i++)
		log_info("line %u", i);
	for (unsigned y = 0; y < 24; y++) {
		format(expected, sizeof(expected), TIME "line %u", 76 + y);
		assert_string_equal(ega_line(display, y), expected);
	}
	assert_string_equal(ega_line(display, 24), "");
	memset(line, 'w', sizeof(line));
	line[80] = 0;
	log_info("%s\t\x80", line);
	assert_int_equal(strlen(ega_line(display, 22)), 80);
	assert_string_equal(ega_line(display, 23), "wwwwwwwwwwwwwww??");
	/* Exactly a row: no empty one behind it. */
	line[65] = 0;
	log_info("%s", line);
	log_info("next");
	assert_int_equal(strlen(ega_line(display, 22)), 80);
	assert_string_equal(ega_line(display, 23), TIME "next");
}

static unsigned dot(unsigned y, unsigned x)
{
	unsigned bytes = bootinfo.framebuffer.bpp / 8;
	const uint8_t *at = display + (uint64_t)y * bootinfo.framebuffer.pitch + x * bytes;

	return at[0] | at[1] << 8 | at[2] << 16;
}

static void assert_glyphs(unsigned y, const char *s)
{
	for (unsigned x = 0; s[x]; x++)
		for (unsigned i = 0; i < 16 * 8; i++) {
			unsigned on = font_glyphs[s[x] - ' '][i / 8] & 0x80 >> i % 8;

			assert_int_equal(dot(y * 16 + i / 8, x * 8 + i % 8), on ? 0xaaaaaa : 0);
		}
}

static void framebuffers(void **state)
{
	for (unsigned bpp = 24; bpp <= 32; bpp += 8) {
		setup(state);
		/* A pitch beyond the dots, dots beyond the cells; above what the boot map has. */
		screen(0x1000000000, 644, 200, bpp, 644 * bpp / 8 + 64);
		screen_early();
		log_info("early");
		kmap_cr3 = 4096;
		screen_init();
		assert_int_equal(display_cache, CACHE_WC);
		for (unsigned i = 0; i < 40; i++)
			log_info("%u: The quick brown fox", i);
		assert_glyphs(0, TIME "29: The quick brown fox ");
		assert_glyphs(10, TIME "39: The quick brown fox ");
		assert_glyphs(11, "                                        ");
		for (unsigned y = 0; y < 200; y++)
			for (unsigned x = 0; x < 644; x++)
				if (y >= 192 || x >= 640)
					assert_int_equal(dot(y, x), 0x5a5a5a);
		assert_int_equal(display[display_size - 1], 0x5a);
		assert_int_equal(display[644 * bpp / 8], 0x5a);
	}
}

static void font(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(font_glyphs[0][i], 0);
	for (unsigned c = 1; c < FONT_COUNT; c++)
		assert_memory_not_equal(font_glyphs[c], font_glyphs[c - 1], 16);
}

static void left_alone(void **state)
{
	static const struct {
		uint32_t width, height, bpp, pitch;
		const char *option;
	} cases[] = {
		{ 640, 480, 15, 1280, "" }, { 640, 480, 8, 640, "" }, { 640, 480, 32, 2559, "" },
		{ 100, 480, 32, 400, "" }, { 640, 30, 32, 2560, "" }, { 0, 0, 32, 0, "" },
		{ 640, 480, 32, 2560, "a screen=no b" }, { 0xffffffff, 480, 32, 16, "" },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		setup(state);
		screen(0x1000000000, 640, 480, 32, 2560);
		bootinfo.framebuffer.width = cases[i].width;
		bootinfo.framebuffer.height = cases[i].height;
		bootinfo.framebuffer.bpp = (uint8_t)cases[i].bpp;
		bootinfo.framebuffer.pitch = cases[i].pitch;
		strcpy(bootinfo.cmdline, cases[i].option);
		kmap_cr3 = 4096;
		screen_early();
		screen_init();
		screen_start();
		log_info("lost");
		screen_panic_print("lost\n");
		for (uint64_t at = 0; at < display_size; at++)
			assert_int_equal(display[at], 0x5a);
	}
	setup(state);
	screen(0x1000000000, 640, 480, 32, 2560);
	no_room = true;
	screen_init();
	log_info("lost");
	setup(state);
	screen_early();			/* a loader that told nothing */
	screen_init();
	log_info("lost");
}

static void larger_than_the_ring(void **state)
{
	(void)state;
	screen(0x1000000000, 4000, 2000, 32, 16000);
	screen_early();
	screen_init();
	assert_int_equal(vt.columns, VT_COLUMNS_MAX);
	assert_int_equal(vt.rows, VT_ROWS_MAX);
	for (unsigned i = 0; i < 200; i++)
		log_info("line %u", i);
	assert_glyphs(98, TIME "line 199 ");
	assert_int_equal(dot(1601, 5), 0x5a5a5a);
	assert_int_equal(dot(5, 1921), 0x5a5a5a);
}

static void by_the_thread(void **state)
{
	(void)state;
	screen(EGA, 80, 25, 16, 160);
	kmap_cr3 = 4096;
	screen_early();
	screen_init();
	screen_start();
	log_info("later");
	assert_string_equal(ega_line(display, 1), "");
	round_of_thread();
	assert_string_equal(ega_line(display, 1), TIME "later");
	assert_true(points);
}

static void type(const char *text)
{
	screen_write(text, strlen(text));
}

static void as_console(void **state)
{
	(void)state;
	screen(EGA, 80, 25, 16, 160);
	kmap_cr3 = 4096;
	screen_early();
	screen_init();
	assert_false(screen_can_attach());
	screen_start();
	assert_true(screen_can_attach());
	log_info("before");
	screen_attach(NULL);
	log_info("not by itself");
	type("keel> \x1b[1mlist\x1b[m");
	assert_true(wakes);
	assert_string_equal(ega_line(display, 2), "");
	round_of_thread();
	assert_string_equal(ega_line(display, 1), TIME "before");
	assert_string_equal(ega_line(display, 2), "keel> .....");
	assert_int_equal(display[2 * 160 + 12], 'l');
	assert_int_equal(display[2 * 160 + 13], 0x0f);
	assert_int_equal(display[2 * 160 + 21], 0x70);		/* the cursor */
	/* Nothing to draw, nothing drawn: a wake-up that got lost costs one look. */
	display[0] = 0x5a;
	round_of_thread();
	assert_int_equal(display[0], 0x5a);
	display[0] = '[';
	for (unsigned i = 0; i < 30; i++)
		type("\r\nx");
	screen_look_back(2);
	round_of_thread();
	assert_string_equal(ega_line(display, 0),
			    TIME "screen: 80 columns, 25 rows, text at 0xb8000");
	screen_look_now();
	round_of_thread();
	assert_int_equal(display[24 * 160], 'x');
}

/* A guest has the terminal: its margins and its half sequence are not the panic's. */
static void panic_of_a_console(void **state)
{
	as_console(state);
	type("\x1b[2J\x1b[2;3r\x1b[?25l\x1b[7m\x1b[H\x1b]0;");
	screen_panic_print("PANIC: now\n");
	screen_panic_print("more\n");
	type("too late");
	assert_string_equal(ega_line(display, 22), "PANIC: now");
	assert_string_equal(ega_line(display, 23), "more");
}

static void too_small_for_a_console(void **state)
{
	(void)state;
	screen(0x1000000000, 632, 480, 32, 2560);
	kmap_cr3 = 4096;
	screen_early();
	screen_init();
	screen_start();
	assert_false(screen_can_attach());
}

/* The lines before it and its beginning stay, whatever it says in the end. */
static void panics(void **state)
{
	char expected[32];

	(void)state;
	screen(EGA, 80, 25, 16, 160);
	kmap_cr3 = 4096;
	screen_early();
	screen_init();
	screen_start();
	for (unsigned i = 0; i < 30; i++)
		log_info("line %u", i);
	busy = true;			/* whoever draws has been stopped */
	screen_panic_print("PANIC: now");
	screen_panic_print("\n");
	assert_string_equal(ega_line(display, 22), TIME "line 29");
	assert_string_equal(ega_line(display, 23), "PANIC: now");
	for (unsigned i = 0; i < 60; i++) {
		format(expected, sizeof(expected), "words %u\n", i);
		screen_panic_print(expected);
	}
	assert_string_equal(ega_line(display, 0), "PANIC: now");
	assert_string_equal(ega_line(display, 1), "words 0");
	assert_string_equal(ega_line(display, 23), "words 22");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ega_from_early_on), TEST(scrolling_and_wrapping), TEST(framebuffers),
		TEST(font), TEST(left_alone), TEST(larger_than_the_ring), TEST(by_the_thread),
		TEST(as_console), TEST(panic_of_a_console), TEST(too_small_for_a_console),
		TEST(panics),
	};

	early_display = mmap((void *)(LAYOUT_DIRECT + EGA), 8192, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
