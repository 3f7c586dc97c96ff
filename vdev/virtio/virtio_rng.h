/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio entropy device: whatever memory the driver gives is filled with random bytes of the
 * host's. "VIRTIO" 1.2, Entropy Device.
 */
#pragma once

#include "vdev/virtio/virtio.h"

int virtio_rng_create(struct virtio **out) must_check;
