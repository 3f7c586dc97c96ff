/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mgmt/config*.c vmm/cpu_model.c vmm/cpu_topology.c kernel/cpu_set.c mgmt/domain_image.c
 * mgmt/domain_boot.c mgmt/text.c
 * mgmt/error.c
 * vmm/load/load*.c vmm/firmware/memory_map.c lib/format.c tests/host/heap.c */
/*
 * keel.conf, checked on the machine where an image is made, by Keel's own parser and loaders:
 *
 *     keelconf check FILE                           the text alone
 *     keelconf check FILE --modules [NAME=FILE]...  and the modules, of which there are no others
 *
 * Prints FILE:LINE: TEXT for each mistake. Ends with 1 when there is one, with 2 when it was called
 * wrong.
 */
#include "mgmt/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/domain_struct.h"
#include "vmm/load/load.h"
#include "vmm/vm.h"

struct bytes {
	const uint8_t *at;
	size_t size;
};

/* NAME=FILE or FILE, as for tools/mkiso. */
static char **modules;
static int module_count;

/* The loaders' second half, which a check never comes to. */
int gmem_write(struct gmem *g, gpa_t a, const void *data, size_t n)
{
	(void)g;
	(void)a;
	(void)data;
	(void)n;
	abort();
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	(void)g, (void)a, (void)dst, (void)n;
	return -EFAULT;
}

static void die(const char *what, const char *path)
{
	fprintf(stderr, "keelconf: %s %s\n", what, path);
	exit(2);
}

/* Kept until the end: this is a program of one question. */
static struct bytes read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *at = NULL;
	size_t size = 0, n;

	if (!f)
		die("there is no file", path);
	do {
		at = realloc(at, size + MIB);
		if (!at)
			die("no memory for", path);
		n = fread(at + size, 1, MIB, f);
		size += n;
	} while (n);
	if (ferror(f))
		die("cannot read", path);
	fclose(f);
	return (struct bytes){ at, size };
}

/* Where the file's name begins in a module's argument; its own name is what stands before it. */
static const char *file_of(const char *argument)
{
	const char *equal = strrchr(argument, '=');

	return equal ? equal + 1 : argument;
}

static bool is_called(const char *argument, const char *name)
{
	const char *file = file_of(argument), *slash = strrchr(file, '/');
	size_t n = file - argument > 1 ? (size_t)(file - argument) - 1 : 0;

	if (n)
		return strlen(name) == n && !memcmp(argument, name, n);
	return !strcmp(slash ? slash + 1 : file, name);
}

static const char *find_module(const char *name)
{
	for (int i = 0; i < module_count; i++)
		if (is_called(modules[i], name))
			return file_of(modules[i]);
	return NULL;
}

/* In Keel the boot loader brought it. */
bool mgmt_module(const char *name, const void **data, size_t *size)
{
	const char *path = find_module(name);
	struct bytes bytes;

	if (!path)
		return false;
	bytes = read_file(path);
	*data = bytes.at;
	*size = bytes.size;
	return true;
}

static bool has_module(void *arg, const char *name)
{
	(void)arg;
	return find_module(name);
}

static int check_kernel(void *arg, const struct config_vm *vm, char *why, size_t why_size)
{
	struct load_image image;
	struct mgmt_error err;
	const char *kind;

	(void)arg;
	if (domain_image_get(vm, &image, &err))
		die(err.message, "");
	return load_check(&image, vm->memory, &kind, why, why_size);
}

static int check(const char *path, bool with_modules)
{
	struct config *c = calloc(1, sizeof(*c));
	struct bytes text = read_file(path);
	struct config_limits limits = { .vcpus_max = VM_VCPU_MAX, .memory_max = UINT64_MAX };
	unsigned shown;

	if (with_modules) {
		limits.module = has_module;
		limits.check = check_kernel;
	}
	if (!c || config_parse(c, (const char *)text.at, text.size, &limits))
		die("no memory for", path);
	shown = MIN(c->error_count, (unsigned)CONFIG_ERROR_MAX);
	for (unsigned i = 0; i < shown; i++)
		printf("%s:%u: %s\n", path, c->error[i].line, c->error[i].text);
	if (c->error_count > shown)
		printf("%s: and %u more mistakes\n", path, c->error_count - shown);
	return c->error_count != 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "check"))
		return check(argv[2], false);
	if (argc >= 4 && !strcmp(argv[1], "check") && !strcmp(argv[3], "--modules")) {
		modules = argv + 4;
		module_count = argc - 4;
		return check(argv[2], true);
	}
	fprintf(stderr, "usage: keelconf check FILE [--modules [NAME=FILE]...]\n");
	return 2;
}
