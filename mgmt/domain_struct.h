/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain is, for the files mgmt/domain*.c and mgmt.c alone; everyone else sees
 * mgmt/domain.h.
 *
 * A vm tells its end in a vCPU's thread, its last release in another: both only leave a note in
 * `pending` and wake the management thread, which takes the domain's mutex and acts. So no verb is
 * ever waited for by a vCPU.
 *
 *	d->lock		mutex; state, vm, and all fields not marked. Held across vm_* calls that
 *			wait.
 *	(a) atomic, (c) constant after definition, (n) written by the vm before its note, read by
 *	the thread after
 */
#pragma once

#include "include/list.h"
#include "kernel/mutex.h"
#include "mgmt/domain.h"
#include "mgmt/events.h"
#include "vmm/vm.h"

enum domain_note {
	NOTE_START = 1,		/* autostart */
	NOTE_STOPPED = 2,	/* the vm ended itself: `stop` says how */
	NOTE_GONE = 4,		/* the vm is released after vm_destroy */
};

struct domain {
	struct list link;		/* (c) */
	struct list same_name_hash;	/* (c) */
	uint32_t refs;			/* (a) */
	struct config_vm *config;	/* (c) */
	struct console console;		/* its own lock */

	struct mutex lock;
	enum domain_state state;
	enum domain_reason reason;
	int id;				/* -1: not active */
	struct vm *vm;			/* a reference; NULL when shut off */
	bool ending;			/* vm_destroy was called: NOTE_GONE is awaited, and then, vm
					 * being NULL, restart_at_ns */
	bool restart;			/* start again when it is gone */
	bool reboot_asked;		/* the next power-off is a reboot */
	bool halted;			/* the vm has ended itself and is preserved */
	enum domain_reason end_reason;	/* of the state that follows when it is gone */
	enum domain_end end;		/* of the guest that runs or ran last */
	bool has_exit_code;
	uint32_t exit_code;
	char crash[DOMAIN_CRASH_MAX];
	uint64_t started_ns;		/* when its vm was started */
	unsigned restart_count, crash_count;	/* the guest's own ends alone, less what it ran */
	uint64_t restart_delay_ns;	/* from its vm's release to its restart */
	uint64_t restart_at_ns;		/* (a) when that is; 0: it does not wait */
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

extern struct list domain_list;		/* grows only, in mgmt_init */

/* --- domain.c */
/* May its vm be looked into? Not while it is being taken apart. d->lock held. */
static inline bool domain_has_vm(const struct domain *d)
{
	return d->vm && !d->ending;
}

/* The one setter of `state`; d->lock held. */
void domain_state_set(struct domain *d, enum domain_state state, enum domain_reason reason);
void domain_event(struct domain *d, enum event_kind kind, const char *detail);
/*
 * -EPERM with advice, unless the state is one of `mask` (bits by enum domain_state). d->lock held.
 */
int domain_need(struct domain *d, unsigned mask, struct mgmt_error *err) must_check;

/* --- domain_life.c */
int domain_start_locked(struct domain *d, enum domain_reason reason,
			struct mgmt_error *err) must_check;
void domain_end_locked(struct domain *d, bool restart, enum domain_reason reason);
/* The management thread: acts on the notes of one domain, and on the time. */
void domain_work(struct domain *d);
/* When domain_work() has something to do without a note. No lock. */
uint64_t domain_due_ns(const struct domain *d);

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
bool mgmt_closing(void);		/* the host is about to be switched off: nothing starts */
