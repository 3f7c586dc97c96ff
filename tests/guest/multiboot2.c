/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a multiboot2 loader brought on a BIOS machine: checks the list of tags and that they agree
 * with each other; says the command line as it is, and each module's string, size and content's
 * sum; tests/system knows what it gave.
 * Source: Multiboot2 Specification 2.0, "Boot information format".
 */
#include "tests/guest/lib/guest.h"

#define MAGIC		0x36d76289u
#define IMAGE_START	0x100000u
#define TEXT_SCREEN	2
#define RAM		1

enum tag_type {
	TAG_END, TAG_CMDLINE, TAG_LOADER, TAG_MODULE, TAG_MEMORY, TAG_MAP = 6, TAG_FRAMEBUFFER = 8,
	TAG_SECTIONS, TAG_EFI32 = 11, TAG_EFI64, TAG_RSDP1 = 14, TAG_RSDP2,
	TAG_EFI_MAP = 17, TAG_LOAD_BASE = 21, TAG_COUNT,
};

struct tag { uint32_t type, size; };
struct text_tag { struct tag tag; char text[]; };
struct module_tag { struct tag tag; uint32_t start, end; char text[]; };
struct memory_tag { struct tag tag; uint32_t lower, upper; };
struct region { uint64_t base, length; uint32_t type, reserved; };
struct map_tag { struct tag tag; uint32_t entry_size, version; struct region region[]; };
struct sections_tag { struct tag tag; uint32_t count, size, names; };
struct rsdp_tag { struct tag tag; uint8_t rsdp[36]; };
struct base_tag { struct tag tag; uint32_t base; };
struct framebuffer_tag {
	struct tag tag;
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t bits, type;
};

extern uint8_t entered_by_tag;

static unsigned counts[TAG_COUNT];
static const struct tag *last[TAG_COUNT];

static uint32_t sum(const uint8_t *at, const uint8_t *end)
{
	uint32_t sum = 0;

	while (at < end)
		sum += *at++;
	return sum;
}

/* Notes where each tag is; those that come more than once, modules, are said at once. */
static void walk(void)
{
	const uint32_t *info = (const void *)(uint64_t)boot_info;
	uint64_t at = boot_info + 8, end = boot_info + (uint64_t)info[0];
	const struct tag *t;

	check(!(boot_info & 7), "info_aligned", "%x", boot_info);
	check_equal(info[1], 0, "info_reserved");
	do {
		t = (const void *)at;
		if (at + sizeof(*t) > end || t->size < sizeof(*t) || at + t->size > end)
			astray("tag %u of %u bytes at %lx", t->type, t->size, at);
		if (t->type < TAG_COUNT) {
			counts[t->type]++;
			last[t->type] = t;
		}
		if (t->type == TAG_MODULE) {
			const struct module_tag *m = (const void *)t;

			print("module '%s' size %u sum %u\n", m->text, m->end - m->start,
			      sum((const void *)(uint64_t)m->start,
				  (const void *)(uint64_t)m->end));
			check(!(m->start & 0xfff), "module_on_a_page", "%x", m->start);
			check(m->start >= (uint64_t)image_end, "module_place", "%x", m->start);
		}
		at += (t->size + 7) & ~7u;
	} while (t->type != TAG_END);
	check_equal(at, end, "tags_fill_info");
}

static void once(enum tag_type type, const char *name)
{
	check_equal(counts[type], 1, name);
	if (!last[type])
		astray("nothing to look at");
}

/* The largest region from 1 MiB on ends where the sizes say, and the image is in it. */
static void memory(void)
{
	const struct memory_tag *sizes = (const void *)last[TAG_MEMORY];
	const struct map_tag *map = (const void *)last[TAG_MAP];
	unsigned n = (map->tag.size - sizeof(*map)) / map->entry_size;
	uint64_t low = 0, high = 0;

	check_equal(map->entry_size, sizeof(struct region), "map_entry_size");
	check_equal(map->version, 0, "map_version");
	for (unsigned i = 0; i < n; i++) {
		const struct region *r = &map->region[i];

		if (r->type == RAM && r->base == 0)
			low = r->length;
		if (r->type == RAM && r->base == 0x100000)
			high = r->length;
	}
	check_equal(sizes->lower, low / 1024, "memory_lower");
	check_equal(sizes->upper, high / 1024, "memory_upper");
	check((uint64_t)image_end - IMAGE_START < high, "image_in_memory", "%lx", high);
}

static void screen(void)
{
	const struct framebuffer_tag *f = (const void *)last[TAG_FRAMEBUFFER];

	check_equal(f->address, 0xb8000, "screen_address");
	check_equal(f->type, TEXT_SCREEN, "screen_type");
	check_equal(f->width << 16 | f->height, 80 << 16 | 25, "screen_size");
	check_equal(f->pitch, 160, "screen_pitch");
}

/* ELF32: name, type, flags, address, offset, size... */
static void sections(void)
{
	const struct sections_tag *s = (const void *)last[TAG_SECTIONS];
	const uint32_t *table = (const void *)(s + 1);
	bool text = false;
	const char *names;

	check_equal(s->size, 40, "section_size");
	check_equal(s->tag.size, sizeof(*s) + s->count * s->size, "section_table");
	if (s->names >= s->count)
		astray("names in section %u of %u", s->names, s->count);
	names = (const char *)(uint64_t)table[s->names * 10 + 3];
	for (unsigned i = 0; i < s->count; i++)
		text |= text_equal(names + table[i * 10], ".text") &&
			table[i * 10 + 3] == IMAGE_START;
	check(text, "section_text", "not found by its name");
}

static void rsdp(enum tag_type type, unsigned size, const char *name)
{
	const struct rsdp_tag *r = (const void *)last[type];

	check(r->tag.size >= sizeof(r->tag) + size && !compare(r->rsdp, "RSD PTR ", 8) &&
	      !(sum(r->rsdp, r->rsdp + size) & 0xff), name, "size %u sum %x", r->tag.size,
	      sum(r->rsdp, r->rsdp + size));
}

void test_main(void)
{
	if (boot_magic != MAGIC)
		astray("magic %x", boot_magic);
	check_equal(entered_by_tag, 1, "entry_tag");
	walk();
	once(TAG_CMDLINE, "cmdline");
	print("cmdline '%s'\n", ((const struct text_tag *)last[TAG_CMDLINE])->text);
	once(TAG_LOADER, "loader");
	print("loader '%s'\n", ((const struct text_tag *)last[TAG_LOADER])->text);
	once(TAG_MEMORY, "memory_sizes");
	once(TAG_MAP, "memory_map");
	memory();
	once(TAG_FRAMEBUFFER, "screen");
	screen();
	once(TAG_SECTIONS, "sections");
	sections();
	once(TAG_RSDP1, "rsdp1");
	rsdp(TAG_RSDP1, 20, "rsdp1_sum");
	if (last[TAG_RSDP2])
		rsdp(TAG_RSDP2, 36, "rsdp2_sum");
	else
		skip("rsdp2_sum", "the firmware has the old one alone");
	once(TAG_LOAD_BASE, "load_base");
	check_equal(((const struct base_tag *)last[TAG_LOAD_BASE])->base, IMAGE_START,
		    "load_base_at");
	check_equal(counts[TAG_EFI32] + counts[TAG_EFI64] + counts[TAG_EFI_MAP], 0, "no_efi");
}
