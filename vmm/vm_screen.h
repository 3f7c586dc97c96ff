/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be seen on a vm's screen, for who administers it: as vdev/vvga.h tells it, a row at a
 * time, between two of which the guest may draw or set another mode. Thread context; under
 * vm->lock.
 */
#pragma once

#include "vdev/vvga.h"
#include "vmm/vm.h"

enum vm_screen_part {
	VM_SCREEN_MODE,			/* a struct vvga_mode */
	VM_SCREEN_TEXT,			/* a row of cells, as vvga_text_row() has it */
	VM_SCREEN_PIXELS,		/* and one of pixels */
};

/* Into `out`, with room for the longest row; `row` of a mode is none. -ENODEV: it has no screen. */
int vm_screen_get(struct vm *vm, enum vm_screen_part part, unsigned row, void *out) must_check;
