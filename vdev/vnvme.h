/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NVM Express controller with one namespace, which is the device's medium 0: a queue pair for
 * each vCPU, MSI-X or the pin. "NVM Express" 1.4.
 */
#pragma once

#include "vdev/vpci_function.h"

#define VNVME_QUEUES_MAX	16u	/* pairs for I/O, besides the one of administration */

/* BAR 0: registers, doorbells, and MSI-X. */
#define VNVME_DOORBELLS		0x1000u
#define VNVME_MESSAGES		0x2000u
#define VNVME_PENDING		0x3000u
#define VNVME_SIZE		0x4000u

struct vnvme_config {
	unsigned queues;		/* that are wanted */
	uint8_t uuid[16];		/* of the namespace */
};

/* -ENOMEM, -ENOSPC. */
int vnvme_create(const struct vnvme_config *c, struct vdev **out) must_check;
struct vpci_function *vnvme_function(struct vdev *d);
