/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of an emulated instruction: fetched at RIP, decoded or found in the cache of decoded
 * ones, its row looked up (vmm/insn/emulate_table.c), done, and the guest moved on. Plain moves
 * between a register and a device, of 64-bit code, take a short way that prepares nothing. See
 * vmm/insn/emulate.h; the instructions are in vmm/insn/emulate_*.c. The vCPU's thread, no locks.
 */
#include "vmm/insn/emulate.h"

#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/exit.h"
#include "vmm/insn/emulate_state.h"
#include "vmm/insn/fetch.h"
#include "vmm/ops.h"
#include "vmm/vm.h"

#define AGAIN_MAX	64u		/* times that an exit is not the instruction's */

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, 8);
	return v;
}

static void deliver(struct vcpu *vcpu, int err, const struct event *fault, uint64_t linear)
{
	if (err == -EFAULT)
		event_queue(vcpu, fault);
	else if (err == -ENOMEM)
		vcpu_request(vcpu, VCPU_REQ_MEMORY);
	else if (err == -ENODEV)
		vm_crash(vcpu->vm, "code at 0x%lx (rip 0x%lx) is not in memory", linear, vcpu->rip);
}

/* Which quick move it is and of how many bytes; its access, or 0. */
static unsigned quick_of(const struct insn *i, uint8_t *kind, uint8_t *size)
{
	bool flat =
		i->mode == 64 && i->address == 8 && i->segment != SEG_FS && i->segment != SEG_GS;
	bool whole_byte = i->rex || i->reg < 4;		/* not AH and its like */

	if (!flat || !i->memory || !i->has_modrm || i->encoding)
		return 0;
	*size = i->opcode & 1 ? i->operand : 1;
	*kind = QUICK_STORE;
	if (i->map == MAP_ONE && (i->opcode == 0x89 || (i->opcode == 0x88 && whole_byte)))
		return GMEM_WRITE;
	*kind = QUICK_IMMEDIATE;
	if (i->map == MAP_ONE && (i->opcode & 0xfe) == 0xc6 && !(i->reg & 7))
		return GMEM_WRITE;
	*kind = QUICK_LOAD;
	if (i->map == MAP_ONE && i->opcode == 0x8b && i->operand >= 4)
		return GMEM_READ;
	if (i->map != MAP_0F || (i->opcode & 0xfe) != 0xb6 || i->operand < 4)
		return 0;
	*size = i->opcode & 1 ? 2 : 1;			/* MOVZX */
	return GMEM_READ;
}

static void fill_slot(struct insn_slot *s, const uint8_t *p, const struct insn *i)
{
	s->mask[0] = i->length >= 8 ? ~0ul : bytes_mask(i->length);
	s->mask[1] = i->length > 8 ? bytes_mask(i->length - 8u) : 0;
	s->bytes[0] = load64(p) & s->mask[0];
	s->bytes[1] = load64(p + 8) & s->mask[1];
	s->insn = *i;
	s->row = NULL;
	s->access = (uint8_t)quick_of(i, &s->quick, &s->size);
	s->value_mask = s->access ? bytes_mask(s->size) : 0;
	s->last = (uint16_t)(PAGE_SIZE - s->size);
}

/* Another vCPU may be writing to these bytes: they are copied once, then decoded and kept from the
 * copy. */
static noinline int decode_into(struct insn_slot *s, const uint8_t *p, size_t n, unsigned bits)
{
	uint8_t copy[16];
	struct insn i;
	int err;

	memcpy(copy, p, sizeof(copy));
	err = decode(copy, n, bits, &i);
	if (!err)
		fill_slot(s, copy, &i);
	return err;
}

static always_inline struct insn_slot *slot_of(struct vcpu *vcpu, uint64_t linear)
{
	struct insn_slot *s = &vcpu->insns->slot[(linear ^ linear >> 6) % INSN_SLOTS];

	__asm__("" : "+r"(s));		/* lest the compiler find it time and again */
	return s;
}

static always_inline bool slot_holds(const struct insn_slot *s, const uint8_t *p, unsigned bits)
{
	return likely(!(((load64(p) & s->mask[0]) ^ s->bytes[0]) |
			((load64(p + 8) & s->mask[1]) ^ s->bytes[1]) | (s->insn.mode ^ bits)));
}

