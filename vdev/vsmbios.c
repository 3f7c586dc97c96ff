/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vsmbios.h. A table is a formatted area, then its strings, which the area names by number from
 * 1 on, then a NUL. Handles are the table's type in the high byte and its number in the low one.
 */
#include "vdev/vsmbios.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"

struct head {
	uint8_t type, length;
	uint16_t handle;
} packed;

struct system {			/* 1 */
	struct head head;
	uint8_t manufacturer, product, version, serial, uuid[16], wake_up, sku, family;
} packed;

struct chassis {		/* 3 */
	struct head head;
	uint8_t manufacturer, type, version, serial, asset, boot_up, power, thermal, security;
	uint32_t oem;
	uint8_t height, cords, elements, element_size, sku;
} packed;

struct processor {		/* 4 */
	struct head head;
	uint8_t socket, type, family, manufacturer;
	uint32_t signature, features;
	uint8_t version, voltage;
	uint16_t clock, max_speed, speed;
	uint8_t status, upgrade;
	uint16_t cache[3];
	uint8_t serial, asset, part, cores, enabled, threads;
	uint16_t characteristics, family2, cores2, enabled2, threads2;
} packed;

struct memory_array {		/* 16 */
	struct head head;
	uint8_t location, use, correction;
	uint32_t capacity;
	uint16_t error, devices;
	uint64_t wide_capacity;
} packed;

struct memory_device {		/* 17 */
	struct head head;
	uint16_t array, error, total_width, data_width, size;
	uint8_t form, set, locator, bank, type;
	uint16_t detail, speed;
	uint8_t manufacturer, serial, asset, part, attributes;
	uint32_t wide_size;
	uint16_t clock, voltage_min, voltage_max, voltage;
} packed;

struct mapped {			/* 19 */
	struct head head;
	uint32_t start, end;
	uint16_t array;
	uint8_t width;
	uint64_t wide_start, wide_end;
} packed;

struct boot_status {		/* 32 */
	struct head head;
	uint8_t reserved[6], status;
} packed;

struct anchor {
	char signature[5];
	uint8_t checksum, length, major, minor, document, revision, reserved;
	uint32_t size;
	uint64_t address;
} packed;

_Static_assert(sizeof(struct system) == 0x1b && sizeof(struct chassis) == 0x16 &&
	       sizeof(struct processor) == 0x30 && sizeof(struct memory_array) == 0x17 &&
	       sizeof(struct memory_device) == 0x28 && sizeof(struct mapped) == 0x1f &&
	       sizeof(struct boot_status) == 0x0b && sizeof(struct anchor) == VSMBIOS_ANCHOR_SIZE,
	       "DSP0134, version 3.0");

enum {
	SYSTEM = 1, CHASSIS = 3, PROCESSOR = 4, ARRAY = 16, DEVICE, MAPPED = 19, BOOT = 32,
	END = 127,
};

#define OTHER		1
#define UNKNOWN		2
#define SAFE		3		/* of a chassis's states; of errors: none */
#define POWER_SWITCH	6
#define CPU_ENABLED	0x41		/* populated, and enabled */
#define CENTRAL		3
#define FAMILY_WIDE	0xfe		/* look at family2 */
#define IS_64_BIT	BIT(2)
#define MULTI_CORE	BIT(3)
#define SYSTEM_MEMORY	3
#define TYPE_RAM	7
#define FORM_DIMM	9
#define NO_ERROR_DATA	0xfffe
#define WIDE		0x80000000u	/* the number did not fit: see the wider field */
#define STRINGS_MAX	4

struct build {
	uint8_t *buf;
	size_t size, used;
	bool full;
	const char *string[STRINGS_MAX];	/* of the table that is being made */
	unsigned string_count;
};

static void put(struct build *b, const void *data, size_t n)
{
	if (b->full || n > b->size - b->used) {
		b->full = true;
		return;
	}
	memcpy(b->buf + b->used, data, n);
	b->used += n;
}

/* Its number in the table; 0: it is not there. */
static uint8_t string(struct build *b, const char *text)
{
	if (!*text)
		return 0;
	b->string[b->string_count++] = text;
	return (uint8_t)b->string_count;
}

/* The formatted area, then what string() was told. */
static void finish(struct build *b, void *area, uint8_t type, unsigned number, size_t size)
{
	struct head *h = area;

	h->type = type;
	h->length = (uint8_t)size;
	h->handle = (uint16_t)(type << 8 | number);
	put(b, area, size);
	for (unsigned i = 0; i < b->string_count; i++)
		put(b, b->string[i], strlen(b->string[i]) + 1);
	put(b, "\0", b->string_count ? 1 : 2);
	b->string_count = 0;
}

/* The first three fields of a UUID are little-endian here. */
static void copy_uuid(uint8_t to[16], const uint8_t from[16])
{
	static const uint8_t order[8] = { 3, 2, 1, 0, 5, 4, 7, 6 };

	for (unsigned i = 0; i < 16; i++)
		to[i] = from[i < 8 ? order[i] : i];
}

