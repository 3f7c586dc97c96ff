/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel's Virtual Machine Extensions on this machine: are they there, switching them on for each
 * CPU, and the table through which vmm/ reaches the back end.
 * Source: Intel SDM 3, "Discovering Support for VMX", "Enabling and Entering VMX Operation",
 * "MSR-Bitmap Address".
 */
#include "vmx/vmx.h"

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "vmx/vmx_insn.h"
#include "vmx/vmx_ops.h"

struct vmx_cpu vmx_cpu PERCPU;
struct vmx_controls vmx_controls;
uint64_t vmx_ept_cap, vmx_misc, vmx_cr0_fixed, vmx_cr4_fixed;
uint32_t vmx_revision;
bool vmx_tells_string_io;
hpa_t vmx_msr_bitmap;

/* Guests reach these without an exit: the VMCS switches the first five, vmx_vcpu.c the others. */
static const uint32_t direct_msrs[] = {
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_FS_BASE, MSR_GS_BASE,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE,
};

/*
 * A bit for each MSR: reads of low ones, reads of high ones, then writes, in four areas of 1 KiB.
 */
static void bitmap_pass(uint8_t *map, uint32_t msr)
{
	unsigned area = msr >= 0xc0000000 ? 1 : 0, bit = msr & 0x1fff;

	map[area * 1024 + bit / 8] &= (uint8_t)~(1u << bit % 8);
	map[(area + 2) * 1024 + bit / 8] &= (uint8_t)~(1u << bit % 8);
}

static int maps_init(void)
{
	struct page *msr = page_alloc(0, 0, NODE_ANY, &page_charge_kernel);

	if (!msr)
		return -ENOMEM;
	memset(page_virt(msr), 0xff, PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_COUNT(direct_msrs); i++)
		bitmap_pass(page_virt(msr), direct_msrs[i]);
	vmx_msr_bitmap = page_hpa(msr);
	return 0;
}

static bool disabled_by_firmware(void)
{
	uint64_t control;

	if (cpu_rdmsr_safe(MSR_FEATURE_CONTROL, &control))
		return false;
	return control & FEATURE_CONTROL_LOCK && !(control & FEATURE_CONTROL_VMX);
}

/*
 * Firmware that left the matter open leaves it to us: VMX outside SMX, and locked, which
 * VMXON asks for.
 */
static void lock_feature_control(void)
{
	uint64_t control;

	if (!cpu_rdmsr_safe(MSR_FEATURE_CONTROL, &control) && !(control & FEATURE_CONTROL_LOCK))
		(void)!cpu_wrmsr_safe(MSR_FEATURE_CONTROL,
				      control | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK);
}

static int probe_ept(char *why, size_t size)
{
	uint64_t needed = EPT_CAP_FOUR_LEVELS | EPT_CAP_WB | EPT_CAP_2M | EPT_CAP_INVEPT;

	vmx_ept_cap = cpu_rdmsr(MSR_VMX_EPT_VPID);
	if ((vmx_ept_cap & needed) == needed &&
	    vmx_ept_cap & (EPT_CAP_INVEPT_ONE | EPT_CAP_INVEPT_ALL))
		return 0;
	format(why, size,
	       "the CPU's EPT lacks 4 levels, write-back, 2 MiB pages or INVEPT, which Keel needs (%#lx)",
	       vmx_ept_cap);
	return -ENODEV;
}

static int vmx_probe(char *why, size_t size)
{
	struct vmx_control_caps caps;
	const char *missing = "";

	if (!cpu_has(FEATURE_VMX)) {
		format(why, size, "the CPU has no VMX");
		return -ENOENT;
	}
	if (disabled_by_firmware()) {
		format(why, size, "VMX is locked by the firmware: enable \"Intel Virtualization Technology\" (VT-x) in "
				  "its CPU settings and switch the machine off and on");
		return -EPERM;
	}
	vmx_controls_read(&caps);
	if (vmx_controls_adjust(&caps, &vmx_controls, &missing)) {
		format(why, size,
		       "the CPU's VMX has no %s, which Keel needs: use a newer CPU (2010 or later)",
		       missing);
		return -ENODEV;
	}
	if (probe_ept(why, size))
		return -ENODEV;
	if (!(vmx_ept_cap & EPT_CAP_INVVPID && vmx_ept_cap & EPT_CAP_INVVPID_ALL))
		vmx_controls.value[VMX_PROC2] &= ~(uint32_t)PROC2_VPID;
	vmx_revision = (uint32_t)(cpu_rdmsr(MSR_VMX_BASIC) & VMX_BASIC_REVISION);
	vmx_tells_string_io = cpu_rdmsr(MSR_VMX_BASIC) & VMX_BASIC_STRING_IO;
	vmx_misc = cpu_rdmsr(MSR_VMX_MISC);
	/* Unrestricted guests may leave protection and paging off. */
	vmx_cr0_fixed = cpu_rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG);
	vmx_cr4_fixed = cpu_rdmsr(MSR_VMX_CR4_FIXED0);
	return maps_init();
}

