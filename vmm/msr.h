/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model-specific registers that a guest has: a sorted allow-list. What is not listed raises
 * #GP and is counted; each register comes into the log once for a VM, and only so many of them.
 */
#pragma once

#include "include/compiler.h"

struct vcpu;
struct record_writer;
struct record_reader;

/* 0, or -EINVAL for #GP. */
int msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value) must_check;
int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value) must_check;

/* Those of which bits are kept, beside the memory types: index of vcpu->msr_kept. */
enum msr_kept { KEPT_MISC_ENABLE, KEPT_POWER_CTL, KEPT_HWCR, KEPT_COUNT };

/* Stored values as firmware leaves them. */
void msr_reset(struct vcpu *vcpu);
void msr_save(const struct vcpu *vcpu, struct record_writer *w);
void msr_load(struct vcpu *vcpu, struct record_reader *r);
