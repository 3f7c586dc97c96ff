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
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "lib/format.h"
#include "lib/record.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/emulate.h"
#include "vmm/load.h"
#include "vmm/machine.h"

/* ---- waiting for vCPUs ---- */

static bool may_run(const struct vm *vm)
{
	return vm->state == VM_RUNNING && !READ_ONCE(vm->stopping);
}

static void request_all(struct vm *vm, uint32_t request)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_request(vm->vcpu[i], request);
}

bool vm_park(struct vm *vm, struct vcpu *vcpu)
{
	bool alive;

	mutex_lock(&vm->lock);
	while (!may_run(vm) && vm->state != VM_DYING) {
		vcpu->parked = true;
		vm->parked_count++;
		mutex_unlock(&vm->lock);
		waitq_wake_all(&vm->parked_wait);
		WAITQ_WAIT(&vm->resume_wait, may_run(vm) || READ_ONCE(vm->state) == VM_DYING,
			   THREAD_FOREVER);
		mutex_lock(&vm->lock);
		vcpu->parked = false;
		vm->parked_count--;
	}
	alive = vm->state != VM_DYING;
	WRITE_ONCE(vcpu->left, !alive);
	mutex_unlock(&vm->lock);
	if (!alive)
		waitq_wake_all(&vm->parked_wait);
	return alive;
}

static bool all_parked(struct vm *vm)
{
	return READ_ONCE(vm->parked_count) == vm->vcpu_count;
}

/*
 * Under the lock, which is given up meanwhile: no vCPU runs on in `state`. False if it was no
 * longer the vm's state before all were parked.
 */
static bool wait_parked(struct vm *vm, enum vm_state state)
{
	vm->state = state;
	request_all(vm, VCPU_REQ_STOP);
	mutex_unlock(&vm->lock);
	WAITQ_WAIT(&vm->parked_wait, all_parked(vm) || READ_ONCE(vm->state) != state,
		   THREAD_FOREVER);
	mutex_lock(&vm->lock);
	return vm->state == state;
}

/* No vCPU's thread will touch the vm or another vCPU any more. */
static bool all_left(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpu[i]->started && !READ_ONCE(vm->vcpu[i]->left))
			return false;
	return true;
}

/*
 * A vCPU that had another exit, sleeps, waits here itself or has ended holds nothing from before.
 */
static bool is_quiet(struct vcpu *vcpu, uint64_t exit_tsc)
{
	return READ_ONCE(vcpu->exit_tsc) != exit_tsc || READ_ONCE(vcpu->sleeping) ||
	       READ_ONCE(vcpu->parked) || READ_ONCE(vcpu->quiescing) || READ_ONCE(vcpu->left) ||
	       !READ_ONCE(vcpu->started);
}

void vm_quiesce(struct vm *vm)
{
	struct vcpu *self = NULL;

	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpu[i]->started && vm->vcpu[i]->thread == thread_current())
			self = vm->vcpu[i];
	if (self)
		WRITE_ONCE(self->quiescing, true);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpu[i];
		uint64_t exit_tsc = READ_ONCE(v->exit_tsc);

		if (v == self)
			continue;
		vcpu_request(v, VCPU_REQ_EVENT);
		while (!is_quiet(v, exit_tsc))
			thread_sleep_ns(20000);
	}
	if (self)
		WRITE_ONCE(self->quiescing, false);
}

/* gmem took frames away: see gmem.h, "Pointers and TLBs". */
static void flush(void *arg)
{
	struct vm *vm = arg;

	for (unsigned i = 0; i < vm->vcpu_count; i++)
		__atomic_or_fetch(&vm->vcpu[i]->requests, VCPU_REQ_FLUSH, __ATOMIC_SEQ_CST);
	vm_quiesce(vm);
}

/* ---- the clock ---- */

