/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot, version 2: a header with tags in the first 32 KiB of an ELF file or, with the address
 * tag, of any file. The kernel starts as a multiboot1 kernel does, with another magic; EBX leads to
 * a list of tags, those that GRUB gives on a BIOS machine. Its tags for EFI ask for what this
 * machine has not, and are passed over as GRUB does there: so there is no 64-bit entry. A kernel
 * that may be relocated is loaded where it was linked.
 * Source: Multiboot2 Specification 2.0.
 */
#include "vmm/load/load_plan.h"

#include "include/errno.h"
#include "lib/string.h"

#define HEADER_MAGIC	0xe85250d6u
#define HEADER_SEARCH	32768
#define HEADER_TAGS_MAX	64
#define LOADER_MAGIC	0x36d76289u
#define ARCHITECTURE_386 0
#define TAG_OPTIONAL	1
#define TAG_ALIGN	8
#define SCREEN		0xb8000
#define TEXT_SCREEN	2

/* Kernels tell GRUB's command lines, without a program's name, from the first GRUB's by this. */
#define LOADER_NAME	"Keel (as GRUB 2)"

enum header_tag {
	HEADER_END, HEADER_REQUEST, HEADER_ADDRESS, HEADER_ENTRY, HEADER_CONSOLE,
	HEADER_FRAMEBUFFER, HEADER_MODULE_ALIGN, HEADER_EFI_SERVICES, HEADER_EFI32_ENTRY,
	HEADER_EFI64_ENTRY, HEADER_RELOCATABLE, HEADER_TAG_COUNT,
};

enum info_tag {
	INFO_END = 0, INFO_CMDLINE, INFO_LOADER, INFO_MODULE, INFO_MEMORY, INFO_MAP = 6,
	INFO_FRAMEBUFFER = 8, INFO_SECTIONS, INFO_RSDP1 = 14, INFO_RSDP2, INFO_LOAD_BASE = 21,
	INFO_TAG_COUNT,
};

struct header { uint32_t magic, architecture, length, checksum; };
struct header_tag_head { uint16_t type, flags; uint32_t size; };
struct address_tag { struct header_tag_head head; struct load_addresses at; };
struct entry_tag { struct header_tag_head head; uint32_t entry; };

struct tag { uint32_t type, size; };
struct module_tag { struct tag tag; uint32_t start, end; };
struct memory_tag { struct tag tag; uint32_t lower, upper; };
struct map_tag { struct tag tag; uint32_t entry_size, entry_version; };
struct map_entry { uint64_t base, length; uint32_t type, reserved; };
struct sections_tag { struct tag tag; uint32_t count, size, names; };
struct base_tag { struct tag tag; uint32_t base; };
struct framebuffer_tag {
	struct tag tag;
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t bits, type;
	uint16_t reserved;
} packed;

/* What a header has asked for. */
struct wishes {
	unsigned at;			/* of the header in the file */
	bool has_addresses, has_entry;
	struct load_addresses addresses;
	uint32_t entry;
};

static int find_header(const struct load_image *image, struct header *h)
{
	size_t size = MIN(image->kernel_size, (size_t)HEADER_SEARCH);

	for (size_t at = 0; at + sizeof(*h) <= size; at += TAG_ALIGN) {
		uint32_t magic;

		__builtin_memcpy(&magic, image->kernel + at, sizeof(magic));
		if (likely(magic != HEADER_MAGIC))
			continue;
		if (load_bytes(image, at, h, sizeof(*h)) &&
		    h->magic + h->architecture + h->length + h->checksum == 0)
			return (int)at;
	}
	return -ENOENT;
}

static bool multiboot2_is(const struct load_image *image)
{
	struct header h;

	return find_header(image, &h) >= 0;
}

/* GRUB's rule: what is asked for must be known; it need not be there. */
static int check_request(struct load_plan *p, uint64_t at, const struct header_tag_head *t)
{
	uint32_t type;

	for (uint64_t i = sizeof(*t); i + 4 <= t->size; i += 4) {
		if (!load_bytes(p->image, at + i, &type, 4))
			return load_refuse(p, -EINVAL, "the multiboot2 header is cut");
		if (type >= INFO_TAG_COUNT && !(t->flags & TAG_OPTIONAL))
			return load_refuse(p, -EINVAL,
					   "the multiboot2 header asks for information %u, "
					   "which is not known", type);
	}
	return 0;
}

static int read_tag(struct load_plan *p, uint64_t at, const struct header_tag_head *t,
		    struct wishes *w)
{
	struct address_tag address;
	struct entry_tag entry;

