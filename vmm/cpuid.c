/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUID policy; see cpuid.h. A bit is shown when the host has it and the allow-list names it,
 * or when Keel itself provides it, unless the VM's CPU model takes it away. What CR4, EFER and
 * XCR0 may hold follows from what is shown. Leaves without a row do not exist: zeros on AMD, the
 * last basic leaf's values on Intel, as the chips do.
 * Sources: Intel SDM 2, "CPUID"; AMD64 APM 3, "CPUID"; KVM's paravirtual leaves as Linux documents
 * them ("KVM CPUID bits").
 */
#include "vmm/cpuid.h"

#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/fpu.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/record.h"
#include "lib/string.h"
#include "vmm/pvclock.h"
#include "vmm/vm.h"

#define LEAF_KVM	0x40000000u
#define LEAF_KVM_LAST	0x40000001u
#define LEAF_KEEL	0x40000200u
#define LEAF_EXTENDED	0x80000000u

#define B(n)	(1u << (n))

#define L1_OSXSAVE	B(27)
#define L1_APIC		B(9)
#define L7_PKU		B(3)
#define L7_OSPKE	B(4)
#define XSAVE_ALIGNED	B(1)	/* the component begins at a multiple of 64 in the compacted form */
#define XSAVE_C		B(1)

/* AMD's 80000001 EDX repeats these of leaf 1. */
#define E1_REPEATED	0x0183f3ffu

/* Every CPU with SVM or VMX has these. */
#define CR4_ALWAYS (CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
		    CR4_OSFXSR | CR4_OSXMMEXCPT)

static struct cpuid_policy host;	/* constant after cpuid_init() */

static unsigned of_socket(const struct cpu_topology *t)
{
	return t->cores * t->threads;
}

/* What guests have of each register of features: of the host's bits, and of Keel's own. */
static uint32_t of_host_mask[CPU_WORD_COUNT], own_bits[CPU_WORD_COUNT];

static void sum_up_features(void)
{
	const struct cpu_feature *f;

	for (unsigned i = 0; (f = cpu_model_feature(i)); i++) {
		if (f->policy == CPU_OWN)
			own_bits[f->id / 32] |= B(f->id % 32);
		else if (f->policy == CPU_HOST || f->policy == CPU_FIXED)
			of_host_mask[f->id / 32] |= B(f->id % 32);
	}
}

static uint32_t offered(enum cpu_word_id word, uint32_t of_host)
{
	return (of_host & of_host_mask[word]) | own_bits[word];
}

/*
 * ---- what each leaf says: of the host's `r`, subleaf `n`; false: it is not there ----
 */

static bool highest(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		    struct cpuid_row *row)
{
	(void)t;
	(void)n;
	row->regs.eax = row->leaf ? p->max_extended : p->max_basic;
	return true;
}

static bool features_basic(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
			   struct cpuid_row *row)
{
	struct cpuid_regs *r = &row->regs;
	unsigned together = of_socket(t);

	(void)p;
	(void)n;
	r->ebx = (r->ebx & 0xff00) | MIN(together, 255u) << 16;
	r->ecx = offered(CPU_L1C, r->ecx);
	r->edx = offered(CPU_L1D, r->edx) | (together > 1 ? B(CPU_HT % 32) : 0);
	return true;
}

static bool of_intel(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		     struct cpuid_row *row)
{
	(void)t;
	(void)n;
	(void)row;
	return p->vendor == VENDOR_INTEL;
}

/*
 * Cache parameters as the host has them: the last level is shared by a socket, the others by a
 * core. Numbers of vCPUs are told as those of ids that there could be.
 */
#define LAST_LEVEL	3u

static bool caches(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		   struct cpuid_row *row)
{
	uint32_t cores = (1u << cpu_topology_bits(t->cores)) - 1;
	struct cpuid_regs *r = &row->regs;
	unsigned shared;

	(void)n;
	if (p->vendor != VENDOR_INTEL || !(r->eax & 31))
		return false;
	shared = FIELD(r->eax, 7, 5) < LAST_LEVEL ? cpu_topology_thread_bits(t)
						  : cpu_topology_socket_bits(t);
	r->eax = (r->eax & 0x3fff) | ((1u << shared) - 1) << 14 | MIN(cores, 63u) << 26;
	return true;
}

/* ARAT: the local timer never stops. */
static bool power(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		  struct cpuid_row *row)
{
	(void)p;
	(void)t;
	(void)n;
	row->regs = (struct cpuid_regs){ .eax = offered(CPU_L6A, 0) };
	return true;
}

