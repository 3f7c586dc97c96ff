/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the emulator's files share: one instruction under way (emulate.c starts and ends it), the
 * rows that say how each is done (emulate_table.c), its memory operands (emulate_memory.c), and the
 * files that execute, each with the rows of its own. An operand is prepared first: every fault
 * comes there, before anything happens; what follows cannot fault. Registers are written last.
 *
 * Functions return 0 (done: NEXT), -EFAULT (e->fault is to be delivered), -EINTR (run the
 * instruction again: abandoned, or a REP with more to do), -EAGAIN (run it again: it is not the one
 * that the chip saw), -ENOMEM, -ENOSYS (not an instruction we know how to do; e->why may say more).
 */
#pragma once

#include "cpu/registers.h"
#include "include/bits.h"
#include "include/errno.h"
#include "vmm/event.h"
#include "vmm/gmem/gmem.h"
#include "vmm/insn/decode.h"
#include "vmm/insn/emulate.h"
#include "vmm/vcpu.h"

struct emulation {
	struct vcpu *vcpu;
	const struct insn *insn;
	struct vcpu_mode mode;
	struct event fault;
	const char *why;		/* of -ENOSYS; NULL: nobody has written it */
	/*
	 * The exit: the chip translated and allowed this access, GMEM_READ or GMEM_WRITE, to gpa's
	 * page. 0: the exit tells of none.
	 */
	gpa_t gpa;
	unsigned exit;
	bool met;			/* one of the operands is that access, or none need be */
	bool implicit;			/* an access is the chip's own, to a descriptor */
	bool watched;			/* breakpoints are on */
	uint64_t hits;			/* those met, as DR6 has them */
	uint16_t port;			/* INS, OUTS */
	unsigned more;			/* iterations that were done beside the one */
	/* The pages that string instructions are on: source and destination. */
	struct page_at {
		uint64_t page;		/* linear; 1 when unknown */
		gpa_t gpa;
		uint8_t *host;		/* NULL: a device */
	} at[2];
	/* For a row with an operand; its function changes nothing but these. */
	uint8_t size;			/* of the operand */
	bool aligned;			/* #GP unless it is, by its size */
	uint64_t value[4];		/* what it holds, then what it is to hold */
	uint64_t rflags;		/* as they will be */
	struct {
		uint8_t reg, size;
		uint64_t value;
	} out[2];			/* registers to be written, `outs` of them */
	uint8_t outs;
	bool jumps;			/* to `rip`, which is checked, instead of NEXT's */
	bool shadow;			/* SS was loaded */
	bool loads_flags;		/* RFLAGS will be `flags`; TF counts as it was before */
	uint64_t rip, flags;
};

typedef int emulate_fn(struct emulation *e);

/* What a row's function finds done for it. */
enum emulate_operand {
	OPERAND_LOAD,			/* memory is read to e->value */
	OPERAND_STORE,			/* written from there */
	OPERAND_CHANGE,			/* both, in one step if it is locked RAM */
	OPERAND_OWN,			/* nothing; ModRM names memory */
	OPERAND_ANY,			/* nothing, and it need not */
};

/* Bytes of the operand, where it is no number. */
enum emulate_size {
	SIZE_V = 32,			/* a word: 2, 4, 8 */
	SIZE_BV,			/* a byte if the opcode is even, else a word */
	SIZE_Y,				/* 8 by REX.W, else 4 */
	SIZE_Z,				/* a word of 4 bytes at most */
	SIZE_PAIR,			/* two of SIZE_Y */
	SIZE_VECTOR,			/* its own matter; legacy or VEX encoding */
};

/* Which of the prefixes that choose among instructions must stand before it. */
enum emulate_prefix {
	PREFIX_ANY, PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2,
	PREFIX_NO_REP,			/* 66 or none */
};

#define ROW_64		1u		/* in 64-bit mode only */
#define ROW_LEGACY	2u		/* elsewhere only */
#define ROW_LOCKED	4u		/* LOCK or not */
#define ROW_BITS	8u		/* a register's bit offset reaches beyond the operand */
#define ROW_PROTECTED	16u		/* #UD in real and virtual-8086 mode */
#define ROW_KERNEL	32u		/* #GP but for CPL 0 */
#define ROW_UMIP	64u		/* likewise, where CR4.UMIP is set */
#define ROW_VEX		128u		/* VEX.128 */

#define GROUP_ANY	8u

/* An instruction, or several alike: opcodes are compared under the mask. */
struct emulate_row {
	uint8_t map, opcode, mask;
	uint8_t group;			/* ModRM.reg, which then belongs to the opcode */
	uint8_t prefix, operand, size, flags;
	emulate_fn *run;		/* NULL: behind the last row */
};

/* What is done without further ado: moves between memory and a whole register (or its zero-extended
 * part) in 64-bit code. */
enum quick { QUICK_LOAD, QUICK_STORE, QUICK_IMMEDIATE };

