/* SPDX-License-Identifier: BSD-2-Clause */
/* Contract: see vm_check.c. */
#pragma once

#include "vmm/vm.h"

/*
 * Takes a paused vm's state apart and puts it together again; `size`: bytes of its saved form.
 * -EIO: it did not come back the same (the log names the record) and the vm goes on with what was
 * loaded; -EBUSY: it is not paused; -ENOMEM: nothing was touched. When loading fails the vm has
 * crashed.
 */
int vm_check_state(struct vm *vm, size_t *size) must_check;
