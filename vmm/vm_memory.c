/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for memory. A fill that finds none leaves the instruction undone, and the vCPU sleeps,
 * which any request ends: it can be paused and destroyed meanwhile. It tries again when a vm has
 * given its memory back, and now and then, since Keel's own comes and goes too. Where every vm that
 * holds memory waits, none will ever give any back: who would be the last to wait ends instead.
 *
 * Locking. `lock` (LOCK_WAIT, interrupts off) guards what is here and each vm's memory_waiters.
 */
#include "include/bits.h"
#include "kernel/panic.h"
#include "vmm/vm.h"

static struct spinlock lock = SPINLOCK_INIT("vm memory", LOCK_WAIT);
static struct list waiters = LIST_INIT(waiters);	/* vcpu->memory_link */
static unsigned holding, waiting;			/* vms */

void vm_memory_join(void)
{
	uint64_t irq = spin_lock_irq(&lock);

	holding++;
	spin_unlock_irq(&lock, irq);
}

void vm_memory_leave(void)
{
	uint64_t irq = spin_lock_irq(&lock);
	struct vcpu *v;

	ASSERT(holding);
	holding--;
	list_for_each(v, &waiters, memory_link)
		vcpu_kick(v);
	spin_unlock_irq(&lock, irq);
}

bool vm_memory_wait_begin(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint64_t irq = spin_lock_irq(&lock);
	bool first = !vm->memory_waiters, hope = waiting + first < holding;

	if (hope) {
		waiting += first;
		vm->memory_waiters++;
		WRITE_ONCE(vcpu->wants_memory, true);
		list_push_back(&waiters, &vcpu->memory_link);
	}
	spin_unlock_irq(&lock, irq);
	if (hope && first && vm->config.starved)
		vm->config.starved(vm->config.arg);
	return hope;
}

void vm_memory_wait_end(struct vcpu *vcpu)
{
	uint64_t irq = spin_lock_irq(&lock);

	ASSERT(vcpu->wants_memory);
	list_remove(&vcpu->memory_link);
	WRITE_ONCE(vcpu->wants_memory, false);
	waiting -= !--vcpu->vm->memory_waiters;
	spin_unlock_irq(&lock, irq);
}
