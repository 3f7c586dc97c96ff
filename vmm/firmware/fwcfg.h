/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VM's firmware configuration (vdev/vfwcfg.h) says of it: processors, memory, the image it
 * was started with. Before the guest runs, thread context.
 */
#pragma once

#include "vmm/load/load.h"

struct vm;

/* -ENOMEM. What the image points to is kept. Its first module is the initrd. */
int fwcfg_fill(struct vm *vm, const struct load_image *image,
	       const struct load_machine *machine) must_check;
