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
	{ "vcpupin", "the CPUs that a domain's vCPUs may run on",
	  "vcpupin web 0 2-3 holds vCPU 0 to two CPUs. 'vcpuinfo' shows where they run.",
	  vcpupin_options, run_vcpupin },
	{ 0 }
};
