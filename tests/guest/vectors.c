/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87, MMX, SSE and AVX with a device's memory (pc-testdev's) as their operand, and with RAM that
 * holds the same: registers, flags, state and memory must be left alike, or the same fault taken,
 * whatever this processor does.
 */
#include "tests/guest/lib/guest.h"

#define DEVICE	0xff000000ul
#define SIZE	128u			/* of the operand's surroundings */
#define ROUNDS	4u			/* the last two with exceptions unmasked */
#define ARITHMETIC 0x8d5u		/* flags */
#define CR4_OSXMMEXCPT (1ul << 10)

struct area {
	uint16_t fcw, fsw, ftw, fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint64_t st[8][2], xmm[16][2], unused[12], header[8], ymm[16][2], more[400];
} aligned(64);

struct outcome {
	struct area area;
	uint8_t memory[SIZE];
	uint64_t rax, rcx, flags;
	struct fault fault;
};

#define BYTES(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

/* The operand is (%rbx). */
static const struct row {
	const char *name;
	uint8_t bytes[8], length;
} rows[] = {
	{ "fld_m32", BYTES(0xd9, 0x03) }, { "fld_m64", BYTES(0xdd, 0x03) },
	{ "fld_m80", BYTES(0xdb, 0x2b) }, { "fst_m32", BYTES(0xd9, 0x13) },
	{ "fstp_m64", BYTES(0xdd, 0x1b) }, { "fstp_m80", BYTES(0xdb, 0x3b) },
	{ "fild_m16", BYTES(0xdf, 0x03) }, { "fild_m32", BYTES(0xdb, 0x03) },
	{ "fild_m64", BYTES(0xdf, 0x2b) }, { "fist_m32", BYTES(0xdb, 0x13) },
	{ "fistp_m16", BYTES(0xdf, 0x1b) }, { "fistp_m64", BYTES(0xdf, 0x3b) },
	{ "fisttp_m64", BYTES(0xdd, 0x0b) }, { "fbld", BYTES(0xdf, 0x23) },
	{ "fadd_m32", BYTES(0xd8, 0x03) }, { "fmul_m64", BYTES(0xdc, 0x0b) },
	{ "fdivr_m64", BYTES(0xdc, 0x3b) }, { "fcom_m32", BYTES(0xd8, 0x13) },
	{ "fisub_m32", BYTES(0xda, 0x23) }, { "fiadd_m16", BYTES(0xde, 0x03) },
	{ "fnstcw", BYTES(0xd9, 0x3b) }, { "fldcw", BYTES(0xd9, 0x2b) },
	{ "fnstsw", BYTES(0xdd, 0x3b) }, { "fnstenv", BYTES(0xd9, 0x33) },
	{ "fnstenv_14", BYTES(0x66, 0xd9, 0x33) }, { "fldenv", BYTES(0xd9, 0x23) },
	{ "fnsave", BYTES(0xdd, 0x33) }, { "frstor", BYTES(0xdd, 0x23) },
	{ "movq_mm", BYTES(0x0f, 0x6f, 0x0b) }, { "paddb_mm", BYTES(0x0f, 0xfc, 0x0b) },
	{ "punpcklbw_mm", BYTES(0x0f, 0x60, 0x0b) }, { "pmaddwd_mm", BYTES(0x0f, 0xf5, 0x0b) },
	{ "pshufw_mm", BYTES(0x0f, 0x70, 0x0b, 0x1b) }, { "movq_from_mm", BYTES(0x0f, 0x7f, 0x0b) },
	{ "movups", BYTES(0x0f, 0x10, 0x0b) }, { "movaps_to", BYTES(0x0f, 0x29, 0x0b) },
	{ "movhps", BYTES(0x0f, 0x16, 0x0b) }, { "movlpd_to", BYTES(0x66, 0x0f, 0x13, 0x0b) },
	{ "addps", BYTES(0x0f, 0x58, 0x0b) }, { "addsd", BYTES(0xf2, 0x0f, 0x58, 0x0b) },
	{ "divps", BYTES(0x0f, 0x5e, 0x0b) }, { "sqrtpd", BYTES(0x66, 0x0f, 0x51, 0x0b) },
	{ "cmpps", BYTES(0x0f, 0xc2, 0x0b, 0x01) }, { "ucomisd", BYTES(0x66, 0x0f, 0x2e, 0x0b) },
	{ "cvtsi2sd", BYTES(0xf2, 0x48, 0x0f, 0x2a, 0x0b) },
	{ "cvttsd2si", BYTES(0xf2, 0x48, 0x0f, 0x2c, 0x03) },
	{ "cvtss2si", BYTES(0xf3, 0x0f, 0x2d, 0x0b) }, { "cvtps2pd", BYTES(0x0f, 0x5a, 0x0b) },
	{ "cvtpi2ps", BYTES(0x0f, 0x2a, 0x0b) }, { "cvtps2pi", BYTES(0x0f, 0x2d, 0x0b) },
	{ "paddd", BYTES(0x66, 0x0f, 0xfe, 0x0b) }, { "pxor", BYTES(0x66, 0x0f, 0xef, 0x0b) },
	{ "pcmpeqb", BYTES(0x66, 0x0f, 0x74, 0x0b) }, { "pslld", BYTES(0x66, 0x0f, 0xf2, 0x0b) },
	{ "pshufd", BYTES(0x66, 0x0f, 0x70, 0x0b, 0x1b) },
	{ "pinsrw", BYTES(0x66, 0x0f, 0xc4, 0x0b, 0x05) },
	{ "pshufb", BYTES(0x66, 0x0f, 0x38, 0x00, 0x0b) },
	{ "pmovzxbw", BYTES(0x66, 0x0f, 0x38, 0x30, 0x0b) },
	{ "ptest", BYTES(0x66, 0x0f, 0x38, 0x17, 0x0b) },
	{ "pmulld", BYTES(0x66, 0x0f, 0x38, 0x40, 0x0b) },
	{ "blendvps", BYTES(0x66, 0x0f, 0x38, 0x14, 0x0b) },
	{ "roundps", BYTES(0x66, 0x0f, 0x3a, 0x08, 0x0b, 0x01) },
	{ "palignr", BYTES(0x66, 0x0f, 0x3a, 0x0f, 0x0b, 0x05) },
	{ "pextrd", BYTES(0x66, 0x0f, 0x3a, 0x16, 0x0b, 0x02) },
	{ "pinsrq", BYTES(0x66, 0x48, 0x0f, 0x3a, 0x22, 0x0b, 0x01) },
	{ "pcmpistri", BYTES(0x66, 0x0f, 0x3a, 0x63, 0x0b, 0x0c) },
	{ "pcmpestrm", BYTES(0x66, 0x0f, 0x3a, 0x60, 0x0b, 0x40) },
	{ "aesenc", BYTES(0x66, 0x0f, 0x38, 0xdc, 0x0b) },
	{ "ldmxcsr", BYTES(0x0f, 0xae, 0x13) }, { "stmxcsr", BYTES(0x0f, 0xae, 0x1b) },
	{ "vmovups", BYTES(0xc5, 0xfc, 0x10, 0x0b) }, { "vmovups_to", BYTES(0xc5, 0xfc, 0x11, 0x0b) },
	{ "vmovss", BYTES(0xc5, 0xfa, 0x10, 0x0b) }, { "vaddps", BYTES(0xc5, 0xec, 0x58, 0x0b) },
	{ "vaddps_128", BYTES(0xc5, 0xe8, 0x58, 0x0b) }, { "vpxor", BYTES(0xc5, 0xe9, 0xef, 0x0b) },
	{ "vpaddd_256", BYTES(0xc5, 0xed, 0xfe, 0x0b) },
	{ "vbroadcastss", BYTES(0xc4, 0xe2, 0x7d, 0x18, 0x0b) },
	{ "vpbroadcastb", BYTES(0xc4, 0xe2, 0x7d, 0x78, 0x0b) },
	{ "vinsertf128", BYTES(0xc4, 0xe3, 0x6d, 0x18, 0x0b, 0x01) },
	{ "vextractf128", BYTES(0xc4, 0xe3, 0x7d, 0x19, 0x0b, 0x01) },
	{ "vfmadd213pd", BYTES(0xc4, 0xe2, 0xed, 0xa8, 0x0b) },
	{ "vfmadd231ss", BYTES(0xc4, 0xe2, 0x69, 0xb9, 0x0b) },
	{ "vmaskmovps", BYTES(0xc4, 0xe2, 0x6d, 0x2c, 0x0b) },
	{ "vpmaskmovq_to", BYTES(0xc4, 0xe2, 0xed, 0x8e, 0x0b) },
	{ "maskmovdqu", BYTES(0x48, 0x89, 0xdf, 0x66, 0x0f, 0xf7, 0xca) },
	{ "vcvtph2ps", BYTES(0xc4, 0xe2, 0x7d, 0x13, 0x0b) },
};

