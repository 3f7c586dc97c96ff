/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550 at 0x2f8 or 0x3f8, in loopback so that nothing is heard of it: registers, FIFO, cause
 * of interrupt, modem lines. (In loopback OUT2 is inactive, so no interrupt comes through;
 * pic.c has one without.)
 */
#include "tests/guest/lib/apic.h"

#define COM	0x3f8

static void drain(void)
{
	while (!(inb(COM + 5) & 0x40))
		pause();
	for (unsigned i = 0; i < 64 && (inb(COM + 5) & 1); i++)
		inb(COM);
}

/* Results are told after the loop is open again: what is printed inside would come back. */
static uint8_t got[16], lsr_empty, lsr_full, msr, iir, scratch, divisor, ier, iir_fifo;
static unsigned received;

static void loopback(void)
{
	drain();
	outb(COM + 7, 0x5a);
	scratch = inb(COM + 7);
	outb(COM + 3, 0x83);
	divisor = inb(COM);
	outb(COM + 3, 0x03);
	outb(COM + 1, 0x0f);
	ier = inb(COM + 1);
	outb(COM + 1, 0);
	outb(COM + 2, 0x07);
	iir_fifo = inb(COM + 2);
	outb(COM + 4, 0x1b);
	lsr_empty = inb(COM + 5);
	msr = inb(COM + 6);
	for (unsigned i = 0; i < 8; i++) {
		outb(COM, (uint8_t)(0x41 + i));
		wait_ticks(2000000);
	}
	lsr_full = inb(COM + 5);
	outb(COM + 1, 1);
	wait_ticks(2000000);
	iir = inb(COM + 2);
	while (received < 16 && (inb(COM + 5) & 1))
		got[received++] = inb(COM);
	outb(COM + 1, 0);
	outb(COM + 4, 0x0b);
	outb(COM + 2, 0x07);
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	loopback();
	check_equal(scratch, 0x5a, "uart_scratch");
	check(divisor != 0, "uart_divisor", "%x", divisor);
	check_equal(ier, 0x0f, "uart_ier");
	check((iir_fifo & 0xc0) == 0xc0, "uart_fifo", "%x", iir_fifo);
	check((lsr_empty & 0x61) == 0x60, "uart_lsr_empty", "%x", lsr_empty);
	check((msr & 0xf0) == 0xb0, "uart_loopback_modem", "%x", msr);
	check(lsr_full & 1, "uart_lsr_data", "%x", lsr_full);
	check((iir & 0xf) == 4 || (iir & 0xf) == 0xc, "uart_iir_data", "%x", iir);
	check(received == 8 && compare(got, "ABCDEFGH", 8) == 0, "uart_loopback",
	      "%u bytes, first %x", received, got[0]);
}
