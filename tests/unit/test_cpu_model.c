/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/cpu_model.c lib/format.c */
/* CPU models as they are written: names, what goes with what, and each way to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "include/errno.h"
#include "vmm/cpu_model.h"

static struct cpu_model m;
static char why[160];

static int parse(const char *text)
{
	why[0] = 0;
	return cpu_model_parse(&m, text, strlen(text), why, sizeof(why));
}

static unsigned row(const char *name)
{
	const struct cpu_feature *f;

	for (unsigned i = 0; (f = cpu_model_feature(i)); i++)
		if (!strcmp(f->name, name))
			return i;
	fail_msg("no feature %s", name);
	return 0;
}

static bool off(const char *name)
{
	return cpu_model_is_off(&m, row(name));
}

static unsigned count_off(void)
{
	unsigned n = 0;

	for (unsigned i = 0; cpu_model_feature(i); i++)
		n += cpu_model_is_off(&m, i);
	return n;
}

static void refused(const char *text, const char *word)
{
	assert_int_equal(parse(text), -EINVAL);
	if (!strstr(why, word))
		fail_msg("%s: '%s' does not say '%s'", text, why, word);
	for (const char *s = why; *s; s++)
		assert_in_range(*s, ' ', '~');
}

static void wishes(void **state)
{
	(void)state;
	assert_int_equal(parse("host"), 0);
	assert_int_equal(count_off(), 0);
	assert_int_equal(parse("host, -x2apic,-pku ,\t+aes"), 0);
	assert_true(off("x2apic") && off("pku"));
	assert_int_equal(count_off(), 2);
	assert_true(cpu_model_is_on(&m, row("aes")));
	assert_false(cpu_model_is_on(&m, row("x2apic")));
	/* Twice the same is no contradiction; what no guest has may be taken away. */
	assert_int_equal(parse("host,-vmx,-vmx,-svm"), 0);
	assert_int_equal(count_off(), 2);
}

static void what_depends_goes_along(void **state)
{
	(void)state;
	assert_int_equal(parse("host, -xsave"), 0);
	assert_true(off("avx") && off("avx2") && off("f16c") && off("fma") && off("avx512vbmi"));
	assert_true(off("pku") && off("xsaveopt") && off("vaes") && off("vpclmulqdq"));
	assert_false(off("aes") || off("sse4.2") || off("pclmuldq"));
	assert_int_equal(parse("host, -aes"), 0);
	assert_true(off("vaes"));
	assert_int_equal(count_off(), 2);
	assert_int_equal(parse("host, -pcid"), 0);
	assert_true(off("invpcid"));
	refused("host, -xsave, +avx512bw", "+avx512bw needs avx512f, which is taken away");
	refused("host, +rdpid, -rdtscp", "needs rdtscp");
}

static void mistakes(void **state)
{
	char text[300] = "host, -";

	(void)state;
	refused("", "host is the only one");
	refused("hos", "'hos' is no CPU model");
	refused("hostess", "host is the only one");
	refused("Skylake, -x2apic", "'Skylake' is no CPU model");
	refused("-x2apic", "host is the only one");
	refused("host,", "neither +FEATURE nor -FEATURE");
	refused("host, x2apic", "'x2apic' is neither");
	refused("host, -", "no CPU feature ''");
	refused("host,, -x2apic", "neither");
	refused("host, -x2apics", "no CPU feature 'x2apics'");
	refused("host, -X2APIC", "no CPU feature 'X2APIC'");
	refused("host, -\x01\xff", "no CPU feature '?");
	refused("host, -fpu", "fpu cannot be taken away");
	refused("host, -lm", "lm cannot be taken away");
	refused("host, +aes, -aes", "contradict");
	refused("host, -aes, +aes", "contradict");
	memset(text + 7, 'y', sizeof(text) - 8);
	refused(text, "no CPU feature 'yyy");
}

static unsigned row_of_place(unsigned id)
{
	const struct cpu_feature *f;

	for (unsigned i = 0; (f = cpu_model_feature(i)); i++)
		if (f->id == id)
			return i;
	fail_msg("no feature at %u", id);
	return 0;
}

/* No name and no bit twice; what a row needs is there. */
static void table(void **state)
{
	const struct cpu_feature *f, *g;

	(void)state;
	for (unsigned i = 0; (f = cpu_model_feature(i)); i++) {
		assert_true(cpu_words[f->id / 32].leaf && cpu_words[f->id / 32].reg < 4);
		for (unsigned k = 0; k < i && (g = cpu_model_feature(k)); k++) {
			assert_string_not_equal(f->name, g->name);
			assert_int_not_equal(f->id, g->id);
		}
		for (unsigned k = 0; k < 2 && f->needs[k]; k++)
			assert_int_not_equal(row_of_place(f->needs[k]), i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wishes), cmocka_unit_test(what_depends_goes_along),
		cmocka_unit_test(mistakes), cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
