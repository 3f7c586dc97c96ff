/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's breakpoints on data and I/O where Keel does the access in the guest's place: on the
 * bus, for a device, for the rest of an instruction that touches one. The chip sees the others
 * itself, and those on instructions. They are traps: the #DB comes behind the instruction, or
 * behind the iteration of a repeated one. vCPU thread.
 * Source: Intel SDM 3, "Debug Registers", "Data Breakpoint Exception Condition".
 */
#pragma once

#include "vmm/vcpu.h"

/* In DR7: without one of these no breakpoint is on, and nothing here need be asked. */
#define BREAKPOINT_ENABLES	BITS(7, 0)

/* Which of the four are met: bits of DR6. */
uint64_t breakpoint_data(struct vcpu *vcpu, uint64_t linear, unsigned size, bool write);
uint64_t breakpoint_io(struct vcpu *vcpu, uint16_t port, unsigned size);
