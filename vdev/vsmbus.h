/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SMBus controller of an ICH9 (8086:2930, QEMU's ich9-smb), with nothing on its bus: each
 * transaction ends at once with the word that no device has answered, so that who looks for memory
 * modules or sensors finds none and does not wait.
 */
#pragma once

#include "vdev/vpci_function.h"

enum { VSMBUS_PORTS };		/* region: BAR 4 */

#define VSMBUS_SIZE	64u
#define VSMBUS_FUNCTION	3	/* of the LPC bridge's slot */

int vsmbus_create(struct vdev **out);
struct vpci_function *vsmbus_function(struct vdev *d);
