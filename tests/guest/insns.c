/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every instruction of virtualisation and every privileged one that a guest might try, in ring 0
 * and in ring 3: each gives the fault that a processor without these features gives, or works where
 * the guest was told that it does.
 */
#include "tests/guest/lib/guest.h"

#define NONE	-1
#define ANY	-2			/* what happens is left open, the guest only must live on */
/* Either: a real SVM chip checks CPL before EFER.SVME's guest value is ours to hide. */
#define UD_GP	-3
#define CALL	-4			/* this vendor's hypercall: answers */
#define OTHER	-5			/* the other vendor's hypercall: #UD */
#define NONE_UD	-6			/* harmless, and no intercept hides it */

struct row {
	const char *name;
	uint8_t bytes[8], length;
	int ring0, ring3;
};

#define BYTES(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

static const struct row rows[] = {
	{ "vmrun", BYTES(0x0f, 0x01, 0xd8), VEC_UD, UD_GP },
	{ "vmload", BYTES(0x0f, 0x01, 0xda), VEC_UD, UD_GP },
	{ "vmsave", BYTES(0x0f, 0x01, 0xdb), VEC_UD, UD_GP },
	{ "stgi", BYTES(0x0f, 0x01, 0xdc), VEC_UD, UD_GP },
	{ "clgi", BYTES(0x0f, 0x01, 0xdd), VEC_UD, UD_GP },
	{ "skinit", BYTES(0x0f, 0x01, 0xde), VEC_UD, UD_GP },
	{ "invlpga", BYTES(0x0f, 0x01, 0xdf), VEC_UD, UD_GP },
	{ "vmxon", BYTES(0xf3, 0x0f, 0xc7, 0x30), VEC_UD, VEC_UD },
	{ "vmxoff", BYTES(0x0f, 0x01, 0xc4), VEC_UD, VEC_UD },
	{ "vmlaunch", BYTES(0x0f, 0x01, 0xc2), VEC_UD, VEC_UD },
	{ "vmresume", BYTES(0x0f, 0x01, 0xc3), VEC_UD, VEC_UD },
	{ "vmptrld", BYTES(0x0f, 0xc7, 0x30), VEC_UD, VEC_UD },
	{ "vmptrst", BYTES(0x0f, 0xc7, 0x38), VEC_UD, VEC_UD },
	{ "vmclear", BYTES(0x66, 0x0f, 0xc7, 0x30), VEC_UD, VEC_UD },
	{ "vmread", BYTES(0x0f, 0x78, 0xc2), VEC_UD, VEC_UD },
	{ "vmwrite", BYTES(0x0f, 0x79, 0xc2), VEC_UD, VEC_UD },
	{ "invept", BYTES(0x66, 0x0f, 0x38, 0x80, 0x10), VEC_UD, VEC_UD },
	{ "invvpid", BYTES(0x66, 0x0f, 0x38, 0x81, 0x10), VEC_UD, VEC_UD },
	{ "vmfunc", BYTES(0x0f, 0x01, 0xd4), VEC_UD, VEC_UD },
	{ "vmmcall", BYTES(0x0f, 0x01, 0xd9), CALL, ANY },
	{ "vmcall", BYTES(0x0f, 0x01, 0xc1), OTHER, ANY },
	{ "vmgexit", BYTES(0xf3, 0x0f, 0x01, 0xd9), ANY, ANY },
	{ "getsec", BYTES(0x0f, 0x37), VEC_UD, VEC_UD },
	{ "rsm", BYTES(0x0f, 0xaa), VEC_UD, VEC_UD },
	{ "monitor", BYTES(0x0f, 0x01, 0xc8), VEC_UD, VEC_UD },
	{ "mwait", BYTES(0x0f, 0x01, 0xc9), VEC_UD, VEC_UD },
	{ "monitorx", BYTES(0x0f, 0x01, 0xfa), VEC_UD, VEC_UD },
	{ "mwaitx", BYTES(0x0f, 0x01, 0xfb), VEC_UD, VEC_UD },
	{ "encls", BYTES(0x0f, 0x01, 0xcf), VEC_UD, VEC_UD },
	{ "enclu", BYTES(0x0f, 0x01, 0xd7), VEC_UD, VEC_UD },
	{ "enclv", BYTES(0x0f, 0x01, 0xc0), VEC_UD, VEC_UD },
	{ "pconfig", BYTES(0x0f, 0x01, 0xc5), VEC_UD, VEC_UD },
	{ "rdpru", BYTES(0x0f, 0x01, 0xfd), VEC_UD, VEC_UD },
	{ "invlpgb", BYTES(0x0f, 0x01, 0xfe), VEC_UD, VEC_UD },
	{ "tlbsync", BYTES(0x0f, 0x01, 0xff), VEC_UD, VEC_UD },
	{ "rmpupdate", BYTES(0xf2, 0x0f, 0x01, 0xfe), VEC_UD, VEC_UD },
	{ "pvalidate", BYTES(0xf2, 0x0f, 0x01, 0xff), VEC_UD, VEC_UD },
	{ "rdpmc", BYTES(0x0f, 0x33), VEC_GP, VEC_GP },
	{ "invd", BYTES(0x0f, 0x08), NONE, VEC_GP },
	{ "wbinvd", BYTES(0x0f, 0x09), NONE, VEC_GP },
	{ "wbnoinvd", BYTES(0xf3, 0x0f, 0x09), NONE, VEC_GP },
	{ "hlt_ring3", BYTES(0xf4), ANY, VEC_GP },
	{ "clts", BYTES(0x0f, 0x06), NONE, VEC_GP },
	{ "invlpg", BYTES(0x0f, 0x01, 0x38), NONE, VEC_GP },
	{ "mov_from_cr0", BYTES(0x0f, 0x20, 0xc0), NONE, VEC_GP },
	{ "mov_from_cr8", BYTES(0x44, 0x0f, 0x20, 0xc0), NONE, VEC_GP },
	{ "mov_from_cr1", BYTES(0x0f, 0x20, 0xc8), VEC_UD, ANY },
	{ "mov_from_dr0", BYTES(0x0f, 0x21, 0xc0), NONE, VEC_GP },
	{ "rdmsr", BYTES(0xb1, 0x1b, 0x0f, 0x32), NONE, VEC_GP },
	{ "lgdt_ring3", BYTES(0x0f, 0x01, 0x10), ANY, VEC_GP },
	{ "lidt_ring3", BYTES(0x0f, 0x01, 0x18), ANY, VEC_GP },
	{ "lmsw_ring3", BYTES(0x0f, 0x01, 0xf2), ANY, VEC_GP },
	{ "cli_ring3", BYTES(0xfa), NONE, VEC_GP },
	{ "sysret_ring3", BYTES(0x48, 0x0f, 0x07), ANY, UD_GP },
	{ "swapgs_ring3", BYTES(0x0f, 0x01, 0xf8), ANY, VEC_GP },
	{ "ud0", BYTES(0x0f, 0xff, 0xc0), VEC_UD, VEC_UD },
	{ "ud1", BYTES(0x0f, 0xb9, 0xc0), VEC_UD, VEC_UD },
	{ "ud2", BYTES(0x0f, 0x0b), VEC_UD, VEC_UD },
	{ "cpuid", BYTES(0x53, 0x0f, 0xa2, 0x5b), NONE, NONE },
	{ "pause", BYTES(0xf3, 0x90), NONE, NONE },
	{ "rdtsc", BYTES(0x0f, 0x31), NONE, NONE },
};

