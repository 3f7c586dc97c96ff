/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loaders have in common: which of them an image is for, where things may lie, and the
 * writing of what was planned. A plan is complete and checked before the first byte is written; see
 * vmm/load/load_plan.h.
 */
#include "vmm/load/load_plan.h"

#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vmm/firmware/shadow.h"

#define PIECE	(2 * MIB)

/* Told apart by content, in this order; as QEMU does, a multiboot header goes before a PVH note. */
static const struct load_kind *const kinds[] = { &load_linux, &load_multiboot, &load_multiboot2,
					       &load_pvh };

bool load_bytes(const struct load_image *image, uint64_t offset, void *out, size_t n)
{
	if (!range_within(offset, n, 0, image->kernel_size))
		return false;
	memcpy(out, image->kernel + offset, n);
	return true;
}

int load_refuse(struct load_plan *p, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_v(p->why, p->why_size, fmt, ap);
	va_end(ap);
	return error;
}

bool load_is_ram(const struct load_machine *m, uint64_t at, uint64_t size)
{
	return range_within(at, size, 0, MEMORY_BASE_END) ||
	       range_within(at, size, MEMORY_HIGH_START,
			    memory_low_end(m->memory) - MEMORY_HIGH_START);
}

static int refuse_place(struct load_plan *p, uint64_t at, uint64_t size)
{
	uint64_t end = memory_low_end(p->machine->memory);

	if (at >= MEMORY_HIGH_START && at < 4 * GIB && size < 4 * GIB)
		return load_refuse(p, -E2BIG, "the kernel needs %lu MiB of memory, the VM has %lu",
				   DIV_UP(at + size, MIB), end / MIB);
	return load_refuse(p, -E2BIG,
			   "the kernel wants %#lx bytes at 0x%lx, where there is no memory",
			   size, at);
}

static bool overlaps(const struct load_plan *p, uint64_t at, uint64_t size)
{
	for (unsigned i = 0; i < p->segment_count; i++)
		if (at < p->segment[i].at + p->segment[i].size && p->segment[i].at < at + size)
			return true;
	return false;
}

int load_add(struct load_plan *p, uint64_t at, const uint8_t *data, uint64_t file_size,
	     uint64_t size)
{
	if (p->segment_count == LOAD_SEGMENT_MAX)
		return load_refuse(p, -EINVAL, "the kernel has more than %d segments to load",
				   LOAD_SEGMENT_MAX);
	if (!load_is_ram(p->machine, at, size))
		return refuse_place(p, at, size);
	if (overlaps(p, at, size))
		return load_refuse(p, -EINVAL, "the kernel's segments overlap at 0x%lx", at);
	p->file_bytes += file_size;
	if (p->file_bytes > p->image->kernel_size)
		return load_refuse(p, -EINVAL,
				   "the kernel's segments hold more bytes than its file of %zu",
				   p->image->kernel_size);
	p->segment[p->segment_count++] = (struct load_segment){ at, data, file_size, size };
	p->end = MAX(p->end, at + size);
	return 0;
}

int load_add_addresses(struct load_plan *p, const struct load_addresses *a, unsigned at)
{
	uint64_t before = a->header_addr - a->load_addr, offset = at - before, size, bss;

	if (a->header_addr < a->load_addr || before > at)
		return load_refuse(p, -EINVAL,
				   "the multiboot header's load address 0x%x is not right",
				   a->load_addr);
	size = a->load_end ? a->load_end - (uint64_t)a->load_addr : p->image->kernel_size - offset;
	if ((a->load_end && a->load_end < a->load_addr) ||
	    !range_within(offset, size, 0, p->image->kernel_size))
		return load_refuse(p, -EINVAL,
				   "the multiboot kernel is truncated: it loads up to 0x%x",
				   a->load_end);
	bss = a->bss_end > a->load_addr ? a->bss_end - a->load_addr : 0;
	return load_add(p, a->load_addr, p->image->kernel + offset, size, MAX(size, bss));
}

uint64_t load_next_module(const struct load_plan *p, const struct load_module *m, uint64_t at)
{
	return at + ALIGN_UP((uint64_t)m->size, p->modules_align);
}

