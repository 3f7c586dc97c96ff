/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot information as PVH gives it (qemu -kernel). There is one module at most; a newc archive
 * stands for the files in it.
 * Source: Xen, "x86/HVM direct boot ABI", hvm_start_info.
 */
#include "boot/gather.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

#define STRING_MAX 4096

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp;
	uint64_t memory_map;		/* from version 1 on */
	uint32_t memory_map_count, reserved;
};

struct start_module {
	uint64_t start, size, cmdline, reserved;
};

struct start_memory {
	uint64_t start, size;
	uint32_t type, reserved;
};

static enum boot_mem memory_type(uint32_t type)
{
	static const enum boot_mem types[] = {
		BOOT_MEM_RESERVED, BOOT_MEM_USABLE, BOOT_MEM_RESERVED, BOOT_MEM_ACPI, BOOT_MEM_NVS,
		BOOT_MEM_BAD,
	};

	return type < ARRAY_COUNT(types) ? types[type] : BOOT_MEM_RESERVED;
}

/* Nothing of what the loader made need be aligned. */
static bool copy_from(void *to, uint64_t a, size_t n, gather_map_fn *map)
{
	const void *p = map(HPA(a), n);

	if (p)
		memcpy(to, p, n);
	return p;
}

/* The string at `a`, at most STRING_MAX bytes of it; "" if there is none. */
static const char *string_at(uint64_t a, gather_map_fn *map, size_t *length)
{
	const char *s = a ? map(HPA(a), STRING_MAX) : NULL;

	*length = s ? STRING_MAX : 0;
	return s ?: "";
}

static int read_modules(const struct start_info *s, gather_map_fn *map)
{
	unsigned n = MIN(s->module_count, (uint32_t)BOOT_MODULE_MAX);
	struct start_module m;
	size_t length;
	const char *name;

	for (unsigned i = 0; i < n; i++) {
		if (!copy_from(&m, s->modules + i * sizeof(m), sizeof(m), map))
			return -EINVAL;
		gather_region(m.start, m.size, BOOT_MEM_MODULES);
		if (cpio_gather(HPA(m.start), m.size, map))
			continue;
		name = string_at(m.cmdline, map, &length);
		gather_module(m.start, m.size, name, length);
	}
	return 0;
}

static int read_memory_map(const struct start_info *s, gather_map_fn *map)
{
	unsigned n = MIN(s->memory_map_count, (uint32_t)BOOT_ENTRY_MAX);
	struct start_memory m;

	if (s->version < 1 || !n)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		if (!copy_from(&m, s->memory_map + i * sizeof(m), sizeof(m), map))
			return -EINVAL;
		gather_region(m.start, m.size, memory_type(m.type));
	}
	return 0;
}

static void read_rsdp(const struct start_info *s, gather_map_fn *map)
{
	const uint8_t *p = s->rsdp ? map(HPA(s->rsdp), sizeof(bootinfo.rsdp)) : NULL;

	if (!p)
		return;
	gather_rsdp(p, p[15] < 2 ? 20 : sizeof(bootinfo.rsdp));
	bootinfo.rsdp_address = HPA(s->rsdp);
}

int pvh_gather(hpa_t info, gather_map_fn *map)
{
	struct start_info s;
	const char *cmdline;
	size_t length;
	int err;

	if (!copy_from(&s, info.v, sizeof(s), map) || s.magic != PVH_LOADED)
		return -EINVAL;
	gather_region(info.v, sizeof(s), BOOT_MEM_MODULES);
	gather_loader("PVH", 3);
	cmdline = string_at(s.cmdline, map, &length);
	gather_cmdline(cmdline, length);
	read_rsdp(&s, map);
	err = read_modules(&s, map);
	return read_memory_map(&s, map) ?: err;
}
