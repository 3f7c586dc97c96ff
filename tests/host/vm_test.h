/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the unit tests of a whole vm: a vm on a back end without a chip, and how it is started
 * and paused without threads. Every such test links all of vmm/, vdev/ and the stand-ins.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "tests/host/fake_ops.h"
#include "tests/host/memory.h"
#include "vmm/machine.h"
#include "vmm/media.h"
#include "vmm/vlapic/vlapic_bits.h"

bool errata_has(enum erratum e)
{
	(void)e;
	return false;
}

static unsigned stops;
static enum vm_stop stop_why;
static uint32_t stop_code;

static inline void stopped(void *arg, struct vm *vm, enum vm_stop why, uint32_t code,
			   const char *reason)
{
	(void)arg;
	(void)vm;
	(void)reason;
	stops++;
	stop_why = why;
	stop_code = code;
}

static const uint8_t machine_disk_bytes[8192];
static struct media_image machine_disk = {
	.name = "test.img", .data = machine_disk_bytes, .size = sizeof(machine_disk_bytes),
};

static const struct machine_row machine_debug_rows[] = {
	{ .class = "pc-testdev" }, { .class = "isa-debug-exit" },
	{ .class = MACHINE_VIRTIO_BLK, .slot = { 0, 0x10, 0 }, .properties = &machine_disk,
	  .disks = 1 },
	{ .class = "virtio-rng-pci", .slot = { 0, 0x11, 0 } },
};

static inline struct vm *make_vm(void)
{
	struct vm_config c = {
		.name = "test", .vcpus = 1, .memory = 16 * MIB, .device = machine_debug_rows,
		.device_count = ARRAY_COUNT(machine_debug_rows),
		.stopped = stopped,
	};
	struct vm *vm = NULL;

	features.physical_bits = 40;
	features.vendor = VENDOR_AMD;
	if (!machine_disk.overlay)
		assert_int_equal(media_overlay_create(machine_disk.size, &machine_disk.overlay), 0);
	assert_int_equal(vm_create(&c, &vm), 0);
	return vm;
}

/* As vm_start does it, but for the threads. */
static inline void run_clock(struct vm *vm)
{
	assert_int_equal(vm_start(vm), 0);
	vm->vcpu[0]->state = VCPU_NEW;
}

/* The guest's write that starts its APIC timer, in an exit of just now. */
static inline void start_timer(struct vcpu *v, uint32_t initial)
{
	v->exit_tsc = host_tsc;
	vlapic_write(v, REG_TIMER_INITIAL, initial);
}

static inline void fake_pause(struct vm *vm)
{
	vm->parked_count = vm->vcpu_count;
	if (vm->state == VM_CREATED)
		run_clock(vm);
	assert_int_equal(vm_pause(vm), 0);
}

static inline int setup(void **state)
{
	(void)state;
	memory_init(256 * MIB);
	cpuid_init();
	host_tsc = 1000000;
	return 0;
}
