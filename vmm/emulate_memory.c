/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory operands. The usual one is the very access that the chip refused: its guest physical
 * address is known and its page walk has been done, so nothing is checked twice. Everything else
 * goes segment, walk, then RAM or a device.
 * Source: Intel SDM 3, "Protection": "Limit Checking",
 * "Type Checking"; SDM 1, "Operand Addressing".
 */
#include "vmm/emulate_state.h"

#include "lib/string.h"
#include "vmm/emulate.h"
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

static int fault_segment(struct emulation *e, enum seg s)
{
	e->fault = (struct event){ .valid = true, .type = EVENT_EXCEPTION, .has_error = true,
				   .vector = s == SEG_SS ? EXC_SS : EXC_GP };
	return -EFAULT;
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

	if (!(e->mode.cr0 & CR0_PE) || (e->vcpu->rflags & RFLAGS_VM))
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

/* The linear address of an operand, or a fault. */
static int linearize(struct emulation *e, enum seg s, uint64_t offset, unsigned size,
		     unsigned access, uint64_t *out)
{
	unsigned unused = e->mode.cr4 & CR4_LA57 ? 7 : 16;
	struct segment seg;
	uint64_t a, last;

	if (e->mode.bits == 64) {
		a = segment_base(e, s) + offset;
		last = a + size - 1;
		if ((uint64_t)((int64_t)(a << unused) >> unused) != a ||
		    (uint64_t)((int64_t)(last << unused) >> unused) != last)
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

/* Where a linear address leads: RAM's host address, filled, or NULL for a device. */
static int resolve(struct emulation *e, uint64_t linear, unsigned access, gpa_t *gpa,
		   uint8_t **host)
{
	struct gmem *g = &e->vcpu->vm->gmem;
	int err = emulate_translate(e->vcpu, &e->mode, GVA(linear), access, gpa, &e->fault);

	*host = NULL;
	if (err || !gmem_is_ram(g, *gpa))
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

int operand_prepare_at(struct emulation *e, enum seg s, uint64_t offset, unsigned size,
		       unsigned access, int which, struct operand *o)
{
	uint64_t linear;
	int err = linearize(e, s, offset, size, access, &linear);

	return err ?: prepare_slowly(e, linear, size, access, which, o);
}

/*
 * Is the operand what the exit was about? The exit's address is one of its bytes then, and if the
 * operand does not leave the page, the chip has checked all of it, but a write only if it exited
 * for a write.
 */
int operand_prepare(struct emulation *e, unsigned size, unsigned access, struct operand *o)
{
	enum seg s = e->insn->segment;
	uint64_t offset = operand_offset(e);
	uint64_t in_page = (segment_base(e, s) + offset) & ~PAGE_MASK;

	if (unlikely(!e->hint || ((access & GMEM_WRITE) && !e->hint_write) ||
		     in_page + size > PAGE_SIZE || (e->gpa.v & ~PAGE_MASK) - in_page >= size))
		return operand_prepare_at(e, s, offset, size, access, -1, o);
	o->gpa[0] = GPA((e->gpa.v & PAGE_MASK) | in_page);
	o->host[0] = NULL;
	o->size = o->first = (uint8_t)size;
	return 0;
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

static void read_part(struct emulation *e, gpa_t gpa, const uint8_t *host, uint8_t *out, unsigned n)
{
	if (host) {
		memcpy(out, host, n);
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
		memcpy(host, in, n);
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