/* Instructions that come and go with a bit of CPUID. */
static const struct gated {
	struct row row;			/* as it is when the bit is set */
	uint32_t leaf;
	uint8_t reg, bit;		/* EAX 0 to EDX 3 */
	int hidden;			/* what happens when it is not */
} gated[] = {
	{ { "rdtscp", BYTES(0x0f, 0x01, 0xf9), NONE, NONE }, 0x80000001, 3, 27, NONE_UD },
	{ { "rdrand", BYTES(0x0f, 0xc7, 0xf0), NONE, NONE }, 1, 2, 30, NONE_UD },
	{ { "rdseed", BYTES(0x0f, 0xc7, 0xf8), NONE, NONE }, 7, 1, 18, NONE_UD },
	{ { "rdpid", BYTES(0xf3, 0x0f, 0xc7, 0xf8), NONE, NONE }, 7, 2, 22, NONE_UD },
	{ { "invpcid", BYTES(0x6a, 0x00, 0x6a, 0x00, 0x66, 0x0f, 0x38, 0x82), ANY, ANY },
	  7, 1, 10, VEC_UD },
	{ { "stac", BYTES(0x0f, 0x01, 0xcb), NONE, VEC_UD }, 7, 1, 20, VEC_UD },
	/* OSXSAVE is off here */
	{ { "xgetbv", BYTES(0x0f, 0x01, 0xd0), VEC_UD, VEC_UD }, 1, 2, 26, VEC_UD },
	{ { "xsetbv", BYTES(0x0f, 0x01, 0xd1), VEC_UD, UD_GP }, 1, 2, 26, VEC_UD },
	/* off in CR4 */
	{ { "rdfsbase", BYTES(0xf3, 0x48, 0x0f, 0xae, 0xc0), VEC_UD, VEC_UD }, 7, 1, 0, VEC_UD },
	{ { "tpause", BYTES(0x66, 0x0f, 0xae, 0xf1), ANY, ANY }, 7, 2, 5, NONE_UD },
	{ { "movdiri", BYTES(0x0f, 0x38, 0xf9, 0x10), NONE, NONE }, 7, 2, 27, NONE_UD },
	{ { "xsaves", BYTES(0x0f, 0xc7, 0x28), VEC_UD, VEC_UD }, 0xd, 0, 3, VEC_UD },
};

