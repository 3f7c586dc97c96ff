/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the local APIC share: its registers' meaning, inline, and the timer's half of
 * them. For vmm/vlapic/vlapic*.c alone; everyone else sees vmm/vlapic/vlapic.h. On the vCPU's
 * thread, but for what says otherwise.
 */
#pragma once

#include "include/bits.h"
#include "vmm/vcpu.h"
#include "vmm/vlapic/vlapic_bits.h"
#include "vmm/vm.h"

extern const uint32_t vlapic_lvt_mask[LVT_COUNT];	/* bits that can be written */

static inline bool vlapic_is_x2apic(const struct vcpu *vcpu)
{
	return vcpu->apic_base & APIC_BASE_X2APIC;
}

static inline bool vlapic_hw_enabled(const struct vcpu *vcpu)
{
	return vcpu->apic_base & APIC_BASE_ENABLE;
}

static inline bool vlapic_sw_enabled(const struct vlapic *l)
{
	return l->svr & SVR_ENABLE;
}

static inline struct vcpu *vlapic_vcpu(struct vlapic *l)
{
	return container_of(l, struct vcpu, vlapic);
}

/* The highest vector in a map, or -1. */
static inline int vlapic_highest(const uint64_t *map)
{
#pragma GCC unroll 4
	for (int i = 3; i >= 0; i--)
		if (map[i])
			return i * 64 + (int)bit_highest(map[i]);
	return -1;
}

/* Of a word that others read, or change other bits of, meanwhile. */
static inline void vlapic_bit_set(uint64_t *word, uint64_t bit, bool on)
{
	if (on)
		__atomic_or_fetch(word, bit, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(word, ~bit, __ATOMIC_SEQ_CST);
}

static inline unsigned vlapic_timer_mode(const struct vlapic *l)
{
	return FIELD(l->lvt[LVT_TIMER], 18, 17);
}

/* vlapic_timer.c */
void vlapic_timer_expired(struct timer *t);	/* the callback: interrupt context, any CPU */
/* Arms what the registers say, or stops. */
void vlapic_timer_rearm(struct vcpu *vcpu);
uint32_t vlapic_timer_current(struct vcpu *vcpu);
void vlapic_timer_start(struct vcpu *vcpu, uint32_t initial);
/* A count that is under way goes on at the new rate; one that has ended stays so. */
void vlapic_timer_divide(struct vcpu *vcpu, uint32_t value);
/* Likewise between one-shot and periodic; to and from TSC-deadline mode stops it. */
void vlapic_timer_lvt_write(struct vcpu *vcpu, uint32_t value);