/* 16 bytes may be read at p, `n` of them are the guest's. -EAGAIN: more are needed. */
static int lookup(struct vcpu *vcpu, uint64_t linear, unsigned bits, const uint8_t *p, size_t n,
		  struct insn_slot **out)
{
	struct insn_slot *s = slot_of(vcpu, linear);

	*out = s;
	return slot_holds(s, p, bits) && s->insn.length <= n ? 0 : decode_into(s, p, n, bits);
}

/* An instruction near its page's end: byte by byte, and the next page only if the instruction
 * reaches it. */
static int lookup_crossing(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear,
			   const uint8_t *p, struct insn_slot **out, struct event *fault)
{
	size_t n = PAGE_SIZE - (linear & ~PAGE_MASK);
	uint64_t second = m->bits == 64 ? linear + n : (uint32_t)(linear + n);
	uint8_t bytes[16] = { 0 };
	int err;

	memcpy(bytes, p, n);
	err = lookup(vcpu, linear, m->bits, bytes, MIN(n, (size_t)INSN_MAX), out);
	if (err != -EAGAIN)
		return err;
	/* That the chip may fetch there is not said: what it fetched may have been shorter. */
	err = fetch_page_checked(vcpu, m, second, &p, fault);
	if (err)
		return err;
	memcpy(bytes + n, p, sizeof(bytes) - n);
	return lookup(vcpu, linear, m->bits, bytes, INSN_MAX, out);
}

static noinline struct insn_slot *fetch_insn_slowly(struct vcpu *vcpu,
							  const struct vcpu_mode *m)
{
	uint64_t linear = fetch_linear(vcpu, m);
	struct insn_slot *s;
	struct event fault;
	const uint8_t *p;
	int err = fetch_page(vcpu, m, linear, &p, &fault);

	if (!err) {
		if (likely((linear & ~PAGE_MASK) <= PAGE_SIZE - 16))
			err = lookup(vcpu, linear, m->bits, p, INSN_MAX, &s);
		else
			err = lookup_crossing(vcpu, m, linear, p, &s, &fault);
		if (likely(!err))
			return s;
	}
	if (err == -EINVAL)
		event_ud(vcpu);
	else if (err == -E2BIG)
		event_gp(vcpu);
	else
		deliver(vcpu, err, &fault, linear);
	return NULL;
}

/* The instruction at RIP of 64-bit code, if it is known and all on one page; else NULL. */
static always_inline struct insn_slot *insn_hit(struct vcpu *vcpu, uint64_t cr3,
						      uint64_t cr4)
{
	struct insn_slot *s = slot_of(vcpu, vcpu->rip);
	const uint8_t *p;

	return likely((vcpu->rip & ~PAGE_MASK) <= PAGE_SIZE - 16 &&
		      fetch_hit(vcpu->fetch, cr3, cr4, vcpu->rip, &p) && slot_holds(s, p, 64))
		       ? s : NULL;
}

/* As insn_hit, where that said no: CR3 may have changed. */
static noinline struct insn_slot *insn_hit_now(struct vcpu *vcpu, uint64_t cr3,
						     uint64_t cr4)
{
	return fetch_root_turned(vcpu->fetch, cr3) ? insn_hit(vcpu, cr3, cr4) : NULL;
}

/* The instruction at RIP, or NULL when there is none: an event is queued, or the guest runs again.
 */
static struct insn_slot *fetch_insn(struct vcpu *vcpu, const struct vcpu_mode *m)
{
	struct insn_slot *s = m->bits == 64 ? insn_hit(vcpu, m->cr3, m->cr4) : NULL;

	return s ?: fetch_insn_slowly(vcpu, m);
}

/* Is `i` the instruction that an exit says it is? */
static bool insn_is(const struct insn *i, unsigned opcode)
{
	unsigned last = opcode & 0xff, map = opcode > 0xff;

	if ((opcode & ~0xffu) == 0xf300)	/* PAUSE and the like */
		return i->map == MAP_ONE && i->rep == 0xf3 && i->opcode == last;
	if (opcode > 0xffff) { /* 0F 01 and a ModRM byte that belongs to the opcode */
		if (i->map != MAP_0F || i->opcode != (opcode >> 8 & 0xff) || i->memory ||
		    !i->has_modrm)
			return false;
		return (0xc0u | (i->reg & 7u) << 3 | (i->rm & 7u)) == last;
	}
	return i->map == map && i->opcode == last;
}

