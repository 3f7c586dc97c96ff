/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A newc cpio archive of modules, for loaders that pass one file only. The files are used where
 * they lie; names lose their folders; what is no regular file is passed over. Reading ends at the
 * trailer or at the first malformed header.
 * Source: cpio(5), "New ASCII Format".
 */
#include "boot/gather.h"

#include "include/bits.h"
#include "lib/string.h"

#define HEADER_SIZE	110
#define NAME_LIMIT	256
#define MODE_TYPE	0170000
#define MODE_FILE	0100000

/* Where the eight hexadecimal digits of a field start. */
#define FIELD_MODE	14
#define FIELD_FILESIZE	54
#define FIELD_NAMESIZE	94

static bool parse_hex(const char *s, uint32_t *v)
{
	*v = 0;
	for (unsigned i = 0; i < 8; i++) {
		char c = s[i];
		unsigned d;

		if (c >= '0' && c <= '9')
			d = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (unsigned)((c | 0x20) - 'a') + 10;
		else
			return false;
		*v = *v << 4 | d;
	}
	return true;
}

struct member {
	uint32_t mode, size, name_size;
	uint64_t name_at, data_at, next;
};

static bool read_member(const char *h, uint64_t at, uint64_t size, struct member *m)
{
	if (memcmp(h, "070701", 6) || !parse_hex(h + FIELD_MODE, &m->mode) ||
	    !parse_hex(h + FIELD_FILESIZE, &m->size) ||
	    !parse_hex(h + FIELD_NAMESIZE, &m->name_size))
		return false;
	m->name_at = at + HEADER_SIZE;
	m->data_at = ALIGN_UP(m->name_at + m->name_size, 4ul);
	m->next = ALIGN_UP(m->data_at + m->size, 4ul);
	return m->name_size && m->name_size <= NAME_LIMIT && m->data_at + m->size <= size;
}

bool cpio_gather(hpa_t start, uint64_t size, gather_map_fn *map)
{
	const char *base = size >= HEADER_SIZE ? map(start, size) : NULL;
	struct member m;

	if (!base || memcmp(base, "070701", 6))
		return false;
	for (uint64_t at = 0; size - at >= HEADER_SIZE; at = m.next) {
		if (!read_member(base + at, at, size, &m))
			break;
		if (!strncmp(base + m.name_at, "TRAILER!!!", m.name_size))
			break;
		if ((m.mode & MODE_TYPE) == MODE_FILE)
			gather_module(start.v + m.data_at, m.size, base + m.name_at, m.name_size);
		if (m.next > size)
			break;
	}
	return true;
}
