/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Storms: random reads and writes of all devices with a fixed seed, timers as fast as they go,
 * interrupts to itself, code that changes under the instruction being emulated. The guest must come
 * through, with devices that still work.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

#define ROUNDS 20000
#define VEC	0x70

static unsigned count, noise_count;

static const struct { uint16_t first, last; } quiet_ports[] = {
	{ 0x20, 0x21 }, { 0x40, 0x43 }, { 0x61, 0x61 }, { 0x70, 0x71 }, { 0x80, 0x80 },
	{ 0xa0, 0xa1 }, { 0x4d0, 0x4d1 }, { 0x3f8, 0x3ff }, { 0xcfa, 0xcff }, { 0x2f8, 0x2ff },
};

static void port_noise(void)
{
	unsigned which = (unsigned)(random_next() % ARRAY_COUNT(quiet_ports));
	uint16_t first = quiet_ports[which].first, last = quiet_ports[which].last;
	uint16_t port = (uint16_t)(first + random_next() % (unsigned)(last - first + 1));
	uint32_t value = (uint32_t)random_next();

	if (port == 0x3f8 && value & 0x10000)
		return;				/* less noise on the console */
	if (value & 0x20000)
		inb(port);
	else if (port >= 0x3f8 && port <= 0x3ff)
		outb(port, (uint8_t)value | (port == 0x3fc ? 0x10 : 0));	/* loopback */
	else
		outb(port, (uint8_t)value);
}

/* INIT and SIPI to itself would only end the run. */
static void apic_noise(void)
{
	unsigned offset = (unsigned)(random_next() & 0x3f) * 16;
	uint32_t value = (uint32_t)random_next();

	if (offset == APIC_ICR || offset >= APIC_LVT_TIMER)
		value &= ~0x700u;
	if (random_next() & 1)
		mmio_read(LAPIC_BASE + offset);
	else
		mmio_write(LAPIC_BASE + offset, value);
}

static void ioapic_noise(void)
{
	uint8_t index = (uint8_t)(random_next() & 0x3f);

	if (random_next() & 1)
		ioapic_read(index);
	else
		ioapic_write(index, (uint32_t)random_next() & ~0x700u);
	mmio_write(IOAPIC_BASE + 0x40, (uint32_t)random_next());
}

extern void storm_stub(void);
__asm__("storm_stub:\n\tpush %rax\n\tmov $0xfee000b0, %eax\n\tmovl $0, (%rax)\n"
	"\tpop %rax\n\tiretq\n");

static void settle(void)
{
	outb(0x3fb, 0x03);
	outb(0x3f9, 0);
	outb(0x3fc, 0x0b);
	outb(0x3fa, 0x07);
	pic_init(0x30);
	for (unsigned pin = 0; pin < 24; pin++)
		ioapic_route(pin, LVT_MASKED);
	apic_init(APIC_XAPIC);
	apic_write(APIC_LVT_THERMAL, LVT_MASKED);
	apic_write(APIC_LVT_PERF, LVT_MASKED);
	apic_write(APIC_TIMER_INIT, 0);
	/* Any vector may be pending, those of exceptions too, and comes without an error code. */
	for (unsigned v = 0; v < 256; v++)
		trap_entry_set(v, storm_stub);
	for (unsigned i = 0; i < 300; i++)
		irq_window();
	traps_init();
}

static void noise(void)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		switch (random_next() % 4) {
		case 0:
			apic_noise();
			break;
		case 1:
			ioapic_noise();
			break;
		default:
			port_noise();
		}
	}
	settle();
	count = 0;
	apic_self_ipi(VEC);
	irq_window();
	check_equal(count, 1, "device_noise");
}

static void timers(void)
{
	count = 0;
	apic_write(APIC_LVT_TIMER, VEC | LVT_PERIODIC);
	apic_write(APIC_TIMER_INIT, on_qemu_tcg() ? 10000 : 1);
	sti();
	wait_ticks(20000000);
	cli();
	apic_write(APIC_TIMER_INIT, 0);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	irq_window();
	check(count > 0, "timer_storm", "%u", count);
	print("timer storm: %u interrupts\n", count);
	outb(0x43, 0x34);
	outb(0x40, 1);
	outb(0x40, on_qemu_tcg());		/* bare QEMU itself would not come through */
	wait_ticks(20000000);
	outb(0x43, 0x30);
	outb(0x40, 0xff);
	outb(0x40, 0xff);
	check(true, "pit_storm", "-");
}

static void self_ipis(void)
{
	count = 0;
	sti();
	for (unsigned i = 0; i < ROUNDS; i++)
		apic_self_ipi(VEC);
	cli();
	check_equal(count, ROUNDS, "ipi_storm");
}

/* The store's immediate changes between runs, in place and by mapping another page over it. */
static void changing_code(void)
{
	uint8_t *page[2] = { page_get(), page_get() };
	uint64_t at = WINDOW + 0x20000;
	unsigned wrong = 0;

	for (unsigned i = 0; i < 2000; i++) {
		uint8_t *code = page[i & 1];
		uint32_t value = LVT_MASKED | (i & 0xff);

		/* mov $0xfee00370, %eax; movl $value, (%rax) */
		copy(code, "\xb8\x70\x03\xe0\xfe\xc7\x00", 7);
		copy(code + 7, &value, 4);
		code[11] = 0xc3;
		page_map(at, (uint64_t)code, PTE_P | PTE_W);
		((void (*)(void))at)();
		wrong += mmio_read(LAPIC_BASE + APIC_LVT_ERROR) != value;
	}
	check_equal(wrong, 0, "changing_code");
}

/* An instruction that lies across two pages, each of which moves. */
static void crossing_code(void)
{
	uint8_t *low = page_get(), *high = page_get();
	uint64_t at = WINDOW + 0x30000;
	uint32_t value = LVT_MASKED | 0x42;
	uint8_t code[12] = "\xb8\x70\x03\xe0\xfe\xc7\x00";

	copy(code + 7, &value, 4);
	code[11] = 0xc3;
	for (unsigned split = 1; split < 12; split++) {
		copy(low + 4096 - split, code, split);
		copy(high, code + split, 12 - split);
		page_map(at, (uint64_t)low, PTE_P | PTE_W);
		page_map(at + 4096, (uint64_t)high, PTE_P | PTE_W);
		mmio_write(LAPIC_BASE + APIC_LVT_ERROR, LVT_MASKED);
		((void (*)(void))(at + 4096 - split))();
		if (mmio_read(LAPIC_BASE + APIC_LVT_ERROR) != value)
			check(false, "crossing_code_at", "%u", split);
	}
	check(true, "crossing_code", "-");
}

static void on_noise(struct frame *frame)
{
	(void)frame;
	noise_count++;
}

void test_main(void)
{
	random_seed(42);
	trap_set(VEC_NMI, on_noise);
	apic_init(APIC_XAPIC);
	trap_count_set(VEC, &count);
	self_ipis();
	changing_code();
	crossing_code();
	timers();
	noise();
}
