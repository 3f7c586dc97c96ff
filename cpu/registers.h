/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and bits of the registers of the architecture, as the manuals spell them, sorted by
 * encoding. The VMX capability MSRs are in vmx/, VMCB and VMCS fields with their owners. Only
 * numbers: also the assembly's source, through kernel/offsets.c.
 * Sources: Intel SDM 3, "System Architecture Overview"; SDM 4, "Model-Specific Registers"; AMD64
 * APM 2, "MSR Cross-Reference".
 */
#pragma once

#include "include/bits.h"

/* ---- RFLAGS ---- */
#define RFLAGS_CF	BIT(0)
#define RFLAGS_ONE	BIT(1)		/* always set */
#define RFLAGS_PF	BIT(2)
#define RFLAGS_AF	BIT(4)
#define RFLAGS_ZF	BIT(6)
#define RFLAGS_SF	BIT(7)
#define RFLAGS_TF	BIT(8)
#define RFLAGS_IF	BIT(9)
#define RFLAGS_DF	BIT(10)
#define RFLAGS_OF	BIT(11)
#define RFLAGS_IOPL	BITS(13, 12)
#define RFLAGS_NT	BIT(14)
#define RFLAGS_RF	BIT(16)
#define RFLAGS_VM	BIT(17)
#define RFLAGS_AC	BIT(18)
#define RFLAGS_VIF	BIT(19)
#define RFLAGS_VIP	BIT(20)
#define RFLAGS_ID	BIT(21)

/* ---- CR0 ---- */
#define CR0_PE		BIT(0)
#define CR0_MP		BIT(1)
#define CR0_EM		BIT(2)
#define CR0_TS		BIT(3)
#define CR0_ET		BIT(4)
#define CR0_NE		BIT(5)
#define CR0_WP		BIT(16)
#define CR0_AM		BIT(18)
#define CR0_NW		BIT(29)
#define CR0_CD		BIT(30)
#define CR0_PG		BIT(31)

/* ---- CR3 ---- */
#define CR3_PWT		BIT(3)
#define CR3_PCD		BIT(4)
#define CR3_NOFLUSH	BIT(63)		/* with CR4.PCIDE */

/* ---- CR4 ---- */
#define CR4_VME		BIT(0)
#define CR4_PVI		BIT(1)
#define CR4_TSD		BIT(2)
#define CR4_DE		BIT(3)
#define CR4_PSE		BIT(4)
#define CR4_PAE		BIT(5)
#define CR4_MCE		BIT(6)
#define CR4_PGE		BIT(7)
#define CR4_PCE		BIT(8)
#define CR4_OSFXSR	BIT(9)
#define CR4_OSXMMEXCPT	BIT(10)
#define CR4_UMIP	BIT(11)
#define CR4_LA57	BIT(12)
#define CR4_VMXE	BIT(13)
#define CR4_SMXE	BIT(14)
#define CR4_FSGSBASE	BIT(16)
#define CR4_PCIDE	BIT(17)
#define CR4_OSXSAVE	BIT(18)
#define CR4_KL		BIT(19)
#define CR4_SMEP	BIT(20)
#define CR4_SMAP	BIT(21)
#define CR4_PKE		BIT(22)
#define CR4_CET		BIT(23)
#define CR4_PKS		BIT(24)

/* ---- DR6, DR7 ---- */
#define DR6_B0		BIT(0)
#define DR6_B1		BIT(1)
#define DR6_B2		BIT(2)
#define DR6_B3		BIT(3)
#define DR6_BD		BIT(13)
#define DR6_BS		BIT(14)
#define DR6_BT		BIT(15)
#define DR6_RTM		BIT(16)
#define DR6_RESET	0xffff0ff0ul
#define DR7_LE		BIT(8)
#define DR7_GE		BIT(9)
#define DR7_RTM		BIT(11)
#define DR7_GD		BIT(13)
#define DR7_RESET	0x400ul

/* ---- XCR0 ---- */
#define XCR0_X87	BIT(0)
#define XCR0_SSE	BIT(1)
#define XCR0_AVX	BIT(2)
#define XCR0_BNDREGS	BIT(3)
#define XCR0_BNDCSR	BIT(4)
#define XCR0_OPMASK	BIT(5)
#define XCR0_ZMM_HI256	BIT(6)
#define XCR0_HI16_ZMM	BIT(7)
#define XCR0_PT		BIT(8)		/* IA32_XSS */
#define XCR0_PKRU	BIT(9)
#define XCR0_TILECFG	BIT(17)
#define XCR0_TILEDATA	BIT(18)
#define XCR0_AVX512	(XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)

