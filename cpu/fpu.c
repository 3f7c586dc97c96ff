/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FPU state; see cpu/fpu.h.
 */
#include "cpu/fpu.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "lib/string.h"

/* States that Keel knows how to keep; others stay off. */
#define XCR0_KNOWN	(XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)
#define FXSAVE_SIZE	512
#define FCW_RESET	0x037f
#define MXCSR_RESET	0x1f80
#define MXCSR_AT	24
#define RESTORES_POINTERS BIT(2)	/* CPUID 80000008, EBX */

#define XSTATE_BV_AT	FXSAVE_SIZE	/* which states the area holds; others: as after reset */
#define XCOMP_BV_AT	(FXSAVE_SIZE + 8)
#define HEADER_SIZE	64

static uint64_t xcr0;		/* what guests may have */
static uint64_t known;		/* and what the chip knows */
static uint64_t reachable;	/* of that, what they can switch on, be it that it cannot be
				 * refused: each restoring puts it into its state after reset */
static size_t area_size = FXSAVE_SIZE;
static uint32_t pkru_at;	/* in the area; 0: there is none */
static bool keeps_pointers;	/* AMD before Zen 2: restoring leaves the last x87 instruction's
				 * addresses, unless it faulted */

/* Where PKRU is saved; 0: there is none, or the chip does not tell, as Bochs's do not. */
static uint32_t find_pkru(void)
{
	struct cpuid_regs r = cpu_cpuid(0xd, bit_lowest(XCR0_PKRU));

	return cpu_has(FEATURE_PKU) && r.eax >= sizeof(uint32_t) ? r.ebx : 0;
}

/*
 * Keys are a guest's only with their register's place known: a walk in its name may be on while it
 * is not loaded.
 */
void fpu_init(void)
{
	struct cpuid_regs r;

	keeps_pointers = features.vendor == VENDOR_AMD &&
			 !(cpu_cpuid(0x80000008, 0).ebx & RESTORES_POINTERS);
	if (!cpu_has(FEATURE_XSAVE) || features.max_basic < 0xd)
		return;
	r = cpu_cpuid(0xd, 0);
	known = (uint64_t)r.edx << 32 | r.eax;
	xcr0 = known & XCR0_KNOWN;
	if ((xcr0 & XCR0_AVX512) != XCR0_AVX512)
		xcr0 &= ~XCR0_AVX512;
	pkru_at = xcr0 & XCR0_PKRU ? find_pkru() : 0;
	if (!pkru_at)
		xcr0 &= ~XCR0_PKRU;
}

