/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the unit tests of the loaders: a file, modules and a guest's memory that are arrays.
 */
#pragma once

#include "vmm/load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "include/bits.h"
#include "include/errno.h"

#define RAM	(64 * MIB)

static uint8_t ram[RAM], file[256 * KIB], initrd[5000];
static char why[200];
static struct load_image image;
static struct load_module module[2000];
static struct load_machine machine;
static struct load_entry entry;
static struct gmem gmem;

int gmem_write(struct gmem *g, gpa_t a, const void *src, size_t n)
{
	(void)g;
	if (!range_within(a.v, n, 0, RAM) || (a.v + n > 0xa0000 && a.v < MIB && n))
		return -EFAULT;
	memcpy(ram + a.v, src, n);
	return 0;
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	(void)g;
	memcpy(dst, ram + a.v, n);
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	memset(ram, 0, RAM);
	memset(file, 0, sizeof(file));
	memset(initrd, 0x77, sizeof(initrd));
	image = (struct load_image){ .kernel = file,
				     .kernel_size = sizeof(file),
				     .name = "prog",
				     .cmdline = "console=ttyS0 x=y",
				     .module = module };
	machine = (struct load_machine){
		.gmem = &gmem, .memory = RAM, .rsdp = GPA(0xe0000),
	};
	entry = (struct load_entry){ 0 };
	why[0] = 0;
	return 0;
}

/* Module i; it is the last one. */
static inline void give(unsigned i, size_t size, const char *name, const char *arguments)
{
	module[i] = (struct load_module){ initrd, size, name, arguments };
	image.module_count = i + 1;
}

static inline void put(unsigned at, uint64_t v, unsigned size)
{
	memcpy(file + at, &v, size);
}

static inline uint64_t get(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, ram + at, size);
	return v;
}

static inline uint64_t get_file(unsigned at)
{
	uint32_t v;

	memcpy(&v, file + at, 4);
	return v;
}

static inline int load(void)
{
	return load_image(&image, &machine, &entry, why, sizeof(why));
}

/* Refused, by both calls, for a reason that mentions `word`. */
static inline void refused(int error, const char *word)
{
	why[0] = 0;
	assert_int_equal(load(), error);
	if (!strstr(why, word))
		fail_msg("\"%s\" does not say %s", why, word);
	why[0] = 0;
	assert_int_equal(load_check(&image, machine.memory, NULL, why, sizeof(why)), error);
	assert_non_null(strstr(why, word));
}
