/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Video memory: an object of its own, shown as memory where its device's region is claimed on the
 * bus. Behind RAM, which stays where it is; where it cannot be shown the device gets the accesses.
 *
 * Locks: vm->slots_lock, and bus->lock in it for a look at the claims. Whoever changes claims lets
 * go of that before he asks for the first.
 */
#pragma once

#include "include/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct vdev;
struct vm;

#define VRAM_MIN	0x100000ul	/* bytes; a power of two */
#define VRAM_MAX	0x4000000ul

/* vm->config.vram bytes, if it is not 0; -EINVAL, -ENOMEM. While the vm is made. */
int vram_create(struct vm *vm) must_check;
void vram_destroy(struct vm *vm);
/* It is to be found where that region of the device is. While the vm is made. */
void vram_bind(struct vm *vm, struct vdev *d, unsigned region);
/* MMIO claims have changed, whoever's. As bus_claim(); nothing if there is no video memory. */
void vram_follow(struct vm *vm);

/* As host_vram_read() and host_vram_write(). */
int vram_read(struct vm *vm, uint64_t offset, void *dst, size_t n) must_check;
int vram_write(struct vm *vm, uint64_t offset, const void *src, size_t n) must_check;