/* A decoded instruction: valid wherever these bytes stand in this mode. */
struct insn_slot {
	uint64_t bytes[2], mask[2];
	const struct emulate_row *row;	/* NULL: not looked for yet, or there is none */
	uint64_t value_mask;		/* of the quick move's bytes */
	uint8_t quick, size;
	uint16_t last;			/* offset in a page from which its operand fits there */
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
	/* The last exit for an access that the instruction there does not make. */
	struct insn_again {
		uint64_t rip, exits;	/* its number, of its kind */
		unsigned count;		/* one after the other */
	} again;
};

/* A memory operand of 1 to 108 bytes, ready to be accessed; two parts when it crosses a page. */
struct operand {
	gpa_t gpa[2];
	uint8_t *host[2];		/* NULL: a device */
	uint8_t size, first;		/* bytes; of those, in the first part */
};

/* ---- emulate_table.c */
/* The row of this instruction; NULL if there is none. */
const struct emulate_row *emulate_find(const struct insn *i);
/* Does it: operands, function, commit, but for NEXT. */
int emulate_run(struct emulation *e, const struct emulate_row *row) must_check;
/* A register that is written when all else is done. */
static inline void emulate_out(struct emulation *e, unsigned r, unsigned size, uint64_t v)
{
	e->out[e->outs].reg = (uint8_t)r;
	e->out[e->outs].size = (uint8_t)size;
	e->out[e->outs++].value = v;
}

extern const struct emulate_row emulate_ops_rows[], emulate_string_rows[], emulate_shift_rows[],
	emulate_bits_rows[], emulate_muldiv_rows[], emulate_stack_rows[],
	emulate_frame_rows[], emulate_flags_rows[], emulate_segment_rows[], emulate_far_rows[],
	emulate_return_rows[], emulate_system_rows[], emulate_vector_rows[];
/* PF, ZF and SF of a result. */
uint64_t emulate_result_flags(uint64_t r, unsigned size);
/* The traps behind an instruction, or an iteration that was not the last. */
void emulate_trap(struct emulation *e);
/* For an instruction without such a row: -ENOSYS if the exit was its, -EAGAIN if not. */
int emulate_unknown(struct emulation *e);
/* Sets the flags as CMP a, b does. */
void emulate_compare(struct emulation *e, uint64_t a, uint64_t b, unsigned size);
/* To be returned: a fault without an error code, and one with it. */
int emulate_fault(struct emulation *e, unsigned vector) must_check;
int emulate_fault_error(struct emulation *e, unsigned vector, uint32_t error) must_check;

/* ---- emulate_memory.c */
/* Offset in its segment of the ModRM operand (or moffs). */
uint64_t operand_offset(const struct emulation *e);
/* As far as this paging mode knows addresses. */
bool operand_canonical(const struct emulation *e, uint64_t a);
/* How much of rSP is the stack pointer. */
uint64_t operand_stack_mask(const struct emulation *e);
/*
 * One of several operands: operand_check() follows the last. `access` of GMEM_READ, or GMEM_WRITE
 * for writing and for both. `which` of e->at, or -1.
 */
int operand_prepare_at(struct emulation *e, enum seg s, uint64_t offset, unsigned size,
		       unsigned access, int which, struct operand *o) must_check;
/* Likewise, in a system table at a linear address. */
int operand_prepare_system(struct emulation *e, uint64_t linear, unsigned size, unsigned access,
			   struct operand *o) must_check;
/* -EAGAIN if the exit's access is not among those prepared. */
int operand_check(const struct emulation *e) must_check;
/* The only operand, wherever it is; that of ModRM (or moffs). */
int operand_prepare_only(struct emulation *e, uint64_t offset, unsigned size, unsigned access,
			 struct operand *o) must_check;
int operand_prepare(struct emulation *e, unsigned size, unsigned access,
		    struct operand *o) must_check;
/* Does an access there touch the exit's page? */
bool operand_reaches(struct emulation *e, enum seg s, uint64_t offset, unsigned size);
void operand_read_bytes(struct emulation *e, const struct operand *o, void *out);
void operand_write_bytes(struct emulation *e, const struct operand *o, const void *in);
uint64_t operand_read(struct emulation *e, const struct operand *o);
void operand_write(struct emulation *e, const struct operand *o, uint64_t v);
/*
 * Writes `new` where `old` was read. `locked`: if it is RAM, and all of it on one page, only while
 * it still holds that, else false, and `old` is what it holds.
 */
bool operand_replace(struct emulation *e, const struct operand *o, bool locked, uint64_t old[2],
		     const uint64_t new[2]);

static always_inline struct operand_page *operand_page_of(const struct vcpu *vcpu, uint64_t linear)
{
	return &vcpu->insns->operand[linear >> PAGE_SHIFT & (OPERAND_PAGES - 1)];
}

/*
 * Does the operand at `linear`, at offset `last` of its page at most, lead to this device address,
 * as far as is known?
 */
static always_inline bool operand_seen(const struct vcpu *vcpu, uint64_t linear, unsigned last,
				       gpa_t gpa)
{
	const struct operand_page *p = operand_page_of(vcpu, linear);

	return linear - p->page <= last && linear - gpa.v == p->distance;
}

void operand_forget(struct vcpu *vcpu);

