/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains over a vm that only remembers: every verb in every state, every end under every policy,
 * errors, references.
 */
/* links: mgmt/config*.c vmm/cpu_model.c vmm/cpu_topology.c kernel/cpu_set.c mgmt/domain*.c
 * mgmt/registry.c
 * mgmt/job.c mgmt/events.c mgmt/error.c mgmt/console.c kernel/sched_group.c lib/format.c
 * lib/png.c lib/deflate.c lib/crc.c
 * tests/host/fake_vm.c mgmt/text.c mgmt/shape.c mgmt/records.c
 * tests/host/one_thread.c tests/host/heap.c tests/host/log.c
 * tests/host/panic.c tests/host/spinlock.c tests/host/percpu.c tests/host/tsc.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/tsc.h"
#include "fake_vm.h"
#include "kernel/sched_group.h"
#include "mgmt/domain_struct.h"
#include "mgmt/shape.h"

extern unsigned host_heap_left;

static bool closing;
static bool kernel_missing;
extern struct sched_group *host_charged;

static struct domain *d;
static uint64_t first_event;

bool mgmt_closing(void)
{
	return closing;
}

const struct config_limits *mgmt_limits(void)
{
	static const struct config_host host = { "keel0" };
	static const struct config_limits limits = {
		.vcpus_max = 64, .memory_max = GIB, .host = &host, .device = domain_devices_check,
	};

	return &limits;
}

bool mgmt_module(const char *name, const void **data, size_t *size)
{
	static const char sector[512];
	bool disk = !strncmp(name, "disk", 4);

	*data = disk ? sector : "kernel";
	*size = disk ? sizeof(sector) : 6;
	return !kernel_missing && strcmp(name, "nothere");
}

void mgmt_note(struct domain *domain, enum domain_note note)
{
	domain->pending |= note;
}

static struct domain *define(const char *name)
{
	struct config_vm *c = calloc(1, sizeof(*c));
	struct domain *found;

	strcpy(c->name, name);
	strcpy(c->kernel, "vmlinuz");
	cpu_set_fill(&c->cpuset);
	c->vcpus = 2;
	c->topology = (struct cpu_topology){ 1, 2, 1 };
	c->memory = 192 * MIB;
	c->on_reboot = CONFIG_RESTART;
	memset(c->uuid, (int)strlen(name), sizeof(c->uuid));
	assert_int_equal(domain_define(c, true, NULL, NULL), 0);
	assert_int_equal(domain_find(name, &found, NULL), 0);
	return found;
}

static int setup(void **state)
{
	(void)state;
	fake_vm_reset();
	closing = kernel_missing = false;
	host_tsc = 1000000000;
	d = define("debian");
	first_event = events_next();
	return 0;
}

static void settle_of(struct domain *x)
{
	/* An end, its release and a new start each leave a note. */
	for (unsigned round = 0; round < 4; round++) {
		domain_work(x);
		while (job_round())
			;
		fake_vm_release();
	}
}

static void settle(void)
{
	settle_of(d);
}

