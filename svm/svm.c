/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD's Secure Virtual Machine on this machine: is it there, switching it on for each CPU, and the
 * table through which vmm/ reaches the back end.
 * Source: AMD64 APM 2, "Secure Virtual Machine": "Enabling SVM", "MSR and I/O intercepts".
 */
#include "svm/svm.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "svm/svm_insn.h"
#include "svm/svm_ops.h"

#define TSC_RATIO_ONE	(1ul << 32)

#define IOPM_ORDER	2	/* 12 KiB used */
#define MSRPM_ORDER	1	/* 8 KiB */

struct svm_cpu svm_cpu PERCPU;
hpa_t svm_iopm, svm_msrpm;

/* Guests reach these without an exit: VMLOAD and VMSAVE switch them. */
static const uint32_t direct_msrs[] = {
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
	MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
};

/* Two bits for each MSR, read and write, in three areas of 2 KiB. */
static void msrpm_pass(uint8_t *map, uint32_t msr)
{
	uint32_t area = msr >= 0xc0010000 ? 2 : msr >= 0xc0000000 ? 1 : 0;
	uint32_t bit = 2 * (msr & 0x1fff);

	map[area * 2048 + bit / 8] &= (uint8_t)~(3u << bit % 8);
}

static int maps_init(void)
{
	struct page *io = page_alloc(IOPM_ORDER, 0, NODE_ANY, &page_charge_kernel);
	struct page *msr = page_alloc(MSRPM_ORDER, 0, NODE_ANY, &page_charge_kernel);

	if (!io || !msr)
		return -ENOMEM;
	memset(page_virt(io), 0xff, PAGE_SIZE << IOPM_ORDER);
	memset(page_virt(msr), 0xff, PAGE_SIZE << MSRPM_ORDER);
	for (unsigned i = 0; i < ARRAY_COUNT(direct_msrs); i++)
		msrpm_pass(page_virt(msr), direct_msrs[i]);
	svm_iopm = page_hpa(io);
	svm_msrpm = page_hpa(msr);
	return 0;
}

static bool disabled_by_firmware(void)
{
	uint64_t vm_cr;

	if (!cpu_rdmsr_safe(MSR_VM_CR, &vm_cr))
		return vm_cr & VM_CR_SVMDIS;
	errata_set(ERRATUM_SVM_NO_VM_CR);
	return false;
}

static int svm_probe(char *why, size_t size)
{
	if (!cpu_has(FEATURE_SVM)) {
		format(why, size, "the CPU has no SVM");
		return -ENOENT;
	}
	if (disabled_by_firmware()) {
		format(why, size,
		       "SVM is disabled by the firmware: enable \"SVM Mode\" (AMD-V) in its CPU settings");
		return -EPERM;
	}
	if (!cpu_has(FEATURE_NPT)) {
		format(why, size, "the CPU's SVM has no nested paging (NPT), which Keel needs");
		return -ENODEV;
	}
	return maps_init();
}

/* What another hypervisor may have left behind and would reach into guests. */
static void reset_msrs(void)
{
	if (cpu_has(FEATURE_SVM_TSC_RATE))
		(void)!cpu_wrmsr_safe(MSR_TSC_RATIO, TSC_RATIO_ONE);
	(void)!cpu_wrmsr_safe(MSR_DEBUGCTL, 0);
}

static int svm_cpu_enable(void)
{
	struct svm_cpu *c = &this_cpu(svm_cpu);

	if (disabled_by_firmware())
		return -EPERM;
	c->host_page = page_alloc(0, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);
	c->save_page = page_alloc(0, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);
	if (!c->host_page || !c->save_page)
		return -ENOMEM;
	c->host_vmcb = page_hpa(c->host_page);
	c->asid_generation = 1;
	svm_flush_asids();	/* of whoever used them before */
	cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) | EFER_SVME);
	cpu_wrmsr(MSR_VM_HSAVE_PA, page_hpa(c->save_page).v);
	svm_machine_check_cpu_init();
	reset_msrs();
	svm_vmsave(c->host_vmcb);
	return cpu_index() ? 0 : svm_errata_find();
}

/* A panic may have come between CLGI and STGI: INIT, and so a reset, would be held back. */
static void svm_cpu_disable(void)
{
	svm_gif_set();
	cpu_wrmsr(MSR_VM_HSAVE_PA, 0);
	cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) & ~EFER_SVME);
}

static void svm_describe(char *buf, size_t size)
{
	format(buf, size, "NPT, %u ASIDs, next-RIP %s, flush by ASID %s, pause filter %s",
	       features.svm_asids, cpu_has(FEATURE_SVM_NRIPS) ? "yes" : "no",
	       cpu_has(FEATURE_SVM_FLUSH_ASID) ? "yes" : "no",
	       cpu_has(FEATURE_SVM_PAUSE_FILTER) ? "yes" : "no");
}

static unsigned svm_max_leaf_level(void)
{
	return cpu_has(FEATURE_PAGE_1G) ? 3 : 2;
}

static void svm_tsc_offset_set(struct vcpu *vcpu, uint64_t offset)
{
	svm_of(vcpu)->vmcb->tsc_offset = offset;
}

const struct vmm_ops svm_ops = {
	.name = "SVM",
	.second_level = &paging_npt,
	.probe = svm_probe,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.describe = svm_describe,
	.max_leaf_level = svm_max_leaf_level,
	.vcpu_init = svm_vcpu_init,
	.vcpu_fini = svm_vcpu_fini,
	.vcpu_reset = svm_vcpu_reset,
	.run = svm_run,
	.leave_cpu = svm_leave_cpu,
	.flush_tlb = svm_flush_tlb,
	.reg_get = svm_reg_get,
	.reg_set = svm_reg_set,
	.segment_get = svm_segment_get,
	.segment_set = svm_segment_set,
	.mode = svm_mode,
	.code64 = svm_code64,
	.segment_base = svm_segment_base,
	.tsc_offset_set = svm_tsc_offset_set,
	.exit_name = svm_exit_name,
	.audit = svm_audit,
};
