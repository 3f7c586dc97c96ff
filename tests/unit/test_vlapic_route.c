/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/vlapic/vlapic_route.c */
/*
 * Destinations of messages: what the routes say against each vCPU asked by itself, in every mix of
 * modes and several topologies, for all destinations of 8 bits and those of 32 that mean something.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/vlapic/vlapic_route.h"
#include "vmm/vlapic/vlapic_state.h"

static struct vm vm;
static struct vcpu vcpus[VM_VCPU_MAX];

/* What the manual says, vCPU by vCPU. */
static bool meant(const struct vcpu *v, uint32_t dest, bool logical)
{
	const struct vlapic *l = &v->vlapic;
	uint32_t id = l->ldr >> 24;

	if (!logical)
		return dest == v->apic_id || dest == 0xffffffff ||
		       (!vlapic_is_x2apic(v) && (dest & 0xff) == 0xff);
	if (vlapic_is_x2apic(v))
		return dest == 0xffffffff ||
		       (dest >> 16 == v->apic_id >> 4 && dest & 1u << (v->apic_id & 15));
	dest &= 0xff;
	if (l->dfr >> 28 == 0xf)
		return id & dest;
	return dest == 0xff || (id >> 4 == dest >> 4 && id & dest & 15);
}

static void check(uint32_t dest)
{
	for (unsigned logical = 0; logical < 2; logical++) {
		uint64_t to = vlapic_route(&vm, dest, logical), want = 0;

		for (unsigned i = 0; i < vm.vcpu_count; i++)
			want |= meant(&vcpus[i], dest, logical) ? BIT(i) : 0;
		if (to != want)
			fail_msg("%s 0x%x leads to 0x%lx, not 0x%lx", logical ? "logical" : "physical",
				 dest, to, want);
	}
}

static void check_all(void)
{
	for (uint32_t high = 0; high < 17; high++)
		for (uint32_t low = 0; low < 256; low++) {
			check(high << 16 | low);
			check(high << 16 | low << 8);
			check(high << 28 | low);
		}
	for (unsigned i = 0; i < 1024; i++)
		check((uint32_t)random() << 1);
	check(0xffffffff);
	check(0xfffffffe);
	check(0xffffff00);
}

/* As a guest's writes change it, at any time. */
static void change(struct vcpu *v)
{
	switch (random() % 4) {
	case 0:
		v->apic_base ^= APIC_BASE_X2APIC;
		break;
	case 1:
		v->vlapic.dfr ^= 0xf0000000;
		break;
	default:
		v->vlapic.ldr = random() % 3 ? 1u << (24 + random() % 8)
					     : (uint32_t)(random() & 0xff) << 24;
	}
	vlapic_route_update(v);
}

static void begin(const struct cpu_topology *t)
{
	unsigned count = (unsigned)cpu_topology_vcpus(t);

	memset(&vm, 0, sizeof(vm));
	memset(vcpus, 0, sizeof(vcpus));
	vm.vcpu_count = count;
	for (unsigned i = 0; i < count; i++) {
		vm.vcpu[i] = &vcpus[i];
		vcpus[i] = (struct vcpu){ .vm = &vm, .id = i, .apic_base = APIC_BASE_ENABLE,
					  .apic_id = cpu_topology_apic_id(t, i) };
		assert_true(vcpus[i].apic_id < VLAPIC_ID_MAX);
		assert_true(!i || vcpus[i].apic_id > vcpus[i - 1].apic_id);
		vcpus[i].vlapic.dfr = 0xffffffff;
		vlapic_route_update(&vcpus[i]);
	}
}

static void all_mixes(void **state)
{
	static const struct cpu_topology shapes[] = {
		{ 1, 1, 1 }, { 1, 2, 1 }, { 2, 2, 2 }, { 5, 3, 1 }, { 1, 16, 1 }, { 1, 17, 1 },
		{ 7, 3, 3 }, { 1, 64, 1 }, { 64, 1, 1 }, { 2, 5, 5 }, { 1, 5, 9 },
	};

	(void)state;
	srandom(1);
	for (unsigned n = 0; n < ARRAY_COUNT(shapes); n++) {
		begin(&shapes[n]);
		check_all();
		for (unsigned round = 0; round < 5; round++) {
			for (unsigned i = 0; i < vm.vcpu_count; i++)
				change(&vcpus[i]);
			check_all();
		}
		for (unsigned i = 0; i < vm.vcpu_count; i++) {
			vcpus[i].apic_base |= APIC_BASE_X2APIC;
			vlapic_route_update(&vcpus[i]);
		}
		check_all();
	}
}

static void nobody_is_there(void **state)
{
	(void)state;
	begin(&(struct cpu_topology){ 0, 1, 1 });
	check_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_mixes), cmocka_unit_test(nobody_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
