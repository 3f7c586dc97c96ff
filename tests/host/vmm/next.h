/* SPDX-License-Identifier: BSD-2-Clause */
/* Stand-in for vmm/next.h: tests/host/guest.c counts. */
#pragma once

struct vcpu;

void vcpu_next_slowly(struct vcpu *vcpu, uint64_t rip);
void vcpu_next(struct vcpu *vcpu, unsigned length);
