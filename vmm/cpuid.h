/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID shows a guest: computed once when a VM starts, by allow-list (the host has it and Keel
 * virtualises it), then frozen, saved, and compared on load. Bits that follow a register (OSXSAVE,
 * APIC, PKE) are put in at the exit.
 */
#pragma once

#include "cpu/cpu.h"

struct vcpu;
struct vm;
struct record_writer;
struct record_reader;

#define CPUID_ROW_MAX	64

struct cpuid_row {
	uint32_t leaf, subleaf;
	bool indexed;			/* has subleaves */
	struct cpuid_regs regs;
};

struct cpuid_policy {
	unsigned count;
	uint8_t index_basic[0x20];	/* first row of a basic leaf, 0xff none; likewise the
					 * extended ones */
	uint8_t index_extended[0x24];
	uint32_t max_basic, max_extended;
	uint64_t xcr0_allowed;
	uint64_t cr4_allowed, efer_allowed;
	uint8_t phys_bits, linear_bits;
	struct cpuid_row row[CPUID_ROW_MAX];
};

/* From the host's CPUID as read at boot; `vcpus` shapes the topology leaves. */
void cpuid_policy_build(struct cpuid_policy *p, unsigned vcpus);
/* As the guest executes CPUID with these registers. */
void cpuid_query(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
/* reg 0 eax .. 3 edx */
bool cpuid_has(const struct cpuid_policy *p, uint32_t leaf, unsigned reg, unsigned bit);

void cpuid_save(const struct cpuid_policy *p, struct record_writer *w);
/* -EINVAL: differs from this vm's. */
int cpuid_check(const struct cpuid_policy *p, struct record_reader *r) must_check;