static struct outcome ram, device;
static struct area before;
static uint8_t operand[SIZE] aligned(64), ram_memory[SIZE] aligned(64);
static bool have_avx;

static void state_load(const struct area *a)
{
	if (have_avx)
		__asm__ volatile("xrstor64 (%0)" :: "r"(a), "a"(7), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" :: "r"(a) : "memory");
}

static void state_save(struct area *a)
{
	fill(a, 0, sizeof(*a));
	if (have_avx)
		__asm__ volatile("xsave64 (%0)" :: "r"(a), "a"(7), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" :: "r"(a) : "memory");
}

static void move(volatile void *to, const volatile void *from)
{
	for (unsigned i = 0; i < SIZE / 8; i++)
		((volatile uint64_t *)to)[i] = ((const volatile uint64_t *)from)[i];
}

static unsigned put32(uint8_t *code, uint64_t v)
{
	copy(code, &(uint32_t){ (uint32_t)v }, 4);
	return 4;
}

/* Registers and flags as given, the row, and where they are kept. */
static void run(const struct row *row, uint64_t at, struct outcome *o)
{
	static const uint8_t head[] = { 0xb8, 5, 0, 0, 0, 0xba, 7, 0, 0, 0, 0xb9, 0x11, 0, 0, 0,
					0x31, 0xf6, 0xbb };
	static const uint8_t keep[][4] = { { 0x9c, 0x8f, 0x04, 0x25 }, { 0x48, 0x89, 0x04, 0x25 },
					   { 0x48, 0x89, 0x0c, 0x25 } };
	uint64_t *const to[] = { &o->flags, &o->rax, &o->rcx };
	uint8_t code[64];
	unsigned n = sizeof(head);

	copy(code, head, n);
	n += put32(code + n, at);
	copy(code + n, row->bytes, row->length);
	n += row->length;
	for (unsigned i = 0; i < 3; i++) {
		copy(code + n, keep[i], 4);
		n += 4;
		n += put32(code + n, (uint64_t)to[i]);
	}
	code[n++] = 0xc3;
	o->rax = o->rcx = o->flags = 0;
	move((void *)at, operand);
	state_load(&before);
	o->fault = code_call(code, n, false);
	state_save(&o->area);
	move(o->memory, (void *)at);
}

/* Small numbers, large ones and others. */
static uint64_t value(void)
{
	static const uint64_t special[] = { 0, 0x3ff0000000000000, 0x7ff0000000000000, 1,
					    0x3f8000003f800000, 0x7fc00000c0490fdb };
	uint64_t v = random_next();

	return v % 3 == 0 ? special[v / 3 % 6]
			  : v % 3 == 1 ? (v & 0x800fffff800fffff) | 0x3f8000003f800000 : v;
}

static void make(unsigned round)
{
	fill(&before, 0, sizeof(before));
	/* QEMU notes what a store raises before it finds that it cannot store. */
	before.fcw = round < 2 || on_qemu_chip() ? 0x37f : 0x340;
	before.ftw = round & 1 ? 0x3f : 0xff;
	before.fsw = (round & 3) << 11;
	if (round == 3 && !on_qemu_chip())
		before.fsw |= 0x8081;		/* one waits */
	before.mxcsr = round < 2 ? 0x1f80 : 0x0000;
	before.header[0] = 7;
	for (unsigned i = 0; i < 16; i++)
		for (unsigned half = 0; half < 2; half++) {
			before.xmm[i][half] = value();
			before.ymm[i][half] = value();
		}
	for (unsigned i = 0; i < 8; i++) {
		before.st[i][0] = value() | 1ul << 63;
		before.st[i][1] = 0x3ff0 + value() % 32;
	}
	for (unsigned i = 0; i < SIZE / 8; i++)
		((uint64_t *)operand)[i] = value();
	/* environments that can be loaded, and MXCSR */
	if (round & 1)
		copy(operand, (const uint8_t[]){ 0x7f, 0x03, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 10);
}

/* x87's pointers tell where the code was, and some processors say more of that than others. */
static bool alike(void)
{
	struct area *r = &ram.area, *d = &device.area;

	return r->fcw == d->fcw && r->fsw == d->fsw && r->ftw == d->ftw && r->mxcsr == d->mxcsr &&
	       !compare(r->st, d->st, sizeof(r->st)) && !compare(r->xmm, d->xmm, sizeof(r->xmm)) &&
	       !compare(r->ymm, d->ymm, sizeof(r->ymm));
}

static bool one(const struct row *row, unsigned round)
{
	make(round);
	if (row->bytes[1] == 0xae)		/* QEMU knows no bad value of MXCSR */
		operand[2] = operand[3] = 0;
	run(row, (uint64_t)ram_memory, &ram);
	run(row, DEVICE, &device);
	if (ram.fault.vector != device.fault.vector || ram.fault.error != device.fault.error ||
	    ram.rax != device.rax || ram.rcx != device.rcx ||
	    ((ram.flags ^ device.flags) & ARITHMETIC))
		return false;
	/* the operand's address, which environments have, differs */
	if (row->bytes[0] != 0x66 && (row->bytes[0] == 0xd9 || row->bytes[0] == 0xdd) &&
	    (row->bytes[1] & 0x38) == 0x30)
		return alike() && !compare(ram.memory, device.memory, 12);
	return alike() && (row->bytes[1] == 0xd9 || !compare(ram.memory, device.memory, SIZE));
}

void test_main(void)
{
	unsigned taken[32] = { 0 };

	cr0_write((cr0_read() & ~(CR0_EM | CR0_TS)) | CR0_NE | CR0_MP);
	cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if ((cpuid(1).ecx >> 26 & 5) == 5) {			/* XSAVE, AVX */
		cr4_write(cr4_read() | CR4_OSXSAVE);
		have_avx = xsetbv_try(0, 7).vector < 0;
	}
	random_seed(0x5eed);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned round = 0;

		while (round < ROUNDS && one(&rows[i], round))
			round++;
		check(round == ROUNDS, rows[i].name,
		      "round %u: vector %d and %d, rax %lx %lx, rcx %lx %lx, flags %lx %lx, fsw %x %x, mxcsr %x %x",
		      round, ram.fault.vector, device.fault.vector, ram.rax, device.rax, ram.rcx,
		      device.rcx, ram.flags, device.flags, ram.area.fsw, device.area.fsw,
		      ram.area.mxcsr, device.area.mxcsr);
		if (device.fault.vector >= 0)
			taken[device.fault.vector & 31]++;
	}
	print("INFO avx %u, of the last rounds %u #UD, %u #XM, %u #MF\n", have_avx, taken[VEC_UD],
	      taken[VEC_XM], taken[VEC_MF]);
	__asm__ volatile("fninit");
}
