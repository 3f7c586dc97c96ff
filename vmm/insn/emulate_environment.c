/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87's environment in memory, as FNSTENV, FLDENV, FNSAVE and FRSTOR have it: real and virtual-8086
 * mode give the pointers another form than the chip, which does them in Keel's mode. What follows
 * an environment are the registers, which are the same everywhere.
 * Source: Intel SDM 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE".
 */
#include "vmm/insn/emulate_state.h"

#include "include/compiler.h"
#include "lib/string.h"

#define REGISTERS	80u
#define OPCODE		0x7ffu

/* Of 32 bits, as in protected mode; the words' upper halves mean nothing. */
struct environment {
	uint32_t fcw, fsw, ftw, fip, fcs_fop, fdp, fds;
};

/* Of real mode: below a pointer's upper part, 12 bits of that word are of another kind. */
struct real16 {
	uint16_t fcw, fsw, ftw, fip, fip_fop, fdp, fdp_high;
} packed;

static void split(uint32_t pointer, unsigned low, uint32_t *out, uint32_t *out_high)
{
	*out = pointer & 0xffff;
	*out_high = (pointer >> 16 & bytes_mask(2)) << 12 | low;
}

static uint32_t join(uint32_t low, uint32_t high)
{
	return (low & 0xffff) | (high >> 12 & 0xffff) << 16;
}

void emulate_environment_to_real(uint8_t *memory, unsigned size)
{
	struct environment v, r;
	struct real16 narrow;

	memcpy(&v, memory, sizeof(v));
	r = v;
	split(v.fip, v.fcs_fop >> 16 & OPCODE, &r.fip, &r.fcs_fop);
	split(v.fdp, 0, &r.fdp, &r.fds);
	if (size % REGISTERS == sizeof(v)) {
		memcpy(memory, &r, sizeof(r));
		return;
	}
	narrow = (struct real16){ .fcw = (uint16_t)r.fcw, .fsw = (uint16_t)r.fsw,
				  .ftw = (uint16_t)r.ftw, .fip = (uint16_t)r.fip,
				  .fip_fop = (uint16_t)r.fcs_fop, .fdp = (uint16_t)r.fdp,
				  .fdp_high = (uint16_t)r.fds };
	memmove(memory + sizeof(narrow), memory + sizeof(v), REGISTERS);
	memcpy(memory, &narrow, sizeof(narrow));
}

void emulate_environment_from_real(uint8_t *memory, unsigned size)
{
	struct environment r;
	struct real16 n;

	memcpy(&r, memory, sizeof(r));
	if (size % REGISTERS != sizeof(r)) {
		memcpy(&n, memory, sizeof(n));
		memmove(memory + sizeof(r), memory + sizeof(n), REGISTERS);
		r = (struct environment){ n.fcw, n.fsw, n.ftw, n.fip,
					  n.fip_fop, n.fdp, n.fdp_high };
	}
	r.fip = join(r.fip, r.fcs_fop);
	r.fcs_fop = (r.fcs_fop & OPCODE) << 16;
	r.fdp = join(r.fdp, r.fds);
	r.fds = 0;
	memcpy(memory, &r, sizeof(r));
}