static bool structured(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		       struct cpuid_row *row)
{
	struct cpuid_regs *r = &row->regs;

	(void)p;
	(void)t;
	(void)n;
	*r = (struct cpuid_regs){ 0, offered(CPU_L7B, r->ebx), offered(CPU_L7C, r->ecx),
				  offered(CPU_L7D, r->edx) };
	return true;
}

static bool topology(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		     struct cpuid_row *row)
{
	const struct cpuid_regs says[] = {
		{ cpu_topology_thread_bits(t), t->threads, 0x100, 0 },
		{ cpu_topology_socket_bits(t), of_socket(t), 0x201, 0 },
		{ .ecx = 2 },
	};

	(void)p;
	row->regs = says[n];
	return true;
}

/* Extended state: sizes are the host's, for the components that are offered. */
static const uint8_t xsave_subleaves[] = { 0, 1, 2, 5, 6, 7, 9 };

static uint32_t xsave_size(const struct cpuid_policy *p, uint64_t xcr0, bool compacted);

static bool xsave(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		  struct cpuid_row *row)
{
	struct cpuid_regs *r = &row->regs;

	(void)t;
	row->subleaf = xsave_subleaves[n];
	*r = cpu_cpuid(0xd, row->subleaf);
	switch (row->subleaf) {
	case 0:			/* size: when the components are there */
		*r = (struct cpuid_regs){ .eax = (uint32_t)p->xcr0_allowed,
					  .edx = p->xcr0_allowed >> 32 };
		return p->xcr0_allowed;
	case 1:
		if (errata_has(ERRATUM_XSAVEC_MISPLACES))
			r->eax &= ~XSAVE_C;
		*r = (struct cpuid_regs){ .eax = offered(CPU_LDA, r->eax) };
		return p->xcr0_allowed;
	default:
		r->ecx &= XSAVE_ALIGNED;
		r->edx = 0;
		return p->xcr0_allowed & BIT(row->subleaf);
	}
}

static bool features_extended(const struct cpuid_policy *p, const struct cpu_topology *t,
			      unsigned n, struct cpuid_row *row)
{
	struct cpuid_regs *r = &row->regs;
	bool legacy = of_socket(t) > 1 && p->vendor == VENDOR_AMD;

	(void)n;
	r->ecx = offered(CPU_E1C, r->ecx) | (legacy ? B(CPU_CMP_LEGACY % 32) : 0);
	r->edx = offered(CPU_E1D, r->edx) | (r->edx & E1_REPEATED);
	return true;
}

static bool as_the_host(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
			struct cpuid_row *row)
{
	(void)p;
	(void)t;
	(void)n;
	return row->leaf <= cpu_cpuid(LEAF_EXTENDED, 0).eax;
}

static bool power_extended(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
			   struct cpuid_row *row)
{
	uint32_t edx = as_the_host(p, t, n, row) ? row->regs.edx : 0;

	row->regs = (struct cpuid_regs){ .edx = offered(CPU_E7D, edx) };
	return true;
}

static bool sizes(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		  struct cpuid_row *row)
{
	(void)n;
	row->regs = (struct cpuid_regs){
		.eax = p->phys_bits | (uint32_t)p->linear_bits << 8,
		.ecx = cpu_topology_socket_bits(t) << 12 | (of_socket(t) - 1),
	};
	return true;
}

static bool hypervisor(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		       struct cpuid_row *row)
{
	(void)p;
	(void)t;
	(void)n;
	row->regs = row->leaf == LEAF_KVM ?
			    (struct cpuid_regs){ LEAF_KVM_LAST, 0x4b4d564b, 0x564b4d56, 0x4d } :
		    row->leaf == LEAF_KVM_LAST ?
			    (struct cpuid_regs){ .eax = PVCLOCK_FEATURES } :
			    (struct cpuid_regs){ LEAF_KEEL, 0x6c65654b, 0x6c65654b, 0x6c65654b };
	return true;
}

