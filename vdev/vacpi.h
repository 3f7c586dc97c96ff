/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's fixed hardware: the PM1a blocks, the power-management timer (32 bits, 3.579545 MHz), a GPE
 * block, the SMI command port (ACPI enable and disable) and the power button. S5 powers the VM off.
 * The reset register is vpci's port 0xcf9. The SCI is a level line.
 */
#pragma once

#include "vdev/host.h"

/* Regions, with the ports where the FADT of vacpi_tables says they are. */
enum { VACPI_EVENT, VACPI_CONTROL, VACPI_TIMER, VACPI_GPE, VACPI_SMI };

#define VACPI_EVENT_PORT	0x600	/* 4 ports */
#define VACPI_CONTROL_PORT	0x604	/* 2 */
#define VACPI_TIMER_PORT	0x608	/* 4 */
#define VACPI_GPE_PORT		0x620	/* 4: two of status, two of enable */
#define VACPI_SMI_PORT		0xb2	/* 2 */
#define VACPI_SCI_IRQ		9

#define VACPI_ENABLE		0x02	/* to the SMI port: ACPI on, off (as on q35) */
#define VACPI_DISABLE		0x03
#define VACPI_SLP_TYP_S5	5

enum { VACPI_SCI };		/* lines: IRQ 9, level */

int vacpi_create(struct vdev **out);
/* Someone pressed it. Does the guest notice? (false: ACPI is off or the event is disabled) */
bool vacpi_power_button(struct vdev *d);
