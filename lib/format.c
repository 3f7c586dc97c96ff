/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted text. One pass over the format; each conversion becomes a struct spec, its digits or
 * string a run of bytes, and one function lays out sign, prefix, zeros and padding. Output beyond
 * the buffer is counted, not written.
 * Source: ISO/IEC 9899:2011, "The fprintf function".
 */
#include "lib/format.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

#define LONGEST	(1u << 20)	/* of a string without precision */

struct out {
	char *buf;
	size_t size, length;
};

struct spec {
	bool left, zero, plus, space, alternate;
	int width, precision;		/* precision -1: none given */
	int size;			/* bytes of the integer */
};

static void out_char(struct out *o, char c)
{
	if (o->length + 1 < o->size)
		o->buf[o->length] = c;
	o->length++;
}

static void out_repeat(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		out_char(o, c);
}

/* [padding] prefix [zeros] text [padding] */
static void out_field(struct out *o, const struct spec *s, const char *prefix, int zeros,
		      const char *text, int n)
{
	int pad = s->width - (int)strlen(prefix) - MAX(zeros, 0) - n;

	if (!s->left)
		out_repeat(o, ' ', pad);
	while (*prefix)
		out_char(o, *prefix++);
	out_repeat(o, '0', zeros);
	while (n--)
		out_char(o, *text++);
	if (s->left)
		out_repeat(o, ' ', pad);
}

static void out_number(struct out *o, const struct spec *s, uint64_t v, unsigned base, bool upper,
		       const char *prefix)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char digits[24];
	int n = 0, zeros;

	for (; v; v /= base)
		digits[sizeof(digits) - ++n] = set[v % base];
	if (s->precision >= 0)
		zeros = s->precision - n;
	else if (s->zero && !s->left)
		zeros = MAX(s->width - (int)strlen(prefix) - n, !n);
	else
		zeros = !n;
	if (base == 8 && s->alternate && zeros <= 0)
		zeros = 1;
	out_field(o, s, prefix, zeros, digits + sizeof(digits) - n, n);
}

static void out_signed(struct out *o, const struct spec *s, int64_t v)
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	out_number(o, s, u, 10, false, v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "");
}

static void out_unsigned(struct out *o, const struct spec *s, uint64_t v, char kind)
{
	bool hex = kind == 'x' || kind == 'X';
	const char *prefix = hex && s->alternate && v ? (kind == 'x' ? "0x" : "0X") : "";

	out_number(o, s, v, hex ? 16 : kind == 'o' ? 8 : 10, kind == 'X', prefix);
}

static void out_string(struct out *o, const struct spec *s, const char *text)
{
	size_t n;

	if (!text)
		text = "(null)";
	n = strnlen(text, s->precision < 0 ? LONGEST : (size_t)s->precision);
	out_field(o, s, "", 0, text, (int)n);
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '-': s->left = true; break;
		case '0': s->zero = true; break;
		case '+': s->plus = true; break;
		case ' ': s->space = true; break;
		case '#': s->alternate = true; break;
		default: return f;
		}
	}
}

static const char *parse_number(const char *f, int *n)
{
	for (*n = 0; *f >= '0' && *f <= '9'; f++)
		if (*n < 100000)
			*n = *n * 10 + (*f - '0');
	return f;
}

static const char *parse_size(const char *f, struct spec *s)
{
	s->size = sizeof(int);
	if (*f == 'h') {
		s->size = *++f == 'h' ? (f++, 1) : 2;
	} else if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't') {
		s->size = 8;
		f += f[0] == 'l' && f[1] == 'l' ? 2 : 1;
	}
	return f;
}

/* A va_list to be passed by reference: in a struct, since it may be an array type. */
struct args {
	va_list ap;
};

static uint64_t take_unsigned(const struct spec *s, struct args *a)
{
	uint64_t v = s->size == 8 ? va_arg(a->ap, uint64_t) : va_arg(a->ap, unsigned);

	return v & bytes_mask((unsigned)s->size);
}

static int64_t take_signed(const struct spec *s, struct args *a)
{
	unsigned shift = 64 - 8 * (unsigned)s->size;

	return (int64_t)(take_unsigned(s, a) << shift) >> shift;
}

static void convert(struct out *o, struct spec *s, char kind, struct args *a)
{
	char c;

	switch (kind) {
	case 'd':
	case 'i':
		out_signed(o, s, take_signed(s, a));
		break;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		out_unsigned(o, s, take_unsigned(s, a), kind);
		break;
	case 'p':
		s->alternate = true;
		out_unsigned(o, s, (uintptr_t)va_arg(a->ap, void *), 'x');
		break;
	case 'c':
		c = (char)va_arg(a->ap, int);
		out_field(o, s, "", 0, &c, 1);
		break;
	case 's':
		out_string(o, s, va_arg(a->ap, const char *));
		break;
	case '%':
		out_char(o, '%');
		break;
	default:	/* shown as it stands */
		out_char(o, '%');
		if (kind)
			out_char(o, kind);
	}
}

/* Behind the '%'. */
static const char *conversion(struct out *o, const char *f, struct args *a)
{
	struct spec s = { .precision = -1 };

	f = parse_flags(f, &s);
	if (*f == '*') {
		s.width = va_arg(a->ap, int);
		if (s.width < 0) {
			s.left = true;
			s.width = -s.width;
		}
		f++;
	} else {
		f = parse_number(f, &s.width);
	}
	if (*f == '.') {
		if (*++f == '*') {
			s.precision = va_arg(a->ap, int);
			f++;
		} else {
			f = parse_number(f, &s.precision);
		}
	}
	f = parse_size(f, &s);
	convert(o, &s, *f, a);
	return *f ? f + 1 : f;
}

int format_v(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	struct args a;

	va_copy(a.ap, ap);
	while (*fmt) {
		if (*fmt == '%')
			fmt = conversion(&o, fmt + 1, &a);
		else
			out_char(&o, *fmt++);
	}
	va_end(a.ap);
	if (size)
		buf[MIN(o.length, size - 1)] = 0;
	return (int)o.length;
}

int format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = format_v(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

static const struct {
	int number;
	const char *name;
} errno_names[] = {
	{ 0, "OK" },
	{ EPERM, "EPERM" },
	{ ENOENT, "ENOENT" },
	{ EINTR, "EINTR" },
	{ EIO, "EIO" },
	{ E2BIG, "E2BIG" },
	{ EAGAIN, "EAGAIN" },
	{ ENOMEM, "ENOMEM" },
	{ EFAULT, "EFAULT" },
	{ EBUSY, "EBUSY" },
	{ EEXIST, "EEXIST" },
	{ ENODEV, "ENODEV" },
	{ EINVAL, "EINVAL" },
	{ ENOSPC, "ENOSPC" },
	{ ERANGE, "ERANGE" },
	{ ENOSYS, "ENOSYS" },
	{ ETIMEDOUT, "ETIMEDOUT" },
};

const char *format_errno(int err)
{
	for (unsigned i = 0; i < ARRAY_COUNT(errno_names); i++)
		if (errno_names[i].number == err || errno_names[i].number == -err)
			return errno_names[i].name;
	return "E?";
}
