/* SPDX-License-Identifier: BSD-2-Clause */
/* States of vms and vCPUs; see life.h. */
#include "vmm/life.h"

#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "vmm/vm.h"

#define STOPS	(BIT(VM_STOPPED) | BIT(VM_CRASHED) | BIT(VM_DYING))

static const uint8_t vm_next[VM_STATE_COUNT] = {
	[VM_CREATED] = BIT(VM_RUNNING) | BIT(VM_DYING),
	[VM_RUNNING] = BIT(VM_PAUSED) | STOPS,
	[VM_PAUSED] = BIT(VM_RUNNING) | STOPS,
	[VM_STOPPED] = BIT(VM_DYING),
	[VM_CRASHED] = BIT(VM_DYING),
	[VM_DYING] = BIT(VM_DYING),
};

static const uint8_t vcpu_next_states[VCPU_STATE_COUNT] = {
	[VCPU_NEW] = BIT(VCPU_LIVE),
	[VCPU_LIVE] = BIT(VCPU_PARKED) | BIT(VCPU_LEFT),
	[VCPU_PARKED] = BIT(VCPU_LIVE),
};

static bool may(const struct vm *vm, const uint8_t *next, unsigned from, unsigned to)
{
	bool legal = next[from] >> to & 1;

	ASSERT(legal);
	if (unlikely(!legal))
		log_error("%s: state %u does not follow %u", vm->config.name, to, from);
	return legal;
}

bool life_vm_set(struct vm *vm, enum vm_state to)
{
	ASSERT(mutex_held(&vm->lock));
	if (!may(vm, vm_next, vm->state, to))
		return false;
	WRITE_ONCE(vm->state, to);
	return true;
}

bool life_vcpu_set(struct vcpu *vcpu, enum vcpu_state to)
{
	ASSERT(mutex_held(&vcpu->vm->lock));
	if (!may(vcpu->vm, vcpu_next_states, vcpu->state, to))
		return false;
	WRITE_ONCE(vcpu->state, to);
	return true;
}
