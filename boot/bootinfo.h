/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: what the boot loader told us, gathered from multiboot2 or PVH into one struct before
 * anything else runs, so that no later code knows which of the two it was. Everything here is a
 * copy, or names physical ranges that the page allocator leaves alone (BOOT_MEM_MODULES,
 * BOOT_MEM_KEEL). Written once by boot/, read-only afterwards.
 * Sources: Multiboot2 Specification 2.0, "Boot information format"; Xen's PVH boot ABI
 * (hvm_start_info).
 */
#pragma once

#include "include/addr.h"

#define BOOT_ENTRY_MAX	 1024	/* of the firmware's memory map, neighbours made one */
#define BOOT_REGION_MAX	 512
#define BOOT_MODULE_MAX	 128
#define BOOT_CMDLINE_MAX 2048

enum boot_mem {
	BOOT_MEM_RESERVED,	/* anything not named below */
	BOOT_MEM_USABLE,
	BOOT_MEM_ACPI,		/* reclaimable tables: usable once parsed, which Keel does not do */
	BOOT_MEM_NVS,
	BOOT_MEM_BAD,
	BOOT_MEM_KEEL,		/* the image */
	BOOT_MEM_MODULES,	/* modules and boot information */
};

struct boot_region {
	hpa_t start;
	uint64_t size;
	enum boot_mem type;
};

struct boot_module {
	hpa_t start;
	uint64_t size;
	const char *name;	/* last path component of the module's string, or the cpio name */
	const char *args;	/* what followed it, "" if nothing */
};

struct bootinfo {
	const char *loader;	/* "GRUB 2.06-13", "PVH" */
	char cmdline[BOOT_CMDLINE_MAX];
	bool cmdline_cut;	/* it was longer */
	hpa_t image_start;	/* where the image was placed */
	uint64_t image_size;
	/* Sorted, disjoint, page-aligned for USABLE. */
	struct boot_region region[BOOT_REGION_MAX];
	unsigned region_count;
	unsigned regions_dropped;	/* for which there was no room, here or on the way */
	struct boot_module module[BOOT_MODULE_MAX];
	unsigned module_count;
	bool uefi;
	bool rsdp_valid;
	uint8_t rsdp[36];	/* a copy: ACPI 1.0 (20 bytes) or 2.0 */
	hpa_t rsdp_address;	/* 0 if only the copy is known */
	struct {
		hpa_t base;
		uint32_t pitch;	/* bytes from one row to the next */
		uint32_t width, height;	/* dots, or characters */
		uint8_t bpp;	/* 0: no framebuffer */
		bool text;	/* EGA text mode: a character and its colours in two bytes */
	} framebuffer;
};

extern struct bootinfo bootinfo;

/* Is Keel's own image in the list, so that nobody is given its memory? */
bool boot_image_listed(void);

/* Options: boot/cmdline.c says which there are, and what may stand in them. */
/* The next word of the command line at or behind `s`, its length in *n; NULL at the end. */
const char *boot_word(const char *s, size_t *n);
/*
 * The value of "key=value" or "" for a bare "key" on Keel's command line, copied to buf;
 * false if absent.
 */
bool boot_option(const char *key, char *buf, size_t size);
/* Likewise as an unsigned number (decimal, 0x hex); `fallback` if absent or malformed. */
uint64_t boot_option_number(const char *key, uint64_t fallback);