static int teardown(void **state)
{
	struct domain *x, *tmp;

	(void)state;
	settle();
	if (d->state != DOMAIN_SHUTOFF)
		domain_destroy(d, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	assert_int_equal(fake.alive, 0);
	domain_put(d);
	list_for_each_safe(x, tmp, &domain_list, link) {
		assert_int_equal(x->refs, 1);
		domain_get(x);
		assert_int_equal(domain_undefine(x, NULL), 0);
		assert_int_equal(x->refs, 1);
		domain_put(x);
	}
	return 0;
}

/* --- states */

enum place { SHUTOFF, RUNNING, PAUSED, IN_SHUTDOWN, CRASHED, PRESERVED, PLACES };

static void go(enum place p)
{
	if (d->state != DOMAIN_SHUTOFF)
		assert_int_equal(domain_destroy(d, NULL), 0);
	settle();
	d->config->on_crash = CONFIG_PRESERVE;
	d->config->on_poweroff = p == PRESERVED ? CONFIG_PRESERVE : CONFIG_DESTROY;
	if (p == SHUTOFF)
		return;
	assert_int_equal(domain_start(d, NULL), 0);
	if (p == PAUSED)
		assert_int_equal(domain_suspend(d, NULL), 0);
	if (p == IN_SHUTDOWN)
		assert_int_equal(domain_shutdown(d, NULL), 0);
	if (p == CRASHED)
		fake_vm_stop(VM_STOP_CRASH, 0, "no memory");
	if (p == PRESERVED)
		fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
}

/* A check to its end, and what it has found. */
static int check(enum job_kind kind, uint64_t rounds, uint64_t found[JOB_FOUND],
		 struct mgmt_error *err)
{
	struct job *j;
	int e = domain_check_begin(d, kind, rounds, &j, err);

	if (e)
		return e;
	e = job_finish(j, err);
	memcpy(found, j->found, sizeof(j->found));
	job_put(j);
	return e;
}

static int check_state(struct domain *domain, struct mgmt_error *err)
{
	uint64_t found[JOB_FOUND];

	assert_ptr_equal(domain, d);
	return check(JOB_CHECK_STATE, 1, found, err);
}

static int check_memory(struct domain *domain, struct mgmt_error *err)
{
	uint64_t found[JOB_FOUND];

	assert_ptr_equal(domain, d);
	return check(JOB_CHECK_MEMORY, 1, found, err);
}

static const struct {
	const char *name;
	int (*verb)(struct domain *d, struct mgmt_error *err);
	enum domain_state after[PLACES];	/* 0: refused */
} verbs[] = {
	{ "start", domain_start, { DOMAIN_RUNNING, 0, 0, 0, 0, 0 } },
	{ "shutdown", domain_shutdown, { 0, DOMAIN_SHUTDOWN, 0, DOMAIN_SHUTDOWN, 0, 0 } },
	{ "reboot", domain_reboot, { 0, DOMAIN_SHUTDOWN, 0, DOMAIN_SHUTDOWN, 0, 0 } },
	{ "reset", domain_reset,
	  { 0, DOMAIN_RUNNING, DOMAIN_RUNNING, DOMAIN_RUNNING, DOMAIN_RUNNING, DOMAIN_RUNNING } },
	{ "destroy", domain_destroy,
	  { 0, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF } },
	{ "suspend", domain_suspend, { 0, DOMAIN_PAUSED, 0, 0, 0, 0 } },
	{ "resume", domain_resume, { 0, 0, DOMAIN_RUNNING, 0, 0, 0 } },
	{ "domstatecheck", check_state, { 0, DOMAIN_RUNNING, 0, 0, 0, 0 } },
	{ "dommemcheck", check_memory, { 0, DOMAIN_RUNNING, 0, 0, 0, 0 } },
	{ "inject-nmi", domain_inject_nmi, { 0, DOMAIN_RUNNING, 0, DOMAIN_SHUTDOWN, 0, 0 } },
};

static void every_verb_in_every_state(void **state)
{
	static const enum domain_state places[PLACES] = {
		DOMAIN_SHUTOFF, DOMAIN_RUNNING, DOMAIN_PAUSED, DOMAIN_SHUTDOWN, DOMAIN_CRASHED,
		DOMAIN_PAUSED,
	};

	(void)state;
	for (unsigned v = 0; v < ARRAY_COUNT(verbs); v++)
		for (enum place p = 0; p < PLACES; p++) {
			struct mgmt_error err = { 0 };
			int e;

			go(p);
			assert_int_equal(d->state, places[p]);
			e = verbs[v].verb(d, &err);
			settle();
			if (verbs[v].after[p]) {
				assert_int_equal(e, 0);
				assert_int_equal(d->state, verbs[v].after[p]);
			} else {
				assert_int_equal(e, -EPERM);
				assert_int_equal(err.code, e);
				assert_non_null(strstr(err.message, "'debian'"));
				assert_int_equal(d->state, places[p]);
			}
		}
}

static void state_check_lets_go(void **state)
{
	uint64_t found[JOB_FOUND];
	struct mgmt_error err;

	(void)state;
	go(RUNNING);
	assert_int_equal(check(JOB_CHECK_STATE, 1, found, &err), 0);
	assert_int_equal(found[0], 5000);
	fake.fail_check = -EIO;
	assert_int_equal(check(JOB_CHECK_STATE, 3, found, &err), -EIO);
	assert_non_null(strstr(err.message, "'debian'"));
	fake.fail_check = -EIO;
	assert_int_equal(check(JOB_CHECK_MEMORY, 1, found, &err), -EIO);
	assert_true(found[0] == 3 && found[1] == 5 && found[2] == 7 && found[3] == 9);
	assert_non_null(strstr(err.message, "'debian'"));
	assert_int_equal(check(JOB_CHECK_MEMORY, 4, found, &err), 0);
	assert_true(found[0] == 12 && found[1] == 20 && found[2] == 28 && found[3] == 36);
	fake.fail_pause = -EINTR;
	assert_int_equal(check(JOB_CHECK_STATE, 1, found, &err), -EINTR);
	/* Each pause that held was followed by a resume. */
	assert_int_equal(fake.pauses, 3);
	assert_int_equal(fake.resumes, 2);
	assert_int_equal(d->state, DOMAIN_RUNNING);
}

static void advice_names_a_verb(void **state)
{
	struct mgmt_error err;

	(void)state;
	domain_suspend(d, &err);
	assert_non_null(strstr(err.message, "is shut off: 'start'"));
	go(RUNNING);
	domain_start(d, &err);
	assert_non_null(strstr(err.message, "is running: 'console'"));
	go(PRESERVED);
	domain_resume(d, &err);
	assert_non_null(strstr(err.message, "only preserved: 'reset'"));
}

/* ~0: it has none. */
static uint64_t stat(unsigned groups, const char *key)
{
	struct records all = { .shape = &shape_stat };
	const struct domain_stat *s;
	uint64_t value = ~0ull;

	domain_stats(d, groups, &all);
	records_for_each(s, &all) {
		assert_true(strlen(s->key) < sizeof(s->key) - 1);
		if (!strcmp(s->key, key)) {
			assert_int_equal(value, ~0ull);
			value = s->value;
		}
	}
	records_fini(&all);
	return value;
}

static void destroy_is_asynchronous(void **state)
{
	struct console *console;
	struct mgmt_error err;
	struct domain_info i;
	struct domain_vcpu v;

	(void)state;
	go(RUNNING);
	assert_int_equal(domain_destroy(d, NULL), 0);
	domain_info_get(d, &i);
	assert_true(i.busy);
	assert_int_equal(i.state, DOMAIN_SHUTDOWN);
	assert_int_equal(domain_start(d, &err), -EBUSY);
	assert_int_equal(domain_suspend(d, &err), -EBUSY);
	assert_int_equal(domain_destroy(d, &err), 0);
	assert_int_equal(fake.destroyed, 1);
	/* Meanwhile all can be asked, and typed, but the vm is left alone. */
	assert_int_equal(domain_vcpu_get(d, 0, &v, &err), -EPERM);
	assert_int_equal(stat(STATS_ALL, "state.state"), DOMAIN_SHUTDOWN);
	assert_int_equal(stat(STATS_ALL, "cpu.time"), ~0ull);
	assert_int_equal(domain_console_find(d, NULL, &console, &err), 0);
	assert_int_equal(console_write(console, "x", 1), 1);
	assert_int_equal(i.cpu_time_ns, 5000000000);
	settle();
	domain_info_get(d, &i);
	assert_false(i.busy);
	assert_int_equal(i.state, DOMAIN_SHUTOFF);
	assert_int_equal(i.reason, REASON_DESTROYED);
	assert_int_equal(i.id, -1);
	assert_int_equal(fake.alive, 0);
}

static void destroy_beats_a_restart(void **state)
{
	(void)state;
	go(RUNNING);
	assert_int_equal(domain_reset(d, NULL), 0);
	assert_int_equal(domain_destroy(d, NULL), 0);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	assert_int_equal(fake.created, 1);
}

/* --- ends and policies */

static void policies(void **state)
{
	static const enum vm_stop ends[] = {
		VM_STOP_POWER_OFF, VM_STOP_RESET, VM_STOP_CRASH, VM_STOP_DEBUG_EXIT,
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(ends); i++)
		for (enum config_action a = CONFIG_DESTROY; a <= CONFIG_PRESERVE; a++) {
			int id;

			go(RUNNING);
			id = d->id;
			d->config->on_poweroff = d->config->on_reboot = d->config->on_crash = a;
			fake_vm_stop(ends[i], 7, "because");
			settle();
			assert_int_equal(d->state,
					 a == CONFIG_DESTROY ? DOMAIN_SHUTOFF :
					 a == CONFIG_RESTART ? DOMAIN_RUNNING :
					 ends[i] == VM_STOP_CRASH ? DOMAIN_CRASHED : DOMAIN_PAUSED);
			assert_int_equal(d->id, a == CONFIG_DESTROY ? -1 : id);
		}
}

static void each_policy_looks_at_its_own_key(void **state)
{
	(void)state;
	go(RUNNING);
	d->config->on_poweroff = CONFIG_DESTROY;
	d->config->on_reboot = CONFIG_RESTART;
	d->config->on_crash = CONFIG_PRESERVE;
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_RUNNING);
	assert_int_equal(d->reason, REASON_RESTARTED);
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	assert_int_equal(d->reason, REASON_SHUTDOWN);
}

static void reboot_starts_again_after_power_off(void **state)
{
	(void)state;
	go(RUNNING);
	assert_int_equal(domain_reboot(d, NULL), 0);
	assert_int_equal(fake.buttons, 1);
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_RUNNING);
	/* But the power-off after that is one. */
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
}

static void shutdown_takes_a_reboot_back(void **state)
{
	(void)state;
	go(RUNNING);
	assert_int_equal(domain_reboot(d, NULL), 0);
	assert_int_equal(domain_shutdown(d, NULL), 0);
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
}

static void exit_code_and_crash_reason(void **state)
{
	struct domain_info i;

	(void)state;
	go(RUNNING);
	fake_vm_stop(VM_STOP_DEBUG_EXIT, 33, NULL);
	settle();
	domain_info_get(d, &i);
	assert_true(i.has_exit_code);
	assert_int_equal(i.exit_code, 33);
	assert_int_equal(domain_start(d, NULL), 0);
	domain_info_get(d, &i);
	assert_false(i.has_exit_code);
	d->config->on_crash = CONFIG_DESTROY;
	fake_vm_stop(VM_STOP_CRASH, 0, "no memory for 0x1000");
	settle();
	domain_info_get(d, &i);
	assert_string_equal(i.crash, "no memory for 0x1000");
	assert_int_equal(i.state, DOMAIN_SHUTOFF);
	assert_int_equal(i.reason, REASON_CRASHED);
}

static unsigned charged;

static void count_charged(void)
{
	charged += host_charged && host_charged == domain_group(d);
}

/* The domain's group has its vCPUs and pays for its jobs, whoever's thread does them. */
static void jobs_are_paid_for(void **state)
{
	(void)state;
	go(SHUTOFF);
	charged = 0;
	fake.meanwhile = count_charged;
	assert_int_equal(domain_start(d, NULL), 0);
	assert_true(charged >= 2);		/* made, loaded */
	assert_ptr_equal(fake.last->config.group, domain_group(d));
	charged = 0;
	assert_int_equal(domain_suspend(d, NULL), 0);
	assert_int_equal(charged, 1);
	fake.meanwhile = NULL;
	assert_null(host_charged);
	go(SHUTOFF);
	assert_int_equal(domain_group(d)->refs, 1);
}

