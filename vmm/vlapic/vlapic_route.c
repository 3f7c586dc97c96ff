/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which vCPUs a message's destination names, without asking each of them. A table leads from
 * physical ids to vCPUs, and logical ones of x2APIC mode are the same but for their form; for the
 * logical ids that guests choose themselves in xAPIC mode the VM has a table with one bit map for
 * each of the 256 destinations. A vCPU keeps its own bit there, on its own thread or while it is
 * parked; who sends meanwhile sees each bit as it was or as it becomes.
 * Source: Intel SDM 3, "Advanced Programmable Interrupt Controller (APIC)": "Determining IPI
 * Destination", "Extended XAPIC (x2APIC)".
 */
#include "vmm/vlapic/vlapic_route.h"

#include "vmm/vlapic/vlapic_state.h"

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

/* Most are as they were. */
static void bit_follow(uint64_t *word, uint64_t bit, bool on)
{
	if (!(READ_ONCE(*word) & bit) == on)
		vlapic_bit_set(word, bit, on);
}

void vlapic_route_update(struct vcpu *vcpu)
{
	struct vlapic_routes *r = &vcpu->vm->routes;
	bool x2apic = vlapic_is_x2apic(vcpu);

	WRITE_ONCE(r->by_id[vcpu->apic_id], (uint8_t)(vcpu->id + 1));
	bit_follow(&r->x2apic, BIT(vcpu->id), x2apic);
	for (uint32_t dest = 0; dest < ARRAY_COUNT(r->logical); dest++)
		bit_follow(&r->logical[dest], BIT(vcpu->id),
			   !x2apic && hears(&vcpu->vlapic, dest));
}

static uint64_t with_id(const struct vlapic_routes *r, uint32_t id)
{
	unsigned number = likely(id < ARRAY_COUNT(r->by_id)) ? READ_ONCE(r->by_id[id]) : 0;

	return number ? BIT(number - 1) : 0;
}

static uint64_t in_cluster(const struct vlapic_routes *r, uint32_t dest)
{
	uint64_t found = 0;

	for (uint32_t left = dest & 0xffff; left; left &= left - 1)
		found |= with_id(r, (dest >> 16) * 16 + bit_lowest(left));
	return found & READ_ONCE(r->x2apic);
}

/* The low 8 bits are what those in xAPIC mode hear, whatever stands above them. */
static uint64_t logical(const struct vlapic_routes *r, uint32_t dest)
{
	uint64_t heard = READ_ONCE(r->logical[dest & 0xff]), x2apic = READ_ONCE(r->x2apic);

	if (dest == VLAPIC_ALL)
		return heard | x2apic;
	return x2apic ? heard | in_cluster(r, dest) : heard;
}

static uint64_t physical(const struct vlapic_routes *r, uint32_t dest)
{
	if (likely(dest < VLAPIC_ID_MAX))
		return with_id(r, dest);
	if (dest == VLAPIC_ALL)
		return ~0ul;
	return (dest & 0xff) == 0xff ? ~READ_ONCE(r->x2apic) : 0;
}

uint64_t vlapic_route(const struct vm *vm, uint32_t dest, bool is_logical)
{
	uint64_t all = vm->vcpu_count < 64 ? BIT(vm->vcpu_count) - 1 : ~0ul;

	return all & (is_logical ? logical(&vm->routes, dest) : physical(&vm->routes, dest));
}
