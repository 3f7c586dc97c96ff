/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the destination of an interrupt message to the vCPUs that it names; see vlapic_route.c.
 */
#pragma once

#include "include/compiler.h"

struct vm;
struct vcpu;

#define VLAPIC_ALL	0xffffffffu

/* Of a VM, atomic; a bit for each vCPU. */
struct vlapic_routes {
	uint64_t x2apic;		/* those in that mode */
	uint64_t logical[256];		/* those in xAPIC mode that hear a logical destination */
};

/* The vCPU's mode, LDR or DFR has changed: on its thread, or while it is parked. */
void vlapic_route_update(struct vcpu *vcpu);
/* The vCPUs, enabled or not, that a message to `dest` is meant for; any context. */
uint64_t vlapic_route(const struct vm *vm, uint32_t dest, bool logical);
