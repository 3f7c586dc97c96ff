/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which vCPUs a message's destination names, without asking each of them. A physical id is a
 * vCPU's number, and so is a logical one of x2APIC mode, all but its form; for the logical ids
 * that guests choose themselves in xAPIC mode the VM has a table with one bit map for each of the
 * 256 destinations. A vCPU keeps its own bit there, on its own thread or while it is parked; who
 * sends meanwhile sees each bit as it was or as it becomes.
 * Source: Intel SDM 3, "Advanced Programmable Interrupt Controller (APIC)": "Determining IPI
 * Destination", "Extended XAPIC (x2APIC)".
 */
#include "vmm/vlapic_route.h"

#include "vmm/vlapic_state.h"

#define DFR_FLAT	0xf

_Static_assert(VM_VCPU_MAX <= 64, "a word has a bit for each vCPU");

/* Does a vCPU in xAPIC mode hear this logical destination? */
static bool hears(const struct vlapic *l, uint32_t dest)
{
	uint32_t id = l->ldr >> 24;

	if (l->dfr >> 28 == DFR_FLAT)
		return id & dest;
	return dest == 0xff || (id >> 4 == dest >> 4 && id & dest & 15);
}

static void bit_is(uint64_t *word, uint64_t bit, bool on)
{
	if (!(READ_ONCE(*word) & bit) == !on)
		return;
	if (on)
		__atomic_or_fetch(word, bit, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(word, ~bit, __ATOMIC_SEQ_CST);
}

void vlapic_route_update(struct vcpu *vcpu)
{
	struct vlapic_routes *r = &vcpu->vm->routes;
	bool x2apic = vlapic_is_x2apic(vcpu);

	bit_is(&r->x2apic, BIT(vcpu->id), x2apic);
	for (uint32_t dest = 0; dest < ARRAY_COUNT(r->logical); dest++)
		bit_is(&r->logical[dest], BIT(vcpu->id), !x2apic && hears(&vcpu->vlapic, dest));
}

/* The low 8 bits are what those in xAPIC mode hear, whatever stands above them. */
static uint64_t logical(const struct vlapic_routes *r, uint32_t dest)
{
	uint64_t heard = READ_ONCE(r->logical[dest & 0xff]), x2apic = READ_ONCE(r->x2apic);
	uint32_t cluster = dest >> 16;

	if (dest == VLAPIC_ALL)
		return heard | x2apic;
	return cluster < 4 ? heard | ((uint64_t)(dest & 0xffff) << 16 * cluster & x2apic) : heard;
}

static uint64_t physical(const struct vlapic_routes *r, uint32_t dest)
{
	if (likely(dest < 64))
		return BIT(dest);
	if (dest == VLAPIC_ALL)
		return ~0ul;
	return (dest & 0xff) == 0xff ? ~READ_ONCE(r->x2apic) : 0;
}

uint64_t vlapic_route(const struct vm *vm, uint32_t dest, bool is_logical)
{
	uint64_t all = vm->vcpu_count < 64 ? BIT(vm->vcpu_count) - 1 : ~0ul;

	return all & (is_logical ? logical(&vm->routes, dest) : physical(&vm->routes, dest));
}
