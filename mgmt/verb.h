/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be asked of the hypervisor and done to it, as one table: each verb's number and name,
 * its arguments, the shape of its answer, its function. The shell's commands and a network API are
 * made from it, so that neither can do what the other cannot. Arguments are text and are checked in
 * one place; an answer is a copy of what was, and nothing here prints. What would be too long for
 * that is streamed, in pieces, to who has asked. Thread context.
 */
#pragma once

#include "mgmt/domain.h"
#include "mgmt/job.h"
#include "mgmt/records.h"

/* Known outside: a number is never given to another verb; new ones go to the end. */
enum verb_id {
	VERB_AUTOSTART, VERB_DEFINE, VERB_DESTROY, VERB_DOMINFO, VERB_DOMJOBABORT,
	VERB_DOMJOBINFO, VERB_DOMMEMCHECK, VERB_DOMSTATECHECK, VERB_DUMPCONF, VERB_INJECT_NMI,
	VERB_LOG, VERB_REBOOT, VERB_RESET, VERB_RESUME, VERB_SETMAXMEM, VERB_SETVCPUS,
	VERB_SHUTDOWN, VERB_START, VERB_SUSPEND, VERB_UNDEFINE,
	VERB_CAPABILITIES, VERB_DOMSTATS, VERB_EVENT, VERB_HOSTNAME, VERB_IRQS, VERB_JOBS,
	VERB_LIST, VERB_NODECPUSTATS, VERB_NODEDEV_INFO, VERB_NODEDEV_LIST, VERB_NODEINFO,
	VERB_NODEMEMSTATS, VERB_POWEROFF, VERB_TRACE, VERB_UPTIME, VERB_VCPUINFO, VERB_VERSION,
	VERB_DUMPXML, VERB_NODEDEV_DUMPXML, VERB_VCPUPIN,
	VERB_SCHEDINFO,
	VERB_CHANGE_MEDIA, VERB_DOMBLKINFO, VERB_DOMBLKLIST,
	VERB_DOMMEMSTAT, VERB_SETMEM,
	VERB_SEND_KEY,
	VERB_SCREENSHOT,
	VERB_SEND_MOUSE,
	VERB_COUNT
};

#define VERB_ARGS	10
#define VERB_TEXT_MAX	(64u << 10)

enum verb_kind {
	VERB_DOMAIN = 1,		/* by name, id or UUID */
	VERB_TEXT,
	VERB_FLAG,			/* "" when it is set */
	VERB_NUMBER,			/* decimal, at most 18 digits */
};

struct verb_arg {
	const char *name;
	uint8_t kind;			/* enum verb_kind */
	bool required;
};

struct verb_call {
	const char *arg[VERB_ARGS];	/* by the row's order; NULL: not given */
	/*
	 * Of a verb that streams: takes what it answers, some KiB at a time, for as long as it
	 * likes; what it returns other than 0, -Exxx, ends the verb.
	 */
	int (*put)(void *arg, const void *data, size_t n);
	void *put_arg;

	/* All of this is the answer's, until verb_end(). */
	uint64_t number[VERB_ARGS];	/* of arguments that are numbers; 0 if not given */
	struct domain *domain;		/* the one that was named, or is new; a reference */
	struct job *job;		/* what the verb has begun; a reference */
	struct records answer;		/* of the verb's shape; none with an error */
	struct mgmt_error error;
};

struct verb {
	const char *name;
	const struct verb_arg *arg;	/* at most VERB_ARGS of them; ends without a name */
	const struct shape *answer;	/* NULL: that it was done is all */
	bool many;			/* any number of records, not just one */
	const char *stream;		/* the MIME type of the bytes that it streams; NULL: none */
	/* One of these. */
	int (*run)(struct verb_call *c);
	int (*on_domain)(struct domain *d, struct mgmt_error *err);
};

extern const struct verb verb_table[VERB_COUNT];

const struct verb *verb_find(const char *name);		/* NULL: there is none */
/* 0, or -Exxx with the error; verb_end() follows in either case. */
int verb_run(const struct verb *v, struct verb_call *c) must_check;
void verb_end(struct verb_call *c);
