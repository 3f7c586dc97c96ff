/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the emulator's files share: one instruction under way (emulate.c starts and ends it), its
 * memory operands (emulate_memory.c), and the functions that execute (emulate_ops.c,
 * emulate_string.c). An operand is prepared first: every fault comes there, before anything
 * happens; what follows cannot fault. Registers are written last.
 *
 * Functions return 0 (done: NEXT), -EFAULT (e->fault is to be delivered), -EINTR (run the
 * instruction again: abandoned, or a REP with more to do), -EAGAIN (run it again: it is not the one
 * that the chip saw), -ENOMEM, -ENOSYS (not an instruction we know how to do).
 */
#pragma once

#include "cpu/registers.h"
#include "include/bits.h"
#include "include/errno.h"
#include "vmm/decode.h"
#include "vmm/event.h"
#include "vmm/gmem.h"
#include "vmm/vcpu.h"

struct emulation {
	struct vcpu *vcpu;
	const struct insn *insn;
	struct vcpu_mode mode;
	struct event fault;
	/*
	 * The exit: the chip translated and allowed this access, GMEM_READ or GMEM_WRITE, to gpa's
	 * page. 0: the exit tells of none.
	 */
	gpa_t gpa;
	unsigned exit;
	bool met;			/* one of the operands is that access, or none need be */
	bool watched;			/* breakpoints are on */
	uint64_t hits;			/* those met, as DR6 has them */
	uint16_t port;			/* INS, OUTS */
	/* The pages that string instructions are on: source and destination. */
	struct page_at {
		uint64_t page;		/* linear; 1 when unknown */
		gpa_t gpa;
		uint8_t *host;		/* NULL: a device */
	} at[2];
};

typedef int emulate_fn(struct emulation *e);

/* What is done without further ado: moves between memory and a whole register (or its zero-extended
 * part) in 64-bit code. */
enum quick { QUICK_LOAD, QUICK_STORE, QUICK_IMMEDIATE };

/* A decoded instruction: valid wherever these bytes stand in this mode. */
struct insn_slot {
	uint64_t bytes[2], mask[2];
	emulate_fn *run;		/* NULL: cannot be emulated */
	uint64_t value_mask;		/* of the quick move's bytes */
	uint8_t quick, size;
	uint8_t access;			/* its: GMEM_READ, GMEM_WRITE; 0: it is none */
	struct insn insn;		/* mode 0: empty */
};

/*
 * Pages of device operands and how far from their guest physical address they are, as a walk found
 * it. So the next exit for one needs no walk, only the chip's word that the access is allowed.
 */
struct operand_page {
	uint64_t page, distance;
};

#define INSN_SLOTS	64u
#define OPERAND_PAGES	16u

struct insn_cache {
	struct insn_slot slot[INSN_SLOTS];
	struct operand_page operand[OPERAND_PAGES];
};

/* A memory operand of 1 to 16 bytes, ready to be accessed; two parts when it crosses a page. */
struct operand {
	gpa_t gpa[2];
	uint8_t *host[2];		/* NULL: a device */
	uint8_t size, first;		/* bytes; of those, in the first part */
};

/* The function that does this instruction on memory; NULL if there is none. */
emulate_fn *emulate_find(const struct insn *i);
emulate_fn *emulate_find_string(const struct insn *i);
emulate_fn *emulate_find_shift(const struct insn *i);
/* PF, ZF and SF of a result. */
uint64_t emulate_result_flags(uint64_t r, unsigned size);
/* The traps behind an instruction, or an iteration that was not the last. */
void emulate_trap(struct emulation *e);
/* For an instruction without such a function: -ENOSYS if the exit was its, -EAGAIN if not. */
int emulate_unknown(struct emulation *e);
/* Sets the flags as CMP a, b does. */
void emulate_compare(struct emulation *e, uint64_t a, uint64_t b, unsigned size);

/* ---- emulate_memory.c */
/* Offset in its segment of the ModRM operand (or moffs). */
uint64_t operand_offset(const struct emulation *e);
/* How much of rSP is the stack pointer. */
uint64_t operand_stack_mask(const struct emulation *e);
/*
 * One of several operands: operand_check() follows the last. `access` of GMEM_READ, or GMEM_WRITE
 * for writing and for both. `which` of e->at, or -1.
 */
int operand_prepare_at(struct emulation *e, enum seg s, uint64_t offset, unsigned size,
		       unsigned access, int which, struct operand *o) must_check;
/* -EAGAIN if the exit's access is not among those prepared. */
int operand_check(const struct emulation *e) must_check;
/* The only operand, wherever it is; that of ModRM (or moffs). */
int operand_prepare_only(struct emulation *e, uint64_t offset, unsigned size, unsigned access,
			 struct operand *o) must_check;
int operand_prepare(struct emulation *e, unsigned size, unsigned access,
		    struct operand *o) must_check;
void operand_read_bytes(struct emulation *e, const struct operand *o, void *out);
void operand_write_bytes(struct emulation *e, const struct operand *o, const void *in);
uint64_t operand_read(struct emulation *e, const struct operand *o);
void operand_write(struct emulation *e, const struct operand *o, uint64_t v);

static always_inline struct operand_page *operand_page_of(const struct vcpu *vcpu, uint64_t linear)
{
	return &vcpu->insns->operand[linear >> PAGE_SHIFT & (OPERAND_PAGES - 1)];
}

/* Does the operand at `linear` lead to this device address, as far as is known? */
static always_inline bool operand_seen(const struct vcpu *vcpu, uint64_t linear, gpa_t gpa)
{
	const struct operand_page *p = operand_page_of(vcpu, linear);

	return !((linear ^ p->page) & PAGE_MASK) && linear - gpa.v == p->distance;
}

void operand_forget(struct vcpu *vcpu);

/* ---- registers by size */
static inline uint64_t gpr_read(const struct emulation *e, unsigned r, unsigned size)
{
	const uint64_t *gpr = e->vcpu->gpr;

	if (size == 1 && !e->insn->rex && r >= 4 && r < 8)	/* AH, CH, DH, BH */
		return gpr[r - 4] >> 8 & 0xff;
	return gpr[r] & bytes_mask(size);
}

static inline void gpr_write(struct emulation *e, unsigned r, unsigned size, uint64_t v)
{
	uint64_t *gpr = e->vcpu->gpr;

	if (size == 8)
		gpr[r] = v;
	else if (size == 4)
		gpr[r] = (uint32_t)v;
	else if (size == 2)
		gpr[r] = (gpr[r] & ~0xfffful) | (uint16_t)v;
	else if (!e->insn->rex && r >= 4 && r < 8)
		gpr[r - 4] = (gpr[r - 4] & ~0xff00ul) | (v & 0xff) << 8;
	else
		gpr[r] = (gpr[r] & ~0xfful) | (v & 0xff);
}
