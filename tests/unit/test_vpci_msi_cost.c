/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/steps.c */
/*
 * What a message of a virtual device costs until it is handed to the local APICs, open and masked;
 * docs/SPEC.md has the promise. And as the processor stops at each instruction of the sender's, who
 * has no lock: at every one of them another CPU masks, unmasks, or changes the entry; the message
 * must arrive once, and as it was meant. The host beside it does nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/host/steps.h"
#include "tests/host/vdev_toy.h"

#define UNUSED		__attribute__((unused))
#define MSI_MAX		120	/* its registers are put together each time */
#define MSIX_MAX	80

extern char __start_counted[], __stop_counted[];

static struct vdev *root;
static struct toy *toy;
static unsigned sent;
static uint64_t sent_address, steps;
static uint32_t sent_data;

/* What another CPU does before the sender's step of that number. */
static struct {
	uint64_t step;
	void (*act)(void);
} other[2];

void *host_alloc(size_t size)
{
	return calloc(1, size);
}

void host_free(void *p)
{
	free(p);
}

uint64_t host_lock(struct vdev *d UNUSED)
{
	return 0;
}

void host_unlock(struct vdev *d UNUSED, uint64_t flags UNUSED)
{
}

bool host_msi(struct vdev *d UNUSED, uint64_t address, uint32_t data)
{
	sent++;
	sent_address = address;
	sent_data = data;
	return true;
}

void host_line_set(struct vdev *d UNUSED, unsigned line UNUSED, bool level UNUSED)
{
}

int host_region_set(struct vdev *d UNUSED, unsigned region UNUSED, enum host_space space UNUSED,
	uint64_t base UNUSED, uint64_t size UNUSED, bool enabled UNUSED)
{
	return 0;
}

int host_mem_read(struct vdev *d UNUSED, gpa_t a UNUSED, void *dst UNUSED, size_t n UNUSED)
{
	return 0;
}

int host_mem_write(struct vdev *d UNUSED, gpa_t a UNUSED, const void *src UNUSED, size_t n UNUSED)
{
	return 0;
}

void host_machine_request(struct vdev *d UNUSED, enum host_request request UNUSED,
	uint32_t value UNUSED)
{
}

void host_log(struct vdev *d UNUSED, const char *fmt UNUSED, ...)
{
}

static void act(unsigned i)
{
	void (*act)(void) = other[i].act;

	other[i].act = NULL;
	if (act)
		act();
}

static void count_step(uintptr_t rip)
{
	if (!steps_within(rip, __start_counted, __stop_counted))
		return;
	steps++;
	for (unsigned i = 0; i < 2; i++)
		if (steps == other[i].step)
			act(i);
}

static void put(unsigned reg, unsigned size, uint64_t v)
{
	root->ops->write(root, VPCI_ECAM, 3 << 15 | reg, size, v);
}

/* The sender's instructions; `other` acts meanwhile, or at the latest afterwards. */
static uint64_t send(void)
{
	sent = 0;
	steps = 0;
	steps_trap(true);
	vpci_msi_send(&toy->function, 2);
	steps_trap(false);
	act(0);
	act(1);
	return steps;
}

static uint64_t cost(const char *what, unsigned want)
{
	send();
	print_message("%s: %lu instructions\n", what, steps);
	assert_int_equal(sent, want);
	return steps;
}

static void messages(void **state)
{
	const struct vpci_function *f = &toy->function;

	(void)state;
	put(4, 2, 4);
	put(f->msi + 4, 8, 0xfee00000);
	put(f->msi + 2, 2, 0x21);
	assert_true(cost("MSI", 1) <= MSI_MAX);
	toy->dev.ops->write(&toy->dev, TOY_TABLE_REGION, TOY_TABLE + 32, 8, 0xfee00000);
	toy->dev.ops->write(&toy->dev, TOY_TABLE_REGION, TOY_TABLE + 40, 8, 0x55);
	put(f->msix + 2, 2, 0x8000);
	assert_true(cost("MSI-X", 1) <= MSIX_MAX);
	put(f->msix + 2, 2, 0xc000);
	assert_true(cost("MSI-X, masked", 0) <= 2 * MSIX_MAX);
}

static void entry(unsigned at, uint64_t v)
{
	toy->dev.ops->write(&toy->dev, TOY_TABLE_REGION, TOY_TABLE + 32 + at, 4, v);
}

static void mask(void)
{
	entry(12, 1);
}

static void unmask(void)
{
	entry(12, 0);
}

static void mask_all(void)
{
	put(toy->function.msix + 2, 2, 0xc000);
}

static void unmask_all(void)
{
	put(toy->function.msix + 2, 2, 0x8000);
}

static void master_off(void)
{
	put(4, 2, 0);
}

static void master_on(void)
{
	put(4, 2, 4);
}

/* Half of a change: what stands there now was never meant. */
static void begin_change(void)
{
	vpci_msi_begin(&toy->function);
	toy->function.messages.entry[2].address = 0;
	toy->function.messages.entry[2].data = 0;
}

static void end_change(void)
{
	toy->function.messages.entry[2].address = 0xfee00000;
	toy->function.messages.entry[2].data = 0x55;
	vpci_msi_end(&toy->function);
}

static void check_arrived(void)
{
	assert_int_equal(sent, 1);
	assert_int_equal(sent_address, 0xfee00000);
	assert_int_equal(sent_data, 0x55);
	assert_int_equal(toy->function.messages.pending[0], 0);
}

/* The first before step `a`, 0: before the sender begins; the second before `b`. */
static uint64_t meet_at(void (*first)(void), uint64_t a, void (*second)(void), uint64_t b)
{
	uint64_t last;

	other[0].step = a;
	other[0].act = first;
	other[1].step = b;
	other[1].act = second;
	if (!a)
		act(0);
	last = send();
	check_arrived();
	return last;
}

/* `second` lets messages through again: at each step, and afterwards; some of both. */
static void meet(void (*first)(void), void (*second)(void))
{
	uint64_t last = 50;

	for (uint64_t at = 1; at <= last; at++)
		last = MAX(last, meet_at(first, 0, second, at));
	for (uint64_t at = 1; at <= last; at++)
		last = MAX(last, meet_at(first, at, second, ~0ul));
	for (uint64_t at = 1; at <= last; at += 13)
		for (uint64_t to = at + 1; to <= last; to += 13)
			meet_at(first, at, second, to);
	assert_in_range(last, 60, 300);
}

static void interleaved(void **state)
{
	(void)state;
	master_on();
	unmask_all();
	entry(0, 0xfee00000);
	entry(4, 0);
	entry(8, 0x55);
	unmask();
	meet(mask, unmask);
	meet(mask_all, unmask_all);
	meet(master_off, master_on);
	meet(begin_change, end_change);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages), cmocka_unit_test(interleaved),
	};
	int failed;

	steps_begin(count_step);
	toy = toy_create();
	if (vpci_create(NULL, &root) || vpci_attach(root, 0, 3, 0, &toy->function))
		abort();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	toy_destroy(&toy->dev);
	root->ops->destroy(root);
	return failed;
}
