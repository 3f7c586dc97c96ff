/* SPDX-License-Identifier: BSD-2-Clause */
/* See smp.h; smp.asm is the way into long mode. */
#include "tests/guest/lib/smp.h"

#include "tests/guest/lib/apic.h"

#define PAGE		0x8000ul
#define ICR_OTHERS	0xc0000
#define ICR_INIT	0x4500
#define ICR_SIPI	0x4600
#define PATIENCE	2000000

extern const uint8_t smp_code[], smp_code_end[];
noreturn void smp_main(unsigned n);		/* called by smp.asm */

static void (*work)(unsigned n);
static unsigned here, done;

void smp_main(unsigned n)
{
	traps_load();
	__atomic_add_fetch(&here, 1, __ATOMIC_SEQ_CST);
	work(n);
	__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Until no more have come for a while. */
unsigned smp_start(void (*fn)(unsigned n))
{
	unsigned seen = 0;

	work = fn;
	copy((void *)PAGE, smp_code, (size_t)(smp_code_end - smp_code));
	apic_write(APIC_ICR, ICR_OTHERS | ICR_INIT);
	apic_write(APIC_ICR, ICR_OTHERS | ICR_SIPI | (uint32_t)(PAGE / 4096));
	for (unsigned i = 0; i < PATIENCE; i++) {
		unsigned now = __atomic_load_n(&here, __ATOMIC_SEQ_CST);

		if (now != seen)
			i = PATIENCE / 2;
		seen = now;
		pause();
	}
	return seen;
}

unsigned smp_done(void)
{
	return __atomic_load_n(&done, __ATOMIC_SEQ_CST);
}
