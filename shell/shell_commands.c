/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of the shell itself, and the list of all groups.
 */
#include "lib/string.h"
#include "shell/commands.h"
#include "shell/tty.h"

const struct command_group command_groups[] = {
	{ "Domain Management", domain_commands },
	{ "Domain Monitoring", monitor_commands },
	{ "Host", host_commands },
	{ "Diagnosis", diagnose_commands },
	{ "Shell", shell_commands },
	{ NULL, NULL }
};

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

static int help_on(const char *name)
{
	const struct command *c = command_find(name);

	if (!c || !c->summary)
		return command_error(
			-ENOENT, "there is no command '%.64s': 'help' lists all there are", name);
	tty_print("  NAME\n    %s - %s\n\n  SYNOPSIS\n", c->name, c->summary);
	print_synopsis(c);
	if (c->detail)
		tty_print("\n  DESCRIPTION\n    %s\n", c->detail);
	print_options(c);
	return 0;
}

static int run_help(const struct command_args *a)
{
	if (command_text(a, "command"))
		return help_on(command_text(a, "command"));
	for (const struct command_group *g = command_groups; g->title; g++) {
		tty_print(" %s:\n", g->title);
		for (const struct command *c = g->commands; c->name; c++)
			if (c->summary)
				tty_print("    %-16s %s\n", c->name, c->summary);
		tty_text("\n");
	}
	tty_text(
		" 'help COMMAND' says more. Tab completes, the arrow keys recall and edit, ';' separates\n"
		" commands, Ctrl-C interrupts, Ctrl-T shows what Keel is doing.\n");
	return 0;
}

static int run_echo(const struct command_args *a)
{
	for (unsigned i = 0; i < a->rest_count; i++)
		tty_print("%s%s", i ? " " : "", a->rest[i]);
	tty_text("\n");
	return 0;
}

static int run_quit(const struct command_args *a)
{
	return command_error(
		-EPERM,
		"there is nothing behind this console to '%s' to: 'poweroff' switches the host off",
		a->command->name);
}

static const struct option help_options[] = {
	{ "command", "what to explain", OPTION_TEXT, WHAT_COMMAND, false, true }, OPTION_LAST
};
static const struct option echo_options[] = {
	{ "text", "words", OPTION_REST, WHAT_NOTHING, false, true }, OPTION_LAST
};

const struct command shell_commands[] = {
	{ "echo", "print words", NULL, echo_options, run_echo },
	{ "exit", NULL, NULL, NULL, run_quit },
	{ "help", "list the commands, or explain one", NULL, help_options, run_help },
	{ "quit", NULL, NULL, NULL, run_quit },
	{ 0 }
};
