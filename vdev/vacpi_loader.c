/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vacpi_loader.h. The tables are built as they would lie at address 0; what is an address there
 * becomes an offset in the file of what it points to, and checksums become 0, for one firmware sums
 * up over the old one.
 */
#include "vdev/vacpi_loader.h"

#include "include/bits.h"
#include "lib/string.h"

#define FILE_NAME	56
#define TABLES_ALIGN	64		/* the FACS wants that */
#define RSDP_ALIGN	16
#define RSDP_SIZE	36		/* then nothing to the first table */
#define ZONE_HIGH	1
#define ZONE_FSEG	2		/* where an RSDP is looked for */

enum { ALLOCATE = 1, ADD_POINTER, ADD_CHECKSUM };

struct command {			/* little-endian */
	uint32_t kind;
	union {
		struct { char file[FILE_NAME]; uint32_t align; uint8_t zone; } packed allocate;
		struct {
			char dest[FILE_NAME], src[FILE_NAME];
			uint32_t offset;
			uint8_t size;
		} packed pointer;
		struct { char file[FILE_NAME]; uint32_t offset, start, length; } packed sum;
		uint8_t unused[VACPI_LOADER_COMMAND - 4];
	};
} packed;

_Static_assert(sizeof(struct command) == VACPI_LOADER_COMMAND, "QEMU's");

struct script {
	struct command *next;
	unsigned count;
	uint8_t *tables;		/* with the RSDP before them */
};

static struct command *add(struct script *s, uint32_t kind)
{
	struct command *c = s->next++;

	*c = (struct command){ .kind = kind };
	s->count++;
	return c;
}

static void allocate(struct script *s, const char *file, uint32_t align, uint8_t zone)
{
	struct command *c = add(s, ALLOCATE);

	str_copy(c->allocate.file, file, FILE_NAME);
	c->allocate.align = align;
	c->allocate.zone = zone;
}

/* In the files: the RSDP's is what lies before TABLES_ALIGN. */
static const char *file_of(uint32_t at, uint32_t *offset)
{
	bool rsdp = at < TABLES_ALIGN;

	*offset = rsdp ? at : at - TABLES_ALIGN;
	return rsdp ? VACPI_LOADER_RSDP : VACPI_LOADER_TABLES;
}

/* All addresses are of tables in the one file. */
static void add_pointer(struct script *s, uint32_t at, uint8_t size)
{
	struct command *c = add(s, ADD_POINTER);
	uint64_t value = 0;
	uint32_t offset;

	str_copy(c->pointer.dest, file_of(at, &offset), FILE_NAME);
	str_copy(c->pointer.src, VACPI_LOADER_TABLES, FILE_NAME);
	c->pointer.offset = offset;
	c->pointer.size = size;
	memcpy(&value, s->tables + at, size);
	value -= TABLES_ALIGN;
	memcpy(s->tables + at, &value, size);
}

static void add_sum(struct script *s, uint32_t at, uint32_t size, uint32_t sum)
{
	struct command *c = add(s, ADD_CHECKSUM);
	uint32_t offset, start;

	str_copy(c->sum.file, file_of(sum, &offset), FILE_NAME);
	(void)file_of(at, &start);
	c->sum.offset = offset;
	c->sum.start = start;
	c->sum.length = size;
	s->tables[sum] = 0;
}

/* Sums last, when all is in its place. */
static unsigned write_script(struct script *s, const struct vacpi_layout *l)
{
	allocate(s, VACPI_LOADER_RSDP, RSDP_ALIGN, ZONE_FSEG);
	allocate(s, VACPI_LOADER_TABLES, TABLES_ALIGN, ZONE_HIGH);
	for (unsigned i = 0; i < l->link_count; i++)
		add_pointer(s, l->link[i].at, l->link[i].size);
	for (unsigned i = 0; i < l->sum_count; i++)
		add_sum(s, l->sum[i].at, l->sum[i].size, l->sum[i].sum);
	return s->count * VACPI_LOADER_COMMAND;
}

int vacpi_loader_build(const struct vacpi_tables_config *config, void *buf, size_t size,
	struct vacpi_files *out)
{
	struct vacpi_layout layout;
	long tables = size < VACPI_LOADER_SCRIPT_MAX ? -ENOSPC :
		vacpi_tables_build(config, buf, size - VACPI_LOADER_SCRIPT_MAX, GPA(0), &layout);
	size_t script_at = tables < 0 ? 0 : ALIGN_UP((size_t)tables, 16ul);
	struct script s = { .next = (struct command *)((uint8_t *)buf + script_at), .tables = buf };

	if (tables < 0)
		return (int)tables;
	out->file[VACPI_FILE_RSDP].at = 0;
	out->file[VACPI_FILE_RSDP].size = RSDP_SIZE;
	out->file[VACPI_FILE_TABLES].at = TABLES_ALIGN;
	out->file[VACPI_FILE_TABLES].size = (uint32_t)tables - TABLES_ALIGN;
	out->file[VACPI_FILE_SCRIPT].at = (uint32_t)script_at;
	out->file[VACPI_FILE_SCRIPT].size = write_script(&s, &layout);
	return 0;
}
