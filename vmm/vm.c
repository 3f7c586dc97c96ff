/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine's life; see vm.h. One mutex orders state changes; the run-time paths (exits,
 * kicks) take none. What ends a vm from within (power-off, crash) only sets a flag, asks the vCPUs
 * to park and queues work: the rest happens in a thread of Keel's, never under a device's lock.
 */
#include "vmm/vm.h"

#include <stdarg.h>

#include "cpu/errata.h"
#include "cpu/tsc.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched_group.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "lib/format.h"
#include "mm/heap.h"
#include "vmm/firmware/acpi_files.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/firmware/shadow.h"
#include "vmm/machine.h"
#include "vmm/vram.h"

/* ---- waiting for vCPUs ---- */

static bool may_run(const struct vm *vm)
{
	return READ_ONCE(vm->state) == VM_RUNNING && READ_ONCE(vm->ending) != VM_ENDS;
}

static void request_all(struct vm *vm, uint32_t request)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_request(vm->vcpu[i], request);
}

bool vm_park(struct vm *vm, struct vcpu *vcpu)
{
	bool alive;

	ASSERT(vcpu->thread == thread_current());
	mutex_lock(&vm->lock);
	while (!may_run(vm) && vm->state != VM_DYING) {
		life_vcpu_set(vcpu, VCPU_PARKED);
		vm->parked_count++;
		mutex_unlock(&vm->lock);
		waitq_wake_all(&vm->parked_wait);
		WAITQ_WAIT(&vm->resume_wait, may_run(vm) || READ_ONCE(vm->state) == VM_DYING,
			   THREAD_FOREVER);
		mutex_lock(&vm->lock);
		life_vcpu_set(vcpu, VCPU_LIVE);
		vm->parked_count--;
	}
	alive = vm->state != VM_DYING;
	if (!alive)
		life_vcpu_set(vcpu, VCPU_LEFT);
	mutex_unlock(&vm->lock);
	if (!alive)
		waitq_wake_all(&vm->parked_wait);
	return alive;
}

/*
 * Under the lock, which is given up meanwhile: no vCPU runs on in `state`. False if the vm may not
 * have it, or had it no longer before all were parked.
 */
static bool wait_parked(struct vm *vm, enum vm_state state)
{
	ASSERT(mutex_held(&vm->lock));
	if (!life_vm_set(vm, state))
		return false;
	request_all(vm, VCPU_REQ_STOP);
	mutex_unlock(&vm->lock);
	WAITQ_WAIT(&vm->parked_wait, vm_all_parked(vm) || READ_ONCE(vm->state) != state,
		   THREAD_FOREVER);
	mutex_lock(&vm->lock);
	return vm->state == state;
}

/* No vCPU's thread will touch the vm or another vCPU any more. */
static bool all_left(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		enum vcpu_state s = READ_ONCE(vm->vcpu[i]->state);

		if (s != VCPU_NEW && s != VCPU_LEFT)
			return false;
	}
	return true;
}

/* gmem took frames away: see gmem.h, "Pointers and TLBs". */
static void flush(void *arg)
{
	struct vm *vm = arg;

	ASSERT(thread_may_wait());
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		__atomic_or_fetch(&vm->vcpu[i]->requests, VCPU_REQ_FLUSH, __ATOMIC_SEQ_CST);
	vm_quiesce(vm);
}

/* ---- the clock ---- */

uint64_t vm_clock_to_host(const struct vm *vm, uint64_t ns)
{
	int64_t offset = (int64_t)vm->clock_offset_ns;

	/* A guest may be older than its host: then the offset is negative. */
	if (offset < 0)
		return ns > (uint64_t)-offset ? ns + vm->clock_offset_ns : 0;
	return ns > ~0ull - vm->clock_offset_ns ? ~0ull : ns + vm->clock_offset_ns;
}

