/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common half of gathering boot information: the memory map is collected as the firmware tells
 * it, overlaps and all, then resolved into a sorted, disjoint list in which the more restrictive
 * claim wins; names are copied; options are looked up. Input is not trusted further than its
 * bounds: a truncated or lying table gives less information.
 */
#include "boot/bootinfo.h"

#include "boot/gather.h"
#include "include/bits.h"
#include "lib/string.h"

#define OURS_MAX	(BOOT_MODULE_MAX + 1)
#define RAW_MAX		(BOOT_ENTRY_MAX + OURS_MAX)
#define STRINGS_SIZE	8192

struct bootinfo bootinfo;

/* What the firmware and the loader said, in their order; then the modules and the image. */
static struct boot_region raw[RAW_MAX];
static unsigned raw_count;
static char strings[STRINGS_SIZE];
static size_t strings_used;

void gather_reset(void)
{
	memset(&bootinfo, 0, sizeof(bootinfo));
	raw_count = 0;
	strings_used = 0;
}

/* Into the first `max` entries; one that goes on from the last is made one with it. */
static void add(uint64_t start, uint64_t size, enum boot_mem type, unsigned max)
{
	struct boot_region *last = raw_count ? &raw[raw_count - 1] : NULL;

	if (!size)
		return;
	if (size > 0 - start && start)
		size = 0 - start;
	if (start && last && last->type == type && last->start.v + last->size == start)
		last->size += size;
	else if (raw_count < max)
		raw[raw_count++] = (struct boot_region){ HPA(start), size, type };
	else
		bootinfo.regions_dropped++;
}

void gather_region(uint64_t start, uint64_t size, enum boot_mem type)
{
	add(start, size, type, BOOT_ENTRY_MAX);
}

