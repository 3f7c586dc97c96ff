/* SPDX-License-Identifier: BSD-2-Clause */
/* See vm_screen.h. */
#include "vmm/vm_screen.h"

#include "include/errno.h"
#include "vmm/machine_class.h"

/* With vm->lock held until release(), if there is one. */
static struct vdev *take(struct vm *vm)
{
	struct vdev *d;

	mutex_lock(&vm->lock);
	d = vm->machine ? machine_part(vm, PART_SCREEN) : NULL;
	if (!d)
		mutex_unlock(&vm->lock);
	return d;
}

static int release(struct vm *vm)
{
	mutex_unlock(&vm->lock);
	return 0;
}

int vm_screen_mode(struct vm *vm, struct vvga_mode *out)
{
	struct vdev *d = take(vm);

	if (!d)
		return -ENODEV;
	vvga_mode(d, out);
	return release(vm);
}

int vm_screen_text_row(struct vm *vm, unsigned row, uint16_t *cells)
{
	struct vdev *d = take(vm);

	if (!d)
		return -ENODEV;
	vvga_text_row(d, row, cells);
	return release(vm);
}

int vm_screen_pixel_row(struct vm *vm, unsigned y, uint8_t *rgb)
{
	struct vdev *d = take(vm);

	if (!d)
		return -ENODEV;
	vvga_pixel_row(d, y, rgb);
	return release(vm);
}
