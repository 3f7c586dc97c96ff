/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Weak stand-ins for what the first boot code calls and does not exist yet; each goes when the real one comes.
 */
#include "cpu/ipi.h"
#include "kernel/irq.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/kmap.h"

#define PENDING __attribute__((weak)) noinline

PENDING void ipi_send_nmi_others(void) { }
PENDING void irq_dispatch(unsigned vector) { (void)vector; }
PENDING struct thread *thread_current(void) { return NULL; }
PENDING const char *thread_name(const struct thread *t) { (void)t; return "?"; }
PENDING void trace_dump(unsigned count, void (*print)(const char *line)) { (void)count; (void)print; }
PENDING bool kmap_is_guard(uint64_t va) { (void)va; return false; }

PENDING int format_v(char *buf, size_t size, const char *fmt, va_list ap)
{
	(void)ap;
	return (int)str_copy(buf, fmt, size);
}

PENDING void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) :: "memory");
	return dst;
}

PENDING void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return dst;
}

PENDING int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n && *x == *y; n--, x++, y++)
		;
	return n ? *x - *y : 0;
}

PENDING size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

PENDING size_t strlen(const char *s)
{
	return strnlen(s, ~0ul);
}

PENDING int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; n--, a++, b++)
		;
	return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

__attribute__((weak)) uint64_t tsc_hz, tsc_base, tsc_to_ns_mult, tsc_from_ns_mult;
__attribute__((weak)) bool tsc_invariant;
PENDING void lapic_eoi(void) { }
