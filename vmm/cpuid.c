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

/* Leaf 1. */
#define L1_ECX	(B(0) | B(1) | B(9) | B(12) | B(13) | B(17) | B(19) | B(20) | B(22) | B(23) | \
		 B(25) | B(26) | B(28) | B(29) | B(30))
#define L1_ECX_ALWAYS (B(21) | B(24) | B(31))	/* x2APIC, TSC-deadline, hypervisor */
#define L1_EDX	(B(0) | B(1) | B(2) | B(3) | B(4) | B(5) | B(6) | B(7) | B(8) | B(9) | B(11) | \
		 B(12) | B(13) | B(14) | B(15) | B(16) | B(17) | B(19) | B(23) | B(24) | B(25) | \
		 B(26) | B(27))
#define L1_OSXSAVE	B(27)
#define L1_APIC		B(9)
#define L1_HTT		B(28)

/* Leaf 4. */
#define LAST_LEVEL	3u

/* Leaf 7. */
#define L7_AVX512 (B(16) | B(17) | B(21) | B(28) | B(30) | B(31))
#define L7_EBX	(B(0) | B(3) | B(5) | B(7) | B(8) | B(9) | B(10) | B(18) | B(19) | B(20) | B(23) | \
		 B(24) | B(29))
#define L7_TSC_ADJUST	B(1)
#define L7_ECX_AVX512 (B(1) | B(6) | B(11) | B(12) | B(14))
#define L7_ECX	(B(2) | B(3) | B(8) | B(9) | B(10) | B(22))
#define L7_PKU		B(3)
#define L7_OSPKE	B(4)
#define L7_EDX	(B(4) | B(10) | B(14))

#define XSAVE_ALIGNED	B(1)	/* the component begins at a multiple of 64 in the compacted form */
#define XSAVE_C		B(1)
#define XSAVE_OFFERED	(B(0) | XSAVE_C | B(2))	/* XSAVEOPT, XSAVEC, XGETBV 1 */

/* Extended leaf 1. */
#define E1_ECX	(B(0) | B(5) | B(6) | B(7) | B(8) | B(11) | B(16) | B(21))
#define E1_EDX	(B(0) | B(1) | B(2) | B(3) | B(4) | B(5) | B(6) | B(7) | B(8) | B(9) | B(11) | \
		 B(12) | B(13) | B(14) | B(15) | B(16) | B(17) | B(20) | B(22) | B(23) | B(24) | \
		 B(26) | B(27) | B(29))

/* Every CPU with SVM or VMX has these. */
#define CR4_ALWAYS (CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
		    CR4_OSFXSR | CR4_OSXMMEXCPT)

static struct cpuid_policy host;	/* constant after cpuid_init() */

static struct cpuid_row *add(struct cpuid_policy *p, uint32_t leaf, uint32_t subleaf, bool indexed,
			     struct cpuid_regs r)
{
	struct cpuid_row *row;

	if (p->count == CPUID_ROW_MAX)
		return &p->row[CPUID_ROW_MAX - 1];
	row = &p->row[p->count];
	*row = (struct cpuid_row){
		.leaf = leaf, .subleaf = subleaf, .indexed = indexed, .regs = r,
	};
	if (leaf < ARRAY_COUNT(p->index_basic) && p->index_basic[leaf] == 0xff)
		p->index_basic[leaf] = (uint8_t)p->count;
	leaf -= LEAF_EXTENDED;
	if (leaf < ARRAY_COUNT(p->index_extended) && p->index_extended[leaf] == 0xff)
		p->index_extended[leaf] = (uint8_t)p->count;
	p->count++;
	return row;
}

static unsigned of_socket(const struct cpu_topology *t)
{
	return t->cores * t->threads;
}

static bool offers_avx512(const struct cpuid_policy *p)
{
	return (p->xcr0_allowed & XCR0_AVX512) == XCR0_AVX512;
}