static void check_end(bool ended, enum domain_end end)
{
	struct domain_info i;

	settle();
	domain_info_get(d, &i);
	assert_int_equal(i.ended, ended);
	assert_int_equal(i.end, end);
}

/* Who waits for a domain's end is told how, and not before nothing follows. */
static void how_it_ended(void **state)
{
	static const struct { enum vm_stop stop; enum domain_end end; } rows[] = {
		{ VM_STOP_POWER_OFF, END_POWER_OFF }, { VM_STOP_RESET, END_RESET },
		{ VM_STOP_CRASH, END_CRASH }, { VM_STOP_DEBUG_EXIT, END_EXIT },
	};

	(void)state;
	check_end(true, END_NONE);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		for (enum config_action a = CONFIG_DESTROY; a <= CONFIG_PRESERVE; a++) {
			go(RUNNING);
			check_end(false, END_NONE);
			d->config->on_poweroff = d->config->on_reboot = d->config->on_crash = a;
			fake_vm_stop(rows[i].stop, 7, "because");
			check_end(a != CONFIG_RESTART,
				  a == CONFIG_RESTART ? END_NONE : rows[i].end);
			if (a == CONFIG_PRESERVE) {
				assert_int_equal(domain_destroy(d, NULL), 0);
				check_end(true, rows[i].end);
			}
		}
	go(RUNNING);
	assert_int_equal(domain_destroy(d, NULL), 0);
	check_end(true, END_DESTROYED);
	go(RUNNING);
	assert_int_equal(domain_reset(d, NULL), 0);
	check_end(false, END_NONE);
	fake.fail_start = -ENOMEM;
	assert_int_equal(domain_reset(d, NULL), 0);
	check_end(true, END_FAILED);
}

/* The guest ends; how many seconds its restart was delayed. */
static unsigned restart_after(enum vm_stop why)
{
	uint64_t began = host_tsc;

	fake_vm_stop(why, 0, "again");
	settle();
	while (d->restart_at_ns) {
		assert_ptr_equal(d->vm, NULL);
		assert_int_equal(d->state, DOMAIN_SHUTDOWN);
		host_tsc += 500000000;
		settle();
	}
	return (unsigned)((host_tsc - began) / 1000000000);
}

static void crashing_for_ever_ends(void **state)
{
	unsigned i;

	(void)state;
	go(RUNNING);
	d->config->on_crash = CONFIG_RESTART;
	for (i = 0; i < 100 && d->state == DOMAIN_RUNNING; i++)
		restart_after(VM_STOP_CRASH);
	assert_int_equal(i, 6);
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	/* Slowly it may. */
	assert_int_equal(domain_start(d, NULL), 0);
	for (i = 0; i < 20; i++) {
		host_tsc += 61ull * 1000000000;
		assert_int_equal(restart_after(VM_STOP_CRASH), 0);
		assert_int_equal(d->state, DOMAIN_RUNNING);
	}
}

/* A guest that resets itself at once, for ever, gets neither the CPUs nor the log for that. */
static void resetting_for_ever_waits(void **state)
{
	static const unsigned delays[] = { 0, 1, 2, 4, 8, 16, 32, 60, 60, 60 };

	(void)state;
	go(RUNNING);
	d->config->on_reboot = CONFIG_RESTART;
	for (unsigned i = 0; i < ARRAY_COUNT(delays); i++) {
		assert_int_equal(restart_after(VM_STOP_RESET), delays[i]);
		assert_int_equal(d->state, DOMAIN_RUNNING);
		assert_int_equal(d->reason, REASON_RESTARTED);
	}
	/* Each minute that it ran forgives one. */
	host_tsc += 3 * 60ull * 1000000000;
	assert_int_equal(restart_after(VM_STOP_RESET), 8);
	host_tsc += 3600ull * 1000000000;
	assert_int_equal(restart_after(VM_STOP_RESET), 0);
	/* A user waits for nothing, whatever the guest has done. */
	assert_int_equal(restart_after(VM_STOP_RESET), 1);
	assert_int_equal(domain_reset(d, NULL), 0);
	settle();
	assert_int_equal(d->state, DOMAIN_RUNNING);
	assert_int_equal(domain_reboot(d, NULL), 0);
	assert_int_equal(restart_after(VM_STOP_POWER_OFF), 0);
	go(SHUTOFF);
	go(RUNNING);
	assert_int_equal(restart_after(VM_STOP_RESET), 0);
}

static void wait_for_restart(void)
{
	go(RUNNING);
	d->config->on_reboot = CONFIG_RESTART;
	restart_after(VM_STOP_RESET);
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTDOWN);
	assert_ptr_equal(d->vm, NULL);
	assert_int_equal(domain_due_ns(d), host_tsc + 1000000000);
}

static void delayed_restart_gives_way(void **state)
{
	struct domain_info i;
	struct mgmt_error err;
	unsigned created;

	(void)state;
	wait_for_restart();
	assert_int_equal(domain_start(d, &err), -EBUSY);
	assert_non_null(strstr(err.message, "'destroy'"));
	assert_int_equal(domain_reset(d, &err), -EBUSY);
	assert_int_equal(domain_shutdown(d, &err), -EBUSY);
	domain_info_get(d, &i);
	assert_true(i.busy);
	created = fake.created;
	assert_int_equal(domain_destroy(d, NULL), 0);
	assert_int_equal(domain_destroy(d, NULL), 0);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	assert_int_equal(d->reason, REASON_DESTROYED);
	assert_int_equal(domain_due_ns(d), ~0ul);
	assert_int_equal(domain_start(d, &err), 0);
	assert_int_equal(fake.created, created + 1);
	/* The host goes down meanwhile. */
	wait_for_restart();
	closing = true;
	assert_int_equal(domain_due_ns(d), 0);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
}

static void start_keeps_other_notes(void **state)
{
	(void)state;
	mgmt_note(d, NOTE_START);
	mgmt_note(d, NOTE_STOPPED);
	assert_int_equal(domain_start(d, NULL), 0);
	assert_int_equal(d->pending, NOTE_START);
	settle();
	assert_int_equal(d->state, DOMAIN_RUNNING);
}

static void stop_and_destroy_cross(void **state)
{
	(void)state;
	go(RUNNING);
	assert_int_equal(domain_destroy(d, NULL), 0);
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	go(RUNNING);
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	assert_int_equal(domain_destroy(d, NULL), 0);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	/* A vm's end that is noted after suspend has taken its pause. */
	go(PAUSED);
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	go(PAUSED);
	fake_vm_stop(VM_STOP_CRASH, 0, "late");
	settle();
	assert_int_equal(d->state, DOMAIN_CRASHED);
}

/* --- failures */

static void failed_starts_leave_nothing(void **state)
{
	struct mgmt_error err;
	int *const failures[] = { &fake.fail_create, &fake.fail_load, &fake.fail_start };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		*failures[i] = -ENOMEM;
		assert_int_equal(domain_start(d, &err), -ENOMEM);
		assert_true(strlen(err.message) > 10);
		settle();
		assert_int_equal(d->state, DOMAIN_SHUTOFF);
		assert_int_equal(fake.alive, 0);
	}
	fake.available = 100;
	assert_int_equal(domain_start(d, &err), -ENOMEM);
	assert_non_null(strstr(err.message, "needs 192 MiB and 0 MiB are left"));
	fake.available = 1 << 20;
	kernel_missing = true;
	assert_int_equal(domain_start(d, &err), -ENOENT);
	assert_non_null(strstr(err.message, "no module 'vmlinuz'"));
	settle();
	kernel_missing = false;
	closing = true;
	assert_int_equal(domain_start(d, &err), -EPERM);
	closing = false;
	assert_int_equal(domain_start(d, &err), 0);
}

