/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that change a domain. Verbs return when they are accepted; a person wants to see the
 * end, so destroy and reset wait for it (Ctrl-C stops the waiting, not the verb), and start does
 * when asked: a line of `start NAME --wait` for each is a batch.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/job.h"
#include "mgmt/node.h"
#include "shell/commands.h"
#include "shell/editor.h"
#include "shell/tty.h"

#define LOOK_NS	10000000	/* between two looks for Ctrl-C */

/* The domain that the option "domain" names, a reference; NULL after it has said why not. */
static struct domain *named_domain(const struct command_args *a)
{
	struct mgmt_error err;
	struct domain *d;

	if (!domain_find(command_text(a, "domain"), &d, &err))
		return d;
	(void)command_fail(&err);
	return NULL;
}

/* Until the domain's vm is neither going nor being started again. */
static bool settled(struct domain *d)
{
	struct domain_info i;

	for (;;) {
		domain_info_get(d, &i);
		if (!i.busy)
			return true;
		if (tty_interrupted()) {
			tty_text("Not waiting any longer; it goes on in the background\n");
			return false;
		}
		tty_wait_some();
	}
}

/* What is said when a verb is done: "Domain 'debian' destroyed". */
static const char *const done[VERB_COUNT] = {
	[VERB_DESTROY] = "destroyed", [VERB_DOMJOBABORT] = "was asked to give up its job",
	[VERB_INJECT_NMI] = "received an NMI", [VERB_REBOOT] = "is being rebooted",
	[VERB_RESET] = "was reset", [VERB_RESUME] = "resumed",
	[VERB_SETMAXMEM] = "has other memory from its next start",
	[VERB_SETMEM] = "is asked to have that much memory",
	[VERB_SETVCPUS] = "has other vCPUs from its next start",
	[VERB_SHUTDOWN] = "is being shutdown", [VERB_SUSPEND] = "suspended",
	[VERB_UNDEFINE] = "has been undefined", [VERB_DEFINE] = "defined",
	[VERB_AUTOSTART] = "marked as autostarted",
};

int commands_ask(enum verb_id id, const char *first, struct verb_call *c)
{
	*c = (struct verb_call){ .arg = { first } };
	return verb_run(&verb_table[id], c);
}

int commands_call(const struct command_args *a, enum verb_id id, struct verb_call *c)
{
	const struct verb *v = &verb_table[id];
	int e;

	for (unsigned i = 0; v->arg[i].name; i++)
		if (!c->arg[i])
			c->arg[i] = command_text(a, v->arg[i].name);
	e = verb_run(v, c);
	return e ? command_fail(&c->error) : 0;
}

int commands_text(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	const struct answer_text *t;
	int e = commands_call(a, (enum verb_id)(verb_find(a->command->name) - verb_table), &c);

	if (!e)
		records_for_each(t, &c.answer)
			if (!tty_interrupted())
				tty_text(t->text);
	verb_end(&c);
	return e;
}

/* Runs the verb of the command's name and says what came of it. */
static int run_verb(const struct command_args *a)
{
	enum verb_id id = (enum verb_id)(verb_find(a->command->name) - verb_table);
	struct verb_call c = { .arg = { NULL } };
	const char *said = done[id];
	int e = commands_call(a, id, &c);

	/* These end later: a person wants to see that. */
	if (!e && (id == VERB_DESTROY || id == VERB_RESET) && !settled(c.domain))
		said = NULL;
	if (id == VERB_AUTOSTART && command_flag(a, "disable"))
		said = "unmarked as autostarted";
	if (!e && said)
		tty_print("Domain '%s' %s\n", domain_name(c.domain), said);
	verb_end(&c);
	return e;
}

static int on_domain(const struct command_args *a, int (*fn)(struct domain *d))
{
	struct domain *d = named_domain(a);
	int e;

	if (!d)
		return -ENOENT;
	e = fn(d);
	domain_put(d);
	return e;
}

/* --- start, and waiting for the end */

static int say_end(const struct domain_info *i)
{
	switch (i->end) {
	case END_EXIT:
		tty_print("Domain '%s' has exited with code %u\n", i->name, i->exit_code);
		return 0;
	case END_POWER_OFF:
		tty_print("Domain '%s' has powered off\n", i->name);
		return 0;
	case END_RESET:
		tty_print("Domain '%s' has reset itself\n", i->name);
		return 0;
	case END_CRASH:
		return command_error(-EIO, "domain '%s' has crashed: %s", i->name, i->crash);
	case END_DESTROYED:
		return command_error(-EINTR, "domain '%s' was destroyed", i->name);
	case END_FAILED:
	case END_NONE:
		break;
	}
	return command_error(-EIO, "domain '%s' could not be started anew: see 'dmesg'", i->name);
}

