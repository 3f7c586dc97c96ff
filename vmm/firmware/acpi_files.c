/* SPDX-License-Identifier: BSD-2-Clause */
/* See acpi_files.h. */
#include "vmm/firmware/acpi_files.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vdev/vacpi_loader.h"
#include "vdev/vfwcfg.h"
#include "vmm/firmware/firmware.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/machine.h"

#define BUFFER		(64 * KIB)	/* enough for VM_VCPU_MAX */
#define ROUND		4096u		/* of the files that grow: firmware does not see how much */

struct one_file {
	struct acpi_files *all;
	enum vacpi_file which;
};

struct acpi_files {
	struct vm *vm;
	struct one_file file[VACPI_FILE_COUNT];
	struct mutex lock;
	bool made;
	uint64_t ecam;			/* that is told in what was made */
	struct vacpi_files at;
	uint8_t *buf;
};

static int make(struct acpi_files *a, uint64_t ecam)
{
	struct vacpi_tables_config c = firmware_acpi_config(a->vm, ecam);

	a->ecam = ecam;
	return vacpi_loader_build(&c, a->buf, BUFFER, &a->at);
}

/* What is there of [offset, offset+n), and zeros. */
static void copy_part(const struct acpi_files *a, enum vacpi_file which, uint32_t offset,
		      uint8_t *dst, size_t n)
{
	uint32_t size = a->at.file[which].size;
	size_t there = offset < size ? MIN(n, (size_t)(size - offset)) : 0;

	memcpy(dst, a->buf + a->at.file[which].at + offset, there);
	memset(dst + there, 0, n - there);
}

static void source(const struct vfwcfg_item *item, uint32_t offset, void *dst, size_t n)
{
	const struct one_file *f = item->data;
	struct acpi_files *a = f->all;
	uint64_t ecam;

	mutex_lock(&a->lock);
	ecam = machine_ecam(a->vm);
	if (!a->made || a->ecam != ecam)
		a->made = !make(a, ecam);
	if (a->made)
		copy_part(a, f->which, offset, dst, n);
	else
		memset(dst, 0, n);
	mutex_unlock(&a->lock);
}

static int add(struct acpi_files *a, struct vdev *fwcfg, enum vacpi_file which, const char *name)
{
	uint32_t size = a->at.file[which].size;
	struct vfwcfg_item i = {
		.name = name, .source = source, .data = &a->file[which],
		.size = which == VACPI_FILE_RSDP ? size : ALIGN_UP(size, ROUND),
	};

	a->file[which] = (struct one_file){ a, which };
	return vfwcfg_add(fwcfg, &i);
}

int acpi_files_add(struct vm *vm, struct vdev *fwcfg)
{
	struct acpi_files *a = heap_alloc(sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	vm->acpi_files = a;
	a->vm = vm;
	mutex_init(&a->lock, "acpi_files");
	a->buf = heap_alloc(BUFFER);
	err = a->buf ? make(a, MEMORY_ECAM) : -ENOMEM;
	a->made = !err;
	if (!err)
		err = add(a, fwcfg, VACPI_FILE_RSDP, VACPI_LOADER_RSDP);
	if (!err)
		err = add(a, fwcfg, VACPI_FILE_TABLES, VACPI_LOADER_TABLES);
	return err ?: add(a, fwcfg, VACPI_FILE_SCRIPT, VACPI_LOADER_SCRIPT);
}

void acpi_files_free(struct vm *vm)
{
	struct acpi_files *a = vm->acpi_files;

	vm->acpi_files = NULL;
	if (a)
		heap_free(a->buf);
	heap_free(a);
}