/* A copy that lives as long as Keel; "" when there is no room. */
static const char *keep_string(const char *s, size_t n)
{
	char *copy = strings + strings_used;

	if (n >= sizeof(strings) - strings_used)
		return "";
	memcpy(copy, s, n);
	copy[n] = 0;
	strings_used += n + 1;
	return copy;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void gather_module(uint64_t start, uint64_t size, const char *string, size_t length)
{
	struct boot_module *m = &bootinfo.module[bootinfo.module_count];
	size_t name = 0, end, args;

	length = strnlen(string, length);
	for (end = 0; end < length && !is_blank(string[end]); end++)
		if (string[end] == '/')
			name = end + 1;
	for (args = end; args < length && is_blank(string[args]); args++)
		;
	if (bootinfo.module_count == BOOT_MODULE_MAX)
		return;
	m->start = HPA(start);
	m->size = size;
	m->name = keep_string(string + name, end - name);
	m->args = keep_string(string + args, length - args);
	bootinfo.module_count++;
}

void gather_cmdline(const char *s, size_t length)
{
	size_t n = MIN(strnlen(s, length), (size_t)BOOT_CMDLINE_MAX - 1);

	bootinfo.cmdline_cut = n < strnlen(s, length);
	memcpy(bootinfo.cmdline, s, n);
	bootinfo.cmdline[n] = 0;
}

void gather_loader(const char *s, size_t length)
{
	bootinfo.loader = keep_string(s, strnlen(s, length));
}

void gather_rsdp(const void *p, size_t length)
{
	memcpy(bootinfo.rsdp, p, MIN(length, sizeof(bootinfo.rsdp)));
	bootinfo.rsdp_valid = length >= 20;
}

/* ---- the memory map ---- */

/* Who wins where two claims overlap: higher. */
static const uint8_t rank[] = {
	[BOOT_MEM_USABLE] = 1, [BOOT_MEM_ACPI] = 2, [BOOT_MEM_NVS] = 3, [BOOT_MEM_RESERVED] = 4,
	[BOOT_MEM_BAD] = 5, [BOOT_MEM_MODULES] = 6, [BOOT_MEM_KEEL] = 7,
};

/*
 * Usable memory shrinks to whole pages, all else grows to them: a page belongs to its most
 * restrictive byte.
 */
static void round_to_pages(struct boot_region *r)
{
	uint64_t start = r->start.v, end = start + r->size - 1;

	if (r->type == BOOT_MEM_USABLE) {
		uint64_t first = ALIGN_UP(start, PAGE_SIZE), stop = ALIGN_DOWN(end + 1, PAGE_SIZE);

		r->start.v = first;
		r->size = first >= start && stop > first ? stop - first : 0;
	} else {
		r->start.v = ALIGN_DOWN(start, PAGE_SIZE);
		r->size = (end | (PAGE_SIZE - 1)) - r->start.v + 1;
	}
}

static void sort_numbers(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint64_t x = v[i];
		unsigned j;

		for (j = i; j > 0 && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

static unsigned collect_edges(uint64_t *edge)
{
	unsigned n = 0;

	for (unsigned i = 0; i < raw_count; i++) {
		if (!raw[i].size)
			continue;
		edge[n++] = raw[i].start.v;
		edge[n++] = raw[i].start.v + raw[i].size;
	}
	sort_numbers(edge, n);
	return n;
}

/* The claim that holds at `at`, or NULL. */
static const struct boot_region *claim_at(uint64_t at)
{
	const struct boot_region *best = NULL;

	for (unsigned i = 0; i < raw_count; i++)
		if (raw[i].size && at - raw[i].start.v < raw[i].size &&
		    (!best || rank[raw[i].type] > rank[best->type]))
			best = &raw[i];
	return best;
}

static void append_region(uint64_t start, uint64_t size, enum boot_mem type)
{
	struct boot_region *last = bootinfo.region_count
					   ? &bootinfo.region[bootinfo.region_count - 1] : NULL;

	if (last && last->type == type && last->start.v + last->size == start) {
		last->size += size;
		return;
	}
	if (bootinfo.region_count == BOOT_REGION_MAX)
		bootinfo.regions_dropped++;
	else
		bootinfo.region[bootinfo.region_count++] = (struct boot_region){
			HPA(start), size, type,
		};
}

void gather_finish(void)
{
	static uint64_t edge[2 * RAW_MAX];
	unsigned n;

	add(bootinfo.image_start.v, bootinfo.image_size, BOOT_MEM_KEEL, RAW_MAX);
	for (unsigned i = 0; i < bootinfo.module_count; i++)
		add(bootinfo.module[i].start.v, bootinfo.module[i].size, BOOT_MEM_MODULES, RAW_MAX);
	for (unsigned i = 0; i < raw_count; i++)
		round_to_pages(&raw[i]);
	n = collect_edges(edge);
	bootinfo.region_count = 0;
	for (unsigned i = 0; i + 1 < n; i++) {
		const struct boot_region *r = edge[i] < edge[i + 1] ? claim_at(edge[i]) : NULL;

		if (r)
			append_region(edge[i], edge[i + 1] - edge[i], r->type);
	}
}

bool boot_image_listed(void)
{
	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];

		if (r->type == BOOT_MEM_KEEL &&
		    range_within(bootinfo.image_start.v, bootinfo.image_size, r->start.v, r->size))
			return true;
	}
	return false;
}

/* ---- options ---- */

const char *boot_word(const char *s, size_t *n)
{
	while (is_blank(*s))
		s++;
	for (*n = 0; s[*n] && !is_blank(s[*n]); ++*n)
		;
	return *n ? s : NULL;
}

bool boot_option(const char *key, char *buf, size_t size)
{
	size_t key_length = strlen(key), n;
	const char *s = bootinfo.cmdline;

	for (; (s = boot_word(s, &n)); s += n) {
		size_t value = MIN(key_length + 1, n);

		if (n < key_length || memcmp(s, key, key_length) ||
		    (n > key_length && s[key_length] != '='))
			continue;
		n = MIN(n - value, size - 1);
		memcpy(buf, s + value, n);
		buf[n] = 0;
		return true;
	}
	return false;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

uint64_t boot_option_number(const char *key, uint64_t fallback)
{
	char text[32];
	const char *s = text;
	uint64_t v = 0;
	unsigned base = 10;

	if (!boot_option(key, text, sizeof(text)))
		return fallback;
	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	}
	if (!*s)
		return fallback;
	for (; *s; s++) {
		unsigned d = (unsigned)digit_of(*s);

		if (d >= base || __builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, d, &v))
			return fallback;
	}
	return v;
}
