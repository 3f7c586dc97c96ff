/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vm's balloon, for who administers it: what it is to have, and what its driver tells (struct
 * virtio_balloon_info). -ENODEV: it has none. Thread context; under vm->lock.
 */
#pragma once

#include "vdev/virtio/virtio_balloon.h"
#include "vmm/vm.h"

int vm_balloon_target(struct vm *vm, uint32_t pages);
int vm_balloon_period(struct vm *vm, uint32_t seconds);
/* What is free goes back once, if the driver can tell. */
int vm_balloon_hint(struct vm *vm);
int vm_balloon_info(struct vm *vm, struct virtio_balloon_info *out);
