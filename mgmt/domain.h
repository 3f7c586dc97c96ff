/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains: what the configuration defines, running or not. The verbs of virsh on them, with
 * structured arguments and results: nothing here parses or prints, so that the shell and a network
 * API stand on the same calls.
 *
 * Thread context. A verb returns when it is accepted; what takes long (the end of a guest) is told
 * by an event. A domain got from domain_find or domain_next is a reference: domain_put it.
 */
#pragma once

#include "mgmt/config.h"
#include "mgmt/console.h"
#include "mgmt/error.h"
#include "mgmt/job.h"
#include "mgmt/records.h"

struct domain;

/*
 * libvirt's numbers. CRASHED is a dead guest that on_crash=preserve keeps; otherwise it is SHUTOFF
 * for that reason.
 */
enum domain_state {
	DOMAIN_RUNNING = 1,
	DOMAIN_PAUSED = 3,
	DOMAIN_SHUTDOWN = 4,	/* asked to power off, or being taken down */
	DOMAIN_SHUTOFF = 5,
	DOMAIN_CRASHED = 6,
	DOMAIN_STATE_COUNT
};

/* Why it is in that state, with libvirt's numbers: a reason is of one state. */
#define REASON(state, number)	((state) << 8 | (number))
#define REASON_OURS		0x80	/* libvirt knows it by the same number as another */

enum domain_reason {
	REASON_BOOTED = REASON(DOMAIN_RUNNING, 1),
	REASON_RESTARTED = REASON_BOOTED | REASON_OURS,
	REASON_UNPAUSED = REASON(DOMAIN_RUNNING, 5),
	REASON_SUSPENDED = REASON(DOMAIN_PAUSED, 1),
	REASON_SHUTTING_DOWN = REASON(DOMAIN_PAUSED, 8),	/* it has ended, and is preserved */
	REASON_STARTING_UP = REASON(DOMAIN_PAUSED, 11),
	REASON_DELAYED = REASON(DOMAIN_SHUTDOWN, 0),	/* its restart waits */
	REASON_ENDING = REASON(DOMAIN_SHUTDOWN, 1),
	REASON_UNKNOWN = REASON(DOMAIN_SHUTOFF, 0),	/* it never ran */
	REASON_SHUTDOWN = REASON(DOMAIN_SHUTOFF, 1),
	REASON_DESTROYED = REASON(DOMAIN_SHUTOFF, 2),
	REASON_CRASHED = REASON(DOMAIN_SHUTOFF, 3),
	REASON_FAILED = REASON(DOMAIN_SHUTOFF, 6),
	REASON_PANICKED = REASON(DOMAIN_CRASHED, 1),
};

static inline enum domain_state domain_reason_state(enum domain_reason r)
{
	return (enum domain_state)(r >> 8);
}

static inline unsigned domain_reason_number(enum domain_reason r)
{
	return r & (REASON_OURS - 1);
}

/* How its guest has ended, since a user's or a policy's last start of it. */
enum domain_end {
	END_NONE,
	END_POWER_OFF, END_RESET, END_EXIT, END_CRASH,	/* by itself */
	END_DESTROYED,
	END_FAILED,		/* what should have followed did not start */
};

const char *domain_state_name(enum domain_state s);	/* "running", "shut off" ... */
const char *domain_reason_name(enum domain_reason r);	/* "booted" ... */

#define DOMAIN_UUID_TEXT	37
void domain_uuid_format(const uint8_t uuid[16], char text[DOMAIN_UUID_TEXT]);

/* --- the registry: mgmt/registry.c */
#define DOMAIN_MAX	CONFIG_VM_MAX	/* defined at once */

/*
 * Defines it, shut off, or gives the domain of that name another configuration, which holds from
 * its next start. Not persistent: it goes when it is shut off. Takes over `config` if it returns 0.
 * *out gets a reference if it is not NULL. -EEXIST: another one has the name or the UUID; -ENOSPC,
 * -ENOMEM.
 */
int domain_define(struct config_vm *config, bool persistent, struct domain **out,
		  struct mgmt_error *err) must_check;
/* It goes, now or, if it is active, when it is shut off. */
int domain_undefine(struct domain *d, struct mgmt_error *err);

