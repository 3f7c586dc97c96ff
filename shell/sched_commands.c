/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about how a domain is scheduled, in virsh's forms.
 */
#include "shell/commands.h"
#include "shell/tty.h"

static int run_vcpupin(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	const struct answer_pin *pin;
	int e = commands_call(a, VERB_VCPUPIN, &c);

	if (!e && c.answer.count)
		tty_text(" VCPU   CPU Affinity\n----------------------\n");
	if (!e)
		records_for_each(pin, &c.answer)
			tty_print(" %-6u %s\n", pin->vcpu, pin->cpus);
	verb_end(&c);
	return e;
}

static int run_schedinfo(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	const struct answer_parameter *p;
	int e = commands_call(a, VERB_SCHEDINFO, &c);

	if (!e) {
		tty_print("%-15s: %s\n", "Scheduler", "fair");
		records_for_each(p, &c.answer)
			tty_print("%-15s: %ld\n", p->name, p->value);
	}
	verb_end(&c);
	return e;
}

static const struct option schedinfo_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	{ "set", "PARAMETER=VALUE, one of those that are shown", OPTION_TEXT, WHAT_NOTHING, false,
	  true },
	OPTION_SWITCH("live", "of the guest that runs"),
	OPTION_SWITCH("config", "what holds from its next start"),
	OPTION_SWITCH("current", "the first if it runs, else the second; so without any"),
	OPTION_LAST
};
static const struct option vcpupin_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	{ "vcpu", "its number; all if none is given", OPTION_NUMBER, WHAT_NOTHING, false, true },
	{ "cpulist", "as 0-3,^2; r: as 'cpuset' says. What holds is shown if none is given",
	  OPTION_TEXT, WHAT_NOTHING, false, true },
	OPTION_SWITCH("live", "of the guest that runs"),
	OPTION_SWITCH("config", "what holds from its next start"),
	OPTION_SWITCH("current", "the first if it runs, else the second; so without any"),
	OPTION_LAST
};

const struct command sched_commands[] = {
	{ "schedinfo", "a domain's part of the CPUs",
	  "schedinfo web --set cpu_shares=2048 gives it twice the part of another; a quota is what\n"
	  "    all its vCPUs (global) or each (vcpu) may run in a period, in microseconds, -1: all.",
	  schedinfo_options, run_schedinfo },
	{ "vcpupin", "the CPUs that a domain's vCPUs may run on",
	  "vcpupin web 0 2-3 holds vCPU 0 to two CPUs. 'vcpuinfo' shows where they run.",
	  vcpupin_options, run_vcpupin },
	{ 0 }
};
