/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities that a vpci_function may have: PCI Express (function-level reset, and with it 4 KiB
 * of configuration space) and power management (a function that is not in D0 neither decodes nor
 * does DMA; it forgets nothing).
 */
#pragma once

#include "vdev/vpci_function.h"

enum vpci_express { VPCI_ENDPOINT = 0, VPCI_ROOT_PORT = 4, VPCI_INTEGRATED = 9 };

/* Before the function is attached. An endpoint on bus 0 becomes an integrated one. -ENOSPC. */
int vpci_express_init(struct vpci_function *f, enum vpci_express type) must_check;
int vpci_express_power_init(struct vpci_function *f) must_check;
static inline bool vpci_express_is_on(const struct vpci_function *f)
{
	return !f->power || !(f->config[f->power + 4] & 3);
}

/* --- for vdev/vpci*.c, under the root's lock */
void vpci_express_attached(struct vpci_function *f);
/* After a guest's write, which may have asked for a state that is not there, or for a reset. */
void vpci_express_written(struct vpci_function *f, uint8_t old_state);