/* By name, id of an active one, or UUID. -ENOENT. */
int domain_find(const char *which, struct domain **out, struct mgmt_error *err) must_check;
/*
 * Behind `after` (whose reference is dropped) or the first (NULL), in order of definition; NULL at
 * the end. `after` may have been undefined meanwhile.
 */
struct domain *domain_next(struct domain *after);
void domain_get(struct domain *d);
void domain_put(struct domain *d);	/* frees one that is not defined any more, with the last */

/* --- definitions: mgmt/domain_config.c */
/*
 * Defines what a text of one section [vm NAME] says, as keel.conf does. -EINVAL names what is wrong
 * with it, and nothing is changed.
 */
int domain_define_text(const char *text, size_t size, bool persistent, struct domain **out,
		       struct mgmt_error *err) must_check;
/* Gives one key another value, as its line would; it holds from the next start. */
int domain_configure(struct domain *d, const char *key, const char *value, struct mgmt_error *err);
/* What a change is of: libvirt's numbers. */
enum domain_affect {
	DOMAIN_AFFECT_CURRENT = 0,	/* of what runs, if it does; else of its next start */
	DOMAIN_AFFECT_LIVE = 1,
	DOMAIN_AFFECT_CONFIG = 2,
};

/* Likewise a key that what runs can follow: "vcpupin". `how`: bits by enum domain_affect. */
int domain_adjust(struct domain *d, unsigned how, const char *key, const char *value,
		  struct mgmt_error *err);
bool domain_is_active(struct domain *d);
/* --- how it is scheduled: mgmt/domain_sched.c */
/*
 * Holds a vCPU to a list of CPUs ("0-3,^2"), or to what cpuset says ("r"). -EINVAL, -EPERM when it
 * does not run and `how` says live.
 */
int domain_vcpu_pin(struct domain *d, unsigned how, unsigned vcpu, const char *cpus,
		    struct mgmt_error *err);
/* Where it may run, by the same `how`, LIVE before CONFIG. -ENOENT behind the last vCPU. */
int domain_vcpu_affinity(struct domain *d, unsigned how, unsigned vcpu, struct cpu_set *out,
			 struct mgmt_error *err);
/*
 * What schedinfo tells, one after the other from 0, as keel.conf's keys; NULL behind the last. A
 * quota of -1: none. Of domain_sched_config(), by `how` as above.
 */
const char *domain_sched_value(const struct config_vm *c, unsigned i, int64_t *value);
/* Changes one of them. -EINVAL: there is none of that name. */
int domain_sched_set(struct domain *d, unsigned how, const char *key, const char *value,
		     struct mgmt_error *err);
/* A reference; -EPERM when it does not run and `how` says live. */
int domain_sched_config(struct domain *d, unsigned how, struct config_vm **out,
			struct mgmt_error *err) must_check;
/* What it was started with (`live`, if it is active) or will be; a reference. */
struct config_vm *domain_config_get(struct domain *d, bool live);

/* --- its disks and drives: mgmt/domain_media.c */
struct domain_disk {
	char target[8];			/* libvirt's: "vda", "sdb" */
	const char *bus, *device;	/* likewise: "sata", "cdrom" */
	char source[CONFIG_MODULE_MAX];	/* "": nothing lies in the drive */
	bool read_only;
	bool open;			/* the drive's tray */
	uint64_t size;			/* bytes */
	uint16_t boot;			/* its place in the boot order; 0: none */
	bool has_slot;			/* of its own, else it is at port `unit` */
	struct { uint8_t bus, device, function; } slot;
	uint8_t unit;
};

/* Adds them to `out`, whose records they are: as they are (`live`, if it runs), or will be. */
void domain_disks(struct domain *d, bool live, struct records *out);
/* The one of that target or source; -ENOENT. */
int domain_disk_find(struct domain *d, bool live, const char *name, struct domain_disk *out,
		     struct mgmt_error *err) must_check;

enum domain_media_what { DOMAIN_MEDIA_UPDATE, DOMAIN_MEDIA_INSERT, DOMAIN_MEDIA_EJECT };
struct domain_media {
	enum domain_media_what what;
	const char *target, *source;	/* the drive's, or its source; NULL: with EJECT */
	bool force;			/* also where the guest holds the tray shut */
};
/*
 * Another disc for a drive. `how`: bits by enum domain_affect; what is changed in a guest that runs
 * holds until it is shut off. -ENOENT, -EINVAL, -EPERM (the drive is full or empty already), -EBUSY
 * (the guest holds the tray shut, and has been told of the wish).
 */
