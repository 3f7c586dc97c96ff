/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes at RIP, fast. A few recently executed pages of 64-bit code are kept with the walk that
 * led to them: the host's addresses of the page-table entries and what they held. A guest may
 * change its tables without an exit, so a hit compares every entry again, which is still a tenth of
 * a walk. Rights are not looked at again: the chip has just executed what is there. Root tables
 * (CR3) come and go, and mostly share all below: a page's first entry is looked up in the root of
 * now, and where it has the same value there, the rest of the walk is the same too. The pointers
 * are gmem_peek's: valid until VCPU_REQ_FLUSH is served (emulate_flush). vCPU thread only.
 */
#pragma once

#include "vmm/insn/gwalk.h"
#include "vmm/vcpu.h"

#define FETCH_PAGES	8
#define FETCH_ROOTS	8
#define FETCH_SHALLOW	3	/* entries of a walk to a large page */

struct fetch_page {
	uint64_t page;				/* linear; 1 when empty */
	uint64_t cr4;				/* other registers are as 64-bit code needs them */
	const uint8_t *host;
	uint16_t top;				/* offset of the first entry in the root */
	bool deep;				/* the last two are in use */
	const uint64_t *entry[GWALK_LEVELS];	/* but the first; unused: where their value is */
	uint64_t value[GWALK_LEVELS];
} aligned(128);

struct fetch_root {
	uint64_t cr3;				/* ~0, which no CR3 can be, when empty */
	const uint8_t *table;
};

struct fetch_cache {
	struct fetch_root root;			/* by which hits go */
	struct fetch_page page[FETCH_PAGES];
	struct fetch_root recent[FETCH_ROOTS];
	struct gmem *gmem;
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

static always_inline uint64_t fetch_root_changed(const struct fetch_cache *c,
						 const struct fetch_page *f)
{
	return READ_ONCE(*(const uint64_t *)(c->root.table + f->top)) ^ f->value[0];
}

/* The host's address of the byte at `linear` of 64-bit code, good to the end of its page; false:
 * not in the cache, or `cr3` was not its root last. */
static always_inline bool fetch_hit(const struct fetch_cache *c, uint64_t cr3, uint64_t cr4,
				    uint64_t linear, const uint8_t **out)
{
	const struct fetch_page *f = &c->page[linear >> PAGE_SHIFT & (FETCH_PAGES - 1)];

	if (unlikely(f->page != (linear & PAGE_MASK) || c->root.cr3 != cr3 || f->cr4 != cr4 ||
		     (fetch_root_changed(c, f) | fetch_changed(f, 1) | fetch_changed(f, 2))))
		return false;
	if (unlikely(f->deep && (fetch_changed(f, 3) | fetch_changed(f, 4))))
		return false;
	*out = f->host + (linear & ~PAGE_MASK);
	return true;
}

/* Are the first `n` (1 to 3) bytes at p those of `opcode`, which has that many? Four bytes may be
 * read. */
static always_inline bool fetch_matches(const uint8_t *p, uint32_t opcode, unsigned n)
{
	uint32_t four, first = opcode >> (8 * (n - 1));

	__builtin_memcpy(&four, p, 4);
	return (four & bytes_mask(n)) == __builtin_bswap32(opcode) >> (32 - 8 * n) && first &&
	       first < 256;
}

/*
 * For back ends, in 64-bit code: are the `n` (1 to 3) bytes of `opcode` at RIP, and is that known
 * without a walk? Without a prefix they are the whole instruction, whose length is n then.
 */
static always_inline bool fetch_is_at_rip(const struct vcpu *vcpu, uint64_t cr3, uint64_t cr4,
					  uint32_t opcode, unsigned n)
{
	const uint8_t *p;

	return likely((vcpu->rip & ~PAGE_MASK) <= PAGE_SIZE - 4 &&
		      fetch_hit(vcpu->fetch, cr3, cr4, vcpu->rip, &p)) &&
	       likely(fetch_matches(p, opcode, n));
}

/* Where there was no hit: had CR3 changed, so that there may be one now? */
bool fetch_root_turned(struct fetch_cache *c, uint64_t cr3);

/* As fetch_hit from any root, walking if need be. 0; -EFAULT with *fault; -EINTR; -ENOMEM; -ENODEV
 * when there is no RAM. */
int fetch_page(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear, const uint8_t **out,
	       struct event *fault) must_check;
/* Walks in any case: for a page from which the chip has not just executed. */
int fetch_page_checked(struct vcpu *vcpu, const struct vcpu_mode *m, uint64_t linear,
		       const uint8_t **out, struct event *fault) must_check;
void fetch_init(struct fetch_cache *c, struct gmem *g);	/* then fetch_flush() */
void fetch_flush(struct fetch_cache *c);
