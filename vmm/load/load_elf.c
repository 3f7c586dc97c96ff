/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF files of either class for x86: loadable segments, entry point, Xen's notes. The file is
 * hostile: every offset is checked where it is used, nothing is believed twice, and what a file may
 * have us walk through is limited far above what kernels have, for nothing else runs meanwhile.
 * Source: Tool
 * Interface Standard, "Executable and Linking Format"; "System V ABI, AMD64 supplement".
 */
#include "vmm/load/load_plan.h"

#include "include/errno.h"
#include "lib/string.h"

#define ELF_CLASS32	1
#define ELF_CLASS64	2
#define ELF_DATA_LSB	1
#define ELF_386		3
#define ELF_X86_64	62
#define PT_LOAD		1
#define PT_NOTE		4

#define SEGMENTS_MAX	64	/* program headers; kernels have less than 12 */
#define NOTES_MAX	4096	/* looked at in a file; kernels have some dozens */

struct ident {
	uint8_t magic[4], class, data, version, rest[9];
	uint16_t type, machine;
	uint32_t file_version;
};

struct header32 {
	struct ident ident;
	uint32_t entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct header64 {
	struct ident ident;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct segment32 {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct segment64 {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct note {
	uint32_t name_size, value_size, type;
};

/* 0, -EINVAL or -E2BIG: refuse_header() tells about them. */
static int read_header(const struct load_image *image, struct header64 *out)
{
	struct header32 h;
	struct ident id;

	if (!load_bytes(image, 0, &id, sizeof(id)))
		return -EINVAL;
	if (id.class == ELF_CLASS64) {
		if (!load_bytes(image, 0, out, sizeof(*out)) ||
		    out->phentsize < sizeof(struct segment64))
			return -EINVAL;
	} else {
		if (!load_bytes(image, 0, &h, sizeof(h)) || h.phentsize < sizeof(struct segment32))
			return -EINVAL;
		*out = (struct header64){ .ident = h.ident,
					  .entry = h.entry,
					  .phoff = h.phoff,
					  .phentsize = h.phentsize,
					  .phnum = h.phnum,
					  .shoff = h.shoff,
					  .shentsize = h.shentsize,
					  .shnum = h.shnum,
					  .shstrndx = h.shstrndx };
	}
	return out->phnum > SEGMENTS_MAX ? -E2BIG : 0;
}

static int refuse_header(struct load_plan *p, int err)
{
	if (err == -E2BIG)
		return load_refuse(p, -EINVAL,
				   "the kernel's ELF file has more than %d program headers",
				   SEGMENTS_MAX);
	return load_refuse(p, err, "the kernel's ELF header is cut or malformed");
}

static bool read_segment(const struct load_image *image, const struct header64 *h, unsigned i,
			 struct segment64 *out)
{
	uint64_t skip = (uint64_t)i * h->phentsize, at = h->phoff + skip;
	struct segment32 s;

	if (at < skip)
		return false;
	if (h->ident.class == ELF_CLASS64)
		return load_bytes(image, at, out, sizeof(*out));
	if (!load_bytes(image, at, &s, sizeof(s)))
		return false;
	*out = (struct segment64){ s.type,  s.flags,  s.offset, s.vaddr,
				   s.paddr, s.filesz, s.memsz,	s.align };
	return true;
}

bool elf_is(const struct load_image *image)
{
	struct ident id;

	return load_bytes(image, 0, &id, sizeof(id)) && !memcmp(id.magic, "\177ELF", 4) &&
	       (id.class == ELF_CLASS32 || id.class == ELF_CLASS64) && id.data == ELF_DATA_LSB &&
	       (id.machine == ELF_386 || id.machine == ELF_X86_64);
}

int elf_plan(struct load_plan *p)
{
	struct header64 h;
	struct segment64 s;
	int err = read_header(p->image, &h);

	if (err)
		return refuse_header(p, err);
	for (unsigned i = 0; i < h.phnum; i++) {
		if (!read_segment(p->image, &h, i, &s))
			return load_refuse(
				p, -EINVAL,
				"the kernel's ELF program header %u lies outside the file", i);
		if (s.type != PT_LOAD || !s.memsz)
			continue;
		if (s.filesz > s.memsz ||
		    !range_within(s.offset, s.filesz, 0, p->image->kernel_size))
			return load_refuse(
				p, -EINVAL,
				"the kernel's ELF segment %u lies outside the file: truncated?", i);
		err = load_add(p, s.paddr, p->image->kernel + s.offset, s.filesz, s.memsz);
		if (err)
			return err;
	}
	if (!p->segment_count)
		return load_refuse(p, -EINVAL, "the kernel's ELF file has nothing to load");
	return 0;
}

int elf_entry(struct load_plan *p, uint64_t *out)
{
	struct header64 h;
	struct segment64 s;
	int err = read_header(p->image, &h);

	if (err)
		return refuse_header(p, err);
	*out = h.entry;
	/* The entry is a virtual address where a segment holds it as such. */
	for (unsigned i = 0; i < h.phnum && read_segment(p->image, &h, i, &s); i++) {
		if (s.type == PT_LOAD && range_within(h.entry, 1, s.vaddr, s.memsz)) {
			*out = h.entry - s.vaddr + s.paddr;
			break;
		}
	}
	return 0;
}

bool elf_section_table(const struct load_image *image, struct elf_sections *out)
{
	struct header64 h;

	if (read_header(image, &h))
		return false;
	*out = (struct elf_sections){
		.count = h.shnum, .size = h.shentsize, .names = h.shstrndx, .offset = h.shoff,
	};
	return true;
}

/*
 * The notes of one segment, `left` of which may still be looked at; sizes are padded to `align`.
 * 0, -ENOENT, or -E2BIG.
 */
static int note_find(const struct load_image *image, uint64_t at, uint64_t end, unsigned align,
		     uint32_t type, unsigned *left, uint64_t *out)
{
	struct note n;
	uint64_t value, next;
	char name[4];

	while (at < end && load_bytes(image, at, &n, sizeof(n))) {
		if (!*left)
			return -E2BIG;
		--*left;
		value = at + sizeof(n) + ALIGN_UP((uint64_t)n.name_size, align);
		next = value + ALIGN_UP((uint64_t)n.value_size, align);
		if (n.type == type && n.name_size == 4 &&
		    load_bytes(image, at + sizeof(n), name, 4) && !memcmp(name, "Xen", 4) &&
		    (n.value_size == 4 || n.value_size == 8)) {
			*out = 0;
			return load_bytes(image, value, out, n.value_size) ? 0 : -ENOENT;
		}
		at = next;
	}
	return -ENOENT;
}

static int find_in_segments(const struct load_image *image, const struct header64 *h, uint32_t type,
			    uint64_t *out)
{
	struct segment64 s;
	unsigned left = NOTES_MAX;
	int err = -ENOENT;

	for (unsigned i = 0; i < h->phnum && read_segment(image, h, i, &s); i++) {
		if (s.type != PT_NOTE || !range_within(s.offset, s.filesz, 0, image->kernel_size))
			continue;
		err = note_find(image, s.offset, s.offset + s.filesz, s.align == 8 ? 8 : 4, type,
				&left, out);
		if (err != -ENOENT)
			break;
	}
	return err;
}

int elf_xen_note(const struct load_image *image, uint32_t type, uint64_t *out)
{
	struct header64 h;
	int err;

	if (!elf_is(image))
		return -ENOENT;
	err = read_header(image, &h);
	if (err)
		return err == -E2BIG ? err : -ENOENT;
	return find_in_segments(image, &h, type, out);
}
