/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loaders share (load.c, load_elf.c, load_linux.c, load_pvh.c, load_multiboot.c): a plan
 * says what goes where in guest memory and is made without touching it; only the commit writes.
 * Everything read from an image goes through load_bytes.
 */
#pragma once

#include "include/bits.h"
#include "vmm/load/load.h"

#define LOAD_SEGMENT_MAX	32

#define LOAD_CMDLINE_MAX	0x4000ul

/* Loaders' own blocks in low memory begin here: see load_block.c. */
#define LOAD_BLOCKS		0x1000ul

struct load_segment {
	uint64_t at;
	const uint8_t *data;
	uint64_t file_size, size;	/* the rest is zeros, as guest memory is from the start */
};

struct load_plan {
	const struct load_image *image;
	const struct load_machine *machine;
	struct load_segment segment[LOAD_SEGMENT_MAX];
	unsigned segment_count;
	uint64_t file_bytes;		/* that all segments take from the file */
	uint64_t entry;
	uint64_t end;			/* of what the kernel occupies above 1M */
	uint64_t modules;		/* where the first one goes; 0 without any */
	uint64_t modules_size;		/* of all, each padded to modules_align */
	unsigned modules_align;
	uint64_t block;			/* where the loader's block goes */
	char *why;
	size_t why_size;
};

/* A kind of image. `plan` is asked only if `is` says yes. */
struct load_kind {
	const char *name;
	bool (*is)(const struct load_image *image);
	int (*plan)(struct load_plan *p);
	int (*commit)(const struct load_plan *p, struct load_entry *out);
};

extern const struct load_kind load_linux, load_pvh, load_multiboot, load_multiboot2;

/* Copies `n` bytes at `offset` of the kernel; false if the file ends before. */
bool load_bytes(const struct load_image *image, uint64_t offset, void *out, size_t n) must_check;
/* Tells why not and returns `error`. */
int load_refuse(struct load_plan *p, int error, const char *fmt, ...) printf_like(3, 4);
/* Does [at, at+size) lie in the RAM that a loader may use? */
bool load_is_ram(const struct load_machine *m, uint64_t at, uint64_t size);
/*
 * Adds what goes to `at`. Refuses what is not RAM, what overlaps a segment there is, and more bytes
 * in all than the file has: no image makes us copy more than its size.
 */
int load_add(struct load_plan *p, uint64_t at, const uint8_t *data, uint64_t file_size,
	     uint64_t size) must_check;
/* Likewise what a multiboot header at offset `at` of the file says of a file without segments. */
struct load_addresses {
	uint32_t header_addr, load_addr, load_end, bss_end;
};

int load_add_addresses(struct load_plan *p, const struct load_addresses *a,
		       unsigned at) must_check;
/*
 * Places the modules one behind the other, each on a multiple of `align`, the first on a page: as
 * high as they go below `limit`, or right behind the kernel.
 */
int load_place_modules(struct load_plan *p, uint64_t limit, unsigned align, bool high) must_check;
/* Where the module behind the one at `at` goes. */
uint64_t load_next_module(const struct load_plan *p, const struct load_module *m, uint64_t at);

/*
 * load_block.c: what a loader tells its kernel, in one piece of guest memory. It is built twice by
 * the same code: for its size, without a gmem, in the plan, and to be written in the commit. Puts
 * begin on multiples of `align`, a power of two up to a page; errors stick.
 */
struct load_block {
	struct gmem *gmem;		/* NULL: only counted */
	uint64_t at;
	int err;
};

/* Room in the block; its address. */
uint64_t load_block_room(struct load_block *b, size_t n, unsigned align);
/* Writes into such room. */
void load_block_set(struct load_block *b, uint64_t at, const void *data, size_t n);
uint64_t load_block_put(struct load_block *b, const void *data, size_t n, unsigned align);
/* "NAME ARGUMENTS", with its NUL; one of them may be "". */
uint64_t load_block_text(struct load_block *b, const char *name, const char *arguments);
/*
 * Finds p->block, for `size` bytes from a page's start: in low memory, else behind kernel and
 * modules.
 */
int load_block_place(struct load_plan *p, uint64_t size) must_check;

/* load_elf.c: either class, x86. */
bool elf_is(const struct load_image *image);
/* Adds the loadable segments by physical address. */
int elf_plan(struct load_plan *p) must_check;
/* The entry point, as a physical address. */
int elf_entry(struct load_plan *p, uint64_t *out) must_check;
/*
 * The value of Xen's note of that type, 4 or 8 bytes long. -ENOENT: it is not there; -E2BIG: the
 * file has too many headers or notes to look on.
 */
int elf_xen_note(const struct load_image *image, uint32_t type, uint64_t *out) must_check;

/* The table of section headers, as the file's header tells of it; not yet checked. */
struct elf_sections {
	unsigned count, size, names;	/* size of one; index of that with the names */
	uint64_t offset;
};

bool elf_section_table(const struct load_image *image, struct elf_sections *out) must_check;

/* load_sections.c: false if there is none, or none that can be told. */
bool elf_sections(const struct load_image *image, struct elf_sections *out) must_check;
/* The headers to `at`, room in `headers`, and what no segment has loaded to `contents`. */
void elf_put_sections(const struct load_image *image, const struct elf_sections *s,
		      struct load_block *headers, uint64_t at, struct load_block *contents);