static noinline unsigned length_slowly(struct vcpu *vcpu, unsigned opcode)
{
	struct insn_slot *s;
	struct vcpu_mode m;

	vmm_ops->mode(vcpu, &m);
	s = fetch_insn(vcpu, &m);
	return s && insn_is(&s->insn, opcode) ? s->insn.length : 0;
}

unsigned emulate_length_of(struct vcpu *vcpu, unsigned opcode)
{
	const uint8_t *p;
	uint64_t cr3, cr4;

	if (likely((vcpu->rip & ~PAGE_MASK) <= PAGE_SIZE - 4 &&
		   vmm_ops->code64(vcpu, &cr3, &cr4) &&
		   fetch_hit(vcpu->fetch, cr3, cr4, vcpu->rip, &p))) {
		if (likely(fetch_matches(p, opcode, 2)))
			return 2;
		if (fetch_matches(p, opcode, 1))
			return 1;
		if (fetch_matches(p, opcode, 3))
			return 3;
	}
	return length_slowly(vcpu, opcode);
}

unsigned emulate_length_among(struct vcpu *vcpu, const unsigned *opcodes, unsigned *found)
{
	struct insn_slot *s;
	struct vcpu_mode m;

	vmm_ops->mode(vcpu, &m);
	s = fetch_insn(vcpu, &m);
	for (; s && *opcodes; opcodes++) {
		*found = *opcodes;
		if (insn_is(&s->insn, *opcodes))
			return s->insn.length;
	}
	*found = 0;
	return 0;
}

/* 0F 20 to 23, as `opcode` and `opcode` + 2 are. */
static unsigned decode_mov(struct vcpu *vcpu, unsigned opcode, unsigned *n, bool *write,
			   enum gpr *r)
{
	struct insn_slot *s;
	struct vcpu_mode m;

	vmm_ops->mode(vcpu, &m);
	s = fetch_insn(vcpu, &m);
	if (!s || s->insn.map != MAP_0F || s->insn.encoding || (s->insn.opcode & ~2u) != opcode)
		return 0;
	/* LOCK is AMD's other way to name CR8. */
	*n = s->insn.reg | (s->insn.lock ? 8 : 0);
	*write = s->insn.opcode & 2;
	*r = s->insn.rm;
	return s->insn.length;
}

unsigned emulate_decode_mov_cr(struct vcpu *vcpu, unsigned *cr, bool *write, enum gpr *r)
{
	return decode_mov(vcpu, 0x20, cr, write, r);
}

unsigned emulate_decode_mov_dr(struct vcpu *vcpu, unsigned *dr, bool *write, enum gpr *r)
{
	return decode_mov(vcpu, 0x21, dr, write, r);
}

unsigned emulate_fetch_bytes(struct vcpu *vcpu, uint8_t bytes[15])
{
	struct event ignored;
	struct vcpu_mode m;
	const uint8_t *p;
	uint64_t linear;
	unsigned n = 0, room;

	vmm_ops->mode(vcpu, &m);
	linear = fetch_linear(vcpu, &m);
	while (n < INSN_MAX && !fetch_page(vcpu, &m, linear + n, &p, &ignored)) {
		room = (unsigned)MIN(PAGE_SIZE - ((linear + n) & ~PAGE_MASK),
				     (uint64_t)INSN_MAX - n);
		memcpy(bytes + n, p, room);
		n += room;
	}
	return n;
}

static noinline void crash_unknown(struct emulation *e)
{
	static const char *const why[] = {
		[ENCODING_LEGACY] = "that is not emulated",
		[ENCODING_VEX] = "that is not emulated",
		[ENCODING_EVEX] = "in EVEX encoding (AVX-512)",
		[ENCODING_XOP] = "in XOP encoding",
	};
	struct vcpu *vcpu = e->vcpu;
	uint8_t bytes[INSN_MAX];
	unsigned n = emulate_fetch_bytes(vcpu, bytes);
	char hex[3 * INSN_MAX + 1] = "";

	for (unsigned k = 0; k < n && k < e->insn->length; k++)
		format(hex + 3 * k, 4, "%02x ", bytes[k]);
	vm_crash(
		vcpu->vm,
		"an access to device address 0x%lx by an instruction %s: %sat rip 0x%lx",
		e->gpa.v, e->why ?: why[e->insn->encoding], hex, vcpu->rip);
}

