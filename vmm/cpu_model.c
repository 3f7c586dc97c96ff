/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU features by name; see cpu_model.h. Names are those of libvirt's x86 feature map.
 * Sources: Intel SDM 2, "CPUID"; AMD64 APM 3, "CPUID Feature Flags".
 */
#include "vmm/cpu_model.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"

enum { A, B, C, D };

/* leaf, subleaf, register, bit, name; FIXED ones stay; a third form names what a feature needs. */
#define F(l, s, r, b, n)		{ n, l, s, r, b, false, { NULL, NULL } }
#define FIXED(l, r, b, n)		{ n, l, 0, r, b, true, { NULL, NULL } }
#define NEEDS(l, s, r, b, n, ...)	{ n, l, s, r, b, false, { __VA_ARGS__ } }

#define E1	0x80000001u
#define E7	0x80000007u
#define E8	0x80000008u

static const struct cpu_feature features[] = {
	F(1, 0, C, 0, "pni"), F(1, 0, C, 1, "pclmuldq"), F(1, 0, C, 2, "dtes64"),
	F(1, 0, C, 3, "monitor"), F(1, 0, C, 4, "ds_cpl"), F(1, 0, C, 5, "vmx"),
	F(1, 0, C, 6, "smx"), F(1, 0, C, 7, "est"), F(1, 0, C, 8, "tm2"),
	NEEDS(1, 0, C, 9, "ssse3", "pni"), NEEDS(1, 0, C, 12, "fma", "avx"), F(1, 0, C, 13, "cx16"),
	F(1, 0, C, 14, "xtpr"), F(1, 0, C, 15, "pdcm"), F(1, 0, C, 17, "pcid"), F(1, 0, C, 18, "dca"),
	NEEDS(1, 0, C, 19, "sse4.1", "ssse3"), NEEDS(1, 0, C, 20, "sse4.2", "sse4.1"),
	F(1, 0, C, 21, "x2apic"), F(1, 0, C, 22, "movbe"), F(1, 0, C, 23, "popcnt"),
	F(1, 0, C, 24, "tsc-deadline"), F(1, 0, C, 25, "aes"), F(1, 0, C, 26, "xsave"),
	NEEDS(1, 0, C, 28, "avx", "xsave"), NEEDS(1, 0, C, 29, "f16c", "avx"),
	F(1, 0, C, 30, "rdrand"), F(1, 0, C, 31, "hypervisor"),

	FIXED(1, D, 0, "fpu"), F(1, 0, D, 1, "vme"), FIXED(1, D, 2, "de"), FIXED(1, D, 3, "pse"),
	FIXED(1, D, 4, "tsc"), FIXED(1, D, 5, "msr"), FIXED(1, D, 6, "pae"), FIXED(1, D, 7, "mce"),
	FIXED(1, D, 8, "cx8"), FIXED(1, D, 9, "apic"), FIXED(1, D, 11, "sep"),
	FIXED(1, D, 12, "mtrr"), FIXED(1, D, 13, "pge"), FIXED(1, D, 14, "mca"),
	FIXED(1, D, 15, "cmov"), FIXED(1, D, 16, "pat"), FIXED(1, D, 17, "pse36"),
	FIXED(1, D, 19, "clflush"), F(1, 0, D, 21, "ds"), F(1, 0, D, 22, "acpi"),
	FIXED(1, D, 23, "mmx"), FIXED(1, D, 24, "fxsr"), FIXED(1, D, 25, "sse"),
	FIXED(1, D, 26, "sse2"), F(1, 0, D, 27, "ss"), FIXED(1, D, 28, "ht"), F(1, 0, D, 29, "tm"),
	F(1, 0, D, 31, "pbe"),

	F(6, 0, A, 2, "arat"),

	F(7, 0, B, 0, "fsgsbase"), F(7, 0, B, 1, "tsc_adjust"), F(7, 0, B, 3, "bmi1"),
	F(7, 0, B, 4, "hle"), NEEDS(7, 0, B, 5, "avx2", "avx"), F(7, 0, B, 7, "smep"),
	F(7, 0, B, 8, "bmi2"), F(7, 0, B, 9, "erms"), NEEDS(7, 0, B, 10, "invpcid", "pcid"),
	F(7, 0, B, 11, "rtm"), F(7, 0, B, 12, "cmt"), NEEDS(7, 0, B, 14, "mpx", "xsave"),
	NEEDS(7, 0, B, 16, "avx512f", "avx2"), NEEDS(7, 0, B, 17, "avx512dq", "avx512f"),
	F(7, 0, B, 18, "rdseed"), F(7, 0, B, 19, "adx"), F(7, 0, B, 20, "smap"),
	NEEDS(7, 0, B, 21, "avx512ifma", "avx512f"), F(7, 0, B, 23, "clflushopt"),
	F(7, 0, B, 24, "clwb"), F(7, 0, B, 25, "intel-pt"),
	NEEDS(7, 0, B, 26, "avx512pf", "avx512f"), NEEDS(7, 0, B, 27, "avx512er", "avx512f"),
	NEEDS(7, 0, B, 28, "avx512cd", "avx512f"), F(7, 0, B, 29, "sha-ni"),
	NEEDS(7, 0, B, 30, "avx512bw", "avx512f"), NEEDS(7, 0, B, 31, "avx512vl", "avx512f"),

	NEEDS(7, 0, C, 1, "avx512vbmi", "avx512bw"), F(7, 0, C, 2, "umip"),
	NEEDS(7, 0, C, 3, "pku", "xsave"), F(7, 0, C, 5, "waitpkg"),
	NEEDS(7, 0, C, 6, "avx512vbmi2", "avx512bw"), F(7, 0, C, 8, "gfni"),
	NEEDS(7, 0, C, 9, "vaes", "avx", "aes"), NEEDS(7, 0, C, 10, "vpclmulqdq", "avx", "pclmuldq"),
	NEEDS(7, 0, C, 11, "avx512vnni", "avx512f"), NEEDS(7, 0, C, 12, "avx512bitalg", "avx512bw"),
	NEEDS(7, 0, C, 14, "avx512-vpopcntdq", "avx512f"), F(7, 0, C, 16, "la57"),
	NEEDS(7, 0, C, 22, "rdpid", "rdtscp"), F(7, 0, C, 25, "cldemote"), F(7, 0, C, 27, "movdiri"),
	F(7, 0, C, 28, "movdir64b"), F(7, 0, C, 31, "pks"),

	F(7, 0, D, 4, "fsrm"), NEEDS(7, 0, D, 8, "avx512-vp2intersect", "avx512f"),
	F(7, 0, D, 10, "md-clear"), F(7, 0, D, 14, "serialize"),
	NEEDS(7, 0, D, 22, "amx-bf16", "xsave"), NEEDS(7, 0, D, 23, "avx512-fp16", "avx512bw"),
	NEEDS(7, 0, D, 24, "amx-tile", "xsave"), NEEDS(7, 0, D, 25, "amx-int8", "xsave"),
	F(7, 0, D, 26, "spec-ctrl"), F(7, 0, D, 27, "stibp"), F(7, 0, D, 28, "flush-l1d"),
	F(7, 0, D, 29, "arch-capabilities"), F(7, 0, D, 30, "core-capability"),
	F(7, 0, D, 31, "ssbd"),

	NEEDS(0xd, 1, A, 0, "xsaveopt", "xsave"), NEEDS(0xd, 1, A, 1, "xsavec", "xsave"),
	NEEDS(0xd, 1, A, 2, "xgetbv1", "xsave"), NEEDS(0xd, 1, A, 3, "xsaves", "xsave"),

	F(E1, 0, C, 0, "lahf_lm"), FIXED(E1, C, 1, "cmp_legacy"), F(E1, 0, C, 2, "svm"),
	F(E1, 0, C, 3, "extapic"), F(E1, 0, C, 4, "cr8legacy"), F(E1, 0, C, 5, "abm"),
	NEEDS(E1, 0, C, 6, "sse4a", "pni"), F(E1, 0, C, 7, "misalignsse"),
	F(E1, 0, C, 8, "3dnowprefetch"), F(E1, 0, C, 9, "osvw"), F(E1, 0, C, 10, "ibs"),
	NEEDS(E1, 0, C, 11, "xop", "avx"), F(E1, 0, C, 12, "skinit"), F(E1, 0, C, 13, "wdt"),
	F(E1, 0, C, 15, "lwp"), NEEDS(E1, 0, C, 16, "fma4", "avx"), F(E1, 0, C, 21, "tbm"),
	F(E1, 0, C, 22, "topoext"), F(E1, 0, C, 23, "perfctr_core"), F(E1, 0, C, 24, "perfctr_nb"),

	FIXED(E1, D, 11, "syscall"), F(E1, 0, D, 20, "nx"), F(E1, 0, D, 22, "mmxext"),
	F(E1, 0, D, 25, "fxsr_opt"), F(E1, 0, D, 26, "pdpe1gb"), F(E1, 0, D, 27, "rdtscp"),
	FIXED(E1, D, 29, "lm"), F(E1, 0, D, 30, "3dnowext"), F(E1, 0, D, 31, "3dnow"),

	F(E7, 0, D, 8, "invtsc"), F(E8, 0, B, 0, "clzero"), F(E8, 0, B, 9, "wbnoinvd"),
	F(E8, 0, B, 12, "ibpb"), F(E8, 0, B, 24, "amd-ssbd"), F(E8, 0, B, 25, "virt-ssbd"),
};