/* ---- emulate_stack.c */
/* Bytes that PUSH and POP move. */
unsigned emulate_stack_size(const struct emulation *e);
/* The stack pointer `n` bytes on, which wraps as the stack does. */
uint64_t emulate_stack_moved(const struct emulation *e, uint64_t sp, int64_t n);
/* As operand_prepare_at(), at a stack pointer. */
int emulate_stack_prepare(struct emulation *e, uint64_t sp, unsigned size, unsigned access,
			  struct operand *o) must_check;
/*
 * What `n` pushes of `size` bytes below `sp` do: at first (not `act`) all faults, then all writes.
 * The pointer is the caller's to move.
 */
int emulate_stack_push(struct emulation *e, uint64_t sp, unsigned size, const uint64_t *v,
		       unsigned n, bool act) must_check;
/* Likewise `n` values at and above `sp`: at first all faults, then they are read. */
int emulate_stack_pop(struct emulation *e, uint64_t sp, unsigned size, uint64_t *v, unsigned n,
		      bool act) must_check;

/* ---- emulate_flags.c: of `size` bytes, for POPF and IRET */
/* #GP where virtual-8086 mode wants more privilege for it. */
int emulate_flags_check(struct emulation *e, unsigned size) must_check;
/* RFLAGS will be what of `v` may be loaded, and of `more` beside what POPF loads. */
int emulate_flags_load(struct emulation *e, uint64_t v, unsigned size, uint64_t more) must_check;

/* ---- emulate_segment.c: an entry of the GDT or LDT */
struct descriptor {
	uint64_t v[2];
	uint64_t linear;
	uint64_t set;			/* bits that descriptor_mark() sets, at `o`; 0: none */
	struct operand o;
};

/* Real or virtual-8086 mode? */
bool emulate_real(const struct emulation *e);
/* What a load gives there. */
void emulate_real_segment(struct emulation *e, enum seg r, unsigned selector, struct segment *s);
/* What virtual-8086 mode has there. */
struct segment emulate_v86_segment(unsigned selector);
/*
 * A data or stack segment for e->mode's privilege, with all checks and the mark prepared; what is
 * wrong with it is `vector`, #GP or #TS.
 */
int emulate_segment_for(struct emulation *e, enum seg r, unsigned selector, unsigned vector,
			struct segment *s, struct descriptor *d) must_check;
/* To be returned: a fault that names a selector. */
int emulate_fault_selector(struct emulation *e, unsigned vector, unsigned selector) must_check;
/* What is to be loaded, `size` 8 or 16 bytes: #GP where the table has none. */
int descriptor_load(struct emulation *e, unsigned selector, unsigned size, struct descriptor *d,
		    struct segment *s) must_check;
/* Bits of its type are to be set if they are not; nothing is written yet. */
int descriptor_prepare(struct emulation *e, struct descriptor *d, unsigned type) must_check;
void descriptor_mark(struct emulation *e, struct descriptor *d);
unsigned descriptor_dpl(const struct segment *s);
/* ---- emulate_far.c: offset and selector of the ModRM operand; operand_check() follows */
int emulate_far_pointer(struct emulation *e, uint64_t *to, unsigned *selector) must_check;
/* May code go on at this offset of it? */
int emulate_far_check(struct emulation *e, const struct segment *cs, uint64_t to) must_check;
/* It does. */
void emulate_far_go(struct emulation *e, const struct segment *cs, struct descriptor *d,
		    uint64_t to);

/* ---- emulate_task.c */
/*
 * Switches to the task of `selector`, whose TSS is still to be looked at; `next` is where the old
 * one will go on. `delivered`: what leads there by a gate of the IDT, else NULL. After -EFAULT it
 * may have been switched to, and the fault be its own.
 */
int emulate_task(struct emulation *e, enum task_switch by, unsigned selector, uint64_t next,
		 struct event *delivered) must_check;

/* ---- emulate_vector.c */
struct fpu_insn;
/* #UD, #NM, and of x87 and MMX #MF; the state is in memory then. */
int emulate_vector_check(struct emulation *e, bool mmx) must_check;
/* This instruction, of the same tables, on f->memory, by the chip. */
int emulate_vector_run(struct emulation *e, const struct insn *i,
		       struct fpu_insn *f) must_check;
/* ---- emulate_environment.c: x87's state of `size` bytes as real mode has it, and as 32-bit
 * protected mode has it, in 108 bytes */
void emulate_environment_to_real(uint8_t *memory, unsigned size);
void emulate_environment_from_real(uint8_t *memory, unsigned size);
/* ---- emulate_elements.c: those that access chosen elements alone */
int emulate_elements(struct emulation *e) must_check;

/* ---- registers by size */
static inline uint64_t gpr_read(const struct emulation *e, unsigned r, unsigned size)
{
	const uint64_t *gpr = e->vcpu->gpr;

	if (size == 1 && !e->insn->rex && r >= 4 && r < 8)	/* AH, CH, DH, BH */
		return gpr[r - 4] >> 8 & 0xff;
	return gpr[r] & bytes_mask(size);
}

/* The register operand of a row, as wide as memory's. */
static inline uint64_t reg_in(const struct emulation *e)
{
	return gpr_read(e, e->insn->reg, e->size);
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