static void heap_runs_out(void **state)
{
	struct mgmt_error err;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		host_heap_left = i;
		assert_int_equal(domain_start(d, &err), -ENOMEM);
		host_heap_left = ~0u;
		settle();
	}
	assert_int_equal(domain_start(d, &err), 0);
}

static void failed_restart_is_shut_off(void **state)
{
	(void)state;
	go(RUNNING);
	fake.fail_create = -ENOMEM;
	assert_int_equal(domain_reset(d, NULL), 0);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	assert_int_equal(d->reason, REASON_FAILED);
	assert_int_equal(d->id, -1);
}

static void failed_pause_changes_nothing(void **state)
{
	struct mgmt_error err;

	(void)state;
	go(RUNNING);
	fake.fail_pause = -EINTR;
	assert_int_equal(domain_suspend(d, &err), -EINTR);
	assert_int_equal(d->state, DOMAIN_RUNNING);
	go(PAUSED);
	fake.fail_resume = -EINTR;
	assert_int_equal(domain_resume(d, &err), -EINTR);
	assert_int_equal(d->state, DOMAIN_PAUSED);
}

static void closing_host_restarts_nothing(void **state)
{
	(void)state;
	go(RUNNING);
	closing = true;
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
}

/* --- names, results, events */

static void found_by_name_id_uuid(void **state)
{
	struct mgmt_error err;
	struct domain *f;
	char id[12];

	(void)state;
	go(RUNNING);
	assert_int_equal(domain_find("06060606-0606-0606-0606-060606060606", &f, &err), 0);
	assert_ptr_equal(f, d);
	domain_put(f);
	sprintf(id, "%d", d->id);
	assert_int_equal(domain_find(id, &f, &err), 0);
	assert_ptr_equal(f, d);
	domain_put(f);
	assert_int_equal(domain_find("", &f, &err), -ENOENT);
	assert_int_equal(domain_find("-1", &f, &err), -ENOENT);
	assert_int_equal(domain_find("99999999999999999999", &f, &err), -ENOENT);
	assert_int_equal(domain_find("debian3", &f, &err), -ENOENT);
	assert_non_null(strstr(err.message, "list --all"));
}

static void names_are_unique(void **state)
{
	struct config_vm c = { .name = "debian" };
	struct mgmt_error err;

	(void)state;
	assert_int_equal(domain_define(&c, true, NULL, &err), -EEXIST);
}

static void names_of_all(char *out)
{
	*out = 0;
	for (struct domain *x = domain_next(NULL); x; x = domain_next(x))
		sprintf(out + strlen(out), "%s ", domain_name(x));
}

static void walk(void **state)
{
	struct domain *second = define("other"), *third = define("another"), *x;
	char names[64];

	(void)state;
	names_of_all(names);
	assert_string_equal(names, "debian other another ");
	/* Those that leave while somebody stands at them, and those before. */
	x = domain_next(domain_next(NULL));
	assert_ptr_equal(x, second);
	assert_int_equal(domain_undefine(second, NULL), 0);
	assert_ptr_equal(domain_next(x), third);
	assert_int_equal(domain_undefine(third, NULL), 0);
	assert_null(domain_next(third));
	assert_int_equal(second->refs, 1);
	domain_put(second);
	domain_put(third);
	names_of_all(names);
	assert_string_equal(names, "debian ");
}

/* --- definitions at run time */

static int define_text(const char *text, bool persistent, struct domain **out,
		       struct mgmt_error *err)
{
	return domain_define_text(text, strlen(text), persistent, out, err);
}

static void undefined_stays_as_long_as_it_is_used(void **state)
{
	struct domain *x = define("other"), *again;
	struct mgmt_error err;
	struct domain_info i;

	(void)state;
	assert_int_equal(domain_undefine(x, &err), 0);
	assert_int_equal(domain_find("other", &again, &err), -ENOENT);
	assert_int_equal(domain_undefine(x, &err), -ENOENT);
	assert_int_equal(domain_start(x, &err), -ENOENT);
	assert_non_null(strstr(err.message, "not defined any more"));
	domain_info_get(x, &i);
	assert_string_equal(i.name, "other");
	again = define("other");
	assert_ptr_not_equal(again, x);
	domain_put(again);
	domain_put(x);
}

/* Undefined, a domain that runs goes when it has ended, and not when it restarts. */
static void undefined_while_it_runs(void **state)
{
	struct domain_event e;
	struct domain_info i;
	struct domain *f;

	(void)state;
	go(RUNNING);
	assert_int_equal(domain_undefine(d, NULL), 0);
	domain_info_get(d, &i);
	assert_false(i.persistent);
	assert_int_equal(domain_find("debian", &f, NULL), 0);
	domain_put(f);
	d->config->on_reboot = CONFIG_RESTART;
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_RUNNING);
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	assert_int_equal(domain_find("debian", &f, NULL), -ENOENT);
	assert_true(events_read(events_next() - 1, &e));
	assert_int_equal(e.kind, EVENT_UNDEFINED);
	assert_int_equal(d->refs, 1);
	domain_put(d);
	d = define("debian");
}

static void defined_by_text(void **state)
{
	static const struct { const char *text, *says; int e; } wrong[] = {
		{ "[vm x]\nmemory = 64M", "line 1: VM 'x' has no kernel", -EINVAL },
		{ "[vm x]\nmemory = 1\nvcpus = 0\n", "(and 2 more mistakes)", -EINVAL },
		{ "", "one section [vm NAME] is wanted, not 0", -EINVAL },
		{ "[vm x]\nkernel=k\nmemory=64M\n[vm y]\nkernel=k\nmemory=64M", "not 2", -EINVAL },
		{ "[vm x]\nkernel=k\nmemory=64M\nuuid=06060606060606060606060606060606",
		  "domain 'debian' has that UUID", -EEXIST },
		{ "[vm debian]\nkernel=k\nmemory=64M", "with another UUID", -EEXIST },
	};
	struct domain *x, *same;
	struct mgmt_error err;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
		assert_int_equal(define_text(wrong[i].text, true, NULL, &err), wrong[i].e);
		if (!strstr(err.message, wrong[i].says))
			fail_msg("%s", err.message);
	}
	assert_int_equal(define_text("[vm x]\nkernel=k\nmemory=64M\n", true, &x, &err), 0);
	assert_int_equal(x->config->memory, 64 * MIB);
	assert_null(x->config->device);
	/* Again: it holds from the next start. */
	assert_int_equal(define_text("[vm x]\nkernel=k\nmemory=32M\n", true, &same, &err), 0);
	assert_ptr_equal(same, x);
	assert_int_equal(x->config->memory, 32 * MIB);
	assert_int_equal(x->refs, 3);
	domain_put(x);
	domain_put(x);
}

/* Its machine is made with them, and with those of debug_exit; which slots they got stays. */
static void devices_become_rows(void **state)
{
#define HEAD "[vm y]\nkernel=k\nmemory=64M\ndebug_exit=yes\n"
	struct mgmt_error err;
	struct domain *y;

	(void)state;
	assert_int_equal(define_text(HEAD "device=toy\ndevice=toy\n", true, &y, &err), 0);
	assert_int_equal(y->config->device->device, 0);
	assert_int_equal(y->config->device->next->device, 1);
	assert_true(y->config->device->next->placed);
	fake.module = true;
	assert_int_equal(domain_start(y, &err), 0);
	assert_int_equal(fake.devices, 4);
	assert_int_equal(domain_destroy(y, &err), 0);
	fake_vm_release();
	domain_work(y);
	domain_put(y);
	assert_int_equal(define_text(HEAD "device=toy\ndevice=toy\ndevice=toy\n", true, NULL,
				     &err), -EINVAL);
	assert_non_null(strstr(err.message, "line 7: device: no slot is left"));
	assert_int_equal(define_text(HEAD "device=tin\n", true, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.message, "line 5: device: no room for tin"));
}