/*
 * The instruction does not make the access that the chip exited for. Another vCPU may have changed
 * it, or the chip have old translations: it runs again. But where that comes out the same time and
 * again, the access is one of which the emulator knows nothing (to the bitmap of a TSS, say).
 */
static void run_again(struct emulation *e)
{
	struct vcpu *vcpu = e->vcpu;
	uint64_t exits = vcpu->exit_now->count;
	struct insn_again *again = &vcpu->insns->again;
	bool same = again->rip == vcpu->rip && again->exits + 1 == exits;

	again->count = same ? again->count + 1 : 0;
	again->rip = vcpu->rip;
	again->exits = exits;
	e->why = e->why ?: "whose operands are elsewhere";
	if (again->count == AGAIN_MAX)
		crash_unknown(e);
	else
		vmm_ops->flush_tlb(vcpu);
}

static noinline void end_badly(struct emulation *e, int err)
{
	if (err == -ENOSYS)
		crash_unknown(e);
	else if (err == -EAGAIN && e->exit)
		run_again(e);
	else if (err == -EAGAIN)
		vmm_ops->flush_tlb(e->vcpu);
	else
		deliver(e->vcpu, err, &e->fault, 0);
}

/* Outside 64-bit mode: the chip has checked the limit for the instruction that it saw. */
static bool within_code(const struct emulation *e)
{
	struct segment cs;

	if (likely(e->mode.bits == 64))
		return true;
	vmm_ops->segment_get(e->vcpu, SEG_CS, &cs);
	return (uint32_t)e->vcpu->rip + (uint64_t)e->insn->length - 1 <= cs.limit;
}

void emulate_trap(struct emulation *e)
{
	if (unlikely(e->hits))
		event_debug(e->vcpu, e->hits);
}

/* NEXT, and what comes behind it. */
static void go_on(struct emulation *e, unsigned length)
{
	if (unlikely(e->jumps))
		e->vcpu->rip = e->rip;
	vcpu_next(e->vcpu, e->jumps ? 0 : length);
	if (unlikely(e->loads_flags))
		e->vcpu->rflags = e->flags;
	if (unlikely(e->shadow))
		e->vcpu->event.shadow = EVENT_SHADOW_MOV_SS;
	emulate_trap(e);
}

static void finish(struct emulation *e, struct insn_slot *s)
{
	int err = -EAGAIN;

	e->insn = &s->insn;
	if (!s->row)
		s->row = emulate_find(&s->insn);
	if (likely(within_code(e)))
		err = s->row ? emulate_run(e, s->row) : emulate_unknown(e);
	if (unlikely(err))
		end_badly(e, err);
	else
		go_on(e, s->insn.length);
}

/* `s`: the instruction, if it is known already. */
static noinline void emulate_any(struct vcpu *vcpu, struct insn_slot *s, gpa_t gpa,
				 unsigned access)
{
	bool tables = access & EXIT_TABLES;
	struct emulation e = { .vcpu = vcpu,
			       .gpa = gpa,
			       .exit = tables ? 0 : access & (GMEM_READ | GMEM_WRITE),
			       .met = tables,
			       .watched = access & EXIT_WATCHED };

	vmm_ops->mode(vcpu, &e.mode);
	s = s ?: fetch_insn_slowly(vcpu, &e.mode);
	if (s)
		finish(&e, s);
}

/*
 * Is the quick move's operand what the exit was about: all of it on one page, at the exit's
 * address? The chip has found it allowed then, and no limit of a segment plays a part.
 */