/* ---- exception vectors, and which push an error code ---- */
#define EXC_DE		0
#define EXC_DB		1
#define EXC_NMI		2
#define EXC_BP		3
#define EXC_OF		4
#define EXC_BR		5
#define EXC_UD		6
#define EXC_NM		7
#define EXC_DF		8
#define EXC_TS		10
#define EXC_NP		11
#define EXC_SS		12
#define EXC_GP		13
#define EXC_PF		14
#define EXC_MF		16
#define EXC_AC		17
#define EXC_MC		18
#define EXC_XM		19
#define EXC_VE		20
#define EXC_CP		21
#define EXC_HV		28
#define EXC_VC		29
#define EXC_SX		30
#define EXC_COUNT	32
#define EXC_WITH_ERROR	(1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | \
			 1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC | 1u << EXC_CP | \
			 1u << EXC_VC | 1u << EXC_SX)

/* Error code of #PF. */
#define PF_PRESENT	BIT(0)
#define PF_WRITE	BIT(1)
#define PF_USER		BIT(2)
#define PF_RSVD		BIT(3)
#define PF_FETCH	BIT(4)
#define PF_PK		BIT(5)

/* ---- EFER ---- */
#define EFER_SCE	BIT(0)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define EFER_NXE	BIT(11)
#define EFER_SVME	BIT(12)
#define EFER_LMSLE	BIT(13)
#define EFER_FFXSR	BIT(14)
#define EFER_TCE	BIT(15)
#define EFER_AUTO_IBRS	BIT(21)

/* ---- memory types, as in PAT, MTRRs, EPT ---- */
#define PAT_UC		0
#define PAT_WC		1
#define PAT_WT		4
#define PAT_WP		5
#define PAT_WB		6
#define PAT_UC_MINUS	7
#define PAT_RESET	0x0007040600070406ul

