/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The management thread and the host's own verbs; see mgmt/mgmt.h. Locks: none of its own; notes
 * and `closing` are atomic, the thread takes one domain's mutex at a time.
 */
#include "mgmt/mgmt.h"

#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"
#include "mm/layout.h"
#include "vmm/cpuid.h"
#include "vmm/load/load.h"
#include "vmm/ops.h"

#define CONFIG_FILE	"keel.conf"
#define LAST_WORDS_NS	50000000

static const struct mgmt_platform *platform;
static const struct bootinfo *boot;
static struct config_host host = { "keel" };

static struct waitq wake;
static bool woken;			/* atomic */
static struct domain *noted;		/* atomic: those with notes, the last first */
static struct list delayed = LIST_INIT(delayed);	/* the thread's: those that time concerns */

/* Switching off. */
static bool closing;			/* atomic; set last */
static enum mgmt_power closing_what;
static uint64_t closing_deadline;	/* atomic */
static bool closing_asked;		/* the thread's own */

void mgmt_note(struct domain *d, enum domain_note note)
{
	__atomic_fetch_or(&d->pending, note, __ATOMIC_SEQ_CST);
	if (!__atomic_exchange_n(&d->noted, true, __ATOMIC_SEQ_CST)) {
		domain_get(d);
		d->next_noted = __atomic_load_n(&noted, __ATOMIC_RELAXED);
		while (!__atomic_compare_exchange_n(&noted, &d->next_noted, d, true,
						    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			;
	}
	__atomic_store_n(&woken, true, __ATOMIC_RELEASE);
	waitq_wake_all(&wake);
}

bool mgmt_closing(void)
{
	return __atomic_load_n(&closing, __ATOMIC_ACQUIRE);
}

const struct config_host *mgmt_host(void)
{
	return &host;
}

bool mgmt_cpu_virtual(unsigned cpu)
{
	return vmm_ops && (!platform->cpu_virtual || platform->cpu_virtual(cpu));
}

const char *mgmt_console(void)
{
	return platform->console ? platform->console() : "unknown";
}

bool mgmt_cmdline_error(unsigned i, char *text, size_t size)
{
	return platform->cmdline_error && platform->cmdline_error(i, text, size);
}

bool mgmt_device(unsigned i, struct nodedev *out)
{
	return platform->device && platform->device(i, out);
}

bool mgmt_module(const char *name, const void **data, size_t *size)
{
	for (unsigned i = 0; i < boot->module_count; i++) {
		const struct boot_module *m = &boot->module[i];

		if (!strcmp(m->name, name)) {
			*data = (const void *)(LAYOUT_DIRECT + m->start.v);
			*size = m->size;
			return true;
		}
	}
	return false;
}

/* --- the thread */

static bool any_active(void)
{
	bool any = false;

	for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
		any |= domain_state(d) != DOMAIN_SHUTOFF;
	return any;
}

static void ask_all(void)
{
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
		if (domain_state(d) == DOMAIN_RUNNING && !domain_shutdown(d, NULL))
			log_info("mgmt: waiting for domain '%s' to shut down", d->name);
}

/* Those that do not listen: at once, or after their time. */
static void destroy_all(bool listeners_too)
{
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		enum domain_state s = domain_state(d);

		if (s != DOMAIN_SHUTOFF &&
		    (listeners_too || s == DOMAIN_PAUSED || s == DOMAIN_CRASHED))
			(void)domain_destroy(d, NULL);
	}
}

static void switch_off(void)
{
	log_info("mgmt: %s", closing_what == MGMT_POWER_OFF ? "switching off" : "starting again");
	thread_sleep_ns(LAST_WORDS_NS);		/* for who prints that */
	if (closing_what == MGMT_POWER_OFF)
		platform->power_off();
	platform->power_reboot();
}

static uint64_t close_round(void)
{
	uint64_t deadline = __atomic_load_n(&closing_deadline, __ATOMIC_ACQUIRE);
	bool late = clock_ns() >= deadline;

	if (!closing_asked && !late)
		ask_all();
	if (!closing_asked || late)
		destroy_all(late);
	closing_asked = true;
	if (!any_active()) {
		switch_off();
		return THREAD_FOREVER;
	}
	return late ? clock_ns() + 100000000 : deadline;
}

/* Those with notes, the first that was noted first. */
static struct domain *take_noted(void)
{
	struct domain *last = __atomic_exchange_n(&noted, NULL, __ATOMIC_ACQUIRE), *first = NULL;

	while (last) {
		struct domain *d = last;

		last = d->next_noted;
		d->next_noted = first;
		first = d;
	}
	return first;
}

/* In `delayed` afterwards if it waits for its restart; in front: a walk does not meet it again. */
static void attend(struct domain *d)
{
	domain_work(d);
	list_remove(&d->delayed);
	if (domain_due_ns(d) != THREAD_FOREVER)
		list_push_front(&delayed, &d->delayed);
}

/* Who neither has a note nor waits for a restart is not looked at. */
uint64_t mgmt_round(void)
{
	uint64_t next = THREAD_FOREVER;
	struct domain *d, *tmp;

	__atomic_store_n(&woken, false, __ATOMIC_SEQ_CST);
	for (d = take_noted(); d; d = tmp) {
		tmp = d->next_noted;
		/* From here on it may be noted again; its notes are read after this. */
		__atomic_store_n(&d->noted, false, __ATOMIC_SEQ_CST);
		attend(d);
		domain_put(d);
	}
	list_for_each_safe(d, tmp, &delayed, delayed)
		if (clock_ns() >= domain_due_ns(d)) {
			domain_get(d);
			attend(d);
			domain_put(d);
		}
	list_for_each(d, &delayed, delayed)
		next = MIN(next, domain_due_ns(d));
	return mgmt_closing() ? close_round() : next;
}

static void run(void *arg)
{
	uint64_t again = THREAD_FOREVER;

	(void)arg;
	for (;;) {
		(void)WAITQ_WAIT(&wake, __atomic_load_n(&woken, __ATOMIC_ACQUIRE), again);
		again = mgmt_round();
	}
}

int mgmt_power(enum mgmt_power what, uint64_t grace_ns, struct mgmt_error *err)
{
	uint64_t deadline = clock_ns() + grace_ns;

	if (mgmt_closing() && deadline >= __atomic_load_n(&closing_deadline, __ATOMIC_ACQUIRE))
		return error_set(err, -EBUSY, "the host is going down already: wait, or force it");
	closing_what = what;
	__atomic_store_n(&closing_deadline, deadline, __ATOMIC_RELEASE);
	__atomic_store_n(&closing, true, __ATOMIC_RELEASE);
	__atomic_store_n(&woken, true, __ATOMIC_RELEASE);
	waitq_wake_all(&wake);
	return 0;
}

/* --- definition */

static bool has_module(void *arg, const char *name)
{
	const void *data;
	size_t size;

	(void)arg;
	return mgmt_module(name, &data, &size);
}

static int check_vm(void *arg, const struct config_vm *vm, char *why, size_t why_size)
{
	struct load_image image;
	struct mgmt_error err;
	const char *kind;
	int e = domain_image_get(vm, &image, &err);

	(void)arg;
	if (e) {
		str_copy(why, err.message, why_size);
		return e;
	}
	e = load_check(&image, vm->memory, &kind, why, why_size);
	domain_image_put(&image);
	return e;
}

static int check_cpu(void *arg, const struct cpu_model *m, char *why, size_t why_size)
{
	(void)arg;
	return cpuid_model_check(m, why, why_size);
}

static void log_config_errors(const struct config *c)
{
	for (unsigned i = 0; i < c->error_count && i < CONFIG_ERROR_MAX; i++) {
		const struct config_error *e = &c->error[i];

		if (e->line)
			log_error(CONFIG_FILE ":%u: %s", e->line, e->text);
		else
			log_error(CONFIG_FILE ": %s", e->text);
	}
	if (c->error_count > CONFIG_ERROR_MAX)
		log_error(CONFIG_FILE ": %u more errors", c->error_count - CONFIG_ERROR_MAX);
}

/* Takes the vms out of the configuration, which then frees only itself. */
static unsigned define_all(struct config *c)
{
	struct mgmt_error err;
	unsigned defined = 0;

	for (unsigned i = 0; i < c->vm_count; i++) {
		struct config_vm *vm = c->vm[i];

		if (domain_define(vm, true, NULL, &err)) {
			log_error("mgmt: %s", err.message);
			continue;
		}
		c->vm[i] = NULL;
		defined++;
	}
	return defined;
}

static struct config_limits limits = {
	.vcpus_max = VM_VCPU_MAX, .module = has_module, .check = check_vm, .cpu = check_cpu,
	.device = domain_devices_check,
	.host = &host,
};

const struct config_limits *mgmt_limits(void)
{
	return &limits;
}

static void read_config(void)
{
	struct config *c;
	const void *text;
	size_t size;

	limits.memory_max = gmem_available() * PAGE_SIZE;
	limits.cpus = cpu_count;
	if (!mgmt_module(CONFIG_FILE, &text, &size)) {
		log_warn("mgmt: there is no module " CONFIG_FILE ": no domain is defined");
		return;
	}
	c = heap_alloc(sizeof(*c));
	if (!c || config_parse(c, text, size, &limits)) {
		log_error("mgmt: no memory to read " CONFIG_FILE);
		heap_free(c);
		return;
	}
	log_config_errors(c);
	host = c->host;
	log_info("mgmt: host '%s', %u domains defined", host.hostname, define_all(c));
	config_fini(c);
	heap_free(c);
}

void mgmt_init(const struct mgmt_platform *p, const struct bootinfo *b)
{
	struct thread_attr attr = { .name = "mgmt", .entry = run, .cpu = -1 };
	struct thread *t;

	platform = p;
	boot = b;
	waitq_init(&wake);
	job_start();
	read_config();
	t = thread_create(&attr);
	if (!t)
		panic("mgmt: no memory for the management thread");
	thread_start(t);
	thread_put(t);
}

void mgmt_autostart(void)
{
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		struct config_vm *c = domain_config_get(d, false);

		if (c->autostart)
			mgmt_note(d, NOTE_START);
		config_vm_put(c);
	}
}
