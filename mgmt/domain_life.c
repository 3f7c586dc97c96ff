/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a domain: starts, ends, and what its configuration wants to follow an end. See
 * mgmt/domain_struct.h for who runs what.
 *
 *	start -> a job makes the vm ... vm ends itself -> NOTE_STOPPED -> policy: preserve, or
 *	domain_end_locked -> vm_destroy ... -> NOTE_GONE -> (a delay) started again, or shut off
 *
 * A guest that ends again and again would fill the log and the CPUs with its starts. The first
 * restart is immediate; each further one waits twice as long, to at most a minute, and each minute
 * that a guest has run forgives one. So in the long run it gets one start a minute. One that
 * crashes is left shut off after some of these. A user's start begins the counts anew.
 */
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"
#include "vmm/load/load.h"
#include "vmm/machine.h"

#define SECOND			1000000000ul
#define MINUTE			(60 * SECOND)	/* the longest delay, and what forgives a restart */
#define STARVED_LOOK		(SECOND / 4)
#define CRASH_RESTARTS_MAX	5
#define RESTARTS_COUNTED	7u		/* the delay does not grow any more */

static int next_id = 1;

/* --- the vm's side: any thread, no locks */

static void vm_stopped(void *arg, struct vm *vm, enum vm_stop why, uint32_t code,
		       const char *reason)
{
	struct domain *d = arg;

	(void)vm;
	d->stop.why = why;
	d->stop.code = code;
	str_copy(d->stop.reason, reason ? reason : "", sizeof(d->stop.reason));
	mgmt_note(d, NOTE_STOPPED);
}

static void vm_gone(void *arg)
{
	mgmt_note(arg, NOTE_GONE);
}

/* Of a memory that comes back nobody tells: it is looked after. */
static void vm_starved(void *arg)
{
	mgmt_note(arg, NOTE_MEMORY);
}

static size_t put(void *arg, const void *data, size_t n)
{
	return console_put(&((struct domain *)arg)->console, data, n);
}

static size_t get(void *arg, void *data, size_t n)
{
	return console_get(&((struct domain *)arg)->console, data, n);
}

static int closing_error(struct mgmt_error *err)
{
	return error_set(err, -EPERM, "the host is being switched off: nothing starts any more");
}

static void shut_off(struct domain *d, enum domain_reason reason)
{
	console_shrink(&d->console);
	domain_channels_shrink(d);
	domain_overlays_drop(d, d->live);
	domain_trays_drop(d, d->live);
	config_vm_put(d->live);
	d->live = NULL;
	domain_phase_set(d, PHASE_OFF);
	domain_state_set(d, reason);
	log_info("mgmt: domain '%s' is shut off (%s)", d->name, domain_reason_name(reason));
	domain_event(d, EVENT_STOPPED, domain_reason_name(reason));
	WRITE_ONCE(d->id, -1);
	if (!d->persistent)
		domain_remove(d);
}

/* --- starting */

/*
 * Memory is filled on demand, but promised whole: what active domains may still claim counts as
 * taken.
 */
static int check_memory(const struct config_vm *c, struct mgmt_error *err)
{
	uint64_t left = gmem_available() * PAGE_SIZE;

	if (c->memory > left)
		return error_set(err, -ENOMEM,
				 "domain '%s' needs %lu MiB and %lu MiB are left: end another one, "
				 "or give it less by 'setmaxmem'",
				 c->name, c->memory / MIB, left / MIB);
	return 0;
}

static bool go_on(void *arg, size_t bytes)
{
	struct job *j = arg;

	domain_job_progress(j, bytes);
	return !READ_ONCE(j->aborted);
}

