/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio block device: requests of several queues for medium 0, in units of 512 bytes. "VIRTIO"
 * 1.2, Block Device.
 */
#pragma once

#include "vdev/virtio/virtio.h"

int virtio_blk_create(unsigned queues, struct virtio **out) must_check;
