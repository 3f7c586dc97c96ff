/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk through a guest's page tables; see vmm/insn/gwalk.h. Down first, gathering rights and
 * refusing reserved bits; then the table of rights; accessed and dirty bits last, each by
 * compare-and-swap against what was read: an entry that another vCPU has changed sends the walk
 * back to the top, a bounded number of times.
 */
#include "vmm/insn/gwalk.h"

#include "cpu/features.h"
#include "cpu/registers.h"
#include "include/bits.h"
#include "include/errno.h"
#include "vmm/ops.h"
#include "vmm/vm.h"

#define ENTRY_P		BIT(0)
#define ENTRY_W		BIT(1)
#define ENTRY_U		BIT(2)
#define ENTRY_A		BIT(5)
#define ENTRY_D		BIT(6)
#define ENTRY_PS	BIT(7)
#define ENTRY_NX	BIT(63)
#define ENTRY_KEY_SHIFT	59
#define ENTRY_ADDRESS	BITS(51, 12)
#define ATTEMPTS	16

#define PKRU_NO_ACCESS	1u		/* two bits for each key */
#define PKRU_NO_WRITE	2u

/* One walk under way. */
struct walk {
	struct gmem *g;
	const struct vcpu_mode *mode;
	const struct gwalk_access *by;
	uint64_t a;
	unsigned levels, level;
	bool user, wide, pae;
	uint64_t rights;		/* W and U of all levels; NX inverted likewise */
	struct gwalk *out;
	gpa_t at[GWALK_LEVELS];		/* where the entries are */
	uint32_t error;			/* of the #PF, when a step gives -EFAULT */
};

/* The host's address of guest memory, filled if need be. -EFAULT: not RAM. */
static int reach(struct gmem *g, gpa_t a, unsigned access, void **out)
{
	int err;

	*out = gmem_peek(g, a, access);
	if (likely(*out))
		return 0;
	err = gmem_fault(g, a, access);
	if (err)
		return err == -ENOENT ? -EFAULT : err;
	*out = gmem_peek(g, a, access);
	return *out ? 0 : -EINTR;
}

/* PAE's four top entries have neither rights nor an accessed bit. */
static bool is_pdpte_at(const struct walk *w, unsigned level)
{
	return w->pae && level == 3;
}

static bool is_pdpte(const struct walk *w)
{
	return is_pdpte_at(w, w->level);
}

static bool is_leaf(const struct walk *w, uint64_t e)
{
	if (w->level == 1)
		return true;
	if (!(e & ENTRY_PS) || is_pdpte(w))
		return false;
	if (w->level == 3)
		return cpu_has(FEATURE_PAGE_1G);
	return w->level == 2 && (w->wide || w->mode->cr4 & CR4_PSE);
}

/* Of a 4 MiB page: bits 20:13 are address bits 39:32, as far as the chip has them. */
static uint64_t reserved_in_4m(void)
{
	unsigned bits = MIN(features.physical_bits, 40);

	return bits < 40 ? BITS(21, 13 + bits - 32) : BIT(21);
}

/*
 * What must be 0. M is the chip's MAXPHYADDR, whatever CPUID shows the guest: nobody asks a
 * hypervisor at a walk.
 *	32 bits	level 2, 4M page	21, and of 20:13 what is above M
 *	PAE	level 3			63:M, where the chip reads it at the walk (the low bits were
 *					for MOV to CR3 to look at, and some chips set A)
 *	PAE	level 2, 1		62:M
 *	long	any			51:M
 *	long	level 5, 4		7
 *	long	level 3			7, where the chip has no 1G pages
 *	both	2M and 1G pages		the offset's bits above 12
 *	both	any with NX		63, unless EFER.NXE
 */
static uint64_t reserved_bits(const struct walk *w, uint64_t e)
{
	uint64_t mask = ENTRY_ADDRESS & ~(BIT(features.physical_bits) - 1);

	if (!w->wide)
		return w->level == 2 && is_leaf(w, e) ? reserved_in_4m() : 0;
	if (is_pdpte(w))
		return mask | BITS(63, 52);
	if (w->pae)
		mask |= BITS(62, 52);
	if (!(w->mode->efer & EFER_NXE))
		mask |= ENTRY_NX;
	if (w->level > 3 || (w->level == 3 && !cpu_has(FEATURE_PAGE_1G)))
		mask |= ENTRY_PS;
	return w->level > 1 && is_leaf(w, e) ? mask | BITS(12 + 9 * (w->level - 1) - 1, 13) : mask;
}

