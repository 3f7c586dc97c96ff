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

enum domain_reason {
	REASON_UNKNOWN,
	REASON_BOOTED, REASON_UNPAUSED, REASON_RESTARTED,	/* running */
	REASON_USER, REASON_SHUTTING_DOWN,			/* paused, in shutdown */
	REASON_SHUTDOWN, REASON_DESTROYED, REASON_CRASHED, REASON_FAILED,	/* shut off */
	REASON_PANICKED,					/* crashed */
	REASON_COUNT
};

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

/*
 * Defines it, shut off; takes over `config`, which was allocated with heap_alloc. -EEXIST, -ENOMEM.
 */
int domain_define(struct config_vm *config, struct mgmt_error *err) must_check;

/* By name, id of an active one, or UUID. -ENOENT. */
int domain_find(const char *which, struct domain **out, struct mgmt_error *err) must_check;
/*
 * Behind `after` (whose reference is dropped) or the first (NULL), in order of definition; NULL at
 * the end.
 */
struct domain *domain_next(struct domain *after);
void domain_get(struct domain *d);
void domain_put(struct domain *d);

/* --- verbs: 0, or -Exxx with a message in `err` */
int domain_start(struct domain *d, struct mgmt_error *err);
int domain_shutdown(struct domain *d, struct mgmt_error *err);	/* presses the power button */
/* The button, and a new start when the guest has powered off, as virsh does without an agent. */
int domain_reboot(struct domain *d, struct mgmt_error *err);
int domain_reset(struct domain *d, struct mgmt_error *err);	/* at once */
int domain_destroy(struct domain *d, struct mgmt_error *err);	/* EVENT_STOPPED: its end */
int domain_suspend(struct domain *d, struct mgmt_error *err);
int domain_resume(struct domain *d, struct mgmt_error *err);
int domain_inject_nmi(struct domain *d, struct mgmt_error *err);
/*
 * A running guest's state is saved, put back to power-up, loaded and compared, and the guest goes
 * on. `size`: bytes of its saved form. -EIO when it does not come back the same.
 */
int domain_check_state(struct domain *d, size_t *size, struct mgmt_error *err);
struct domain_memory_check {
	uint64_t changed, marked, taken;	/* frames */
};
/*
 * A running guest's memory is compared with what the dirty log says of it, while it works and
 * frames, second-level tables and slots come and go. -EIO when a frame has changed without a mark.
 */
int domain_check_memory(struct domain *d, struct domain_memory_check *out, struct mgmt_error *err);
/* The console, for console_attach() and the rest of mgmt/console.h; the domain may be shut off. */
struct console *domain_console(struct domain *d);

/* --- results */
#define DOMAIN_CRASH_MAX 256
#define DOMAIN_CPU_MAX	512

struct domain_info {
	char name[CONFIG_NAME_MAX];
	uint8_t uuid[16];
	int id;				/* -1: not active */
	enum domain_state state;
	enum domain_reason reason;
	bool busy;			/* its vm is being taken down, to end or to start anew */
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
const char *domain_name(const struct domain *d);
/* As it is defined; constant, and there as long as the domain is. */
const struct config_vm *domain_config(const struct domain *d);
enum domain_state domain_state(const struct domain *d);

enum domain_activity {
	ACTIVITY_OFFLINE, ACTIVITY_RUNNING, ACTIVITY_HALTED, ACTIVITY_WAITING, ACTIVITY_STARVED
};

struct domain_vcpu {
	enum domain_activity activity;
	int cpu;			/* where it ran last */
	uint64_t cpu_time_ns;
	uint64_t rip;
};

/* -ENOENT behind the last; -EPERM when the domain is not active. */
int domain_vcpu_get(struct domain *d, unsigned id, struct domain_vcpu *out, struct mgmt_error *err);

/*
 * Statistics under virsh's keys and, for exits, Keel's own: "vcpu.0.exits.cpuid.count". Means are
 * in TSC ticks.
 */
struct domain_stat {
	const char *key;
	const char *text;		/* NULL: a number */
	uint64_t value;
};

enum domain_stat_group {
	STATS_STATE = 1,
	STATS_CPU = 2,
	STATS_BALLOON = 4,
	STATS_VCPU = 8,
	STATS_EXITS = 16,
	STATS_ALL = 31,
};

void domain_stats(struct domain *d, unsigned groups,
		  void (*emit)(void *arg, const struct domain_stat *s), void *arg);
