/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs; see mgmt/verb.h. No locks of its own.
 */
#include "mgmt/verb.h"

#include "include/bits.h"
#include "kernel/log.h"
#include "lib/string.h"
#include "mgmt/mgmt.h"

#define END	{ NULL, 0, false }

static const struct verb_arg no_args[] = { END };
static const struct verb_arg one_domain[] = { { "domain", VERB_DOMAIN, true }, END };
static const struct verb_arg autostart_args[] = {
	{ "domain", VERB_DOMAIN, true }, { "disable", VERB_FLAG, false }, END,
};
static const struct verb_arg define_args[] = {
	{ "text", VERB_TEXT, true }, { "transient", VERB_FLAG, false }, END,
};
static const struct verb_arg dumpconf_args[] = {
	{ "domain", VERB_DOMAIN, false }, { "inactive", VERB_FLAG, false }, END,
};
static const struct verb_arg set_args[] = {
	{ "domain", VERB_DOMAIN, true }, { "value", VERB_TEXT, true },
	{ "config", VERB_FLAG, false }, END,
};

static int run_autostart(struct verb_call *c)
{
	return domain_configure(c->domain, "autostart", c->arg[1] ? "no" : "yes", &c->error);
}

static int run_define(struct verb_call *c)
{
	return domain_define_text(c->arg[0], strlen(c->arg[0]), !c->arg[1], &c->domain, &c->error);
}

static int run_dominfo(struct verb_call *c)
{
	domain_info_get(c->domain, &c->info);
	return 0;
}

static int run_domjobinfo(struct verb_call *c)
{
	domain_job_get(c->domain, &c->job_info);
	return 0;
}

static int run_dommemcheck(struct verb_call *c)
{
	return domain_check_memory(c->domain, &c->memory, &c->error);
}

static int run_domstatecheck(struct verb_call *c)
{
	return domain_check_state(c->domain, &c->size, &c->error);
}

static void emit(void *arg, const char *text)
{
	struct verb_call *c = arg;

	(void)c->emit(c->to, text);
}

static void dump(struct verb_call *c, struct domain *d)
{
	struct config_vm *vm = domain_config_get(d, !c->arg[1]);

	config_write_vm(vm, NULL, emit, c);
	config_vm_put(vm);
}

/* One, or all that keel.conf would have, with the host. */
static int run_dumpconf(struct verb_call *c)
{
	if (c->domain) {
		dump(c, c->domain);
		return 0;
	}
	config_write_host(mgmt_host(), emit, c);
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
		dump(c, d);
	return 0;
}

static int run_log(struct verb_call *c)
{
	struct log_line line;
	char text[sizeof(line.text) + 40];

	for (uint64_t from = 0; log_read(from, &line); from = line.sequence + 1) {
		log_format_line(&line, text, sizeof(text));
		if (!c->emit(c->to, text))
			break;
	}
	return 0;
}

static int configure(struct verb_call *c, const char *key)
{
	if (!c->arg[2])
		return error_set(&c->error, -EINVAL, "the %s of a running guest cannot be changed: "
				 "'--config' changes what it has from its next start", key);
	return domain_configure(c->domain, key, c->arg[1], &c->error);
}

static int run_setmaxmem(struct verb_call *c)
{
	return configure(c, "memory");
}

static int run_setvcpus(struct verb_call *c)
{
	return configure(c, "vcpus");
}

static int run_start(struct verb_call *c)
{
	return domain_start_begin(c->domain, &c->job, &c->error);
}

#define CALL(n, a, r, f)	{ n, a, RESULT_##r, f, NULL }
#define SIMPLE(n, f)		{ n, one_domain, RESULT_NOTHING, NULL, f }

const struct verb verb_table[VERB_COUNT] = {
	[VERB_AUTOSTART] = CALL("autostart", autostart_args, NOTHING, run_autostart),
	[VERB_DEFINE] = CALL("define", define_args, DOMAIN, run_define),
	[VERB_DESTROY] = SIMPLE("destroy", domain_destroy),
	[VERB_DOMINFO] = CALL("dominfo", one_domain, INFO, run_dominfo),
	[VERB_DOMJOBABORT] = SIMPLE("domjobabort", domain_job_abort),
	[VERB_DOMJOBINFO] = CALL("domjobinfo", one_domain, JOB_INFO, run_domjobinfo),
	[VERB_DOMMEMCHECK] = CALL("dommemcheck", one_domain, MEMORY, run_dommemcheck),
	[VERB_DOMSTATECHECK] = CALL("domstatecheck", one_domain, SIZE, run_domstatecheck),
	[VERB_DUMPCONF] = CALL("dumpconf", dumpconf_args, TEXT, run_dumpconf),
	[VERB_INJECT_NMI] = SIMPLE("inject-nmi", domain_inject_nmi),
	[VERB_LOG] = CALL("dmesg", no_args, TEXT, run_log),
	[VERB_REBOOT] = SIMPLE("reboot", domain_reboot),
	[VERB_RESET] = SIMPLE("reset", domain_reset),
	[VERB_RESUME] = SIMPLE("resume", domain_resume),
	[VERB_SETMAXMEM] = CALL("setmaxmem", set_args, NOTHING, run_setmaxmem),
	[VERB_SETVCPUS] = CALL("setvcpus", set_args, NOTHING, run_setvcpus),
	[VERB_SHUTDOWN] = SIMPLE("shutdown", domain_shutdown),
	[VERB_START] = CALL("start", one_domain, JOB, run_start),
	[VERB_SUSPEND] = SIMPLE("suspend", domain_suspend),
	[VERB_UNDEFINE] = SIMPLE("undefine", domain_undefine),
};

const struct verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < VERB_COUNT; i++)
		if (!strcmp(verb_table[i].name, name))
			return &verb_table[i];
	return NULL;
}

int verb_run(const struct verb *v, struct verb_call *c)
{
	int e = 0;

	c->domain = NULL;
	for (unsigned i = 0; !e && v->arg[i].name; i++) {
		if (v->arg[i].required && !c->arg[i])
			e = error_set(&c->error, -EINVAL, "'%s' wants a %s", v->name,
				      v->arg[i].name);
		else if (v->arg[i].kind == VERB_DOMAIN && c->arg[i])
			e = domain_find(c->arg[i], &c->domain, &c->error);
	}
	if (e)
		return e;
	return v->run ? v->run(c) : v->on_domain(c->domain, &c->error);
}

void verb_end(struct verb_call *c)
{
	if (c->domain)
		domain_put(c->domain);
}
