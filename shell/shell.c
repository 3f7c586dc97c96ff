/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shell's thread: keys to the editor, lines to commands, log lines above the prompt. See
 * shell/shell.h.
 */
#include "shell/shell.h"

#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "shell/command.h"
#include "shell/commands.h"
#include "shell/complete.h"
#include "shell/editor.h"
#include "shell/tty.h"

#define PROMPT "keel> "

static struct editor editor;
static struct history history;

static void list_choices(const struct completion *c)
{
	unsigned width = 0, column = 0;

	for (unsigned i = 0; i < c->count; i++)
		width = strlen(c->name[i]) > width ? (unsigned)strlen(c->name[i]) : width;
	editor_hide(&editor);
	for (unsigned i = 0; i < c->count; i++) {
		if (column && column + width + 2 > TTY_COLUMNS) {
			tty_text("\n");
			column = 0;
		}
		tty_print("%-*s  ", (int)width, c->name[i]);
		column += width + 2;
	}
	tty_text("\n");
}

static void complete(void)
{
	static struct completion c;

	editor_draw(&editor);
	complete_find(editor.text, editor.cursor, &c);
	if (!c.count) {
		tty_write("\a", 1);
		return;
	}
	editor_insert(&editor, c.name[0] + c.typed, c.common - c.typed);
	if (c.count == 1)
		editor_insert(&editor, " ", 1);
	else if (c.common == c.typed)
		list_choices(&c);
}

static void take_line(void)
{
	static char line[EDITOR_LINE_MAX + 1];

	str_copy(line, editor.text, sizeof(line));
	history_add(&history, line);
	command_line(line);
	editor_begin(&editor);
}

static void take_key(uint8_t key)
{
	switch (editor_key(&editor, key)) {
	case EDITOR_MORE:
		break;
	case EDITOR_LINE:
		take_line();
		break;
	case EDITOR_TOO_LONG:
		(void)command_error(
			-E2BIG, "the line is longer than %u characters and was not run: type less",
			EDITOR_LINE_MAX);
		editor_begin(&editor);
		break;
	case EDITOR_CANCEL:
		editor_draw(&editor);
		tty_text("^C\n");
		editor_begin(&editor);
		break;
	case EDITOR_COMPLETE:
		complete();
		break;
	case EDITOR_DIAGNOSE:
		editor_hide(&editor);
		diagnose_overview();
		break;
	}
}

static void run(void *arg)
{
	int key;

	(void)arg;
	for (;;) {
		if (tty_log_waiting()) {
			editor_hide(&editor);
			tty_log_print();
		}
		editor_draw(&editor);
		if (!tty_typed())
			tty_wait_some();
		while (!tty_log_waiting() && (key = tty_get()) >= 0)
			take_key((uint8_t)key);
	}
}

void shell_start(const struct shell_port *port)
{
	struct thread_attr attr = { .name = "shell", .entry = run, .cpu = -1 };
	struct thread *t = thread_create(&attr);

	if (!t)
		panic("shell: no memory for its thread");
	editor_init(&editor, PROMPT, &history, tty_write);
	tty_init(port);
	thread_start(t);
	thread_put(t);
}
