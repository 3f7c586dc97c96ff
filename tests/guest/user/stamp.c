/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run by a Linux guest the moment it is ready: prints the TSC, `STAMP n`, and then keeps the CPU
 * with interrupts off, so that the counters that are read next stay as they were. A program for
 * Linux without any library: gcc -static -nostdlib -mno-sse.
 */
#include <stdint.h>

void _start(void);

static long syscall3(long number, long a, const void *b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

void _start(void)
{
	char text[32] = "STAMP ", digits[20];
	uint32_t low, high;
	uint64_t tsc;
	int length = 6, count = 0;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	for (tsc = low | (uint64_t)high << 32; tsc; tsc /= 10)
		digits[count++] = (char)('0' + tsc % 10);
	while (count)
		text[length++] = digits[--count];
	text[length++] = '\n';
	syscall3(1, 1, text, length);			/* write */
	syscall3(172, 3, 0, 0);				/* iopl */
	__asm__ volatile("cli");
	for (;;)
		__asm__ volatile("");
}