/* Leaf, how many rows it has at most, whether they are subleaves, what they say. */
#define LEAVES(row)								\
	row(0, 1, false, highest)						\
	row(1, 1, false, features_basic)					\
	row(2, 1, false, of_intel)						\
	row(4, 5, true, caches)							\
	row(6, 1, false, power)							\
	row(7, 1, true, structured)						\
	row(0xb, 3, true, topology)						\
	row(0xd, ARRAY_COUNT(xsave_subleaves), true, xsave)			\
	row(LEAF_EXTENDED, 1, false, highest)					\
	row(LEAF_EXTENDED + 1, 1, false, features_extended)			\
	row(LEAF_EXTENDED + 2, 1, false, as_the_host)				\
	row(LEAF_EXTENDED + 3, 1, false, as_the_host)				\
	row(LEAF_EXTENDED + 4, 1, false, as_the_host)				\
	row(LEAF_EXTENDED + 5, 1, false, as_the_host)				\
	row(LEAF_EXTENDED + 6, 1, false, as_the_host)				\
	row(LEAF_EXTENDED + 7, 1, false, power_extended)			\
	row(LEAF_EXTENDED + 8, 1, false, sizes)					\
	row(LEAF_KVM, 1, false, hypervisor)					\
	row(LEAF_KVM_LAST, 1, false, hypervisor)				\
	row(LEAF_KEEL, 1, false, hypervisor)

#define LEAF(leaf, rows, indexed, fill)		{ fill, leaf, rows, indexed },
#define PLUS_ROWS(leaf, rows, indexed, fill)	+ (rows)

static const struct {
	bool (*fill)(const struct cpuid_policy *p, const struct cpu_topology *t, unsigned n,
		     struct cpuid_row *row);
	uint32_t leaf;
	uint8_t rows;
	bool indexed;
} leaves[] = { LEAVES(LEAF) };

_Static_assert(0 LEAVES(PLUS_ROWS) <= CPUID_ROW_MAX, "struct cpuid_policy");

static void add(struct cpuid_policy *p, uint32_t leaf)
{
	if (leaf < ARRAY_COUNT(p->index_basic) && p->index_basic[leaf] == 0xff)
		p->index_basic[leaf] = (uint8_t)p->count;
	leaf -= LEAF_EXTENDED;
	if (leaf < ARRAY_COUNT(p->index_extended) && p->index_extended[leaf] == 0xff)
		p->index_extended[leaf] = (uint8_t)p->count;
	p->count++;
}

static void add_all(struct cpuid_policy *p, const struct cpu_topology *t)
{
	for (unsigned i = 0; i < ARRAY_COUNT(leaves); i++) {
		for (unsigned n = 0; n < leaves[i].rows; n++) {
			struct cpuid_row *row = &p->row[p->count];

			*row = (struct cpuid_row){ leaves[i].leaf, n, leaves[i].indexed,
						   cpu_cpuid(leaves[i].leaf, n) };
			if (leaves[i].fill(p, t, n, row))
				add(p, row->leaf);
		}
	}
}

static const struct cpuid_row *find(const struct cpuid_policy *p, uint32_t leaf, uint32_t subleaf);

bool cpuid_has(const struct cpuid_policy *p, unsigned id)
{
	const struct cpu_word *w = &cpu_words[id / 32];
	const struct cpuid_row *row = find(p, w->leaf, w->subleaf);

	return row && (&row->regs.eax)[w->reg] & B(id % 32);
}

/* Extended state comes first: the sizes of its leaves follow from it. What has none goes too. */
static uint64_t state_of(struct cpu_model *m)
{
	static const struct {
		uint16_t id;
		uint64_t state;
	} rows[] = {
		{ CPU_XSAVE, ~0ul }, { CPU_AVX, XCR0_AVX | XCR0_AVX512 },
		{ CPU_AVX512F, XCR0_AVX512 }, { CPU_PKU, XCR0_PKRU },
	};
	uint64_t x = fpu_xcr0_offered();

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		if (cpu_model_lacks(m, rows[i].id))
			x &= ~rows[i].state;
		else if (!(x & rows[i].state) || (rows[i].id == CPU_AVX512F &&
						  (x & XCR0_AVX512) != XCR0_AVX512))
			cpu_model_drop(m, rows[i].id);
	}
	return x;
}

static void take_away(struct cpuid_policy *p, const struct cpu_model *m)
{
	for (unsigned i = 0; i < CPU_FEATURE_MAX; i++) {
		const struct cpu_feature *f;
		const struct cpu_word *w;

		if (!cpu_model_is_off(m, i))
			continue;
		f = cpu_model_feature(i);
		w = &cpu_words[f->id / 32];
		for (unsigned k = 0; k < p->count; k++)
			if (p->row[k].leaf == w->leaf && p->row[k].subleaf == w->subleaf)
				(&p->row[k].regs.eax)[w->reg] &= ~B(f->id % 32);
	}
}