static void clock_stop(struct vm *vm)
{
	uint64_t tsc;

	if (!vm->clock_running)
		return;
	tsc = tsc_read();			/* once: clock and TSC stop at one moment */
	vm->clock_frozen_ns = tsc_to_ns(tsc - tsc_base) - vm->clock_offset_ns;
	vm->clock_frozen_tsc = tsc + vm->tsc_offset;
	vm->clock_running = false;
	machine_freeze(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vlapic_freeze(vm->vcpu[i]);
}

/*
 * All vCPUs are parked or not yet started: the TSC, too, goes on where it stood. Both begin at one
 * reading of the host's, so that clock_frozen_tsc was clock_frozen_ns for as long as they run.
 */
static void clock_start(struct vm *vm)
{
	uint64_t tsc = tsc_read();

	if (vm->clock_running)
		return;
	vm->clock_offset_ns = tsc_to_ns(tsc - tsc_base) - vm->clock_frozen_ns;
	vm->tsc_offset = vm->clock_frozen_tsc - tsc;
	vm->clock_running = true;
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpu[i];

		vmm_ops->tsc_offset_set(v, vm->tsc_offset + v->tsc_adjust);
		vlapic_thaw(v);
		vcpu_request(v, VCPU_REQ_CLOCK);
	}
	machine_thaw(vm);
}

/* ---- birth ---- */

static int add_memory(struct vm *vm)
{
	uint64_t high = memory_high_size(vm->config.memory);
	int err = vm->config.firmware ? shadow_create(vm)
				      : gmem_add_ram(&vm->gmem, GPA(0),
						     memory_low_end(vm->config.memory));

	if (!err && high)
		err = gmem_add_ram(&vm->gmem, GPA(MEMORY_HIGH), high);
	return err;
}

static uint64_t serials;			/* atomic: the last that was given */

static int build(struct vm *vm)
{
	struct gmem_config g = {
		.format = vmm_ops->second_level, .max_leaf_level = vmm_ops->max_leaf_level(),
		.exec_4k = errata_has(ERRATUM_ITLB_MULTIHIT),
		.gpa_bits = 48, .node = NODE_ANY, .charge = &vm->charge, .flush = flush, .arg = vm,
	};
	int err = gmem_init(&vm->gmem, &g);

	if (err)
		return err;
	vm->gmem_made = true;
	vm_memory_join();
	err = add_memory(vm);
	if (!err)
		err = vram_create(vm);
	if (!err)
		err = bus_init(&vm->bus);
	if (!err)
		err = (vm->cpuid = heap_alloc(sizeof(*vm->cpuid))) ? 0 : -ENOMEM;
	if (err)
		return err;
	cpuid_policy_build(vm->cpuid, &vm->config.topology, &vm->config.cpu);
	err = machine_create(vm);
	for (unsigned i = 0; !err && i < vm->config.vcpus; i++) {
		err = vcpu_create(vm, i, &vm->vcpu[i]);
		if (!err)
			vm->vcpu_count = i + 1;
	}
	for (unsigned i = 0; !err && i < vm->vcpu_count; i++)
		vcpu_reset(vm->vcpu[i]);
	return err;
}

