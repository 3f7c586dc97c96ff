/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: one thread that reads lines, turns them into verbs of mgmt/ and prints their
 * results. It is handed its terminal, so that it stands on mgmt/ alone.
 */
#pragma once

#include "include/compiler.h"

struct shell_port {
	size_t (*read)(void *buf, size_t n);		/* what has arrived; never waits */
	void (*write)(const void *data, size_t n);	/* raw bytes */
	/* Bytes that write takes without waiting; NULL: unknown. */
	size_t (*space)(void);
	/* `fn` is called, in any context, when bytes have arrived; NULL: the shell polls. */
	void (*set_receive)(void (*fn)(void));
	/* May the caller's context wake a thread (are interrupts on)? NULL: always. */
	bool (*can_wake)(void);
};

/* Thread context, after mgmt_init(). From here on the shell prints the log. */
void shell_start(const struct shell_port *port);
