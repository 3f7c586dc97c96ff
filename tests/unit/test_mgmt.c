/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Management as a whole: domains from a keel.conf with mistakes, autostart, switching the host off
 * in order; and a console's rings.
 */
/* links: mgmt/mgmt.c mgmt/config*.c vmm/cpu_model.c vmm/cpu_topology.c kernel/cpu_set.c
 * mgmt/domain*.c
 * mgmt/registry.c mgmt/job.c mgmt/events.c mgmt/error.c mgmt/console.c kernel/sched_group.c
 * lib/format.c mgmt/text.c mgmt/records.c mgmt/shape.c
 * lib/png.c lib/deflate.c lib/crc.c
 * tests/host/fake_vm.c tests/host/one_thread.c tests/host/heap.c tests/host/log.c
 * tests/host/panic.c tests/host/spinlock.c tests/host/percpu.c tests/host/tsc.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sanitizer/asan_interface.h>

#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "fake_vm.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "mgmt/domain_struct.h"
#include "mgmt/mgmt.h"
#include "mm/layout.h"

#define SECOND 1000000000ull

extern unsigned host_log_count[4];
extern unsigned host_heap_left;

static struct bootinfo boot;
static unsigned offs, reboots;

static const char conf[] =
	"[host]\n"
	"hostname = keel7\n"
	"[vm one]\n"
	"memory = 64M\nkernel = vmlinuz\nautostart = yes\non_reboot = restart\n"
	"[vm two]\n"
	"memory = 64M\nkernel = vmlinuz\ninitrd = initrd.img\nautostart = yes\n"
	"on_poweroff = restart\n"
	"[vm three]\n"
	"memory = 64M\nkernel = vmlinuz\non_crash = preserve\n"
	"[vm missing]\n"
	"memory = 64M\nkernel = nothere\n"
	"[vm empty]\n"
	"memory = 64M\nkernel = nothing\n"
	"[vm huge]\n"
	"memory = 8192G\nkernel = vmlinuz\n"
	"[vm one]\n"
	"memory = 64M\nkernel = vmlinuz\n";

static void power_off(void)
{
	offs++;
}

static void power_reboot(void)
{
	reboots++;
}

/* Anywhere will do for the direct map: its address is only added. */
static void module(const char *name, const char *text, size_t size)
{
	boot.module[boot.module_count++] = (struct boot_module){
		.start = HPA((uintptr_t)text - LAYOUT_DIRECT), .size = size, .name = name,
	};
}

static int setup_all(void **state)
{
	static const struct mgmt_platform platform = {
		.power_off = power_off, .power_reboot = power_reboot,
	};

	(void)state;
	host_percpu_init(1);
	fake_vm_reset();
	module("keel.conf", conf, strlen(conf));
	module("vmlinuz", "kernel", 6);
	module("initrd.img", "initrd", 6);
	module("nothing", "", 0);
	mgmt_init(&platform, &boot);
	return 0;
}

static struct domain *named(const char *name)
{
	struct domain *d;

	/* Its reference is kept: these live for ever. */
	return domain_find(name, &d, NULL) ? NULL : d;
}

static void settle(void)
{
	for (unsigned i = 0; i < 6; i++) {
		(void)mgmt_round();
		while (job_round())
			;
		fake_vm_release();
	}
}

static void mistakes_leave_the_others(void **state)
{
	(void)state;
	assert_non_null(named("one"));
	assert_non_null(named("two"));
	assert_non_null(named("three"));
	assert_null(named("missing"));
	assert_null(named("empty"));
	assert_null(named("huge"));
	assert_true(host_log_count[LOG_ERROR] >= 4);
	assert_string_equal(mgmt_host()->hostname, "keel7");
}