static void add_features(struct cpuid_policy *p, const struct cpu_topology *t)
{
	struct cpuid_regs r = cpu_cpuid(1, 0);
	unsigned together = of_socket(t);

	r.ebx = (r.ebx & 0xff00) | MIN(together, 255u) << 16;
	r.ecx = (r.ecx & L1_ECX) | L1_ECX_ALWAYS;
	r.edx = (r.edx & L1_EDX) | (together > 1 ? L1_HTT : 0);
	if (!p->xcr0_allowed)
		r.ecx &= ~(B(26) | B(28) | B(12) | B(29));
	add(p, 1, 0, false, r);
}

static void add_structured(struct cpuid_policy *p)
{
	struct cpuid_regs r = cpu_cpuid(7, 0);
	bool avx512 = offers_avx512(p);

	r.eax = 0;
	r.ebx = (r.ebx & (L7_EBX | (avx512 ? L7_AVX512 : 0))) | L7_TSC_ADJUST;
	r.ecx &= L7_ECX | (avx512 ? L7_ECX_AVX512 : 0);
	if (!(p->xcr0_allowed & XCR0_PKRU))
		r.ecx &= ~L7_PKU;
	r.edx &= L7_EDX;
	add(p, 7, 0, true, r);
}

/*
 * Cache parameters as the host has them: the last level is shared by a socket, the others by a
 * core. Numbers of vCPUs are told as those of ids that there could be.
 */
static void add_caches(struct cpuid_policy *p, const struct cpu_topology *t)
{
	uint32_t cores = (1u << cpu_topology_bits(t->cores)) - 1;

	for (unsigned i = 0; i < 5; i++) {
		struct cpuid_regs r = cpu_cpuid(4, i);
		unsigned shared;

		if (!(r.eax & 31))
			break;
		shared = FIELD(r.eax, 7, 5) < LAST_LEVEL ? cpu_topology_thread_bits(t)
							 : cpu_topology_socket_bits(t);
		r.eax = (r.eax & 0x3fff) | ((1u << shared) - 1) << 14 | MIN(cores, 63u) << 26;
		add(p, 4, i, true, r);
	}
}

static void add_topology(struct cpuid_policy *p, const struct cpu_topology *t)
{
	add(p, 0xb, 0, true,
	    (struct cpuid_regs){ cpu_topology_thread_bits(t), t->threads, 0x100, 0 });
	add(p, 0xb, 1, true,
	    (struct cpuid_regs){ cpu_topology_socket_bits(t), of_socket(t), 0x201, 0 });
	add(p, 0xb, 2, true, (struct cpuid_regs){ 0, 0, 2, 0 });
}

/* Extended state: sizes are the host's, for the components that are offered. */
static void add_xsave(struct cpuid_policy *p)
{
	struct cpuid_regs r;
	uint32_t size = 576;

	if (!p->xcr0_allowed)
		return;
	for (unsigned i = 2; i < 63; i++) {
		if (!(p->xcr0_allowed & BIT(i)))
			continue;
		r = cpu_cpuid(0xd, i);
		size = MAX(size, r.eax + r.ebx);
		r.ecx &= XSAVE_ALIGNED;
		r.edx = 0;
		add(p, 0xd, i, true, r);
	}
	add(p, 0xd, 0, true,
	    (struct cpuid_regs){ (uint32_t)p->xcr0_allowed, size, size, p->xcr0_allowed >> 32 });
	r = cpu_cpuid(0xd, 1);
	if (errata_has(ERRATUM_XSAVEC_MISPLACES))
		r.eax &= ~XSAVE_C;
	add(p, 0xd, 1, true, (struct cpuid_regs){ r.eax & XSAVE_OFFERED, 0, 0, 0 });
}

static void add_basic(struct cpuid_policy *p, const struct cpu_topology *t)
{
	struct cpuid_regs r = cpu_cpuid(0, 0);

	p->max_basic = r.eax = MIN(MAX(r.eax, 0xbu), 0xdu);
	add(p, 0, 0, false, r);
	add_features(p, t);
	if (features.vendor == VENDOR_INTEL) {
		add(p, 2, 0, false, cpu_cpuid(2, 0));
		add_caches(p, t);
	}
	/* ARAT: the local timer never stops. */
	add(p, 6, 0, false, (struct cpuid_regs){ .eax = B(2) });
	add_structured(p);
	add_topology(p, t);
	add_xsave(p);
}

