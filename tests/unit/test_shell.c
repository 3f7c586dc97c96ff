/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole shell over the real domains and a vm that only remembers: a test types, the shell's own
 * thread function runs until it waits with nothing left to do, and what it printed is compared.
 */
/* links: shell/shell.c shell/tty.c shell/editor.c shell/history.c shell/words.c shell/command.c
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
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "cpu/tsc.h"
#include "fake_vm.h"
#include "include/addr.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "mgmt/domain_struct.h"
#include "mgmt/answers.h"
#include "mgmt/verb.h"
#include "shell/command.h"
#include "shell/shell.h"

extern void (*host_wait)(void), (*host_thread_entry)(void *arg);
extern unsigned fake_host_power, host_waits;
bool fake_host_settle(void);

static const char *input;
static size_t input_left;
static char output[1 << 20];
static size_t output_length;
static size_t budget = ~0ul;	/* what the line takes until the next wait */
static unsigned waits, interrupt_at, fast_after;
/* The test and the shell take turns, each on its own stack. */
static ucontext_t test_context, shell_context;

static size_t port_read(void *buf, size_t n)
{
	size_t part = n < input_left ? n : input_left;

	memcpy(buf, input, part);
	input += part;
	input_left -= part;
	return part;
}

/* The line is slow: whoever prints holds no domain's lock. */
static void port_write(const void *data, size_t n)
{
	struct domain *d;

	list_for_each(d, &domain_list, link)
		assert_false(mutex_held(&d->lock));
	assert_true(output_length + n < sizeof(output));
	assert_true(n <= budget);
	budget -= budget == ~0ul ? 0 : n;
	memcpy(output + output_length, data, n);
	output_length += n;
	output[output_length] = 0;
}

static size_t port_space(void)
{
	return budget;
}

static void set_receive(void (*fn)(void))
{
	(void)fn;
}

static void on_wait(void)
{
	host_tsc += 1000000;
	waits++;
	if (budget != ~0ul) {
		budget = waits < fast_after ? 23 : ~0ul;
		if (waits == interrupt_at) {
			input = "\x03";
			input_left = 1;
		}
		return;
	}
	if (!fake_host_settle() && !input_left)
		swapcontext(&shell_context, &test_context);
}

static void shell_thread(void)
{
	host_thread_entry(NULL);
}

static void start_thread(void)
{
	static char stack[256 << 10];

	getcontext(&shell_context);
	shell_context.uc_stack.ss_sp = stack;
	shell_context.uc_stack.ss_size = sizeof(stack);
	makecontext(&shell_context, shell_thread, 0);
}

/*
 * Types and runs the shell until it has nothing to do; its output, which the next call overwrites.
 */
static const char *type_bytes(const char *keys, size_t n)
{
	output_length = 0;
	output[0] = 0;
	input = keys;
	input_left = n;
	swapcontext(&test_context, &shell_context);
	return output;
}

static const char *type(const char *keys)
{
	return type_bytes(keys, strlen(keys));
}

/* Of a command without its echo, lines of the log and the next prompt, in a buffer of its own. */
static const char *run(const char *line)
{
	static char text[65536], keys[4096];
	const char *out, *start, *end;
	char *log;

	snprintf(keys, sizeof(keys), "%s\r", line);
	out = type(keys);
	start = strstr(out, "\r\n");
	assert_non_null(start);
	start += 2;
	end = out + strlen(out) - strlen("keel> ");
	assert_string_equal(end, "keel> ");
	snprintf(text, sizeof(text), "%.*s", (int)(end - start), start);
	while ((log = strstr(text, "[   ")))
		memmove(log, strchr(log, '\n') + 1, strlen(strchr(log, '\n')));
	return text;
}

static void define(const char *name)
{
	struct config_vm *c = calloc(1, sizeof(*c));

	strcpy(c->name, name);
	strcpy(c->kernel, "vmlinuz");
	memset(c->cmdline, 'x', sizeof(c->cmdline) - 1);
	memset(c->uuid, *name + (int)strlen(name), sizeof(c->uuid));
	cpu_set_fill(&c->cpuset);
	c->vcpus = 1;
	c->memory = 192 * MIB;
	c->on_reboot = CONFIG_RESTART;
	assert_int_equal(domain_define(c, true, NULL, NULL), 0);
}

static int setup_all(void **state)
{
	static const struct shell_port port = {
		.read = port_read, .write = port_write, .space = port_space,
		.set_receive = set_receive,
	};

	(void)state;
	host_percpu_init(2);
	fake_vm_reset();
	host_wait = on_wait;
	define("debian");
	define("debian2");
	define("zebra");
	shell_start(&port);
	start_thread();
	type("");
	return 0;
}

static int teardown(void **state)
{
	static char text[256];

	(void)state;
	type("\x03");
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		snprintf(text, sizeof(text), "destroy %s", d->config->name);
		run(text);
		assert_int_equal(d->state, DOMAIN_SHUTOFF);
	}
	return 0;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static void prompt_and_echo(void **state)
{
	(void)state;
	assert_string_equal(type("\r"), "\r\nkeel> ");
	assert_string_equal(type("echo  hello   'two  words'"), "echo  hello   'two  words'");
	assert_string_equal(type("\r"), "\r\nhello two  words\r\nkeel> ");
	assert_string_equal(run("echo a; echo b # echo c"), "a\r\nb\r\n");
	assert_string_equal(run(";;; ;"), "");
}

static void table(void **state)
{
	(void)state;
	assert_string_equal(run("list"), " Id   Name   State\r\n--------------------\r\n\r\n");
	assert_string_equal(run("start debian"), "Domain 'debian' started\r\n");
	has(run("list --all"),
	    "   debian    running\r\n -    debian2   shut off\r\n -    zebra     shut off\r\n\r\n");
	assert_string_equal(run("list --name"), "debian\r\n");
	assert_string_equal(run("list --inactive --name"), "debian2\r\nzebra\r\n");
}

