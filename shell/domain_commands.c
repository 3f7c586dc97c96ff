/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that change a domain. Verbs return when they are accepted; a person wants to see the
 * end, so destroy and reset wait for it (Ctrl-C stops the waiting, not the verb), and start does
 * when asked: a line of `start NAME --wait` for each is a batch.
 */
#include "mgmt/job.h"
#include "mgmt/node.h"
#include "shell/commands.h"
#include "shell/tty.h"

#define LOOK_NS	10000000	/* between two looks for Ctrl-C */

struct domain *commands_domain(const struct command_args *a)
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

static int apply(const struct command_args *a,
		 int (*verb)(struct domain *d, struct mgmt_error *err), bool wait, const char *done)
{
	struct domain *d = commands_domain(a);
	struct mgmt_error err;
	int e;

	if (!d)
		return -ENOENT;
	e = verb(d, &err);
	if (e)
		(void)command_fail(&err);
	else if (!wait || settled(d))
		tty_print("Domain '%s' %s\n", domain_name(d), done);
	domain_put(d);
	return e;
}

static int on_domain(const struct command_args *a, int (*fn)(struct domain *d))
{
	struct domain *d = commands_domain(a);
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
	struct mgmt_error err;
	struct job *j;
	int e = domain_start_begin(d, &j, &err);

	if (e)
		return command_fail(&err);
	e = wait_started(d, j);
	job_put(j);
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
		e = on_domain(a, console_command);
	if (e || !wait)
		return e;
	d = commands_domain(a);
	if (!d)
		return -ENOENT;
	e = wait_end(d, command_number(a, "timeout", ~0ull));
	domain_put(d);
	return e;
}

static int run_shutdown(const struct command_args *a)
{
	return apply(a, domain_shutdown, false, "is being shutdown");
}

static int run_reboot(const struct command_args *a)
{
	return apply(a, domain_reboot, false, "is being rebooted");
}

static int run_reset(const struct command_args *a)
{
	return apply(a, domain_reset, true, "was reset");
}

static int run_destroy(const struct command_args *a)
{
	return apply(a, domain_destroy, true, "destroyed");
}

static int run_suspend(const struct command_args *a)
{
	return apply(a, domain_suspend, false, "suspended");
}

static int run_resume(const struct command_args *a)
{
	return apply(a, domain_resume, false, "resumed");
}

static int run_inject_nmi(const struct command_args *a)
{
	return apply(a, domain_inject_nmi, false, "received an NMI");
}

static int run_console(const struct command_args *a)
{
	return on_domain(a, console_command);
}

static const struct option active[] = { OPTION_DOMAIN(WHAT_ACTIVE), OPTION_LAST };
static const struct option start_options[] = {
	OPTION_DOMAIN(WHAT_INACTIVE),
	OPTION_SWITCH("console", "attach to its console when it runs"),
	OPTION_SWITCH("wait", "wait until it has ended, and say how"),
	{ "timeout", "seconds to wait at most", OPTION_NUMBER, WHAT_NOTHING, false, false },
	OPTION_LAST
};

const struct command domain_commands[] = {
	{ "console", "connect to the guest's serial console",
	  "What it printed while nobody was connected comes first. Ctrl-] leaves; it goes on.\n"
	  "    A guest can print anything, 'keel> ' too: Ctrl-] always ends in Keel's own prompt.",
	  active, run_console },
	{ "destroy", "end a domain at once, as pulling its plug does", NULL, active, run_destroy },
	{ "inject-nmi", "send an NMI to the guest", NULL, active, run_inject_nmi },
	{ "reboot", "ask the guest to shut down, and start it again then",
	  "Presses the power button. A guest that does not listen goes on: 'reset' does not ask.\n"
	  "    The host itself is rebooted by 'poweroff --reboot'.",
	  active, run_reboot },
	{ "reset", "start a domain anew at once, as its reset button does", NULL,
	  active, run_reset },
	{ "resume", "let a suspended domain go on", NULL, active, run_resume },
	{ "shutdown", "ask the guest to shut down",
	  "Presses the power button. A guest that does not listen goes on: 'destroy' does not ask.",
	  active, run_shutdown },
	{ "start", "start a domain that is shut off",
	  "With --wait the last line says how it ended; Ctrl-C ends the waiting, not the domain.",
	  start_options, run_start },
	{ "suspend", "hold a domain, with its memory and its clock", NULL, active, run_suspend },
	{ 0 }
};
