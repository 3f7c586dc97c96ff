/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks the guest's own page tables as the chip would: none, 32-bit (with PSE), PAE, 4 levels, 5
 * levels. What must be 0 in an entry, and who may do what, are two tables in gwalk.c. Rights are
 * judged at the end, then accessed and dirty bits are set by compare-and-swap in the guest's
 * tables, if the access is allowed; if another vCPU was quicker the walk begins again. The entries
 * it read are handed out, so that a caller may later see by comparing whether the walk would still
 * come out the same. vCPU thread.
 * Sources: Intel SDM 3, "Paging"; AMD64 APM 2, "Page Translation and Protection", "Nested Paging"
 * (where the guest's PDPTEs are read at each walk).
 */
#pragma once

#include "vmm/event.h"
#include "vmm/gmem/gmem.h"
#include "vmm/regs.h"

#define GWALK_LEVELS	5

struct gwalk {
	gpa_t gpa;
	unsigned levels;			/* entries read; 0 without paging */
	bool wide;				/* they have 8 bytes, else 4 */
	const uint64_t *entry[GWALK_LEVELS];	/* as of gmem_peek */
	uint64_t value[GWALK_LEVELS];		/* what they hold after the walk */
};

/* What decides beside the paging mode. */
struct gwalk_access {
	unsigned access;	/* GMEM_READ, GMEM_WRITE (which implies read) or GMEM_EXEC */
	bool ac;		/* RFLAGS.AC */
	bool implicit;		/* the chip's own, to a descriptor or TSS: a supervisor's at any
				 * privilege */
	bool has_pdpte;		/* PAE: this is the entry that the chip has loaded; else it is
				 * read from memory */
	uint64_t pdpte;
	uint32_t pkru;
};

/*
 * The privilege is mode->cpl. 0; -EFAULT with the #PF in *fault; -EINTR; -ENOMEM. The linear
 * address is canonical.
 */
int gwalk(struct gmem *g, const struct vcpu_mode *mode, const struct gwalk_access *by, gva_t a,
	  struct gwalk *out, struct event *fault) must_check;
#define GWALK_IMPLICIT	128u	/* beside `access`: as in struct gwalk_access */

/* As this vCPU's instructions would access it now. */
int gwalk_vcpu(struct vcpu *vcpu, const struct vcpu_mode *mode, gva_t a, unsigned access,
	       struct gwalk *out, struct event *fault) must_check;