static int vmx_cpu_enable(void)
{
	struct vmx_cpu *c = &this_cpu(vmx_cpu);
	int err;

	if (disabled_by_firmware())
		return -EPERM;
	c->vmxon_page = page_alloc(0, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);
	if (!c->vmxon_page)
		return -ENOMEM;
	*(uint32_t *)page_virt(c->vmxon_page) = vmx_revision;
	c->vpid_generation = 1;
	c->vpid_next = 1;
	lock_feature_control();
	/* Of another hypervisor's, perhaps: counters and traces would run on in guests. */
	(void)!cpu_wrmsr_safe(MSR_DEBUGCTL, 0);
	if (features.max_basic >= 0xa && cpu_cpuid(0xa, 0).eax & 0xff)
		(void)!cpu_wrmsr_safe(MSR_PERF_GLOBAL_CTRL, 0);
	cpu_write_cr0(cpu_read_cr0() | vmx_cr0_fixed);
	cpu_write_cr4(cpu_read_cr4() | vmx_cr4_fixed | CR4_VMXE);
	err = vmx_vmxon(page_hpa(c->vmxon_page));
	if (!err)
		vmx_invept(vmx_ept_cap & EPT_CAP_INVEPT_ALL ? INVEPT_ALL : INVEPT_ONE, 0);
	return err || cpu_index() ? err : vmx_errata_find();
}

static void vmx_cpu_disable(void)
{
	struct vmx_cpu *c = &this_cpu(vmx_cpu);

	if (c->current.v)
		vmx_vmclear(c->current);
	c->current = HPA(0);
	vmx_vmxoff();
	cpu_write_cr4(cpu_read_cr4() & ~CR4_VMXE);
}

static const char *yes_no(enum vmx_control_word w, uint32_t bit)
{
	return vmx_control_has(&vmx_controls, w, bit) ? "yes" : "no";
}

static void vmx_describe(char *buf, size_t size)
{
	format(buf, size,
	       "EPT with %s pages, unrestricted, TPR shadow, VPID %s, PAUSE-loop exits %s, preemption timer %s",
	       vmx_ept_cap & EPT_CAP_1G ? "1G" : "2M", yes_no(VMX_PROC2, PROC2_VPID),
	       yes_no(VMX_PROC2, PROC2_PAUSE_LOOP), yes_no(VMX_PIN, PIN_PREEMPTION_TIMER));
}

static unsigned vmx_max_leaf_level(void)
{
	return vmx_ept_cap & EPT_CAP_1G ? 3 : 2;
}

static void vmx_tsc_offset_set(struct vcpu *vcpu, uint64_t offset)
{
	vmx_field_set(vmx_of(vcpu), VMCS_TSC_OFFSET, offset);
}

const struct vmm_ops vmx_ops = {
	.name = "VMX", .loads_pdptes = true, .pdptes_load = vmx_pdptes_load,
	.second_level = &paging_ept,
	.probe = vmx_probe,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.describe = vmx_describe,
	.max_leaf_level = vmx_max_leaf_level,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_fini = vmx_vcpu_fini,
	.vcpu_reset = vmx_vcpu_reset,
	.run = vmx_run,
	.leave_cpu = vmx_leave_cpu,
	.flush_tlb = vmx_flush_tlb,
	.reg_get = vmx_reg_get,
	.reg_set = vmx_reg_set,
	.segment_get = vmx_segment_get,
	.segment_set = vmx_segment_set,
	.mode = vmx_mode,
	.code64 = vmx_code64,
	.segment_base = vmx_segment_base,
	.tsc_offset_set = vmx_tsc_offset_set,
	.exit_name = vmx_exit_name,
	.audit = vmx_audit,
};
