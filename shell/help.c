/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page of one command, in the form of virsh's; see shell/help.h.
 */
#include "shell/help.h"

#include "lib/string.h"
#include "shell/tty.h"

static void print_synopsis(const struct command *c)
{
	tty_print("    %s", c->name);
	for (const struct option *o = c->options; o && o->kind != OPTION_END; o++) {
		if (o->kind == OPTION_FLAG)
			tty_print(" [--%s]", o->name);
		else if (o->kind == OPTION_REST)
			tty_print(" [<%s>]...", o->name);
		else if (o->required)
			o->positional ? tty_print(" <%s>", o->name)
				      : tty_print(" --%s <value>", o->name);
		else
			o->positional ? tty_print(" [<%s>]", o->name)
				      : tty_print(" [--%s <value>]", o->name);
	}
	tty_text("\n");
}

static void print_options(const struct command *c)
{
	if (!c->options)
		return;
	tty_text("\n  OPTIONS\n");
	for (const struct option *o = c->options; o->kind != OPTION_END; o++) {
		const char *value = o->kind == OPTION_NUMBER ? " <number>"
				    : o->kind == OPTION_TEXT ? " <string>"
							     : "";
		int width = 22 - (int)strlen(value) - 2 - (o->positional ? 2 : 0);

		tty_print("    %s--%s%s%s%*s %s\n", o->positional ? "[" : "", o->name,
			  o->positional ? "]" : "", value,
			  width > (int)strlen(o->name) ? width - (int)strlen(o->name) : 0, "",
			  o->help);
	}
}

void help_print(const struct command *c)
{
	tty_print("  NAME\n    %s - %s\n\n  SYNOPSIS\n", c->name, c->summary);
	print_synopsis(c);
	if (c->detail)
		tty_print("\n  DESCRIPTION\n    %s\n", c->detail);
	print_options(c);
}
