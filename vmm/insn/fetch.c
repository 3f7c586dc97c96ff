/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fetch cache; see vmm/insn/fetch.h. A hit is decided by comparing page-table entries, never by
 * being told: guests change their tables without an exit. An unused level points to its own value,
 * so that the comparison has no branches. The vCPU's thread, no locks.
 */
#include "vmm/insn/fetch.h"

#include "cpu/registers.h"
#include "include/bits.h"
#include "include/errno.h"
#include "vmm/vm.h"

static void forget(struct fetch_page *f)
{
	*f = (struct fetch_page){ .page = 1 };
	for (unsigned i = 0; i < GWALK_LEVELS; i++)
		f->entry[i] = &f->value[i];
}

void fetch_flush(struct fetch_cache *c)
{
	for (unsigned i = 0; i < FETCH_PAGES; i++)
		forget(&c->page[i]);
	for (unsigned i = 0; i < FETCH_ROOTS; i++)
		c->recent[i] = (struct fetch_root){ .cr3 = ~0ul };
	c->root = c->recent[0];
}

void fetch_init(struct fetch_cache *c, struct gmem *g)
{
	c->gmem = g;
}

/* Hits go by this root from now on, if it is in memory. */
static bool root_is(struct fetch_cache *c, uint64_t cr3)
{
	struct fetch_root *r = &c->recent[cr3 >> PAGE_SHIFT & (FETCH_ROOTS - 1)];

	if (unlikely(r->cr3 != cr3)) {
		r->table = gmem_peek(c->gmem, GPA(cr3 & BITS(51, 12)), GMEM_READ);
		r->cr3 = r->table ? cr3 : ~0ul;
	}
	c->root = *r;
	return r->table;
}

bool fetch_root_turned(struct fetch_cache *c, uint64_t cr3)
{
	return c->root.cr3 != cr3 && root_is(c, cr3);
}

static void remember(struct fetch_cache *c, const struct vcpu_mode *m, uint64_t linear,
		     const uint8_t *host, const struct gwalk *w)
{
	struct fetch_page *f = &c->page[linear >> PAGE_SHIFT & (FETCH_PAGES - 1)];

	forget(f);
	/* Other modes are not worth a case of their own; one without paging has no root. */
	if (m->bits != 64 || !w->levels || !root_is(c, m->cr3))
		return;
	f->page = linear & PAGE_MASK;
	f->top = (uintptr_t)w->entry[0] & ~PAGE_MASK;
	f->cr4 = m->cr4;
	f->deep = w->levels > FETCH_SHALLOW;
	f->host = (const uint8_t *)((uintptr_t)host & PAGE_MASK);
	for (unsigned i = 0; i < w->levels; i++) {
		f->entry[i] = w->entry[i];
		f->value[i] = w->value[i];
	}
}

/* Walks. *w need not be looked at when this fails. */
static int walk(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear, const uint8_t **out,
		struct gwalk *w, struct event *fault)
{
	struct gmem *g = &vcpu->vm->gmem;
	int err = gwalk_vcpu(vcpu, m, GVA(linear), GMEM_EXEC, w, fault);

	if (err)
		return err;
	*out = gmem_peek(g, w->gpa, GMEM_READ);
	if (!*out) {
		err = gmem_fault(g, w->gpa, GMEM_READ);
		if (err)
			return err == -ENOENT ? -ENODEV : err;
		*out = gmem_peek(g, w->gpa, GMEM_READ);
	}
	return *out ? 0 : -EINTR;
}

int fetch_page_checked(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear,
		       const uint8_t **out, struct event *fault)
{
	struct gwalk w;

	return walk(vcpu, m, linear, out, &w, fault);
}

int fetch_page(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear, const uint8_t **out,
	       struct event *fault)
{
	struct fetch_cache *c = vcpu->fetch;
	struct gwalk w;
	int err;

	if (m->bits == 64 && root_is(c, m->cr3) && fetch_hit(c, m->cr3, m->cr4, linear, out))
		return 0;
	err = walk(vcpu, m, linear, out, &w, fault);
	if (err)
		return err;
	remember(c, m, linear, *out, &w);
	return 0;
}