static void life(void **state)
{
	(void)state;
	assert_string_equal(run("domstate debian"), "shut off\r\n");
	assert_string_equal(run("start debian; suspend debian; domstate debian --reason"),
			    "Domain 'debian' started\r\nDomain 'debian' suspended\r\n"
			    "paused (user)\r\n");
	assert_string_equal(run("resume debian; reset debian; destroy debian; domstate debian"),
			    "Domain 'debian' resumed\r\nDomain 'debian' was reset\r\n"
			    "Domain 'debian' destroyed\r\nshut off\r\n");
	assert_int_equal(fake.alive, 0);
}

static void fields(void **state)
{
	const char *out;
	uint64_t now;

	(void)state;
	run("start debian");
	fake_vm_stop(VM_STOP_DEBUG_EXIT, 33, NULL);
	type("");
	out = run("dominfo debian");
	has(out, "Id:             -\r\n");
	has(out, "Name:           debian\r\n");
	has(out, "State:          shut off\r\n");
	has(out, "Max memory:     196608 KiB\r\n");
	has(out, "Exit code:      33\r\n");
	has(out, "Kernel:         vmlinuz\r\nInitrd:         -\r\nCommand line:   xxx");
	assert_int_equal(strspn(strstr(out, "xxx"), "x"), CONFIG_CMDLINE_MAX - 1);
	run("start debian");
	out = run("domstats debian");
	has(out, "Domain: 'debian'\r\n  state.state=1\r\n");
	has(out, "  cpu.time=5000000000\r\n");
	has(out, "  exits.hlt.count=10\r\n");
	out = run("domstats debian --interface");
	has(out, "Domain: 'debian'\r\n  net.0.rx.bytes=12\r\n  net.0.rx.pkts=11\r\n"
		 "  net.0.rx.drop=13\r\n  net.0.tx.bytes=22\r\n  net.0.tx.pkts=21\r\n"
		 "  net.0.tx.drop=23\r\n  net.count=1\r\n");
	out = run("domstats --state");
	has(out, "'zebra'");
	assert_null(strstr(out, "cpu.time"));
	has(run("vcpuinfo debian"), "State:          blocked");
	has(run("nodeinfo"), "CPU(s):         2\r\n");
	has(run("nodeinfo"), "CPU socket(s):  1\r\nCore(s) per socket: 1\r\n"
			     "Thread(s) per core: 2\r\nNUMA cell(s):   1\r\n");
	has(run("nodeinfo"), "SVM on 2 of 2 CPUs");
	has(run("nodeinfo"), "Console:        COM1 (0x3f8), IRQ 4");
	has(run("nodememstats"), "free   :              1048576 KiB\r\n");
	has(run("irqs"), "  0x31   3           77  uart\r\n");
	assert_string_equal(run("nodedev-list"), "pci_0000_00_1f_2\r\npci_0000_00_00_0\r\n");
	out = run("nodedev-info pci_0000_00_1f_2");
	has(out, "Class:          0x010601, SATA controller\r\n");
	has(out, "Driver:         none\r\nBAR 4:          I/O port 0xc040\r\n");
	has(out, "BAR 5:          memory at 0xfebd1000, 64 bits\r\n");
	has(out, "IRQ:            INTA, line 10\r\nMSI:            4\r\nIn use:");
	has(run("nodedev-info pci_0000_00_1f_3"), "error: there is no device 'pci_0000_00_1f_3'");
	has(type("nodedev-info p\t1\t"), "pci_0000_00_1f_2 ");
	type("\x15\r");
	has(run("irqs"), "  0xe0 all        12345  timer\r\n");
	assert_string_equal(run("hostname"), "keel0\r\n");
	has(run("help start"), "start <domain> [--console] [--wait] [--timeout <value>]");
	has(run("start --help"), "start <domain> [--console]");
	has(run("start debian --help"), "start <domain> [--console]");
	has(run("poweroff --help"), "[--reboot]");
	assert_int_equal(fake_host_power, 0);
	assert_string_equal(run("echo a --help"), "a --help\r\n");
	has(run("? start"), "start <domain> [--console]");
	has(run("?"), "nodememstats");
	has(run("help reboot"), "'poweroff --reboot'");
	assert_string_equal(run("version"), "Keel 0 (0123456789ab), loaded by host\r\n"
					    "Command line: colour=red\r\n"
					    "Mistake in it: there is no option 'colour=red'\r\n");
	now = host_tsc;
	host_tsc = 0;
	assert_string_equal(run("uptime"), "up 0 days, 00:00:00, 1 of 3 domains running\r\n");
	host_tsc = (86400 + 3 * 3600 + 25 * 60 + 7) * 1000000000ull;
	assert_string_equal(run("uptime"), "up 1 day, 03:25:07, 1 of 3 domains running\r\n");
	host_tsc = now;
	has(run("help"), "nodememstats");
	has(type("dmesg\r"), "domain 'debian' started");
	out = type("dmesg --last 1\r");
	assert_ptr_equal(strstr(out, "] "), strrchr(out, ']'));
	has(type("dmesg loud\r"), "there is no level 'loud': error, warning, info and debug");
	has(run("trace 2"), "     1.000000005 cpu 1 irq    20 0 0\r\n     1.000000005 cpu 1");
}

