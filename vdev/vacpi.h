/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's fixed hardware: the PM1a blocks, the power-management timer (32 bits, 3.579545 MHz), a GPE
 * block, the SMI command port (ACPI enable and disable), the power button and the TCO watchdog
 * (vtco.h). S5 powers the VM off.
 * There is no system-management mode: SMI_EN says that firmware has set it up already.
 * The reset register is vpci's port 0xcf9. The SCI is a level line.
 */
#pragma once

#include "vdev/host.h"

/* Regions: all but the last lie behind a base that the chipset chooses. */
enum { VACPI_EVENT, VACPI_CONTROL, VACPI_TIMER, VACPI_GPE, VACPI_SMI_EN, VACPI_TCO, VACPI_SMI };

/* Where firmware puts them, and the FADT of vacpi_tables says they are. */
#define VACPI_BASE		0x600
#define VACPI_EVENT_PORT	0x600	/* 4 ports */
#define VACPI_CONTROL_PORT	0x604	/* 2 */
#define VACPI_TIMER_PORT	0x608	/* 4 */
#define VACPI_GPE_PORT		0x620	/* 4: two of status, two of enable */
#define VACPI_SMI_EN_PORT	0x630	/* 8: enables and status of SMIs, of which there are none */
#define VACPI_TCO_PORT		0x660	/* 32: the watchdog */
#define VACPI_SMI_PORT		0xb2	/* 2 */
#define VACPI_SCI_IRQ		9

#define VACPI_ENABLE		0x02	/* to the SMI port: ACPI on, off (as on q35) */
#define VACPI_DISABLE		0x03
#define VACPI_SLP_TYP_S5	5

enum { VACPI_SCI };		/* lines: IRQ 9, level */

int vacpi_create(struct vdev **out);
/* Its registers begin at that port from now on, or nowhere. One call at a time, without a lock. */
void vacpi_place(struct vdev *d, uint16_t base, bool enabled);
/* Someone pressed it. Does the guest notice? (false: ACPI is off or the event is disabled) */
bool vacpi_power_button(struct vdev *d);
/* NO_REBOOT: the watchdog does not reset the machine. */
bool vacpi_no_reboot(struct vdev *d);
void vacpi_set_no_reboot(struct vdev *d, bool on);
