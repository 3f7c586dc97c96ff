/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine from its start to its end: memory, vCPUs, devices, clock, state. What is merely
 * defined (a configuration with a name) is mgmt's; a reboot makes a new vm. Reference-counted;
 * destroy is asynchronous and always ends. Its states: vmm/life.h.
 */
#pragma once

#include "cpu/tsc.h"
#include "include/list.h"
#include "kernel/cpu_set.h"
#include "kernel/mutex.h"
#include "kernel/work.h"
#include "mm/page.h"
#include "vdev/host.h"
#include "vdev/vrtc.h"
#include "vmm/bus.h"
#include "vmm/cpuid.h"
#include "vmm/gmem/gmem.h"
#include "vmm/life.h"
#include "vmm/vcpu.h"
#include "vmm/vlapic/vlapic_route.h"

struct load_image;
struct machine_row;

#define VM_NAME_MAX	64
#define VM_VCPU_MAX	64
#define VM_REASON_MAX	256

/* How far it is with ending itself, which begins in any context. */
enum vm_ending {
	VM_ENDS_NOT,
	VM_ENDS_SOON,		/* the reason is being written down */
	VM_ENDS			/* and is known; no vCPU enters any more */
};

/* Why a vm stopped by itself; told once by config.stopped. */
enum vm_stop { VM_STOP_POWER_OFF, VM_STOP_RESET, VM_STOP_CRASH, VM_STOP_DEBUG_EXIT };

struct vm_config {
	char name[VM_NAME_MAX];
	uint8_t uuid[16];
	unsigned vcpus;			/* 1 to VM_VCPU_MAX */
	struct cpu_topology topology;	/* of so many; all 0: cores of one socket */
	uint64_t memory;		/* bytes, a multiple of 4 KiB */
	/* The image of the guest's firmware; NULL: a kernel is started directly. */
	const void *firmware;			/* the caller keeps it, and these texts */
	size_t firmware_size;
	/* Its flash, which is written while the vm lives, from any vCPU; NULL: none. */
	uint8_t *nvram;
	size_t nvram_size;
	uint64_t vram;			/* bytes of video memory: vmm/vram.h; 0: none */
	struct vrtc_battery *battery;	/* of its clock and CMOS, likewise; NULL: none */
	/* What SMBIOS says of the machine; NULL: Keel's words, and no serial number. */
	const char *manufacturer, *product, *serial;
	const struct machine_row *device;	/* beyond a PC's own; until vm_create is done */
	unsigned device_count;
	struct cpu_model cpu;
	struct sched_group *group;	/* NULL: one of its own */

	/* Callbacks upward, with `arg`. None may block. */
	void *arg;
	/*
	 * Thread context; all vCPUs are or will be parked. `code` of a debug exit;
	 * `reason` of a crash.
	 */
	void (*stopped)(void *arg, struct vm *vm, enum vm_stop why, uint32_t code,
			const char *reason);
	/* A vCPU finds no memory and waits for some. Its thread; NULL: nobody asks. */
	void (*starved)(void *arg);
	/*
	 * The serial port's other end: any context of vdev handlers. put takes all or less; get
	 * gives what there is.
	 */
	size_t (*console_put)(void *arg, const void *data, size_t n);
	size_t (*console_get)(void *arg, void *data, size_t n);
};

/* Numbers for domstats. */
struct vm_stats {
	uint64_t run_ticks, wait_ticks;		/* of all vCPU threads, host TSC */
	uint64_t keel_ticks;			/* of run_ticks, spent in Keel between exit and
						 * entry */
	uint64_t exits;
	uint64_t ram_pages, present_pages, charged_pages, table_pages;
	uint64_t out_pages;			/* of ram_pages, not promised any more */
	uint64_t unclaimed_ports, unclaimed_mmio;
	uint64_t unknown_msrs;			/* accesses to MSRs that a guest does not have */
	bool wants_memory;			/* some vCPU waits for it */
};

