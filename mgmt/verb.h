/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be asked of domains, as one table: each verb's number and name, its arguments, the kind
 * of its result, its function. The shell's commands and a network API are made from it, so that
 * neither can do what the other cannot. Thread context.
 */
#pragma once

#include "mgmt/domain.h"
#include "mgmt/job.h"

/* Known outside: a number is never given to another verb; new ones go to the end. */
enum verb_id {
	VERB_AUTOSTART, VERB_DEFINE, VERB_DESTROY, VERB_DOMINFO, VERB_DOMJOBABORT,
	VERB_DOMJOBINFO, VERB_DOMMEMCHECK, VERB_DOMSTATECHECK, VERB_DUMPCONF, VERB_INJECT_NMI,
	VERB_LOG, VERB_REBOOT, VERB_RESET, VERB_RESUME, VERB_SETMAXMEM, VERB_SETVCPUS,
	VERB_SHUTDOWN, VERB_START, VERB_SUSPEND, VERB_UNDEFINE,
	VERB_COUNT
};

#define VERB_ARGS	3

enum verb_kind { VERB_DOMAIN = 1, VERB_TEXT, VERB_FLAG };

struct verb_arg {
	const char *name;
	uint8_t kind;			/* enum verb_kind; a domain by name, id or UUID */
	bool required;
};

enum verb_result {
	RESULT_NOTHING,
	RESULT_DOMAIN,			/* `domain` is what came of it */
	RESULT_JOB,			/* `job`, a reference */
	RESULT_INFO, RESULT_JOB_INFO, RESULT_SIZE, RESULT_MEMORY,
	RESULT_TEXT,			/* by `emit`, piece by piece */
};

struct verb_call {
	const char *arg[VERB_ARGS];	/* by the row's order; NULL: not given; "" for a flag */
	bool (*emit)(void *to, const char *text);	/* false: no more */
	void *to;

	struct domain *domain;		/* a reference until verb_end() */
	union {
		struct job *job;
		struct domain_info info;
		struct domain_job job_info;
		size_t size;
		struct domain_memory_check memory;
	};
	struct mgmt_error error;
};

struct verb {
	const char *name;
	const struct verb_arg *arg;	/* at most VERB_ARGS of them; ends without a name */
	enum verb_result result;
	/* One of these. */
	int (*run)(struct verb_call *c);
	int (*on_domain)(struct domain *d, struct mgmt_error *err);
};

extern const struct verb verb_table[VERB_COUNT];

const struct verb *verb_find(const char *name);		/* NULL: there is none */
/* 0, or -Exxx with the error; verb_end() follows in either case. */
int verb_run(const struct verb *v, struct verb_call *c) must_check;
void verb_end(struct verb_call *c);
