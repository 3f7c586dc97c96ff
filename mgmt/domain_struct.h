/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain is, for the files mgmt/domain*.c and mgmt.c alone; everyone else sees
 * mgmt/domain.h.
 *
 * A vm tells its end in a vCPU's thread, its last release in another: both only leave a note in
 * `pending` and wake the management thread, which takes the domain's mutex and acts. So no verb is
 * ever waited for by a vCPU.
 *
 * What takes long is a job's: it works without the mutex, and as long as the domain has a job,
 * nothing else changes its vm; notes wait.
 *
 *	d->lock		mutex; state, vm, and all fields not marked. vm_* calls that wait are made
 *			by jobs, without it.
 *	(a) atomic, (c) constant, (n) written by the vm before its note, read by
 *	the thread after, (r) registry.c's mutex
 */
#pragma once

#include "include/list.h"
#include "kernel/mutex.h"
#include "mgmt/domain.h"
#include "mgmt/events.h"
#include "mgmt/job.h"
#include "vmm/machine.h"
#include "vmm/vm.h"

enum domain_note {
	NOTE_START = 1,		/* autostart */
	NOTE_STOPPED = 2,	/* the vm ended itself: `stop` says how */
	NOTE_GONE = 4,		/* the vm is released after vm_destroy */
	NOTE_DESTROY = 8,	/* asked for while it had a job */
	NOTE_MEMORY = 16,	/* a vCPU finds no memory and waits */
};

/* What there is of its vm. */
enum domain_phase {
	PHASE_OFF,
	PHASE_STARTING,		/* a job makes it */
	PHASE_ON,
	PHASE_ENDING,		/* vm_destroy was called: NOTE_GONE is awaited */
	PHASE_WAITING,		/* it is gone, and its restart is at restart_at_ns */
	PHASE_COUNT
};

struct domain {
	struct list link;		/* (r) */
	struct list same_name_hash, same_uuid_hash;	/* (r) */
	char name[CONFIG_NAME_MAX];	/* (c) */
	uint8_t uuid[16];		/* (c) */
	uint64_t serial;		/* (c) rises in the list */
	uint32_t refs;			/* (a) */
	bool defined;			/* changed under both mutexes */
	struct sched_group *group;	/* (c) pays for its vCPUs and its jobs; a reference */
	struct console console;		/* its own lock */
	struct domain_channels *channels;	/* NULL until it starts with some; then kept */

	struct mutex lock;
	bool persistent;
	struct config_vm *config;	/* for its next start */
	struct config_vm *live;		/* of its vm, restarts included; NULL when shut off */
	enum domain_state state;
	enum domain_reason reason;
	enum domain_phase phase;
	int id;				/* -1: not active */
	struct vm *vm;			/* a reference; NULL when there is none */
	/* Its flash, from one vm to the next; its vm's, while it has one, or a job's. */
	uint8_t *nvram;
	size_t nvram_size;
	struct vrtc_battery battery;	/* and of its clock */
	/* Likewise until it is shut off, by the disks of `live`; NULL: none yet. */
	struct media_overlay **overlay;
	struct media_tray **tray;	/* and by its `cdrom`s */
	struct job *job;		/* a reference; NULL: none */
	struct domain_job last_job;	/* how the last one went; no name: there was none */
	uint64_t ending_ns, ending_pages;	/* when its end began, and what it held then */
	bool restart;			/* start again when it is gone */
	bool reboot_asked;		/* the next power-off is a reboot */
	enum domain_reason end_reason;	/* of the state that follows when it is gone */
	enum domain_end end;		/* of the guest that runs or ran last */
	bool has_exit_code;
	uint32_t exit_code;
	char crash[DOMAIN_CRASH_MAX];
	uint64_t started_ns;		/* when its vm was started */
	unsigned restart_count, crash_count;	/* the guest's own ends alone, less what it ran */
	uint64_t restart_delay_ns;	/* from its vm's release to its restart */
	uint64_t restart_at_ns;		/* (a) when that is; 0: it does not wait */
	uint64_t starved_look_ns;	/* (a) when to look whether it still waits; 0: not */
	uint64_t last_run_ticks;	/* of the last vm, for dominfo */

	uint32_t pending;		/* (a) enum domain_note */
	bool noted;			/* (a) in mgmt.c's list of those with notes */
	struct domain *next_noted;	/* of who set `noted`, then the thread's */
	struct list delayed;		/* the thread's: among those that wait for a restart */
	struct {
		enum vm_stop why;
		uint32_t code;
		char reason[DOMAIN_CRASH_MAX];
	} stop;				/* (n) */
};

/* The states in which it has a vm, as bits. */
#define DOMAIN_ACTIVE	(1u << DOMAIN_RUNNING | 1u << DOMAIN_PAUSED | 1u << DOMAIN_SHUTDOWN | \
			 1u << DOMAIN_CRASHED)

/* --- domain.c */
/* May its vm be looked into? Not while it is being made or taken apart. d->lock held. */
static inline bool domain_has_vm(const struct domain *d)
{
	return d->phase == PHASE_ON;
}

/* The guest has ended itself, and its vm is kept. */
static inline bool domain_is_preserved(const struct domain *d)
{
	return d->state == DOMAIN_CRASHED || d->reason == REASON_SHUTTING_DOWN;
}

