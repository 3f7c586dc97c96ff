/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Completion; see shell/complete.h. Works from the same rows as the parser.
 */
#include "shell/complete.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "shell/commands.h"

static void offer(struct completion *c, const char *name, const char *typed)
{
	size_t same = 0;

	if (strncmp(name, typed, c->typed) || c->count == COMPLETE_MAX)
		return;
	str_copy(c->name[c->count], name, sizeof(c->name[0]));
	while (c->count && same < c->common && c->name[0][same] == c->name[c->count][same])
		same++;
	c->common = c->count ? same : strlen(c->name[0]);
	c->count++;
}

static void offer_commands(struct completion *c, const char *typed)
{
	for (const struct command_group *g = command_groups; g->title; g++)
		for (const struct command *row = g->commands; row->name; row++)
			if (row->summary)
				offer(c, row->name, typed);
}

static void offer_domains(struct completion *c, const char *typed, enum option_what what)
{
	const struct domain_row *d;
	struct verb_call call;

	if (!commands_ask(VERB_LIST, "", &call))
		records_for_each(d, &call.answer)
			if (what == WHAT_DOMAIN ||
			    (what == WHAT_ACTIVE) == (d->state != DOMAIN_SHUTOFF))
				offer(c, d->name, typed);
	verb_end(&call);
}

static void offer_devices(struct completion *c, const char *typed)
{
	const struct nodedev *d;
	struct verb_call call;

	if (!commands_ask(VERB_NODEDEV_LIST, NULL, &call))
		records_for_each(d, &call.answer)
			offer(c, d->name, typed);
	verb_end(&call);
}

static void offer_options(struct completion *c, const char *typed, const struct command_args *a)
{
	char name[72];

	for (const struct option *o = a->command->options; o && o->kind != OPTION_END; o++) {
		if (a->value[o - a->command->options] || o->kind == OPTION_REST)
			continue;
		format(name, sizeof(name), "--%s", o->name);
		offer(c, name, typed);
	}
}

static void offer_values(struct completion *c, const char *typed, const struct option *o)
{
	if (o && o->what == WHAT_COMMAND)
		offer_commands(c, typed);
	else if (o && o->what == WHAT_DEVICE)
		offer_devices(c, typed);
	else if (o && o->what != WHAT_NOTHING)
		offer_domains(c, typed, o->what);
}

/*
 * Marks what the words before the last have given; returns the option that waits for its value, if
 * one does.
 */
static const struct option *given(struct command_args *a, const struct words *w, unsigned last)
{
	for (unsigned i = 1; i < last; i++) {
		const char *text = w->word[i];
		const struct option *o = command_next_positional(a);

		if (!strncmp(text, "--", 2)) {
			o = command_option(a->command, text + 2, strlen(text + 2));
			if (o && o->kind != OPTION_FLAG && i + 1 == last)
				return o;
			i += o && o->kind != OPTION_FLAG;
		}
		if (o)
			a->value[o - a->command->options] = text;
	}
	return NULL;
}

static void complete_argument(struct completion *c, const struct words *w, unsigned last,
			      const char *typed)
{
	struct command_args a = { .command = command_find(w->word[0]) };
	const struct option *waits;

	if (!a.command)
		return;
	waits = given(&a, w, last);
	if (!waits && !strncmp(typed, "--", MIN(strlen(typed), (size_t)2)) && *typed) {
		offer_options(c, typed, &a);
		return;
	}
	offer_values(c, typed, waits ? waits : command_next_positional(&a));
}

void complete_find(const char *text, size_t n, struct completion *out)
{
	static struct words w;		/* the shell has one thread */
	static char line[EDITOR_LINE_MAX + 1];
	const char *p = line, *typed;
	unsigned last;

	out->count = 0;
	out->typed = out->common = 0;
	if (n > EDITOR_LINE_MAX)
		return;
	memcpy(line, text, n);
	line[n] = 0;
	do {
		if (words_split(&p, &w))
			return;
	} while (*p);
	if (n && line[n - 1] == ';')
		w.count = 0;
	last = w.count;
	typed = "";
	if (n && line[n - 1] != ' ' && w.count)
		typed = w.word[--last];
	out->typed = strlen(typed);
	if (!last)
		offer_commands(out, typed);
	else
		complete_argument(out, &w, last, typed);
}