/* Restarts by policy are part of the run: it has ended when nothing follows. */
static int wait_end(struct domain *d, uint64_t seconds)
{
	uint64_t begin = node_uptime_ns();
	struct domain_info i;

	for (;;) {
		domain_info_get(d, &i);
		if (i.ended)
			return say_end(&i);
		if (tty_interrupted()) {
			tty_print("Not waiting any longer; domain '%s' goes on\n", i.name);
			return -EINTR;
		}
		if ((node_uptime_ns() - begin) / 1000000000 >= seconds)
			return command_error(-ETIMEDOUT, "domain '%s' has not ended within %lu s and "
					     "goes on: 'destroy' ends it", i.name, seconds);
		tty_wait_some();
	}
}

/* Until it runs; Ctrl-C ends the waiting. */
static int wait_started(struct domain *d, struct job *j)
{
	while (!job_wait(j, node_uptime_ns() + LOOK_NS)) {
		if (tty_interrupted()) {
			tty_print("Not waiting any longer; 'domjobabort %s' ends its start\n",
				  domain_name(d));
			return -EINTR;
		}
	}
	if (!j->result)
		tty_print("Domain '%s' started\n", domain_name(d));
	else if (settled(d))
		(void)command_fail(&j->error);
	return j->result;
}

static int start(struct domain *d)
{
	struct verb_call c;
	int e = commands_ask(VERB_START, domain_name(d), &c);

	e = e ? command_fail(&c.error) : wait_started(d, c.job);
	verb_end(&c);
	return e;
}

int commands_wait_job(struct verb_call *c)
{
	struct verb_call abort;
	bool asked = false;

	while (!job_wait(c->job, node_uptime_ns() + LOOK_NS))
		if (tty_interrupted() && !asked) {
			asked = true;
			(void)!commands_ask(VERB_DOMJOBABORT, domain_name(c->domain), &abort);
			verb_end(&abort);
		}
	return c->job->result ? command_fail(&c->job->error) : 0;
}

static int run_console(const struct command_args *a)
{
	const char *name = command_text(a, "devname");
	bool screen = command_flag(a, "screen");
	struct domain *d;
	int e;

	if (screen && name)
		return command_error(-EINVAL, "'--screen' goes without the name of a port");
	d = named_domain(a);
	if (!d)
		return -ENOENT;
	e = screen ? screen_console(d) : console_command(d, name);
	domain_put(d);
	return e;
}

static int run_start(const struct command_args *a)
{
	bool wait = command_flag(a, "wait");
	struct domain *d;
	int e;

	if (command_text(a, "timeout") && !wait)
		return command_error(-EINVAL, "'--timeout' wants '--wait' beside it");
	e = on_domain(a, start);
	if (!e && command_flag(a, "console"))
		e = run_console(a);
	if (e || !wait)
		return e;
	d = named_domain(a);
	if (!d)
		return -ENOENT;
	e = wait_end(d, command_number(a, "timeout", ~0ull));
	domain_put(d);
	return e;
}

/* --- definitions */

/*
 * "NAME KEY=VALUE..." as the section it stands for; false: what it says would be cut. A word has no
 * newline, so nothing but its own line comes of it.
 */
static bool make_section(const struct command_args *a, char *text, size_t size)
{
	size_t n = (size_t)format(text, size, "[vm %s]\n", command_text(a, "name"));

	for (unsigned i = 0; i < a->rest_count; i++) {
		const char *word = a->rest[i];

		for (const char *p = word; *p; p++)
			if ((*p == ';' || *p == '#') && (p == word || p[-1] == ' '))
				return false;
		n += (size_t)format(text + n, size - n, "%s\n", word);
	}
	return true;
}

/* Lines until one that is a lone '.'. */
static int read_section(char *text, size_t size)
{
	static struct editor e;
	static struct history none;
	size_t n = 0;
	int key;

	tty_text("The lines of a section [vm NAME] as in keel.conf, then a lone '.':\n");
	editor_init(&e, "conf> ", &none, tty_write);
	while (!tty_interrupted()) {
		enum editor_result r = EDITOR_MORE;

		editor_draw(&e);
		if (!tty_typed())
			tty_wait_some();
		while (r == EDITOR_MORE && (key = tty_get()) >= 0)
			r = editor_key(&e, (uint8_t)key);
		if (r == EDITOR_LINE && !strcmp(e.text, "."))
			return 0;
		if (r == EDITOR_TOO_LONG || n + e.length + 2 > size)
			return command_error(-E2BIG, "that is too long, and nothing was defined");
		if (r != EDITOR_LINE)
			continue;
		n += (size_t)format(text + n, size - n, "%s\n", e.text);
		editor_begin(&e);
	}
	editor_leave(&e);
	return command_error(-EINTR, "interrupted, and nothing was defined");
}

