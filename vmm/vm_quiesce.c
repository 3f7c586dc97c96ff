/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting until no vCPU holds what it read without a lock before: for freeing what exits read so
 * (the bus's claims, frames that a peek or a TLB may still know).
 *
 * Design. Time is counted in epochs of the vm. Who waits begins a new one, asks every vCPU that is
 * not quiet to notice it (VCPU_REQ_QUIESCE, a kick), all of them before it waits for any, and waits
 * once. The vCPU's loop, between exits, where nothing is held, notes the epoch it has seen. A vCPU
 * that sleeps, is parked, has given its CPU away between exits, or waits here itself is quiet: it
 * is not waited for, however long it does not come to run.
 *
 * Locking. None. An epoch begins after what is to be freed was unpublished and before the marks are
 * read; a vCPU sets its mark before it looks for requests and clears it before it reads anything
 * again, both with a full barrier: either the waiter sees the mark, or the vCPU the request.
 */
#include "include/bits.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "vmm/vm.h"

static bool is_quiet(const struct vcpu *vcpu, uint64_t epoch)
{
	return READ_ONCE(vcpu->quiet) || READ_ONCE(vcpu->sleeping) ||
	       __atomic_load_n(&vcpu->epoch_seen, __ATOMIC_ACQUIRE) >= epoch;
}

/* Of `asked`, a bit for each vCPU. Who was not asked was quiet, and holds nothing from before. */
static bool all_quiet(const struct vm *vm, uint64_t asked, uint64_t epoch)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (asked & BIT(i) && !is_quiet(vm->vcpu[i], epoch))
			return false;
	return true;
}

void vcpu_quiet_begin(struct vcpu *self)
{
	__atomic_store_n(&self->quiet, true, __ATOMIC_SEQ_CST);
	if (unlikely(READ_ONCE(self->requests) & VCPU_REQ_QUIESCE))
		waitq_wake_all(&self->vm->quiesce_wait);
}

void vcpu_quiet_end(struct vcpu *self)
{
	__atomic_store_n(&self->quiet, false, __ATOMIC_SEQ_CST);
}

void vcpu_quiet_now(struct vcpu *self)
{
	uint64_t epoch = __atomic_load_n(&self->vm->epoch, __ATOMIC_SEQ_CST);

	__atomic_store_n(&self->epoch_seen, epoch, __ATOMIC_RELEASE);
	waitq_wake_all(&self->vm->quiesce_wait);
}

struct vcpu *vm_quiet_begin(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpu[i];

		if (v->thread != thread_current() || v->quiet)
			continue;
		vcpu_quiet_begin(v);
		return v;
	}
	return NULL;
}

void vm_quiet_end(struct vcpu *self)
{
	if (self)
		vcpu_quiet_end(self);
}

void vm_quiesce(struct vm *vm)
{
	struct vcpu *self = vm_quiet_begin(vm);
	uint64_t epoch = __atomic_add_fetch(&vm->epoch, 1, __ATOMIC_SEQ_CST), asked = 0;

	ASSERT(thread_may_wait());
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		if (is_quiet(vm->vcpu[i], epoch))
			continue;
		asked |= BIT(i);
		vcpu_request(vm->vcpu[i], VCPU_REQ_QUIESCE);
	}
	WAITQ_WAIT(&vm->quiesce_wait, all_quiet(vm, asked, epoch), THREAD_FOREVER);
	vm_quiet_end(self);
}

_Static_assert(VM_VCPU_MAX <= 64, "a bit for each");