int domain_media_change(struct domain *d, unsigned how, const struct domain_media *m,
			struct mgmt_error *err);

/* --- its memory while it runs: mgmt/domain_balloon.c */
#define DOMAIN_PERIOD_MAX	86400u
/* Asks its balloon for so much. -ENODEV: it has none; -ENOMEM: others were promised that. */
int domain_memory_set(struct domain *d, uint64_t bytes, struct mgmt_error *err);
/* How often it is asked for statistics, in seconds; 0: not. */
int domain_memory_period(struct domain *d, uint64_t seconds, struct mgmt_error *err);
/* Under libvirt's names, in KiB, as far as they are known: struct domain_stat. */
int domain_memory_stats(struct domain *d, struct records *out, struct mgmt_error *err) must_check;
/* Bytes that it has now; 0: it does not run. And the period. */
uint64_t domain_memory_now(struct domain *d, unsigned *period);

/* --- mgmt/domain_xml.c */
struct text;
/* Adds it to `t` as a document of libvirt's: as it runs (`live`, if it does), or will. */
void domain_xml(struct domain *d, bool live, struct text *t);

/* --- verbs: 0, or -Exxx with a message in `err` */
int domain_start(struct domain *d, struct mgmt_error *err);
/* Likewise, and returns when it is accepted: *job (a reference) tells how it goes. */
int domain_start_begin(struct domain *d, struct job **job, struct mgmt_error *err) must_check;
int domain_shutdown(struct domain *d, struct mgmt_error *err);	/* presses the power button */
/* The button, and a new start when the guest has powered off, as virsh does without an agent. */
int domain_reboot(struct domain *d, struct mgmt_error *err);
int domain_reset(struct domain *d, struct mgmt_error *err);	/* at once */
/* EVENT_STOPPED: its end. A job of its ends before. */
int domain_destroy(struct domain *d, struct mgmt_error *err);
int domain_suspend(struct domain *d, struct mgmt_error *err);
int domain_resume(struct domain *d, struct mgmt_error *err);
int domain_inject_nmi(struct domain *d, struct mgmt_error *err);
#define DOMAIN_KEYS_MAX	16u
#define DOMAIN_HOLD_MAX	10000u
#define DOMAIN_HOLD	50u
/*
 * Presses the keys that `text` names, blanks between them, and releases them after so long.
 * -EINVAL, -E2BIG: they cannot be; -EAGAIN: the guest does not read its keyboard; -EPERM: it has
 * switched it off. Waits meanwhile. See mgmt/domain_keys.c.
 */
int domain_send_keys(struct domain *d, const char *text, uint64_t hold_ms, struct mgmt_error *err);
#define DOMAIN_MOTION_MAX	10000
/*
 * Moves its mouse to the right and down by the two numbers that `text` begins with, and clicks the
 * buttons that it names then. Errors as domain_send_keys(); -ENOSYS: it has none. Waits meanwhile.
 */
int domain_send_mouse(struct domain *d, const char *text, struct mgmt_error *err);
/*
 * One of them goes down or up, by its code of set 1; one behind E0h has 80h added. Does not wait:
 * -EAGAIN, -EPERM as above, without a message; with one where the guest does not run.
 */
int domain_key(struct domain *d, uint8_t code, bool down, struct mgmt_error *err) must_check;
/*
 * Begins a check of a running guest, so many rounds of it: *job tells how it goes, and what it has
 * found. JOB_CHECK_STATE: its state is saved, put back to power-up, loaded and compared, and the
 * guest goes on. JOB_CHECK_MEMORY: its memory is compared with what the dirty log says of it, while
 * it works and frames, second-level tables and slots come and go. The job's error is -EIO when it
 * is not as it should be.
 */
int domain_check_begin(struct domain *d, enum job_kind kind, uint64_t rounds, struct job **job,
		       struct mgmt_error *err) must_check;

struct domain_job {
	const char *name;		/* "none": it has no job, and all else is 0 */
	const char *unit;		/* of `done` and `total`: "bytes", "rounds" */
	const char *outcome;		/* "done", "failed", "aborted"; "" as long as it goes on */
	bool aborted;			/* it was asked to end */
	bool abortable;
	uint64_t elapsed_ns;
	uint64_t done, total;		/* total 0: it has no measure */
	const char *found_name[JOB_FOUND];	/* NULL: no more */
	uint64_t found[JOB_FOUND];	/* when it is over */
};