static int load(struct job *j, const struct config_vm *c, struct load_image *image, struct vm *vm)
{
	char why[192] = "";
	int e;

	image->go_on = go_on;
	image->arg = j;
	for (unsigned i = 0; i < image->module_count; i++)
		WRITE_ONCE(j->total, j->total + image->module[i].size);
	WRITE_ONCE(j->total, j->total + image->kernel_size);
	e = vm_load_image(vm, image, why, sizeof(why));
	if (e)
		error_set(&j->error, e, "domain '%s': %s", c->name,
			  why[0] ? why : "its kernel cannot be loaded: see 'dmesg'");
	return e;
}

/* With the devices of the configuration, which are rows only until it is made. */
static int create_vm(struct domain *d, struct vm_config *vc, struct vm **out,
		     struct mgmt_error *err)
{
	struct machine_row *row = domain_devices_get(d, &vc->device_count, err);
	int e;

	if (!row)
		return err->code;
	vc->device = row;
	e = vm_create(vc, out);
	heap_free(row);
	if (e)
		error_set(err, e, "domain '%s': the virtual machine cannot be made (%s): %s",
			  d->live->name, format_errno(e),
			  e == -ENOMEM ? "end another one" : "see 'dmesg'");
	return e;
}

static const char *said(const char *text)
{
	return *text ? text : NULL;
}

/* What it was when its last vm ended, if its configuration has one of that size. */
static int prepare_nvram(struct domain *d, const struct load_image *image, struct mgmt_error *err)
{
	if (d->nvram && image->nvram && d->nvram_size == image->nvram_size)
		return 0;
	heap_free(d->nvram);
	d->nvram = NULL;
	if (!image->nvram)
		return 0;
	d->nvram = heap_alloc(image->nvram_size);
	if (!d->nvram)
		return error_set(err, -ENOMEM, "domain '%s': no memory for its nvram: end another "
				 "one", d->name);
	d->nvram_size = image->nvram_size;
	memcpy(d->nvram, image->nvram, image->nvram_size);
	return 0;
}

static int make_of_image(struct job *j, const struct config_vm *c, struct load_image *image,
			 struct vm **out)
{
	struct domain *d = j->domain;
	struct vm_config vc = {
		.vcpus = c->vcpus, .topology = c->topology, .memory = c->memory,
		.firmware = image->firmware, .firmware_size = image->firmware_size,
		.nvram = d->nvram, .nvram_size = d->nvram ? d->nvram_size : 0,
		.vram = c->video ? c->video->vram : 0, .battery = &d->battery,
		.manufacturer = said(c->manufacturer), .product = said(c->product),
		.serial = said(c->serial),
		.cpu = c->cpu, .group = d->group,
		.arg = d, .stopped = vm_stopped, .starved = vm_starved,
		.console_put = put, .console_get = get,
	};
	int e;

	str_copy(vc.name, c->name, sizeof(vc.name));
	memcpy(vc.uuid, c->uuid, sizeof(vc.uuid));
	e = create_vm(d, &vc, out, &j->error);
	if (e)
		return e;
	domain_sched_follow(d, *out, NULL);
	return load(j, c, image, *out);
}

/* Without a lock: nothing else touches its vm, console or live configuration meanwhile. */
static int make_vm(struct job *j, struct vm **out)
{
	struct domain *d = j->domain;
	const struct config_vm *c = d->live;
	struct load_image image;
	int e = check_memory(c, &j->error);

	if (e || READ_ONCE(j->aborted))
		return e;
	if (console_prepare(&d->console))
		return error_set(&j->error, -ENOMEM,
				 "domain '%s': no memory for its console: end another one",
				 c->name);
	e = domain_channels_prepare(d, &j->error);
	e = e ?: domain_image_get(c, &image, &j->error);
	if (e)
		return e;
	e = prepare_nvram(d, &image, &j->error);
	if (!e)
		e = make_of_image(j, c, &image, out);
	domain_image_put(&image);
	return e;
}

static int run_vm(struct domain *d, struct vm *vm, struct mgmt_error *err)
{
	int e;

	d->vm = vm;
	d->reboot_asked = d->has_exit_code = false;
	d->end = END_NONE;
	d->crash[0] = 0;
	console_bind(&d->console, vm);
	domain_channels_bind(d, vm);
	d->started_ns = clock_ns();
	e = vm_start(vm);
	return !e ? 0 : error_set(err, e, "domain '%s' cannot be started (%s): see 'dmesg'",
				  d->name, format_errno(e));
}

