/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a virtual machine has used and done, in numbers: sums over its vCPUs and rows of its exit
 * table, counted where things happen and only read here. For mgmt, at any time before its
 * reference goes; vm->lock keeps the vCPUs from being released meanwhile, and their counters are
 * read as they run.
 */
#include "vmm/vm.h"

#include "include/errno.h"
#include "kernel/thread.h"

static void add_exits(const struct vcpu *v, unsigned row, struct exit_count *sum)
{
	sum->count += READ_ONCE(v->exits[row].count);
	sum->ticks += READ_ONCE(v->exits[row].ticks);
}

struct vm_stats vm_stats_now(const struct vm *vm)
{
	struct gmem_stats g = gmem_stats(&vm->gmem);
	struct vm_stats s = {
		.ram_pages = g.ram_pages, .present_pages = g.present_pages,
		.out_pages = g.out_pages,
		.charged_pages = READ_ONCE(vm->charge.pages),
		.table_pages = g.table_pages,
		.wants_memory = READ_ONCE(vm->memory_waiters),
		.unclaimed_ports = vm->bus.unclaimed[HOST_PORT],
		.unclaimed_mmio = vm->bus.unclaimed[HOST_MMIO],
	};
	struct exit_count sum = { 0 };

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *v = vm->vcpu[i];

		s.run_ticks += thread_run_ticks(v->thread);
		s.wait_ticks += thread_wait_ticks(v->thread);
		s.unknown_msrs += READ_ONCE(v->msr_unknown);
		for (unsigned row = 0; row < EXIT_ROW_MAX; row++)
			add_exits(v, row, &sum);
	}
	s.exits = sum.count;
	s.keel_ticks = sum.ticks;
	return s;
}

void vm_stats_get(struct vm *vm, struct vm_stats *out)
{
	mutex_lock(&vm->lock);
	*out = vm->vcpu_count ? vm_stats_now(vm) : vm->last_stats;
	mutex_unlock(&vm->lock);
}

const char *vm_exit_stats(struct vm *vm, unsigned row, struct exit_count *out)
{
	const char *name = row < EXIT_ROW_MAX ? vmm_ops->exit_name(row) : NULL;

	*out = (struct exit_count){ 0 };
	mutex_lock(&vm->lock);
	for (unsigned i = 0; name && i < vm->vcpu_count; i++)
		add_exits(vm->vcpu[i], row, out);
	mutex_unlock(&vm->lock);
	return name;
}

const char *vm_vcpu_exit_stats(struct vm *vm, unsigned id, unsigned row, struct exit_count *out)
{
	const char *name = row < EXIT_ROW_MAX ? vmm_ops->exit_name(row) : NULL;

	*out = (struct exit_count){ 0 };
	mutex_lock(&vm->lock);
	if (name && id < vm->vcpu_count)
		add_exits(vm->vcpu[id], row, out);
	mutex_unlock(&vm->lock);
	return name;
}

int vm_vcpu_info(struct vm *vm, unsigned id, struct vcpu_info *out)
{
	const struct vcpu *v;
	int err = -ENOENT;

	mutex_lock(&vm->lock);
	if (id < vm->vcpu_count) {
		v = vm->vcpu[id];
		*out = (struct vcpu_info){
			.activity = v->activity, .parked = v->state == VCPU_PARKED,
			.wants_memory = READ_ONCE(v->wants_memory), .cpu = thread_cpu(v->thread),
			.run_ticks = thread_run_ticks(v->thread), .rip = v->rip,
		};
		thread_affinity_get(v->thread, &out->allowed);
		err = 0;
	}
	mutex_unlock(&vm->lock);
	return err;
}
