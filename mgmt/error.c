/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors of verbs; see mgmt/error.h.
 */
#include "mgmt/error.h"

#include "lib/format.h"

int error_set(struct mgmt_error *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	e->code = code;
	va_start(ap, fmt);
	format_v(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	/* It may quote what anybody has asked for, and end on a terminal. */
	for (char *c = e->message; *c; c++)
		if ((uint8_t)*c < ' ' || *c == 0x7f)
			*c = '?';
	return code;
}
