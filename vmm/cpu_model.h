/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's CPU model: the host's processor, less what its configuration takes away. Here are the
 * features' names, which are libvirt's, who has them, and what depends on what; what the host has
 * of them and what follows for CPUID, CR4, EFER and XCR0 is vmm/cpuid.c's. Pure: any context, no
 * locks.
 */
#pragma once

#include "include/compiler.h"

/* Registers of CPUID that hold features. */
enum cpu_word_id {
	CPU_L1C = 1, CPU_L1D, CPU_L6A, CPU_L7B, CPU_L7C, CPU_L7D, CPU_LDA,
	CPU_E1C, CPU_E1D, CPU_E7D, CPU_E8B,
	CPU_WORD_COUNT
};

struct cpu_word {
	uint32_t leaf;
	uint8_t subleaf;
	uint8_t reg;			/* 0 EAX to 3 EDX */
};

extern const struct cpu_word cpu_words[CPU_WORD_COUNT];

/* A feature by its place. */
#define CPU_ID(word, bit)	((word) * 32 + (bit))

/* Those that are spoken of. */
enum {
	CPU_PNI = CPU_ID(CPU_L1C, 0),
	CPU_PCLMULDQ = CPU_ID(CPU_L1C, 1),
	CPU_SSSE3 = CPU_ID(CPU_L1C, 9),
	CPU_PCID = CPU_ID(CPU_L1C, 17),
	CPU_SSE4_1 = CPU_ID(CPU_L1C, 19),
	CPU_X2APIC = CPU_ID(CPU_L1C, 21),
	CPU_TSC_DEADLINE = CPU_ID(CPU_L1C, 24),
	CPU_AES = CPU_ID(CPU_L1C, 25),
	CPU_XSAVE = CPU_ID(CPU_L1C, 26),
	CPU_AVX = CPU_ID(CPU_L1C, 28),
	CPU_VME = CPU_ID(CPU_L1D, 1),
	CPU_HT = CPU_ID(CPU_L1D, 28),
	CPU_FSGSBASE = CPU_ID(CPU_L7B, 0),
	CPU_TSC_ADJUST = CPU_ID(CPU_L7B, 1),
	CPU_AVX2 = CPU_ID(CPU_L7B, 5),
	CPU_SMEP = CPU_ID(CPU_L7B, 7),
	CPU_INVPCID = CPU_ID(CPU_L7B, 10),
	CPU_AVX512F = CPU_ID(CPU_L7B, 16),
	CPU_SMAP = CPU_ID(CPU_L7B, 20),
	CPU_AVX512BW = CPU_ID(CPU_L7B, 30),
	CPU_UMIP = CPU_ID(CPU_L7C, 2),
	CPU_PKU = CPU_ID(CPU_L7C, 3),
	CPU_CMP_LEGACY = CPU_ID(CPU_E1C, 1),
	CPU_NX = CPU_ID(CPU_E1D, 20),
	CPU_RDTSCP = CPU_ID(CPU_E1D, 27),
};

/* Who has it. */
enum cpu_policy {
	CPU_NEVER,			/* no guest: Keel does not virtualise it */
	CPU_HOST,			/* every guest whose host does */
	CPU_FIXED,			/* likewise; no system runs without it, or Keel does not */
	CPU_OWN,			/* every guest: it is Keel's own */
	CPU_TOLD			/* it follows from the topology */
};

struct cpu_feature {
	const char *name;
	uint16_t id;			/* CPU_ID() */
	uint8_t policy;			/* enum cpu_policy */
	uint16_t needs[2];		/* goes with any of these; 0: none */
};

#define CPU_FEATURE_MAX 192

/* By the table's rows. All zeros: the host's processor. */
struct cpu_model {
	uint64_t off[CPU_FEATURE_MAX / 64];	/* taken away, with all that depends on it */
	uint64_t on[CPU_FEATURE_MAX / 64];	/* asked for: without it the VM is not defined */
};

/* NULL behind the last row. */
const struct cpu_feature *cpu_model_feature(unsigned i);

static inline bool cpu_model_is_off(const struct cpu_model *m, unsigned i)
{
	return m->off[i / 64] >> i % 64 & 1;
}

static inline bool cpu_model_is_on(const struct cpu_model *m, unsigned i)
{
	return m->on[i / 64] >> i % 64 & 1;
}

bool cpu_model_lacks(const struct cpu_model *m, unsigned id);
/* Takes it away, and all that depends on it, whatever is asked for. */
void cpu_model_drop(struct cpu_model *m, unsigned id);

/* It is off, and would be without having been named: what it needs is. */
bool cpu_model_follows(const struct cpu_model *m, unsigned i);
/*
 * From "host, -x2apic, +aes". -EINVAL and one printable line in `why` when a name is not known, a
 * feature cannot be taken away, or two wishes contradict each other.
 */
int cpu_model_parse(struct cpu_model *m, const char *text, size_t n, char *why,
		    size_t why_size) must_check;
