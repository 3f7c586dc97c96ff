/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of jobs and a few threads that work it off, the oldest first; see mgmt/job.h. As many at
 * once as there are threads: a host that starts a thousand guests at boot loads a few at a time.
 * Who waits for one that is still in the queue does it himself.
 *
 * Locking: `lock` around the queue. Waiters sleep on `ended`, of whatever job.
 */
#include "mgmt/job.h"

#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/sched_group.h"
#include "kernel/thread.h"
#include "mgmt/domain.h"
#include "mm/heap.h"

#define WORKERS	4

static struct spinlock lock = SPINLOCK_INIT("jobs", LOCK_MGMT);
static struct list queue = LIST_INIT(queue);
static struct waitq wanted, ended;

const struct job_about job_about[JOB_KIND_COUNT] = {
	[JOB_NONE] = { .name = "none", .unit = "bytes" },
	[JOB_START] = { .name = "start", .unit = "bytes" },
	[JOB_SUSPEND] = { .name = "suspend", .unit = "bytes",
			  .refusal = "it stands still in a moment, and 'resume' lets it go on" },
	[JOB_CHECK_STATE] = { .name = "domstatecheck", .unit = "rounds", .found = { "bytes" } },
	[JOB_CHECK_MEMORY] = { .name = "dommemcheck", .unit = "rounds",
			       .found = { "changed", "marked", "taken", "used" } },
	[JOB_END] = { .name = "end", .unit = "bytes",
		      .refusal = "what it held is being given back already" },
};

struct job *job_new(enum job_kind kind, struct domain *d, int (*run)(struct job *j))
{
	struct job *j = heap_alloc(sizeof(*j));

	if (!j)
		return NULL;
	j->refs = 1;
	j->kind = kind;
	j->domain = d;
	j->run = run;
	j->began_ns = clock_ns();
	list_init(&j->link);
	domain_get(d);
	return j;
}

void job_get(struct job *j)
{
	__atomic_fetch_add(&j->refs, 1, __ATOMIC_RELAXED);
}

void job_put(struct job *j)
{
	if (__atomic_sub_fetch(&j->refs, 1, __ATOMIC_ACQ_REL))
		return;
	domain_put(j->domain);
	heap_free(j);
}

void job_queue(struct job *j)
{
	job_get(j);
	spin_lock(&lock);
	j->queued = true;
	list_push_back(&queue, &j->link);
	spin_unlock(&lock);
	waitq_wake_all(&wanted);
}

/* Takes `j`, or the oldest if it is NULL, out of the queue; NULL: somebody has it already. */
static struct job *take(struct job *j)
{
	spin_lock(&lock);
	if (!j && !list_empty(&queue))
		j = list_first(&queue, struct job, link);
	if (j && !j->queued)
		j = NULL;
	if (j) {
		j->queued = false;
		list_remove(&j->link);
	}
	spin_unlock(&lock);
	return j;
}

/* With the queue's reference. The domain pays for it. */
static void run(struct job *j)
{
	struct sched_group *payer = domain_group(j->domain), *before;

	sched_group_get(payer);
	before = thread_charge(payer);
	j->result = j->run(j);
	sched_group_put(thread_charge(before));
	__atomic_store_n(&j->over, true, __ATOMIC_RELEASE);
	waitq_wake_all(&ended);
	job_put(j);
}

bool job_wait(struct job *j, uint64_t deadline_ns)
{
	return WAITQ_WAIT(&ended, __atomic_load_n(&j->over, __ATOMIC_ACQUIRE), deadline_ns);
}

int job_finish(struct job *j, struct mgmt_error *err)
{
	if (take(j))
		run(j);
	else
		(void)!job_wait(j, THREAD_FOREVER);
	if (j->result && err)
		*err = j->error;
	return j->result;
}

bool job_round(void)
{
	struct job *j = take(NULL);

	if (j)
		run(j);
	return j;
}

static bool any_queued(void)
{
	bool any;

	spin_lock(&lock);
	any = !list_empty(&queue);
	spin_unlock(&lock);
	return any;
}

static void work(void *arg)
{
	(void)arg;
	for (;;) {
		(void)WAITQ_WAIT(&wanted, any_queued(), THREAD_FOREVER);
		(void)job_round();
	}
}

void job_start(void)
{
	struct thread_attr attr = { .name = "job", .entry = work, .cpu = -1 };

	waitq_init(&wanted);
	waitq_init(&ended);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct thread *t = thread_create(&attr);

		if (!t)
			panic("mgmt: no memory for the threads of jobs");
		thread_start(t);
		thread_put(t);
	}
}