static void started(struct domain *d, enum domain_reason reason)
{
	domain_phase_set(d, PHASE_ON);
	domain_state_set(d, reason);
	domain_event(d, EVENT_STARTED, domain_reason_name(reason));
	log_info("mgmt: domain '%s' started, id %d", d->name, d->id);
	if (reason == REASON_RESTARTED)
		domain_event(d, EVENT_REBOOTED, "restarted");
}

/* The vm, if there is one yet, goes as any other does. */
static void not_started(struct domain *d, const struct job *j, struct vm *vm)
{
	bool aborted = READ_ONCE(j->aborted);

	if (j->background)
		log_error("mgmt: %s", j->error.message);
	d->end = aborted ? END_DESTROYED : END_FAILED;
	d->vm = vm;
	if (vm)
		domain_end_locked(d, false, aborted ? REASON_DESTROYED : REASON_FAILED);
	else
		shut_off(d, aborted ? REASON_DESTROYED : REASON_FAILED);
}

static int start_run(struct job *j)
{
	struct domain *d = j->domain;
	struct vm *vm = NULL;
	int e = mgmt_closing() ? closing_error(&j->error) : make_vm(j, &vm);

	mutex_lock(&d->lock);
	if (READ_ONCE(j->aborted))
		e = error_set(&j->error, -EINTR, "the start of domain '%s' was aborted", d->name);
	if (!e)
		e = run_vm(d, vm, &j->error);
	if (e)
		not_started(d, j, vm);
	else
		started(d, (enum domain_reason)j->detail);
	domain_job_end(d, e);
	mutex_unlock(&d->lock);
	return e;
}

int domain_start_locked(struct domain *d, enum domain_reason reason, struct job **out,
			struct mgmt_error *err)
{
	struct job *j;

	if (mgmt_closing())
		return closing_error(err);
	j = domain_job_begin(d, JOB_START, start_run, err);
	if (!j)
		return err ? err->code : -ENOMEM;
	/* What the last vm may still have told of its end is not about this one. */
	__atomic_fetch_and(&d->pending, ~(uint32_t)(NOTE_STOPPED | NOTE_DESTROY),
			   __ATOMIC_ACQ_REL);
	if (!d->live) {
		config_vm_get(d->config);
		d->live = d->config;
	}
	if (d->id < 0)
		WRITE_ONCE(d->id, __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED));
	domain_phase_set(d, PHASE_STARTING);
	if (reason == REASON_BOOTED) {
		d->restart_count = d->crash_count = 0;
		domain_state_set(d, REASON_STARTING_UP);
	}
	j->detail = reason;
	j->background = !out;
	domain_job_queue(j);
	if (out)
		*out = j;
	else
		job_put(j);
	return 0;
}

/* --- ending */

void domain_end_locked(struct domain *d, bool restart, enum domain_reason reason)
{
	struct vm_stats s;

	d->restart = restart;
	d->restart_delay_ns = 0;
	d->end_reason = reason;
	if (reason == REASON_DESTROYED && d->end == END_NONE)
		d->end = END_DESTROYED;
	if (!restart && d->state != DOMAIN_SHUTDOWN)
		domain_state_set(d, REASON_ENDING);
	if (d->phase == PHASE_WAITING)		/* but no longer */
		mgmt_note(d, NOTE_GONE);
	if (d->phase == PHASE_WAITING || d->phase == PHASE_ENDING)
		return;
	/* From here on the vm is being taken apart: nobody looks into it any more. */
	domain_phase_set(d, PHASE_ENDING);
	vm_stats_get(d->vm, &s);
	d->last_run_ticks = s.run_ticks;
	d->ending_ns = clock_ns();
	d->ending_pages = s.charged_pages;
	WRITE_ONCE(d->starved_look_ns, 0);
	domain_job_event(d, EVENT_JOB_BEGUN, JOB_END, 0, d->ending_pages * PAGE_SIZE);
	console_bind(&d->console, NULL);
	domain_channels_bind(d, NULL);
	if (!d->restart) {
		domain_overlays_drop(d, d->live);
		domain_trays_drop(d, d->live);
	}
	vm_destroy(d->vm, vm_gone, d);
}