/* What was written to its disks stays over a restart, and goes when it is shut off. */
static void disks_outlive_a_restart(void **state)
{
	static const char text[] =
		"[vm y]\nkernel=k\nmemory=64M\non_reboot=restart\ndisk=disk-a\ndisk=disk-b, mode=ro\n";
	struct mgmt_error err;
	struct domain *y;

	(void)state;
	fake.module = true;
	if (define_text(text, true, &y, &err))
		fail_msg("%s", err.message);
	assert_int_equal(domain_start(y, &err), 0);
	assert_int_equal(fake.overlays, 1);
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle_of(y);
	assert_int_equal(y->state, DOMAIN_RUNNING);
	assert_int_equal(fake.overlays, 1);
	assert_int_equal(fake.overlays_made, 1);
	assert_int_equal(domain_destroy(y, &err), 0);
	settle_of(y);
	assert_int_equal(fake.overlays, 0);
	domain_put(y);
}

static int media(struct domain *y, unsigned how, enum domain_media_what what, const char *target,
		 const char *source, bool force, struct mgmt_error *err)
{
	struct domain_media m = {
		.what = what, .target = target, .source = source, .force = force,
	};

	return domain_media_change(y, how, &m, err);
}

static struct domain_disk disk_of(struct domain *y, bool live, const char *name)
{
	struct domain_disk d;
	struct mgmt_error err;

	if (domain_disk_find(y, live, name, &d, &err))
		fail_msg("%s", err.message);
	return d;
}

#define EJECT	DOMAIN_MEDIA_EJECT
#define INSERT	DOMAIN_MEDIA_INSERT
#define UPDATE	DOMAIN_MEDIA_UPDATE

/* Of a guest that runs: it holds over a restart, until that is shut off. */
static void discs_are_changed(void **state)
{
	static const char text[] = "[vm y]\nkernel=k\nmemory=64M\non_reboot=restart\n"
		"disk=disk-a\ndisk=disk-b, bus=sata, port=1\n"
		"disk=disk-a, bus=nvme, slot=0:a.0\ndisk=disk-a, bus=nvme, slot=0:b.0\ndisk=disk-b, slot=0:c.0\ncdrom=disk-c\ncdrom=none, port=5\n";
	struct mgmt_error err;
	struct domain *y;
	struct domain_disk d;

	(void)state;
	fake.module = true;
	if (define_text(text, true, &y, &err))
		fail_msg("%s", err.message);
	assert_int_equal(domain_start(y, &err), 0);
	assert_int_equal(fake.trays, 2);
	d = disk_of(y, true, "vda");
	assert_string_equal(d.source, "disk-a");
	assert_true(d.has_slot && !d.read_only && d.size == 512);
	assert_string_equal(disk_of(y, true, "sdb").device, "disk");
	assert_string_equal(disk_of(y, true, "nvme1n1").bus, "nvme");
	assert_true(disk_of(y, true, "nvme0n1").has_slot);
	assert_string_equal(disk_of(y, true, "vdb").source, "disk-b");
	assert_string_equal(disk_of(y, true, "disk-c").target, "sda");
	assert_string_equal(disk_of(y, true, "sdf").source, "");
	assert_int_equal(media(y, 0, EJECT, "sdf", NULL, false, &err), -EPERM);
	assert_int_equal(media(y, 0, INSERT, "sda", "disk-d", false, &err), -EPERM);
	assert_int_equal(media(y, 0, UPDATE, "sdb", "disk-d", false, &err), -EINVAL);
	assert_int_equal(media(y, 0, UPDATE, "sdz", "disk-d", false, &err), -ENOENT);
	assert_int_equal(media(y, 0, UPDATE, "sda", "nothere", false, &err), -ENOENT);
	assert_int_equal(media(y, 0, UPDATE, "sda", "small", false, &err), -EINVAL);
	assert_int_equal(media(y, 0, UPDATE, "sda", NULL, false, &err), -EINVAL);
	assert_int_equal(media(y, 0, EJECT, "sda", "disk-d", false, &err), -EINVAL);
	fake.tray_held = true;
	assert_int_equal(media(y, 0, EJECT, "sda", NULL, false, &err), -EBUSY);
	assert_non_null(strstr(err.message, "--force"));
	assert_int_equal(media(y, 0, EJECT, "sda", NULL, true, &err), 0);
	fake.tray_held = false;
	d = disk_of(y, true, "sda");
	assert_true(d.open && !d.source[0]);
	assert_string_equal(disk_of(y, false, "sda").source, "disk-c");
	assert_int_equal(media(y, 0, INSERT, "sdf", "disk-e", false, &err), 0);
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle_of(y);
	assert_int_equal(fake.trays, 2);
	assert_true(disk_of(y, true, "sda").open);
	assert_string_equal(disk_of(y, true, "sdf").source, "disk-e");
	assert_int_equal(media(y, DOMAIN_AFFECT_LIVE | DOMAIN_AFFECT_CONFIG, UPDATE, "sda",
			       "disk-g", false, &err), 0);
	assert_string_equal(disk_of(y, false, "sda").source, "disk-g");
	assert_int_equal(domain_destroy(y, &err), 0);
	settle_of(y);
	assert_int_equal(fake.trays, 0);
	assert_string_equal(disk_of(y, true, "sdf").source, "");
	/* Of one that does not run: its definition. */
	assert_int_equal(media(y, DOMAIN_AFFECT_LIVE, EJECT, "sda", NULL, false, &err), -EPERM);
	assert_int_equal(media(y, 0, EJECT, "disk-g", NULL, false, &err), 0);
	assert_string_equal(disk_of(y, true, "sda").source, "");
	assert_string_equal(disk_of(y, true, "sdb").source, "disk-b");
	domain_put(y);
}

static void without_memory_nothing_is_defined(void **state)
{
	static const char text[] = "[vm x]\nkernel=k\nmemory=64M\nmodule = a\n";
	struct mgmt_error err;
	unsigned i;
	int e = -1;

	(void)state;
	for (i = 0; e && i < 30; i++) {
		host_heap_left = i;
		e = define_text(text, true, NULL, &err);
		host_heap_left = ~0u;
	}
	assert_in_range(i, 5, 20);
	for (i = 0, e = -1; e && i < 30; i++) {
		host_heap_left = i;
		e = domain_configure(d, "memory", "32M", &err);
		host_heap_left = ~0u;
		assert_int_equal(d->config->memory, (e ? 192 : 32) * MIB);
	}
	assert_in_range(i, 3, 20);
}

static void transient_goes_when_it_ends(void **state)
{
	struct mgmt_error err;
	struct domain *x, *f;

	(void)state;
	assert_int_equal(define_text("[vm x]\nkernel=k\nmemory=4M\n", false, &x, &err), 0);
	assert_int_equal(domain_configure(x, "vcpus", "2", &err), -EPERM);
	assert_int_equal(domain_start(x, &err), 0);
	assert_int_equal(domain_destroy(x, &err), 0);
	fake_vm_release();
	domain_work(x);
	assert_int_equal(domain_find("x", &f, NULL), -ENOENT);
	assert_int_equal(x->refs, 1);
	domain_put(x);
}