/* The one that is under way, or the one that has ended last. */
void domain_job_get(struct domain *d, bool completed, struct domain_job *out);
/*
 * Asks it to end without having done its work; its start, then, leaves it shut off. -EPERM: there
 * is none, or it is not of that kind.
 */
int domain_job_abort(struct domain *d, struct mgmt_error *err);
/* The console, for console_attach() and the rest of mgmt/console.h; the domain may be shut off. */
/*
 * By name: "serial0" (or NULL), "hvc0", or a channel's. It stays as long as the domain. -ENOENT;
 * -EPERM: it is not there before the domain has started.
 */
int domain_console_find(struct domain *d, const char *name, struct console **out,
			struct mgmt_error *err) must_check;

/* --- results */
#define DOMAIN_CRASH_MAX 256
#define DOMAIN_CPU_MAX	512

struct domain_info {
	char name[CONFIG_NAME_MAX];
	uint8_t uuid[16];
	int id;				/* -1: not active */
	enum domain_state state;
	enum domain_reason reason;
	unsigned reason_number;		/* libvirt's */
	bool busy;			/* it has a job, or its vm is being taken down */
	bool persistent;		/* it stays when it is shut off */
	/* Of the guest that runs, or of the next one; `autostart` is always the next one's. */
	unsigned vcpus;
	char topology[CPU_TOPOLOGY_TEXT];
	char cpu[DOMAIN_CPU_MAX];	/* its model: "host, -x2apic" */
	uint64_t cpu_time_ns;		/* of all vCPUs */
	uint64_t memory;		/* bytes it may have */
	uint64_t memory_used;		/* bytes of RAM filled so far */
	bool starved;			/* some vCPU waits for memory */
	uint64_t overhead;		/* bytes that Keel spends on it beyond that */
	bool autostart;
	enum config_action on_poweroff, on_reboot, on_crash;
	/*
	 * It has ended and does not start again by itself: shut off, or preserved. `end` says how
	 * (END_NONE: it never ran).
	 */
	bool ended;
	enum domain_end end;
	bool has_exit_code;		/* it ended by a debug exit */
	uint32_t exit_code;
	char crash[DOMAIN_CRASH_MAX];	/* why it crashed last; "" if it did not */
};

void domain_info_get(struct domain *d, struct domain_info *out);

/* Of one among many. */
struct domain_row {
	char name[CONFIG_NAME_MAX];
	uint8_t uuid[16];
	int id;				/* -1: not active */
	enum domain_state state;
	unsigned reason;		/* libvirt's number */
	bool autostart, persistent;
};

void domain_row_get(struct domain *d, struct domain_row *out);
const char *domain_name(const struct domain *d);
struct sched_group *domain_group(const struct domain *d);	/* who pays for what it costs */
enum domain_state domain_state(const struct domain *d);

enum domain_activity {
	ACTIVITY_OFFLINE, ACTIVITY_RUNNING, ACTIVITY_HALTED, ACTIVITY_WAITING, ACTIVITY_STARVED
};

struct domain_vcpu {
	enum domain_activity activity;
	int cpu;			/* where it ran last */
	uint64_t cpu_time_ns;
	uint64_t rip;
	struct cpu_set allowed;		/* where it may run */
};

/* -ENOENT behind the last; -EPERM when the domain is not active. */
int domain_vcpu_get(struct domain *d, unsigned id, struct domain_vcpu *out, struct mgmt_error *err);

/*
 * Statistics under virsh's keys and, for exits, Keel's own: "vcpu.0.exits.cpuid.count". Means are
 * in TSC ticks.
 */
struct domain_stat {
	char key[56];
	uint64_t value;
};

enum domain_stat_group {
	STATS_STATE = 1,
	STATS_CPU = 2,
	STATS_BALLOON = 4,
	STATS_VCPU = 8,
	STATS_EXITS = 16,
	STATS_INTERFACE = 32,
	STATS_ALL = 63,
};

/* Adds them to `out`, whose records they are. */
void domain_stats(struct domain *d, unsigned groups, struct records *out);
