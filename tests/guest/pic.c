/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt controllers of a PC before the local APIC, the timers that drive them, and the I/O
 * APIC: 8259 pair, 8254, port 61, CMOS clock, I/O APIC. Sources are the PIT (IRQ 0, GSI 2), the
 * UART (4) and the RTC (8).
 */
#include "tests/guest/lib/apic.h"

#define PIC_BASE	0x30
#define VEC_PIT		PIC_BASE
#define VEC_RTC		(PIC_BASE + 8)
#define VEC_GSI		0x90
#define LONG_WAIT	4000000000ul
#define PIT_0		0x40
#define PIT_2		0x42
#define PIT_MODE	0x43
#define PORT_61		0x61
#define PIT_MS		1193u

static unsigned pic_count, gsi_count;

static void on_pic(struct frame *frame)
{
	pic_count++;
	if (frame->vector >= PIC_BASE + 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

static uint8_t pic_read(uint16_t port, uint8_t command)
{
	outb(port, command);
	return inb(port);
}

static void pit_set(unsigned channel, unsigned mode, uint16_t value)
{
	outb(PIT_MODE, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	outb((uint16_t)(PIT_0 + channel), (uint8_t)value);
	outb((uint16_t)(PIT_0 + channel), (uint8_t)(value >> 8));
}

static uint16_t pit_read(unsigned channel)
{
	uint16_t low;

	outb(PIT_MODE, (uint8_t)(channel << 6));
	low = inb((uint16_t)(PIT_0 + channel));
	return (uint16_t)(low | inb((uint16_t)(PIT_0 + channel)) << 8);
}

static bool wait_for(unsigned *counter, unsigned want)
{
	uint64_t start = rdtsc();

	while (*counter < want && rdtsc() - start < LONG_WAIT)
		irq_window();
	return *counter >= want;
}

static void pic(void)
{
	pic_init(PIC_BASE);
	pic_mask(0xfffe);
	check_equal(inb(0x21), 0xfe, "pic_imr");
	pit_set(0, 0, PIT_MS);			/* mode 0: one edge, then quiet */
	for (uint64_t start = rdtsc(); rdtsc() - start < LONG_WAIT && !(pic_read(0x20, 0x0a) & 1);)
		pause();
	check(pic_read(0x20, 0x0a) & 1, "pic_irr", "%x", inb(0x20));
	check_equal(pic_count, 0, "pic_waits");
	apic_write(APIC_LVT_LINT0, 0x700);	/* ExtINT, as firmware leaves it */
	check(wait_for(&pic_count, 1), "pic_taken", "%u", pic_count);
	irq_window();
	check_equal(pic_count, 1, "pic_once");
	check_equal(pic_read(0x20, 0x0b), 0, "pic_isr_after_eoi");
}

static void pit(void)
{
	uint16_t first, second;

	pic_count = 0;
	pit_set(0, 2, PIT_MS);
	first = pit_read(0);
	wait_ticks(200000);
	second = pit_read(0);
	check(first && first <= PIT_MS && first != second, "pit_counts", "%u %u", first, second);
	check(wait_for(&pic_count, 10), "pit_mode2_periodic", "%u", pic_count);
	pic_count = 0;
	while (pic_count < 5)
		sti_hlt_cli();
	check(true, "pit_wakes_hlt", "%u", pic_count);
	pic_mask(0xffff);
	pit_set(0, 0, 0xffff);
	outb(PIT_MODE, 0xe2);			/* read back: status of channel 0 */
	check((inb(PIT_0) & 0x3f) == 0x30, "pit_read_back", "mode or access");
}

static void port61(void)
{
	uint64_t start;
	uint8_t value;

	outb(PORT_61, 0x00);
	value = inb(PORT_61);
	check(!(value & 3), "port61_gate_off", "%x", value);
	outb(PORT_61, 0x01);
	check((inb(PORT_61) & 3) == 1, "port61_gate_on", "%x", inb(PORT_61));
	pit_set(2, 0, PIT_MS * 2);
	check(!(inb(PORT_61) & 0x20), "port61_out_low", "%x", inb(PORT_61));
	start = rdtsc();
	while (!(inb(PORT_61) & 0x20) && rdtsc() - start < LONG_WAIT)
		pause();
	check(inb(PORT_61) & 0x20, "port61_out_high", "after %lu ticks", rdtsc() - start);
	outb(PORT_61, 0);
}

static uint8_t cmos(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

static void cmos_set(uint8_t index, uint8_t value)
{
	outb(0x70, index);
	outb(0x71, value);
}

static unsigned decimal(uint8_t value)
{
	return cmos(0xb) & 4 ? value : (unsigned)(value >> 4) * 10 + (value & 15);
}

static void rtc(void)
{
	unsigned second = decimal(cmos(0)), month, day, year;

	check(second < 60 && decimal(cmos(2)) < 60, "rtc_time", "%u", second);
	day = decimal(cmos(7)), month = decimal(cmos(8)), year = decimal(cmos(9));
	check(day >= 1 && day <= 31 && month >= 1 && month <= 12 && year <= 99, "rtc_date",
	      "%u %u %u", year, month, day);
	check(cmos(0xd) & 0x80, "rtc_valid", "%x", cmos(0xd));
	cmos_set(0x40, 0x5a);
	check_equal(cmos(0x40), 0x5a, "cmos_keeps");
	pic_count = 0;
	cmos(0xc);
	cmos_set(0xa, 0x26);
	cmos_set(0xb, (cmos(0xb) & 0x0f) | 0x40);	/* periodic, 1024 a second */
	pic_mask(0xfeff & ~4);
	for (unsigned i = 1; i <= 3; i++) {
		wait_for(&pic_count, i);
		cmos(0xc);
	}
	check(pic_count >= 3, "rtc_periodic", "%u", pic_count);
	cmos_set(0xb, cmos(0xb) & 0x0f);
	pic_mask(0xffff);
}

static void on_gsi(struct frame *frame)
{
	(void)frame;
	gsi_count++;
	apic_eoi();
}

static void ioapic(void)
{
	uint32_t version = ioapic_read(1);

	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	check((version & 0xff) >= 0x11 && (version >> 16 & 0xff) == 23, "ioapic_version", "%x",
	      version);
	for (unsigned pin = 0; pin < 24; pin++)
		ioapic_route(pin, LVT_MASKED);
	ioapic_write(0x10, LVT_MASKED | 0x0155);
	check_equal(ioapic_read(0x10) & 0x1efff, LVT_MASKED | 0x0155, "ioapic_entry_keeps");
	ioapic_write(0x11, 0x03000000);
	check_equal(ioapic_read(0x11), 0x03000000, "ioapic_entry_destination");
	ioapic_route(0, LVT_MASKED);
	trap_set(VEC_GSI, on_gsi);
	ioapic_route(2, (uint64_t)(cpuid(1).ebx >> 24) << 56 | VEC_GSI);
	pit_set(0, 2, PIT_MS);
	check(wait_for(&gsi_count, 5), "ioapic_pit", "%u", gsi_count);
	ioapic_route(2, LVT_MASKED);
	irq_window();
	gsi_count = 0;
	wait_ticks(10000000);
	irq_window();
	check_equal(gsi_count, 0, "ioapic_masked");
	pit_set(0, 0, 0xffff);
}

static unsigned level_count;
static bool remote_irr;

/* The UART's line stays up until its register is read: level-triggered it comes again after EOI. */
static void on_level(struct frame *frame)
{
	(void)frame;
	remote_irr = ioapic_read(0x10 + 4 * 2) & 1 << 14;
	if (++level_count == 3)
		outb(0x3f9, 0);
	apic_eoi();
}

static void level(void)
{
	trap_set(VEC_GSI + 1, on_level);
	ioapic_route(4, (uint64_t)(cpuid(1).ebx >> 24) << 56 | 1 << 15 | (VEC_GSI + 1));
	outb(0x3fc, 0x08);			/* OUT2 lets the UART's interrupt through */
	outb(0x3f9, 2);				/* transmitter empty */
	wait_for(&level_count, 3);
	for (unsigned i = 0; i < 10; i++)
		irq_window();
	check_equal(level_count, 3, "ioapic_level_comes_again");
	check(remote_irr, "ioapic_remote_irr", "not set in the handler");
	check(!(ioapic_read(0x10 + 4 * 2) & 1 << 14), "ioapic_remote_irr_cleared", "%x",
	      ioapic_read(0x18));
	ioapic_route(4, LVT_MASKED);
	outb(0x3f9, 0);
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	for (unsigned v = 0; v < 16; v++)
		trap_set(PIC_BASE + v, on_pic);
	pic();
	pit();
	port61();
	rtc();
	ioapic();
	level();
}
