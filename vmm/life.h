/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a vm and of a vCPU's thread, which may follow which, and the one way from one to
 * another. A step that the tables do not have is a fault of Keel's: an assertion in debug builds,
 * else refused with a line in the log. Under vm->lock; who only reads one state needs no lock.
 */
#pragma once

#include "include/compiler.h"

struct vm;
struct vcpu;

/*
 *	CREATED -> RUNNING <-> PAUSED;  any -> DYING -> (gone).
 *	RUNNING, PAUSED -> STOPPED (power-off, reset, debug exit) or CRASHED: it stopped itself.
 */
enum vm_state {
	VM_CREATED, VM_RUNNING, VM_PAUSED, VM_STOPPED, VM_CRASHED, VM_DYING,
	VM_STATE_COUNT
};

/*
 *	NEW -> LIVE <-> PARKED;  LIVE -> LEFT.
 * Where its thread is between two of its exits (in the guest, asleep, quiet) are marks of its own,
 * each with its barrier: vcpu.h, vm_quiesce.c.
 */
enum vcpu_state {
	VCPU_NEW,		/* its thread was not started */
	VCPU_LIVE,
	VCPU_PARKED,		/* in vm_park(), until the vm runs or ends */
	VCPU_LEFT,		/* has passed its last exit, for the vm is dying */
	VCPU_STATE_COUNT
};

/* False: it may not follow; nothing is changed. Into the state it has: only DYING. */
bool life_vm_set(struct vm *vm, enum vm_state to);
bool life_vcpu_set(struct vcpu *vcpu, enum vcpu_state to);