/* From outside, what exits and timers use is there to be asked until here; vm->lock says so. */
static void release_machine(struct vm *vm)
{
	if (vm->vcpu_count)
		vm->last_stats = vm_stats_now(vm);
	machine_destroy(vm);
	acpi_files_free(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_destroy(vm->vcpu[i]);
	vm->vcpu_count = 0;
}

/*
 * In this order: the vCPUs leave, since each may touch any other and the devices; then the timers,
 * which touch both; then the work that either may have queued; then nobody is left but who asks
 * from outside, under the lock.
 */
static void release(struct vm *vm)
{
	if (vm->released)
		return;
	vm->released = true;
	WAITQ_WAIT(&vm->parked_wait, all_left(vm), THREAD_FOREVER);
	mutex_lock(&vm->lock);
	clock_stop(vm);
	mutex_unlock(&vm->lock);
	work_cancel_sync(&vm->stopped_work);
	mutex_lock(&vm->lock);
	release_machine(vm);
	mutex_unlock(&vm->lock);
	heap_free(vm->cpuid);
	bus_fini(&vm->bus);
	shadow_destroy(vm);
	vram_destroy(vm);
	if (vm->gmem_made) {
		gmem_destroy(&vm->gmem);
		vm_memory_leave();
	}
}

static void stopped_work(struct work *w);
static void destroy_work(struct work *w);

static bool has_topology(const struct vm_config *c)
{
	return cpu_topology_vcpus(&c->topology) == c->vcpus &&
	       cpu_topology_apic_id(&c->topology, c->vcpus - 1) < VLAPIC_ID_MAX;
}

int vm_create(const struct vm_config *config, struct vm **out)
{
	struct vm_config c = *config;
	struct vm *vm;
	int err;

	if (!c.topology.sockets)
		c.topology = (struct cpu_topology){ 1, c.vcpus, 1 };
	if (!c.vcpus || c.vcpus > VM_VCPU_MAX || !has_topology(&c) || c.memory < MIB ||
	    c.memory & ~PAGE_MASK)
		return -EINVAL;
	vm = heap_alloc(sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->config = c;
	vm->refs = 1;
	vm->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
	vm->charge.name = vm->config.name;
	vm->group = c.group ? c.group : sched_group_create(0);
	sched_group_get(c.group);
	mutex_init(&vm->lock, "vm");
	mutex_init(&vm->slots_lock, "slots");
	waitq_init(&vm->parked_wait);
	waitq_init(&vm->resume_wait);
	waitq_init(&vm->quiesce_wait);
	work_init_slow(&vm->stopped_work, stopped_work);	/* both wait for vCPUs */
	work_init_slow(&vm->destroy_work, destroy_work);
	vm->stopped_work.group = vm->destroy_work.group = vm->group;
	err = vm->group ? build(vm) : -ENOMEM;
	if (err) {
		release(vm);
		sched_group_put(vm->group);
		heap_free(vm);
		return err;
	}
	*out = vm;
	return 0;
}

void vm_get(struct vm *vm)
{
	ASSERT(vm->refs);
	__atomic_add_fetch(&vm->refs, 1, __ATOMIC_RELAXED);
}

void vm_put(struct vm *vm)
{
	if (__atomic_sub_fetch(&vm->refs, 1, __ATOMIC_ACQ_REL))
		return;
	release(vm);
	sched_group_put(vm->group);
	heap_free(vm);
}

/* ---- running ---- */

int vm_start(struct vm *vm)
{
	int err = 0;

	ASSERT(thread_may_wait());
	mutex_lock(&vm->lock);
	if (vm->state != VM_CREATED) {
		err = -EBUSY;
	} else {
		vm->start_tsc = tsc_read();
		clock_start(vm);
		life_vm_set(vm, VM_RUNNING);
		for (unsigned i = 0; i < vm->vcpu_count; i++) {
			life_vcpu_set(vm->vcpu[i], VCPU_LIVE);
			thread_start(vm->vcpu[i]->thread);
		}
	}
	mutex_unlock(&vm->lock);
	return err;
}

int vm_pause(struct vm *vm)
{
	int err = 0;

	ASSERT(thread_may_wait());
	mutex_lock(&vm->lock);
	if (vm->state != VM_RUNNING) {
		err = -EINVAL;
	} else if (wait_parked(vm, VM_PAUSED)) {
		clock_stop(vm);
	} else {
		err = -EINVAL;		/* it stopped itself, or was destroyed */
	}
	mutex_unlock(&vm->lock);
	return err;
}

int vm_resume(struct vm *vm)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->state != VM_PAUSED || !vm_all_parked(vm)) {
		err = -EINVAL;
	} else {
		clock_start(vm);
		life_vm_set(vm, VM_RUNNING);
	}
	mutex_unlock(&vm->lock);
	waitq_wake_all(&vm->resume_wait);
	return err;
}

/* ---- stopping by itself ---- */

static void stopped_work(struct work *w)
{
	struct vm *vm = container_of(w, struct vm, stopped_work);
	bool dying, began;

	mutex_lock(&vm->lock);
	dying = vm->state == VM_DYING;
	began = !dying && vm->state != VM_CREATED;
	if (began && wait_parked(vm, vm->stop_why == VM_STOP_CRASH ? VM_CRASHED : VM_STOPPED))
		clock_stop(vm);
	mutex_unlock(&vm->lock);
	if (!dying && vm->config.stopped)
		vm->config.stopped(vm->config.arg, vm, vm->stop_why, vm->stop_code, vm->reason);
}

