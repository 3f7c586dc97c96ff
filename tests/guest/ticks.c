/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps time as old systems do, by counting the 8254's ticks, a hundred a second, through the 8259
 * or (`ioapic`) the I/O APIC; and compares with a clock that needs no interrupts, whatever else its
 * core is busy with. Interrupts are open, and it never halts.
 */
#include "tests/guest/lib/apic.h"

#define PIC_BASE	0x30
#define VEC_GSI		0x90
#define GSI		2
#define PIT_0		0x40
#define PIT_MODE	0x43
#define PIT_HZ		1193182u
#define PIT_COUNT	11932u
#define PM_TIMER	0x608		/* Keel's; 24 bits, thrice the 8254's rate */
#define SECONDS		2u

static unsigned ticks;

static void on_pic(struct frame *frame)
{
	(void)frame;
	ticks++;
	outb(0x20, 0x20);
}

static void listen(bool ioapic)
{
	pic_init(PIC_BASE);
	if (ioapic) {
		trap_count_set(VEC_GSI, &ticks);
		ioapic_route(GSI, VEC_GSI);
		return;
	}
	trap_set(PIC_BASE, on_pic);
	apic_write(APIC_LVT_LINT0, 0x700);	/* ExtINT, as firmware leaves it */
	pic_mask(0xfffe);
}

void test_main(void)
{
	uint64_t elapsed = 0, want;
	uint32_t last, now;

	apic_init(APIC_XAPIC);
	listen(cmdline_has("ioapic"));
	outb(PIT_MODE, 0x34);			/* channel 0, two bytes, mode 2 */
	outb(PIT_0, PIT_COUNT & 0xff);
	outb(PIT_0, PIT_COUNT >> 8);
	ticks = 0;
	last = inl(PM_TIMER);
	while (elapsed < 3ul * PIT_HZ * SECONDS) {
		for (unsigned i = 0; i < 1000; i++)
			irq_window();
		now = inl(PM_TIMER);
		elapsed += (now - last) & 0xffffff;
		last = now;
	}
	want = elapsed / 3 / PIT_COUNT;
	check(ticks + want / 50 >= want && ticks <= want + 2, "ticks", "%u of %lu", ticks, want);
	print("TICKS %u of %lu\n", ticks, want);
}