_Static_assert(ARRAY_COUNT(features) <= CPU_FEATURE_MAX, "struct cpu_model");

const struct cpu_feature *cpu_model_feature(unsigned i)
{
	return i < ARRAY_COUNT(features) ? &features[i] : NULL;
}

/* The row's index, or -1. */
static int row_of(const char *name, size_t n)
{
	for (unsigned i = 0; i < ARRAY_COUNT(features); i++)
		if (strlen(features[i].name) == n && !memcmp(features[i].name, name, n))
			return (int)i;
	return -1;
}

static void set(uint64_t *map, unsigned i)
{
	map[i / 64] |= BIT(i % 64);
}

/* What a feature needs that is off, or NULL. */
static const char *missing(const struct cpu_model *m, const struct cpu_feature *f)
{
	for (unsigned k = 0; k < ARRAY_COUNT(f->needs) && f->needs[k]; k++)
		if (cpu_model_is_off(m, (unsigned)row_of(f->needs[k], strlen(f->needs[k]))))
			return f->needs[k];
	return NULL;
}

/* Whatever depends on what is off is off; 0, or what contradicts it. */
static int close(struct cpu_model *m, char *why, size_t size)
{
	bool again = true;

	while (again) {
		again = false;
		for (unsigned i = 0; i < ARRAY_COUNT(features); i++) {
			const char *need = missing(m, &features[i]);

			if (!need || cpu_model_is_off(m, i))
				continue;
			if (cpu_model_is_on(m, i)) {
				format(why, size, "+%s needs %s, which is taken away",
				       features[i].name, need);
				return -EINVAL;
			}
			set(m->off, i);
			again = true;
		}
	}
	return 0;
}

