/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial console: one thread that reads lines, turns them into verbs of mgmt/ and prints their results. It is handed
 * its serial line, so that it stands on mgmt/ alone.
 */
#pragma once

#include "include/compiler.h"

struct shell_port {
	size_t (*read)(void *buf, size_t n);		/* what has arrived; never waits */
	void (*write)(const void *data, size_t n);	/* raw bytes */
	size_t (*space)(void);				/* bytes that write takes without waiting; NULL: unknown */
	void (*set_receive)(void (*fn)(void));		/* fn is called, in any context, when bytes have arrived; NULL: poll */
	bool (*can_wake)(void);				/* may the caller's context wake a thread? (interrupts are on) */
};

/* Thread context, after mgmt_init(). From here on the shell prints the log. */
void shell_start(const struct shell_port *port);