	switch (t->type) {
	case HEADER_REQUEST:
		return check_request(p, at, t);
	case HEADER_ADDRESS:
		w->has_addresses = load_bytes(p->image, at, &address, sizeof(address));
		w->addresses = address.at;
		return w->has_addresses ? 0 : load_refuse(p, -EINVAL, "the header is cut");
	case HEADER_ENTRY:
		w->has_entry = load_bytes(p->image, at, &entry, sizeof(entry));
		w->entry = entry.entry;
		return w->has_entry ? 0 : load_refuse(p, -EINVAL, "the header is cut");
	}
	if (t->type >= HEADER_TAG_COUNT && !(t->flags & TAG_OPTIONAL))
		return load_refuse(p, -EINVAL,
				   "the multiboot2 header has tag %u, which is not known", t->type);
	return 0;
}

static int read_header(struct load_plan *p, struct wishes *w)
{
	struct header_tag_head t;
	struct header h;
	int found = find_header(p->image, &h), err = 0;
	uint64_t at, end;

	if (found < 0)
		return load_refuse(p, -EINVAL, "no multiboot2 header");
	if (h.architecture != ARCHITECTURE_386)
		return load_refuse(p, -EINVAL, "the multiboot2 kernel is for architecture %u",
				   h.architecture);
	w->at = (unsigned)found;
	end = w->at + (uint64_t)h.length;
	at = w->at + sizeof(h);
	for (unsigned i = 0; i < HEADER_TAGS_MAX && at + sizeof(t) <= end && !err; i++) {
		if (!load_bytes(p->image, at, &t, sizeof(t)) || t.size < sizeof(t) ||
		    t.size > end - at)
			return load_refuse(p, -EINVAL,
					   "the multiboot2 header's tags are malformed");
		if (t.type == HEADER_END)
			return 0;
		err = read_tag(p, at, &t, w);
		at += ALIGN_UP((uint64_t)t.size, TAG_ALIGN);
	}
	return err ?: load_refuse(p, -EINVAL, "the multiboot2 header's tags do not end");
}

/* ---- information */

static uint64_t put_tag(struct load_block *b, void *tag, uint32_t type, size_t size)
{
	*(struct tag *)tag = (struct tag){ type, (uint32_t)size };
	return load_block_put(b, tag, size, TAG_ALIGN);
}

/* A tag that ends in a text. */
static void put_text(struct load_block *b, void *tag, uint32_t type, size_t size,
		     const char *name, const char *arguments)
{
	uint64_t at = load_block_room(b, size, TAG_ALIGN);

	load_block_text(b, name, arguments);
	*(struct tag *)tag = (struct tag){ type, (uint32_t)(b->at - at) };
	load_block_set(b, at, tag, size);
}

static void put_modules(const struct load_plan *p, struct load_block *b)
{
	uint64_t at = p->modules;

	for (unsigned i = 0; i < p->image->module_count; i++) {
		const struct load_module *m = &p->image->module[i];
		struct module_tag t = { .start = (uint32_t)at, .end = (uint32_t)(at + m->size) };

		put_text(b, &t, INFO_MODULE, sizeof(t), "", m->arguments);
		at = load_next_module(p, m, at);
	}
}

static void put_memory(const struct load_plan *p, struct load_block *b)
{
	struct memory_region map[MEMORY_MAP_MAX];
	unsigned n = memory_map(p->machine->memory, map);
	struct memory_tag sizes = {
		.lower = MEMORY_BASE_END / KIB,
		.upper = (uint32_t)((memory_low_end(p->machine->memory) - MIB) / KIB),
	};
	struct map_tag t = { .entry_size = sizeof(struct map_entry) };

	t.tag = (struct tag){ INFO_MAP, (uint32_t)(sizeof(t) + n * sizeof(struct map_entry)) };
	put_tag(b, &sizes, INFO_MEMORY, sizeof(sizes));
	load_block_put(b, &t, sizeof(t), TAG_ALIGN);
	for (unsigned i = 0; i < n; i++) {
		struct map_entry e = { map[i].base, map[i].size, map[i].type, 0 };

		load_block_put(b, &e, sizeof(e), 1);
	}
}

static void put_screen(struct load_block *b)
{
	struct framebuffer_tag t = {
		.address = SCREEN, .pitch = 160, .width = 80, .height = 25, .bits = 16,
		.type = TEXT_SCREEN,
	};

	put_tag(b, &t, INFO_FRAMEBUFFER, sizeof(t));
}

