/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NEXT, inline because nearly every exit ends in it. Included by vmm/vcpu.h; a header of its own so
 * that host tests can watch it.
 */
#pragma once

#include "vmm/vcpu.h"

/* For vcpu_next: what is rare. */
void vcpu_next_slowly(struct vcpu *vcpu, uint64_t rip);

/*
 * NEXT: the instruction of `length` bytes is done. Advances RIP, ends the shadow, raises #DB
 * if TF was set.
 */
static inline void vcpu_next(struct vcpu *vcpu, unsigned length)
{
	uint64_t rip = vcpu->rip + length;

	if (unlikely((rip ^ vcpu->rip) >> 32 || vcpu->rflags & RFLAGS_TF)) {
		vcpu_next_slowly(vcpu, rip);
		return;
	}
	vcpu->rip = rip;
	vcpu->event.shadow = 0;
	vcpu->rflags &= ~RFLAGS_RF;
}
