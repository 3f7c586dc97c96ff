/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output, results, the way in and out, and where we are.
 */
#include "tests/guest/lib/guest.h"

#include <stdarg.h>

#define COM1		0x3f8
#define EXIT_PORT	0xf4

#define KEEL_LEAF	0x40000200

uint32_t boot_magic, boot_info;
void main64(void);

static unsigned passed, failed, skipped;
static uint64_t random_state = 0x9e3779b97f4a7c15;

/* Output. */

void print_char(char c)
{
	if (c == '\n')
		print_char('\r');
	while (!(inb(COM1 + 5) & 0x20))
		pause();
	outb(COM1, (uint8_t)c);
}

static void print_number(uint64_t value, unsigned base, unsigned width, char pad, bool negative)
{
	char text[24];
	unsigned count = 0;

	do {
		text[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		text[count++] = '-';
	while (width-- > count)
		print_char(pad);
	while (count)
		print_char(text[--count]);
}

static void print_text(const char *text, unsigned width)
{
	for (; *text; text++, width -= width > 0)
		print_char(*text);
	while (width--)
		print_char(' ');
}

static void print_signed(int64_t value, unsigned width, char pad)
{
	print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, pad, value < 0);
}

static void print_list(const char *format, va_list args)
{
	for (; *format; format++) {
		unsigned width = 0, longs = 0;
		char pad = ' ';
		uint64_t value;

		if (*format != '%') {
			print_char(*format);
			continue;
		}
		if (*++format == '0')
			pad = '0';
		while (*format >= '0' && *format <= '9')
			width = width * 10 + (unsigned)(*format++ - '0');
		while (*format == 'l')
			format++, longs++;
		switch (*format) {
		case 'd':
			print_signed(longs ? va_arg(args, int64_t) : va_arg(args, int), width, pad);
			break;
		case 'u':
		case 'x':
			value = longs ? va_arg(args, uint64_t) : va_arg(args, unsigned);
			print_number(value, *format == 'x' ? 16 : 10, width, pad, false);
			break;
		case 'p':
			print_number((uint64_t)va_arg(args, void *), 16, 16, '0', false);
			break;
		case 's':
			print_text(va_arg(args, const char *), width);
			break;
		case 'c':
			print_char((char)va_arg(args, int));
			break;
		default:
			print_char(*format);
		}
	}
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_list(format, args);
	va_end(args);
}

/* Results. */

void check(bool ok, const char *name, const char *format, ...)
{
	va_list args;

	if (ok) {
		passed++;
		print("PASS %s\n", name);
		return;
	}
	failed++;
	print("FAIL %s ", name);
	va_start(args, format);
	print_list(format, args);
	va_end(args);
	print("\n");
}

void check_equal(uint64_t got, uint64_t want, const char *name)
{
	check(got == want, name, "got %lx, want %lx", got, want);
}

void check_fault(struct fault fault, int vector, uint32_t error, const char *name)
{
	bool ok = fault.vector == vector && (vector < 0 || fault.error == error);

	check(ok, name, "got vector %d error %x at %lx (cr2 %lx), want vector %d error %x",
	      fault.vector, fault.error, fault.rip, fault.cr2, vector, error);
}

void skip(const char *name, const char *why)
{
	skipped++;
	print("SKIP %s %s\n", name, why);
}

void bench(const char *name, uint64_t value)
{
	print("BENCH %s %lu\n", name, value);
}

void finish(int value)
{
	cli();
	for (;;) {
		outl(EXIT_PORT, (uint32_t)value);
		__asm__ volatile("hlt");
	}
}

void astray(const char *format, ...)
{
	va_list args;

	print("ERROR ");
	va_start(args, format);
	print_list(format, args);
	va_end(args);
	print("\n");
	finish(2);
}

void main64(void)
{
	traps_init();
	test_main();
	print("DONE %u passed, %u skipped, %u failed\n", passed, skipped, failed);
	finish(failed ? 1 : 0);
}

/* Where we are. */

enum vendor vendor(void)
{
	uint32_t ebx = cpuid(0).ebx;

	if (ebx == 0x756e6547)			/* "Genu" */
		return VENDOR_INTEL;
	return ebx == 0x68747541 ? VENDOR_AMD : VENDOR_OTHER;	/* "Auth" */
}

static bool signature_is(uint32_t leaf, const char *text)
{
	struct cpuid id = cpuid(leaf);
	uint32_t got[3] = { id.ebx, id.ecx, id.edx };

	return compare(got, text, 12) == 0;
}

bool on_keel(void)
{
	return (cpuid(1).ecx & 1u << 31) && signature_is(KEEL_LEAF, "KeelKeelKeel");
}

bool on_qemu_tcg(void)
{
	return (cpuid(1).ecx & 1u << 31) && signature_is(0x40000000, "TCGTCGTCGTCG");
}

/* By the brand string. */
bool on_qemu_chip(void)
{
	struct cpuid id = cpuid(0x80000002);

	return compare(&id.eax, "QEMU", 4) == 0;
}

bool cpu_has_x2apic(void)
{
	return cpuid(1).ecx & 1u << 21;
}

bool cpu_has_keys(void)
{
	return cpuid(0).eax >= 7 && cpuid(7).ecx & 1u << 3;
}

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
		mmap_length, mmap_addr;
};

struct multiboot_region {
	uint32_t size;
	uint64_t base, length;
	uint32_t type;
} packed;

static const struct multiboot_info *info(void)
{
	return (const struct multiboot_info *)(uint64_t)boot_info;
}

const char *cmdline(void)
{
	if (boot_magic != 0x2badb002 || !(info()->flags & 4))
		return "";
	return (const char *)(uint64_t)info()->cmdline;
}

bool cmdline_has(const char *word)
{
	const char *at = cmdline();

	for (bool begins = true; *at; begins = *at++ == ' ') {
		unsigned i = 0;

		while (word[i] && at[i] == word[i])
			i++;
		if (begins && !word[i] && (!at[i] || at[i] == ' '))
			return true;
	}
	return false;
}

uint64_t ram_end(void)
{
	uint64_t end = 0;
	uint32_t at = 0;

	if (boot_magic != 0x2badb002 || !(info()->flags & 64))
		return 0;
	while (at < info()->mmap_length) {
		const struct multiboot_region *region =
			(const void *)(uint64_t)(info()->mmap_addr + at);
		uint64_t top = region->base + region->length;

		if (region->type == 1 && top <= 0xffffffff && top > end)
			end = top;
		at += region->size + 4;
	}
	return end;
}

/* Little helpers. */

int compare(const void *a, const void *b, size_t count)
{
	const uint8_t *x = a, *y = b;

	for (; count; count--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *copy(void *to, const void *from, size_t count)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	while (count--)
		*t++ = *f++;
	return to;
}

void *fill(void *to, int byte, size_t count)
{
	uint8_t *t = to;

	while (count--)
		*t++ = (uint8_t)byte;
	return to;
}

/* The compiler may call these. */
void *memcpy(void *to, const void *from, size_t count) __attribute__((alias("copy")));
void *memset(void *to, int byte, size_t count) __attribute__((alias("fill")));
int memcmp(const void *a, const void *b, size_t count) __attribute__((alias("compare")));

bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

void wait_ticks(uint64_t ticks)
{
	uint64_t start = rdtsc();

	/* An emulator is long at a PAUSE, at which alone it may change to another CPU. */
	for (unsigned n = 1; rdtsc() - start < ticks; n++)
		if (n % 64 == 0)
			pause();
}

void random_seed(uint64_t seed)
{
	random_state = seed | 1;
}

/* xorshift64* */
uint64_t random_next(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}
