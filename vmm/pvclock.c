/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual clock; see pvclock.h. Time = system_time + ((tsc - tsc_timestamp) <<
 * shift) * mult >> 32, with the VM's clock as system time. Every vCPU's page holds the same line,
 * from the moment at which the VM's clock last began to run: Linux reads another vCPU's page, and
 * must not see time go back. The version is odd while the page is being written, and goes on from
 * the one that is there: a vCPU whose state was loaded must not write one that its guest has just
 * read.
 */
#include "vmm/pvclock.h"

#include "cpu/tsc.h"
#include "include/bits.h"
#include "include/errno.h"
#include "vmm/machine.h"
#include "vmm/vm.h"

#define SYSTEM_TIME_ENABLE	BIT(0)
#define FLAG_TSC_STABLE		1

struct pvclock_page {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t mult;
	int8_t shift;
	uint8_t flags, pad2[2];
} packed;

struct wall_clock {
	uint32_t version, seconds, nanoseconds;
} packed;

/*
 * The scale that Keel's clock has, with mult in [2^31, 2^32). Rounded by itself it might be the
 * greater one, in its last bit, and the guest's clock the faster: each new line, that begins with
 * the VM's clock, would then be behind where the last one has come, by a nanosecond in some
 * seconds.
 */
static void scale(uint32_t *mult, int8_t *shift)
{
	uint64_t m = tsc_to_ns_mult;
	int8_t s = 0;

	for (; m >= BIT(32); s++)
		m >>= 1;
	for (; m < BIT(31) && s > -31; s--)
		m <<= 1;
	*mult = (uint32_t)m;
	*shift = s;
}

/* The host's TSCs agree, and so do the guest's: each page tells the time on every vCPU. */
static bool stable(const struct vm *vm)
{
	for (unsigned i = 1; i < vm->vcpu_count; i++)
		if (READ_ONCE(vm->vcpu[i]->tsc_adjust) != READ_ONCE(vm->vcpu[0]->tsc_adjust))
			return false;
	return tsc_synchronised && (tsc_invariant || vm->vcpu_count == 1);
}

void pvclock_update(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	gpa_t page = GPA(vcpu->pvclock.system_time_msr & ~SYSTEM_TIME_ENABLE);
	struct pvclock_page p = {
		.tsc_timestamp = vm->clock_frozen_tsc + vcpu->tsc_adjust,
		.system_time = vm->clock_frozen_ns,
		.flags = stable(vm) ? FLAG_TSC_STABLE : 0,
	};
	uint32_t version, mult;

	if (!(vcpu->pvclock.system_time_msr & SYSTEM_TIME_ENABLE))
		return;
	/* A page that is no RAM (any more) is the guest's loss alone. */
	if (gmem_read(&vm->gmem, page, &version, sizeof(version)))
		return;
	p.version = (version + 1) | 1;
	version = p.version + 1;
	scale(&mult, &p.shift);
	p.mult = mult;
	if (gmem_write(&vm->gmem, page, &p.version, sizeof(p.version)))
		return;
	barrier();
	if (gmem_write(&vm->gmem, page, &p, sizeof(p)))
		return;
	barrier();
	(void)!gmem_write(&vm->gmem, page, &version, sizeof(version));
}

int pvclock_system_write(struct vcpu *vcpu, uint64_t value)
{
	uint64_t a = value & ~SYSTEM_TIME_ENABLE;

	if (a & 3)
		return -EINVAL;
	vcpu->pvclock.system_time_msr = value;
	pvclock_update(vcpu);
	return 0;
}

int pvclock_wall_write(struct vcpu *vcpu, uint64_t gpa)
{
	uint64_t boot_ns = machine_boot_wall_ns(vcpu->vm);
	struct wall_clock w = {
		.version = 2,
		.seconds = (uint32_t)(boot_ns / 1000000000ul),
		.nanoseconds = (uint32_t)(boot_ns % 1000000000ul),
	};

	if (gpa & 3)
		return -EINVAL;
	vcpu->pvclock.wall_clock_msr = gpa;
	(void)!gmem_write(&vcpu->vm->gmem, GPA(gpa), &w, sizeof(w));
	return 0;
}
