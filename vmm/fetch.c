/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/fetch.h"

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
}

static void remember(struct fetch_page *f, const struct vcpu_mode *m, uint64_t linear,
		     const uint8_t *host, const struct gwalk *w)
{
	forget(f);
	/* Other modes are not worth a case of their own. */
	if (m->bits != 64)
		return;
	f->page = linear & PAGE_MASK;
	f->cr3 = m->cr3;
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

	*out = m->bits == 64 ? fetch_hit(c, m->cr3, m->cr4, linear) : NULL;
	if (*out)
		return 0;
	err = walk(vcpu, m, linear, out, &w, fault);
	if (err)
		return err;
	remember(&c->page[linear >> PAGE_SHIFT & (FETCH_PAGES - 1)], m, linear, *out, &w);
	return 0;
}
