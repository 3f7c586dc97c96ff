/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's CPU model: the host's processor, less what its configuration takes away. Here are the
 * features' names, which are libvirt's, and what depends on what; what the host has of them and
 * what follows for CPUID, CR4, EFER and XCR0 is vmm/cpuid.c's. Pure: any context, no locks.
 */
#pragma once

#include "include/compiler.h"

struct cpu_feature {
	const char *name;
	uint32_t leaf;
	uint8_t subleaf;
	uint8_t reg, bit;		/* reg 0 EAX to 3 EDX */
	bool fixed;			/* no system runs without it, or Keel does not */
	const char *needs[2];		/* goes with any of these */
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

/*
 * From "host, -x2apic, +aes". -EINVAL and one printable line in `why` when a name is not known, a
 * feature cannot be taken away, or two wishes contradict each other.
 */
int cpu_model_parse(struct cpu_model *m, const char *text, size_t n, char *why,
		    size_t why_size) must_check;