static void autostart(void **state)
{
	(void)state;
	mgmt_autostart();
	assert_int_equal(fake.created, 0);
	settle();
	assert_int_equal(domain_state(named("one")), DOMAIN_RUNNING);
	assert_int_equal(domain_state(named("two")), DOMAIN_RUNNING);
	assert_int_equal(domain_state(named("three")), DOMAIN_SHUTOFF);
	assert_true(named("one")->id < named("two")->id);	/* in the file's order */
}

/*
 * Whatever is done with one domain does not look at the others, however many there are: they are
 * out of bounds meanwhile.
 */
static void others_are_left_alone(void **state)
{
	struct domain *two = named("two"), *d;

	(void)state;
	list_for_each(d, &domain_list, link)
		if (d != two)
			ASAN_POISON_MEMORY_REGION(&d->refs, sizeof(*d) -
						  offsetof(struct domain, refs));
	assert_ptr_equal(named("two"), two);
	mgmt_note(two, NOTE_START);
	mgmt_note(two, NOTE_START);
	assert_int_equal(mgmt_round(), THREAD_FOREVER);
	assert_int_equal(two->pending, 0);
	list_for_each(d, &domain_list, link)
		ASAN_UNPOISON_MEMORY_REGION(&d->refs, sizeof(*d) -
					    offsetof(struct domain, refs));
}

static void modules(void **state)
{
	const void *data;
	size_t size;

	(void)state;
	assert_true(mgmt_module("vmlinuz", &data, &size));
	assert_int_equal(size, 6);
	assert_memory_equal(data, "kernel", 6);
	assert_false(mgmt_module("vmlinux", &data, &size));
}

/* --- the console's rings */

static unsigned told;

static void tell(void *arg)
{
	assert_ptr_equal(arg, &told);
	told++;
}

/* Shut off, it holds what was not read; at the next start that is still there. */
static void console_shrinks(struct console *c)
{
	char got[200];
	uint64_t dropped;

	while (console_read(c, got, sizeof(got), &dropped))
		;
	for (unsigned i = 0; i < 10; i++)
		console_put(c, "0123456789", 10);
	console_shrink(c);
	assert_int_equal(c->output.size, 128);
	assert_null(c->input.data);
	assert_int_equal(console_write(c, "x", 1), 0);
	host_heap_left = 0;
	assert_int_equal(console_prepare(c), -ENOMEM);
	host_heap_left = ~0u;
	assert_int_equal(console_prepare(c), 0);
	assert_int_equal(c->output.size, CONSOLE_OUTPUT_SIZE);
	assert_int_equal(c->input.size, CONSOLE_INPUT_SIZE);
	assert_int_equal(console_read(c, got, sizeof(got), &dropped), 100);
	assert_memory_equal(got + 90, "0123456789", 10);
	console_put(c, "left", 4);
	host_heap_left = 0;
	console_shrink(c);		/* no memory to shrink: nothing is lost */
	host_heap_left = ~0u;
	assert_int_equal(console_read(c, got, sizeof(got), &dropped), 4);
	console_shrink(c);
	assert_null(c->output.data);
	assert_int_equal(console_read(c, got, sizeof(got), &dropped), 0);
	assert_int_equal(console_prepare(c), 0);
}