static void mistakes(void **state)
{
	static const struct { const char *line, *says; } rows[] = {
		{ "nonsense", "unknown command: 'nonsense': 'help' lists" },
		{ "start", "requires <domain>: 'help start'" },
		{ "start nobody", "'nobody': 'list --all'" },
		{ "start debian extra words", "unexpected word 'extra'" },
		{ "start --frobnicate debian", "doesn't support option --frobnicate" },
		{ "console debian", "'start debian --console' starts it" },
		{ "destroy debian", "is shut off: 'start' starts it" },
		{ "suspend debian", "is shut off" },
		{ "dominfo", "requires <domain>" },
		{ "vcpuinfo debian", "is shut off" },
		{ "help nonsense", "no command 'nonsense'" },
		{ "start \"debian", "a quote is open" },
		{ "start \\", "a \\ ends the line" },
		{ "list --nothing", "doesn't support" },
		{ "list --all=1", "takes no value" },
		{ "list --all --all", "" },
		{ "trace many", "wants a number" },
		{ "trace 99999999999999999999", "wants a number" },
		{ "nodememstats 7", "no memory node 7" },
		{ "nodecpustats 9", "no CPU 9" },
		{ "start --domain", "wants a value" },
		{ "start --domain debian --domain debian", "given twice" },
		{ "quit", "'poweroff' switches" },
		{ "%s%n%s%n", "unknown command: '%s%n%s%n'" },
		{ "start -- --console", "'--console'" },
		{ "start debian --timeout 5", "'--timeout' wants '--wait'" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		const char *out = run(rows[i].line);

		if (rows[i].says[0]) {
			assert_int_equal(strncmp(out, "error: ", 7), 0);
			has(out, rows[i].says);
		}
	}
	has(run("start debian; start debian"), "error: domain 'debian' is running: 'console'");
	fake.fail_load = -EINVAL;
	has(run("start zebra"), "error: domain 'zebra': the kernel is no kernel");
	assert_string_equal(run("echo fine"), "fine\r\n");
}

static void long_line(void **state)
{
	static char keys[65536 + 2];

	(void)state;
	memset(keys, 'x', 65536);
	keys[65536] = '\r';
	has(type(keys), "error: the line is longer than 1023 characters");
	assert_string_equal(run("echo fine"), "fine\r\n");
}

static void completion(void **state)
{
	const char *out;

	(void)state;
	assert_string_equal(type("hostn\t"), "hostname ");
	assert_string_equal(type("\r") + 2, "keel0\r\nkeel> ");
	assert_string_equal(type("start z\t"), "start zebra ");
	assert_string_equal(type("--c\t"), "--console ");
	type("\x03");
	assert_string_equal(type("start de\t"), "start debian");
	out = type("\t");
	has(out, "debian   debian2");
	has(out, "keel> start debian");
	type("\x03");
	assert_string_equal(type("resume de\t"), "resume de\a");
	type("\x03");
	assert_string_equal(type("list; dominfo --dom\t"), "list; dominfo --domain ");
	assert_string_equal(type("zeb\t"), "zebra ");
	type("\x03");
	assert_string_equal(type("help nodem\t"), "help nodememstats ");
	type("\x03");
	has(type("\t"), "domstats");
	type("\x03");
	assert_string_equal(type("nonsense x\t"), "nonsense x\a");
	assert_string_equal(type("'\t"), "'\a");
	type("\x03");
}

static void log_lines_go_above(void **state)
{
	(void)state;
	type("half");
	log_info("area: news");
	has(type(""), "\r\x1b[K[    ");
	has(output, "area: news\r\nkeel> half");
	log_debug("area: hidden");
	assert_null(strstr(type(""), "hidden"));
	assert_string_equal(type("\x03"), "^C\r\nkeel> ");
}

static void say(const char *text)
{
	fake.last->config.console_put(fake.last->config.arg, text, strlen(text));
}

static void console(void **state)
{
	const char *out;
	char got[64] = "";

	(void)state;
	run("start debian");
	say("booting\r\n");
	out = type("console debian\r");
	has(out, "Connected to domain 'debian'\r\n"
		 "Escape character is ^] (Ctrl + ])\r\nbooting\r\n");
	log_info("area: not now");
	out = type("ls\x03\x1b[A");
	assert_string_equal(out, "");
	assert_int_equal(fake.last->config.console_get(fake.last->config.arg, got, sizeof(got)), 6);
	assert_memory_equal(got, "ls\x03\x1b[A", 6);
	assert_true(fake.inputs > 0);
	say("bin etc\r\n# ");
	assert_string_equal(type(""), "bin etc\r\n# ");
	out = type("\x1d");
	has(out, "\r\nLeft the console of domain 'debian'\r\n");
	has(out, "area: not now\r\nkeel> ");
	/* Kept while detached, and shown once. */
	say("later");
	has(type("console debian\r"), "later");
	type("\x1d");
	assert_null(strstr(type("console debian\r"), "later"));
	type("\x1d");
	assert_string_equal(run("echo fine"), "fine\r\n");
}

static void console_of_a_paused_guest(void **state)
{
	(void)state;
	run("start debian; suspend debian");
	has(type("console debian\r"),
	    "(Ctrl + ])\r\n\r\nDomain 'debian' is paused: 'resume debian' lets it go on\r\n");
	type("\x1d");
	run("resume debian");
	assert_null(strstr(type("console debian\r"), "paused"));
	type("\x1d");
}

static void console_of_a_guest_that_ends(void **state)
{
	const char *out;

	(void)state;
	out = type("start debian --console\r");
	has(out, "Connected");
	say("bye\r\n");
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	out = type("");
	has(out, "bye\r\n\x18\x1b\\");
	has(out, "\x0f\r\nDomain 'debian' is shut off\r\n");
	has(out, "keel> ");
	/* And the last words of one that nobody listened to. */
	run("start debian");
	say("last words");
	fake_vm_stop(VM_STOP_CRASH, 0, "why");
	type("");
	out = run("console debian");
	has(out, "last words\x18\x1b\\");
	has(out, "\x0f\r\nerror: domain 'debian' is shut off");
	has(type("\x1d"), "keel> ");
}

static void console_through_a_restart(void **state)
{
	(void)state;
	type("start debian --console\r");
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	type("");
	say("again");
	has(type(""), "again");
	has(type("\x1d"), "keel> ");
}

static void console_drops_the_oldest(void **state)
{
	const char *out;

	(void)state;
	run("start debian");
	for (unsigned i = 0; i < 70000 / 10; i++)
		say("0123456789");
	say("end");
	out = type("console debian\r");
	has(out, "[4467 bytes of older output were dropped]");
	has(out, "0123456789end");
	type("\x1d");
}

static void interrupt(void **state)
{
	(void)state;
	type("event --loop\r");
	has(type("\x03"), "events received: 0\r\nkeel> ");
	type("poweroff\r");
	assert_int_equal(fake_host_power, 1);
	has(type("\x03"), "It goes on");
	has(run("poweroff"), "error: the host is going down already");
}

/* The fake guest ends while the shell waits; what the waiting said then. */
static const char *wait_for_stop(enum vm_stop why, uint32_t code)
{
	has(type("start debian --wait\r"), "Domain 'debian' started\r\n");
	assert_null(strstr(output, "keel> "));
	fake_vm_stop(why, code, "because");
	return type("");
}

static void start_and_wait(void **state)
{
	struct domain *d = list_entry(domain_list.next, struct domain, link);

	(void)state;
	has(wait_for_stop(VM_STOP_DEBUG_EXIT, 33), "Domain 'debian' has exited with code 33\r\n");
	has(output, "keel> ");
	has(wait_for_stop(VM_STOP_POWER_OFF, 0), "Domain 'debian' has powered off\r\n");
	has(wait_for_stop(VM_STOP_CRASH, 0), "error: domain 'debian' has crashed: because\r\n");
	d->config->on_crash = CONFIG_PRESERVE;
	has(wait_for_stop(VM_STOP_CRASH, 0), "error: domain 'debian' has crashed: because\r\n");
	assert_string_equal(run("domstate debian; destroy debian"),
			    "crashed\r\nDomain 'debian' destroyed\r\n");
	d->config->on_crash = CONFIG_DESTROY;
	/* A restart by policy goes on with the run. */
	assert_string_equal(wait_for_stop(VM_STOP_RESET, 0), "");
	fake_vm_stop(VM_STOP_DEBUG_EXIT, 1, NULL);
	has(type(""), "Domain 'debian' has exited with code 1\r\n");
	d->config->on_reboot = CONFIG_DESTROY;
	has(wait_for_stop(VM_STOP_RESET, 0), "Domain 'debian' has reset itself\r\n");
	d->config->on_reboot = CONFIG_RESTART;
}

static void waiting_ends(void **state)
{
	(void)state;
	type("start debian --wait --timeout 5\r");
	host_tsc += 4000000000;
	assert_string_equal(type(""), "");
	host_tsc += 1000000000;
	has(type(""), "error: domain 'debian' has not ended within 5 s and goes on: 'destroy' ends");
	assert_string_equal(run("domstate debian; destroy debian"),
			    "running\r\nDomain 'debian' destroyed\r\n");
	/* Ctrl-C ends the waiting and the line, not the domain. */
	type("start debian --wait; echo next\r");
	has(type("\x03"), "Not waiting any longer; domain 'debian' goes on\r\n");
	has(output, "keel> ");
	assert_null(strstr(output, "next"));
	assert_string_equal(run("domstate debian"), "running\r\n");
}

/* A batch: each line waits for its turn. */
static void batch(void **state)
{
	(void)state;
	type("start debian --wait; start zebra --wait\rstart debian2 --wait --timeout 9\r");
	fake_vm_stop(VM_STOP_DEBUG_EXIT, 3, NULL);
	has(type(""), "'debian' has exited with code 3\r\nDomain 'zebra' started\r\n");
	fake_vm_stop(VM_STOP_DEBUG_EXIT, 5, NULL);
	has(type(""), "'zebra' has exited with code 5\r\n");
	has(output, "Domain 'debian2' started\r\n");
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	has(type(""), "Domain 'debian2' has powered off\r\n");
}

/* A command that waits sleeps, whatever is typed meanwhile, and what is typed is not lost. */
static void typing_ahead(void **state)
{
	unsigned before;

	(void)state;
	type("start debian\r");
	before = waits;
	has(type("destroy debian\recho mark1\recho mark2\r"), "Domain 'debian' destroyed\r\n");
	has(output, "keel> echo mark1\r\nmark1\r\nkeel> echo mark2\r\nmark2\r\n");
	assert_in_range(waits - before, 1, 20);
}

/* A slow line is never given more than it takes, and Ctrl-C stops a long output. */
static void slow_line(void **state)
{
	(void)state;
	waits = interrupt_at = 0;
	budget = 0;
	fast_after = 400;
	has(type("help\r"), "Ctrl-T shows what Keel is doing.\r\nkeel> ");
	waits = 0;
	interrupt_at = 100;
	budget = 0;
	fast_after = 1000;
	type("trace 100000\r");
	assert_in_range(output_length, 100, 10000);
	interrupt_at = 0;
	budget = ~0ul;
}

static void diagnosis_by_one_key(void **state)
{
	const char *out;

	(void)state;
	type("half");
	out = type("\x14");
	has(out, "up ");
	has(out, "runnable");
	has(out, "keel> half");
}

static void noise(void **state)
{
	static char keys[4096];

	(void)state;
	srand(2);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < sizeof(keys); i++) {
			keys[i] = (char)rand();
			if (keys[i] == '\r' || keys[i] == '\n' || keys[i] == '\t')
				keys[i] = 'x';
		}
		type_bytes(keys, sizeof(keys));
	}
	type("\x03\r");
	assert_string_equal(run("echo fine"), "fine\r\n");
}

