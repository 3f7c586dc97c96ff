/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual clock, which Linux and others know: a page in guest memory that says how to
 * turn the TSC into time.
 * Source: Linux, "KVM-specific MSRs" (MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW).
 */
#pragma once

#include "include/compiler.h"

struct vcpu;

#define MSR_KVM_WALL_CLOCK	0x4b564d00
#define MSR_KVM_SYSTEM_TIME	0x4b564d01

/* CPUID 0x40000001 EAX: no I/O delay needed, the new clock MSRs, clock stable between vCPUs. */
#define PVCLOCK_FEATURES	(1u << 1 | 1u << 3 | 1u << 24)

/* 0, or -EINVAL for #GP; the page is written at once. */
int pvclock_wall_write(struct vcpu *vcpu, uint64_t gpa) must_check;
int pvclock_system_write(struct vcpu *vcpu, uint64_t value) must_check;
/* Writes the vCPU's time page anew, after the clock stood still. Thread context. */
void pvclock_update(struct vcpu *vcpu);