/* It may have gone by itself. */
static void forget(const char *domain)
{
	struct verb_call c;

	(void)!commands_ask(VERB_UNDEFINE, domain, &c);
	verb_end(&c);
}

static int define(const struct command_args *a, const char *transient)
{
	static char text[16384];		/* the shell has one thread */
	struct verb_call c = { .arg = { text, transient } };
	int e = 0;

	if (!command_text(a, "name"))
		e = read_section(text, sizeof(text));
	else if (!make_section(a, text, sizeof(text)))
		e = command_error(-EINVAL, "; and # behind a blank begin a comment, which no value "
				  "can have");
	if (e)
		return e;
	e = commands_call(a, VERB_DEFINE, &c);
	if (!e && transient) {
		e = start(c.domain);
		if (e)
			forget(domain_name(c.domain));
	} else if (!e) {
		tty_print("Domain '%s' %s\n", domain_name(c.domain), done[VERB_DEFINE]);
	}
	verb_end(&c);
	return e;
}

static int run_define(const struct command_args *a)
{
	return define(a, NULL);
}

static int run_create(const struct command_args *a)
{
	return define(a, "");
}

/* The words of the last option as one text; it stays until the next call. */
static const char *rest_of(const struct command_args *a)
{
	static char text[1024];			/* the shell has one thread */
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < a->rest_count && n < sizeof(text); i++)
		n += (size_t)format(text + n, sizeof(text) - n, "%s%s", i ? " " : "", a->rest[i]);
	return text;
}

static int run_send_mouse(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL, rest_of(a) } };
	int e = commands_call(a, VERB_SEND_MOUSE, &c);

	verb_end(&c);
	return e;
}

static int run_send_key(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL, rest_of(a) } };
	const char *codeset = command_text(a, "codeset");
	int e;

	if (codeset && strcmp(codeset, "linux"))
		return command_error(-EINVAL, "the codeset is 'linux': there is no other");
	e = commands_call(a, VERB_SEND_KEY, &c);
	verb_end(&c);
	return e;
}

static const struct option active[] = { OPTION_DOMAIN(WHAT_ACTIVE), OPTION_LAST };
static const struct option console_options[] = {
	OPTION_DOMAIN(WHAT_ACTIVE),
	{ "devname", "serial0 (if none is given), hvc0, or the name of a channel", OPTION_TEXT,
	  WHAT_NOTHING, false, true },
	OPTION_SWITCH("screen", "its screen, where that shows text, and its keyboard"),
	OPTION_LAST
};
static const struct option any[] = { OPTION_DOMAIN(WHAT_DOMAIN), OPTION_LAST };
static const struct option autostart_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	OPTION_SWITCH("disable", "not any more"),
	OPTION_LAST
};
static const struct option set_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	{ "value", "as in keel.conf", OPTION_TEXT, WHAT_NOTHING, true, true },
	OPTION_SWITCH("config", "what holds from its next start"),
	OPTION_LAST
};
static const struct option send_key_options[] = {
	OPTION_DOMAIN(WHAT_ACTIVE),
	{ "codeset", "linux: there is no other", OPTION_TEXT, WHAT_NOTHING, false, false },
	{ "holdtime", "milliseconds until they are released", OPTION_NUMBER, WHAT_NOTHING, false,
	  false },
	{ "keys", "KEY_A and so on, or numbers", OPTION_REST, WHAT_NOTHING, true, true },
	OPTION_LAST
};
static const struct option send_mouse_options[] = {
	OPTION_DOMAIN(WHAT_ACTIVE),
	{ "motion", "how far to the right and down, then buttons", OPTION_REST, WHAT_NOTHING, true,
	  true },
	OPTION_LAST
};
static const struct option setmem_options[] = {
	OPTION_DOMAIN(WHAT_ACTIVE),
	{ "value", "as in keel.conf", OPTION_TEXT, WHAT_NOTHING, true, true },
	OPTION_SWITCH("live", "of the guest that runs: there is no other"),
	OPTION_LAST
};
static const struct option dumpconf_options[] = {
	{ "domain", "name, id or UUID; the host and all domains if none is given", OPTION_TEXT,
	  WHAT_DOMAIN, false, true },
	OPTION_SWITCH("inactive", "of a running one, what holds from its next start"),
	OPTION_LAST
};
static const struct option dumpxml_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	OPTION_SWITCH("inactive", "of a running one, what holds from its next start"),
	OPTION_LAST
};
static const struct option define_options[] = {
	{ "name", "of the domain", OPTION_TEXT, WHAT_DOMAIN, false, true },
	{ "settings", "KEY=VALUE, as lines of keel.conf", OPTION_REST, WHAT_NOTHING, false, true },
	OPTION_LAST
};
static const struct option start_options[] = {
	OPTION_DOMAIN(WHAT_INACTIVE),
	OPTION_SWITCH("console", "attach to its console when it runs"),
	OPTION_SWITCH("wait", "wait until it has ended, and say how"),
	{ "timeout", "seconds to wait at most", OPTION_NUMBER, WHAT_NOTHING, false, false },
	OPTION_LAST
};