/* The first reason counts; any context. */
static bool stop_once(struct vm *vm)
{
	uint8_t not = VM_ENDS_NOT;

	return __atomic_compare_exchange_n(&vm->ending, &not, VM_ENDS_SOON, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void stop_begin(struct vm *vm, enum vm_stop why, uint32_t code)
{
	vm->stop_why = why;
	vm->stop_code = code;
	__atomic_store_n(&vm->ending, VM_ENDS, __ATOMIC_SEQ_CST);
	request_all(vm, VCPU_REQ_STOP);
	work_queue(&vm->stopped_work);
}

void vm_stop_self(struct vm *vm, enum vm_stop why, uint32_t code)
{
	if (stop_once(vm))
		stop_begin(vm, why, code);
}

void vm_crash(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	if (!stop_once(vm))
		return;
	va_start(ap, fmt);
	format_v(vm->reason, sizeof(vm->reason), fmt, ap);
	va_end(ap);
	trace(TRACE_CRASH, 0, 0, 0);
	log_error("%s: crashed: %s", vm->config.name, vm->reason);
	stop_begin(vm, VM_STOP_CRASH, 0);
}

/* ---- the end ---- */

static void destroy_work(struct work *w)
{
	struct vm *vm = container_of(w, struct vm, destroy_work);
	void (*done)(void *arg) = vm->destroy_done;
	void *arg = vm->destroy_arg;

	release(vm);
	vm_put(vm);
	if (done)
		done(arg);
}

void vm_destroy(struct vm *vm, void (*done)(void *arg), void *arg)
{
	bool first;

	mutex_lock(&vm->lock);
	first = vm->state != VM_DYING;
	ASSERT(first || !done);
	life_vm_set(vm, VM_DYING);
	if (first) {
		vm->destroy_done = done;
		vm->destroy_arg = arg;
		vm_get(vm);
		request_all(vm, VCPU_REQ_STOP);
	}
	mutex_unlock(&vm->lock);
	waitq_wake_all(&vm->resume_wait);
	waitq_wake_all(&vm->parked_wait);
	if (first)
		work_queue(&vm->destroy_work);
}

/* ---- what mgmt asks for, at any time before its reference goes ---- */

int vm_key(struct vm *vm, uint8_t key, bool pressed)
{
	int err;

	mutex_lock(&vm->lock);
	err = machine_key(vm, key, pressed);
	mutex_unlock(&vm->lock);
	return err;
}

int vm_mouse(struct vm *vm, int dx, int dy, int wheel, unsigned buttons)
{
	int err;

	mutex_lock(&vm->lock);
	err = machine_mouse(vm, dx, dy, wheel, buttons);
	mutex_unlock(&vm->lock);
	return err;
}

void vm_power_button(struct vm *vm)
{
	mutex_lock(&vm->lock);
	machine_power_button(vm);
	mutex_unlock(&vm->lock);
}

void vm_console_input(struct vm *vm)
{
	mutex_lock(&vm->lock);
	machine_console_input(vm);
	mutex_unlock(&vm->lock);
}

void vm_channel_input(struct vm *vm, unsigned port)
{
	mutex_lock(&vm->lock);
	machine_channel_input(vm, port);
	mutex_unlock(&vm->lock);
}

void vm_nmi(struct vm *vm)
{
	mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		event_nmi(vm->vcpu[i]);
	mutex_unlock(&vm->lock);
}

void vm_sched_follow(struct vm *vm)
{
	mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		thread_sched_follow(vm->vcpu[i]->thread);
		vcpu_kick(vm->vcpu[i]);
	}
	mutex_unlock(&vm->lock);
}

int vm_vcpu_pin(struct vm *vm, unsigned id, const struct cpu_set *allowed)
{
	int err = -ENOENT;

	mutex_lock(&vm->lock);
	if (id < vm->vcpu_count) {
		thread_affinity_set(vm->vcpu[id]->thread, allowed);
		vcpu_request(vm->vcpu[id], VCPU_REQ_MOVE);
		err = 0;
	}
	mutex_unlock(&vm->lock);
	return err;
}