static void add_extended(struct cpuid_policy *p, const struct cpu_topology *t)
{
	struct cpuid_regs r = cpu_cpuid(LEAF_EXTENDED, 0);
	uint32_t host_max = r.eax;

	p->max_extended = r.eax = LEAF_EXTENDED + 8;
	add(p, LEAF_EXTENDED, 0, false, r);
	r = cpu_cpuid(LEAF_EXTENDED + 1, 0);
	r.ecx &= E1_ECX;
	r.edx &= E1_EDX;
	if (of_socket(t) > 1 && features.vendor == VENDOR_AMD)
		r.ecx |= B(1);
	add(p, LEAF_EXTENDED + 1, 0, false, r);
	for (uint32_t leaf = LEAF_EXTENDED + 2; leaf <= LEAF_EXTENDED + 6; leaf++)
		if (leaf <= host_max)
			add(p, leaf, 0, false, cpu_cpuid(leaf, 0));
	r = host_max >= LEAF_EXTENDED + 7 ? cpu_cpuid(LEAF_EXTENDED + 7, 0)
					  : (struct cpuid_regs){ 0 };
	add(p, LEAF_EXTENDED + 7, 0, false, (struct cpuid_regs){ .edx = r.edx & B(8) });
	add(p, LEAF_EXTENDED + 8, 0, false,
	    (struct cpuid_regs){ .eax = p->phys_bits | (uint32_t)p->linear_bits << 8,
				 .ecx = cpu_topology_socket_bits(t) << 12 | (of_socket(t) - 1) });
}

static void add_hypervisor(struct cpuid_policy *p)
{
	add(p, LEAF_KVM, 0, false,
	    (struct cpuid_regs){ LEAF_KVM_LAST, 0x4b4d564b, 0x564b4d56, 0x4d });
	add(p, LEAF_KVM + 1, 0, false, (struct cpuid_regs){ .eax = PVCLOCK_FEATURES });
	add(p, LEAF_KEEL, 0, false,
	    (struct cpuid_regs){ LEAF_KEEL, 0x6c65654b, 0x6c65654b, 0x6c65654b });
}

static const struct cpuid_row *find(const struct cpuid_policy *p, uint32_t leaf, uint32_t subleaf);

static bool shows(const struct cpuid_policy *p, const struct cpu_feature *f)
{
	const struct cpuid_row *row = find(p, f->leaf, f->subleaf);

	return row && (&row->regs.eax)[f->reg] & B(f->bit);
}

static bool takes_away(const struct cpu_model *m, const char *name)
{
	const struct cpu_feature *f;

	for (unsigned i = 0; (f = cpu_model_feature(i)); i++)
		if (!strcmp(f->name, name))
			return cpu_model_is_off(m, i);
	return false;
}

/* Extended state comes first: the sizes of its leaves follow from it. */
static uint64_t xcr0_of(const struct cpu_model *m)
{
	uint64_t x = fpu_xcr0_offered();

	if (takes_away(m, "xsave"))
		return 0;
	if (takes_away(m, "avx"))
		x &= ~(XCR0_AVX | XCR0_AVX512);
	if (takes_away(m, "avx512f") || (x & XCR0_AVX512) != XCR0_AVX512)
		x &= ~XCR0_AVX512;
	if (takes_away(m, "pku"))
		x &= ~XCR0_PKRU;
	return x;
}

static void take_away(struct cpuid_policy *p, const struct cpu_model *m)
{
	const struct cpu_feature *f;

	for (unsigned i = 0; (f = cpu_model_feature(i)); i++) {
		if (!cpu_model_is_off(m, i))
			continue;
		for (unsigned k = 0; k < p->count; k++)
			if (p->row[k].leaf == f->leaf && p->row[k].subleaf == f->subleaf)
				(&p->row[k].regs.eax)[f->reg] &= ~B(f->bit);
	}
}

