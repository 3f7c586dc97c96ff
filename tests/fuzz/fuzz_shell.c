/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever is typed: keys through the editor, its lines through splitting, parsing and the
 * commands themselves, over domains whose vm only remembers. A command that waits is interrupted,
 * a console is left.
 */
/* links: shell/tty.c shell/editor.c shell/history.c shell/words.c shell/command.c
 * shell/complete.c shell/table.c shell/help.c shell/domain_commands.c shell/console_command.c
 * shell/screenshot_command.c shell/screen_console.c shell/screen_draw.c
 * shell/screen_keys.c lib/keyboard.c
 * shell/monitor_commands.c shell/host_commands.c shell/diagnose_commands.c shell/sched_commands.c
 * shell/media_commands.c
 * shell/shell_commands.c
 * mgmt/domain*.c mgmt/registry.c mgmt/job.c mgmt/events.c mgmt/error.c mgmt/console.c
 * mgmt/config*.c vmm/cpu_model.c vmm/cpu_topology.c kernel/log.c kernel/sched_group.c
 * lib/format.c mgmt/text.c mgmt/verb*.c mgmt/shape.c mgmt/records.c kernel/cpu_set.c
 * lib/png.c lib/deflate.c lib/crc.c
 * tests/host/fake_vm.c tests/host/fake_host.c tests/host/one_thread.c tests/host/heap.c
 * tests/host/panic.c tests/host/spinlock.c tests/host/percpu.c tests/host/tsc.c */
#include <stdlib.h>
#include <string.h>

#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "fake_vm.h"
#include "mgmt/domain_struct.h"
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/tty.h"

extern void (*host_wait)(void);
extern unsigned host_waits;
bool fake_host_settle(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool impatient;		/* a command waits: type what ends it */
static struct editor editor;
static struct history history;

static size_t port_read(void *buf, size_t n)
{
	static const char keys[] = { 0x03, 0x1d };

	if (!impatient || n < sizeof(keys))
		return 0;
	impatient = false;
	memcpy(buf, keys, sizeof(keys));
	return sizeof(keys);
}

static void port_write(const void *data, size_t n)
{
	struct domain *d;

	list_for_each(d, &domain_list, link)
		if (mutex_held(&d->lock))
			abort();
	for (size_t i = 0; i < n; i++)
		if (((const uint8_t *)data)[i] >= 0x7f)
			abort();
}

static struct fake_screen screen;

static uint32_t pixel(unsigned x, unsigned y)
{
	return x ^ y;
}

static void on_wait(void)
{
	host_tsc += 1000000;
	impatient = !fake_host_settle();
}

static void define(const char *name)
{
	struct config_vm *c = calloc(1, sizeof(*c));

	strcpy(c->name, name);
	memset(c->uuid, *name, sizeof(c->uuid));
	cpu_set_fill(&c->cpuset);
	c->vcpus = 1;
	c->memory = 1 << 20;
	if (domain_define(c, true, NULL, NULL))
		abort();
}

static void start(void)
{
	static const struct shell_port port = { .read = port_read, .write = port_write };

	host_percpu_init(1);
	fake_vm_reset();
	screen = (struct fake_screen){
		.mode = { .text = true, .width = 72, .height = 40, .columns = 9, .rows = 5 },
		.cell = { { 0x0748, 0x1f69 } }, .pixel = pixel,
	};
	fake.screen = &screen;
	fake.key_error = -EPERM;
	host_wait = on_wait;
	define("a");
	define("debian");
	tty_init(&port);
}

static void key(uint8_t k)
{
	static struct completion c;
	static char line[EDITOR_LINE_MAX + 1];

	switch (editor_key(&editor, k)) {
	case EDITOR_LINE:
		strcpy(line, editor.text);
		history_add(&history, line);
		command_line(line);
		editor_begin(&editor);
		break;
	case EDITOR_TOO_LONG:
	case EDITOR_CANCEL:
		editor_begin(&editor);
		break;
	case EDITOR_COMPLETE:
		complete_find(editor.text, editor.cursor, &c);
		if (c.count)
			editor_insert(&editor, c.name[0] + c.typed, c.common - c.typed);
		break;
	case EDITOR_MORE:
	case EDITOR_DIAGNOSE:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;

	if (!started)
		start();
	started = true;
	host_waits = 0;
	memset(&history, 0, sizeof(history));
	editor_init(&editor, "keel> ", &history, tty_write);
	for (size_t i = 0; i < size; i++) {
		key(data[i]);
		if (i % 3 == 0)
			editor_draw(&editor);
	}
	key('\r');
	command_line("destroy a; destroy debian");
	while (fake_host_settle())
		;
	if (fake.alive)
		abort();
	return 0;
}
