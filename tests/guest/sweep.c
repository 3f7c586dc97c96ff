/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that tries everything there is: every port, every MSR, every part of the physical address
 * space where it has no RAM. It is to survive all of it, and nobody else is to notice.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

static uint16_t pm_control;

/* Ports that end or restart a machine, and the one that shows our result. */
static bool ends(unsigned port)
{
	static const uint16_t list[] = {
		0x60, 0x64, 0x92, 0xcf9, 0xf4, 0x505, 0x604, 0xb004, 0x600, 0x602, 0xb000, 0xb002,
	};

	for (unsigned i = 0; i < ARRAY_COUNT(list); i++)
		if (port + 3 >= list[i] && port <= list[i] + 3u)
			return true;
	return port + 3 >= pm_control && port <= pm_control + 3u;
}

static bool is_console(unsigned port)
{
	return port + 3 >= 0x3f8 && port <= 0x3ff;
}

static void pm_control_find(void)
{
	uint32_t rsdt, table, port;

	for (const char *at = (const char *)0xe0000; at < (const char *)0x100000; at += 16) {
		if (compare(at, "RSD PTR ", 8))
			continue;
		copy(&rsdt, at + 16, 4);
		for (unsigned i = 36; rsdt && i < *(uint32_t *)(uint64_t)(rsdt + 4); i += 4) {
			copy(&table, (void *)(uint64_t)(rsdt + i), 4);
			if (compare((void *)(uint64_t)table, "FACP", 4))
				continue;
			copy(&port, (void *)(uint64_t)(table + 64), 4);
			pm_control = (uint16_t)port;
		}
		return;
	}
}

static void ports(void)
{
	uint32_t sum = 0;

	pm_control_find();
	for (unsigned port = 0; port < 0x10000; port++) {
		sum += inb((uint16_t)port);
		if (is_console(port) && on_qemu_tcg())
			continue;		/* QEMU's own UART ends QEMU when read in words */
		if (port < 0x1000 || port % 16 == 0)
			sum += inw((uint16_t)port) + inl((uint16_t)port);
	}
	check(true, "ports_read", "%x", sum);
	for (unsigned port = 0; port < 0x10000; port++) {
		uint32_t value = (uint32_t)random_next();

		if (ends(port) || is_console(port))
			continue;
		outb((uint16_t)port, (uint8_t)value);
		if (port < 0x1000 || port % 16 == 0) {
			outw((uint16_t)port, (uint16_t)value);
			outl((uint16_t)port, value);
		}
	}
	pic_init(0x30);
	check(true, "ports_written", "-");
}

/* Memory that an MSR makes others write to is a page nobody uses. */
static uint64_t harmless(uint32_t msr, uint64_t value)
{
	if ((msr == 0x11 || msr == 0x12 || (msr & ~0xffu) == 0x4b564d00) && value)
		return (uint64_t)page_entry(WINDOW + 0x10000000) | 1;
	return value;
}

static unsigned readable, writable, odd;

static void msr_try(uint32_t msr)
{
	static const uint64_t values[] = { 0, ~0ul, 1, 0x5555555555555555 };
	uint64_t was;
	struct fault f = rdmsr_try(msr, &was);

	if (f.vector >= 0 && (f.vector != VEC_GP || f.error)) {
		odd++;
		print("odd: rdmsr %x gives vector %d error %x\n", msr, f.vector, f.error);
	}
	readable += f.vector < 0;
	if (on_qemu_tcg())
		return;
	if (f.vector < 0)
		f = wrmsr_try(msr, was);
	writable += f.vector < 0;
	for (unsigned i = 0; i < ARRAY_COUNT(values); i++) {
		f = wrmsr_try(msr, harmless(msr, values[i]));
		if (f.vector >= 0 && (f.vector != VEC_GP || f.error)) {
			odd++;
			print("odd: wrmsr %x gives vector %d error %x\n", msr, f.vector, f.error);
		}
	}
	if (rdmsr_try(msr, NULL).vector < 0)
		wrmsr_try(msr, was);
}

static void msrs(void)
{
	static const struct { uint32_t first, last; } ranges[] = {
		{ 0, 0x1fff }, { 0x40000000, 0x400000ff }, { 0x4b564d00, 0x4b564dff },
		{ 0xc0000000, 0xc0001fff }, { 0xc0010000, 0xc0011fff },
	};

	page_entry(WINDOW + 0x10000000);
	for (unsigned r = 0; r < ARRAY_COUNT(ranges); r++)
		for (uint32_t msr = ranges[r].first; msr <= ranges[r].last; msr++)
			msr_try(msr);
	check(odd == 0, "msrs", "%u odd", odd);
	print("msrs: %u readable, %u written back\n", readable, writable);
	apic_init(APIC_XAPIC);
}

static void probe(uint64_t phys)
{
	volatile uint64_t *at = (volatile uint64_t *)(WINDOW + (phys & 0xff8));

	page_map(WINDOW, phys & ~0xffful, PTE_P | PTE_W);
	(void)*at;
	*at = 0x1111111111111111;
	*(volatile uint8_t *)at = 0x22;
}

static void memory(void)
{
	uint64_t first = ram_end(), bits = cpuid(0x80000008).eax & 0xff, step = 0x40000;

	first = first ? (first + 0xfffff) & ~0xffffful : 0x40000000;
	for (uint64_t at = first; at < 0x100000000; at += step)
		if (at != IOAPIC_BASE && at != LAPIC_BASE)
			probe(at + 8 * (at / step % 512));
	check(true, "memory_below_4g", "-");
	for (unsigned bit = 33; bit < bits; bit++) {
		probe(1ul << bit);
		probe((1ul << bit) - 8);
	}
	for (unsigned i = 0; i < 500; i++)
		probe((random_next() & ((1ul << bits) - 1)) | 0x400000000);
	check(true, "memory_above_4g", "-");
}

void test_main(void)
{
	random_seed(20261121);
	apic_init(APIC_XAPIC);
	memory();
	msrs();
	ports();
}
