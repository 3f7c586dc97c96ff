/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a PC's firmware has left: the BIOS data area, the EBDA, the MP table as small kernels search
 * for it, CMOS, the memory behind the text screen, and real-mode vectors that return. All tell the
 * same memory.
 */
#include "tests/guest/lib/guest.h"

#define REAL		0x8000
#define CARRY		1u
#define ZERO		0x40u
#define SMAP		0x534d4150u
#define BUFFER		0x7000u

struct regs {
	uint32_t eax, ebx, ecx, edx, edi, flags;
};

void bios_call(uint8_t vector);
extern struct regs bios_regs;
extern char real_start[], real_end[];

static struct regs *low_regs(void)
{
	return (void *)(REAL + ((uint64_t)&bios_regs - (uint64_t)real_start));
}

static struct regs call(uint8_t vector, struct regs in)
{
	*low_regs() = in;
	bios_call(vector);
	return *low_regs();
}

static uint32_t peek(uint64_t at, unsigned bytes)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint32_t)((volatile uint8_t *)at)[i] << 8 * i;
	return v;
}

static unsigned cmos(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

static unsigned base_kib;

static void data_area(void)
{
	uint32_t ebda = peek(0x40e, 2) << 4;

	base_kib = peek(0x413, 2);
	check_equal(peek(0x400, 2), 0x3f8, "bda_com1");
	check_equal(peek(0x402, 2), 0, "bda_com2");
	check(base_kib >= 512 && base_kib < 640, "bda_memory", "%u", base_kib);
	check_equal(ebda, base_kib * 1024, "bda_ebda");
	check_equal(ebda + peek(ebda, 1) * 1024, 0xa0000, "ebda_size");
	check_equal(peek(0x410, 2) & 0x0e02, 0x0202, "bda_equipment");
	check_equal(peek(0x449, 1), 3, "bda_video_mode");
	check_equal(peek(0x44a, 2), 80, "bda_columns");
	check_equal(peek(0x463, 2), 0x3d4, "bda_crtc");
	check_equal(peek(0x484, 1), 24, "bda_rows");
	check_equal(peek(0x475, 1), 0, "bda_disks");
	check_equal(peek(0x41a, 2), peek(0x41c, 2), "bda_no_keys");
	check_equal(peek(0xffffe, 1), 0xfc, "bios_model");
}

static void memory_sizes(void)
{
	uint64_t end = ram_end(), above = (end - 0x100000) / 1024;
	unsigned sum = 0;

	check_equal(cmos(0x15) | cmos(0x16) << 8, base_kib, "cmos_base");
	check_equal(cmos(0x17) | cmos(0x18) << 8, above < 0xfc00 ? above : 0xfc00, "cmos_extended");
	check_equal((cmos(0x34) | cmos(0x35) << 8) * 65536ul + 0x1000000, end, "cmos_above_16m");
	for (uint8_t i = 0x10; i < 0x2e; i++)
		sum += cmos(i);
	check_equal(cmos(0x2e) << 8 | cmos(0x2f), sum, "cmos_sum");
}

static uint8_t sum_of(uint64_t at, unsigned count)
{
	uint8_t sum = 0;

	while (count--)
		sum = (uint8_t)(sum + peek(at++, 1));
	return sum;
}

/* As the specification has kernels search: the EBDA, the end of base memory, the BIOS. */
static uint64_t mp_search(uint64_t from, uint64_t size)
{
	for (uint64_t at = from; at < from + size; at += 16)
		if (peek(at, 4) == 0x5f504d5f && !sum_of(at, 16))
			return at;
	return 0;
}

static void mp_table(void)
{
	uint64_t pointer = mp_search(peek(0x40e, 2) << 4, 1024) ?:
			   mp_search(base_kib * 1024 - 1024, 1024) ?: mp_search(0xf0000, 0x10000);
	uint64_t table = pointer ? peek(pointer + 4, 4) : 0, at = table + 44;
	unsigned cpus = 0, ioapics = 0, timer = 0;

	check(pointer, "mp_pointer", "not found");
	if (!pointer)
		return;
	check_equal(peek(table, 4), 0x504d4350, "mp_table");
	check_equal(sum_of(table, peek(table + 4, 2)), 0, "mp_sum");
	for (unsigned i = peek(table + 34, 2); i; i--) {
		unsigned type = peek(at, 1);

		cpus += type == 0 && peek(at + 3, 1) & 1;
		ioapics += type == 2;
		if (type == 3 && peek(at + 4, 2) == 1)
			timer = peek(at + 7, 1);	/* ISA bus, interrupt 0 */
		at += type ? 8 : 20;
	}
	check_equal(at, table + peek(table + 4, 2), "mp_length");
	check_equal(cpus, cmos(0x5f) + 1, "mp_cpus");
	check_equal(ioapics, 1, "mp_ioapic");
	check_equal(timer, 2, "mp_timer_pin");
	check_equal(peek(table + 44 + 4, 4), cpuid(1).eax, "mp_cpu_signature");
}

static void screen(void)
{
	volatile uint16_t *text = (void *)0xb8000;

	for (unsigned i = 0; i < 2000; i++)
		text[i] = (uint16_t)(0x0700 | (i & 0xff));
	check(text[0] == 0x0700 && text[1999] == 0x07cf, "screen_is_memory", "%x", text[1999]);
	*(volatile uint32_t *)0xa0000 = 0x12345678;
	check_equal(*(volatile uint32_t *)0xa0000, 0x12345678, "screen_graphics");
}

static void vectors(void)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < 256; i++)
		missing += peek(i * 4 + 2, 2) < 0xc000;
	check_equal(missing, 0, "vectors_lead_to_the_bios");
	for (unsigned i = 0x60; i < 0x70; i++)
		call((uint8_t)i, (struct regs){ 0 });
	check(true, "vectors_return", "-");
	check_equal(call(0x12, (struct regs){ 0 }).eax, base_kib, "int12");
	check_equal(call(0x11, (struct regs){ 0 }).eax, peek(0x410, 2), "int11");
	check(call(0x13, (struct regs){ .eax = 0x201, .edx = 0x80 }).flags & CARRY, "int13_no_disk",
	      "-");
	check_equal(call(0x1a, (struct regs){ .eax = 0xb101 }).flags & CARRY, CARRY, "int1a_no_pci");
	check(!(call(0x1a, (struct regs){ .eax = 0x200 }).flags & CARRY), "int1a_time", "-");
	check_equal(call(0x16, (struct regs){ .eax = 0x100 }).flags & ZERO, ZERO, "int16_no_key");
	check(call(0x15, (struct regs){ .eax = 0x5300 }).flags & CARRY, "int15_unknown", "-");
}

