/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of the shell itself, and the list of all groups.
 */
#include "lib/string.h"
#include "shell/commands.h"
#include "shell/help.h"
#include "shell/tty.h"

const struct command_group command_groups[] = {
	{ "Domain Management", domain_commands },
	{ "Domain Monitoring", monitor_commands },
	{ "Domain media", media_commands },
	{ "Host", host_commands },
	{ "Domain scheduling", sched_commands }, { "Diagnosis", diagnose_commands },
	{ "Shell", shell_commands },
	{ NULL, NULL }
};

static int help_on(const char *name)
{
	const struct command *c = command_find(name);

	if (!c || !c->summary)
		return command_error(
			-ENOENT, "there is no command '%.64s': 'help' lists all there are", name);
	help_print(c);
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
		" 'help COMMAND' or 'COMMAND --help' says more. Tab completes, the arrow keys\n"
		" recall and edit, Ctrl-R searches what was typed, ';' separates commands,\n"
		" Ctrl-C interrupts, Ctrl-T shows what Keel is doing.\n");
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
	{ "?", NULL, NULL, help_options, run_help },
	{ "echo", "print words", NULL, echo_options, run_echo },
	{ "exit", NULL, NULL, NULL, run_quit },
	{ "help", "list the commands, or explain one", NULL, help_options, run_help },
	{ "quit", NULL, NULL, NULL, run_quit },
	{ 0 }
};