uint64_t vm_clock_ns(const struct vm *vm)
{
	return READ_ONCE(vm->clock_running) ? clock_ns() - vm->clock_offset_ns
					    : vm->clock_frozen_ns;
}

uint64_t vm_clock_to_host(const struct vm *vm, uint64_t ns)
{
	return ns > ~0ull - vm->clock_offset_ns ? ~0ull : ns + vm->clock_offset_ns;
}

static void clock_stop(struct vm *vm)
{
	if (!vm->clock_running)
		return;
	vm->clock_frozen_ns = vm_clock_ns(vm);
	vm->clock_frozen_tsc = tsc_read() + vm->tsc_offset;
	vm->clock_running = false;
	machine_freeze(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vlapic_freeze(vm->vcpu[i]);
}

/* All vCPUs are parked or not yet started: the TSC, too, goes on where it stood. */
static void clock_start(struct vm *vm)
{
	if (vm->clock_running)
		return;
	vm->clock_offset_ns = clock_ns() - vm->clock_frozen_ns;
	vm->tsc_offset = vm->clock_frozen_tsc - tsc_read();
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
	uint64_t low = MIN(vm->config.memory, MACHINE_LOW_MAX), high = vm->config.memory - low;
	int err = gmem_add_ram(&vm->gmem, GPA(0), MIN(low, MACHINE_HOLE_START));

	if (!err && low > MACHINE_HOLE_END)
		err = gmem_add_ram(&vm->gmem, GPA(MACHINE_HOLE_END), low - MACHINE_HOLE_END);
	if (!err && high)
		err = gmem_add_ram(&vm->gmem, GPA(MACHINE_HIGH), high);
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
	err = add_memory(vm);
	if (!err)
		err = bus_init(&vm->bus);
	if (!err)
		err = (vm->cpuid = heap_alloc(sizeof(*vm->cpuid))) ? 0 : -ENOMEM;
	if (err)
		return err;
	cpuid_policy_build(vm->cpuid, vm->config.vcpus);
	err = vmm_ops->vm_init(vm);
	if (!err)
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

static struct vm_stats stats_of(const struct vm *vm);

/* From outside, what exits and timers use is there to be asked until here; vm->lock says so. */
static void release_machine(struct vm *vm)
{
	if (vm->vcpu_count)
		vm->last_stats = stats_of(vm);
	machine_destroy(vm);
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
	vmm_ops->vm_fini(vm);
	heap_free(vm->cpuid);
	bus_fini(&vm->bus);
	if (vm->gmem_made)
		gmem_destroy(&vm->gmem);
}

static void stopped_work(struct work *w);
static void destroy_work(struct work *w);

int vm_create(const struct vm_config *config, struct vm **out)
{
	struct vm *vm;
	int err;

	if (!config->vcpus || config->vcpus > VM_VCPU_MAX || config->memory < MIB ||
	    config->memory & ~PAGE_MASK)
		return -EINVAL;
	vm = heap_alloc(sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->config = *config;
	vm->refs = 1;
	vm->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
	vm->charge.name = vm->config.name;
	vm->state = VM_CREATED;
	mutex_init(&vm->lock, "vm");
	waitq_init(&vm->parked_wait);
	waitq_init(&vm->resume_wait);
	work_init(&vm->stopped_work, stopped_work);
	work_init(&vm->destroy_work, destroy_work);
	err = build(vm);
	if (err) {
		release(vm);
		heap_free(vm);
		return err;
	}
	*out = vm;
	return 0;
}

void vm_get(struct vm *vm)
{
	__atomic_add_fetch(&vm->refs, 1, __ATOMIC_RELAXED);
}

void vm_put(struct vm *vm)
{
	if (__atomic_sub_fetch(&vm->refs, 1, __ATOMIC_ACQ_REL))
		return;
	release(vm);
	heap_free(vm);
}

/* ---- the image ---- */

static void flat_segments(struct vcpu *vcpu, const struct load_entry *e, bool long_mode)
{
	struct segment code = {
		.limit = 0xffffffff, .selector = 0x10, .attr = SEG_P | SEG_S | SEG_G | 0xb,
	};
	struct segment data = {
		.limit = 0xffffffff, .selector = 0x18, .attr = SEG_P | SEG_S | SEG_G | SEG_DB | 3,
	};
	struct segment tr = { .limit = 0x67, .attr = SEG_P | 0xb };
	struct segment gdtr = { .base = e->gdt.v, .limit = e->gdt_size ? e->gdt_size - 1 : 0 };

	code.attr |= long_mode ? SEG_L : SEG_DB;
	for (enum seg s = SEG_ES; s <= SEG_GS; s++)
		vmm_ops->segment_set(vcpu, s, s == SEG_CS ? &code : &data);
	vmm_ops->segment_set(vcpu, SEG_TR, &tr);
	vmm_ops->segment_set(vcpu, SEG_GDTR, &gdtr);
	vmm_ops->segment_set(vcpu, SEG_IDTR, &(struct segment){ 0 });
	vmm_ops->segment_set(vcpu, SEG_LDTR, &(struct segment){ .attr = SEG_UNUSABLE });
}

static void set_entry(struct vcpu *vcpu, const struct load_entry *e)
{
	bool long_mode = e->start == LOAD_START_LINUX64;

	flat_segments(vcpu, e, long_mode);
	vcpu->gpr[GPR_RAX] = e->rax;
	vcpu->gpr[GPR_RBX] = e->rbx;
	vcpu->gpr[GPR_RSI] = e->rsi;
	vcpu->gpr[GPR_RSP] = e->rsp;
	vcpu->gpr[GPR_RDX] = 0;
	vcpu->rip = e->rip;
	vmm_ops->reg_set(vcpu, REG_CR4, long_mode ? CR4_PAE : 0);
	vmm_ops->reg_set(vcpu, REG_CR3, long_mode ? e->cr3.v : 0);
	vmm_ops->reg_set(vcpu, REG_EFER, long_mode ? EFER_LME | EFER_LMA : 0);
	vmm_ops->reg_set(vcpu, REG_CR0, CR0_PE | CR0_ET | CR0_NE | (long_mode ? CR0_PG : 0));
	vlapic_firmware_state(vcpu);
}

int vm_load_image(struct vm *vm, const struct vm_image *image, char *why, size_t why_size)
{
	struct load_image in = {
		.kernel = image->kernel, .kernel_size = image->kernel_size,
		.initrd = image->initrd, .initrd_size = image->initrd_size,
		.cmdline = image->cmdline,
	};
	uint64_t low = MIN(vm->config.memory, MACHINE_LOW_MAX);
	struct load_machine m = {
		.gmem = &vm->gmem, .ram_low_end = low, .ram_high_size = vm->config.memory - low,
		.rsdp = GPA(MACHINE_ACPI), .acpi = GPA(MACHINE_ACPI),
		.acpi_size = MACHINE_ACPI_SIZE, .ecam = GPA(MACHINE_ECAM),
		.ecam_size = MACHINE_ECAM_SIZE,
	};
	struct load_entry entry = { 0 };
	int err = machine_load_tables(vm);

	if (err) {
		format(why, why_size, "the ACPI tables cannot be written: %s", format_errno(err));
		return err;
	}
	err = load_image(&in, &m, &entry, why, why_size);
	if (err)
		return err;
	set_entry(vm->vcpu[0], &entry);
	log_info("%s: loaded %s", vm->config.name, entry.kind);
	return 0;
}

/* ---- running ---- */

int vm_start(struct vm *vm)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->state != VM_CREATED) {
		err = -EBUSY;
	} else {
		vm->clock_frozen_tsc = 0;
		vm->start_tsc = tsc_read();
		clock_start(vm);
		vm->state = VM_RUNNING;
		for (unsigned i = 0; i < vm->vcpu_count; i++) {
			vm->vcpu[i]->started = true;
			thread_start(vm->vcpu[i]->thread);
		}
	}
	mutex_unlock(&vm->lock);
	return err;
}

int vm_pause(struct vm *vm)
{
	int err = 0;

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
	if (vm->state != VM_PAUSED || !all_parked(vm)) {
		err = -EINVAL;
	} else {
		clock_start(vm);
		vm->state = VM_RUNNING;
	}
	mutex_unlock(&vm->lock);
	waitq_wake_all(&vm->resume_wait);
	return err;
}

bool vm_running(const struct vm *vm)
{
	return may_run(vm);
}

/* ---- stopping by itself ---- */

static void stopped_work(struct work *w)
{
	struct vm *vm = container_of(w, struct vm, stopped_work);
	bool dying;

	mutex_lock(&vm->lock);
	dying = vm->state == VM_DYING;
	if (!dying && wait_parked(vm, vm->stop_why == VM_STOP_CRASH ? VM_CRASHED : VM_STOPPED))
		clock_stop(vm);
	mutex_unlock(&vm->lock);
	if (!dying && vm->config.stopped)
		vm->config.stopped(vm->config.arg, vm, vm->stop_why, vm->stop_code, vm->reason);
}

/* The first reason counts; any context. */
static bool stop_once(struct vm *vm)
{
	return !__atomic_exchange_n(&vm->stop_told, true, __ATOMIC_SEQ_CST);
}

static void stop_begin(struct vm *vm, enum vm_stop why, uint32_t code)
{
	vm->stop_why = why;
	vm->stop_code = code;
	__atomic_store_n(&vm->stopping, true, __ATOMIC_SEQ_CST);
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
	WRITE_ONCE(vm->state, VM_DYING);
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

void vm_nmi(struct vm *vm)
{
	mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		event_nmi(vm->vcpu[i]);
	mutex_unlock(&vm->lock);
}

static void add_exits(const struct vcpu *v, unsigned row, struct exit_count *sum)
{
	sum->count += READ_ONCE(v->exits[row].count);
	sum->ticks += READ_ONCE(v->exits[row].ticks);
}

static struct vm_stats stats_of(const struct vm *vm)
{
	struct vm_stats s = {
		.ram_pages = vm->gmem.ram_pages, .present_pages = vm->gmem.present_pages,
		.charged_pages = READ_ONCE(vm->charge.pages),
		.table_pages = vm->gmem.tables.table_pages,
		.unclaimed_ports = vm->bus.unclaimed[HOST_PORT],
		.unclaimed_mmio = vm->bus.unclaimed[HOST_MMIO],
	};
	struct exit_count sum = { 0 };

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *v = vm->vcpu[i];

		s.run_ticks += thread_run_ticks(v->thread);
		s.wait_ticks += thread_wait_ticks(v->thread);
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
	*out = vm->vcpu_count ? stats_of(vm) : vm->last_stats;
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
			.activity = v->activity, .parked = v->parked, .cpu = thread_cpu(v->thread),
			.run_ticks = thread_run_ticks(v->thread), .rip = v->rip,
		};
		err = 0;
	}
	mutex_unlock(&vm->lock);
	return err;
}

/* ---- saved form ---- */

int vm_save_state(struct vm *vm, struct record_writer *w)
{
	if (vm->state != VM_PAUSED || !all_parked(vm))
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

static int load_head(struct vm *vm, struct record_reader *r, uint32_t version)
{
	bool same = version == 1 && record_get_u32(r) == vm->vcpu_count;
	uint64_t ns, tsc;

	same &= record_get_u64(r) == vm->config.memory;
	ns = record_get_u64(r);
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

	if (vm->state != VM_CREATED && !(vm->state == VM_PAUSED && all_parked(vm)))
		return -EBUSY;
	while (!(err = record_next(r, &head, &body))) {
		err = load_record(vm, &head, &body);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}
