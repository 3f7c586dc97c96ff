/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory operands. The usual one is the very access that the chip refused: its guest physical
 * address is known and its page walk has been done, so that is not done twice. Everything else goes
 * segment, walk, then RAM or a device. Segments are looked at in any case: the chip's word is about
 * the bytes that it has seen.
 * Source: Intel SDM 3, "Protection": "Limit Checking",
 * "Type Checking"; SDM 1, "Operand Addressing".
 */
#include "vmm/insn/emulate_state.h"

#include "lib/string.h"
#include "vmm/insn/breakpoint.h"
#include "vmm/insn/emulate.h"
#include "vmm/insn/gwalk.h"
#include "vmm/ops.h"
#include "vmm/vm.h"

uint64_t operand_offset(const struct emulation *e)
{
	const struct insn *i = e->insn;
	const uint64_t *gpr = e->vcpu->gpr;
	uint64_t a = (uint64_t)i->disp;

	if (likely(i->base < GPR_COUNT))
		a += gpr[i->base];
	else if (i->base == INSN_RIP)
		a += e->vcpu->rip + i->length;
	if (i->index != INSN_NO_REG)
		a += gpr[i->index] << i->shift;
	return likely(i->address == 8) ? a : a & bytes_mask(i->address);
}

uint64_t operand_stack_mask(const struct emulation *e)
{
	struct segment ss;

	if (e->mode.bits == 64)
		return ~0ul;
	vmm_ops->segment_get(e->vcpu, SEG_SS, &ss);
	return ss.attr & SEG_DB ? 0xffffffff : 0xffff;
}

static int fault_segment(struct emulation *e, enum seg s)
{
	return emulate_fault_error(e, s == SEG_SS ? EXC_SS : EXC_GP, 0);
}

static uint64_t segment_base(const struct emulation *e, enum seg s)
{
	if (e->mode.bits == 64 && s != SEG_FS && s != SEG_GS)
		return 0;
	return vmm_ops->segment_base(e->vcpu, s);
}

/* Rights of a segment outside 64-bit mode; none in real mode, where any segment may be written. */
static bool segment_allows(const struct emulation *e, const struct segment *s, unsigned access)
{
	bool code = s->attr & 8, second = s->attr & 2;		/* writable data, readable code */

	if (emulate_real(e))
		return true;
	if ((s->attr & SEG_UNUSABLE) || !(s->attr & SEG_P))
		return false;
	if (access & GMEM_WRITE)
		return !code && second;
	return !code || second;
}

