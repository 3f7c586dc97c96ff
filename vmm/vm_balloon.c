/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vm_balloon.h; and the way from the device to the vm's memory. That is under slots_lock, since
 * pages are found by their slots; it is held while vCPUs are waited for, so a vCPU counts as quiet
 * while it waits for it. The rest is under vm->lock, as all that asks for a device of a machine
 * which may go.
 */
#include "vmm/vm_balloon.h"

#include "include/errno.h"
#include "vmm/machine_class.h"

_Static_assert(sizeof(struct gmem_range) == sizeof(struct host_segment) &&
	       offsetof(struct gmem_range, at) == offsetof(struct host_segment, at) &&
	       offsetof(struct gmem_range, size) == offsetof(struct host_segment, size),
	       "the same range");

uint64_t vm_memory_unused(struct vm *vm, enum host_unused what, const struct host_segment *s,
			  unsigned n)
{
	static uint64_t (*const calls[])(struct gmem *g, const struct gmem_range *r, unsigned n) = {
		[HOST_UNUSED_DISCARD] = gmem_discard, [HOST_UNUSED_INFLATE] = gmem_inflate,
		[HOST_UNUSED_DEFLATE] = gmem_deflate,
	};
	struct vcpu *self = vm_quiet_begin(vm);
	uint64_t pages;

	mutex_lock(&vm->slots_lock);
	pages = calls[what](&vm->gmem, (const struct gmem_range *)s, n);
	mutex_unlock(&vm->slots_lock);
	vm_quiet_end(self);
	return pages;
}

/* Under vm->lock. */
static struct vdev *balloon(struct vm *vm)
{
	return vm->machine ? machine_part(vm, PART_BALLOON) : NULL;
}

int vm_balloon_target(struct vm *vm, uint32_t pages)
{
	struct vdev *d;

	mutex_lock(&vm->lock);
	d = balloon(vm);
	if (d)
		virtio_balloon_target(d, pages);
	mutex_unlock(&vm->lock);
	return d ? 0 : -ENODEV;
}

int vm_balloon_period(struct vm *vm, uint32_t seconds)
{
	struct vdev *d;

	mutex_lock(&vm->lock);
	d = balloon(vm);
	if (d)
		virtio_balloon_period(d, seconds);
	mutex_unlock(&vm->lock);
	return d ? 0 : -ENODEV;
}

int vm_balloon_hint(struct vm *vm)
{
	struct vdev *d;

	mutex_lock(&vm->lock);
	d = balloon(vm);
	if (d)
		virtio_balloon_hint(d);
	mutex_unlock(&vm->lock);
	return d ? 0 : -ENODEV;
}

int vm_balloon_info(struct vm *vm, struct virtio_balloon_info *out)
{
	struct vdev *d;

	mutex_lock(&vm->lock);
	d = balloon(vm);
	if (d)
		virtio_balloon_info(d, out);
	mutex_unlock(&vm->lock);
	return d ? 0 : -ENODEV;
}
