/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/steps.c */
/*
 * What a message of a virtual device costs until it is handed to the local APICs, open and masked.
 * docs/SPEC.md has the promise. The host beside it does nothing.
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
static uint64_t steps;

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

bool host_msi(struct vdev *d UNUSED, uint64_t address UNUSED, uint32_t data UNUSED)
{
	sent++;
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

static void count_step(uintptr_t rip)
{
	steps += steps_within(rip, __start_counted, __stop_counted);
}

static void put(unsigned reg, unsigned size, uint64_t v)
{
	root->ops->write(root, VPCI_ECAM, 3 << 15 | reg, size, v);
}

static uint64_t cost(const char *what, unsigned want)
{
	sent = 0;
	steps = 0;
	steps_trap(true);
	vpci_msi_send(&toy->function, 2);
	steps_trap(false);
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(messages) };
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