/* The one setter of `state`, which the reason is of; d->lock held. */
void domain_state_set(struct domain *d, enum domain_reason reason);
void domain_phase_set(struct domain *d, enum domain_phase phase);	/* likewise */
void domain_event(struct domain *d, enum event_kind kind, const char *detail);
/*
 * -EPERM with advice, unless the state is one of `mask` (bits by enum domain_state); -EBUSY when
 * something is under way. d->lock held.
 */
int domain_need(struct domain *d, unsigned mask, struct mgmt_error *err) must_check;
/*
 * Gives it a job, which the caller completes and queues; it has none. A reference; NULL with the
 * error. d->lock held.
 */
struct job *domain_job_begin(struct domain *d, enum job_kind kind, int (*run)(struct job *j),
			     struct mgmt_error *err) must_check;
void domain_job_queue(struct job *j);		/* it is complete; no spinlock held */
void domain_job_end(struct domain *d, int result);	/* by the job; d->lock held */
/* Tells of a job: begun, how far it is (`done` of `total`), ended. Any lock may be held. */
void domain_job_event(struct domain *d, enum event_kind kind, enum job_kind job, uint64_t done,
		      uint64_t total);
/* So much more of it is done: tells it, now and then. By the job; no lock. */
void domain_job_progress(struct job *j, uint64_t more);

/* --- registry.c */
extern struct list domain_list;			/* for host tests */
void domain_remove(struct domain *d);		/* it is shut off; d->lock held */

/* --- domain_life.c */
/* Gives it the job that starts it; the caller has no other. *out: a reference, or NULL. */
int domain_start_locked(struct domain *d, enum domain_reason reason, struct job **out,
			struct mgmt_error *err) must_check;
void domain_end_locked(struct domain *d, bool restart, enum domain_reason reason);
/* The management thread: acts on the notes of one domain, and on the time. */
void domain_work(struct domain *d);
/* When domain_work() has something to do without a note. No lock. */
uint64_t domain_due_ns(const struct domain *d);

/* --- domain_devices.c */
/* Rows for its machine, to be freed when that is made; NULL with the error. */
struct machine_row *domain_devices_get(struct domain *d, unsigned *count, struct mgmt_error *err);
/* What was written to its disks, those of `c`, goes with the last vm that has them. */
void domain_overlays_drop(struct domain *d, const struct config_vm *c);
/* May it have the last of its devices or disks beside the others, and where? For config_limits. */
int domain_devices_check(void *arg, struct config_vm *c, char *why, size_t why_size);

/* --- domain_media.c */
struct media_image;
struct media_tray;
/* The i-th `cdrom`'s, with `first` in it if it is new and that has a name; the domain's. */
int domain_tray_get(struct domain *d, unsigned i, const struct media_image *first,
		    struct media_tray **out) must_check;
void domain_trays_drop(struct domain *d, const struct config_vm *c);	/* as overlays */

/* --- domain_config.c */
struct text;
typedef void domain_lines_t(const struct config_vm *old, struct text *t, const void *arg);
/* As domain_configure(), of a key that repeats: `lines` adds all of them anew. */
int domain_configure_lines(struct domain *d, const char *key, domain_lines_t *lines,
			   const void *arg, struct mgmt_error *err);

/* --- domain_keys.c */
typedef int domain_input_t(struct vm *vm, const void *arg);
/*
 * What somebody does at the guest's `what`, while it runs as `id`: `put` is called under d->lock
 * and again for a second while it is -EAGAIN. *err is set for that, -EPERM (it is switched off) and
 * -ENODEV.
 */
int domain_input(struct domain *d, int id, const char *what, domain_input_t *put, const void *arg,
		 struct mgmt_error *err) must_check;

/* --- domain_balloon.c */
/* d->lock held, and it has a vm. */
void domain_memory_stats_locked(struct domain *d, const char *prefix, const char *current,
				struct records *out);
void domain_memory_scarce(void);	/* all guests are to say what they do not use; no lock */

/* --- domain_channel.c */
/* The channels of `live` have their consoles, with buffers. By the job that starts it; no lock. */
int domain_channels_prepare(struct domain *d, struct mgmt_error *err) must_check;
struct console *domain_channel(struct domain *d, unsigned port);	/* after that */
void domain_channels_bind(struct domain *d, struct vm *vm);	/* see console_bind() */
void domain_channels_shrink(struct domain *d);			/* see console_shrink() */
void domain_channels_fini(struct domain *d);

/* --- domain_sched.c */
/*
 * The domain's group and the vm, which is new or of the domain and none of which may be, do as
 * d->live says: where that differs from `before`, or all of it if that is NULL.
 */
void domain_sched_follow(struct domain *d, struct vm *vm, const struct config_vm *before);

/* --- domain_boot.c */
/* For its firmware, on the heap; NULL: it has none. -ENOMEM. */
int domain_boot_order(const struct config_vm *c, char **out, struct mgmt_error *err) must_check;

/* --- domain_image.c */
struct load_image;
/* Kernel and modules from the boot loader's; what it allocates the other frees. */
int domain_image_get(const struct config_vm *c, struct load_image *out,
		     struct mgmt_error *err) must_check;
void domain_image_put(struct load_image *image);

/* --- mgmt.c */
/* A module that the boot loader brought; false if there is none of that name. */
bool mgmt_module(const char *name, const void **data, size_t *size);
void mgmt_note(struct domain *d, enum domain_note note);	/* any context */
/* What definitions are checked against. */
const struct config_limits *mgmt_limits(void);
bool mgmt_closing(void);		/* the host is about to be switched off: nothing starts */