static void put_system(struct build *b, const struct vsmbios_config *c)
{
	struct system s = {
		.manufacturer = string(b, c->manufacturer), .product = string(b, c->product),
		.serial = string(b, c->serial), .wake_up = POWER_SWITCH,
	};

	copy_uuid(s.uuid, c->uuid);
	finish(b, &s, SYSTEM, 0, sizeof(s));
}

static void put_chassis(struct build *b, const struct vsmbios_config *c)
{
	struct chassis s = {
		.manufacturer = string(b, c->manufacturer), .type = OTHER,
		.serial = string(b, c->serial), .boot_up = SAFE, .power = SAFE, .thermal = SAFE,
		.security = UNKNOWN,
	};

	finish(b, &s, CHASSIS, 0, sizeof(s));
}

static uint8_t narrow(unsigned n)
{
	return n > 0xfe ? 0xff : (uint8_t)n;
}

static void put_processor(struct build *b, const struct vsmbios_config *c, unsigned number)
{
	unsigned threads = c->cores * c->threads;
	char name[16];
	struct processor p;

	format(name, sizeof(name), "CPU %u", number);
	p = (struct processor){
		.socket = string(b, name), .type = CENTRAL, .family = FAMILY_WIDE,
		.manufacturer = string(b, c->manufacturer), .signature = c->signature,
		.features = c->features, .status = CPU_ENABLED, .upgrade = OTHER,
		.cache = { 0xffff, 0xffff, 0xffff }, .cores = narrow(c->cores),
		.enabled = narrow(c->cores), .threads = narrow(threads),
		.characteristics = IS_64_BIT | (c->cores > 1 ? MULTI_CORE : 0),
		.family2 = OTHER, .cores2 = (uint16_t)c->cores, .enabled2 = (uint16_t)c->cores,
		.threads2 = (uint16_t)threads,
	};
	finish(b, &p, PROCESSOR, number, sizeof(p));
}

static void put_memory(struct build *b, const struct vsmbios_config *c)
{
	uint64_t bytes = c->ram_below_4g + c->ram_above_4g, kib = bytes / KIB, mib = bytes / MIB;
	struct memory_array a = {
		.location = OTHER, .use = SYSTEM_MEMORY, .correction = SAFE,
		.capacity = kib < WIDE ? (uint32_t)kib : WIDE, .error = NO_ERROR_DATA,
		.devices = 1, .wide_capacity = kib < WIDE ? 0 : bytes,
	};
	struct memory_device d = {
		.array = ARRAY << 8, .error = NO_ERROR_DATA, .total_width = 0xffff,
		.data_width = 0xffff, .size = mib < 0x7fff ? (uint16_t)mib : 0x7fff,
		.form = FORM_DIMM, .locator = string(b, "DIMM 0"), .type = TYPE_RAM,
		.detail = BIT(1), .manufacturer = string(b, c->manufacturer),
		.wide_size = mib < 0x7fff ? 0 : (uint32_t)mib,
	};
	unsigned count = b->string_count;

	b->string_count = 0;		/* they are the device's */
	finish(b, &a, ARRAY, 0, sizeof(a));
	b->string_count = count;
	finish(b, &d, DEVICE, 0, sizeof(d));
}

/* In KiB, the last one included; or in bytes where that does not fit. */
static void put_mapped(struct build *b, unsigned number, uint64_t start, uint64_t size)
{
	uint64_t end = start + size - 1;
	bool wide = end / KIB >= 0xffffffff;
	struct mapped m = {
		.start = wide ? ~0u : (uint32_t)(start / KIB),
		.end = wide ? ~0u : (uint32_t)(end / KIB),
		.array = ARRAY << 8, .width = 1, .wide_start = wide ? start : 0,
		.wide_end = wide ? end : 0,
	};

	if (size)
		finish(b, &m, MAPPED, number, sizeof(m));
}

long vsmbios_build(const struct vsmbios_config *c, void *buf, size_t size)
{
	struct build b = { .buf = buf, .size = size };
	struct boot_status boot = { 0 };
	struct head end = { 0 };

	put_system(&b, c);
	put_chassis(&b, c);
	for (unsigned i = 0; i < c->sockets; i++)
		put_processor(&b, c, i);
	put_memory(&b, c);
	put_mapped(&b, 0, 0, c->ram_below_4g);
	put_mapped(&b, 1, 4 * GIB, c->ram_above_4g);
	finish(&b, &boot, BOOT, 0, sizeof(boot));
	finish(&b, &end, END, 0, sizeof(end));
	return b.full ? -ENOSPC : (long)b.used;
}

void vsmbios_anchor(uint8_t out[VSMBIOS_ANCHOR_SIZE], size_t size)
{
	struct anchor a = {
		.signature = { '_', 'S', 'M', '3', '_' }, .length = sizeof(a), .major = 3,
		.revision = 1, .size = (uint32_t)size,
	};
	uint8_t sum = 0;

	memcpy(out, &a, sizeof(a));
	for (unsigned i = 0; i < sizeof(a); i++)
		sum += out[i];
	out[offsetof(struct anchor, checksum)] = (uint8_t)-sum;
}
