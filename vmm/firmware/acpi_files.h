/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables among a guest's firmware files (vdev/vacpi_loader.h). They tell where ECAM is,
 * which firmware chooses just before it asks for them: so they are made when they are read, and
 * anew when ECAM has moved since. The files' sizes are those with ECAM; zeros follow.
 *
 * Locks: a mutex around what was made last. Thread context.
 */
#pragma once

#include "include/compiler.h"

struct vm;
struct vdev;

/* Before the guest runs. -ENOMEM, or what vfwcfg_add() says. */
int acpi_files_add(struct vm *vm, struct vdev *fwcfg) must_check;
void acpi_files_free(struct vm *vm);		/* fw_cfg is gone; or none were added */