struct vm {
	struct vm_config config;	/* (c) */
	uint32_t refs;			/* (a) */
	uint64_t serial;		/* (c) from 1 on, never given again */
	struct mutex lock;		/* state changes, device list, parked counts */
	enum vm_state state;		/* life_vm_set() */
	struct charge charge;
	struct sched_group *group;	/* its vCPUs' threads; a reference */
	struct gmem gmem;
	struct mutex slots_lock;	/* changes of gmem's slots, and what wants none meanwhile */
	struct acpi_files *acpi_files;	/* (c) likewise: vmm/firmware/acpi_files.h */
	struct shadow *shadow;		/* (c) where there is firmware: vmm/firmware/shadow.h */
	struct vram *vram;		/* (c) where there is a screen: vmm/vram.h */
	struct bus bus;
	struct cpuid_policy *cpuid;	/* (c) frozen at creation */
	struct vcpu *vcpu[VM_VCPU_MAX];
	unsigned vcpu_count;
	void *arch;			/* the back end's own */
	struct vlapic_routes routes;
	bool intr;			/* (a) the output of its 8259 */
	struct machine *machine;	/* devices and their wiring: vmm/machine.c */

	/* clock: vm_clock_ns = clock_ns() - clock_offset_ns while it runs, else frozen */
	uint64_t clock_offset_ns, clock_frozen_ns;
	bool clock_running;
	uint64_t tsc_offset;		/* guest TSC = host TSC + this (+ TSC_ADJUST) */
	uint64_t start_tsc;		/* host TSC when it was started */

	uint64_t clock_frozen_tsc;	/* guest TSC (without TSC_ADJUST) while the clock stands */
	bool gmem_made, released;

	bool reported;			/* (a) a vCPU's registers are in the log */
	uint32_t msr_logged[8];		/* (a) one bit per hashed unknown MSR: logged once */
	uint32_t msr_lines;		/* (a) how many of them came into the log or would have */
	uint8_t ending;			/* (a) enum vm_ending */
	enum vm_stop stop_why;
	uint32_t stop_code;
	struct work stopped_work, destroy_work;
	struct vm_stats last_stats;	/* kept when the vCPUs are gone */
	void (*destroy_done)(void *arg);
	void *destroy_arg;
	char reason[VM_REASON_MAX];	/* of a crash */
	struct waitq parked_wait, resume_wait, quiesce_wait;
	unsigned parked_count;
	uint64_t epoch;			/* (a) of vm_quiesce(), which begins one */
	unsigned memory_waiters;	/* vCPUs: vmm/vm_memory.c */
};

int vm_create(const struct vm_config *config, struct vm **out) must_check;	/* one reference */
/*
 * Loads the image into guest memory and sets the boot vCPU's registers (vmm/load/load.h). -EINVAL
 * and a line in `why`.
 */
int vm_load_image(struct vm *vm, const struct load_image *image, char *why,
		  size_t why_size) must_check;
int vm_start(struct vm *vm) must_check;
int vm_pause(struct vm *vm) must_check;		/* waits until every vCPU is parked */
int vm_resume(struct vm *vm) must_check;
/*
 * Ends it from any state; returns at once; `done(arg)` (may be NULL) is called in thread context
 * when all is released but the references. Only the first caller has one: a later
 * call must pass NULL.
 */
void vm_destroy(struct vm *vm, void (*done)(void *arg), void *arg);
void vm_get(struct vm *vm);
void vm_put(struct vm *vm);

/*
 * The guest asked for what we cannot honour, or says itself that it crashed: marks, logs, tells
 * config.stopped, RETURNS. vCPU thread.
 */
void vm_crash(struct vm *vm, const char *fmt, ...) printf_like(2, 3);
/* A device or an exit ends it: power-off, reset, debug exit. Any vCPU thread. */
void vm_stop_self(struct vm *vm, enum vm_stop why, uint32_t code);

/* A key of its keyboard, as vkbd_key() has it; -ENODEV: it is gone. */
int vm_key(struct vm *vm, uint8_t key, bool pressed) must_check;
/* As vkbd_mouse() has it; -ENODEV: it is gone. */
int vm_mouse(struct vm *vm, int dx, int dy, int wheel, unsigned buttons) must_check;
void vm_power_button(struct vm *vm);		/* ACPI: the guest shuts down if it listens */
void vm_console_input(struct vm *vm);		/* config.console_get has something new */
void vm_channel_input(struct vm *vm, unsigned port);	/* likewise a port of virtio-serial-pci */
void vm_nmi(struct vm *vm);
/* From now on that vCPU runs on these CPUs alone. -ENOENT: there is no such vCPU, or no longer. */
int vm_vcpu_pin(struct vm *vm, unsigned id, const struct cpu_set *allowed);
/* Its group's limits have changed: its vCPUs follow. */
void vm_sched_follow(struct vm *vm);