/* Reads the entry at w->level from `table`. */
static int step(struct walk *w, uint64_t table, uint64_t *entry)
{
	unsigned bits = w->wide ? 9 : 10, n = w->out->levels;
	uint64_t index = w->a >> (12 + (w->level - 1) * bits) & (BIT(bits) - 1);
	gpa_t at = GPA(table + index * (w->wide ? 8 : 4));
	void *p;
	int err;

	if (is_pdpte(w))
		at.v = table + (w->a >> 30 & 3) * 8;
	w->error = 0;
	err = reach(w->g, at, GMEM_READ, &p);
	if (err)
		return err;
	*entry = w->wide ? READ_ONCE(*(uint64_t *)p) : READ_ONCE(*(uint32_t *)p);
	w->at[n] = at;
	w->out->entry[n] = p;
	w->out->value[n] = *entry;
	w->out->levels = n + 1;
	if (!(*entry & ENTRY_P))
		return -EFAULT;
	w->error = PF_PRESENT | PF_RSVD;
	if (*entry & reserved_bits(w, *entry))
		return -EFAULT;
	if (!is_pdpte(w))
		w->rights &= *entry ^ ENTRY_NX;
	return 0;
}

static uint64_t leaf_address(const struct walk *w, uint64_t e)
{
	uint64_t offset = BIT(12 + (w->level - 1) * (w->wide ? 9 : 10)) - 1;

	if (!w->wide && w->level == 2)		/* PSE-36: bits 39:32 of the address are in 20:13 */
		return (e & BITS(31, 22)) | (e & BITS(20, 13)) << 19 | (w->a & offset);
	return (e & ENTRY_ADDRESS & ~offset) | (w->a & offset);
}

/* Writes are forbidden to users, and to supervisors who have asked for it. */
static bool write_protected(const struct walk *w)
{
	return w->by->access & GMEM_WRITE && (w->user || w->mode->cr0 & CR0_WP);
}

/* Does the key of a user's page forbid it? Only in long mode are there keys, only for data. */
static bool key_forbids(const struct walk *w, uint64_t leaf)
{
	uint32_t key;

	if (!(w->mode->cr4 & CR4_PKE) || !w->mode->long_mode || !(w->rights & ENTRY_U) ||
	    w->by->access & GMEM_EXEC)
		return false;
	key = w->by->pkru >> (2 * (leaf >> ENTRY_KEY_SHIFT & 15));
	return key & PKRU_NO_ACCESS || (key & PKRU_NO_WRITE && write_protected(w));
}

/*
 * The table of rights. U, W, NX are the page's: U and W if every level has them, NX if any has.
 *	access	by		is forbidden if
 *   a	any	user		not U
 *   b	fetch	any		NX, with EFER.NXE
 *   c	fetch	supervisor	U, with CR4.SMEP
 *   d	data	supervisor	U, with CR4.SMAP, unless RFLAGS.AC and not implicit
 *   e	data	any		U, with CR4.PKE, and the key says so
 *   f	write	any		not W, but for a supervisor without CR0.WP
 */
static bool allowed(const struct walk *w)
{
	const struct vcpu_mode *m = w->mode;
	bool page_user = w->rights & ENTRY_U;

	if (w->user && !page_user)				/* a */
		return false;
	if (w->by->access & GMEM_EXEC)
		return !(w->wide && (m->efer & EFER_NXE) && !(w->rights & ENTRY_NX)) && /* b */
		       !(!w->user && page_user && (m->cr4 & CR4_SMEP));	/* c */
	if (!w->user && page_user && (m->cr4 & CR4_SMAP) &&
	    (w->by->implicit || !w->by->ac))			/* d */
		return false;
	return (w->rights & ENTRY_W) || !write_protected(w);	/* f */
}