static uint64_t cr4_of(const struct cpuid_policy *p)
{
	static const struct {
		uint32_t leaf;
		uint8_t reg, bit;
		uint64_t cr4;
	} rows[] = {
		{ 1, 3, 1, CR4_VME | CR4_PVI }, { 7, 2, 2, CR4_UMIP }, { 7, 1, 0, CR4_FSGSBASE },
		{ 1, 2, 17, CR4_PCIDE }, { 1, 2, 26, CR4_OSXSAVE }, { 7, 1, 7, CR4_SMEP },
		{ 7, 1, 20, CR4_SMAP }, { 7, 2, 3, CR4_PKE },
	};
	uint64_t allowed = CR4_ALWAYS;

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		if (cpuid_has(p, rows[i].leaf, rows[i].reg, rows[i].bit))
			allowed |= rows[i].cr4;
	return allowed;
}

/* What else follows from the bits that are shown. */
static void derive(struct cpuid_policy *p)
{
	p->cr4_allowed = cr4_of(p);
	p->cr4_withheld = host.cr4_allowed & ~p->cr4_allowed;
	p->efer_allowed = EFER_SCE | EFER_LME | EFER_LMA |
			  (cpuid_has(p, LEAF_EXTENDED + 1, 3, 20) ? EFER_NXE : 0);
	p->x2apic = cpuid_has(p, 1, 2, 21);
	p->tsc_deadline = cpuid_has(p, 1, 2, 24);
	p->tsc_adjust = cpuid_has(p, 7, 1, 1);
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
	memset(p, 0, sizeof(*p));
	memset(p->index_basic, 0xff, sizeof(p->index_basic));
	memset(p->index_extended, 0xff, sizeof(p->index_extended));
	p->xcr0_allowed = xcr0_of(model);
	p->phys_bits = (uint8_t)MIN(features.physical_bits, 48);
	p->linear_bits = 48;
	add_basic(p, t);
	add_extended(p, t);
	add_hypervisor(p);
	take_away(p, model);
	derive(p);
	find_constants(p);
}

void cpuid_init(void)
{
	static const struct cpu_model whole;

	cpuid_policy_build(&host, &(struct cpu_topology){ 1, 1, 1 }, &whole);
}

bool cpuid_offers(unsigned feature)
{
	const struct cpu_feature *f = cpu_model_feature(feature);

	return f && shows(&host, f);
}

int cpuid_model_check(const struct cpu_model *m, char *why, size_t size)
{
	const struct cpu_feature *f;
	size_t n = 0;

	for (unsigned i = 0; (f = cpu_model_feature(i)) && n < size; i++)
		if (cpu_model_is_on(m, i) && !shows(&host, f))
			n += (size_t)format(why + n, size - n, "%s%s",
					    n ? ", " : "not to be had on this host: ", f->name);
	return n ? -EINVAL : 0;
}

void cpuid_model_format(const struct cpu_model *m, char *buf, size_t size)
{
	const struct cpu_feature *f;
	size_t n = (size_t)format(buf, size, "host");

	for (unsigned i = 0; (f = cpu_model_feature(i)) && n < size; i++)
		if (cpu_model_is_on(m, i) || (cpu_model_is_off(m, i) && shows(&host, f)))
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
		     leaf >> 16 != LEAF_KVM >> 16 && features.vendor == VENDOR_INTEL))
		leaf = p->max_basic;
	row = find(p, leaf, subleaf);
	*out = row ? row->regs : (struct cpuid_regs){ 0 };
	if (leaf <= 0xd && (row || leaf == 0xb))
		follow(vcpu, leaf, subleaf, out);
}

bool cpuid_has(const struct cpuid_policy *p, uint32_t leaf, unsigned reg, unsigned bit)
{
	const struct cpuid_row *row = find(p, leaf, 0);
	const uint32_t *regs = row ? &row->regs.eax : NULL;

	return regs && regs[reg] & B(bit);
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
