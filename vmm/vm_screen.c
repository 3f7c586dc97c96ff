/* SPDX-License-Identifier: BSD-2-Clause */
/* See vm_screen.h. */
#include "vmm/vm_screen.h"

#include "include/errno.h"
#include "vmm/machine_class.h"

int vm_screen_get(struct vm *vm, enum vm_screen_part part, unsigned row, void *out)
{
	struct vdev *d;

	mutex_lock(&vm->lock);
	d = vm->machine ? machine_part(vm, PART_SCREEN) : NULL;
	if (d && part == VM_SCREEN_MODE)
		vvga_mode(d, out);
	else if (d && part == VM_SCREEN_TEXT)
		vvga_text_row(d, row, out);
	else if (d)
		vvga_pixel_row(d, row, out);
	mutex_unlock(&vm->lock);
	return d ? 0 : -ENODEV;
}