static bool within_limit(const struct segment *s, uint64_t offset, unsigned size)
{
	uint64_t last = offset + size - 1;

	if ((s->attr & 0xc) == 4)		/* expand-down data */
		return offset > s->limit && last <= (s->attr & SEG_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

bool operand_canonical(const struct emulation *e, uint64_t a)
{
	unsigned unused = e->mode.cr4 & CR4_LA57 ? 7 : 16;

	return (uint64_t)((int64_t)(a << unused) >> unused) == a;
}

/* The linear address of an operand, or a fault. */
static int linear_of(struct emulation *e, enum seg s, uint64_t offset, unsigned size,
		     unsigned access, uint64_t *out)
{
	struct segment seg;
	uint64_t a, last;

	if (e->mode.bits == 64) {
		a = segment_base(e, s) + offset;
		last = a + size - 1;
		if (!operand_canonical(e, a) || !operand_canonical(e, last))
			return fault_segment(e, s);
		*out = a;
		return 0;
	}
	vmm_ops->segment_get(e->vcpu, s, &seg);
	if (!segment_allows(e, &seg, access) || !within_limit(&seg, offset, size))
		return fault_segment(e, s);
	*out = (uint32_t)(seg.base + offset);
	return 0;
}

static int linearize(struct emulation *e, enum seg s, uint64_t offset, unsigned size,
		     unsigned access, uint64_t *out)
{
	int err = linear_of(e, s, offset, size, access, out);

	if (unlikely(!err && e->watched))
		e->hits |= breakpoint_data(e->vcpu, *out, size, access & GMEM_WRITE);
	return err;
}

/* Where a linear address leads: RAM's host address, filled, or NULL for a device. */
static int resolve(struct emulation *e, uint64_t linear, unsigned access, gpa_t *gpa,
		   uint8_t **host)
{
	struct gmem *g = &e->vcpu->vm->gmem;
	int err = emulate_translate(e->vcpu, &e->mode, GVA(linear),
				    access | (e->implicit ? GWALK_IMPLICIT : 0), gpa, &e->fault);

	*host = NULL;
	if (err || !gmem_is_ram(g, *gpa, access))
		return err;
	*host = gmem_peek(g, *gpa, access);
	if (*host)
		return 0;
	err = gmem_fault(g, *gpa, access);
	if (err)
		return err == -ENOMEM ? err : -EINTR;
	*host = gmem_peek(g, *gpa, access);
	return *host ? 0 : -EINTR;
}

/* As resolve, remembering the page while one instruction goes on. */
static int resolve_at(struct emulation *e, uint64_t linear, unsigned access, int which, gpa_t *gpa,
		      uint8_t **host)
{
	struct page_at *at = which < 0 ? NULL : &e->at[which];
	uint64_t offset = linear & ~PAGE_MASK;
	int err;

	if (at && at->page == (linear & PAGE_MASK)) {
		*gpa = GPA(at->gpa.v + offset);
		*host = at->host ? at->host + offset : NULL;
		return 0;
	}
	err = resolve(e, linear, access, gpa, host);
	if (!err && at)
		*at = (struct page_at){ linear & PAGE_MASK, GPA(gpa->v - offset),
					*host ? *host - offset : NULL };
	return err;
}

static int prepare_slowly(struct emulation *e, uint64_t linear, unsigned size, unsigned access,
			  int which, struct operand *o)
{
	unsigned room = (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK));
	uint64_t next = linear + room;
	int err = resolve_at(e, linear, access, which, &o->gpa[0], &o->host[0]);

	o->size = (uint8_t)size;
	o->first = (uint8_t)MIN(room, size);
	if (!err && size > room)
		err = resolve(e, e->mode.bits == 64 ? next : (uint32_t)next, access, &o->gpa[1],
			      &o->host[1]);
	return err;
}

/* Of x87's numbers and environments, too. */
static unsigned alignment_of(unsigned size)
{
	return size == 10 ? 8 : size & -size;
}

/* What the chip checks of alignment, after all else. */
static int check_alignment(struct emulation *e, uint64_t linear, unsigned size)
{
	bool checked = e->mode.cpl == 3 && !e->implicit && e->vcpu->rflags & RFLAGS_AC &&
		       e->mode.cr0 & CR0_AM;
	uint8_t vector = EXC_AC;

	if (e->aligned && !e->implicit)
		vector = EXC_GP;
	else if (likely(!checked))
		return 0;
	if (!(linear & (alignment_of(size) - 1)))
		return 0;
	return emulate_fault_error(e, vector, 0);
}

/*
 * Is this the access that the chip exited for? A read may be the first half of reading and writing;
 * an exit for a write is met by what writes alone. The page decides: chips differ in which byte
 * they name.
 */
static bool is_exit(const struct emulation *e, const struct operand *o, unsigned access)
{
	uint64_t page = e->gpa.v & PAGE_MASK;

	return (e->exit == GMEM_READ || (e->exit == GMEM_WRITE && (access & GMEM_WRITE))) &&
	       ((o->gpa[0].v & PAGE_MASK) == page ||
		(o->size > o->first && (o->gpa[1].v & PAGE_MASK) == page));
}

static int prepare_checked(struct emulation *e, uint64_t linear, unsigned size, unsigned access,
			   int which, struct operand *o)
{
	int err = prepare_slowly(e, linear, size, access, which, o);

	err = err ?: check_alignment(e, linear, size);
	if (!err && !e->met && is_exit(e, o, access)) {
		e->met = true;
		*operand_page_of(e->vcpu, linear) = (struct operand_page){
			linear & PAGE_MASK, linear - o->gpa[0].v };
	}
	return err;
}

int operand_prepare_at(struct emulation *e, enum seg s, uint64_t offset, unsigned size,
		       unsigned access, int which, struct operand *o)
{
	uint64_t linear;
	int err = linearize(e, s, offset, size, access, &linear);

	return err ?: prepare_checked(e, linear, size, access, which, o);
}

int operand_prepare_system(struct emulation *e, uint64_t linear, unsigned size, unsigned access,
			   struct operand *o)
{
	int err;

	e->implicit = true;
	err = prepare_checked(e, linear, size, access, -1, o);
	e->implicit = false;
	return err;
}

int operand_check(const struct emulation *e)
{
	return likely(e->met) ? 0 : -EAGAIN;
}

void operand_forget(struct vcpu *vcpu)
{
	for (unsigned i = 0; i < OPERAND_PAGES; i++)	/* no address is there */
		vcpu->insns->operand[i] = (struct operand_page){ BIT(62), 1 };
}

/*
 * Has the chip translated and allowed this operand? So it has if the operand leads to the exit's
 * page and does not leave it, and its direction is the exit's.
 */
static bool is_vouched_for(const struct emulation *e, uint64_t linear, unsigned size,
			   unsigned access)
{
	uint64_t in_page = linear & ~PAGE_MASK;

	return access == e->exit && operand_seen(e->vcpu, linear, (unsigned)PAGE_SIZE - size,
						 GPA((e->gpa.v & PAGE_MASK) | in_page));
}

int operand_prepare_only(struct emulation *e, uint64_t offset, unsigned size, unsigned access,
			 struct operand *o)
{
	uint64_t linear;
	int err = linearize(e, e->insn->segment, offset, size, access, &linear);

	if (unlikely(err))
		return err;
	if (unlikely(!is_vouched_for(e, linear, size, access)))
		return prepare_checked(e, linear, size, access, -1, o) ?: operand_check(e);
	err = check_alignment(e, linear, size);
	o->gpa[0] = GPA((e->gpa.v & PAGE_MASK) | (linear & ~PAGE_MASK));
	o->host[0] = NULL;
	o->size = o->first = (uint8_t)size;
	return err;
}

int operand_prepare(struct emulation *e, unsigned size, unsigned access, struct operand *o)
{
	return operand_prepare_only(e, operand_offset(e), size, access, o);
}

/* Does this byte lie in the exit's page? */
static bool reaches_exit(struct emulation *e, enum seg s, uint64_t offset)
{
	uint64_t linear;
	gpa_t gpa;

	return !linearize(e, s, offset, 1, GMEM_READ, &linear) &&
	       !emulate_translate(e->vcpu, &e->mode, GVA(linear), GMEM_READ, &gpa, &e->fault) &&
	       (gpa.v & PAGE_MASK) == (e->gpa.v & PAGE_MASK);
}

bool operand_reaches(struct emulation *e, enum seg s, uint64_t offset, unsigned size)
{
	return reaches_exit(e, s, offset) || reaches_exit(e, s, offset + size - 1);
}

/*
 * The operand that ModRM names, of any size to 64 bytes (EVEX's displacement is decoded for none),
 * or what rDI points to. What uses a stack is known.
 */
int emulate_unknown(struct emulation *e)
{
	const struct insn *i = e->insn;
	uint64_t offset = i->memory ? operand_offset(e)
				    : e->vcpu->gpr[GPR_RDI] & bytes_mask(i->address);

	if (!e->exit || (i->memory && i->encoding == ENCODING_EVEX))
		return -ENOSYS;
	return operand_reaches(e, i->segment, offset, 64) ? -ENOSYS : -EAGAIN;
}

/* A device sees aligned powers of two when an access is no power of two: the halves of one that
 * crosses a page. */
static unsigned device_unit(uint64_t a, unsigned left)
{
	unsigned unit = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;

	while (unit > left || (left != unit && (a & (unit - 1))))
		unit /= 2;
	return unit;
}

/* In one access where a chip has one: another vCPU sees all of it or nothing. */
static void copy(void *to, const void *from, unsigned n)
{
	switch (n) {
	case 1: __builtin_memcpy(to, from, 1); break;
	case 2: __builtin_memcpy(to, from, 2); break;
	case 4: __builtin_memcpy(to, from, 4); break;
	case 8: __builtin_memcpy(to, from, 8); break;
	case 16: __builtin_memcpy(to, from, 16); break;
	default: memcpy(to, from, n); break;
	}
}

static void read_part(struct emulation *e, gpa_t gpa, const uint8_t *host, uint8_t *out, unsigned n)
{
	if (host) {
		copy(out, host, n);
		return;
	}
	for (unsigned at = 0, unit; at < n; at += unit) {
		uint64_t v;

		unit = device_unit(gpa.v + at, n - at);
		v = exit_mmio_read(e->vcpu, GPA(gpa.v + at), unit);
		memcpy(out + at, &v, unit);
	}
}

static void write_part(struct emulation *e, gpa_t gpa, uint8_t *host, const uint8_t *in, unsigned n)
{
	if (host) {
		copy(host, in, n);
		return;
	}
	for (unsigned at = 0, unit; at < n; at += unit) {
		uint64_t v = 0;

		unit = device_unit(gpa.v + at, n - at);
		memcpy(&v, in + at, unit);
		exit_mmio_write(e->vcpu, GPA(gpa.v + at), unit, v);
	}
}

void operand_read_bytes(struct emulation *e, const struct operand *o, void *out)
{
	read_part(e, o->gpa[0], o->host[0], out, o->first);
	if (o->size > o->first)
		read_part(e, o->gpa[1], o->host[1], (uint8_t *)out + o->first, o->size - o->first);
}

void operand_write_bytes(struct emulation *e, const struct operand *o, const void *in)
{
	write_part(e, o->gpa[0], o->host[0], in, o->first);
	if (o->size > o->first)
		write_part(e, o->gpa[1], o->host[1], (const uint8_t *)in + o->first,
			   o->size - o->first);
}

uint64_t operand_read(struct emulation *e, const struct operand *o)
{
	uint64_t v = 0;

	if (likely(o->first == o->size && !o->host[0]))
		return exit_mmio_read(e->vcpu, o->gpa[0], o->size) & bytes_mask(o->size);
	operand_read_bytes(e, o, &v);
	return v;
}

void operand_write(struct emulation *e, const struct operand *o, uint64_t v)
{
	if (likely(o->first == o->size && !o->host[0]))
		exit_mmio_write(e->vcpu, o->gpa[0], o->size, v & bytes_mask(o->size));
	else
		operand_write_bytes(e, o, &v);
}

#define SWAP(width, p, old, new, done)							\
	__asm__ volatile("lock cmpxchg" width " %[n], (%[m])"				\
			 : "+a"(*(old)), "=@ccz"(done) : [n] "r"(new), [m] "r"(p) : "memory")

/* Puts *new in the place of *old; if that is not there (any more), *old is what is. */
static bool swap(uint8_t *p, unsigned size, uint64_t old[2], const uint64_t new[2])
{
	bool done;

	switch (size) {
	case 1: SWAP("b", p, (uint8_t *)old, (uint8_t)new[0], done); break;
	case 2: SWAP("w", p, (uint16_t *)old, (uint16_t)new[0], done); break;
	case 4: SWAP("l", p, (uint32_t *)old, (uint32_t)new[0], done); break;
	case 8: SWAP("q", p, old, new[0], done); break;
	default:
		__asm__ volatile("lock cmpxchg16b (%[m])"
				 : "+a"(old[0]), "+d"(old[1]), "=@ccz"(done)
				 : "b"(new[0]), "c"(new[1]), [m] "r"(p) : "memory");
	}
	return done;
}

bool operand_replace(struct emulation *e, const struct operand *o, bool locked, uint64_t old[2],
		     const uint64_t new[2])
{
	if (locked && o->host[0] && o->first == o->size)
		return swap(o->host[0], o->size, old, new);
	operand_write_bytes(e, o, new);
	return true;
}