/* Its other consoles, by name; they are there once it has started. */
static void channels(void **state)
{
	const struct media_channel *port;
	unsigned inputs;
	char got[8];

	(void)state;
	run("define web memory=64M kernel=vmlinuz console=virtio channel=org.keel.a 'channel=b, port=4'");
	has(run("dumpconf web"), "channel = org.keel.a, port=1\r\n"
				 "channel = b, port=4\r\n");
	has(run("dumpxml web"), "<controller type='virtio-serial' index='0'>");
	has(run("dumpxml web"), "<target type='virtio' name='org.keel.a'/>");
	has(run("console web x"), "has no console 'x': it has serial0, hvc0, org.keel.a, b");
	has(run("console web hvc0"), "is shut off and its console is closed");
	run("start web");
	port = &fake.channel[4];
	inputs = fake.inputs;
	assert_string_equal(port->name, "b");
	assert_null(fake.channel[2].put);
	assert_int_equal(port->put(port->arg, "early\r\n", 7), 7);
	say("serial\r\n");
	has(type("console web --devname b\r"), "Escape character is ^] (Ctrl + ])\r\nearly\r\n");
	type("typed");
	assert_int_equal(fake.channel_inputs[4], 1);
	assert_int_equal(fake.inputs, inputs);
	assert_int_equal(port->get(port->arg, got, sizeof(got)), 5);
	assert_memory_equal(got, "typed", 5);
	type("\x1d");
	has(type("console web hvc0\r"), "Escape character is ^] (Ctrl + ])\r\n");
	fake.channel[0].put(fake.channel[0].arg, "login: ", 7);
	assert_string_equal(type(""), "login: ");
	type("\x1d");
	has(type("console web serial0\r"), "serial\r\n");
	type("\x1d");
	port->put(port->arg, "last words", 10);
	run("destroy web");
	has(run("console web b"), "last words");
	run("undefine web");
}