static uint8_t scratch[4096] aligned(4096);

static struct fault row_run(const struct row *row, bool user)
{
	/* EAX scratch, ECX 0, EDX 0 */
	uint8_t code[32] = { 0xb8, 0, 0, 0, 0, 0x31, 0xc9, 0x31, 0xd2 };
	uint32_t at = (uint32_t)(uint64_t)scratch;
	unsigned length = 9;

	copy(code + 1, &at, 4);
	copy(code + length, row->bytes, row->length);
	length += row->length;
	code[length++] = 0xc3;
	return code_call(code, length, user);
}

static bool as_wanted(struct fault f, int want)
{
	bool clean = f.vector != VEC_GP || f.error == 0;

	switch (want) {
	case ANY:
		return true;
	case UD_GP:
		return f.vector == VEC_UD || (f.vector == VEC_GP && clean);
	case NONE_UD:
		return f.vector == NONE || f.vector == VEC_UD;
	case CALL:
		return f.vector == (vendor() == VENDOR_INTEL ? VEC_UD : NONE);
	case OTHER:
		return f.vector == (vendor() == VENDOR_INTEL ? NONE : VEC_UD);
	default:
		return f.vector == want && clean;
	}
}

/* 0F C7 with a memory operand, behind a prefix or none: on one bed those forms that do not exist do
 * nothing at all, in a guest or not. */
static bool is_group9(const struct row *row)
{
	const uint8_t *at = row->bytes + (row->bytes[0] != 0x0f);

	return at[0] == 0x0f && at[1] == 0xc7 && at[2] < 0xc0;
}

static void row_check(const struct row *row, bool user, int want)
{
	struct fault f;
	char name[40];
	unsigned n = 0;

	if (is_group9(row) && cmdline_has("no-group9"))
		return;
	if (want == ANY && !user && row->name[0] && (row->ring0 == ANY && row->bytes[0] == 0xf4))
		return;				/* HLT with interrupts off in ring 0 is die.c's */
	for (const char *at = row->name; *at; at++)
		name[n++] = *at;
	copy(name + n, user ? "_r3" : "_r0", 4);
	f = row_run(row, user);
	check(as_wanted(f, want), name, "got vector %d error %x, want %d", f.vector, f.error, want);
}

static bool has(const struct gated *g)
{
	struct cpuid id = cpuid_count(g->leaf, g->leaf == 0xd);
	uint32_t regs[4] = { id.eax, id.ebx, id.ecx, id.edx };

	return regs[g->reg] >> g->bit & 1;
}

/* Instructions that would change us when they work in ring 0. */
static bool only_ring3(const struct row *row)
{
	return row->ring0 == ANY;
}

void test_main(void)
{
	if (!on_keel()) {
		skip("insns", "a bare machine has these instructions");
		return;
	}
	cr4_write(cr4_read() & ~(CR4_OSXSAVE | CR4_FSGSBASE | CR4_SMAP | CR4_SMEP | CR4_UMIP));
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		if (!only_ring3(&rows[i]))
			row_check(&rows[i], false, rows[i].ring0);
		row_check(&rows[i], true, rows[i].ring3);
	}
	for (unsigned i = 0; i < ARRAY_COUNT(gated); i++) {
		bool there = has(&gated[i]);

		if (there && gated[i].row.ring0 == ANY)
			continue;
		row_check(&gated[i].row, false, there ? gated[i].row.ring0 : gated[i].hidden);
		row_check(&gated[i].row, true, there ? gated[i].row.ring3 : gated[i].hidden);
	}
}