int load_place_modules(struct load_plan *p, uint64_t limit, unsigned align, bool high)
{
	uint64_t from = ALIGN_UP(MAX(p->end, MEMORY_HIGH_START), PAGE_SIZE), size = 0;
	uint64_t to = ALIGN_DOWN(MIN(limit, memory_low_end(p->machine->memory)), PAGE_SIZE);

	p->modules_align = align;
	for (unsigned i = 0; i < p->image->module_count; i++)
		size = load_next_module(p, &p->image->module[i], size);
	if (!p->image->module_count)
		return 0;
	if (to < from || to - from < size)
		return load_refuse(p, -E2BIG,
				   "the %s of %lu bytes %s not fit: %lu bytes are left beside the kernel",
				   p->image->module_count > 1 ? "modules" : "initrd", size,
				   p->image->module_count > 1 ? "do" : "does",
				   to < from ? 0 : to - from);
	p->modules_size = size;
	p->modules = high ? ALIGN_DOWN(to - size, PAGE_SIZE) : from;
	return 0;
}

static int plan(struct load_plan *p, const struct load_kind **kind)
{
	size_t length = strlen(p->image->cmdline);

	if (p->machine->memory < 2 * MIB)
		return load_refuse(p, -E2BIG, "a guest needs 2 MiB of memory at least");
	if (length >= LOAD_CMDLINE_MAX)
		return load_refuse(p, -E2BIG,
				   "the command line has %zu characters, %lu are allowed", length,
				   LOAD_CMDLINE_MAX - 1);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		*kind = kinds[i];
		if (kinds[i]->is(p->image))
			return kinds[i]->plan(p);
	}
	return load_refuse(
		p, -EINVAL,
		"not a kernel Keel can load: Linux bzImage, PVH ELF, multiboot 1 and 2 are known");
}

/* In pieces that end where large pages do, so that these are still written whole. */
static int write_pieces(const struct load_plan *p, uint64_t at, const uint8_t *data, uint64_t size)
{
	const struct load_image *i = p->image;
	uint64_t n;
	int err = 0;

	for (; size && !err; size -= n, at += n, data += n) {
		n = MIN(size, PIECE - at % PIECE);
		if (i->go_on && !i->go_on(i->arg, n))
			return -EINTR;
		err = gmem_write(p->machine->gmem, GPA(at), data, n);
	}
	return err;
}

static int commit(const struct load_plan *p)
{
	uint64_t at = p->modules;
	int err = 0;

	for (unsigned i = 0; i < p->segment_count && !err; i++)
		err = write_pieces(p, p->segment[i].at, p->segment[i].data,
				   p->segment[i].file_size);
	for (unsigned i = 0; i < p->image->module_count && !err; i++) {
		const struct load_module *m = &p->image->module[i];

		err = write_pieces(p, at, m->data, m->size);
		at = load_next_module(p, m, at);
	}
	return err;
}

int load_image(const struct load_image *image, const struct load_machine *m, struct load_entry *out,
	       char *why, size_t why_size)
{
	struct load_plan p = { .image = image, .machine = m, .why = why, .why_size = why_size };
	const struct load_kind *kind;
	int err = plan(&p, &kind);

	if (err)
		return err;
	*out = (struct load_entry){ .rip = p.entry, .kind = kind->name };
	err = commit(&p);
	if (!err)
		err = kind->commit(&p, out);
	if (err)
		load_refuse(&p, 0, "guest memory cannot be written (%s)", format_errno(err));
	return err;
}

/* It looks at the kernel itself. */
static int check_firmware(struct load_plan *p, const char **kind)
{
	if (!shadow_size_valid(p->image->firmware_size))
		return load_refuse(p, -EINVAL,
				   "firmware of %zu bytes: a multiple of 4 KiB is wanted, from 64 KiB to %lu MiB",
				   p->image->firmware_size, SHADOW_IMAGE_MAX / MIB);
	if (p->image->nvram && !shadow_nvram_size_valid(p->image->nvram_size))
		return load_refuse(p, -EINVAL,
				   "nvram of %zu bytes: a multiple of 4 KiB is wanted, up to %lu MiB",
				   p->image->nvram_size, SHADOW_NVRAM_MAX / MIB);
	if (kind)
		*kind = "firmware";
	return 0;
}

int load_check(const struct load_image *image, uint64_t memory, const char **kind, char *why,
	       size_t why_size)
{
	struct load_machine m = { .memory = memory };
	struct load_plan p = { .image = image, .machine = &m, .why = why, .why_size = why_size };
	const struct load_kind *k;
	int err;

	if (image->firmware)
		return check_firmware(&p, kind);
	err = plan(&p, &k);
	if (!err && kind)
		*kind = k->name;
	return err;
}
