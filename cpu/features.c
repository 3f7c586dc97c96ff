/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU features; see cpu/features.h. A leaf above the highest one is all zeros here, although chips
 * answer it with another leaf's data.
 */
#include "cpu/features.h"

#include "cpu/cpu.h"
#include "lib/string.h"

struct row {
	uint32_t leaf;
	uint8_t subleaf, reg, bit;
	const char *name;
};

static const struct row rows[FEATURE_COUNT] = {
#define FEATURE_ROW(name, leaf, subleaf, reg, bit, text) { leaf, subleaf, reg, bit, text },
	FEATURE_ROWS(FEATURE_ROW)
#undef FEATURE_ROW
};

struct features features;

const char *features_name(enum feature f)
{
	return f < FEATURE_COUNT ? rows[f].name : "";
}

static struct cpuid_regs read_leaf(uint32_t leaf, uint32_t subleaf)
{
	uint32_t max = leaf & 0x80000000 ? features.max_extended : features.max_basic;

	return leaf <= max ? cpu_cpuid(leaf, subleaf) : (struct cpuid_regs){ 0, 0, 0, 0 };
}

static bool test(const struct row *r)
{
	struct cpuid_regs v = read_leaf(r->leaf, r->subleaf);
	uint32_t reg[] = { v.eax, v.ebx, v.ecx, v.edx };

	return reg[r->reg] >> r->bit & 1;
}

static void store_name(char *name, uint32_t a, uint32_t b, uint32_t c)
{
	memcpy(name, &a, 4);
	memcpy(name + 4, &b, 4);
	memcpy(name + 8, &c, 4);
}

static void read_vendor(void)
{
	struct cpuid_regs r = cpu_cpuid(0, 0);

	features.max_basic = r.eax;
	store_name(features.vendor_name, r.ebx, r.edx, r.ecx);
	if (!strcmp(features.vendor_name, "GenuineIntel"))
		features.vendor = VENDOR_INTEL;
	else if (!strcmp(features.vendor_name, "AuthenticAMD") ||
		 !strcmp(features.vendor_name, "HygonGenuine"))
		features.vendor = VENDOR_AMD;
	r = cpu_cpuid(0x80000000, 0);
	features.max_extended = r.eax & 0x80000000 ? r.eax : 0;
}

static void read_model(void)
{
	uint32_t a = cpu_cpuid(1, 0).eax;

	features.stepping = FIELD(a, 3, 0);
	features.model = FIELD(a, 7, 4);
	features.family = FIELD(a, 11, 8);
	if (features.family == 6 || features.family == 15)
		features.model |= FIELD(a, 19, 16) << 4;
	if (features.family == 15)
		features.family += FIELD(a, 27, 20);
}

static void read_brand(void)
{
	char text[48];
	unsigned start = 0;

	if (features.max_extended < 0x80000004)
		return;
	for (unsigned i = 0; i < 3; i++) {
		struct cpuid_regs r = cpu_cpuid(0x80000002 + i, 0);

		memcpy(text + 16 * i, &r, 16);
	}
	while (start < sizeof(text) && text[start] == ' ')
		start++;
	memcpy(features.brand, text + start, sizeof(text) - start);
	for (size_t n = strlen(features.brand); n && features.brand[n - 1] == ' '; n--)
		features.brand[n - 1] = 0;
}

static void read_sizes(void)
{
	struct cpuid_regs r = read_leaf(0x80000008, 0);

	features.physical_bits = r.eax ? FIELD(r.eax, 7, 0) : 36;
	features.linear_bits = r.eax ? FIELD(r.eax, 15, 8) : 48;
	features.svm_asids = read_leaf(0x8000000a, 0).ebx;
}

void features_init(void)
{
	memset(features.bits, 0, sizeof(features.bits));
	read_vendor();
	read_model();
	read_brand();
	read_sizes();
	for (unsigned i = 0; i < FEATURE_COUNT; i++)
		if (test(&rows[i]))
			features.bits[i / 64] |= BIT(i % 64);
	if (cpu_has(FEATURE_ARCH_CAPABILITIES) &&
	    cpu_rdmsr_safe(MSR_ARCH_CAPABILITIES, &features.arch_capabilities))
		features.arch_capabilities = 0;
	if (cpu_has(FEATURE_HYPERVISOR)) {
		struct cpuid_regs r = cpu_cpuid(0x40000000, 0);

		store_name(features.hypervisor, r.ebx, r.ecx, r.edx);
	}
}

void features_unlock(void)
{
	const uint64_t locks = MISC_ENABLE_CPUID_LIMIT | MISC_ENABLE_XD_DISABLE;
	uint64_t v;

	if (features.vendor != VENDOR_INTEL || cpu_rdmsr_safe(MSR_MISC_ENABLE, &v) ||
	    !(v & locks) || cpu_wrmsr_safe(MSR_MISC_ENABLE, v & ~locks))
		return;
	features.unlocked = true;
	features_init();
}

enum feature features_missing_here(void)
{
	enum feature f;

	for (f = 0; f < FEATURE_COUNT; f++)
		if (cpu_has(f) && !test(&rows[f]))
			break;
	return f;
}
