/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a virtual machine gets its kernel: what firmware leaves behind (vmm/firmware/firmware.h) and
 * the image (vmm/load/load.h) into guest memory, and the boot vCPU's registers as the image's boot
 * protocol wants them. A guest that has firmware stays as after reset. Between vm_create() and
 * vm_start(), in thread context; no locks.
 * Source: the boot protocols are named in vmm/load/load.h.
 */
#include "vmm/vm.h"

#include "cpu/registers.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "vmm/firmware/firmware.h"
#include "vmm/firmware/fwcfg.h"
#include "vmm/load/load.h"
#include "vmm/machine.h"

static void flat_segments(struct vcpu *vcpu, const struct load_entry *e, bool long_mode)
{
	struct segment code = {
		.limit = 0xffffffff, .selector = 0x10, .attr = SEG_P | SEG_S | SEG_G | 0xb,
	};
	struct segment data = {
		.limit = 0xffffffff, .selector = 0x18, .attr = SEG_P | SEG_S | SEG_G | SEG_DB | 3,
	};
	struct segment tr = { .limit = 0x67, .attr = SEG_P | 0xb };
	struct segment gdtr = { .base = e->gdt.v, .limit = e->gdt_size ? e->gdt_size - 1 : 0 };

	code.attr |= long_mode ? SEG_L : SEG_DB;
	for (enum seg s = SEG_ES; s <= SEG_GS; s++)
		vmm_ops->segment_set(vcpu, s, s == SEG_CS ? &code : &data);
	vmm_ops->segment_set(vcpu, SEG_TR, &tr);
	vmm_ops->segment_set(vcpu, SEG_GDTR, &gdtr);
	vmm_ops->segment_set(vcpu, SEG_IDTR, &(struct segment){ 0 });
	vmm_ops->segment_set(vcpu, SEG_LDTR, &(struct segment){ .attr = SEG_UNUSABLE });
}

static void real_segments(struct vcpu *vcpu, const struct load_entry *e)
{
	struct segment code = {
		.base = (uint64_t)e->code_segment << 4, .limit = 0xffff,
		.selector = e->code_segment, .attr = SEG_P | SEG_S | 0xb,
	};
	struct segment data = {
		.base = (uint64_t)e->segment << 4, .limit = 0xffff, .selector = e->segment,
		.attr = SEG_P | SEG_S | 3,
	};

	for (enum seg s = SEG_ES; s <= SEG_GS; s++)
		vmm_ops->segment_set(vcpu, s, s == SEG_CS ? &code : &data);
	vmm_ops->segment_set(vcpu, SEG_IDTR, &(struct segment){ .limit = 0x3ff });
}

static void set_entry(struct vcpu *vcpu, const struct load_entry *e)
{
	bool long_mode = e->start == LOAD_START_LINUX64, real = e->start == LOAD_START_REAL;

	if (real)
		real_segments(vcpu, e);
	else
		flat_segments(vcpu, e, long_mode);
	vcpu->gpr[GPR_RAX] = e->rax;
	vcpu->gpr[GPR_RBX] = e->rbx;
	vcpu->gpr[GPR_RSI] = e->rsi;
	vcpu->gpr[GPR_RSP] = e->rsp;
	vcpu->gpr[GPR_RDX] = 0;
	vcpu->rip = e->rip;
	vmm_ops->reg_set(vcpu, REG_CR4, long_mode ? CR4_PAE : 0);
	vmm_ops->reg_set(vcpu, REG_CR3, long_mode ? e->cr3.v : 0);
	vmm_ops->reg_set(vcpu, REG_EFER, long_mode ? EFER_LME | EFER_LMA : 0);
	vmm_ops->reg_set(vcpu, REG_CR0, CR0_ET | CR0_NE | (real ? 0 : CR0_PE) |
			 (long_mode ? CR0_PG : 0));
	vlapic_firmware_state(vcpu);
	if (real)
		machine_bios_devices(vcpu->vm);
}

/* Keel is the firmware: what that leaves behind, the kernel, and its entry. */
static int load_directly(struct vm *vm, const struct load_image *image,
			 const struct load_machine *m, char *why, size_t why_size)
{
	struct load_entry entry = { 0 };
	int err = firmware_write(vm);

	if (err) {
		format(why, why_size, "the firmware's tables cannot be written: %s",
		       format_errno(err));
		return err;
	}
	err = load_image(image, m, &entry, why, why_size);
	if (err)
		return err;
	machine_firmware_registers(vm);
	set_entry(vm->vcpu[0], &entry);
	log_info("%s: loaded %s", vm->config.name, entry.kind);
	return 0;
}

int vm_load_image(struct vm *vm, const struct load_image *image, char *why, size_t why_size)
{
	struct load_machine m = {
		.gmem = &vm->gmem, .memory = vm->config.memory, .rsdp = GPA(FIRMWARE_RSDP),
	};
	int err = vm->config.firmware ? 0 : load_directly(vm, image, &m, why, why_size);

	if (err)
		return err;
	err = fwcfg_fill(vm, image, &m);
	if (err)
		format(why, why_size, "no room for its firmware configuration: %s",
		       format_errno(err));
	else if (vm->config.firmware)
		log_info("%s: firmware of %zu KiB", vm->config.name,
			 vm->config.firmware_size / KIB);
	return err;
}