/* ---- model-specific registers ---- */
#define MSR_P5_MC_ADDR		0x00000000
#define MSR_P5_MC_TYPE		0x00000001
#define MSR_TSC			0x00000010
#define MSR_PLATFORM_ID		0x00000017
#define MSR_APIC_BASE		0x0000001b
#define MSR_FEATURE_CONTROL	0x0000003a
#define MSR_TSC_ADJUST		0x0000003b
#define MSR_SPEC_CTRL		0x00000048
#define MSR_PRED_CMD		0x00000049
#define MSR_BIOS_UPDT_TRIG	0x00000079
#define MSR_BIOS_SIGN_ID	0x0000008b	/* AMD: PATCH_LEVEL */
#define MSR_SMM_MONITOR_CTL	0x0000009b
#define MSR_PMC0		0x000000c1
#define MSR_CORE_CAPABILITIES	0x000000cf
#define MSR_PLATFORM_INFO	0x000000ce
#define MSR_MPERF		0x000000e7
#define MSR_APERF		0x000000e8
#define MSR_MTRRCAP		0x000000fe
#define MSR_ARCH_CAPABILITIES	0x0000010a
#define MSR_FLUSH_CMD		0x0000010b
#define MSR_TSX_FORCE_ABORT	0x0000010f
#define MSR_TSX_CTRL		0x00000122
#define MSR_MISC_FEATURES_ENABLES 0x00000140
#define MSR_SYSENTER_CS		0x00000174
#define MSR_SYSENTER_ESP	0x00000175
#define MSR_SYSENTER_EIP	0x00000176
#define MSR_MCG_CAP		0x00000179
#define MSR_MCG_STATUS		0x0000017a
#define MSR_MCG_CTL		0x0000017b
#define MSR_PERFEVTSEL0		0x00000186
#define MSR_PERF_STATUS		0x00000198
#define MSR_PERF_CTL		0x00000199
#define MSR_CLOCK_MODULATION	0x0000019a
#define MSR_THERM_INTERRUPT	0x0000019b
#define MSR_THERM_STATUS	0x0000019c
#define MSR_MISC_ENABLE		0x000001a0
#define MSR_TEMPERATURE_TARGET	0x000001a2
#define MSR_ENERGY_PERF_BIAS	0x000001b0
#define MSR_XFD			0x000001c4
#define MSR_XFD_ERR		0x000001c5
#define MSR_DEBUGCTL		0x000001d9
#define MSR_LASTBRANCHFROMIP	0x000001db
#define MSR_LASTBRANCHTOIP	0x000001dc
#define MSR_LASTINTFROMIP	0x000001dd
#define MSR_LASTINTTOIP		0x000001de
#define MSR_MTRR_PHYSBASE0	0x00000200	/* base and mask in turn, up to 0x20f */
#define MSR_MTRR_PHYSMASK0	0x00000201
#define MSR_MTRR_FIX64K_00000	0x00000250
#define MSR_MTRR_FIX16K_80000	0x00000258
#define MSR_MTRR_FIX16K_A0000	0x00000259
#define MSR_MTRR_FIX4K_C0000	0x00000268
#define MSR_MTRR_FIX4K_C8000	0x00000269
#define MSR_MTRR_FIX4K_D0000	0x0000026a
#define MSR_MTRR_FIX4K_D8000	0x0000026b
#define MSR_MTRR_FIX4K_E0000	0x0000026c
#define MSR_MTRR_FIX4K_E8000	0x0000026d
#define MSR_MTRR_FIX4K_F0000	0x0000026e
#define MSR_MTRR_FIX4K_F8000	0x0000026f
#define MSR_PAT			0x00000277
#define MSR_MTRR_DEF_TYPE	0x000002ff
#define MSR_FIXED_CTR0		0x00000309
#define MSR_PERF_CAPABILITIES	0x00000345
#define MSR_FIXED_CTR_CTRL	0x0000038d
#define MSR_PERF_GLOBAL_STATUS	0x0000038e
#define MSR_PERF_GLOBAL_CTRL	0x0000038f
#define MSR_PERF_GLOBAL_OVF_CTRL 0x00000390
#define MSR_PEBS_ENABLE		0x000003f1
#define MSR_MC0_CTL		0x00000400	/* four to a bank: CTL, STATUS, ADDR, MISC */
#define MSR_MC0_STATUS		0x00000401
#define MSR_MC0_ADDR		0x00000402
#define MSR_MC0_MISC		0x00000403
#define MSR_DS_AREA		0x00000600
#define MSR_RAPL_POWER_UNIT	0x00000606
#define MSR_U_CET		0x000006a0
#define MSR_S_CET		0x000006a2
#define MSR_PL0_SSP		0x000006a4
#define MSR_INTERRUPT_SSP_TABLE	0x000006a8
#define MSR_TSC_DEADLINE	0x000006e0
#define MSR_PKRS		0x000006e1
#define MSR_X2APIC_BASE		0x00000800	/* + xAPIC register offset / 16 */
#define MSR_X2APIC_ID		0x00000802
#define MSR_X2APIC_VERSION	0x00000803
#define MSR_X2APIC_TPR		0x00000808
#define MSR_X2APIC_EOI		0x0000080b
#define MSR_X2APIC_LDR		0x0000080d
#define MSR_X2APIC_SVR		0x0000080f
#define MSR_X2APIC_ICR		0x00000830
#define MSR_X2APIC_SELF_IPI	0x0000083f
#define MSR_X2APIC_LAST		0x000008ff
#define MSR_XSS			0x00000da0

#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103
#define MSR_TSC_RATIO		0xc0000104

#define MSR_PERFCTR_SEL0_K7	0xc0010000
#define MSR_PERFCTR0_K7		0xc0010004
#define MSR_SYSCFG		0xc0010010
#define MSR_HWCR		0xc0010015
#define MSR_IORR_BASE0		0xc0010016
#define MSR_TOP_MEM		0xc001001a
#define MSR_TOP_MEM2		0xc001001d
#define MSR_PATCH_LOADER	0xc0010020
#define MSR_NB_CFG		0xc001001f
#define MSR_INT_PENDING		0xc0010055
#define MSR_MMIO_CONF_BASE	0xc0010058
#define MSR_PSTATE_STATUS	0xc0010063
#define MSR_PSTATE0		0xc0010064
#define MSR_SMM_BASE		0xc0010111
#define MSR_VM_CR		0xc0010114
#define MSR_IGNNE		0xc0010115
#define MSR_SMM_CTL		0xc0010116
#define MSR_VM_HSAVE_PA		0xc0010117
#define MSR_SVM_KEY		0xc0010118
#define MSR_OSVW_ID_LENGTH	0xc0010140
#define MSR_OSVW_STATUS		0xc0010141
#define MSR_PERFCTR_SEL0	0xc0010200
#define MSR_PERFCTR0		0xc0010201
#define MSR_LS_CFG		0xc0011020
#define MSR_DC_CFG		0xc0011022
#define MSR_DE_CFG		0xc0011029
#define MSR_IBS_CTL		0xc001103a

