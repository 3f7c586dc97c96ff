/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pair of 8259A interrupt controllers of a PC, the slave on the master's input 2, with the ELCR
 * of a PCI chipset. Inputs come by vpic_line, the INTR wire leaves as this device's line 0. A level
 * input is asserted as long as its line is high; an edge is remembered until acknowledged, even if
 * the line falls first.
 * vpic_line may be called under another device's lock: this lock is an inner one.
 */
#pragma once

#include "vdev/host.h"

enum { VPIC_MASTER, VPIC_SLAVE, VPIC_ELCR };	/* regions of 2 ports each: 0x20, 0xa0, 0x4d0 */
enum { VPIC_INTR };				/* lines */

/* `acknowledged` (or NULL) is told, with no lock held, which input a guest's EOI ended. */
int vpic_create(void (*acknowledged)(void *context, unsigned irq), void *context,
	struct vdev **out);

void vpic_line(struct vdev *d, unsigned irq, bool level);
/* Is the input open, and its last edge acknowledged? Takes no lock. */
bool vpic_heard(struct vdev *d, unsigned irq);
/* Does an edge of this input wait, or is it served and an EOI will come? Takes no lock. */
bool vpic_busy(struct vdev *d, unsigned irq);
/* What a processor's INTA cycle does: the vector, the spurious one when nothing is due any more. */
int vpic_acknowledge(struct vdev *d);
/* Is INTR high? Takes no lock. */
bool vpic_pending(struct vdev *d);
