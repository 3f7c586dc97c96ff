/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a line to a verb: splits, finds the command's row, fits words to its options, runs it. See
 * shell/command.h.
 */
#include "shell/command.h"

#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/error.h"
#include "shell/help.h"
#include "shell/tty.h"

int command_error(int code, const char *fmt, ...)
{
	char buf[MGMT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	format_v(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	tty_print("error: %s\n", buf);
	return code;
}

int command_fail(const struct mgmt_error *e)
{
	return command_error(e->code, "%s", e->message);
}

const struct command *command_find(const char *name)
{
	for (const struct command_group *g = command_groups; g->title; g++)
		for (const struct command *c = g->commands; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

const struct option *command_option(const struct command *c, const char *name, size_t length)
{
	for (const struct option *o = c->options; o && o->kind != OPTION_END; o++)
		if (strlen(o->name) == length && !strncmp(o->name, name, length))
			return o;
	return NULL;
}

#define HELPED 1	/* by fit() in place of an error: nothing is left to do */

static const char **value_of(struct command_args *a, const struct option *o)
{
	return &a->value[o - a->command->options];
}

static int option_index(const struct command_args *a, const char *name)
{
	const struct option *o = command_option(a->command, name, strlen(name));

	return o ? (int)(o - a->command->options) : -1;
}

const char *command_text(const struct command_args *a, const char *name)
{
	int i = option_index(a, name);

	return i < 0 ? NULL : a->value[i];
}

bool command_flag(const struct command_args *a, const char *name)
{
	return command_text(a, name) != NULL;
}

static bool parse_number(const char *text, uint64_t *out)
{
	uint64_t v = 0;

	if (!*text || strlen(text) > 18)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*out = v;
	return true;
}

uint64_t command_number(const struct command_args *a, const char *name, uint64_t fallback)
{
	const char *text = command_text(a, name);
	uint64_t v = fallback;

	if (text)
		(void)parse_number(text, &v);
	return v;
}

const struct option *command_next_positional(const struct command_args *a)
{
	for (const struct option *o = a->command->options; o && o->kind != OPTION_END; o++)
		if (o->positional && !a->value[o - a->command->options])
			return o;
	return NULL;
}

static int set_value(struct command_args *a, const struct option *o, const char *text)
{
	uint64_t v;

	if (*value_of(a, o))
		return command_error(-EINVAL, "'--%s' is given twice: 'help %s' shows the options",
				     o->name, a->command->name);
	if (o->kind == OPTION_NUMBER && !parse_number(text, &v))
		return command_error(-EINVAL, "'--%s' wants a number, not '%.64s'", o->name, text);
	*value_of(a, o) = text;
	return 0;
}

/* "--name", "--name=value" or "--name value"; *i is the word and moves over what is used. */
static int take_option(struct command_args *a, const struct words *w, unsigned *i)
{
	const char *name = w->word[*i] + 2, *equals = strchr(name, '=');
	const struct option *o =
		command_option(a->command, name, equals ? (size_t)(equals - name) : strlen(name));

	if (!o && !strcmp(name, "help") && a->command->summary) {
		help_print(a->command);
		return HELPED;
	}
	if (!o || o->kind == OPTION_REST)
		return command_error(
			-EINVAL,
			"command '%s' doesn't support option --%.64s: 'help %s' shows those it has",
			a->command->name, name, a->command->name);
	if (o->kind == OPTION_FLAG) {
		if (equals)
			return command_error(-EINVAL, "'--%s' takes no value", o->name);
		*value_of(a, o) = "";
		return 0;
	}
	if (equals)
		return set_value(a, o, equals + 1);
	if (++*i == w->count)
		return command_error(-EINVAL, "'--%s' wants a value behind it", o->name);
	return set_value(a, o, w->word[*i]);
}

static int take_positional(struct command_args *a, const struct words *w, unsigned *i)
{
	const struct option *o = command_next_positional(a);

	if (!o)
		return command_error(
			-EINVAL, "unexpected word '%.64s': 'help %s' shows what the command takes",
			w->word[*i], a->command->name);
	if (o->kind != OPTION_REST)
		return set_value(a, o, w->word[*i]);
	*value_of(a, o) = "";
	a->rest = &w->word[*i];
	a->rest_count = w->count - *i;
	*i = w->count - 1;
	return 0;
}

static int fit(struct command_args *a, const struct words *w)
{
	bool only_words = false;

	for (unsigned i = 1; i < w->count; i++) {
		const char *text = w->word[i];
		int err;

		if (!only_words && !w->quoted[i] && !strcmp(text, "--")) {
			only_words = true;
			continue;
		}
		err = !only_words && !w->quoted[i] && !strncmp(text, "--", 2)
			      ? take_option(a, w, &i)
			      : take_positional(a, w, &i);
		if (err)
			return err;
	}
	for (const struct option *o = a->command->options; o && o->kind != OPTION_END; o++)
		if (o->required && !*value_of(a, o))
			return command_error(
				-EINVAL,
				"command '%s' requires <%s>: 'help %s' shows what it takes",
				a->command->name, o->name, a->command->name);
	return 0;
}

static void run(const struct words *w)
{
	struct command_args a = { .command = command_find(w->word[0]) };

	if (!a.command)
		(void)command_error(-ENOENT, "unknown command: '%.64s': 'help' lists all there are",
				    w->word[0]);
	else if (!fit(&a, w))
		(void)a.command->run(&a);
}

void command_line(const char *line)
{
	static struct words w;	/* the shell has one thread, and commands do not nest */

	tty_interruptible(true);
	while (*line && !tty_interrupted()) {
		const char *wrong = words_split(&line, &w);

		if (wrong)
			(void)command_error(-EINVAL, "%s", wrong);
		else if (w.count)
			run(&w);
	}
	tty_interruptible(false);
}
