/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine's saved form: all its state but the contents of memory, as one sequence of
 * records, the vm's own first and then what its parts write. Every part checks its own record
 * whole before it commits; a record that no part knows is refused. For mgmt, while the vm stands
 * still: paused, or not started; no locks.
 */
#include "vmm/vm.h"

#include "include/errno.h"
#include "lib/record.h"
#include "lib/string.h"
#include "vmm/machine.h"

int vm_save_state(struct vm *vm, struct record_writer *w)
{
	if (vm->state != VM_PAUSED || !vm_all_parked(vm))
		return -EBUSY;
	record_begin(w, "vm", 0, 1);
	record_put_u32(w, vm->vcpu_count);
	record_put_u64(w, vm->config.memory);
	record_put_u64(w, vm->clock_frozen_ns);
	record_put_u64(w, vm->clock_frozen_tsc);
	record_end(w);
	cpuid_save(vm->cpuid, w);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_save(vm->vcpu[i], w);
	machine_save(vm, w);
	return 0;
}

/* As devices bound their moments: nothing that is computed from it overflows. */
#define CLOCK_MAX_NS	BIT(62)

static int load_head(struct vm *vm, struct record_reader *r, uint32_t version)
{
	bool same = version == 1 && record_get_u32(r) == vm->vcpu_count;
	uint64_t ns, tsc;

	same &= record_get_u64(r) == vm->config.memory;
	ns = record_get_below(r, 8, CLOCK_MAX_NS);
	tsc = record_get_u64(r);
	if (!same || record_finish(r))
		return -EINVAL;
	vm->clock_frozen_ns = ns;
	vm->clock_frozen_tsc = tsc;
	return 0;
}

static int load_record(struct vm *vm, const struct record_head *h, struct record_reader *body)
{
	if (!strcmp(h->name, "vm"))
		return load_head(vm, body, h->version);
	if (!strcmp(h->name, "cpuid"))
		return cpuid_check(vm->cpuid, body);
	if (!strcmp(h->name, "vcpu") || !strcmp(h->name, "vlapic")) {
		struct vcpu *v = h->instance < vm->vcpu_count ? vm->vcpu[h->instance] : NULL;

		if (!v)
			return -EINVAL;
		return h->name[1] == 'c' ? vcpu_load(v, body, h->version)
					 : vlapic_load(v, body, h->version);
	}
	return machine_load(vm, h->name, h->instance, h->version, body);
}

int vm_load_state(struct vm *vm, struct record_reader *r)
{
	struct record_head head;
	struct record_reader body;
	int err;

	if (vm->state != VM_CREATED && !(vm->state == VM_PAUSED && vm_all_parked(vm)))
		return -EBUSY;
	while (!(err = record_next(r, &head, &body))) {
		err = load_record(vm, &head, &body);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}
