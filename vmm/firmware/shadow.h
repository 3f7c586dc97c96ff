/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a guest that has firmware: its image right below 4 GiB, below that the flash with
 * its variables, if it has one, and below 1 MiB what the
 * chipset's registers choose (PAM and SMRAM of a q35): the image's end, the RAM behind it, or
 * nothing. All of the RAM below 4 GiB is one object, so that what is hidden keeps its contents.
 * After reset the image is shown and the RAM hidden.
 *
 * Locks: vm->slots_lock, a mutex, around changes of slots. It is held while other vCPUs are waited
 * for, as the bus's is: vmm/bus.c.
 */
#pragma once

#include "include/bits.h"
#include "vmm/gmem/gmem.h"

struct vm;
struct shadow;

#define SHADOW_IMAGE_MAX	(16 * MIB)
#define SHADOW_NVRAM_MAX	(2 * MIB)

/* Can that be an image's size: some pages, and where devices have no place of their own? */
static inline bool shadow_size_valid(size_t size)
{
	return size >= 64 * KIB && size <= SHADOW_IMAGE_MAX && IS_ALIGNED(size, PAGE_SIZE);
}

static inline bool shadow_nvram_size_valid(size_t size)
{
	return size && size <= SHADOW_NVRAM_MAX && IS_ALIGNED(size, PAGE_SIZE);
}

/* Of vm->config: slots for all RAM below 4 GiB, for image and flash. -ENOMEM, -EINVAL. */
int shadow_create(struct vm *vm) must_check;
void shadow_destroy(struct vm *vm);		/* partly made or not at all; before the gmem */

/* Where its flash begins: right below the image. */
uint64_t shadow_nvram_base(const struct vm *vm);

/* See those of host_ in vdev/host.h. */
int shadow_nvram_show(struct vm *vm, bool shown) must_check;
int shadow_nvram_read(struct vm *vm, uint64_t offset, void *dst, size_t n) must_check;
int shadow_nvram_write(struct vm *vm, uint64_t offset, const void *src, size_t n) must_check;
int shadow_set(struct vm *vm, unsigned piece, unsigned access) must_check;
int shadow_write(struct vm *vm, gpa_t a, const void *src, size_t n) must_check;