static void put_sections(const struct load_plan *p, struct load_block *b, struct load_block *more)
{
	struct elf_sections s;
	struct sections_tag t;
	uint64_t headers;

	if (!elf_sections(p->image, &s))
		return;
	t = (struct sections_tag){
		.tag = { INFO_SECTIONS, (uint32_t)(sizeof(t) + s.count * s.size) },
		.count = s.count, .size = s.size, .names = s.names,
	};
	load_block_put(b, &t, sizeof(t), TAG_ALIGN);
	headers = load_block_room(b, s.count * s.size, 1);
	elf_put_sections(p->image, &s, b, headers, more);
}

/* Copies of the RSDP, which firmware has put into guest memory. */
static void put_rsdp(const struct load_plan *p, struct load_block *b)
{
	struct { struct tag tag; uint8_t rsdp[36]; } packed t;

	if (b->gmem && !b->err)
		b->err = gmem_read(b->gmem, p->machine->rsdp, t.rsdp, sizeof(t.rsdp));
	put_tag(b, &t, INFO_RSDP1, sizeof(t.tag) + 20);
	put_tag(b, &t, INFO_RSDP2, sizeof(t.tag) + 36);
}

static uint64_t load_base(const struct load_plan *p)
{
	uint64_t base = p->segment[0].at;

	for (unsigned i = 1; i < p->segment_count; i++)
		base = MIN(base, p->segment[i].at);
	return base;
}

/* The tags to `b`, what they lead to beside them to `more`. */
static void put_info(const struct load_plan *p, struct load_block *b, struct load_block *more)
{
	struct { uint32_t size, reserved; } head = { 0 };
	struct base_tag base = { .base = (uint32_t)load_base(p) };
	struct tag t;
	uint64_t at = load_block_room(b, sizeof(head), TAG_ALIGN);

	put_text(b, &t, INFO_CMDLINE, sizeof(t), "", p->image->cmdline);
	put_text(b, &t, INFO_LOADER, sizeof(t), LOADER_NAME, "");
	put_modules(p, b);
	put_memory(p, b);
	put_screen(b);
	put_sections(p, b, more);
	put_rsdp(p, b);
	put_tag(b, &base, INFO_LOAD_BASE, sizeof(base));
	put_tag(b, &t, INFO_END, sizeof(t));
	head.size = (uint32_t)(b->at - at);
	load_block_set(b, at, &head, sizeof(head));
}

/* Where `more` begins in the block, whose whole size is told. */
static uint64_t measure(const struct load_plan *p, uint64_t *size)
{
	struct load_block b = { 0 }, more = { 0 };
	uint64_t tags;

	put_info(p, &b, &more);
	tags = ALIGN_UP(b.at, PAGE_SIZE);
	*size = tags + more.at;
	return tags;
}

static int plan_image(struct load_plan *p, const struct wishes *w)
{
	int err;

	if (w->has_addresses) {
		if (!w->has_entry)
			return load_refuse(p, -EINVAL,
					   "the multiboot2 header gives addresses and no entry");
		return load_add_addresses(p, &w->addresses, w->at);
	}
	if (!elf_is(p->image))
		return load_refuse(p, -EINVAL,
				   "the multiboot2 kernel is no x86 ELF file and gives no addresses");
	err = elf_plan(p);
	return err ?: elf_entry(p, &p->entry);
}

static int multiboot2_plan(struct load_plan *p)
{
	struct wishes w = { 0 };
	uint64_t size;
	int err = read_header(p, &w);

	if (!err)
		err = plan_image(p, &w);
	if (err)
		return err;
	if (w.has_entry)
		p->entry = w.entry;
	if (!load_is_ram(p->machine, p->entry, 1))
		return load_refuse(p, -EINVAL,
				   "the multiboot2 kernel's entry point 0x%lx is not in memory",
				   p->entry);
	err = load_place_modules(p, 4 * GIB, PAGE_SIZE, false);
	measure(p, &size);
	return err ?: load_block_place(p, size);
}

static int multiboot2_commit(const struct load_plan *p, struct load_entry *out)
{
	struct load_block b = { .gmem = p->machine->gmem, .at = p->block }, more = b;
	uint64_t size;

	more.at += measure(p, &size);
	put_info(p, &b, &more);
	out->start = LOAD_START_PROTECTED32;
	out->rax = LOADER_MAGIC;
	out->rbx = p->block;
	return b.err ?: more.err;
}

const struct load_kind load_multiboot2 = { "multiboot2 ELF", multiboot2_is, multiboot2_plan,
					   multiboot2_commit };
