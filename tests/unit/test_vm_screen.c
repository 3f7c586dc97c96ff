/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm/vm_screen: each question reaches the machine's screen, under the vm's lock, and none where
 * there is no machine any more or none with a screen.
 */
/* links: vmm/vm_screen.c tests/host/one_thread.c tests/host/panic.c tests/host/spinlock.c
 * tests/host/percpu.c tests/host/tsc.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "include/errno.h"
#include "vmm/machine_class.h"
#include "vmm/vm_screen.h"

static struct vm vm;
static struct vdev screen, *part;
static unsigned asked;

struct vdev *machine_part(struct vm *v, enum part which)
{
	assert_ptr_equal(v, &vm);
	assert_int_equal(which, PART_SCREEN);
	return part;
}

static void asks(struct vdev *d)
{
	assert_ptr_equal(d, &screen);
	assert_true(mutex_held(&vm.lock));
	asked++;
}

void vvga_mode(struct vdev *d, struct vvga_mode *out)
{
	asks(d);
	*out = (struct vvga_mode){ .width = 640 };
}

void vvga_text_row(struct vdev *d, unsigned row, uint16_t *cells)
{
	asks(d);
	*cells = (uint16_t)row;
}

void vvga_pixel_row(struct vdev *d, unsigned y, uint8_t *rgb)
{
	asks(d);
	*rgb = (uint8_t)y;
}

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	mutex_init(&vm.lock, "vm");
	part = NULL;
	asked = 0;
	return 0;
}

static void nothing_there(void **state)
{
	struct vvga_mode mode;
	uint16_t cells[VVGA_COLUMNS_MAX];
	uint8_t rgb[3 * VVGA_WIDTH_MAX];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vm_screen_get(&vm, VM_SCREEN_MODE, 0, &mode), -ENODEV);
		assert_int_equal(vm_screen_get(&vm, VM_SCREEN_TEXT, 0, cells), -ENODEV);
		assert_int_equal(vm_screen_get(&vm, VM_SCREEN_PIXELS, 0, rgb), -ENODEV);
		assert_false(mutex_held(&vm.lock));
		vm.machine = (struct machine *)&vm;
	}
	assert_int_equal(asked, 0);
}

static void asked_and_told(void **state)
{
	struct vvga_mode mode;
	uint16_t cells[VVGA_COLUMNS_MAX];
	uint8_t rgb[3 * VVGA_WIDTH_MAX];

	(void)state;
	vm.machine = (struct machine *)&vm;
	part = &screen;
	assert_int_equal(vm_screen_get(&vm, VM_SCREEN_MODE, 0, &mode), 0);
	assert_int_equal(mode.width, 640);
	assert_int_equal(vm_screen_get(&vm, VM_SCREEN_TEXT, 24, cells), 0);
	assert_int_equal(cells[0], 24);
	assert_int_equal(vm_screen_get(&vm, VM_SCREEN_PIXELS, 99, rgb), 0);
	assert_int_equal(rgb[0], 99);
	assert_int_equal(asked, 3);
	assert_false(mutex_held(&vm.lock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_there, setup),
		cmocka_unit_test_setup(asked_and_told, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
