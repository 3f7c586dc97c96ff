/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual CPU: its registers, requests from others, events, and the loop that is its life
 * (vcpu.c). Fields are marked: (t) its thread only, (a) atomic, (c) constant after creation, (v)
 * under vm->lock.
 *
 * Kick. Whoever wants a vCPU's attention sets a request bit and calls vcpu_kick: barrier, then an
 * IPI if it is in guest mode, a wake-up if it sleeps. The entry path has interrupts off, says "in
 * guest", and looks at the requests once more: no request is lost.
 */
#pragma once

#include "cpu/percpu.h"
#include "cpu/registers.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "include/list.h"
#include "kernel/hwstate.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "vmm/event.h"
#include "vmm/msr.h"
#include "vmm/ops.h"
#include "vmm/regs.h"
#include "vmm/vlapic/vlapic.h"

enum vcpu_request {
	VCPU_REQ_EVENT = 1,	/* look at interrupts and NMIs again */
	VCPU_REQ_FLUSH = 2,	/* TLB and soft caches */
	VCPU_REQ_STOP = 4,	/* pause, destroy: park outside the guest */
	VCPU_REQ_CLOCK = 8,	/* update the paravirtual clock */
	VCPU_REQ_INIT = 16,	/* INIT arrived */
	VCPU_REQ_SIPI = 32,	/* SIPI, its vector in the topmost byte */
	VCPU_REQ_QUIESCE = 64,	/* an epoch has begun: vmm/vm_quiesce.c */
	VCPU_REQ_MEMORY = 128,	/* its own: no memory was left for a frame */
	VCPU_REQ_MOVE = 256,	/* it may be where its thread must not run any more */
	VCPU_REQ_VECTOR_SHIFT = 24,
	/* a SIPI with its vector */
	VCPU_REQ_STARTUP = (int)(VCPU_REQ_SIPI | 0xffu << VCPU_REQ_VECTOR_SHIFT),
};

enum vcpu_activity { VCPU_RUNNABLE, VCPU_HALTED, VCPU_WAIT_SIPI, VCPU_SHUTDOWN };

struct exit_count {
	uint64_t count, ticks;	/* ticks: TSC from exit to the next entry, in Keel */
};

/*
 * Decoded instructions by their bytes: vmm/insn/decode.h. And the fetch cache: vmm/insn/fetch.c
 * owns its meaning.
 */
struct insn_cache;
struct fetch_cache;

struct vcpu {
	/* hot; the entry assembly is given gpr */
	uint64_t gpr[GPR_COUNT];	/* (t) */
	uint64_t rip, rflags;		/* (t) */
	void *arch;			/* (c) the back end's own */

	uint32_t requests;		/* (a) enum vcpu_request */
	bool in_guest;			/* (a) between the last look at requests and the exit */
	uint8_t activity;		/* (t) enum vcpu_activity */
	bool sleeping;			/* (a) in thread_wait, or about to */
	uint16_t cpu;			/* (t) where it entered last */
	struct event_state event;	/* (t) */
	struct vlapic vlapic;

	struct vm *vm;			/* (c) */
	unsigned id;			/* (c) index */
	uint32_t apic_id;		/* (c) below VLAPIC_ID_MAX */
	struct thread *thread;		/* (c) */
	struct insn_cache *insns;	/* (t) */
	struct fetch_cache *fetch;	/* (t) */

	struct hwstate hw;		/* (t) loaded by the back end */

	uint64_t exit_tsc;		/* (a) TSC at the last exit */
	struct exit_count *exit_now;	/* (t) its row */
	struct exit_count exits[EXIT_ROW_MAX];	/* (t) */

	uint64_t tsc_adjust;		/* (t) MSR_TSC_ADJUST */
	uint64_t apic_base;		/* (t) MSR_APIC_BASE */
	uint64_t apic_window;		/* (t) page where its registers answer; ~0: nowhere */
	struct pvclock_vcpu {
		uint64_t system_time_msr, wall_clock_msr;	/* (t) */
	} pvclock;
	uint64_t mtrr[28];		/* (t) variable, fixed, default: vmm/mtrr.c */
	uint64_t msr_kept[KEPT_COUNT];	/* (t) */
	const struct msr_row *msr_recent[16];	/* (t) msr.c's own */
	uint64_t msr_unknown;		/* (t) how often an unlisted MSR was touched */
	bool io_again;			/* (t) a device's, from host_again() to vcpu_io_again() */
	bool quiet;			/* (a) holds nothing for vm_quiesce() to wait for */
	uint64_t epoch_seen;		/* (a) likewise of epochs up to this one */
	bool wants_memory;		/* (a) waits for it: vmm/vm_memory.c */
	struct list memory_link;
	uint8_t state;			/* (v) enum vcpu_state; life_vcpu_set() */
};

