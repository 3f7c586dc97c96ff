/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options and their values; see boot/cmdline.h. Who reads an option takes what is right and
 * ignores the rest, so that a mistake here costs the option and never the boot.
 */
#include "boot/cmdline.h"

#include "boot/bootinfo.h"
#include "cpu/percpu.h"
#include "drivers/serial.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/string.h"

#define VALUE_MAX 64

struct option {
	const char *name;
	const char *allowed;			/* for people; NULL: anything */
	bool (*right)(const char *value);	/* NULL: `allowed` is words with "or" between them */
};

static bool cpus_right(const char *value)
{
	(void)value;
	return boot_option_number("cpus", 0) - 1 < CPU_MAX;
}

static bool drop_irqs_right(const char *value)
{
	(void)value;
	return boot_option_number("drop_irqs", 0) - 2 <= 1000000 - 2;
}

static bool serial_right(const char *value)
{
	struct serial_config config;

	return !serial_parse(value, &config);
}

static const struct option options[] = {
	{ "console", "serial or screen or serial,screen or screen,serial", NULL },
	{ "cpus", "1 to 256", cpus_right },
	{ "drop_irqs", "2 to 1000000", drop_irqs_right },
	{ "itlb_multihit", "on or off", NULL },
	{ "panic", "reboot", NULL },
	{ "provoke", "panic or ud or null or stack or nmi", NULL },
	{ "return_stack", "fill", NULL },
	{ "screen", "yes or no", NULL },
	{ "selftest", NULL, NULL },
	{ "serial", "none, comN, pciN or PORT[,IRQ[,BAUD]]", serial_right },
	{ "x2apic", "yes or no", NULL },
};

_Static_assert(CPU_MAX == 256, "the text for cpus names it");

static bool one_of(const char *words, const char *value)
{
	size_t n;

	for (; (words = boot_word(words, &n)); words += n)
		if (strlen(value) == n && !memcmp(words, value, n))
			return strcmp(value, "or");
	return false;
}

static bool value_right(const struct option *o, const char *value)
{
	return !o->allowed || (o->right ? o->right(value) : one_of(o->allowed, value));
}

static const struct option *find(const char *name, size_t n)
{
	for (unsigned i = 0; i < ARRAY_COUNT(options); i++)
		if (strlen(options[i].name) == n && !memcmp(options[i].name, name, n))
			return &options[i];
	return NULL;
}

/* The name of the option in a word. */
static size_t name_length(const char *word, size_t n)
{
	const char *equals = memchr(word, '=', n);

	return equals ? (size_t)(equals - word) : n;
}

/* Does an earlier word set the same option? */
static bool set_before(const char *word, size_t n)
{
	size_t name = name_length(word, n), m;
	const char *s = bootinfo.cmdline;

	for (; (s = boot_word(s, &m)) && s < word; s += m)
		if (name_length(s, m) == name && !memcmp(s, word, name))
			return true;
	return false;
}

/* What people typed, printable. */
static void quote(const char *s, size_t n, char *out, size_t size)
{
	n = MIN(n, size - 1);
	for (size_t i = 0; i < n; i++)
		out[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	out[n] = 0;
}

static void tell_unknown(const char *quoted, char *text, size_t size)
{
	size_t used = (size_t)format(text, size, "there is no option '%s':", quoted);

	for (unsigned i = 0; i < ARRAY_COUNT(options) && used < size; i++)
		used += (size_t)format(text + used, size - used, " %s", options[i].name);
	if (used < size)
		format(text + used, size - used, " are known");
}

/* Is there something to say of this word? Then it is in `text`. */
static bool word_wrong(const char *word, size_t n, char *text, size_t size)
{
	const struct option *o = find(word, name_length(word, n));
	char quoted[VALUE_MAX], value[VALUE_MAX];

	quote(word, n, quoted, sizeof(quoted));
	if (!o)
		tell_unknown(quoted, text, size);
	else if (set_before(word, n))
		format(text, size, "'%s' is left aside: %s stands before it already", quoted,
		       o->name);
	else if (!boot_option(o->name, value, sizeof(value)) || value_right(o, value))
		return false;
	else
		format(text, size, "'%s' is left aside: %s is allowed", quoted, o->allowed);
	return true;
}

bool cmdline_error(unsigned i, char *text, size_t size)
{
	const char *s = bootinfo.cmdline;
	size_t n;

	for (; (s = boot_word(s, &n)); s += n)
		if (word_wrong(s, n, text, size) && i-- == 0)
			return true;
	if (!bootinfo.cmdline_cut || i)
		return false;
	format(text, size, "only the first %u characters are read", BOOT_CMDLINE_MAX - 1);
	return true;
}

void cmdline_check(void)
{
	char text[CMDLINE_ERROR_MAX];

	for (unsigned i = 0; cmdline_error(i, text, sizeof(text)); i++)
		log_warn("command line: %s", text);
}