/* When the host's TSC was `tsc`, since which the clock has not been started or stopped. */
static inline uint64_t vm_clock_at(const struct vm *vm, uint64_t tsc)
{
	return likely(READ_ONCE(vm->clock_running))
		       ? tsc_to_ns(tsc - tsc_base) - vm->clock_offset_ns : vm->clock_frozen_ns;
}

static inline uint64_t vm_clock_ns(const struct vm *vm)
{
	return vm_clock_at(vm, tsc_read());
}
/* clock_ns() at which the VM's clock, if it goes on running, will show `ns`. */
uint64_t vm_clock_to_host(const struct vm *vm, uint64_t ns);
/* For vcpu.c: waits until the VM runs (true) or ends (false). */
bool vm_park(struct vm *vm, struct vcpu *vcpu);
/* As gmem_read and gmem_write, and quicker in an exit of the vm's own: vmm/vm_copy.c. */
int vm_read(struct vm *vm, gpa_t a, void *dst, size_t n) must_check;
int vm_write(struct vm *vm, gpa_t a, const void *src, size_t n) must_check;
bool vm_is_plain(struct vm *vm, gpa_t a, uint64_t n);	/* as gmem_is_plain, likewise */
/* vmm/vm_balloon.c: host_mem_unused() of vdev/host.h. */
uint64_t vm_memory_unused(struct vm *vm, enum host_unused what, const struct host_segment *s,
			  unsigned n);
/*
 * Waits until no other vCPU holds what it read without a lock before: for freeing that, once it is
 * published no more. Thread context, no spinlock held; a vCPU's exit, if it holds nothing itself
 * beyond this. vmm/vm_quiesce.c.
 */
void vm_quiesce(struct vm *vm);
/*
 * Between these, this thread counts as quiet for vm_quiesce() if it is a vCPU's: it uses nothing
 * that it read without a lock before. For whoever waits for a lock that is held across
 * vm_quiesce(), which would else wait for him. They nest; what begin returns, end takes.
 */
struct vcpu *vm_quiet_begin(struct vm *vm) must_check;
void vm_quiet_end(struct vcpu *self);
/*
 * vmm/vm_memory.c: a vm that holds memory comes to be, or has given all of it back; a vCPU begins
 * to wait for some. False: nobody is left who could give any, and it must not wait.
 */
void vm_memory_join(void);
void vm_memory_leave(void);
bool vm_memory_wait_begin(struct vcpu *vcpu) must_check;
void vm_memory_wait_end(struct vcpu *vcpu);

/* Every vCPU waits in vm_park(). Under vm->lock, or to wait for it. */
static inline bool vm_all_parked(const struct vm *vm)
{
	return READ_ONCE(vm->parked_count) == vm->vcpu_count;
}

void vm_stats_get(struct vm *vm, struct vm_stats *out);
/* Likewise under vm->lock, with all vCPUs there. */
struct vm_stats vm_stats_now(const struct vm *vm);
/* Sums a row of the exit table over the vCPUs; name NULL behind the last. */
const char *vm_exit_stats(struct vm *vm, unsigned row, struct exit_count *out);
/* Likewise of one vCPU. */
const char *vm_vcpu_exit_stats(struct vm *vm, unsigned id, unsigned row, struct exit_count *out);
struct vcpu_info {
	enum vcpu_activity activity;
	bool parked, wants_memory;
	int cpu;
	uint64_t run_ticks;
	uint64_t rip;
	struct cpu_set allowed;		/* where it may run */
};
int vm_vcpu_info(struct vm *vm, unsigned id, struct vcpu_info *out);

/*
 * All state of a paused vm as records, without memory contents; and back into a vm made from the
 * same configuration, on a machine whose TSC runs as fast. -EINVAL, and a line in `why`.
 */
int vm_save_state(struct vm *vm, struct record_writer *w) must_check;
int vm_load_state(struct vm *vm, struct record_reader *r, char *why, size_t size) must_check;
