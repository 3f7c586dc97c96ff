/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ELF kernel's section headers for multiboot: kernels find their symbols by them. As GRUB does
 * it, sections that no segment has loaded (symbols, names, debug information) are put beside the
 * kernel, and their headers tell where. The file is hostile: sections that lie outside of it, or
 * are more than it has bytes, are not told at all.
 * Source: Tool Interface Standard, "Executable and Linking Format"; Multiboot Specification
 * 0.6.96, `syms`.
 */
#include "vmm/load/load_plan.h"

#include "lib/string.h"

#define SECTIONS_MAX	512
#define SECTION_NOBITS	8

/* Where a section header of either class has its fields. */
struct layout {
	unsigned word, addr, offset, size, align, bytes;
};

static const struct layout narrow = { 4, 12, 16, 20, 32, 40 }, wide = { 8, 16, 24, 32, 48, 64 };

static const struct layout *layout_of(const struct elf_sections *s)
{
	return s->size == wide.bytes ? &wide : &narrow;
}

static uint64_t field(const uint8_t *header, unsigned at, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, header + at, bytes);
	return v;
}

/* Is it to be put beside the kernel? */
static bool is_left(const uint8_t *h, const struct layout *l)
{
	return !field(h, l->addr, l->word) && field(h, l->size, l->word) &&
	       field(h, 4, 4) != SECTION_NOBITS && field(h, 4, 4);
}

bool elf_sections(const struct load_image *image, struct elf_sections *s)
{
	const struct layout *l;
	uint8_t header[64];
	uint64_t total = 0, size;

	if (!elf_is(image) || !elf_section_table(image, s) || !s->count || s->count > SECTIONS_MAX)
		return false;
	l = layout_of(s);
	if (s->size != l->bytes)
		return false;
	for (unsigned i = 0; i < s->count; i++) {
		if (!load_bytes(image, s->offset + (uint64_t)i * s->size, header, s->size))
			return false;
		if (!is_left(header, l))
			continue;
		size = field(header, l->size, l->word);
		if (!range_within(field(header, l->offset, l->word), size, 0, image->kernel_size))
			return false;
		total += size;
	}
	return total <= image->kernel_size;
}

static uint64_t put_contents(const struct load_image *image, const uint8_t *h,
			     const struct layout *l, struct load_block *b)
{
	uint64_t align = field(h, l->align, l->word);

	if (align > PAGE_SIZE || align & (align - 1))
		align = PAGE_SIZE;
	return load_block_put(b, image->kernel + field(h, l->offset, l->word),
			      field(h, l->size, l->word), MAX((unsigned)align, 1u));
}

void elf_put_sections(const struct load_image *image, const struct elf_sections *s,
		      struct load_block *headers, uint64_t at, struct load_block *contents)
{
	const struct layout *l = layout_of(s);
	uint8_t header[64];
	uint64_t address;

	for (unsigned i = 0; i < s->count; i++, at += s->size) {
		if (!load_bytes(image, s->offset + (uint64_t)i * s->size, header, s->size))
			return;
		if (is_left(header, l)) {
			address = put_contents(image, header, l, contents);
			memcpy(header + l->addr, &address, l->word);
		}
		load_block_set(headers, at, header, s->size);
	}
}