/* Accessed everywhere, dirty in the leaf. -EAGAIN: an entry has changed. */
static int mark(struct walk *w)
{
	struct gwalk *o = w->out;
	int err;

	for (unsigned i = 0; i < o->levels; i++) {
		unsigned above = o->levels - 1 - i;
		bool leaf = !above;
		uint64_t old = o->value[i];
		uint64_t new = old | ENTRY_A | (leaf && (w->by->access & GMEM_WRITE) ? ENTRY_D : 0);
		void *p;

		if (new == old || is_pdpte_at(w, w->level + above))
			continue;
		err = reach(w->g, w->at[i], GMEM_WRITE, &p);
		if (err)
			return err;
		if (!(w->wide ? __sync_bool_compare_and_swap((uint64_t *)p, old, new)
			      : __sync_bool_compare_and_swap((uint32_t *)p, (uint32_t)old,
							     (uint32_t) new)))
			return -EAGAIN;
		o->entry[i] = p;
		o->value[i] = new;
	}
	return 0;
}

/* The table at the top. A PDPTE that the chip holds is as good as CR3: checked when loaded. */
static int begin(struct walk *w, uint64_t *table)
{
	uint64_t cr3 = w->mode->cr3;

	w->rights = ~0ul;
	w->error = 0;
	w->out->levels = 0;
	w->level = w->levels;
	if (w->pae && w->by->has_pdpte) {
		w->level = 2;
		*table = w->by->pdpte & ENTRY_ADDRESS;
		return w->by->pdpte & ENTRY_P ? 0 : -EFAULT;
	}
	*table = cr3 & (w->pae ? BITS(31, 5) : w->wide ? ENTRY_ADDRESS : BITS(31, 12));
	return 0;
}

static int attempt(struct walk *w)
{
	uint64_t table, e;
	int err = begin(w, &table);

	if (err)
		return err;
	for (;; w->level--) {
		err = step(w, table, &e);
		if (err)
			return err;
		if (is_leaf(w, e))
			break;
		table = e & ENTRY_ADDRESS;
	}
	w->error = PF_PRESENT | (key_forbids(w, e) ? PF_PK : 0);
	if (w->error & PF_PK || !allowed(w))			/* e */
		return -EFAULT;
	w->out->gpa = GPA(leaf_address(w, e));
	return mark(w);
}

static void page_fault(const struct walk *w, struct event *fault)
{
	bool fetch = (w->by->access & GMEM_EXEC) &&
		     ((w->wide && (w->mode->efer & EFER_NXE)) || (w->mode->cr4 & CR4_SMEP));

	*fault = (struct event){
		.valid = true,
		.type = EVENT_EXCEPTION,
		.vector = EXC_PF,
		.has_error = true,
		.payload = w->a,
		.error = w->error | (w->by->access & GMEM_WRITE ? PF_WRITE : 0) |
			 (w->user ? PF_USER : 0) | (fetch ? PF_FETCH : 0),
	};
}

int gwalk(struct gmem *g, const struct vcpu_mode *m, const struct gwalk_access *by, gva_t a,
	  struct gwalk *out, struct event *fault)
{
	struct walk w = { .g = g, .mode = m, .a = a.v, .by = by, .out = out,
			  .user = m->cpl == 3 && !by->implicit };
	int err;

	out->gpa = GPA(a.v);
	out->levels = 0;
	out->wide = w.wide = m->cr4 & CR4_PAE;
	if (!(m->cr0 & CR0_PG))
		return 0;
	w.pae = w.wide && !m->long_mode;
	w.levels = m->long_mode ? (m->cr4 & CR4_LA57 ? 5 : 4) : w.pae ? 3 : 2;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		err = attempt(&w);
		if (err == -EFAULT)
			page_fault(&w, fault);
		if (err != -EAGAIN)
			return err;
	}
	/* Another vCPU does nothing but change this entry: the instruction may try again. */
	return -EINTR;
}

int gwalk_vcpu(struct vcpu *vcpu, const struct vcpu_mode *m, gva_t a, unsigned access,
	       struct gwalk *out, struct event *fault)
{
	struct gwalk_access by = { .access = access & ~GWALK_IMPLICIT,
				   .implicit = access & GWALK_IMPLICIT,
				   .ac = vcpu->rflags & RFLAGS_AC };

	if (unlikely(m->cr4 & CR4_PKE))
		by.pkru = hwstate_pkru(&vcpu->hw);
	if (unlikely(vmm_ops->loads_pdptes && !m->long_mode && m->cr4 & CR4_PAE)) {
		by.has_pdpte = true;
		by.pdpte = vmm_ops->reg_get(vcpu, REG_PDPTE0 + (a.v >> 30 & 3));
	}
	return gwalk(&vcpu->vm->gmem, m, &by, a, out, fault);
}