static uint64_t cr4_of(const struct cpuid_policy *p)
{
	static const struct {
		uint16_t id;
		uint64_t cr4;
	} rows[] = {
		{ CPU_VME, CR4_VME | CR4_PVI }, { CPU_UMIP, CR4_UMIP },
		{ CPU_FSGSBASE, CR4_FSGSBASE }, { CPU_PCID, CR4_PCIDE },
		{ CPU_XSAVE, CR4_OSXSAVE }, { CPU_SMEP, CR4_SMEP }, { CPU_SMAP, CR4_SMAP },
		{ CPU_PKU, CR4_PKE },
	};
	uint64_t allowed = CR4_ALWAYS;

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		if (cpuid_has(p, rows[i].id))
			allowed |= rows[i].cr4;
	return allowed;
}

/* What else follows from the bits that are shown. */
static void derive(struct cpuid_policy *p)
{
	p->cr4_allowed = cr4_of(p);
	p->cr4_withheld = host.cr4_allowed & ~p->cr4_allowed;
	p->efer_allowed = EFER_SCE | EFER_LME | EFER_LMA |
			  (cpuid_has(p, CPU_NX) ? EFER_NXE : 0);
	p->x2apic = cpuid_has(p, CPU_X2APIC);
	p->tsc_deadline = cpuid_has(p, CPU_TSC_DEADLINE);
	p->tsc_adjust = cpuid_has(p, CPU_TSC_ADJUST);
}

/* Does the answer depend on the leaf alone? */
static bool is_constant(const struct cpuid_row *row)
{
	return !row->indexed && row->leaf != 1;		/* see follow() */
}

static void find_constants(struct cpuid_policy *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct cpuid_row *row = &p->row[i];

		if (!is_constant(row))
			continue;
		if (row->leaf < CPUID_BASIC)
			p->constant[row->leaf] = &row->regs;
		else if (row->leaf - LEAF_EXTENDED < CPUID_EXTENDED)
			p->constant[row->leaf - LEAF_EXTENDED + CPUID_BASIC] = &row->regs;
	}
}

void cpuid_policy_build(struct cpuid_policy *p, const struct cpu_topology *t,
			const struct cpu_model *model)
{
	struct cpu_model m = *model;
	struct cpuid_row *xsave;

	memset(p, 0, sizeof(*p));
	memset(p->index_basic, 0xff, sizeof(p->index_basic));
	memset(p->index_extended, 0xff, sizeof(p->index_extended));
	p->vendor = features.vendor;
	p->xcr0_allowed = state_of(&m);
	p->phys_bits = (uint8_t)MIN(features.physical_bits, 48);
	p->linear_bits = 48;
	p->max_basic = MIN(MAX(cpu_cpuid(0, 0).eax, 0xbu), 0xdu);
	p->max_extended = LEAF_EXTENDED + 8;
	add_all(p, t);
	take_away(p, &m);
	xsave = (struct cpuid_row *)find(p, 0xd, 0);
	if (xsave)
		xsave->regs.ebx = xsave->regs.ecx = xsave_size(p, p->xcr0_allowed, false);
	derive(p);
	find_constants(p);
}

void cpuid_init(void)
{
	static const struct cpu_model whole;

	sum_up_features();
	cpuid_policy_build(&host, &(struct cpu_topology){ 1, 1, 1 }, &whole);
}

bool cpuid_offers(unsigned feature)
{
	const struct cpu_feature *f = cpu_model_feature(feature);

	return f && cpuid_has(&host, f->id);
}

int cpuid_model_check(const struct cpu_model *m, char *why, size_t size)
{
	const struct cpu_feature *f;
	size_t n = 0;

	for (unsigned i = 0; (f = cpu_model_feature(i)) && n < size; i++)
		if (cpu_model_is_on(m, i) && !cpuid_has(&host, f->id))
			n += (size_t)format(why + n, size - n, "%s%s",
					    n ? ", " : "not to be had on this host: ", f->name);
	return n ? -EINVAL : 0;
}

void cpuid_model_format(const struct cpu_model *m, char *buf, size_t size)
{
	const struct cpu_feature *f;
	size_t n = (size_t)format(buf, size, "host");

	for (unsigned i = 0; (f = cpu_model_feature(i)) && n < size; i++)
		if (cpu_model_is_on(m, i) || (cpu_model_is_off(m, i) && cpuid_has(&host, f->id)))
			n += (size_t)format(buf + n, size - n, ", %c%s",
					    cpu_model_is_on(m, i) ? '+' : '-', f->name);
}