static void ballooned(void **state)
{
	static struct virtio_balloon_info balloon;

	(void)state;
	run("define web memory=64M kernel=vmlinuz 'device=virtio-balloon-pci, slot=0:1.0'");
	has(run("setmem web 32M"), "error: domain 'web' is shut off");
	run("start web");
	has(run("setmem web 32M"), "has no balloon: 'device = virtio-balloon-pci'");
	fake.balloon = &balloon;
	assert_string_equal(run("setmem web 32M --live"),
			    "Domain 'web' is asked to have that much memory\r\n");
	assert_int_equal(balloon.target, 32 * MIB / PAGE_SIZE);
	has(run("setmem web 65M"), "can have 2048 to 65536 KiB");
	has(run("setmem web 1M"), "can have 2048 to 65536 KiB");
	has(run("setmem web x"), "a number with K, M or G is wanted");
	balloon.actual = 4096;
	assert_string_equal(run("dommemstat web"), "actual 49152\r\nrss 480\r\n");
	balloon.known = BIT(BALLOON_FREE) | BIT(BALLOON_MAJOR_FAULTS);
	balloon.stat[BALLOON_FREE] = 3 * KIB;
	balloon.stat[BALLOON_MAJOR_FAULTS] = 7;
	balloon.told_at = 1700000000;
	assert_string_equal(run("dommemstat web --period 5"),
			    "actual 49152\r\nmajor_fault 7\r\nunused 3\r\n"
			    "last_update 1700000000\r\nrss 480\r\n");
	assert_int_equal(balloon.period, 5);
	has(run("dommemstat web --period 100000"), "error: a period is 0 (none) to 86400");
	has(run("domstats web --balloon"), "  balloon.current=49152\r\n  balloon.major_fault=7");
	has(run("dumpxml web"), "<currentMemory unit='KiB'>49152</currentMemory>");
	has(run("dumpxml web"), "freePageReporting='on'>\r\n      <stats period='5'/>");
	has(run("dumpxml web --inactive"), "<currentMemory unit='KiB'>65536</currentMemory>");
	/* What others were promised meanwhile it does not get. */
	fake.out_pages = 8192;
	fake.available = 100;
	has(run("setmem web 48M"), "error: domain 'web' has given 32 MiB back, of which 0 MiB are left");
	assert_int_equal(balloon.target, 8192);
	fake.available = 4096;
	run("setmem web 48M");
	assert_int_equal(balloon.target, 4096);
	run("destroy web; undefine web");
	fake.out_pages = 0;
	fake.available = 1 << 20;
	fake.balloon = NULL;
}

static uint32_t pixel(unsigned x, unsigned y)
{
	return (x * 7 ^ y * 3) & 1023 ? x * y : y;
}

static struct fake_screen screen;
static uint8_t streamed[1 << 18];
static size_t streamed_count;

static int take_stream(void *arg, const void *data, size_t n)
{
	(void)arg;
	assert_true(streamed_count + n <= sizeof(streamed));
	memcpy(streamed + streamed_count, data, n);
	streamed_count += n;
	return 0;
}

/* Lines of base64; what ends them. */
static const char *decode(const char *text, uint8_t *out, size_t *n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (*n = 0; *text != '-'; text += 2) {
		const char *start = text;

		for (; *text != '\r'; text += 4) {
			uint32_t v = 0;

			for (unsigned i = 0; i < 4; i++)
				v = v << 6 | (uint32_t)(text[i] == '=' ? 0 :
						 strchr(digits, text[i]) - digits);
			out[(*n)++] = (uint8_t)(v >> 16);
			out[(*n)++] = (uint8_t)(v >> 8);
			out[(*n)++] = (uint8_t)v;
			*n -= (text[2] == '=') + (text[3] == '=');
		}
		assert_in_range(text - start, 4, 76);
		assert_memory_equal(text, "\r\n", 2);
	}
	return text;
}