/* A word as the user wrote it, printable and not too long. */
static void quote(char *out, size_t size, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && i + 1 < size; i++)
		out[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	out[i] = 0;
}

/* "+name" or "-name". */
static int wish(struct cpu_model *m, const char *s, size_t n, char *why, size_t size)
{
	char word[32];
	int i = n > 1 ? row_of(s + 1, n - 1) : -1;

	quote(word, sizeof(word), s, n);
	if (!n || (s[0] != '+' && s[0] != '-')) {
		format(why, size, "'%s' is neither +FEATURE nor -FEATURE", word);
		return -EINVAL;
	}
	if (i < 0) {
		format(why, size, "there is no CPU feature '%s': 'nodeinfo' lists what guests have",
		       word + 1);
		return -EINVAL;
	}
	if (s[0] == '-' && features[i].fixed) {
		format(why, size, "%s cannot be taken away: no guest runs without it",
		       features[i].name);
		return -EINVAL;
	}
	set(s[0] == '+' ? m->on : m->off, (unsigned)i);
	if (cpu_model_is_on(m, (unsigned)i) && cpu_model_is_off(m, (unsigned)i)) {
		format(why, size, "+%s and -%s contradict each other", features[i].name,
		       features[i].name);
		return -EINVAL;
	}
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Up to the next comma, without the blanks around it. */
static size_t next_word(const char **text, const char *end, const char **word)
{
	const char *stop = memchr(*text, ',', (size_t)(end - *text)) ?: end, *s = *text;
	size_t n;

	*text = stop;
	while (s < stop && is_blank(*s))
		s++;
	n = (size_t)(stop - s);
	while (n && is_blank(s[n - 1]))
		n--;
	*word = s;
	return n;
}

int cpu_model_parse(struct cpu_model *m, const char *text, size_t n, char *why, size_t why_size)
{
	const char *end = text + n, *word;
	size_t length = next_word(&text, end, &word);
	char first[32];
	int err = 0;

	*m = (struct cpu_model){ 0 };
	if (length != 4 || memcmp(word, "host", 4)) {
		quote(first, sizeof(first), word, length);
		format(why, why_size,
		       "'%s' is no CPU model: host is the only one, as in cpu = host, -x2apic", first);
		return -EINVAL;
	}
	while (!err && text < end) {
		text++;
		length = next_word(&text, end, &word);
		err = wish(m, word, length, why, why_size);
	}
	return err ? err : close(m, why, why_size);
}
