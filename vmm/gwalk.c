/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/gwalk.h"

#include "cpu/registers.h"
#include "include/bits.h"
#include "include/errno.h"

#define ENTRY_P		BIT(0)
#define ENTRY_W		BIT(1)
#define ENTRY_U		BIT(2)
#define ENTRY_A		BIT(5)
#define ENTRY_D		BIT(6)
#define ENTRY_PS	BIT(7)
#define ENTRY_NX	BIT(63)
#define ATTEMPTS	16
#define ENTRY_ADDRESS	BITS(51, 12)

/* One walk under way. */
struct walk {
	struct gmem *g;
	const struct vcpu_mode *mode;
	uint64_t a;
	unsigned access, levels, level;
	bool ac, wide, pae;
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
static bool is_pdpte(const struct walk *w)
{
	return w->pae && w->level == 3;
}

static bool is_leaf(const struct walk *w, uint64_t e)
{
	if (w->level == 1)
		return true;
	if (!(e & ENTRY_PS) || is_pdpte(w))
		return false;
	return w->wide ? w->level <= 3 : w->mode->cr4 & CR4_PSE;
}

static uint64_t reserved_bits(const struct walk *w, uint64_t e)
{
	uint64_t high = ENTRY_ADDRESS & ~(BIT(w->g->config.gpa_bits) - 1);
	uint64_t mask;

	if (!w->wide)
		return w->level == 2 && is_leaf(w, e) ? BIT(21) : 0;
	/* These were checked when CR3 was loaded; chips that read them at each walk set accessed
	 * bits where Intel's reserve them. */
	if (is_pdpte(w))
		return high;
	mask = high | (w->mode->efer & EFER_NXE ? 0 : ENTRY_NX);
	if (w->pae)
		mask |= BITS(62, 52);
	if (w->level > 3)
		return mask | ENTRY_PS;
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

static bool allowed(const struct walk *w)
{
	const struct vcpu_mode *m = w->mode;
	bool user = m->cpl == 3, page_user = w->rights & ENTRY_U;

	if (user && !page_user)
		return false;
	if (w->access & GMEM_EXEC)
		return !(w->wide && (m->efer & EFER_NXE) && !(w->rights & ENTRY_NX)) &&
		       !(!user && page_user && (m->cr4 & CR4_SMEP));
	if (!user && page_user && (m->cr4 & CR4_SMAP) && !w->ac)
		return false;
	return !(w->access & GMEM_WRITE) || (w->rights & ENTRY_W) || (!user && !(m->cr0 & CR0_WP));
}

/* Accessed everywhere, dirty in the leaf. -EAGAIN: an entry has changed. */
static int mark(struct walk *w)
{
	struct gwalk *o = w->out;
	int err;

	for (unsigned i = 0; i < o->levels; i++) {
		bool leaf = i + 1 == o->levels;
		uint64_t old = o->value[i];
		uint64_t new = old | ENTRY_A | (leaf && (w->access & GMEM_WRITE) ? ENTRY_D : 0);
		void *p;

		if (new == old || (w->pae && i == 0))
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

static int attempt(struct walk *w)
{
	uint64_t table = w->mode->cr3 & (w->pae	   ? BITS(31, 5)
					 : w->wide ? ENTRY_ADDRESS
						   : BITS(31, 12)),
		 e;
	int err;

	w->rights = ~0ul;
	w->out->levels = 0;
	for (w->level = w->levels;; w->level--) {
		err = step(w, table, &e);
		if (err)
			return err;
		if (is_leaf(w, e))
			break;
		table = e & ENTRY_ADDRESS;
	}
	w->error = PF_PRESENT;
	if (!allowed(w))
		return -EFAULT;
	w->out->gpa = GPA(leaf_address(w, e));
	return mark(w);
}

static void page_fault(const struct walk *w, struct event *fault)
{
	bool fetch = (w->access & GMEM_EXEC) &&
		     ((w->wide && (w->mode->efer & EFER_NXE)) || (w->mode->cr4 & CR4_SMEP));

	*fault = (struct event){
		.valid = true,
		.type = EVENT_EXCEPTION,
		.vector = EXC_PF,
		.has_error = true,
		.payload = w->a,
		.error = w->error | (w->access & GMEM_WRITE ? PF_WRITE : 0) |
			 (w->mode->cpl == 3 ? PF_USER : 0) | (fetch ? PF_FETCH : 0),
	};
}

int gwalk(struct gmem *g, const struct vcpu_mode *m, bool ac, gva_t a, unsigned access,
	  struct gwalk *out, struct event *fault)
{
	struct walk w = { .g = g, .mode = m, .a = a.v, .access = access, .ac = ac, .out = out };
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