void fpu_cpu_init(void)
{
	uint64_t cr4 = cpu_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	cpu_write_cr0((cpu_read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	cpu_write_cr4(cr4 | (xcr0 ? CR4_OSXSAVE : 0) | (pkru_at ? CR4_PKE : 0));
	if (xcr0) {
		reachable = errata_has(ERRATUM_XSETBV_NOT_INTERCEPTED) ? known : xcr0;
		cpu_xsetbv(0, reachable);
		area_size = cpu_cpuid(0xd, 0).ebx;	/* for what XCR0 holds now */
	}
	/*
	 * Supervisor states of whoever ran before: under SVM a guest's XSAVES and XRSTORS reach
	 * those that are on, and Keel does not switch them.
	 */
	if (cpu_has(FEATURE_XSAVES))
		(void)!cpu_wrmsr_safe(MSR_XSS, 0);
	cpu_fninit();
}

uint64_t fpu_xcr0_offered(void)
{
	return xcr0;
}

uint64_t fpu_xcr0(void)
{
	return reachable;
}

size_t fpu_area_size(void)
{
	return area_size;
}

void fpu_area_init(void *area)
{
	memset(area, 0, area_size);
	*(uint16_t *)area = FCW_RESET;
	*(uint32_t *)((char *)area + MXCSR_AT) = MXCSR_RESET;
}

void fpu_save(void *area)
{
	if (xcr0)
		cpu_xsave(area, xcr0);
	else
		cpu_fxsave(area);
}

uint32_t fpu_pkru_loaded(void)
{
	return pkru_at ? cpu_rdpkru() : 0;
}

uint32_t fpu_pkru_saved(const void *area)
{
	const char *p = area;

	if (!pkru_at || !(*(const uint64_t *)(p + XSTATE_BV_AT) & XCR0_PKRU))
		return 0;
	return *(const uint32_t *)(p + pkru_at);
}

/* Addresses of Keel's, which are no secret, in place of those of the guest that ran before. */
static void clear_pointers(void)
{
	static const int32_t zero;

	__asm__ volatile("fnclex; emms; fildl %0" :: "m"(zero));
}

static int restore(const void *area)
{
	if (keeps_pointers)
		clear_pointers();
	return xcr0 ? cpu_xrstor_safe(area) : cpu_fxrstor_safe(area);
}

/* Legacy part, and a header that says that all states are as after reset. */
static const uint8_t clean[FXSAVE_SIZE + HEADER_SIZE] aligned(FPU_ALIGN) = {
	FCW_RESET & 0xff, FCW_RESET >> 8, [MXCSR_AT] = MXCSR_RESET & 0xff, MXCSR_RESET >> 8,
};

int fpu_restore(const void *area)
{
	int err = restore(area);

	if (err && restore(clean))
		cpu_fninit();
	return err;
}

uint64_t fpu_xcr0_refuse(uint64_t v, uint64_t allowed)
{
	v &= allowed;
	return fpu_xcr0_valid(v) ? v : XCR0_X87;
}

bool fpu_xcr0_valid(uint64_t v)
{
	if (!(v & XCR0_X87) || (v & ~xcr0))
		return false;
	if ((v & XCR0_AVX) && !(v & XCR0_SSE))
		return false;
	if ((v & XCR0_AVX512) && ((v & XCR0_AVX512) != XCR0_AVX512 || !(v & XCR0_AVX)))
		return false;
	return true;
}

/*
 * ---- a trial of XSAVEC ----
 *
 * x87, SSE and AVX have one layout, compacted or not: nothing of what precedes AVX can be left out.
 */

#define XMM_AT		160
#define AVX_AT		(FXSAVE_SIZE + HEADER_SIZE)
#define VECTORS_SIZE	256		/* of sixteen registers, 128 bits each, at both places */
#define TRIED		(XCR0_X87 | XCR0_SSE | XCR0_AVX)
#define COMPACTED	BIT(63)		/* of XCOMP_BV */

static bool tells(const uint8_t *area, unsigned at, uint64_t mask, uint64_t value)
{
	return (*(const uint64_t *)(area + at) & mask) == value;
}

static bool is_compacted(const uint8_t *got, const uint8_t *put)
{
	return tells(got, XCOMP_BV_AT, ~0ul, COMPACTED | TRIED) &&
	       tells(got, XSTATE_BV_AT, ~XCR0_X87, XCR0_SSE | XCR0_AVX) &&
	       !memcmp(got + XMM_AT, put + XMM_AT, VECTORS_SIZE) &&
	       !memcmp(got + AVX_AT, put + AVX_AT, VECTORS_SIZE);
}

void fpu_errata_find(void)
{
	static uint8_t put[AVX_AT + VECTORS_SIZE] aligned(FPU_ALIGN);
	static uint8_t got[sizeof(put)] aligned(FPU_ALIGN);

	if (!cpu_has(FEATURE_XSAVEC) || !(xcr0 & XCR0_AVX) || cpu_cpuid(0xd, 2).ebx != AVX_AT)
		return;
	memcpy(put, clean, sizeof(clean));
	memset(got, 0, sizeof(got));
	for (unsigned i = 0; i < VECTORS_SIZE; i++) {
		put[XMM_AT + i] = (uint8_t)(i + 1);
		put[AVX_AT + i] = (uint8_t)~i;
	}
	*(uint64_t *)(put + XSTATE_BV_AT) = XCR0_SSE | XCR0_AVX;
	if (!restore(put)) {
		cpu_xsavec(got, TRIED);
		errata_force(ERRATUM_XSAVEC_MISPLACES, !is_compacted(got, put));
	}
	(void)!fpu_restore(clean);
}
