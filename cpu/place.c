/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Places from CPUID; see cpu/place.h. No locks: each CPU writes its own, the boot CPU links them.
 */
#include "cpu/place.h"

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "include/bits.h"

#define LEVELS_MAX	8u	/* subleaves looked at */
#define LEVEL_THREAD	1u	/* leaves 0Bh and 1Fh */
#define SHIFT_MAX	31u

struct place place PERCPU;
bool place_matters;

/* Bits of an APIC id below that of the ... */
struct shifts {
	unsigned core, cache, package;
};

/* So many bits number `n` of them. */
static unsigned bits_for(uint32_t n)
{
	unsigned bits = 0;

	while (bits < SHIFT_MAX && 1ul << bits < n)
		bits++;
	return bits;
}

/* Leaf 1Fh or 0Bh: levels from the thread upwards, each with the shift to the one above. */
static bool from_levels(uint32_t leaf, struct shifts *s, uint32_t *apic_id)
{
	bool any = false;

	if (features.max_basic < leaf)
		return false;
	for (unsigned i = 0; i < LEVELS_MAX; i++) {
		struct cpuid_regs r = cpu_cpuid(leaf, i);
		unsigned type = r.ecx >> 8 & 0xff;

		if (!type || !(r.ebx & 0xffff))
			break;
		if (type == LEVEL_THREAD)
			s->core = r.eax & 0x1f;
		s->package = r.eax & 0x1f;
		*apic_id = r.edx;
		any = true;
	}
	return any;
}

/* AMD's: threads in a core, CPUs in a package. */
static void from_amd(struct shifts *s, uint32_t *apic_id)
{
	struct cpuid_regs size = { 0 }, r;

	if (features.max_extended >= 0x80000008)
		size = cpu_cpuid(0x80000008, 0);
	s->package = size.ecx >> 12 & 0xf ?: bits_for((size.ecx & 0xff) + 1);
	if (features.max_extended < 0x8000001e || features.family < 0x17)
		return;
	r = cpu_cpuid(0x8000001e, 0);
	s->core = bits_for((r.ebx >> 8 & 0xff) + 1);
	*apic_id = r.eax;
}

/* Before there were leaves for it: CPUs in a package, cores among them. */
static void from_counts(struct shifts *s)
{
	struct cpuid_regs one = cpu_cpuid(1, 0), four;
	uint32_t cores = 1;

	if (!(one.edx & BIT(28)))
		return;
	s->package = bits_for(one.ebx >> 16 & 0xff);
	if (features.max_basic >= 4) {
		four = cpu_cpuid(4, 0);
		if (four.eax & 0x1f)
			cores = (four.eax >> 26) + 1;
	}
	if (bits_for(cores) < s->package)
		s->core = s->package - bits_for(cores);
}

/* Of the highest level that is told; leaf 4, or AMD's likeness of it. */
static void find_cache(struct shifts *s)
{
	bool amd = features.vendor == VENDOR_AMD;
	uint32_t leaf = amd ? 0x8000001d : 4;
	unsigned highest = 1;

	s->cache = s->package;
	if (amd ? features.max_extended < leaf : features.max_basic < leaf)
		return;
	if (amd && !(cpu_cpuid(0x80000001, 0).ecx & BIT(22)))
		return;
	for (unsigned i = 0; i < LEVELS_MAX; i++) {
		uint32_t eax = cpu_cpuid(leaf, i).eax;
		unsigned level = eax >> 5 & 7;

		if (!(eax & 0x1f))
			break;
		if (level <= highest)
			continue;
		highest = level;
		s->cache = bits_for((eax >> 14 & 0xfff) + 1);
	}
}

void place_cpu_init(void)
{
	struct shifts s = { 0 };
	uint32_t id = cpu_cpuid(1, 0).ebx >> 24;

	if (!from_levels(0x1f, &s, &id) && !from_levels(0xb, &s, &id)) {
		if (features.vendor == VENDOR_AMD)
			from_amd(&s, &id);
		else
			from_counts(&s);
	}
	find_cache(&s);
	s.core = MIN(s.core, s.package);
	s.cache = MAX(MIN(s.cache, s.package), s.core);
	this_cpu(place) = (struct place){
		.apic_id = id, .core = id >> s.core << s.core, .cache = id >> s.cache << s.cache,
		.package = id >> s.package << s.package, .next = cpu_index(),
	};
}

/* The next CPU, all round, of the same core. */
static unsigned next_in_core(unsigned cpu)
{
	unsigned c = cpu;

	do
		c = (c + 1) % cpu_count;
	while (per_cpu(place, c).core != per_cpu(place, cpu).core);
	return c;
}

void place_link(void)
{
	bool matters = false;

	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		struct place *p = &per_cpu(place, cpu);

		p->next = next_in_core(cpu);
		matters |= p->next != cpu || p->cache != per_cpu(place, 0).cache;
	}
	WRITE_ONCE(place_matters, matters);
}

/* How many there are of which no CPU before has the same. */
#define COUNT_DISTINCT(what) ({							\
	unsigned count_ = 0;							\
	for (unsigned i_ = 0, k_; i_ < cpu_count; i_++) {			\
		for (k_ = 0; k_ < i_; k_++)					\
			if (per_cpu(place, k_).what == per_cpu(place, i_).what)	\
				break;						\
		count_ += k_ == i_;						\
	}									\
	count_; })

struct place_counts place_count(void)
{
	unsigned packages = COUNT_DISTINCT(package), cores = COUNT_DISTINCT(core);

	if (cores % packages || cpu_count % cores)
		return (struct place_counts){ 1, cpu_count, 1 };
	return (struct place_counts){ packages, cores / packages, cpu_count / cores };
}
