/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a verb fails: a code for programs and one line for people that says what is wrong and what to
 * do. Verbs return the code too. Every `struct mgmt_error *` may be NULL.
 */
#pragma once

#include "include/compiler.h"
#include "include/errno.h"

#define MGMT_MESSAGE_MAX 512

struct mgmt_error {
	int code;			/* -Exxx */
	char message[MGMT_MESSAGE_MAX];	/* no control characters, no "error: " */
};

/* Fills `e` and returns `code`, so that a verb can end in `return error_set(...)`. */
int error_set(struct mgmt_error *e, int code, const char *fmt, ...) printf_like(3, 4);