/* MSR_APIC_BASE */
#define APIC_BASE_BSP		BIT(8)
#define APIC_BASE_X2APIC	BIT(10)
#define APIC_BASE_ENABLE	BIT(11)
#define APIC_BASE_ADDRESS	BITS(51, 12)
#define APIC_BASE_RESET		0xfee00000ul

/* MSR_FEATURE_CONTROL */
#define FEATURE_CONTROL_LOCK	BIT(0)
#define FEATURE_CONTROL_VMX_SMX	BIT(1)
#define FEATURE_CONTROL_VMX	BIT(2)

/* MSR_ARCH_CAPABILITIES */
#define ARCH_CAP_RDCL_NO	BIT(0)
#define ARCH_CAP_IBRS_ALL	BIT(1)
#define ARCH_CAP_MDS_NO		BIT(5)
#define ARCH_CAP_PSCHANGE_MC_NO	BIT(6)
#define ARCH_CAP_TAA_NO		BIT(8)
#define ARCH_CAP_PBRSB_NO	BIT(24)
#define ARCH_CAP_RFDS_CLEAR	BIT(28)

/* MSR_SPEC_CTRL, MSR_PRED_CMD, MSR_FLUSH_CMD */
#define SPEC_CTRL_IBRS		BIT(0)
#define SPEC_CTRL_STIBP		BIT(1)
#define SPEC_CTRL_SSBD		BIT(2)
#define PRED_CMD_IBPB		BIT(0)
#define FLUSH_CMD_L1D		BIT(0)

/* MSR_MISC_ENABLE */
#define MISC_ENABLE_FAST_STRING	BIT(0)
#define MISC_ENABLE_PERFMON	BIT(7)
#define MISC_ENABLE_BTS_UNAVAIL	BIT(11)
#define MISC_ENABLE_PEBS_UNAVAIL BIT(12)
#define MISC_ENABLE_MWAIT	BIT(18)
#define MISC_ENABLE_CPUID_LIMIT	BIT(22)
#define MISC_ENABLE_XD_DISABLE	BIT(34)

/* MSR_DEBUGCTL */
#define DEBUGCTL_LBR		BIT(0)
#define DEBUGCTL_BTF		BIT(1)

/* MSR_MTRRCAP, MSR_MTRR_DEF_TYPE, MSR_MTRR_PHYSMASK0 */
#define MTRRCAP_VCNT		BITS(7, 0)
#define MTRRCAP_FIX		BIT(8)
#define MTRRCAP_WC		BIT(10)
#define MTRR_DEF_TYPE_FE	BIT(10)
#define MTRR_DEF_TYPE_E		BIT(11)
#define MTRR_PHYSMASK_VALID	BIT(11)

/* MSR_VM_CR */
#define VM_CR_DPD		BIT(0)
#define VM_CR_R_INIT		BIT(1)
#define VM_CR_DIS_A20M		BIT(2)
#define VM_CR_LOCK		BIT(3)
#define VM_CR_SVMDIS		BIT(4)

/* MSR_MCG_CAP, MSR_MCG_STATUS, MSR_MC0_STATUS */
#define MCG_CAP_COUNT		BITS(7, 0)
#define MCG_CAP_CTL		BIT(8)
#define MCG_STATUS_RIPV		BIT(0)
#define MCG_STATUS_EIPV		BIT(1)
#define MCG_STATUS_MCIP		BIT(2)
#define MC_STATUS_VAL		BIT(63)
#define MC_STATUS_UC		BIT(61)
#define MC_STATUS_ADDRV		BIT(58)
#define MC_STATUS_EN		BIT(60)
#define MC_STATUS_PCC		BIT(57)
