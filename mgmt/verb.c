/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs; see mgmt/verb.h. No locks of its own.
 */
#include "mgmt/verb.h"

#include "include/bits.h"
#include "lib/string.h"
#include "mgmt/answers.h"
#include "mgmt/domain_screen.h"
#include "mgmt/shape.h"
#include "mgmt/text.h"
#include "mgmt/verb_run.h"
#include "mm/heap.h"

#define END	{ NULL, 0, false }

#define DOMAIN	{ "domain", VERB_DOMAIN, true }

static const struct verb_arg no_args[] = { END };
static const struct verb_arg one_domain[] = { DOMAIN, END };
static const struct verb_arg autostart_args[] = { DOMAIN, { "disable", VERB_FLAG, false }, END };
static const struct verb_arg change_media_args[] = {
	DOMAIN, { "path", VERB_TEXT, true }, { "source", VERB_TEXT, false },
	{ "eject", VERB_FLAG, false }, { "insert", VERB_FLAG, false },
	{ "update", VERB_FLAG, false }, { "force", VERB_FLAG, false },
	{ "live", VERB_FLAG, false }, { "config", VERB_FLAG, false },
	{ "current", VERB_FLAG, false }, END,
};
static const struct verb_arg check_args[] = { DOMAIN, { "rounds", VERB_NUMBER, false }, END };
static const struct verb_arg define_args[] = {
	{ "text", VERB_TEXT, true }, { "transient", VERB_FLAG, false }, END,
};
static const struct verb_arg domblkinfo_args[] = {
	DOMAIN, { "device", VERB_TEXT, true }, END,
};
static const struct verb_arg domblklist_args[] = {
	DOMAIN, { "inactive", VERB_FLAG, false }, END,
};
static const struct verb_arg dommemstat_args[] = {
	DOMAIN, { "period", VERB_NUMBER, false }, END,
};
static const struct verb_arg domstats_args[] = {	/* flags as enum domain_stat_group */
	DOMAIN, { "state", VERB_FLAG, false }, { "cpu-total", VERB_FLAG, false },
	{ "balloon", VERB_FLAG, false }, { "vcpu", VERB_FLAG, false },
	{ "exits", VERB_FLAG, false }, { "interface", VERB_FLAG, false }, END,
};
static const struct verb_arg domjobinfo_args[] = {
	DOMAIN, { "completed", VERB_FLAG, false }, END,
};
static const struct verb_arg dumpconf_args[] = {
	{ "domain", VERB_DOMAIN, false }, { "inactive", VERB_FLAG, false }, END,
};
static const struct verb_arg dumpxml_args[] = { DOMAIN, { "inactive", VERB_FLAG, false }, END };
static const struct verb_arg event_args[] = {
	{ "since", VERB_NUMBER, false }, { "domain", VERB_DOMAIN, false },
	{ "event", VERB_TEXT, false }, END,
};
static const struct verb_arg list_args[] = {
	{ "all", VERB_FLAG, false }, { "inactive", VERB_FLAG, false }, END,
};
static const struct verb_arg log_args[] = {
	{ "level", VERB_TEXT, false }, { "since", VERB_NUMBER, false }, END,
};
static const struct verb_arg nodecpustats_args[] = { { "cpu", VERB_NUMBER, false }, END };
static const struct verb_arg nodedev_args[] = { { "device", VERB_TEXT, true }, END };
static const struct verb_arg nodememstats_args[] = { { "cell", VERB_NUMBER, false }, END };
static const struct verb_arg poweroff_args[] = {
	{ "reboot", VERB_FLAG, false }, { "force", VERB_FLAG, false }, END,
};
static const struct verb_arg schedinfo_args[] = {
	DOMAIN, { "set", VERB_TEXT, false }, { "live", VERB_FLAG, false },
	{ "config", VERB_FLAG, false }, { "current", VERB_FLAG, false }, END,
};
static const struct verb_arg send_key_args[] = {
	DOMAIN, { "keys", VERB_TEXT, true }, { "holdtime", VERB_NUMBER, false }, END,
};
static const struct verb_arg send_mouse_args[] = {
	DOMAIN, { "motion", VERB_TEXT, true }, END,
};
static const struct verb_arg set_args[] = {
	DOMAIN, { "value", VERB_TEXT, true }, { "config", VERB_FLAG, false }, END,
};
static const struct verb_arg setmem_args[] = {
	DOMAIN, { "value", VERB_TEXT, true }, { "live", VERB_FLAG, false }, END,
};
static const struct verb_arg trace_args[] = { { "count", VERB_NUMBER, false }, END };
static const struct verb_arg vcpupin_args[] = {
	DOMAIN, { "vcpu", VERB_NUMBER, false }, { "cpulist", VERB_TEXT, false },
	{ "live", VERB_FLAG, false }, { "config", VERB_FLAG, false },
	{ "current", VERB_FLAG, false }, END,
};

