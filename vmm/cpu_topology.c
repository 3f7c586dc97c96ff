/* SPDX-License-Identifier: BSD-2-Clause */
/* A topology as text; see vmm/cpu_topology.h. */
#include "vmm/cpu_topology.h"

#include "lib/format.h"
#include "lib/string.h"

#define COUNT_MAX	4096u		/* of each level: products stay far from overflow */

static const char *const words[] = { "socket", "core", "thread" };

static void skip_blanks(const char **at, const char *end)
{
	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
}

static bool read_count(const char **at, const char *end, unsigned *out)
{
	*out = 0;
	for (; *at < end && **at >= '0' && **at <= '9' && *out <= COUNT_MAX; (*at)++)
		*out = *out * 10 + (unsigned)(**at - '0');
	return *out && *out <= COUNT_MAX;
}

/* Which of the words, in the singular or the plural; ARRAY_COUNT(words): none. */
static unsigned read_word(const char **at, const char *end)
{
	unsigned i = 0;
	size_t n = 0;

	while (*at + n < end && (*at)[n] >= 'a' && (*at)[n] <= 'z')
		n++;
	while (i < ARRAY_COUNT(words) &&
	       (n - strlen(words[i]) > 1 || memcmp(*at, words[i], strlen(words[i])) ||
		(n > strlen(words[i]) && (*at)[n - 1] != 's')))
		i++;
	*at += n;
	return i;
}

bool cpu_topology_parse(struct cpu_topology *t, const char *text, size_t n)
{
	unsigned count[ARRAY_COUNT(words)] = { 0 }, value, which;
	const char *at = text, *end = text + n;

	do {
		skip_blanks(&at, end);
		if (!read_count(&at, end, &value))
			return false;
		skip_blanks(&at, end);
		which = read_word(&at, end);
		if (which == ARRAY_COUNT(words) || count[which])
			return false;
		count[which] = value;
		skip_blanks(&at, end);
	} while (at < end && *at++ == ',');
	*t = (struct cpu_topology){ count[0] ?: 1, count[1] ?: 1, count[2] ?: 1 };
	return at == end && end[-1] != ',';
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

void cpu_topology_format(const struct cpu_topology *t, char buf[CPU_TOPOLOGY_TEXT])
{
	format(buf, CPU_TOPOLOGY_TEXT, "%u socket%s, %u core%s, %u thread%s", t->sockets,
	       plural(t->sockets), t->cores, plural(t->cores), t->threads, plural(t->threads));
}
