/* SPDX-License-Identifier: BSD-2-Clause */
/* Contract: see vm_check.c and vm_check_memory.c. */
#pragma once

#include "vmm/vm.h"

/*
 * Takes a paused vm's state apart and puts it together again; `size`: bytes of its saved form.
 * -EIO: it did not come back the same (the log names the record) and the vm goes on with what was
 * loaded; -EBUSY: it is not paused; -ENOMEM: nothing was touched. When loading fails the vm has
 * crashed.
 */
int vm_check_state(struct vm *vm, size_t *size) must_check;

struct vm_memory_check {
	uint64_t changed, marked, taken, used;	/* frames; used: once for each harvest */
};

/*
 * Lets a running vm work for a while (60 ms and more) while its writes are tracked, clean frames
 * taken, its second-level tables dropped and slots moved, some under pins. -EIO: a frame has
 * changed without a mark (the log says which), or a slot or a pin has lost something; what
 * vm_pause() says when it stops meanwhile; -EINTR: it has found *stop set, which anyone may do
 * meanwhile; -ENOMEM.
 */
int vm_check_memory(struct vm *vm, const bool *stop, struct vm_memory_check *out) must_check;
/*
 * vmm/vm_check_pins.c, a part of it: frames stay pinned while their slots move and go; how many
 * were. -EIO: a byte went elsewhere, or something is left (the log says what); -ENOMEM.
 */
int vm_check_pins(struct gmem *g, uint64_t *pins) must_check;
