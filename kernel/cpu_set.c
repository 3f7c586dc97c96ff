/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs and their text; see kernel/cpu_set.h. */
#include "kernel/cpu_set.h"

#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"

void cpu_set_fill(struct cpu_set *s)
{
	memset(s, 0xff, sizeof(*s));
}

bool cpu_set_is_full(const struct cpu_set *s)
{
	for (unsigned w = 0; w < ARRAY_COUNT(s->bits); w++)
		if (~s->bits[w])
			return false;
	return true;
}

bool cpu_set_equal(const struct cpu_set *a, const struct cpu_set *b)
{
	return !memcmp(a, b, sizeof(*a));
}

void cpu_set_join(struct cpu_set *s, const struct cpu_set *other)
{
	for (unsigned w = 0; w < ARRAY_COUNT(s->bits); w++)
		s->bits[w] |= other->bits[w];
}

int cpu_set_next(const struct cpu_set *s, unsigned from)
{
	for (unsigned w = from / 64; w < ARRAY_COUNT(s->bits); w++) {
		uint64_t bits = s->bits[w];

		if (w == from / 64)
			bits &= ~0ul << from % 64;
		if (bits)
			return (int)(w * 64 + bit_lowest(bits));
	}
	return -1;
}

unsigned cpu_set_count(const struct cpu_set *s)
{
	unsigned n = 0;

	for (int cpu = cpu_set_next(s, 0); cpu >= 0; cpu = cpu_set_next(s, (unsigned)cpu + 1))
		n++;
	return n;
}

/* ---- text ------------------------------------------------------------------------------------ */

struct reader {
	const char *at, *end;
};

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
		r->at++;
}

/* Is `c` next, between blanks? Then it is behind. */
static bool accept(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	skip_blanks(r);
	return true;
}

/* A CPU's number; it stops to grow where it is too large anyway. */
static bool number(struct reader *r, unsigned *out)
{
	const char *start = r->at;

	for (*out = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
		if (*out < CPU_MAX)
			*out = *out * 10 + (unsigned)(*r->at - '0');
	return r->at != start;
}

/* "3", "0-3" or "^2". */
static int part(struct cpu_set *s, struct reader *r)
{
	bool out = accept(r, '^');
	unsigned first, last;

	if (!number(r, &first))
		return -EINVAL;
	last = first;
	if (!out && accept(r, '-') && (!number(r, &last) || last < first))
		return -EINVAL;
	if (last >= CPU_MAX)
		return -ERANGE;
	if (out)
		cpu_set_remove(s, first);
	for (unsigned cpu = first; !out && cpu <= last; cpu++)
		cpu_set_add(s, cpu);
	return 0;
}

int cpu_set_parse(struct cpu_set *s, const char *text, size_t n)
{
	struct reader r = { text, text + n };
	int err;

	*s = (struct cpu_set){ 0 };
	skip_blanks(&r);
	do
		err = part(s, &r);
	while (!err && accept(&r, ','));
	if (!err && (r.at != r.end || cpu_set_next(s, 0) < 0))
		err = -EINVAL;
	return err;
}

void cpu_set_format(const struct cpu_set *s, unsigned count, char text[CPU_SET_TEXT])
{
	size_t n = 0;
	int cpu = cpu_set_next(s, 0);

	text[0] = 0;
	while (cpu >= 0 && (unsigned)cpu < count) {
		unsigned first = (unsigned)cpu, last = first;

		while (last + 1 < count && cpu_set_has(s, last + 1))
			last++;
		n += (size_t)format(text + n, CPU_SET_TEXT - n, last > first ? "%s%u-%u" : "%s%u",
				    n ? "," : "", first, last);
		cpu = cpu_set_next(s, last + 1);
	}
}
