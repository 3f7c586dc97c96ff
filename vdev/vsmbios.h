/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMBIOS tables, by which a guest learns whose machine it runs on: maker, product, serial number
 * and UUID, processors and memory. As two files for firmware, which puts the tables somewhere and
 * adds its own (the BIOS's), and the anchor where systems look for it. Pure. (DMTF DSP0134, "System
 * Management BIOS (SMBIOS) Reference Specification" 3.0.)
 */
#pragma once

#include "include/addr.h"
#include "include/errno.h"

#define VSMBIOS_ANCHOR_SIZE	24
#define VSMBIOS_TEXT_MAX	64	/* with its NUL */
#define VSMBIOS_TABLES_MAX	8192	/* enough for 64 sockets */

struct vsmbios_config {
	const char *manufacturer, *product, *serial;	/* "": it is not said */
	uint8_t uuid[16];		/* in the order in which it is printed */
	unsigned sockets, cores, threads;	/* cores of a socket, threads of a core */
	uint32_t signature, features;	/* CPUID 1: EAX, EDX */
	uint64_t ram_below_4g, ram_above_4g;
};

/* All tables of it. The bytes used, or -ENOSPC. */
long vsmbios_build(const struct vsmbios_config *config, void *buf, size_t size) must_check;
/* The anchor of `size` bytes of tables, whose address is still to be filled in. */
void vsmbios_anchor(uint8_t anchor[VSMBIOS_ANCHOR_SIZE], size_t size);