static void change_holds_from_the_next_start(void **state)
{
	struct domain_info i;
	struct mgmt_error err;
	struct config_vm *c;

	(void)state;
	go(RUNNING);
	assert_int_equal(domain_configure(d, "vcpus", "4\ncmdline = x", &err), -EINVAL);
	assert_int_equal(domain_configure(d, "vcpus", "4", &err), 0);
	assert_int_equal(domain_configure(d, "memory", "64M", &err), 0);
	assert_int_equal(domain_configure(d, "autostart", "yes", &err), 0);
	assert_int_equal(domain_configure(d, "vcpus", "65", &err), -EINVAL);
	assert_non_null(strstr(err.message, "1 to 64"));
	assert_int_equal(domain_configure(d, "cmdline", "a\n[vm b]", &err), -EINVAL);
	domain_info_get(d, &i);
	assert_int_equal(i.vcpus, 2);
	assert_int_equal(i.memory, 192 * MIB);
	assert_true(i.autostart);
	c = domain_config_get(d, true);
	assert_int_equal(c->vcpus, 2);
	config_vm_put(c);
	c = domain_config_get(d, false);
	assert_int_equal(c->vcpus, 4);
	assert_int_equal(c->topology.cores, 4);
	config_vm_put(c);
	/* A restart is of what was started, a start of what is defined. */
	assert_int_equal(domain_reset(d, NULL), 0);
	settle();
	assert_int_equal(fake.last->config.vcpus, 2);
	go(RUNNING);
	assert_int_equal(fake.last->config.vcpus, 4);
	assert_int_equal(fake.last->config.memory, 64 * MIB);
	domain_info_get(d, &i);
	assert_int_equal(i.vcpus, 4);
}

/* Its flash: the module's bytes at first, then what its vms left there, restarts and ends over. */
static void flash_outlives_its_vms(void **state)
{
	uint8_t *flash;

	(void)state;
	strcpy(d->config->firmware, "bios");
	strcpy(d->config->nvram, "vars");
	assert_int_equal(domain_start(d, NULL), 0);
	settle();
	assert_non_null(fake.last->config.firmware);
	assert_int_equal(fake.last->config.nvram_size, 6);
	flash = fake.last->config.nvram;
	assert_memory_equal(flash, "kernel", 6);
	flash[0] = 'X';
	fake_vm_stop(VM_STOP_RESET, 0, NULL);
	settle();
	assert_int_equal(d->state, DOMAIN_RUNNING);
	assert_memory_equal(fake.last->config.nvram, "Xernel", 6);
	assert_int_equal(domain_destroy(d, NULL), 0);
	settle();
	assert_int_equal(domain_start(d, NULL), 0);
	settle();
	assert_memory_equal(fake.last->config.nvram, "Xernel", 6);
	assert_int_equal(domain_destroy(d, NULL), 0);
	settle();
	/* Of another size it begins anew; a configuration without one has none. */
	d->nvram_size = 5;
	assert_int_equal(domain_start(d, NULL), 0);
	settle();
	assert_memory_equal(fake.last->config.nvram, "kernel", 6);
	assert_int_equal(domain_destroy(d, NULL), 0);
	settle();
	d->config->nvram[0] = 0;
	assert_int_equal(domain_start(d, NULL), 0);
	settle();
	assert_null(fake.last->config.nvram);
	assert_int_equal(fake.last->config.nvram_size, 0);
	assert_null(d->nvram);
}

static void check_affinity(unsigned how, unsigned vcpu, uint64_t cpus)
{
	struct mgmt_error err;
	struct cpu_set s;

	assert_int_equal(domain_vcpu_affinity(d, how, vcpu, &s, &err), 0);
	assert_int_equal(s.bits[0], cpus);
}

/* What runs follows at once, and again after a restart; a start has what is configured. */
static void pins(void **state)
{
	struct mgmt_error err;
	struct domain_vcpu v;
	struct cpu_set s;

	(void)state;
	go(SHUTOFF);
	assert_int_equal(domain_vcpu_pin(d, DOMAIN_AFFECT_LIVE, 0, "1", &err), -EPERM);
	assert_int_equal(domain_vcpu_pin(d, DOMAIN_AFFECT_CURRENT, 1, "2-3", &err), 0);
	check_affinity(DOMAIN_AFFECT_CURRENT, 1, 0xc);
	go(RUNNING);
	assert_int_equal(fake.pins, 1);			/* the other may be anywhere */
	assert_int_equal(fake.affinity[1].bits[0], 0xc);
	/* Of the one that runs. */
	assert_int_equal(domain_vcpu_pin(d, DOMAIN_AFFECT_CURRENT, 0, "0,^0,5", &err), 0);
	assert_int_equal(fake.pins, 2);
	assert_int_equal(fake.affinity[0].bits[0], 0x20);
	assert_int_equal(domain_vcpu_get(d, 0, &v, &err), 0);
	assert_int_equal(v.allowed.bits[0], 0x20);
	check_affinity(DOMAIN_AFFECT_LIVE, 0, 0x20);
	check_affinity(DOMAIN_AFFECT_CONFIG, 0, ~0ul);
	/* Of both, of the next one, and back again. */
	assert_int_equal(domain_vcpu_pin(d, DOMAIN_AFFECT_LIVE | DOMAIN_AFFECT_CONFIG, 0, "6", &err),
			 0);
	check_affinity(DOMAIN_AFFECT_CONFIG, 0, 0x40);
	assert_int_equal(fake.affinity[0].bits[0], 0x40);
	assert_int_equal(domain_vcpu_pin(d, DOMAIN_AFFECT_CONFIG, 0, "7", &err), 0);
	assert_int_equal(fake.affinity[0].bits[0], 0x40);
	assert_int_equal(domain_configure(d, "cpuset", "1-2", &err), 0);
	assert_int_equal(domain_vcpu_pin(d, DOMAIN_AFFECT_CONFIG, 0, "r", &err), 0);
	cpu_set_fill(&s);
	fake.pins = 0;
	assert_int_equal(domain_reset(d, NULL), 0);
	settle();
	assert_int_equal(fake.pins, 2);
	assert_int_equal(fake.affinity[0].bits[0], 0x40);
	go(SHUTOFF);
	check_affinity(DOMAIN_AFFECT_CURRENT, 0, 6);
	check_affinity(DOMAIN_AFFECT_CURRENT, 1, 0xc);
	assert_int_equal(domain_vcpu_pin(d, 0, 2, "0", &err), -ENOENT);
	assert_int_equal(domain_vcpu_pin(d, 0, 0, "0-", &err), -EINVAL);
	assert_non_null(strstr(err.message, "a list of CPUs"));
	assert_int_equal(domain_vcpu_pin(d, 0, 0, "0\nmemory=1G", &err), -EINVAL);
	check_affinity(DOMAIN_AFFECT_CURRENT, 0, 6);
	/* Not in the middle of a job. */
	go(RUNNING);
	assert_int_equal(domain_configure(d, "vcpupin", "1:1", &err), 0);
	d->job = job_new(JOB_SUSPEND, d, NULL);
	assert_int_equal(domain_vcpu_pin(d, DOMAIN_AFFECT_LIVE, 0, "1", &err), -EBUSY);
	job_put(d->job);
	d->job = NULL;
}