/* The vm is gone; the domain is in between as long as it waits for its restart. */
static void gone(struct domain *d)
{
	vm_put(d->vm);
	d->vm = NULL;
	domain_job_event(d, EVENT_JOB_DONE, JOB_END, d->ending_pages * PAGE_SIZE,
			 d->ending_pages * PAGE_SIZE);
	if (!d->restart || !d->restart_delay_ns || mgmt_closing())
		return;
	WRITE_ONCE(d->restart_at_ns, clock_ns() + d->restart_delay_ns);
	domain_phase_set(d, PHASE_WAITING);
	if (d->state != DOMAIN_SHUTDOWN)
		domain_state_set(d, REASON_DELAYED);
	log_warn("mgmt: domain '%s' ends again and again: it starts anew in %lu s",
		 d->name, d->restart_delay_ns / SECOND);
}

uint64_t domain_due_ns(const struct domain *d)
{
	uint64_t at = READ_ONCE(d->restart_at_ns), look = READ_ONCE(d->starved_look_ns);

	if (!at)
		return look ?: THREAD_FOREVER;
	return mgmt_closing() ? 0 : at;
}

/* Its vm is gone, and so is the time that it waits. */
static bool is_over(const struct domain *d)
{
	if (d->phase == PHASE_WAITING)
		return !d->restart || clock_ns() >= domain_due_ns(d);
	return d->phase == PHASE_ENDING && !d->vm;
}

static void after_end(struct domain *d)
{
	struct mgmt_error err;

	WRITE_ONCE(d->restart_at_ns, 0);
	if (!d->restart || mgmt_closing()) {
		shut_off(d, d->end_reason);
	} else if (domain_start_locked(d, REASON_RESTARTED, NULL, &err)) {
		log_error("mgmt: %s", err.message);
		d->end = END_FAILED;
		shut_off(d, REASON_FAILED);
	}
}

/*
 * The delay before a restart, which is counted unless a user asked for it; false: the domain stays
 * down.
 */
static bool restart_allowed(struct domain *d, bool crash, uint64_t *delay_ns)
{
	uint64_t minutes = (clock_ns() - d->started_ns) / MINUTE;

	*delay_ns = 0;
	if (d->reboot_asked && !crash)
		return true;
	d->restart_count -= (unsigned)MIN(minutes, (uint64_t)d->restart_count);
	d->crash_count -= (unsigned)MIN(minutes, (uint64_t)d->crash_count);
	*delay_ns = d->restart_count ? MIN(SECOND << (d->restart_count - 1), MINUTE) : 0;
	d->restart_count = MIN(d->restart_count + 1, RESTARTS_COUNTED);
	d->crash_count += crash;
	if (d->crash_count <= CRASH_RESTARTS_MAX)
		return true;
	log_error("mgmt: domain '%s' crashes again and again and stays down: see its console",
		  d->name);
	return false;
}

static void preserve(struct domain *d, enum vm_stop why)
{
	domain_state_set(d, why == VM_STOP_CRASH ? REASON_PANICKED : REASON_SHUTTING_DOWN);
	log_info("mgmt: domain '%s' is preserved: 'destroy' ends it", d->name);
}

static enum config_action policy(const struct domain *d, enum vm_stop why)
{
	switch (why) {
	case VM_STOP_CRASH:
		return d->live->on_crash;
	case VM_STOP_RESET:
		return d->live->on_reboot;
	case VM_STOP_POWER_OFF:
	case VM_STOP_DEBUG_EXIT:
		break;
	}
	return d->reboot_asked ? d->live->on_reboot : d->live->on_poweroff;
}

