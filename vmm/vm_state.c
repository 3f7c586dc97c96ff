/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine's saved form: all its state but the contents of memory, as one sequence of
 * records, the vm's own first, without which no other counts, and then what its parts write. Every
 * part checks its own record whole before it commits; a record that no part knows is refused. For
 * mgmt, while the vm stands still: paused, or not started; no locks.
 */
#include "vmm/vm.h"

#include "cpu/tsc.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/record.h"
#include "lib/string.h"
#include "vmm/machine.h"

/* Of all records together: another one is another sequence, or another meaning of one. */
#define FORMAT		2

int vm_save_state(struct vm *vm, struct record_writer *w)
{
	if (vm->state != VM_PAUSED || !vm_all_parked(vm))
		return -EBUSY;
	record_begin(w, "vm", 0, 2);
	record_put_u32(w, FORMAT);
	record_put_u64(w, tsc_hz);
	record_put_u32(w, vm->vcpu_count);
	record_put_u64(w, vm->config.memory);
	record_put_u64(w, vm->clock_frozen_ns);
	record_put_u64(w, vm->clock_frozen_tsc);
	record_end(w);
	cpuid_save(vm->cpuid, w);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_save(vm->vcpu[i], w);
	machine_save(vm, w);
	return w->error;
}

/* As devices bound their moments: nothing that is computed from it overflows. */
#define CLOCK_MAX_NS	BIT(62)

/*
 * Each start measures the rate anew; beyond this a guest that took the TSC for its clock would not
 * come along by what it corrects.
 */
#define TSC_TOLERANCE	4000		/* one part of so many: 250 ppm */

static bool same_rate(uint64_t hz)
{
	return (hz > tsc_hz ? hz - tsc_hz : tsc_hz - hz) <= tsc_hz / TSC_TOLERANCE;
}

static int load_head(struct vm *vm, struct record_reader *r, uint32_t version, char *why,
		     size_t size)
{
	uint32_t format_is = version == 2 ? record_get_u32(r) : version;
	uint64_t hz, memory, ns, tsc;
	uint32_t vcpus;

	if (format_is != FORMAT) {
		format(why, size, "its format is %u, not %u", format_is, FORMAT);
		return -EINVAL;
	}
	hz = record_get_u64(r);
	vcpus = record_get_u32(r);
	memory = record_get_u64(r);
	ns = record_get_below(r, 8, CLOCK_MAX_NS);
	tsc = record_get_u64(r);
	if (record_finish(r))
		return -EINVAL;
	if (vcpus != vm->vcpu_count || memory != vm->config.memory) {
		format(why, size, "it is of %u vCPUs and %lu KiB, not of %u and %lu KiB", vcpus,
		       memory / KIB, vm->vcpu_count, vm->config.memory / KIB);
		return -EINVAL;
	}
	if (!same_rate(hz)) {
		format(why, size, "its TSC runs at %lu kHz, this machine's at %lu kHz",
		       hz / 1000, tsc_hz / 1000);
		return -EINVAL;
	}
	vm->clock_frozen_ns = ns;
	vm->clock_frozen_tsc = tsc;
	return 0;
}

static int load_record(struct vm *vm, const struct record_head *h, struct record_reader *body)
{
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

int vm_load_state(struct vm *vm, struct record_reader *r, char *why, size_t size)
{
	bool first = true;
	struct record_head head;
	struct record_reader body;
	int err;

	if (vm->state != VM_CREATED && !(vm->state == VM_PAUSED && vm_all_parked(vm)))
		return -EBUSY;
	str_copy(why, "it is cut short or malformed", size);
	while (!(err = record_next(r, &head, &body))) {
		format(why, size, "its record '%s' %u does not fit this vm", head.name,
		       head.instance);
		if (first != !strcmp(head.name, "vm"))
			return -EINVAL;
		err = first ? load_head(vm, &body, head.version, why, size)
			    : load_record(vm, &head, &body);
		if (err)
			return err;
		first = false;
	}
	if (first || err != -ENOENT)
		return -EINVAL;
	*why = 0;
	return 0;
}
