/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpci_express.h. Links are of one lane at 2.5 GT/s, which is what all devices can. ("PCI
 * Express Base" 3.0, PCI Express Capability Structure; "PCI Bus Power Management Interface" 1.2.)
 */
#include "vdev/vpci_express.h"

#include "vdev/vpci_bridge.h"
#include "vdev/vpci_regs.h"

#define DEVICE_ROLE_ERRORS	BIT(15)
#define DEVICE_RESET		BIT(28)	/* it has function-level reset */
#define CONTROL_INITIAL		0x2810	/* relaxed order, no snoop; reads of 512 bytes */
#define CONTROL_WRITABLE	0x78ff
#define STATUS_ERRORS		0x0f
#define LINK			0x11	/* 2.5 GT/s, one lane */
#define LINK_REPORTS		BIT(20)	/* a port tells whether its link is up */
#define LINK_UP			0x2000
#define LINK_CONTROL_WRITABLE	0x00cb	/* ASPM, RCB, common clock, extended synch */
#define LINK2_SPEEDS		0x02
#define LINK2_SPEED		1
#define SLOT_NUMBER_SHIFT	19
#define SLOT_FULL		0x0040
#define ROOT_CONTROL_WRITABLE	0x0f

#define POWER_VERSION		3
#define POWER_KEEPS		0x08	/* nothing is lost between D3 and D0 */

int vpci_express_init(struct vpci_function *f, enum vpci_express type)
{
	unsigned at = vpci_function_capability(f, CAP_EXPRESS, EXPRESS_SIZE);
	bool port = type == VPCI_ROOT_PORT;
	uint8_t *c = f->config + at, *w = f->writable + at;

	if (!at)
		return -ENOSPC;
	f->express = (uint16_t)at;
	vpci_regs_set(c + EXPRESS_TYPE, 2, EXPRESS_VERSION | type << EXPRESS_TYPE_SHIFT |
		(port ? EXPRESS_SLOT_PRESENT : 0));
	vpci_regs_set(c + EXPRESS_DEVICE, 4, DEVICE_ROLE_ERRORS | (port ? 0 : DEVICE_RESET));
	vpci_regs_set(c + EXPRESS_CONTROL, 2, CONTROL_INITIAL);
	vpci_regs_set(w + EXPRESS_CONTROL, 2, CONTROL_WRITABLE | (port ? 0 : EXPRESS_RESET));
	vpci_regs_set(f->clear + at + EXPRESS_STATUS, 2, STATUS_ERRORS);
	vpci_regs_set(c + EXPRESS_LINK, 4, LINK | (port ? LINK_REPORTS : 0));
	vpci_regs_set(w + EXPRESS_LINK_CONTROL, 2, LINK_CONTROL_WRITABLE);
	vpci_regs_set(c + EXPRESS_LINK_STATUS, 2, port ? 1 : LINK);
	vpci_regs_set(c + EXPRESS_LINK2, 4, LINK2_SPEEDS);
	vpci_regs_set(c + EXPRESS_LINK_CONTROL2, 2, LINK2_SPEED);
	if (port)
		vpci_regs_set(w + EXPRESS_ROOT_CONTROL, 2, ROOT_CONTROL_WRITABLE);
	return 0;
}

int vpci_express_power_init(struct vpci_function *f)
{
	unsigned at = vpci_function_capability(f, CAP_POWER, POWER_SIZE);

	if (!at)
		return -ENOSPC;
	f->power = (uint16_t)at;
	vpci_regs_set(f->config + at + 2, 2, POWER_VERSION);
	f->config[at + POWER_STATE] = POWER_KEEPS;
	f->writable[at + POWER_STATE] = POWER_STATE_BITS;
	return 0;
}

/* On bus 0 there are no links. */
static void integrate(struct vpci_function *f)
{
	uint8_t *c = f->config + f->express;

	c[EXPRESS_TYPE] = EXPRESS_VERSION | VPCI_INTEGRATED << EXPRESS_TYPE_SHIFT;
	vpci_regs_set(c + EXPRESS_LINK, 8, 0);
	vpci_regs_set(c + EXPRESS_LINK2, 8, 0);
	vpci_regs_set(f->writable + f->express + EXPRESS_LINK_CONTROL, 2, 0);
}

/* In `registers` of a port: what is there now, or after a reset. */
static void fill_slot(const struct vpci_function *port, uint8_t *registers)
{
	uint8_t *c = registers + port->express;

	vpci_regs_set(c + EXPRESS_LINK_STATUS, 2, LINK | LINK_UP);
	vpci_regs_set(c + EXPRESS_SLOT_STATUS, 2, SLOT_FULL);
}

void vpci_express_attached(struct vpci_function *f)
{
	struct vpci_function *port = f->bus->bridge ? &f->bus->bridge->function : NULL;

	if (port && port->express) {
		fill_slot(port, port->config);
		fill_slot(port, port->initial);
	}
	if (!f->express)
		return;
	if (f->bridge)
		vpci_regs_set(f->config + f->express + EXPRESS_SLOT, 4,
			(uint32_t)f->devfn << SLOT_NUMBER_SHIFT);
	else if (!port)
		integrate(f);
}

void vpci_express_written(struct vpci_function *f, uint8_t old_state)
{
	uint8_t *state = &f->config[f->power + POWER_STATE];
	uint8_t *control = &f->config[f->express + EXPRESS_CONTROL + 1];

	/* There are D0 and D3 alone. */
	if (f->power && (*state & POWER_STATE_BITS) % POWER_STATE_BITS)
		*state = old_state;
	if (f->express && *control & EXPRESS_RESET >> 8) {
		*control &= (uint8_t)~(EXPRESS_RESET >> 8);
		f->reset_self = true;
	}
}
