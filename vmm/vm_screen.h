/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be seen on a vm's screen, for who administers it: as vdev/vvga.h tells it, a row at a
 * time, between two of which the guest may draw or set another mode. -ENODEV: it has none, or no
 * longer. Thread context; under vm->lock.
 */
#pragma once

#include "vdev/vvga.h"
#include "vmm/vm.h"

int vm_screen_mode(struct vm *vm, struct vvga_mode *out) must_check;
/* `cells` has room for VVGA_COLUMNS_MAX of them, `rgb` for VVGA_WIDTH_MAX pixels. */
int vm_screen_text_row(struct vm *vm, unsigned row, uint16_t *cells) must_check;
int vm_screen_pixel_row(struct vm *vm, unsigned y, uint8_t *rgb) must_check;
