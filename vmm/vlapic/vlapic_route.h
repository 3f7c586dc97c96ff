/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the destination of an interrupt message to the vCPUs that it names; see vlapic_route.c.
 */
#pragma once

#include "include/compiler.h"

struct vm;
struct vcpu;

#define VLAPIC_ALL	0xffffffffu
#define VLAPIC_ID_MAX	255u		/* what xAPIC mode takes for all of them */

/* Of a VM, atomic; a bit for each vCPU. */
struct vlapic_routes {
	uint64_t x2apic;		/* those in that mode */
	unsigned last;			/* that had a message of lowest priority */
	uint8_t by_id[VLAPIC_ID_MAX];	/* number of the one with that APIC id, + 1; 0: none */
	uint64_t logical[256];		/* those in xAPIC mode that hear a logical destination */
};

/* In x2APIC mode the logical id follows from the other: the cluster above, a bit of 16 below. */
static inline uint32_t vlapic_x2apic_logical(uint32_t id)
{
	return id >> 4 << 16 | 1u << (id & 15);
}

/* The vCPU's mode, LDR or DFR has changed: on its thread, or while it is parked. */
void vlapic_route_update(struct vcpu *vcpu);
/* The vCPUs, enabled or not, that a message to `dest` is meant for; any context. */
uint64_t vlapic_route(const struct vm *vm, uint32_t dest, bool logical);