static void e820(void)
{
	struct regs r = { .ebx = 0 };
	uint64_t base, size, end = 0, top = 0;
	unsigned count = 0;

	do {
		r = (struct regs){ 0xe820, r.ebx, 20, SMAP, BUFFER, 0 };
		r = call(0x15, r);
		copy(&base, (void *)(uint64_t)BUFFER, 8);
		copy(&size, (void *)(uint64_t)(BUFFER + 8), 8);
		check(!(r.flags & CARRY) && r.eax == SMAP && r.ecx == 20 && base >= end && size,
		      "e820_entry", "%lx size %lx", base, size);
		if (!count)
			check_equal(size, base_kib * 1024, "e820_base");
		if (peek(BUFFER + 16, 4) == 1 && base + size <= 0xffffffff)
			top = base + size;
		end = base + size;
	} while (r.ebx && ++count < 32);
	check_equal(top, ram_end(), "e820_end");
	r = call(0x15, (struct regs){ .eax = 0xe801 });
	check_equal((r.ebx & 0xffff) * 65536ul + 0x1000000, ram_end(), "e801_end");
	check_equal(r.eax & 0xffff, 15 * 1024, "e801_15m");
	check(call(0x15, (struct regs){ 0xe820, 99, 20, SMAP, BUFFER, 0 }).flags & CARRY,
	      "e820_past_the_end", "-");
}

/* What INT 10h writes is on the screen, and on the serial line for who reads this test's output. */
static void video(void)
{
	call(0x10, (struct regs){ .eax = 3 });
	check_equal(peek(0xb8000, 2), 0x0720, "int10_clears");
	call(0x10, (struct regs){ .eax = 0x0200, .edx = 0x1805 });
	for (const char *s = "BIOS says so\r\n"; *s; s++)
		call(0x10, (struct regs){ .eax = 0x0e00 | (uint8_t)*s });
	check_equal(peek(0xb8000 + 160 * 23 + 10, 1), 'B', "int10_writes_and_scrolls");
	check_equal(call(0x10, (struct regs){ .eax = 0x0300 }).edx, 0x1800, "int10_cursor");
	check_equal(call(0x10, (struct regs){ .eax = 0x0f00 }).eax, 0x5003, "int10_mode");
	check_equal(call(0x10, (struct regs){ .eax = 0x4f00 }).eax, 0x4f00, "int10_no_vbe");
	call(0x10, (struct regs){ .eax = 0x0605, .ebx = 0x1f00, .edx = 0x184f });
	check_equal(peek(0xb8000 + 160 * 18 + 10, 1), 'B', "int10_scroll_up");
	check_equal(peek(0xb8000 + 160 * 24, 2), 0x1f20, "int10_scroll_fills");
	call(0x10, (struct regs){ .eax = 0x0600, .ebx = 0x0700, .edx = 0x184f });
	check_equal(peek(0xb8000 + 160 * 18 + 10, 2), 0x0720, "int10_scroll_clears");
}

void test_main(void)
{
	copy((void *)REAL, real_start, (uint64_t)real_end - (uint64_t)real_start);
	data_area();
	memory_sizes();
	mp_table();
	screen();
	vectors();
	e820();
	video();
}