/* Likewise its part of the CPUs. */
static void sched_parameters(void **state)
{
	struct mgmt_error err;
	struct config_vm *c;
	const char *key;
	int64_t v;

	(void)state;
	go(SHUTOFF);
	assert_int_equal(domain_sched_set(d, 0, "cpu_shares", "2048", &err), 0);
	assert_int_equal(domain_sched_set(d, 0, "global_quota", "50000", &err), 0);
	assert_int_equal(domain_sched_set(d, 0, "memory", "64M", &err), -EINVAL);
	assert_int_equal(domain_sched_set(d, 0, "cpu_shares", "0", &err), -EINVAL);
	assert_int_equal(domain_sched_set(d, DOMAIN_AFFECT_LIVE, "cpu_shares", "8", &err), -EPERM);
	assert_int_equal(domain_group(d)->weight, 0);	/* from its next start */
	go(RUNNING);
	assert_int_equal(domain_group(d)->weight, 2048);
	assert_true(sched_group_capped(domain_group(d)));
	assert_int_equal(fake.follows, 1);
	assert_int_equal(domain_sched_set(d, 0, "global_quota", "-1", &err), 0);
	assert_false(sched_group_capped(domain_group(d)));
	assert_int_equal(domain_sched_set(d, 0, "vcpu_quota", "2000", &err), 0);
	assert_true(sched_group_capped(domain_group(d)));
	assert_int_equal(fake.follows, 3);
	/* A restart keeps that, a start does not. */
	assert_int_equal(domain_reset(d, NULL), 0);
	settle();
	assert_int_equal(domain_group(d)->all.quota, 0);
	assert_true(domain_group(d)->each.quota);
	assert_int_equal(domain_sched_config(d, 0, &c, &err), 0);
	for (unsigned i = 0; (key = domain_sched_value(c, i, &v)); i++)
		assert_int_equal(v, !strcmp(key, "cpu_shares")	   ? 2048
				    : !strcmp(key, "vcpu_quota")   ? 2000
				    : !strcmp(key, "global_quota") ? -1
								   : 100000);
	config_vm_put(c);
	go(RUNNING);
	assert_true(domain_group(d)->all.quota);
	assert_int_equal(domain_group(d)->each.quota, 0);
}

static void as_many_as_there_may_be(void **state)
{
	struct mgmt_error err;
	char text[64];
	unsigned n;
	int e = 0;

	(void)state;
	for (n = 1; !e; n++) {
		sprintf(text, "[vm v%u]\nkernel=k\nmemory=4M\n", n);
		e = define_text(text, true, NULL, &err);
	}
	assert_int_equal(n - 1, DOMAIN_MAX);
	assert_int_equal(e, -ENOSPC);
	assert_non_null(strstr(err.message, "undefine one"));
}

/* --- jobs */

static unsigned looks;

/* Whoever asks while something is under way is answered: the domain's lock is not held for it. */
static void look_at_it(void)
{
	struct mgmt_error err;
	struct domain_job j;
	struct domain_info i;
	struct domain_vcpu v;

	looks++;
	domain_info_get(d, &i);
	assert_true(i.busy);
	assert_false(i.ended);
	domain_job_get(d, false, &j);
	assert_string_not_equal(j.name, "none");
	assert_int_not_equal(domain_start(d, &err), 0);
	assert_int_equal(domain_reset(d, &err), -EBUSY);
	assert_non_null(strstr(err.message, "'domjobabort'"));
	assert_int_equal(domain_suspend(d, &err), -EBUSY);
	(void)!domain_vcpu_get(d, 0, &v, &err);
	stat(STATS_ALL, "state.state");
	/* The management thread leaves it alone. */
	domain_work(d);
}

static void asked_while_it_is_busy(void **state)
{
	(void)state;
	fake.meanwhile = look_at_it;
	assert_int_equal(domain_start(d, NULL), 0);
	assert_int_equal(looks, 2);		/* made, loaded */
	assert_int_equal(domain_suspend(d, NULL), 0);
	assert_int_equal(looks, 3);
	assert_int_equal(domain_resume(d, NULL), 0);
	assert_int_equal(check_state(d, NULL), 0);
	assert_int_equal(looks, 5);		/* paused, checked */
	assert_int_equal(domain_reset(d, NULL), 0);
	settle();
	assert_int_equal(looks, 7);
	assert_int_equal(d->state, DOMAIN_RUNNING);
	fake.meanwhile = NULL;
}

static void being_started(void **state)
{
	struct domain_job i;
	struct domain_info info;
	struct mgmt_error err;
	struct job *j;

	(void)state;
	assert_int_equal(domain_job_abort(d, &err), -EPERM);
	assert_non_null(strstr(err.message, "no job"));
	assert_int_equal(domain_start_begin(d, &j, &err), 0);
	domain_info_get(d, &info);
	assert_int_equal(info.state, DOMAIN_PAUSED);
	assert_int_equal(info.reason, REASON_STARTING_UP);
	assert_true(info.id > 0);
	host_tsc += 2000000000;
	domain_job_get(d, false, &i);
	assert_string_equal(i.name, "start");
	assert_int_equal(i.elapsed_ns, 2000000000);
	assert_false(i.aborted);
	assert_false(job_wait(j, 0));
	assert_true(job_round());
	assert_true(job_wait(j, 0));
	assert_int_equal(j->result, 0);
	assert_int_equal(j->done, 6);
	assert_int_equal(j->total, 6);
	job_put(j);
	domain_job_get(d, false, &i);
	assert_string_equal(i.name, "none");
	assert_int_equal(d->state, DOMAIN_RUNNING);
}

static void abort_it(void)
{
	assert_int_equal(domain_job_abort(d, NULL), 0);
}

static void destroy_it(void)
{
	assert_int_equal(domain_destroy(d, NULL), 0);
}

/* Before it has begun, while the vm is made, while it is loaded. */
static void start_is_given_up(void **state)
{
	void (*const ways[])(void) = { abort_it, destroy_it };
	struct mgmt_error err;
	struct job *j;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(domain_start_begin(d, &j, &err), 0);
		if (i < 2)
			ways[i]();
		else
			fake.meanwhile = ways[i - 2];
		settle();
		fake.meanwhile = NULL;
		assert_int_equal(job_finish(j, &err), -EINTR);
		assert_non_null(strstr(err.message, "was aborted"));
		job_put(j);
		check_end(true, END_DESTROYED);
		assert_int_equal(d->state, DOMAIN_SHUTOFF);
		assert_int_equal(d->reason, REASON_DESTROYED);
		assert_int_equal(fake.alive, 0);
	}
	/* What is left of that does not touch the next start. */
	assert_int_equal(domain_start(d, &err), 0);
	settle();
	assert_int_equal(d->state, DOMAIN_RUNNING);
}

/* A guest that ends, and a user who destroys it, while it is being paused or checked. */
static void ends_while_it_has_a_job(void **state)
{
	struct mgmt_error err;

	(void)state;
	go(RUNNING);
	fake.meanwhile = destroy_it;
	assert_int_equal(domain_suspend(d, &err), 0);
	fake.meanwhile = NULL;
	check_end(true, END_DESTROYED);
	go(RUNNING);
	fake.meanwhile = destroy_it;
	assert_int_equal(check_state(d, &err), 0);
	fake.meanwhile = NULL;
	check_end(true, END_DESTROYED);
	go(RUNNING);
	fake_vm_stop(VM_STOP_DEBUG_EXIT, 7, NULL);
	fake.fail_pause = -EINVAL;
	assert_int_equal(check_state(d, &err), -EINVAL);
	assert_non_null(strstr(err.message, "has ended itself after 0 of 1 rounds"));
	check_end(true, END_EXIT);
	go(RUNNING);
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	fake.fail_pause = -EINVAL;
	assert_int_equal(domain_suspend(d, &err), -EINVAL);
	check_end(true, END_POWER_OFF);
}

static void closing_while_it_starts(void **state)
{
	struct mgmt_error err;
	struct job *j;

	(void)state;
	assert_int_equal(domain_start_begin(d, &j, &err), 0);
	closing = true;
	assert_int_equal(job_finish(j, &err), -EPERM);
	job_put(j);
	settle();
	assert_int_equal(d->state, DOMAIN_SHUTOFF);
	assert_int_equal(fake.created, 0);
}

