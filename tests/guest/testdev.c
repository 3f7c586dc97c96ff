/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's pc-testdev, which test kernels expect beside isa-debug-exit: scratch ports, memory,
 * interrupt lines through I/O APIC and 8259, the page flush. Holds on QEMU with `-device
 * pc-testdev` too.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

#define SCRATCH	0xe0
#define FLUSH	0xe4
#define BYTES	0xe8
#define LINES	0x2000
#define MEMORY	0xff000000ul

#define VECTOR	0x72

static unsigned count;

static void scratch(void)
{
	outl(SCRATCH, 0x12345678);
	check_equal(inl(SCRATCH), 0x12345678, "scratch");
	check_equal(inw(SCRATCH + 2), 0x1234, "scratch_word");
	check_equal(inb(SCRATCH + 1), 0x56, "scratch_byte");
	outb(BYTES + 3, 0x9a);
	check_equal(inl(BYTES), 0x9a345678, "scratch_by_bytes");
	outw(SCRATCH, 0xbcde);
	check_equal(inl(SCRATCH), 0x9a34bcde, "scratch_half");
}

static void memory(void)
{
	volatile uint64_t *quad = (volatile uint64_t *)MEMORY;
	volatile uint8_t *byte = (volatile uint8_t *)MEMORY;

	quad[3] = 0x1122334455667788;
	check_equal(quad[3], 0x1122334455667788, "memory");
	byte[26] = 0x99;
	check_equal(quad[3], 0x1122334455997788, "memory_byte");
	byte[0xffff] = 0x5a;
	check_equal(mmio_read(MEMORY + 0xfffc) >> 24, 0x5a, "memory_end");
}

/* Each write of 1 is an edge; a level line waits until it is 0 again. */
static void line(unsigned n, unsigned pin, const char *name)
{
	ioapic_route(pin, VECTOR | (uint64_t)(cpuid(1).ebx >> 24) << 56);
	count = 0;
	for (unsigned i = 0; i < 3; i++) {
		outb((uint16_t)(LINES + n), 1);
		irq_window();
		outb((uint16_t)(LINES + n), 0);
		irq_window();
	}
	check_equal(count, 3, name);
	ioapic_route(pin, LVT_MASKED);
	outb((uint16_t)(LINES + n), 1);
	outb((uint16_t)(LINES + n), 0);
	irq_window();
	check_equal(count, 3, "line_masked");
}

static void lines(void)
{
	apic_init(APIC_XAPIC);
	trap_count_set(VECTOR, &count);
	line(5, 5, "line_5");
	line(14, 14, "line_14");
	line(0, 2, "line_0");
	if (on_keel())			/* QEMU's has the ISA's 16 alone */
		line(23, 23, "line_23");
}

static void flush(void)
{
	volatile uint64_t *page = page_get();

	page[7] = 0xfeed;
	outl(FLUSH, (uint32_t)(uint64_t)page);
	check_equal(page[7], 0xfeed, "flush_keeps");
	page[7]++;
	check_equal(page[7], 0xfeee, "flush_writable");
	for (unsigned i = 0; i < 100; i++) {
		outl(FLUSH, (uint32_t)(uint64_t)page);
		page[i] = i;
	}
	check_equal(page[99], 99, "flush_often");
}

void test_main(void)
{
	scratch();
	memory();
	lines();
	flush();
}