static always_inline bool quick_operand(const struct vcpu *vcpu, const struct insn_slot *s,
					gpa_t gpa)
{
	const struct insn *i = &s->insn;
	uint64_t a = (uint64_t)i->disp;

	if (likely(i->base < GPR_COUNT))
		a += vcpu->gpr[i->base];
	else if (i->base == INSN_RIP)
		a += vcpu->rip + i->length;
	if (i->index != INSN_NO_REG)
		a += vcpu->gpr[i->index] << i->shift;
	return likely(operand_seen(vcpu, a, s->last, gpa));
}

void emulate_mmio(struct vcpu *vcpu, gpa_t gpa, unsigned access)
{
	struct insn_slot *s = NULL;
	uint64_t cr3, cr4;

	if (likely(vmm_ops->code64(vcpu, &cr3, &cr4)))
		s = insn_hit(vcpu, cr3, cr4) ?: insn_hit_now(vcpu, cr3, cr4);
	if (unlikely(!s || s->access != access || !quick_operand(vcpu, s, gpa))) {
		emulate_any(vcpu, s, gpa, access);
		return;
	}
	if (s->quick == QUICK_LOAD)
		vcpu->gpr[s->insn.reg] = exit_mmio_read(vcpu, gpa, s->size) & s->value_mask;
	else
		exit_mmio_write(vcpu, gpa, s->size,
				(s->quick == QUICK_STORE ? vcpu->gpr[s->insn.reg] : s->insn.imm) &
					s->value_mask);
	vcpu_next(vcpu, s->insn.length);
}

/*
 * The chip has checked the TSS's permission for this port and size, and what it says of the rest it
 * has seen. (F2 before INS or OUTS is REP; not every chip need call it so.)
 */
static bool is_string_io(const struct insn *i, const struct io_access *io)
{
	unsigned size = i->opcode & 1 ? MIN(i->operand, 4) : 1;

	return i->map == MAP_ONE && !i->encoding && (i->opcode & ~1) == (io->in ? 0x6c : 0x6e) &&
	       size == io->size && (i->rep == 0xf2 || io->rep == (i->rep != 0)) &&
	       (!io->address || io->address == i->address) &&
	       (io->in || io->segment == SEG_COUNT || io->segment == i->segment);
}

void emulate_string_io(struct vcpu *vcpu, const struct io_access *io)
{
	struct emulation e = { .vcpu = vcpu,
			       .port = io->port,
			       .met = true,
			       .watched = io->watched };
	struct insn_slot *s;

	vmm_ops->mode(vcpu, &e.mode);
	s = fetch_insn(vcpu, &e.mode);
	if (!s)
		return;
	if (is_string_io(&s->insn, io))
		finish(&e, s);
	else
		end_badly(&e, -EAGAIN);
}

void emulate_task_switch(struct vcpu *vcpu, enum task_switch by, unsigned selector,
			 unsigned length)
{
	struct emulation e = { .vcpu = vcpu, .met = true };
	int err;

	vmm_ops->mode(vcpu, &e.mode);
	err = emulate_task(&e, by, selector, vcpu->rip + length,
			   by == TASK_GATE ? &vcpu->event.pending : NULL);
	if (err)
		end_badly(&e, err);
	else
		go_on(&e, 0);
}

int emulate_translate(struct vcpu *vcpu, const struct vcpu_mode *mode, gva_t a, unsigned access,
		      gpa_t *out, struct event *fault)
{
	struct gwalk w;
	int err = gwalk_vcpu(vcpu, mode, a, access, &w, fault);

	*out = w.gpa;
	return err;
}

void emulate_flush(struct vcpu *vcpu)
{
	fetch_flush(vcpu->fetch);
	operand_forget(vcpu);
}

int emulate_vcpu_init(struct vcpu *vcpu)
{
	vcpu->insns = heap_alloc(sizeof(*vcpu->insns));
	vcpu->fetch = heap_alloc(sizeof(*vcpu->fetch));
	if (!vcpu->insns || !vcpu->fetch) {
		emulate_vcpu_fini(vcpu);
		return -ENOMEM;
	}
	fetch_init(vcpu->fetch, &vcpu->vm->gmem);
	emulate_flush(vcpu);
	return 0;
}

void emulate_vcpu_fini(struct vcpu *vcpu)
{
	heap_free(vcpu->insns);
	heap_free(vcpu->fetch);
	vcpu->insns = NULL;
	vcpu->fetch = NULL;
}
