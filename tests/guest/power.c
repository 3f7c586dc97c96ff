/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways to end a machine, one per run, named on the command line: off, cf9, keyboard, triple, fast
 * (port 92). Coming back, or waiting long, is the failure. A reset must start us again with clean
 * RAM-resident state: the RTC's CMOS byte 0x50 keeps a mark across it.
 */
#include "tests/guest/lib/guest.h"

#define MARK 0xa5

static void triple(void)
{
	struct { uint16_t limit; uint64_t base; } packed none = { 0, 0 };

	__asm__ volatile("lidt %0\n\tud2" :: "m"(none));
}

static uint32_t field(const char *table, unsigned offset)
{
	uint32_t v;

	copy(&v, table + offset, 4);
	return v;
}

/* Finds the FADT and the DSDT's _S5_ and powers off as an operating system does. */
static void off(void)
{
	for (const char *at = (const char *)0xe0000; at < (const char *)0x100000; at += 16) {
		const char *rsdt, *fadt = NULL, *dsdt;

		if (compare(at, "RSD PTR ", 8))
			continue;
		rsdt = (const char *)(uint64_t)field(at, 16);
		for (unsigned i = 36; i < field(rsdt, 4); i += 4)
			if (!compare((char *)(uint64_t)field(rsdt, i), "FACP", 4))
				fadt = (char *)(uint64_t)field(rsdt, i);
		if (!fadt)
			astray("no FADT");
		dsdt = (const char *)(uint64_t)field(fadt, 40);
		for (unsigned i = 36; i < field(dsdt, 4); i++) {
			const uint8_t *s5 = (const uint8_t *)dsdt + i;

			if (compare(s5, "_S5_\x12", 5))
				continue;
			s5 += 7;			/* name, package, its length, count */
			s5 += *s5 == 0x0a;
			print("power off by port %x, type %x\n", field(fadt, 64), *s5);
			outw((uint16_t)field(fadt, 64), (uint16_t)(1 << 13 | (*s5 & 7) << 10));
			return;
		}
		astray("no _S5_");
	}
	astray("no RSDP");
}

void test_main(void)
{
	outb(0x70, 0x50);
	if (inb(0x71) == MARK) {
		outb(0x71, 0);
		print("AGAIN\n");
		check(true, "reset", "-");
		return;
	}
	if (cmdline_has("off")) {
		off();
	} else {
		outb(0x70, 0x50);
		outb(0x71, MARK);
		print("GOING\n");
	}
	if (cmdline_has("cf9"))
		outb(0xcf9, 0x06);
	else if (cmdline_has("keyboard"))
		outb(0x64, 0xfe);
	else if (cmdline_has("fast"))
		outb(0x92, 0x01);
	else if (cmdline_has("triple"))
		triple();
	wait_ticks(5000000000ul);
	check(false, "power", "still here");
}
