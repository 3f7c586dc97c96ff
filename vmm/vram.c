/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vram.h. What is shown follows from the claims alone, each time that any has changed: so the
 * one who looks last leaves it right, whoever changed what when. A slot that cannot be had, RAM
 * being there or memory short, is asked for again the next time.
 */
#include "vmm/vram.h"

#include "include/bits.h"
#include "include/errno.h"
#include "mm/heap.h"
#include "vmm/vm.h"

struct vram {
	struct gmem_object *object;
	struct vdev *dev;		/* NULL: nobody shows it */
	unsigned region;
	uint64_t base;			/* of its slot, while `shown` */
	bool shown;
};

/* Under slots_lock: 0 or what the slot's change met. */
static int show_at(struct vm *vm, struct vram *v, bool wanted, uint64_t base)
{
	struct gmem_slot slot = { .base = base, .size = vm->config.vram, .object = v->object };
	int err = 0;

	if (v->shown && (!wanted || base != v->base)) {
		err = gmem_slot_remove(&vm->gmem, GPA(v->base));
		v->shown = err;
	}
	if (!err && wanted && !v->shown) {
		err = gmem_slot_add(&vm->gmem, &slot);
		v->shown = !err;
		v->base = base;
	}
	return err;
}

void vram_follow(struct vm *vm)
{
	struct vram *v = vm->vram;
	struct vcpu *self;
	uint64_t base = 0;
	bool wanted;

	if (!v || !v->dev)
		return;
	self = vm_quiet_begin(vm);
	mutex_lock(&vm->slots_lock);
	wanted = bus_claimed(vm, HOST_MMIO, v->dev, v->region, &base);
	(void)show_at(vm, v, wanted, base);
	mutex_unlock(&vm->slots_lock);
	vm_quiet_end(self);
}

static bool has(const struct vm *vm, uint64_t offset, size_t n)
{
	return vm->vram && range_within(offset, n, 0, vm->config.vram);
}

int vram_read(struct vm *vm, uint64_t offset, void *dst, size_t n)
{
	return has(vm, offset, n) ? gmem_object_read(&vm->gmem, vm->vram->object, offset, dst, n)
				  : -EINVAL;
}

int vram_write(struct vm *vm, uint64_t offset, const void *src, size_t n)
{
	return has(vm, offset, n) ? gmem_object_write(&vm->gmem, vm->vram->object, offset, src, n)
				  : -EINVAL;
}

/* ---- life ---- */

int vram_create(struct vm *vm)
{
	const struct gmem_config *c = &vm->gmem.config;
	uint64_t size = vm->config.vram;

	if (!size)
		return 0;
	if (size & (size - 1) || size < VRAM_MIN || size > VRAM_MAX)
		return -EINVAL;
	vm->vram = heap_alloc(sizeof(*vm->vram));
	if (!vm->vram)
		return -ENOMEM;
	return gmem_object_create(0, size, MIN(c->max_leaf_level, 2u), c->node, c->charge,
				  &vm->vram->object);
}

void vram_bind(struct vm *vm, struct vdev *d, unsigned region)
{
	vm->vram->dev = d;
	vm->vram->region = region;
}

void vram_destroy(struct vm *vm)
{
	if (vm->vram && vm->vram->object)
		gmem_object_put(vm->vram->object);
	heap_free(vm->vram);
	vm->vram = NULL;
}
