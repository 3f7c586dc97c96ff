/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU features, one row for each: the bit, its name, which is that of libvirt's x86 feature map,
 * and the policy; see cpu_model.h.
 * Sources: Intel SDM 2, "CPUID"; AMD64 APM 3, "CPUID Feature Flags".
 */
#include "vmm/cpu_model.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"

/* Which bit of which word, its name, what it needs; the row says the policy. */
#define ROW(word, bit, name, policy, ...) \
	{ name, CPU_ID(CPU_##word, bit), CPU_##policy, { __VA_ARGS__ } }
#define NEVER(word, bit, name, ...)	ROW(word, bit, name, NEVER, __VA_ARGS__)
#define HOST(word, bit, name, ...)	ROW(word, bit, name, HOST, __VA_ARGS__)
#define FIXED(word, bit, name, ...)	ROW(word, bit, name, FIXED, __VA_ARGS__)
#define OWN(word, bit, name, ...)	ROW(word, bit, name, OWN, __VA_ARGS__)
#define TOLD(word, bit, name, ...)	ROW(word, bit, name, TOLD, __VA_ARGS__)

static const struct cpu_feature features[] = {
	HOST(L1C, 0, "pni"), HOST(L1C, 1, "pclmuldq"), NEVER(L1C, 2, "dtes64"),
	NEVER(L1C, 3, "monitor"), NEVER(L1C, 4, "ds_cpl"), NEVER(L1C, 5, "vmx"),
	NEVER(L1C, 6, "smx"), NEVER(L1C, 7, "est"), NEVER(L1C, 8, "tm2"),
	HOST(L1C, 9, "ssse3", CPU_PNI), HOST(L1C, 12, "fma", CPU_AVX), HOST(L1C, 13, "cx16"),
	NEVER(L1C, 14, "xtpr"), NEVER(L1C, 15, "pdcm"), HOST(L1C, 17, "pcid"),
	NEVER(L1C, 18, "dca"), HOST(L1C, 19, "sse4.1", CPU_SSSE3),
	HOST(L1C, 20, "sse4.2", CPU_SSE4_1), OWN(L1C, 21, "x2apic"), HOST(L1C, 22, "movbe"),
	HOST(L1C, 23, "popcnt"), OWN(L1C, 24, "tsc-deadline"), HOST(L1C, 25, "aes"),
	HOST(L1C, 26, "xsave"), HOST(L1C, 28, "avx", CPU_XSAVE), HOST(L1C, 29, "f16c", CPU_AVX),
	HOST(L1C, 30, "rdrand"), OWN(L1C, 31, "hypervisor"),

	FIXED(L1D, 0, "fpu"), HOST(L1D, 1, "vme"), FIXED(L1D, 2, "de"), FIXED(L1D, 3, "pse"),
	FIXED(L1D, 4, "tsc"), FIXED(L1D, 5, "msr"), FIXED(L1D, 6, "pae"), FIXED(L1D, 7, "mce"),
	FIXED(L1D, 8, "cx8"), FIXED(L1D, 9, "apic"), FIXED(L1D, 11, "sep"), FIXED(L1D, 12, "mtrr"),
	FIXED(L1D, 13, "pge"), FIXED(L1D, 14, "mca"), FIXED(L1D, 15, "cmov"), FIXED(L1D, 16, "pat"),
	FIXED(L1D, 17, "pse36"), FIXED(L1D, 19, "clflush"), NEVER(L1D, 21, "ds"),
	NEVER(L1D, 22, "acpi"), FIXED(L1D, 23, "mmx"), FIXED(L1D, 24, "fxsr"),
	FIXED(L1D, 25, "sse"), FIXED(L1D, 26, "sse2"), HOST(L1D, 27, "ss"), TOLD(L1D, 28, "ht"),
	NEVER(L1D, 29, "tm"), NEVER(L1D, 31, "pbe"),

	OWN(L6A, 2, "arat"),

	HOST(L7B, 0, "fsgsbase"), OWN(L7B, 1, "tsc_adjust"), HOST(L7B, 3, "bmi1"),
	NEVER(L7B, 4, "hle"), HOST(L7B, 5, "avx2", CPU_AVX), HOST(L7B, 7, "smep"),
	HOST(L7B, 8, "bmi2"), HOST(L7B, 9, "erms"), HOST(L7B, 10, "invpcid", CPU_PCID),
	NEVER(L7B, 11, "rtm"), NEVER(L7B, 12, "cmt"), NEVER(L7B, 14, "mpx", CPU_XSAVE),
	HOST(L7B, 16, "avx512f", CPU_AVX2), HOST(L7B, 17, "avx512dq", CPU_AVX512F),
	HOST(L7B, 18, "rdseed"), HOST(L7B, 19, "adx"), HOST(L7B, 20, "smap"),
	HOST(L7B, 21, "avx512ifma", CPU_AVX512F), HOST(L7B, 23, "clflushopt"),
	HOST(L7B, 24, "clwb"), NEVER(L7B, 25, "intel-pt"), NEVER(L7B, 26, "avx512pf", CPU_AVX512F),
	NEVER(L7B, 27, "avx512er", CPU_AVX512F), HOST(L7B, 28, "avx512cd", CPU_AVX512F),
	HOST(L7B, 29, "sha-ni"), HOST(L7B, 30, "avx512bw", CPU_AVX512F),
	HOST(L7B, 31, "avx512vl", CPU_AVX512F),

	HOST(L7C, 1, "avx512vbmi", CPU_AVX512BW), HOST(L7C, 2, "umip"),
	HOST(L7C, 3, "pku", CPU_XSAVE), NEVER(L7C, 5, "waitpkg"),
	HOST(L7C, 6, "avx512vbmi2", CPU_AVX512BW), HOST(L7C, 8, "gfni"),
	HOST(L7C, 9, "vaes", CPU_AVX, CPU_AES), HOST(L7C, 10, "vpclmulqdq", CPU_AVX, CPU_PCLMULDQ),
	HOST(L7C, 11, "avx512vnni", CPU_AVX512F), HOST(L7C, 12, "avx512bitalg", CPU_AVX512BW),
	HOST(L7C, 14, "avx512-vpopcntdq", CPU_AVX512F), NEVER(L7C, 16, "la57"),
	HOST(L7C, 22, "rdpid", CPU_RDTSCP), NEVER(L7C, 25, "cldemote"), NEVER(L7C, 27, "movdiri"),
	NEVER(L7C, 28, "movdir64b"), NEVER(L7C, 31, "pks"),

	HOST(L7D, 4, "fsrm"), NEVER(L7D, 8, "avx512-vp2intersect", CPU_AVX512F),
	HOST(L7D, 10, "md-clear"), HOST(L7D, 14, "serialize"),
	NEVER(L7D, 22, "amx-bf16", CPU_XSAVE), NEVER(L7D, 23, "avx512-fp16", CPU_AVX512BW),
	NEVER(L7D, 24, "amx-tile", CPU_XSAVE), NEVER(L7D, 25, "amx-int8", CPU_XSAVE),
	NEVER(L7D, 26, "spec-ctrl"), NEVER(L7D, 27, "stibp"), NEVER(L7D, 28, "flush-l1d"),
	NEVER(L7D, 29, "arch-capabilities"), NEVER(L7D, 30, "core-capability"),
	NEVER(L7D, 31, "ssbd"),

	HOST(LDA, 0, "xsaveopt", CPU_XSAVE), HOST(LDA, 1, "xsavec", CPU_XSAVE),
	HOST(LDA, 2, "xgetbv1", CPU_XSAVE), NEVER(LDA, 3, "xsaves", CPU_XSAVE),

	HOST(E1C, 0, "lahf_lm"), TOLD(E1C, 1, "cmp_legacy"), NEVER(E1C, 2, "svm"),
	NEVER(E1C, 3, "extapic"), NEVER(E1C, 4, "cr8legacy"), HOST(E1C, 5, "abm"),
	HOST(E1C, 6, "sse4a", CPU_PNI), HOST(E1C, 7, "misalignsse"), HOST(E1C, 8, "3dnowprefetch"),
	NEVER(E1C, 9, "osvw"), NEVER(E1C, 10, "ibs"), HOST(E1C, 11, "xop", CPU_AVX),
	NEVER(E1C, 12, "skinit"), NEVER(E1C, 13, "wdt"), NEVER(E1C, 15, "lwp"),
	HOST(E1C, 16, "fma4", CPU_AVX), HOST(E1C, 21, "tbm"), NEVER(E1C, 22, "topoext"),
	NEVER(E1C, 23, "perfctr_core"), NEVER(E1C, 24, "perfctr_nb"),

	FIXED(E1D, 11, "syscall"), HOST(E1D, 20, "nx"), HOST(E1D, 22, "mmxext"),
	NEVER(E1D, 25, "fxsr_opt"), HOST(E1D, 26, "pdpe1gb"), HOST(E1D, 27, "rdtscp"),
	FIXED(E1D, 29, "lm"), NEVER(E1D, 30, "3dnowext"), NEVER(E1D, 31, "3dnow"),

	HOST(E7D, 8, "invtsc"), NEVER(E8B, 0, "clzero"), NEVER(E8B, 9, "wbnoinvd"),
	NEVER(E8B, 12, "ibpb"), NEVER(E8B, 24, "amd-ssbd"), NEVER(E8B, 25, "virt-ssbd"),
};

_Static_assert(ARRAY_COUNT(features) <= CPU_FEATURE_MAX, "struct cpu_model");

const struct cpu_word cpu_words[CPU_WORD_COUNT] = {
	[CPU_L1C] = { 1, 0, 2 }, [CPU_L1D] = { 1, 0, 3 }, [CPU_L6A] = { 6, 0, 0 },
	[CPU_L7B] = { 7, 0, 1 }, [CPU_L7C] = { 7, 0, 2 }, [CPU_L7D] = { 7, 0, 3 },
	[CPU_LDA] = { 0xd, 1, 0 },
	[CPU_E1C] = { 0x80000001, 0, 2 }, [CPU_E1D] = { 0x80000001, 0, 3 },
	[CPU_E7D] = { 0x80000007, 0, 3 }, [CPU_E8B] = { 0x80000008, 0, 1 },
};

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

/* Looked for once: a model goes through all that its features need. */
static unsigned row_of_id(unsigned id)
{
	static uint8_t known[CPU_WORD_COUNT * 32];	/* 1 + the row */
	unsigned i = READ_ONCE(known[id]);

	if (likely(i))
		return i - 1;
	while (features[i].id != id)
		i++;
	WRITE_ONCE(known[id], (uint8_t)(i + 1));
	return i;
}

bool cpu_model_lacks(const struct cpu_model *m, unsigned id)
{
	return cpu_model_is_off(m, row_of_id(id));
}

/* What a feature needs that is off, or NULL. */
static const char *missing(const struct cpu_model *m, const struct cpu_feature *f)
{
	for (unsigned k = 0; k < ARRAY_COUNT(f->needs) && f->needs[k]; k++) {
		unsigned i = row_of_id(f->needs[k]);

		if (cpu_model_is_off(m, i))
			return features[i].name;
	}
	return NULL;
}

bool cpu_model_follows(const struct cpu_model *m, unsigned i)
{
	return missing(m, &features[i]);
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

void cpu_model_drop(struct cpu_model *m, unsigned id)
{
	memset(m->on, 0, sizeof(m->on));
	set(m->off, row_of_id(id));
	(void)!close(m, NULL, 0);
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
	if (s[0] == '-' &&
	    (features[i].policy == CPU_FIXED || features[i].policy == CPU_TOLD)) {
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
