/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands as rows of tables, one table per noun: name, options, help and function in one place.
 * Parsing, help and completion all work from the rows.
 */
#pragma once

#include "shell/words.h"

#define OPTION_MAX	10

enum packed option_kind {
	OPTION_END,
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_NUMBER,		/* unsigned, decimal */
	OPTION_REST,		/* all words that are left, options too; the last row */
};

/* What completes it. */
enum packed option_what {
	WHAT_NOTHING, WHAT_DOMAIN, WHAT_ACTIVE, WHAT_INACTIVE, WHAT_COMMAND, WHAT_DEVICE,
};

struct option {
	const char *name;
	const char *help;
	enum option_kind kind;
	enum option_what what;
	bool required;
	bool positional;	/* may be given without its name, in the order of rows */
};

struct command_args {
	const struct command *command;
	const char *value[OPTION_MAX];	/* by row; "" for a flag that is set, NULL if absent */
	char *const *rest;
	unsigned rest_count;
};

struct command {
	const char *name;
	const char *summary;		/* one line; NULL: typed out of habit only, not listed */
	const char *detail;		/* more, or NULL */
	const struct option *options;	/* ends with OPTION_END; NULL: none */
	int (*run)(const struct command_args *a);	/* 0, or -Exxx after it has said why */
};

struct command_group {
	const char *title;
	const struct command *commands;		/* ends with a row without name */
};

extern const struct command_group command_groups[];	/* ends with a group without title */

/* Runs every command of a line, to its end or until one is interrupted by Ctrl-C. */
void command_line(const char *line);
const struct command *command_find(const char *name);

/* The value of the option `name`, NULL if it was not given. */
const char *command_text(const struct command_args *a, const char *name);
bool command_flag(const struct command_args *a, const char *name);
uint64_t command_number(const struct command_args *a, const char *name, uint64_t fallback);

/* "error: ..." and a newline; returns the code. */
struct mgmt_error;
int command_fail(const struct mgmt_error *e);
int command_error(int code, const char *fmt, ...) printf_like(2, 3);

/*
 * The option that a word which is not an option would be, given those that have a value; NULL: none
 * is left.
 */
const struct option *command_next_positional(const struct command_args *a);
const struct option *command_option(const struct command *c, const char *name, size_t length);