static int run_autostart(struct verb_call *c)
{
	return domain_configure(c->domain, "autostart", c->arg[1] ? "no" : "yes", &c->error);
}

static int run_define(struct verb_call *c)
{
	return domain_define_text(c->arg[0], strlen(c->arg[0]), !c->arg[1], &c->domain, &c->error);
}

static int run_dommemcheck(struct verb_call *c)
{
	return domain_check_begin(c->domain, JOB_CHECK_MEMORY, c->arg[1] ? c->number[1] : 1,
				  &c->job, &c->error);
}

static int run_domstatecheck(struct verb_call *c)
{
	return domain_check_begin(c->domain, JOB_CHECK_STATE, c->arg[1] ? c->number[1] : 1,
				  &c->job, &c->error);
}

static int configure(struct verb_call *c, const char *key)
{
	if (!c->arg[2])
		return error_set(&c->error, -EINVAL, "the %s of a running guest cannot be changed: "
				 "'--config' changes what it has from its next start", key);
	return domain_configure(c->domain, key, c->arg[1], &c->error);
}

static int run_screenshot(struct verb_call *c)
{
	return domain_screenshot(c->domain, c->put, c->put_arg, &c->error);
}

static int run_send_key(struct verb_call *c)
{
	uint64_t hold = c->arg[2] ? c->number[2] : DOMAIN_HOLD;

	return domain_send_keys(c->domain, c->arg[1], hold, &c->error);
}

static int run_send_mouse(struct verb_call *c)
{
	return domain_send_mouse(c->domain, c->arg[1], &c->error);
}

static int run_setmaxmem(struct verb_call *c)
{
	return configure(c, "memory");
}

static int run_setmem(struct verb_call *c)
{
	uint64_t bytes;

	if (!config_size_parse(c->arg[1], &bytes))
		return error_set(&c->error, -EINVAL, "setmem: a number with K, M or G is wanted, as in "
				 "192M");
	return domain_memory_set(c->domain, bytes, &c->error);
}

static int run_dommemstat(struct verb_call *c)
{
	int e = c->arg[1] ? domain_memory_period(c->domain, c->number[1], &c->error) : 0;

	return e ?: domain_memory_stats(c->domain, &c->answer, &c->error);
}

static int run_setvcpus(struct verb_call *c)
{
	return configure(c, "vcpus");
}

static int run_start(struct verb_call *c)
{
	return domain_start_begin(c->domain, &c->job, &c->error);
}

int verb_run_text(struct verb_call *c, struct text *t)
{
	struct answer_text *a = records_add(&c->answer);
	char *text = text_take(t);

	if (a)
		a->text = text;
	else
		heap_free(text);
	c->answer.cut |= !text;
	return 0;
}

/* What it answers, one record or many, nothing, or bytes; or no more than it does to a domain. */
#define CALL(n, a, r, f)	{ n, a, &shape_##r, false, NULL, f, NULL }
#define LIST(n, a, r, f)	{ n, a, &shape_##r, true, NULL, f, NULL }
#define DO(n, a, f)		{ n, a, NULL, false, NULL, f, NULL }
#define STREAM(n, a, type, f)	{ n, a, NULL, false, type, f, NULL }
#define SIMPLE(n, f)		{ n, one_domain, NULL, false, NULL, NULL, f }

