/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine around the vCPUs: which devices a VM has, where they answer, and how interrupt lines
 * run. Implements vdev/host.h for them. A line (GSI) is the OR of its sources; it drives the
 * IOAPIC's pin and, below 16, the 8259's input.
 *
 * GSI routing is that of a PC: ISA interrupt n is GSI n, but the timer (ISA 0) is GSI 2; SCI
 * is GSI 9, level.
 */
#pragma once

#include "vmm/vm.h"

struct vm;
struct vcpu;
struct record_writer;
struct record_reader;
struct vdev_line;

#define MACHINE_IOAPIC_ID	0
#define MACHINE_GSI_PIT		2		/* input 0 of the 8259 */
#define MACHINE_PCI_WINDOW	0xc0000000u	/* behind ECAM */

/* One device of a machine. The PC's own come first, then those of vm_config. */
struct machine_line {
	uint8_t line, gsi;		/* of the device's lines; 0: none */
};

/* Bus 0, or N: behind the Nth root port of the list. */
struct machine_slot {
	uint8_t bus, device, function;
};

struct machine_row {
	const char *class;		/* a name of machine_class.c's table */
	uint64_t base;			/* where it answers, for a class that has no place of its
					 * own */
	struct machine_slot slot;	/* of a PCI device; its pin's line follows from it */
	struct machine_line line[2];
	const void *properties;		/* what the class wants to know; its own. Of a class with
					 * disks, so many struct media_image, with a cable,
					 * its struct media_nic, with ports, so many struct
					 * media_channel; or NULL */
	unsigned disks;			/* or ports: medium 0 and on; one without name or tray, or
					 * without functions, is none */
};

#define MACHINE_DEVICE_MAX	64
#define MACHINE_VIRTIO_BALLOON	"virtio-balloon-pci"
#define MACHINE_VIRTIO_BLK	"virtio-blk-pci"	/* a class that has a disk */
#define MACHINE_VIRTIO_NET	"virtio-net-pci"	/* and those that have a cable */
#define MACHINE_E1000		"e1000"
#define MACHINE_E1000E		"e1000e"
#define MACHINE_VIRTIO_SERIAL	"virtio-serial-pci"	/* and one that has ports */
#define MACHINE_SLOT_MAX	40	/* PCI devices that a configuration may add */
#define MACHINE_NVME		"nvme"			/* one that has one disk */
#define MACHINE_AHCI		"ich9-ahci"		/* one that has several */
#define MACHINE_AHCI_PORTS	6u
#define MACHINE_VGA		"VGA"			/* its memory: vm_config.vram */
#define MACHINE_IDE		"piix3-ide"		/* and another; one in a machine */
#define MACHINE_IDE_PORTS	4u

/*
 * Would a machine with these rows of PCI devices have a slot for each? -EINVAL and a line in `why`.
 */
int machine_slot_check(const struct machine_row *row, unsigned n, char *why,
			size_t why_size) must_check;

/*
 * One on bus 0 that neither these rows have nor what a PC has there; device `wish`, if that is not
 * 0 and is free. -ENOSPC.
 */
#define MACHINE_SLOT_SCREEN	1u
int machine_slot_free(const struct machine_row *row, unsigned n, unsigned wish,
		      struct machine_slot *out) must_check;

/*
 * -ENODEV: a row names no class, or a bus that is not there; -EINVAL: a line or a slot that no
 * machine has; -ENOSPC: too many devices, or on one line; -EEXIST: two want the same place, -EBUSY:
 * or slot; -ENOMEM. Rows are not looked at afterwards.
 */
int machine_create(struct vm *vm) must_check;
void machine_destroy(struct vm *vm);		/* no vCPU runs; frees what machine_create did,
						 * partly or wholly */

/* The VM's clock stops and goes on: device timers with it. */
void machine_freeze(struct vm *vm);
void machine_thaw(struct vm *vm);

/* A device's line changes; any context. */
void machine_line_set(struct vm *vm, const struct vdev_line *l, bool level);
/* See host_line_heard(). Of each line one caller at a time; any context. */
bool machine_line_heard(struct vm *vm, struct vdev_line *l);
/* See host_line_busy(). */
bool machine_line_busy(struct vm *vm, const struct vdev_line *l);
/* The guest has done with that line's interrupt; `context` is the vm. */
void machine_line_acknowledged(void *context, unsigned gsi);
/* The 8259's INTR as this vCPU's LINT0 sees it. */
static inline bool machine_extint_pending(struct vcpu *vcpu)
{
	return unlikely(READ_ONCE(vcpu->vm->intr)) && vcpu->id == 0 && vlapic_extint_open(vcpu);
}

int machine_extint_acknowledge(struct vcpu *vcpu);	/* the vector, or -1 */
/* A level-triggered vector was acknowledged in a local APIC. */
void machine_eoi(struct vm *vm, unsigned vector);

/* A vCPU's local APIC hears on, or to another name: it may take what nobody took before. */
void machine_apic_changed(struct vm *vm);

/* Real time (UTC, ns since 1970) at which the VM's clock was 0. */
uint64_t machine_boot_wall_ns(struct vm *vm);

/* Every device to its power-up state; no vCPU runs. */
void machine_reset(struct vm *vm);
/* The chipset as a PC's firmware leaves it: ACPI's registers and ECAM answer; no vCPU runs. */
void machine_firmware_registers(struct vm *vm);
uint64_t machine_ecam(struct vm *vm);		/* where the chipset has it now; 0: nowhere */
/* The 8259s and the 8254 as a BIOS leaves them; no vCPU runs. */
void machine_bios_devices(struct vm *vm);
void machine_power_button(struct vm *vm);
/* As vkbd_key() and vkbd_mouse() have it; -ENODEV: it has no devices (any more). */
int machine_key(struct vm *vm, uint8_t key, bool pressed) must_check;
int machine_mouse(struct vm *vm, int dx, int dy, int wheel, unsigned buttons) must_check;
unsigned machine_buses(const struct vm *vm);	/* PCI's: one, and one behind each root port */
struct vdev *machine_fwcfg(struct vm *vm);	/* for vmm/firmware/fwcfg.c to fill */
void machine_console_input(struct vm *vm);
void machine_channel_input(struct vm *vm, unsigned port);	/* of the device with ports */

struct media_cable_stats;
/* Of the i-th card that is on a cable; false beyond the last. */
bool machine_cable_stats(const struct vm *vm, unsigned i, struct media_cable_stats *out);

void machine_save(struct vm *vm, struct record_writer *w);
/* One record of a device: -ENOENT if no device of that name and instance exists. */
int machine_load(struct vm *vm, const char *name, uint32_t instance, uint32_t version,
		 struct record_reader *r) must_check;
