/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this machine's CPUs have, read from CPUID once on the boot CPU; `cpu_has(FEATURE_X)` is one
 * load and one test. Rows name the bits that Keel itself asks about; what a guest is shown is
 * vmm/cpuid.c's business.
 * Source: Intel SDM 2, "CPUID"; AMD64 APM 3, "CPUID Feature Flags".
 */
#pragma once

#include "include/bits.h"

/* name, leaf, subleaf, register (0 EAX to 3 EDX), bit, text */
#define FEATURE_ROWS(row)				\
	row(MCE, 1, 0, 3, 7, "mce")			\
	row(MTRR, 1, 0, 3, 12, "mtrr")			\
	row(PGE, 1, 0, 3, 13, "pge")			\
	row(MCA, 1, 0, 3, 14, "mca")			\
	row(PAT, 1, 0, 3, 16, "pat")			\
	row(FXSR, 1, 0, 3, 24, "fxsr")			\
	row(MONITOR, 1, 0, 2, 3, "monitor")		\
	row(VMX, 1, 0, 2, 5, "vmx")			\
	row(PCID, 1, 0, 2, 17, "pcid")			\
	row(X2APIC, 1, 0, 2, 21, "x2apic")		\
	row(TSC_DEADLINE, 1, 0, 2, 24, "tsc_deadline")	\
	row(XSAVE, 1, 0, 2, 26, "xsave")		\
	row(AVX, 1, 0, 2, 28, "avx")			\
	row(RDRAND, 1, 0, 2, 30, "rdrand")		\
	row(HYPERVISOR, 1, 0, 2, 31, "hypervisor")	\
	row(ARAT, 6, 0, 0, 2, "arat")			\
	row(FSGSBASE, 7, 0, 1, 0, "fsgsbase")		\
	row(BMI1, 7, 0, 1, 3, "bmi1")			\
	row(TSC_ADJUST, 7, 0, 1, 1, "tsc_adjust")	\
	row(SMEP, 7, 0, 1, 7, "smep")			\
	row(ERMS, 7, 0, 1, 9, "erms")			\
	row(INVPCID, 7, 0, 1, 10, "invpcid")		\
	row(RTM, 7, 0, 1, 11, "rtm")			\
	row(RDSEED, 7, 0, 1, 18, "rdseed")		\
	row(SMAP, 7, 0, 1, 20, "smap")			\
	row(UMIP, 7, 0, 2, 2, "umip")			\
	row(PKU, 7, 0, 2, 3, "pku")			\
	row(LA57, 7, 0, 2, 16, "la57")			\
	row(RDPID, 7, 0, 2, 22, "rdpid")		\
	row(MD_CLEAR, 7, 0, 3, 10, "md_clear")		\
	row(SPEC_CTRL, 7, 0, 3, 26, "spec_ctrl")	\
	row(STIBP, 7, 0, 3, 27, "stibp")		\
	row(L1D_FLUSH, 7, 0, 3, 28, "l1d_flush")	\
	row(ARCH_CAPABILITIES, 7, 0, 3, 29, "arch_capabilities") \
	row(SSBD, 7, 0, 3, 31, "ssbd")			\
	row(XSAVEOPT, 0xd, 1, 0, 0, "xsaveopt")		\
	row(XSAVEC, 0xd, 1, 0, 1, "xsavec")		\
	row(XSAVES, 0xd, 1, 0, 3, "xsaves")		\
	row(SVM, 0x80000001, 0, 2, 2, "svm")		\
	row(LZCNT, 0x80000001, 0, 2, 5, "lzcnt")	\
	row(SYSCALL, 0x80000001, 0, 3, 11, "syscall")	\
	row(NX, 0x80000001, 0, 3, 20, "nx")		\
	row(PAGE_1G, 0x80000001, 0, 3, 26, "pdpe1gb")	\
	row(RDTSCP, 0x80000001, 0, 3, 27, "rdtscp")	\
	row(LM, 0x80000001, 0, 3, 29, "lm")		\
	row(INVARIANT_TSC, 0x80000007, 0, 3, 8, "invariant_tsc") \
	row(IBPB, 0x80000008, 0, 1, 12, "ibpb")		\
	row(NPT, 0x8000000a, 0, 3, 0, "npt")		\
	row(SVM_LBR, 0x8000000a, 0, 3, 1, "svm_lbr")	\
	row(SVM_LOCK, 0x8000000a, 0, 3, 2, "svm_lock")	\
	row(SVM_NRIPS, 0x8000000a, 0, 3, 3, "svm_nrips") \
	row(SVM_TSC_RATE, 0x8000000a, 0, 3, 4, "svm_tsc_rate") \
	row(SVM_CLEAN, 0x8000000a, 0, 3, 5, "svm_clean") \
	row(SVM_FLUSH_ASID, 0x8000000a, 0, 3, 6, "svm_flush_asid") \
	row(SVM_DECODE, 0x8000000a, 0, 3, 7, "svm_decode") \
	row(SVM_PAUSE_FILTER, 0x8000000a, 0, 3, 10, "svm_pause_filter") \
	row(SVM_PAUSE_THRESHOLD, 0x8000000a, 0, 3, 12, "svm_pause_threshold") \
	row(SVM_AVIC, 0x8000000a, 0, 3, 13, "svm_avic")	\
	row(SVM_VMSAVE, 0x8000000a, 0, 3, 15, "svm_vmsave") \
	row(SVM_VGIF, 0x8000000a, 0, 3, 16, "svm_vgif")	\
	row(SVM_VNMI, 0x8000000a, 0, 3, 25, "svm_vnmi")	\
	row(AUTO_IBRS, 0x80000021, 0, 0, 8, "autoibrs")	\
	row(SRSO_NO, 0x80000021, 0, 0, 29, "srso_no")

enum feature {
#define FEATURE_ENUM(name, leaf, subleaf, reg, bit, text) FEATURE_##name,
	FEATURE_ROWS(FEATURE_ENUM)
#undef FEATURE_ENUM
	FEATURE_COUNT
};

enum cpu_vendor { VENDOR_OTHER, VENDOR_INTEL, VENDOR_AMD };

struct features {
	uint64_t bits[DIV_UP(FEATURE_COUNT, 64)];
	enum cpu_vendor vendor;
	/* Brand without blanks around it; "" where there is none. */
	char vendor_name[13], brand[49], hypervisor[13];
	unsigned family, model, stepping;
	uint32_t max_basic, max_extended;	/* leaves */
	uint8_t physical_bits, linear_bits;
	uint32_t svm_asids;
	bool unlocked;		/* features_unlock() had something to do */
	uint64_t arch_capabilities;		/* Intel's MSR; 0 where there is none */
};

extern struct features features;

static inline bool cpu_has(enum feature f)
{
	return features.bits[f / 64] & BIT(f % 64);
}

const char *features_name(enum feature f);
/* Boot CPU, before anything asks. */
void features_init(void);
/*
 * Boot CPU, once faults are caught: firmware may hide NX and the leaves of CPUID above 2 or 3, for
 * systems that are long dead. Shows them, and reads all again. The trampoline does it for the other
 * CPUs.
 */
void features_unlock(void);
/*
 * Another CPU: features that the boot CPU has and this one lacks, the first of them;
 * FEATURE_COUNT if none.
 */
enum feature features_missing_here(void);