const struct command domain_commands[] = {
	{ "autostart", "start a domain when the host starts, or not", NULL, autostart_options,
	  run_verb },
	{ "console", "connect to the guest's serial console, or to a port of it by name",
	  "What it printed while nobody was connected comes first. Ctrl-] leaves; it goes on.\n"
	  "    With --screen what its screen shows is drawn here, and what is typed is keys of a US\n"
	  "    keyboard; ESC before a character is Alt. 'send-key' has those that no terminal has.\n"
	  "    A guest can print anything, 'keel> ' too: Ctrl-] always ends in Keel's own prompt.",
	  console_options, run_console },
	{ "create", "define a domain that goes when it is shut off, and start it",
	  "As define: create NAME memory=64M kernel=vmlinuz", define_options, run_create },
	{ "define", "define a domain, or give it another configuration",
	  "define NAME memory=64M kernel=vmlinuz 'cmdline=console=ttyS0 quiet', or, without a name,\n"
	  "    its section of keel.conf line by line. It holds from the next start, and until the\n"
	  "    host is switched off.", define_options, run_define },
	{ "destroy", "end a domain at once, as pulling its plug does", NULL, active, run_verb },
	{ "domjobabort", "ask a domain's job to give up",
	  "A start and the checks can be; 'event' and 'domjobinfo --completed' tell what came of it.",
	  any, run_verb },
	{ "dumpconf", "a domain's section of keel.conf", NULL, dumpconf_options, commands_text },
	{ "dumpxml", "a domain in libvirt's XML", NULL, dumpxml_options, commands_text },
	{ "inject-nmi", "send an NMI to the guest", NULL, active, run_verb },
	{ "reboot", "ask the guest to shut down, and start it again then",
	  "Presses the power button. A guest that does not listen goes on: 'reset' does not ask.\n"
	  "    The host itself is rebooted by 'poweroff --reboot'.",
	  active, run_verb },
	{ "reset", "start a domain anew at once, as its reset button does", NULL,
	  active, run_verb },
	{ "resume", "let a suspended domain go on", NULL, active, run_verb },
	{ "screenshot", "what the guest's screen shows, as a picture",
	  "A PNG in base64, for tools/screenshot to take out of what your terminal has recorded. The\n"
	  "    guest goes on; what it draws meanwhile may be seen in part. Ctrl-C gives it up.",
	  active, screenshot_command },
	{ "send-key", "press keys of a guest's keyboard together, and release them",
	  "By libvirt's names: send-key web KEY_LEFTCTRL KEY_LEFTALT KEY_DELETE; or Linux's numbers.\n"
	  "    What the guest does not read is said.",
	  send_key_options, run_send_key },
	{ "send-mouse", "move a guest's mouse, and click",
	  "To the right and down, then its buttons: send-mouse web 40 -25 LEFT; RIGHT, MIDDLE, SIDE,\n"
	  "    EXTRA, and a notch UP or DOWN of the wheel.",
	  send_mouse_options, run_send_mouse },
	{ "setmaxmem", "the memory of a domain, as 64M", NULL, set_options, run_verb },
	{ "setmem", "the memory that a running domain has of what it may have, as 64M",
	  "Its balloon is asked for that: it needs 'device = virtio-balloon-pci' and a driver.\n"
	  "    'dommemstat' tells how far it is.", setmem_options, run_verb },
	{ "setvcpus", "how many vCPUs a domain has", NULL, set_options, run_verb },
	{ "shutdown", "ask the guest to shut down",
	  "Presses the power button. A guest that does not listen goes on: 'destroy' does not ask.",
	  active, run_verb },
	{ "start", "start a domain that is shut off",
	  "With --wait the last line says how it ended; Ctrl-C ends the waiting, not the domain.",
	  start_options, run_start },
	{ "suspend", "hold a domain, with its memory and its clock", NULL, active, run_verb },
	{ "undefine", "forget a domain; one that runs goes when it is shut off", NULL, any,
	  run_verb },
	{ 0 }
};