const struct verb verb_table[VERB_COUNT] = {
	[VERB_AUTOSTART] = DO("autostart", autostart_args, run_autostart),
	[VERB_CAPABILITIES] = CALL("capabilities", no_args, text, verb_run_capabilities),
	[VERB_CHANGE_MEDIA] = DO("change-media", change_media_args, verb_run_change_media),
	[VERB_DEFINE] = DO("define", define_args, run_define),
	[VERB_DESTROY] = SIMPLE("destroy", domain_destroy),
	[VERB_DOMBLKINFO] = CALL("domblkinfo", domblkinfo_args, disk, verb_run_domblkinfo),
	[VERB_DOMBLKLIST] = LIST("domblklist", domblklist_args, disk, verb_run_domblklist),
	[VERB_DOMINFO] = CALL("dominfo", one_domain, dominfo, verb_run_dominfo),
	[VERB_DOMJOBABORT] = SIMPLE("domjobabort", domain_job_abort),
	[VERB_DOMJOBINFO] = CALL("domjobinfo", domjobinfo_args, job, verb_run_domjobinfo),
	[VERB_DOMMEMCHECK] = DO("dommemcheck", check_args, run_dommemcheck),
	[VERB_DOMMEMSTAT] = LIST("dommemstat", dommemstat_args, stat, run_dommemstat),
	[VERB_DOMSTATECHECK] = DO("domstatecheck", check_args, run_domstatecheck),
	[VERB_DOMSTATS] = LIST("domstats", domstats_args, stat, verb_run_domstats),
	[VERB_DUMPCONF] = LIST("dumpconf", dumpconf_args, text, verb_run_dumpconf),
	[VERB_DUMPXML] = CALL("dumpxml", dumpxml_args, text, verb_run_dumpxml),
	[VERB_EVENT] = CALL("event", event_args, events, verb_run_event),
	[VERB_HOSTNAME] = CALL("hostname", no_args, hostname, verb_run_hostname),
	[VERB_INJECT_NMI] = SIMPLE("inject-nmi", domain_inject_nmi),
	[VERB_IRQS] = LIST("irqs", no_args, irq, verb_run_irqs),
	[VERB_JOBS] = LIST("jobs", no_args, job, verb_run_jobs),
	[VERB_LIST] = LIST("list", list_args, row, verb_run_list),
	[VERB_LOG] = LIST("dmesg", log_args, log, verb_run_log),
	[VERB_NODECPUSTATS] = LIST("nodecpustats", nodecpustats_args, cpu, verb_run_nodecpustats),
	[VERB_NODEDEV_DUMPXML] = CALL("nodedev-dumpxml", nodedev_args, text,
				      verb_run_nodedev_dumpxml),
	[VERB_NODEDEV_INFO] = CALL("nodedev-info", nodedev_args, device, verb_run_nodedev_info),
	[VERB_NODEDEV_LIST] = LIST("nodedev-list", no_args, device_name, verb_run_nodedev_list),
	[VERB_NODEINFO] = CALL("nodeinfo", no_args, nodeinfo, verb_run_nodeinfo),
	[VERB_NODEMEMSTATS] = CALL("nodememstats", nodememstats_args, memory, verb_run_nodememstats),
	[VERB_POWEROFF] = DO("poweroff", poweroff_args, verb_run_poweroff),
	[VERB_REBOOT] = SIMPLE("reboot", domain_reboot),
	[VERB_RESET] = SIMPLE("reset", domain_reset),
	[VERB_RESUME] = SIMPLE("resume", domain_resume),
	[VERB_SCHEDINFO] = LIST("schedinfo", schedinfo_args, parameter, verb_run_schedinfo),
	[VERB_SCREENSHOT] = STREAM("screenshot", one_domain, "image/png", run_screenshot),
	[VERB_SEND_KEY] = DO("send-key", send_key_args, run_send_key),
	[VERB_SEND_MOUSE] = DO("send-mouse", send_mouse_args, run_send_mouse),
	[VERB_SETMAXMEM] = DO("setmaxmem", set_args, run_setmaxmem),
	[VERB_SETMEM] = DO("setmem", setmem_args, run_setmem),
	[VERB_SETVCPUS] = DO("setvcpus", set_args, run_setvcpus),
	[VERB_SHUTDOWN] = SIMPLE("shutdown", domain_shutdown),
	[VERB_START] = DO("start", one_domain, run_start),
	[VERB_SUSPEND] = SIMPLE("suspend", domain_suspend),
	[VERB_TRACE] = LIST("trace", trace_args, trace, verb_run_trace),
	[VERB_UNDEFINE] = SIMPLE("undefine", domain_undefine),
	[VERB_UPTIME] = CALL("uptime", no_args, uptime, verb_run_uptime),
	[VERB_VCPUINFO] = LIST("vcpuinfo", one_domain, vcpu, verb_run_vcpuinfo),
	[VERB_VCPUPIN] = LIST("vcpupin", vcpupin_args, pin, verb_run_vcpupin),
	[VERB_VERSION] = CALL("version", no_args, version, verb_run_version),
};