/* libvirt's numbers, by what it calls the states and reasons. */
static void numbers_are_libvirts(void **state)
{
	static const struct { enum domain_reason reason; unsigned state, number; } rows[] = {
		{ REASON_BOOTED, 1, 1 }, { REASON_UNPAUSED, 1, 5 }, { REASON_RESTARTED, 1, 1 },
		{ REASON_SUSPENDED, 3, 1 }, { REASON_SHUTTING_DOWN, 3, 8 },
		{ REASON_STARTING_UP, 3, 11 }, { REASON_ENDING, 4, 1 }, { REASON_SHUTDOWN, 5, 1 },
		{ REASON_DESTROYED, 5, 2 }, { REASON_CRASHED, 5, 3 }, { REASON_FAILED, 5, 6 },
		{ REASON_PANICKED, 6, 1 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		assert_int_equal(domain_reason_state(rows[i].reason), rows[i].state);
		assert_int_equal(domain_reason_number(rows[i].reason), rows[i].number);
		assert_string_not_equal(domain_reason_name(rows[i].reason), "unknown");
	}
}

static void ids_rise(void **state)
{
	int first;

	(void)state;
	go(RUNNING);
	first = d->id;
	assert_int_equal(domain_reset(d, NULL), 0);
	settle();
	assert_int_equal(d->id, first);
	go(SHUTOFF);
	go(RUNNING);
	assert_int_equal(d->id, first + 1);
}

static void events_tell_the_story(void **state)
{
	static const struct { const char *class, *word, *detail; unsigned number, detail_number; }
	story[] = {
		{ "job", "Begun", "start", 0, 0 }, { "lifecycle", "Started", "booted", 2, 0 },
		{ "job", "Done", "start", 0, 0 }, { "job", "Begun", "suspend", 0, 0 },
		{ "lifecycle", "Suspended", "paused", 3, 0 }, { "job", "Done", "suspend", 0, 0 },
		{ "lifecycle", "Resumed", "unpaused", 4, 0 }, { "job", "Begun", "end", 0, 0 },
		{ "job", "Done", "end", 0, 0 }, { "job", "Begun", "start", 0, 0 },
		{ "lifecycle", "Started", "restarted", 2, 0 }, { "reboot", "", "restarted", 0, 0 },
		{ "job", "Done", "start", 0, 0 }, { "lifecycle", "Defined", "updated", 0, 1 },
		{ "button", "Pressed", "shutdown", 0, 0 },
		{ "lifecycle", "Shutdown", "finished after host request", 6, 2 },
		{ "job", "Begun", "end", 0, 0 }, { "job", "Done", "end", 0, 0 },
		{ "lifecycle", "Stopped", "shutdown", 5, 0 },
		{ "job", "Begun", "start", 0, 0 }, { "lifecycle", "Stopped", "failed", 5, 5 },
		{ "job", "Failed", "start", 0, 0 },
	};
	uint64_t at = first_event;
	struct domain_event e;

	(void)state;
	domain_start(d, NULL);
	domain_suspend(d, NULL);
	domain_resume(d, NULL);
	domain_reset(d, NULL);
	settle();
	assert_int_equal(domain_configure(d, "vcpus", "4", NULL), 0);
	domain_shutdown(d, NULL);
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	fake.fail_create = -ENOMEM;
	assert_int_equal(domain_start(d, NULL), -ENOMEM);
	for (unsigned i = 0; i < ARRAY_COUNT(story); i++, at++) {
		assert_true(events_read(at, &e));
		assert_int_equal(e.sequence, at);
		assert_string_equal(e.class, story[i].class);
		assert_string_equal(e.word, story[i].word);
		assert_string_equal(e.detail, story[i].detail);
		assert_int_equal(e.number, story[i].number);
		assert_int_equal(e.detail_number, story[i].detail_number);
		assert_string_equal(e.name, "debian");
		assert_memory_equal(e.uuid, d->uuid, 16);
		assert_true(e.id > 0 || e.kind == EVENT_DEFINED || e.kind == EVENT_JOB_FAILED);
	}
	assert_int_equal(events_next(), at);
	assert_false(events_read(at, &e));
}

static void vcpus(void **state)
{
	struct mgmt_error err;
	struct domain_vcpu v;

	(void)state;
	assert_int_equal(domain_vcpu_get(d, 0, &v, &err), -EPERM);
	go(RUNNING);
	assert_int_equal(domain_vcpu_get(d, 1, &v, &err), 0);
	assert_int_equal(v.activity, ACTIVITY_HALTED);
	assert_int_equal(v.cpu_time_ns, 2500000000);
	assert_int_equal(domain_vcpu_get(d, 2, &v, &err), -ENOENT);
}

static void statistics(void **state)
{
	(void)state;
	assert_int_equal(stat(STATS_ALL, "state.state"), 5);
	assert_int_equal(stat(STATS_ALL, "vcpu.maximum"), 2);
	assert_int_equal(stat(STATS_ALL, "cpu.time"), ~0ull);
	go(RUNNING);
	assert_int_equal(stat(STATS_ALL, "state.state"), 1);
	assert_int_equal(stat(STATS_ALL, "cpu.time"), 5000000000);
	assert_int_equal(stat(STATS_ALL, "balloon.maximum"), 196608);
	assert_int_equal(stat(STATS_ALL, "vcpu.0.time"), 2500000000);
	assert_int_equal(stat(STATS_ALL, "vcpu.1.exits.hlt.count"), 10);
	assert_int_equal(stat(STATS_ALL, "vcpu.1.exits.hlt.mean"), 123);
	assert_int_equal(stat(STATS_ALL, "exits.hlt.count"), 20);
	assert_int_equal(stat(STATS_ALL, "exits.total.count"), 30);
	assert_int_equal(stat(STATS_ALL, "exits.total.ticks"), 3702);
	assert_int_equal(stat(STATS_ALL, "exits.cpuid.count"), ~0ull);
	assert_int_equal(stat(STATS_STATE, "cpu.time"), ~0ull);
	assert_int_equal(stat(STATS_VCPU, "vcpu.0.exits.hlt.count"), ~0ull);
	go(CRASHED);
	assert_int_equal(stat(STATS_STATE, "state.state"), 6);
}

static void thousand_rounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(domain_start(d, NULL), 0);
		assert_int_equal(domain_destroy(d, NULL), 0);
		settle();
	}
	assert_int_equal(fake.alive, 0);
	assert_int_equal(fake.created, 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_verb_in_every_state), TEST(state_check_lets_go),
		TEST(advice_names_a_verb),
		TEST(destroy_is_asynchronous), TEST(destroy_beats_a_restart), TEST(policies),
		TEST(each_policy_looks_at_its_own_key), TEST(reboot_starts_again_after_power_off),
		TEST(shutdown_takes_a_reboot_back), TEST(exit_code_and_crash_reason),
		TEST(jobs_are_paid_for),
		TEST(how_it_ended),
		TEST(crashing_for_ever_ends), TEST(resetting_for_ever_waits),
		TEST(delayed_restart_gives_way), TEST(start_keeps_other_notes),
		TEST(stop_and_destroy_cross), TEST(failed_starts_leave_nothing),
		TEST(heap_runs_out), TEST(failed_restart_is_shut_off),
		TEST(failed_pause_changes_nothing), TEST(closing_host_restarts_nothing),
		TEST(found_by_name_id_uuid), TEST(names_are_unique), TEST(walk), TEST(ids_rise),
		TEST(undefined_stays_as_long_as_it_is_used), TEST(undefined_while_it_runs),
		TEST(defined_by_text), TEST(devices_become_rows),
		TEST(disks_outlive_a_restart), TEST(discs_are_changed),
		TEST(without_memory_nothing_is_defined),
		TEST(transient_goes_when_it_ends), TEST(change_holds_from_the_next_start),
		TEST(flash_outlives_its_vms),
		TEST(pins), TEST(sched_parameters),
		TEST(as_many_as_there_may_be), TEST(asked_while_it_is_busy),
		TEST(being_started), TEST(start_is_given_up), TEST(ends_while_it_has_a_job),
		TEST(closing_while_it_starts), TEST(numbers_are_libvirts),
		TEST(events_tell_the_story), TEST(vcpus), TEST(statistics), TEST(thousand_rounds),
	};

	host_percpu_init(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
