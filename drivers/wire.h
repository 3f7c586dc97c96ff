/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: interrupt wires, as the I/O APICs number them, and who hears them. Several may share
 * one that is level triggered: each looks whether its device has asked. Wires are opened and closed
 * by one thread at a time, at boot and when the machine is switched off; interrupts on, no lock
 * held.
 */
#pragma once

#include "include/compiler.h"

/* Its owner's, who keeps it until wire_close(). */
struct wire_user {
	const char *name;
	bool (*fn)(void *arg);		/* in an interrupt; false: its device had not asked */
	void (*lost)(void *arg);	/* likewise: nothing comes any more. NULL: it may be so */
	void *arg;
	struct wire *wire;		/* while it is open */
	struct wire_user *next;
};

/*
 * From now on `u` hears wire `gsi` on this CPU. -ENODEV when no I/O APIC has it, -EBUSY when others
 * have it who cannot share, -ENOSPC, -ENOMEM, -ERANGE when this CPU cannot be named.
 */
int wire_open(struct wire_user *u, uint32_t gsi, bool low, bool level) must_check;
/* ISA interrupt 0 to 15, wherever the tables say that it arrives. */
int wire_open_isa(struct wire_user *u, unsigned irq) must_check;
/* When it returns `fn` runs nowhere and never will. Nothing is done if it was not open. */
void wire_close(struct wire_user *u);
