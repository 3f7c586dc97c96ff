/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: work on one domain that takes long (its start, a check of its state), done by a thread of
 * its own without any lock, so that the domain can be asked meanwhile. A domain has one job at most
 * (struct domain), and as long as it has, nothing else changes its vm. Whoever began a job, or was
 * asked to wait for it, holds a reference; a job ends also when nobody waits.
 *
 *	jobs.lock	LOCK_MGMT: the queue. (a) atomic, (c) constant from job_queue on, (r) the
 *			runner's until `over`, anyone's afterwards
 */
#pragma once

#include "include/list.h"
#include "mgmt/error.h"

struct domain;

enum job_kind {
	JOB_NONE, JOB_START, JOB_SUSPEND, JOB_CHECK_STATE, JOB_CHECK_MEMORY,
	JOB_END,			/* no thread's: its vm is being taken apart */
	JOB_KIND_COUNT
};

#define JOB_FOUND	4

struct job_about {
	const char *name;		/* "start", ... */
	const char *unit;		/* of `done` and `total`: "bytes", "rounds" */
	const char *refusal;		/* why it cannot be given up; NULL: it can */
	const char *found[JOB_FOUND];	/* what it finds, by name; NULL: no more */
};

extern const struct job_about job_about[JOB_KIND_COUNT];

struct job {
	struct list link;		/* in the queue; jobs.lock */
	uint32_t refs;			/* (a) */
	enum job_kind kind;		/* (c) */
	bool queued;			/* jobs.lock: nobody has begun it */
	bool aborted;			/* (a) it is to end without having done its work */
	bool over;			/* (a) */
	struct domain *domain;		/* (c) a reference */
	int (*run)(struct job *j);	/* (c) fills `error` when it returns one */
	uint64_t began_ns;		/* (c) */
	uint64_t done, total;		/* (a) of work; 0: it has no measure */
	unsigned detail;		/* (c) of the kind */
	bool background;		/* (c) nobody waits: its error goes into the log */
	int result;			/* (r) 0, or -Exxx with `error` */
	struct mgmt_error error;	/* (r) */
	uint64_t found[JOB_FOUND];	/* (r) by the kind's names */
};

/* One reference, the caller's; NULL: no memory. */
struct job *job_new(enum job_kind kind, struct domain *d, int (*run)(struct job *j)) must_check;
void job_get(struct job *j);
void job_put(struct job *j);
/* Any lock but a spinlock may be held. */
void job_queue(struct job *j);
/* Until it is over (true) or the deadline. */
bool job_wait(struct job *j, uint64_t deadline_ns) must_check;
/* Until it is over; done by the caller's thread if no other has begun it. The result. */
int job_finish(struct job *j, struct mgmt_error *err);

void job_start(void);			/* at boot: the threads */
/* Does the work that has waited longest; false: none does. For the threads, and host tests. */
bool job_round(void);
