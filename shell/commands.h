/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of commands, one per noun, and what their files share.
 */
#pragma once

#include "mgmt/answers.h"
#include "mgmt/verb.h"
#include "shell/command.h"

extern const struct command domain_commands[], monitor_commands[], host_commands[],
	diagnose_commands[], media_commands[], sched_commands[], shell_commands[];

/* Runs the verb of the command's name and prints the texts that it answers. */
int commands_text(const struct command_args *a);
/*
 * Runs the verb with those options that are called as its arguments, but for what `c` has already.
 * 0, or -Exxx after it has said why; verb_end() follows.
 */
int commands_call(const struct command_args *a, enum verb_id id, struct verb_call *c);
/* Runs it with its first argument, or none; prints nothing. verb_end() follows. */
int commands_ask(enum verb_id id, const char *first, struct verb_call *c);
/* Waits for the job that `c` has begun; Ctrl-C asks it to give up. Its result. */
int commands_wait_job(struct verb_call *c);
/*
 * console_command.c: 0 when the terminal was given back, -Exxx after it has said why it could not
 * attach.
 */
int console_command(struct domain *d, const char *name);
void console_restore(void);	/* the terminal is plain again, whatever was left of it */
/* screen_console.c: likewise, of the guest's screen and keyboard. */
int screen_console(struct domain *d);
/* screenshot_command.c */
int screenshot_command(const struct command_args *a);

#define OPTION_DOMAIN(w) { "domain", "name, id or UUID of the domain", OPTION_TEXT, w, true, true }
#define OPTION_SWITCH(n, h) { n, h, OPTION_FLAG, WHAT_NOTHING, false, false }
#define OPTION_COUNT(n, h) { n, h, OPTION_NUMBER, WHAT_NOTHING, false, true }
#define OPTION_LAST { .kind = OPTION_END }

/* The overview that Ctrl-T prints. */
void diagnose_overview(void);
