/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes at RIP, fast. A few recently executed pages are kept with the walk that led to them: the host's addresses of the page-table
 * entries and what they held. A guest may change its tables without an exit, so a hit compares every entry again, which is still a
 * tenth of a walk. The pointers are gmem_peek's: valid until VCPU_REQ_FLUSH is served (emulate_flush).
 * vCPU thread only.
 */
#pragma once

#include "vmm/gwalk.h"
#include "vmm/vcpu.h"

#define FETCH_PAGES	8

struct fetch_page {
	uint64_t page;				/* linear; 1 when empty */
	uint64_t cr0, cr3, cr4, efer, cpl;
	const uint8_t *host;
	const uint64_t *entry[GWALK_LEVELS];	/* unused ones point to their own value */
	uint64_t value[GWALK_LEVELS];
};

struct fetch_cache {
	struct fetch_page page[FETCH_PAGES];
};

/* Linear address of the instruction. */
static inline uint64_t fetch_linear(const struct vcpu *vcpu, const struct vcpu_mode *m)
{
	return m->bits == 64 ? vcpu->rip : (uint32_t)(m->cs_base + (m->bits == 16 ? (uint16_t)vcpu->rip : vcpu->rip));
}

/* The host's address of the byte at `linear`, good to the end of its page; NULL: not in the cache. One branch on purpose. */
static always_inline const uint8_t *fetch_hit(struct fetch_cache *c, const struct vcpu_mode *m, uint64_t linear)
{
	const struct fetch_page *f = &c->page[linear >> PAGE_SHIFT & (FETCH_PAGES - 1)];
	uint64_t differs = (f->page ^ (linear & PAGE_MASK)) | (f->cr3 ^ m->cr3) | (f->cr0 ^ m->cr0) |
			   (f->cr4 ^ m->cr4) | (f->efer ^ m->efer) | (f->cpl ^ m->cpl) |
			   (READ_ONCE(*f->entry[0]) ^ f->value[0]) | (READ_ONCE(*f->entry[1]) ^ f->value[1]) |
			   (READ_ONCE(*f->entry[2]) ^ f->value[2]) | (READ_ONCE(*f->entry[3]) ^ f->value[3]) |
			   (READ_ONCE(*f->entry[4]) ^ f->value[4]);

	return likely(!differs) ? f->host + (linear & ~PAGE_MASK) : NULL;
}

/* As fetch_hit, walking if need be. 0; -EFAULT with *fault; -EINTR; -ENOMEM; -ENODEV when there is no RAM. */
int fetch_page(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear, const uint8_t **out,
	       struct event *fault) must_check;
void fetch_flush(struct fetch_cache *c);
