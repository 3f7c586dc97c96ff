/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory type range registers: stored for the guest that reads them back, as firmware leaves them.
 */
#pragma once

#include "include/bits.h"

struct vcpu;
struct record_writer;
struct record_reader;

#define MTRR_VARIABLE	8
#define MTRR_CAP	(MTRR_VARIABLE | BIT(8) | BIT(10))	/* fixed ranges, write-combining */

/* 0, or -EINVAL for #GP. */
int mtrr_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value) must_check;
int mtrr_set(struct vcpu *vcpu, uint32_t msr, uint64_t value) must_check;
/* Is it one of those that an MTRR may name? */
bool mtrr_type_valid(uint64_t type);

void mtrr_reset(struct vcpu *vcpu);
void mtrr_save(const struct vcpu *vcpu, struct record_writer *w);
void mtrr_load(struct vcpu *vcpu, struct record_reader *r);
