/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/insn/breakpoint.h"

#include "cpu/registers.h"
#include "include/bits.h"
#include "vmm/ops.h"

/* DR7's types; 0 is execution, which is the chip's own. */
enum { TYPE_WRITE = 1, TYPE_IO = 2, TYPE_ANY = 3 };

static bool has_type(uint64_t dr7, unsigned n, unsigned types)
{
	return dr7 >> 2 * n & 3 && types & 1u << (dr7 >> (16 + 4 * n) & 3);
}

/* Those enabled of `types` (a mask) whose range has a byte in common with this one. */
static uint64_t met(struct vcpu *vcpu, uint64_t at, unsigned size, unsigned types)
{
	static const uint8_t lengths[] = { 1, 2, 8, 4 };
	uint64_t dr7 = vmm_ops->reg_get(vcpu, REG_DR7), hits = 0;

	for (unsigned n = 0; n < 4; n++) {
		uint64_t length = lengths[dr7 >> (18 + 4 * n) & 3], base;

		if (!has_type(dr7, n, types))
			continue;
		base = vmm_ops->reg_get(vcpu, REG_DR0 + n) & ~(length - 1);
		if (base <= at + size - 1 && at <= base + length - 1)
			hits |= BIT(n);
	}
	return hits;
}

uint64_t breakpoint_data(struct vcpu *vcpu, uint64_t linear, unsigned size, bool write)
{
	return met(vcpu, linear, size, 1u << TYPE_ANY | (write ? 1u << TYPE_WRITE : 0));
}

/* Without CR4.DE there is no such type. */
uint64_t breakpoint_io(struct vcpu *vcpu, uint16_t port, unsigned size)
{
	return vmm_ops->reg_get(vcpu, REG_CR4) & CR4_DE ? met(vcpu, port, size, 1u << TYPE_IO) : 0;
}