static const struct cpuid_row *find(const struct cpuid_policy *p, uint32_t leaf, uint32_t subleaf)
{
	unsigned i;

	if (leaf < ARRAY_COUNT(p->index_basic))
		i = p->index_basic[leaf];
	else if (leaf - LEAF_EXTENDED < ARRAY_COUNT(p->index_extended))
		i = p->index_extended[leaf - LEAF_EXTENDED];
	else
		for (i = p->count; i-- > 0 && p->row[i].leaf >> 16 == LEAF_KVM >> 16;)
			if (p->row[i].leaf == leaf)
				return &p->row[i];
	for (; i < p->count && p->row[i].leaf == leaf; i++)
		if (!p->row[i].indexed || p->row[i].subleaf == subleaf)
			return &p->row[i];
	return NULL;
}

/*
 * What the XSAVE area takes with the components now enabled, in the standard form or the
 * compacted one.
 */
static uint32_t xsave_size(const struct cpuid_policy *p, uint64_t xcr0, bool compacted)
{
	uint32_t size = 576;

	for (unsigned i = 2; i < 63; i++) {
		const struct cpuid_row *row = xcr0 & BIT(i) ? find(p, 0xd, i) : NULL;

		if (!row)
			continue;
		if (compacted)
			size = (row->regs.ecx & XSAVE_ALIGNED ? ALIGN_UP(size, 64u) : size) +
			       row->regs.eax;
		else
			size = MAX(size, row->regs.eax + row->regs.ebx);
	}
	return size;
}

/* Bits that follow the vCPU's registers. */
static void follow(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	uint64_t cr4;

	switch (leaf) {
	case 1:
		cr4 = vmm_ops->reg_get(vcpu, REG_CR4);
		out->ebx |= vcpu->apic_id << 24;
		if (cr4 & CR4_OSXSAVE)
			out->ecx |= L1_OSXSAVE;
		if (!(vcpu->apic_base & APIC_BASE_ENABLE))
			out->edx &= ~L1_APIC;
		break;
	case 7:
		if (out->ecx & L7_PKU && vmm_ops->reg_get(vcpu, REG_CR4) & CR4_PKE)
			out->ecx |= L7_OSPKE;
		break;
	case 0xb:
		out->ecx = (out->ecx & ~0xffu) | (subleaf & 0xff);
		out->edx = vcpu->apic_id;
		break;
	case 0xd:
		if (subleaf <= 1)
			out->ebx = xsave_size(vcpu->vm->cpuid, vmm_ops->reg_get(vcpu, REG_XCR0),
					      subleaf == 1);
		break;
	default:
		break;
	}
}

void cpuid_query(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	const struct cpuid_policy *p = vcpu->vm->cpuid;
	const struct cpuid_row *row;

	if (unlikely(leaf > p->max_basic &&
		     leaf - LEAF_EXTENDED > p->max_extended - LEAF_EXTENDED &&
		     leaf >> 16 != LEAF_KVM >> 16 && p->vendor == VENDOR_INTEL))
		leaf = p->max_basic;
	row = find(p, leaf, subleaf);
	*out = row ? row->regs : (struct cpuid_regs){ 0 };
	if (leaf <= 0xd && (row || leaf == 0xb))
		follow(vcpu, leaf, subleaf, out);
}

void cpuid_save(const struct cpuid_policy *p, struct record_writer *w)
{
	record_begin(w, "cpuid", 0, 1);
	record_put_u32(w, p->count);
	for (unsigned i = 0; i < p->count; i++) {
		record_put_u32(w, p->row[i].leaf);
		record_put_u32(w, p->row[i].subleaf);
		record_put(w, &p->row[i].regs, sizeof(p->row[i].regs));
	}
	record_end(w);
}

int cpuid_check(const struct cpuid_policy *p, struct record_reader *r)
{
	bool same = record_get_u32(r) == p->count;

	for (unsigned i = 0; same && i < p->count; i++) {
		struct cpuid_regs regs;

		same = record_get_u32(r) == p->row[i].leaf;
		same &= record_get_u32(r) == p->row[i].subleaf;
		record_get(r, &regs, sizeof(regs));
		same &= !memcmp(&regs, &p->row[i].regs, sizeof(regs));
	}
	return same ? record_finish(r) : -EINVAL;
}