/* What is printed is what the verb streams, for each length of a last line. */
static void screenshot(void **state)
{
	static uint8_t printed[sizeof(streamed)];
	static const char begin[] = "-----BEGIN PNG-----\r\n";

	(void)state;
	screen = (struct fake_screen){ .mode = { .width = 300 }, .pixel = pixel };
	has(run("screenshot debian"), "error: domain 'debian' is shut off");
	run("start debian");
	has(run("screenshot debian"), "error: domain 'debian' has no screen: 'video = vga'");
	fake.screen = &screen;
	has(run("screenshot debian"), "shows nothing yet");
	for (screen.mode.height = 1; screen.mode.height < 60; screen.mode.height++) {
		struct verb_call c = { .arg = { "debian" }, .put = take_stream };
		const char *out = run("screenshot debian");
		size_t n;

		assert_memory_equal(out, begin, strlen(begin));
		assert_string_equal(decode(out + strlen(begin), printed, &n), "-----END PNG-----\r\n");
		streamed_count = 0;
		assert_int_equal(verb_run(&verb_table[VERB_SCREENSHOT], &c), 0);
		verb_end(&c);
		assert_int_equal(n, streamed_count);
		assert_memory_equal(printed, streamed, n);
	}
	budget = 23;
	waits = 0;
	interrupt_at = 40;
	fast_after = 45;
	has(run("screenshot debian"), "error: the picture was given up\r\n");
	assert_null(strstr(output, "END PNG"));
	budget = ~0ul;
	fake.screen = NULL;
}

static void set_row(unsigned row, const char *text)
{
	for (unsigned i = 0; text[i]; i++)
		screen.cell[row][i] = (uint16_t)(0x0700 | (uint8_t)text[i]);
}

static void text_screen(void)
{
	memset(&screen, 0, sizeof(screen));
	screen.mode = (struct vvga_mode){
		.text = true, .width = 720, .height = 400, .columns = 80, .rows = 25,
		.cell_height = 16, .cursor_shown = true,
	};
	screen.pixel = pixel;
	fake.screen = &screen;
	fake.key_count = 0;
	set_row(0, "BIOS");
	run("start debian");
}

/* Some frames later: what came meanwhile. */
static const char *later(void)
{
	static char text[65536];
	size_t n = 0;

	host_waits = 0;
	for (unsigned i = 0; i < 600; i++) {
		const char *out = type("");

		memcpy(text + n, out, output_length);
		n += output_length;
		assert_true(n < sizeof(text));
	}
	text[n] = 0;
	return text;
}

static void keys_are(const char *codes, unsigned n)
{
	assert_int_equal(fake.key_count, n);
	assert_memory_equal(fake.keys, codes, n);
	fake.key_count = 0;
}

/* What is on it is drawn, then what changes, then that it is none of text; and it ends. */
static void screen_drawn(void **state)
{
	(void)state;
	has(run("console debian --screen"), "error: domain 'debian' is shut off");
	run("start debian");
	has(run("console debian --screen"), "error: domain 'debian' has no screen");
	has(run("console debian hvc0 --screen"), "error: '--screen' goes without the name of a port");
	text_screen();
	has(type("console debian --screen\r"), "Connected to the screen of domain 'debian'\r\n"
	    "Escape character is ^] (Ctrl + ])\r\n\x1b[?1049h\x1b[?7l\x1b[999;999H\x1b[6n");
	has(type("\x1b[24;80R"), "\x1b[H\x1b[2J\x1b[?25l\x1b[1;1HBIOS\x1b[1;1H\x1b[?25h");
	assert_string_equal(later(), "");
	set_row(3, "Booting");
	screen.mode.cursor_row = 4;
	assert_string_equal(later(), "\x1b[?25l\x1b[4;1HBooting\x1b[5;1H\x1b[?25h");
	/* Its last row is the 25th, and the terminal has 24. */
	screen.mode.cursor_row = 24;
	set_row(24, "$");
	has(later(), "\x1b[3;1HBooting\x1b[4;1H       \x1b[24;1H$\x1b[24;1H\x1b[?25h");
	screen.mode.cursor_row = 30;
	has(later(), "\x1b[?25l");
	screen.mode.text = false;
	screen.mode.width = 1024;
	has(later(), "\x1b[H\x1b[2JGraphics, 1024 x 400: 'screenshot debian' shows it");
	assert_string_equal(later(), "");
	screen.mode.blank = true;
	has(later(), "The guest's screen is dark");
	screen.mode.text = true;
	screen.mode.blank = false;
	has(later(), "\x1b[1;1HBIOS\x1b[4;1HBooting");
	has(type("\x1d"), "\x1b[?1049l");
	has(output, "\r\nLeft the screen of domain 'debian'\r\nkeel> ");
	assert_string_equal(run("echo fine"), "fine\r\n");
	fake.screen = NULL;
}

/* Without the terminal's answer all of it is drawn, whatever its size. */
static void screen_of_any_size(void **state)
{
	(void)state;
	text_screen();
	screen.mode.columns = screen.mode.rows = 1000;
	set_row(VVGA_ROWS_MAX - 1, "last");
	type("console debian --screen\r");
	has(later(), "\x1b[100;1Hlast");
	screen.mode.columns = screen.mode.rows = 0;
	has(later(), "\x1b[2J");
	screen.mode.columns = screen.mode.rows = 1;
	has(later(), "\x1b[1;1HB");
	type("\x1d");
	fake.screen = NULL;
}