static void console_rings(void **state)
{
	static char big[CONSOLE_OUTPUT_SIZE + 100], got[CONSOLE_OUTPUT_SIZE + 100];
	struct console c;
	uint64_t dropped;

	(void)state;
	console_init(&c);
	host_heap_left = 1;
	assert_int_equal(console_prepare(&c), -ENOMEM);
	host_heap_left = ~0u;
	assert_int_equal(console_prepare(&c), 0);
	assert_int_equal(console_prepare(&c), 0);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	assert_int_equal(console_put(&c, "kept", 4), 4);
	assert_int_equal(console_attach(&c, tell, &told), 0);
	assert_int_equal(console_attach(&c, tell, &told), -EBUSY);
	assert_int_equal(console_read(&c, got, sizeof(got), &dropped), 4);
	assert_int_equal(dropped, 0);
	assert_int_equal(console_put(&c, big, sizeof(big)), sizeof(big));
	assert_int_equal(told, 1);
	assert_int_equal(console_read(&c, got, sizeof(got), &dropped), CONSOLE_OUTPUT_SIZE);
	assert_int_equal(dropped, 100);
	assert_memory_equal(got, big + 100, CONSOLE_OUTPUT_SIZE);
	assert_int_equal(console_read(&c, got, sizeof(got), &dropped), 0);
	assert_int_equal(dropped, 0);
	console_detach(&c);
	console_put(&c, "x", 1);
	assert_int_equal(told, 1);
	/*
	 * Input without a guest waits, up to its size; what was meant for the last guest
	 * is not for the next.
	 */
	assert_int_equal(console_write(&c, big, sizeof(big)), CONSOLE_INPUT_SIZE);
	assert_int_equal(console_get(&c, got, 10), 10);
	assert_memory_equal(got, big, 10);
	console_bind(&c, NULL);
	assert_int_equal(console_get(&c, got, 10), 0);
	console_shrinks(&c);
	free(c.output.data);
	free(c.input.data);
}

/* The thread wakes for a restart that is delayed. */
static void delayed_restart(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		fake.last = named("one")->vm;
		fake_vm_stop(VM_STOP_RESET, 0, NULL);
		settle();
	}
	assert_int_equal(domain_state(named("one")), DOMAIN_SHUTDOWN);
	assert_int_equal(mgmt_round(), host_tsc + SECOND);
	host_tsc += SECOND;
	assert_int_equal(mgmt_round(), ~0ul);
	settle();
	assert_int_equal(domain_state(named("one")), DOMAIN_RUNNING);
	fake.destroyed = 0;
}

/* --- switching off; the last tests, as in life */

static void power_off_asks_first(void **state)
{
	struct mgmt_error err;

	(void)state;
	assert_int_equal(domain_start(named("three"), NULL), 0);
	assert_int_equal(domain_suspend(named("two"), NULL), 0);
	assert_int_equal(mgmt_power(MGMT_POWER_OFF, 30 * SECOND, &err), 0);
	assert_int_equal(mgmt_round(), host_tsc + 30 * SECOND);
	assert_int_equal(fake.buttons, 2);		/* the one that is paused cannot listen */
	assert_int_equal(fake.destroyed, 1);
	assert_int_equal(domain_start(named("two"), &err), -EBUSY);
	settle();
	assert_int_equal(domain_start(named("two"), &err), -EPERM);
	assert_int_equal(mgmt_power(MGMT_POWER_OFF, 30 * SECOND, &err), -EBUSY);
	assert_int_equal(offs, 0);
	/* One listens, although its policy would start it again; the other does not. */
	named("three")->config->on_poweroff = CONFIG_RESTART;
	fake.last = named("three")->vm;
	fake_vm_stop(VM_STOP_POWER_OFF, 0, NULL);
	settle();
	assert_int_equal(domain_state(named("three")), DOMAIN_SHUTOFF);
	assert_int_equal(domain_state(named("one")), DOMAIN_SHUTDOWN);
	assert_int_equal(offs, 0);
	host_tsc += 29 * SECOND;
	settle();
	assert_int_equal(offs, 0);
}

static void force_does_not_wait(void **state)
{
	(void)state;
	assert_int_equal(mgmt_power(MGMT_POWER_REBOOT, 0, NULL), 0);
	(void)mgmt_round();
	assert_int_equal(reboots, 0);
	fake_vm_release();
	(void)mgmt_round();
	assert_int_equal(fake.alive, 0);
	assert_int_equal(offs, 0);
	assert_int_equal(reboots, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_leave_the_others), cmocka_unit_test(autostart),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(modules), cmocka_unit_test(console_rings),
		cmocka_unit_test(delayed_restart),
		cmocka_unit_test(power_off_asks_first), cmocka_unit_test(force_does_not_wait),
	};

	return cmocka_run_group_tests(tests, setup_all, NULL);
}