static void note_end(struct domain *d, enum vm_stop why)
{
	const char *name = d->name;

	switch (why) {
	case VM_STOP_POWER_OFF:
		d->end = END_POWER_OFF;
		log_info("mgmt: domain '%s' has powered off", name);
		domain_event(d, EVENT_SHUTDOWN,
			     d->state == DOMAIN_SHUTDOWN ? "finished after host request" :
							   "finished after guest request");
		break;
	case VM_STOP_RESET:
		d->end = END_RESET;
		log_info("mgmt: domain '%s' has reset itself", name);
		break;
	case VM_STOP_DEBUG_EXIT:
		d->end = END_EXIT;
		d->has_exit_code = true;
		d->exit_code = d->stop.code;
		log_info("mgmt: domain '%s' has exited with code %u", name, d->exit_code);
		break;
	case VM_STOP_CRASH:
		d->end = END_CRASH;
		str_copy(d->crash, d->stop.reason, sizeof(d->crash));
		log_error("mgmt: domain '%s' has crashed: %s", name, d->crash);
		domain_event(d, EVENT_CRASHED, "panicked");
		break;
	}
}

static void stopped(struct domain *d)
{
	enum vm_stop why = d->stop.why;
	enum config_action action = policy(d, why);
	enum domain_reason reason = why == VM_STOP_CRASH ? REASON_CRASHED : REASON_SHUTDOWN;
	uint64_t delay_ns = 0;

	note_end(d, why);
	if (d->phase != PHASE_ON)
		return;
	if (action == CONFIG_RESTART && !restart_allowed(d, why == VM_STOP_CRASH, &delay_ns))
		action = CONFIG_DESTROY;
	if (action == CONFIG_PRESERVE) {
		preserve(d, why);
	} else {
		domain_end_locked(d, action == CONFIG_RESTART, reason);
		d->restart_delay_ns = delay_ns;
	}
}

/*
 * It is looked at again as long as it waits: a vCPU that tries anew waits for a moment less. True:
 * it has just begun to.
 */
static bool look_for_memory(struct domain *d, bool waits)
{
	bool before = d->starved_look_ns;
	struct vm_stats s;

	if (before && clock_ns() < d->starved_look_ns)
		return false;
	if (!waits && domain_has_vm(d)) {
		vm_stats_get(d->vm, &s);
		waits = s.wants_memory;
	}
	WRITE_ONCE(d->starved_look_ns, waits ? clock_ns() + STARVED_LOOK : 0);
	if (waits != before)
		domain_event(d, waits ? EVENT_MEMORY_WAITING : EVENT_MEMORY_CAME, "");
	return waits && !before;
}

void domain_work(struct domain *d)
{
	uint32_t notes;
	bool scarce = false;
	struct mgmt_error err;

	mutex_lock(&d->lock);
	notes = d->job ? 0 : __atomic_exchange_n(&d->pending, 0, __ATOMIC_ACQ_REL);
	if ((notes & NOTE_STOPPED) && d->vm)
		stopped(d);
	if ((notes & NOTE_DESTROY) && d->phase != PHASE_OFF)
		domain_end_locked(d, false, REASON_DESTROYED);
	if ((notes & NOTE_GONE) && d->phase == PHASE_ENDING && d->vm)
		gone(d);
	if (is_over(d))
		after_end(d);
	if (domain_has_vm(d) && (notes & NOTE_MEMORY || d->starved_look_ns))
		scarce = look_for_memory(d, notes & NOTE_MEMORY);
	if ((notes & NOTE_START) && d->phase == PHASE_OFF && d->defined &&
	    domain_start_locked(d, REASON_BOOTED, NULL, &err))
		log_error("mgmt: %s", err.message);
	mutex_unlock(&d->lock);
	if (scarce)
		domain_memory_scarce();
}
