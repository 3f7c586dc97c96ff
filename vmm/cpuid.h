/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID shows a guest: computed once when a VM starts, by allow-list (the host has it and Keel
 * virtualises it), then frozen, saved, and compared on load. Bits that follow a register (OSXSAVE,
 * APIC, PKE) are put in at the exit.
 */
#pragma once

#include "cpu/cpu.h"
#include "include/compiler.h"
#include "vmm/cpu_model.h"
#include "vmm/cpu_topology.h"

struct vcpu;
struct vm;
struct record_writer;
struct record_reader;

#define CPUID_ROW_MAX	36

struct cpuid_row {
	uint32_t leaf, subleaf;
	bool indexed;			/* has subleaves */
	struct cpuid_regs regs;
};

#define CPUID_BASIC	0x20u		/* leaves found by index, and extended ones: */
#define CPUID_EXTENDED	0x24u

struct cpuid_policy {
	/* Of leaves that are the same for all subleaves and whatever the vCPU's registers hold. */
	const struct cpuid_regs *constant[CPUID_BASIC + CPUID_EXTENDED];
	unsigned count;
	uint8_t index_basic[CPUID_BASIC];	/* first row of a leaf, 0xff none */
	uint8_t index_extended[CPUID_EXTENDED];
	uint32_t max_basic, max_extended;
	uint64_t xcr0_allowed;
	uint64_t cr4_allowed, efer_allowed;
	uint64_t cr4_withheld;		/* would be allowed, but for the VM's model */
	uint8_t vendor;			/* enum vendor: whose MSRs there are */
	bool x2apic, tsc_deadline, tsc_adjust;
	uint8_t phys_bits, linear_bits;
	struct cpuid_row row[CPUID_ROW_MAX];
};

/* Once, at boot: what the host and Keel have to offer. */
void cpuid_init(void);
/* From the host's CPUID, less what the model takes away, in that topology. */
void cpuid_policy_build(struct cpuid_policy *p, const struct cpu_topology *t,
			const struct cpu_model *model);
/* Is it offered to guests? By the table of cpu_model_feature(). */
bool cpuid_offers(unsigned feature);
/* -EINVAL and a line in `why` that lists what the model asks for and is not offered. */
int cpuid_model_check(const struct cpu_model *m, char *why, size_t size) must_check;
/* "host, -pcid, -invpcid": what it takes away of what is offered, and asks for. */
void cpuid_model_format(const struct cpu_model *m, char *buf, size_t size);
/* As the guest executes CPUID with these registers. */
void cpuid_query(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
/* The answer, if only the leaf decides it; NULL: cpuid_query() knows. */
static inline const struct cpuid_regs *cpuid_constant(const struct cpuid_policy *p, uint32_t leaf)
{
	uint32_t i = leaf < CPUID_BASIC ? leaf : leaf - 0x80000000u + CPUID_BASIC;

	return likely(i < CPUID_BASIC + CPUID_EXTENDED) ? p->constant[i] : NULL;
}

/* Is it shown? A CPU_ID(). */
bool cpuid_has(const struct cpuid_policy *p, unsigned id);

void cpuid_save(const struct cpuid_policy *p, struct record_writer *w);
/* -EINVAL: differs from this vm's. */
int cpuid_check(const struct cpuid_policy *p, struct record_reader *r) must_check;