static void screen_keys(void **state)
{
	(void)state;
	text_screen();
	type("console debian --screen\r");
	type("aB");
	keys_are("\x1e\1\x1e", 4);
	type("");
	keys_are("", 0);		/* not at once: a BIOS keeps 15 */
	fake.key_count = 0;
	later();
	keys_are("\x2a\1\x30\1\x30\0\x2a", 8);
	type("aB");
	later();
	keys_are("\x1e\1\x1e\0\x2a\1\x30\1\x30\0\x2a", 12);
	type("\x03\x1b[A");
	later();
	keys_are("\x1d\1\x2e\1\x2e\0\x1d\0\xc8\1\xc8", 12);
	type("\x1b");
	keys_are("", 0);
	later();
	keys_are("\1\1\1", 4);
	/* No room: they come later, in their order, and Ctrl-] is not one of them. */
	fake.keys_full = 40;
	type("xy");
	later();
	keys_are("\x2d\1\x2d\0\x15\1\x15", 8);
	fake.keys_full = ~0u;
	type("z");
	for (unsigned i = 0; i < 600; i++)
		type("x");
	has(output, "\a");
	type("\x1d");
	has(later(), "Left the screen of domain 'debian'");
	keys_are("", 0);
	/* What was typed before it is still pressed. */
	fake.keys_full = 0;
	type("console debian --screen\r");
	fake.keys_full = 4;
	type("qr\x1d");
	later();
	keys_are("\x10\1\x10\0\x13\1\x13", 8);
	fake.key_error = -EPERM;
	type("console debian --screen\r");
	type("q\x1d");
	has(later(), "Left");
	keys_are("", 0);
	fake.key_error = 0;
	fake.screen = NULL;
}

/* A reboot is seen through, the end of its life is not. */
static void screen_of_a_guest_that_ends(void **state)
{
	(void)state;
	text_screen();
	type("console debian --screen\r\x1b[24;80R");
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	assert_null(strstr(later(), "shut off"));
	set_row(0, "again");
	has(later(), "again");
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	has(later(), "\r\nDomain 'debian' is shut off\r\n");
	has(output, "");
	run("start debian");
	type("console debian --screen\r\x1b[24;80R");
	fake.screen = NULL;
	has(later(), "error: domain 'debian' has no screen");
}

/* --- definitions, jobs, verbs */

static void defined_and_forgotten(void **state)
{
	const char *out;

	(void)state;
	assert_string_equal(run("define web memory=64M kernel=vmlinuz 'cmdline=a  b' vcpus=2"),
			    "Domain 'web' defined\r\n");
	out = run("dumpconf web");
	has(out, "[vm web]\r\ncmdline = a  b\r\nkernel = vmlinuz\r\nmemory = 64M\r\nuuid = ");
	has(out, "\r\nvcpus = 2\r\n");
	assert_string_equal(run("start web; setvcpus web 4 --config"),
			    "Domain 'web' started\r\n"
			    "Domain 'web' has other vCPUs from its next start\r\n");
	has(run("dumpconf web"), "vcpus = 2");
	has(run("dumpconf web --inactive"), "vcpus = 4");
	has(run("setmaxmem web 32M"), "error: the memory of a running guest cannot be changed");
	has(run("setmaxmem web 1T --config"), "a number with K, M or G");
	has(run("schedinfo web --set cpu_shares=512"),
	    "Scheduler      : fair\r\ncpu_shares     : 512\r\nvcpu_period    : 100000\r\n"
	    "vcpu_quota     : -1\r\nglobal_period  : 100000\r\nglobal_quota   : -1\r\n");
	has(run("schedinfo web vcpu_quota=5000 --config"), "cpu_shares     : 1024");
	has(run("dumpconf web --inactive"), "vcpu_quota = 5000");
	has(run("schedinfo web cpu_shares"), "error: 'cpu_shares' is not right");
	has(run("schedinfo web nonsense=1"), "is none of its parameters");
	has(run("schedinfo web cpu_shares=x"), "2 to 262144 are allowed");
	assert_string_equal(run("vcpupin web 1 1; vcpupin web"),
			    " VCPU   CPU Affinity\r\n----------------------\r\n"
			    " 0      0-1\r\n 1      1\r\n");
	has(run("vcpuinfo web"), "CPU Affinity:   -y\r\n");
	has(run("vcpupin web 1 --config"), "\r\n 1      0-1\r\n");
	assert_string_equal(run("vcpupin web --vcpu 0 --cpulist 0 --config; vcpupin web 1 r"), "");
	has(run("dumpconf web --inactive"), "vcpupin = 0:0\r\n");
	has(run("vcpupin web 4 0"), "error: domain 'web' has no vCPU 4");
	has(run("vcpupin web x 0"), "error: '--vcpu' wants a number, not 'x'");
	has(run("vcpupin web 0 0-"), "a list of CPUs is wanted");
	has(run("vcpupin web 0 0 --live --current"), "goes with neither");
	assert_string_equal(run("autostart web; autostart web --disable"),
			    "Domain 'web' marked as autostarted\r\n"
			    "Domain 'web' unmarked as autostarted\r\n");
	assert_string_equal(run("undefine web; destroy web"),
			    "Domain 'web' has been undefined\r\nDomain 'web' destroyed\r\n");
	has(run("dominfo web"), "error: no domain has the name");
	/* Transient from the start. */
	assert_string_equal(run("create once memory=4M kernel=k"), "Domain 'once' started\r\n");
	has(run("dominfo once"), "Persistent:     no\r\n");
	run("destroy once");
	has(run("start once"), "error: no domain has the name");
	fake.fail_load = -EINVAL;
	has(run("create once memory=4M kernel=k"), "error: domain 'once': the kernel is no kernel");
	has(run("start once"), "error: no domain has the name");
}