const struct verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < VERB_COUNT; i++)
		if (!strcmp(verb_table[i].name, name))
			return &verb_table[i];
	return NULL;
}

/* --- arguments */

static bool read_number(const char *text, uint64_t *out)
{
	size_t n = 0;

	for (*out = 0; text[n] >= '0' && text[n] <= '9' && n < 18; n++)
		*out = *out * 10 + (uint64_t)(text[n] - '0');
	return n && !text[n];
}

static int check_value(const struct verb *v, struct verb_call *c, unsigned i)
{
	const struct verb_arg *a = &v->arg[i];
	const char *text = c->arg[i];

	switch (a->kind) {
	case VERB_DOMAIN:
		return domain_find(text, &c->domain, &c->error);
	case VERB_FLAG:
		return !*text ? 0 : error_set(&c->error, -EINVAL, "%s: '%s' takes no value",
					      v->name, a->name);
	case VERB_NUMBER:
		return read_number(text, &c->number[i]) ? 0 :
		       error_set(&c->error, -EINVAL, "%s: '%s' wants a number, not '%.64s'",
				 v->name, a->name, text);
	}
	if (strlen(text) <= VERB_TEXT_MAX)
		return 0;
	return error_set(&c->error, -E2BIG, "%s: '%s' is longer than %u characters", v->name,
			 a->name, VERB_TEXT_MAX);
}

static int check_arguments(const struct verb *v, struct verb_call *c)
{
	unsigned n = 0;
	int e = 0;

	for (; !e && v->arg[n].name; n++) {
		if (c->arg[n])
			e = check_value(v, c, n);
		else if (v->arg[n].required)
			e = error_set(&c->error, -EINVAL, "'%s' wants a %s", v->name, v->arg[n].name);
	}
	for (unsigned i = n; !e && i < VERB_ARGS; i++)
		if (c->arg[i])
			e = error_set(&c->error, -EINVAL, "'%s' takes %u arguments and no more",
				      v->name, n);
	return e;
}

/* --- running one */

static int run(const struct verb *v, struct verb_call *c)
{
	int e;

	if (v->stream && !c->put)
		return error_set(&c->error, -EINVAL, "'%s' answers by %s, which nobody takes here",
				 v->name, v->stream);
	e = v->run ? v->run(c) : v->on_domain(c->domain, &c->error);
	if (!e && !records_whole(&c->answer))
		e = error_set(&c->error, -ENOMEM, "'%s': no memory for the answer: end a domain",
			      v->name);
	return e;
}

int verb_run(const struct verb *v, struct verb_call *c)
{
	int e;

	memset(c->number, 0, sizeof(c->number));
	c->domain = NULL;
	c->job = NULL;
	c->answer = (struct records){ .shape = v->answer };
	e = check_arguments(v, c);
	if (!e)
		e = run(v, c);
	if (e)
		records_fini(&c->answer);
	return e;
}

void verb_end(struct verb_call *c)
{
	records_fini(&c->answer);
	if (c->job)
		job_put(c->job);
	if (c->domain)
		domain_put(c->domain);
}