struct vm;

int vcpu_create(struct vm *vm, unsigned id, struct vcpu **out) must_check;
void vcpu_destroy(struct vcpu *vcpu);		/* its thread has ended */
/* State that lives only in this CPU goes back to memory, so that others may read and change it. */
void vcpu_put_state(struct vcpu *vcpu);

void vcpu_main(void *arg);			/* what its thread begins with */
/* Whose thread this is, if it is one of that vm's; else NULL. */
static inline struct vcpu *vcpu_current(const struct vm *vm)
{
	struct vcpu *v = thread_argument(vcpu_main);

	return v && v->vm == vm ? v : NULL;
}

/* Power-up state of everything. */
void vcpu_reset(struct vcpu *vcpu);
/* INIT has come: to the reset vector, or to wait for a SIPI. */
void vcpu_reset_init(struct vcpu *vcpu);
/* A SIPI has come: nothing to a vCPU that does not wait for it. */
void vcpu_reset_startup(struct vcpu *vcpu, uint8_t vector);

/* Sets `request` bits and makes the vCPU see them. Any context. */
void vcpu_request(struct vcpu *vcpu, uint32_t request);
/* INIT makes nothing of a SIPI that was before it; of several SIPIs after it the first counts. */
void vcpu_request_init(struct vcpu *vcpu);
void vcpu_request_startup(struct vcpu *vcpu, uint8_t vector);
void vcpu_kick(struct vcpu *vcpu);

/*
 * Its own thread, between exits: from here on it holds nothing that it read without a lock (begin),
 * until it may again (end); or just at this moment (now). vmm/vm_quiesce.c.
 */
void vcpu_quiet_begin(struct vcpu *self);
void vcpu_quiet_end(struct vcpu *self);
void vcpu_quiet_now(struct vcpu *self);

/*
 * Asked by the back end with interrupts off, after in_guest was set: must it return to the loop
 * instead of entering? That was an exchange, behind which plain reads are enough.
 */
static inline bool vcpu_must_stop(const struct vcpu *vcpu)
{
	return unlikely(vcpu->requests | this_cpu(sched_wanted_flag));
}

/*
 * Cost of exits: the time from an exit to the next entry belongs to the exit's row; time in which
 * the thread was not running (vcpu_account_pause) belongs to none. The back end calls these around
 * the world switch.
 */
static inline void vcpu_account_entry(struct vcpu *vcpu)
{
	vcpu->exit_now->ticks += tsc_read() - vcpu->exit_tsc;
}

static inline void vcpu_account_exit(struct vcpu *vcpu, unsigned row)
{
	struct exit_count *now = &vcpu->exits[row];

	__asm__("" : "+r"(now));	/* lest the compiler find the row three times */
	vcpu->exit_tsc = tsc_read();
	vcpu->exit_now = now;
	now->count++;
}

/* Behind a write to a port: must the instruction run again? */
static inline bool vcpu_io_again(struct vcpu *vcpu)
{
	if (likely(!vcpu->io_again))
		return false;
	vcpu->io_again = false;
	return true;
}

/*
 * Registers and instruction bytes to the log, once for a vm: is this the time? vCPU thread.
 */
bool vcpu_report(struct vcpu *vcpu);

uint64_t vcpu_guest_tsc(const struct vcpu *vcpu);
void vcpu_tsc_adjust(struct vcpu *vcpu, uint64_t value);	/* MSR_TSC_ADJUST */

/* The low 32 bits zero-extended, as a 32-bit register write does. */
static inline void vcpu_set_eax(struct vcpu *vcpu, enum gpr r, uint32_t v)
{
	vcpu->gpr[r] = v;
}

/* All canonical state as records; loading treats the input as hostile. The vCPU is parked. */
void vcpu_save(struct vcpu *vcpu, struct record_writer *w);
int vcpu_load(struct vcpu *vcpu, struct record_reader *r, uint32_t version) must_check;

#include "vmm/next.h"