static void bad_definitions(void **state)
{
	static const struct { const char *line, *says; } rows[] = {
		{ "define web", "VM 'web' has no kernel, nor firmware (and 1 more mistakes)" },
		{ "define web memory=64M", "line 1: VM 'web' has no kernel" },
		{ "define web kernel", "line 2: 'kernel' is neither a section nor KEY = VALUE" },
		{ "define a]b memory=64M kernel=k", "name 'a]b' is not right" },
		{ "define 12 memory=64M kernel=k", "looks like an id" },
		{ "define web memory=64M kernel=k '[vm two]'", "has no kernel" },
		{ "define web memory=64M kernel=k 'cmdline=a #b'", "begin a comment" },
		{ "define web memory=64M kernel=k colour=red", "unknown key 'colour'" },
		{ "define debian memory=64M kernel=k", "is defined already, with another UUID" },
		{ "undefine web", "no domain has the name" },
		{ "setvcpus debian", "requires <value>" },
		{ "domjobabort debian", "has no job" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		const char *out = run(rows[i].line);

		assert_int_equal(strncmp(out, "error: ", 7), 0);
		has(out, rows[i].says);
	}
	has(run("list --all --name"), "debian\r\ndebian2\r\nzebra\r\n");
}

static void defined_line_by_line(void **state)
{
	(void)state;
	has(type("define\r"), "then a lone '.':\r\nconf> ");
	type("[vm web]\rmemory = 64M\r");
	has(type("kernel = k ; the kernel\r.\r"), "Domain 'web' defined\r\nkeel> ");
	/* What dumpconf shows can be typed. */
	has(type("define\r[vm web]\rmemory = 32M\rkernel = k\rmodule = a b\rmodule = c\r.\r"),
	    "Domain 'web' defined");
	has(run("dumpconf web"), "memory = 32M\r\nmodule = a b\r\nmodule = c\r\n");
	type("define\r[vm web]\r");
	has(type("\x03"), "error: interrupted, and nothing was defined\r\n");
	has(run("dumpconf web"), "memory = 32M");
	run("undefine web");
	has(run("dumpconf"), "[host]\r\nhostname = keel0\r\n[vm debian]\r\n");
}

static void jobs_are_shown(void **state)
{
	struct domain *d = list_entry(domain_list.next, struct domain, link);
	struct mgmt_error err;
	struct job *j;

	(void)state;
	assert_int_equal(domain_start_begin(d, &j, &err), 0);
	waits = 0;
	has(run("domstate debian --reason"), "paused (starting up)\r\n");
	job_put(j);
	run("destroy debian");
	has(run("jobs"), " Name   Job   Elapsed   Processed\r\n");
	assert_string_equal(run("domjobinfo debian"), "Job type:       None\r\n");
	has(run("domjobinfo debian --completed"),
	    "Job type:       Completed\r\nOperation:      start\r\nOutcome:        done\r\nTime");
	has(run("domjobinfo debian --completed"),
	    "Data processed: 0 KiB\r\nData remaining: 0 KiB\r\nData total:     0 KiB\r\n");
}

/* Each command that is a verb's has the verb's arguments. */
static void commands_are_verbs(void **state)
{
	static const uint8_t kinds[] = {
		[VERB_DOMAIN] = OPTION_TEXT, [VERB_TEXT] = OPTION_TEXT, [VERB_FLAG] = OPTION_FLAG,
		[VERB_NUMBER] = OPTION_NUMBER,
	};

	(void)state;
	for (unsigned i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verb_table[i];
		const struct command *c = command_find(v->name);
		unsigned n = 0;

		assert_ptr_equal(verb_find(v->name), v);
		assert_non_null(c);
		assert_true(!v->run != !v->on_domain);
		for (const struct verb_arg *a = v->arg; a->name; a++, n++) {
			const struct option *o = command_option(c, a->name, strlen(a->name));

			if (i == VERB_DEFINE)		/* its text is typed otherwise */
				continue;
			assert_non_null(o);
			/* Its words are one text. */
			if (o->kind != OPTION_REST)
				assert_int_equal(o->kind, kinds[a->kind]);
			/* The shell asks for the numbers of all domains one after the other. */
			assert_int_equal(o->required, a->required && i != VERB_DOMSTATS);
			if (a->kind == VERB_DOMAIN)
				assert_int_not_equal(o->what, WHAT_NOTHING);
		}
		assert_in_range(n, 0, VERB_ARGS);
	}
	assert_null(verb_find("nonsense"));
}

/* What another caller than the shell may do wrong. */
static void verbs_check_arguments(void **state)
{
	struct verb_call c = { .arg = { NULL } };

	(void)state;
	assert_int_equal(verb_run(&verb_table[VERB_DOMINFO], &c), -EINVAL);
	assert_non_null(strstr(c.error.message, "'dominfo' wants a domain"));
	verb_end(&c);
	c.arg[0] = "nobody";
	assert_int_equal(verb_run(&verb_table[VERB_DESTROY], &c), -ENOENT);
	verb_end(&c);
	c.arg[0] = "debian";
	assert_int_equal(verb_run(&verb_table[VERB_SETVCPUS], &c), -EINVAL);
	verb_end(&c);
	assert_int_equal(verb_run(&verb_table[VERB_DOMINFO], &c), 0);
	assert_string_equal(((struct answer_dominfo *)records_at(&c.answer, 0))->info.name, "debian");
	verb_end(&c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(prompt_and_echo), TEST(table), TEST(life), TEST(fields), TEST(mistakes),
		TEST(long_line), TEST(completion), TEST(log_lines_go_above), TEST(console),
		TEST(channels), TEST(ballooned), TEST(screenshot),
		TEST(screen_drawn), TEST(screen_of_any_size), TEST(screen_keys),
		TEST(screen_of_a_guest_that_ends),
		TEST(console_of_a_paused_guest), TEST(console_of_a_guest_that_ends),
		TEST(console_through_a_restart), TEST(console_drops_the_oldest), TEST(interrupt),
		TEST(start_and_wait), TEST(waiting_ends), TEST(batch), TEST(typing_ahead),
		TEST(slow_line), TEST(defined_and_forgotten), TEST(bad_definitions),
		TEST(defined_line_by_line), TEST(jobs_are_shown), TEST(commands_are_verbs),
		TEST(verbs_check_arguments), TEST(diagnosis_by_one_key), TEST(noise),
	};

	return cmocka_run_group_tests(tests, setup_all, NULL);
}
