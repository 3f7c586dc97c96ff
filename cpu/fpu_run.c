/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions done in a guest's name; see cpu/fpu_run.h.
 */
#include "cpu/fpu_run.h"

#include "cpu/cpu.h"
#include "cpu/fpu.h"
#include "cpu/spinlock.h"
#include "lib/string.h"

#define LEGACY_SIZE	512u
#define XMM_AT		160u
#define XMM_SIZE	256u

#define MXCSR_FLAGS	0x3fu		/* what happened; in bits 7 to 12: which are masked */

extern uint8_t fpu_run_slot[];
static struct spinlock slot_lock = SPINLOCK_INIT("fpu_run", LOCK_LEAF);

struct fpu_legacy *fpu_legacy(void *area)
{
	uint8_t *p = area;
	uint64_t *used = (uint64_t *)(p + LEGACY_SIZE);

	if (fpu_area_size() > LEGACY_SIZE && !(*used & XCR0_SSE)) {
		memset(p + XMM_AT, 0, XMM_SIZE);
		*used |= XCR0_SSE;
	}
	return area;
}

/* Writing CR0 serializes, so that what is written is what is run, by whatever alias it was cached.
 */
static void put(const uint8_t *code)
{
	uint64_t cr0 = cpu_read_cr0();

	cpu_write_cr0(cr0 & ~CR0_WP);
	memcpy(fpu_run_slot, code, FPU_RUN_CODE);
	cpu_write_cr0(cr0);
}

/* Does what stands in the slot; -EFAULT after an exception. */
static noinline int step(struct fpu_insn *i)
{
	int err = -EFAULT;

	__asm__ volatile("pushq %[flags]\n\t"
			 "popfq\n\t"
			 ".balign 64\n\t"
			 ".globl fpu_run_slot\n"
			 "fpu_run_slot:\n\t"
			 ".fill 16, 1, 0x90\n\t"
			 "movl $0, %[err]\n"
			 "2:\n\t"
			 "pushfq\n\t"
			 "popq %[flags]\n\t"
			 FIXUP(fpu_run_slot, 2b)
			 : "+a"(i->rax), "+c"(i->rcx), "+d"(i->rdx), [err] "+&r"(err),
			   [flags] "+&r"(i->flags)
			 : "D"(i->memory) : "memory", "cc");
	return err;
}

static void point_at_guest(struct fpu_legacy *l, const struct fpu_insn *i)
{
	if (l->fip != (uint64_t)fpu_run_slot)
		return;
	l->fip = i->fip;
	if (l->fdp == (uint64_t)i->memory)
		l->fdp = i->fdp;
	if (l->fop == i->fop_here)
		l->fop = i->fop;
}

unsigned fpu_run(void *area, struct fpu_insn *i)
{
	struct fpu_legacy *l = fpu_legacy(area);
	uint32_t before = l->mxcsr & MXCSR_FLAGS, raised;
	uint64_t flags = spin_lock_irq(&slot_lock);
	int err;

	put(i->code);
	l->mxcsr &= ~MXCSR_FLAGS;
	(void)!fpu_restore(area);
	err = step(i);
	fpu_save(area);
	spin_unlock_irq(&slot_lock, flags);
	raised = l->mxcsr & MXCSR_FLAGS & ~(l->mxcsr >> 7);
	l->mxcsr |= before;
	point_at_guest(l, i);
	if (likely(!err))
		return 0;
	return raised ? EXC_XM : l->fsw & FPU_FSW_ES ? EXC_MF : EXC_UD;
}
