/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One processor executes INSB in ring 3 at a port that its TSS allows, while another makes it INSL
 * and back, as fast as it goes: the ports behind, which the TSS denies, must never be read. The
 * bytes that arrive tell.
 */
#include "tests/guest/lib/apic.h"

#define PORT		0x2f0		/* nobody's: ones */
#define ROUNDS		5000		/* or more, where the other one seldom runs beside us */
#define ICR		0x830
#define ICR_INIT	0x4500
#define ICR_SIPI	0x4600
#define FIRST_PAGE	8
#define HERE		0x9000ul	/* the instruction that changes */

/*
 * In real mode, for ever: xor byte [0x9000], 1; INC of a counter at 0x9800. 6Ch becomes 6Dh, which
 * reads four bytes.
 */
static const uint8_t flipper[] = {
	0xfa, 0x31, 0xc0, 0x8e, 0xd8,			/* cli; xor ax, ax; mov ds, ax */
	0x80, 0x36, 0x00, 0x90, 0x01,			/* xor byte [0x9000], 1 */
	0x66, 0xff, 0x06, 0x00, 0x98,			/* inc dword [0x9800] */
	0xf3, 0x90, 0xeb, 0xf2,				/* pause; again */
};

static volatile uint32_t *const flips = (uint32_t *)0x9800ul;
static uint8_t buffer[8];
static unsigned wide, narrow;

static void ins(void *arg)
{
	(void)arg;
	__asm__ volatile("call *%%rax"
			 :: "a"(HERE), "d"(PORT), "D"(buffer) : "memory", "rcx", "cc");
}

static void start_flipper(void)
{
	*(volatile uint16_t *)HERE = 0xc36c;	/* insb; ret */
	copy((void *)(FIRST_PAGE * 4096ul), flipper, sizeof(flipper));
	wrmsr(ICR, 1ul << 32 | ICR_INIT);
	wrmsr(ICR, 1ul << 32 | ICR_SIPI | FIRST_PAGE);
	for (unsigned i = 0; i < 2000000 && *flips < 10; i++)
		pause();
}

/* Each call ends well, one byte poorer in zeroes, or in #GP, for four ports. */
static bool once(void)
{
	struct fault f;

	fill(buffer, 0, sizeof(buffer));
	f = user_call(ins, NULL);
	if (f.vector == VEC_GP) {
		wide++;
		return !buffer[0] && !buffer[1];
	}
	narrow++;
	return f.vector == -1 && buffer[0] == 0xff && !buffer[1] && !buffer[2] && !buffer[3];
}

void test_main(void)
{
	unsigned bad = 0;

	apic_init(APIC_X2APIC);
	*flips = 0;
	tss_allow(PORT);
	start_flipper();
	if (*flips < 10) {
		skip("flip", "there is no other processor");
		return;
	}
	for (unsigned i = 0; i < ROUNDS || (i < 100 * ROUNDS && !(narrow && wide)); i++)
		bad += !once();
	check(narrow && wide, "both_met", "%u narrow, %u wide, %u flips", narrow, wide, *flips);
	check(!bad, "denied_ports_unread", "%u of %u", bad, narrow);
}
