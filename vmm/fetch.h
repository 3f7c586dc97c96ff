/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes at RIP, fast. A few recently executed pages of 64-bit code are kept with the walk that
 * led to them: the host's addresses of the page-table entries and what they held. A guest may
 * change its tables without an exit, so a hit compares every entry again, which is still a tenth of
 * a walk. Rights are not looked at again: the chip has just executed what is there. The pointers
 * are gmem_peek's: valid until VCPU_REQ_FLUSH is served (emulate_flush). vCPU thread only.
 */
#pragma once

#include "vmm/gwalk.h"
#include "vmm/vcpu.h"

#define FETCH_PAGES	8
#define FETCH_SHALLOW	3	/* entries of a walk to a large page */

struct fetch_page {
	uint64_t page;				/* linear; 1 when empty */
	uint64_t cr3, cr4;			/* other registers are as 64-bit code needs them */
	const uint8_t *host;
	const uint64_t *entry[GWALK_LEVELS];	/* unused ones point to their own value */
	uint64_t value[GWALK_LEVELS];
	bool deep;				/* the last two are in use */
} aligned(128);

struct fetch_cache {
	struct fetch_page page[FETCH_PAGES];
};

/* Linear address of the instruction. */
static inline uint64_t fetch_linear(const struct vcpu *vcpu, const struct vcpu_mode *m)
{
	return likely(m->bits == 64) ? vcpu->rip :
	       (uint32_t)(m->cs_base + (m->bits == 16 ? (uint16_t)vcpu->rip : vcpu->rip));
}

static always_inline uint64_t fetch_changed(const struct fetch_page *f, unsigned i)
{
	return READ_ONCE(*f->entry[i]) ^ f->value[i];
}

/* The host's address of the byte at `linear` of 64-bit code, good to the end of its page; NULL: not
 * in the cache. */
static always_inline const uint8_t *fetch_hit(const struct fetch_cache *c, uint64_t cr3,
					      uint64_t cr4, uint64_t linear)
{
	const struct fetch_page *f = &c->page[linear >> PAGE_SHIFT & (FETCH_PAGES - 1)];

	if (unlikely(f->page != (linear & PAGE_MASK) || f->cr3 != cr3 || f->cr4 != cr4 ||
		     (fetch_changed(f, 0) | fetch_changed(f, 1) | fetch_changed(f, 2))))
		return NULL;
	if (unlikely(f->deep && (fetch_changed(f, 3) | fetch_changed(f, 4))))
		return NULL;
	return f->host + (linear & ~PAGE_MASK);
}

/* Are the first `n` (1 to 3) bytes at p those of `opcode`, which has that many? Four bytes may be
 * read. */
static always_inline bool fetch_matches(const uint8_t *p, uint32_t opcode, unsigned n)
{
	uint32_t four;

	__builtin_memcpy(&four, p, 4);
	return __builtin_bswap32(four) >> (32 - 8 * n) == opcode && opcode >> (8 * (n - 1));
}

/*
 * For back ends, in 64-bit code: are the `n` (1 to 3) bytes of `opcode` at RIP, and is that known
 * without a walk? Without a prefix they are the whole instruction, whose length is n then.
 */
static always_inline bool fetch_is_at_rip(const struct vcpu *vcpu, uint64_t cr3, uint64_t cr4,
					  uint32_t opcode, unsigned n)
{
	const uint8_t *p = fetch_hit(vcpu->fetch, cr3, cr4, vcpu->rip);

	return likely(p && (vcpu->rip & ~PAGE_MASK) <= PAGE_SIZE - 4) &&
	       likely(fetch_matches(p, opcode, n));
}

/* As fetch_hit, walking if need be. 0; -EFAULT with *fault; -EINTR; -ENOMEM; -ENODEV when there is
 * no RAM. */
int fetch_page(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear, const uint8_t **out,
	       struct event *fault) must_check;
/* Walks in any case: for a page from which the chip has not just executed. */
int fetch_page_checked(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear,
		       const uint8_t **out, struct event *fault) must_check;
void fetch_flush(struct fetch_cache *c);
