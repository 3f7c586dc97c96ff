/* SPDX-License-Identifier: BSD-2-Clause */
/* See machine_class.h. Each class has the name that QEMU gives it, where that has it. */
#include "vmm/machine_class.h"

#include "include/errno.h"
#include "lib/string.h"
#include "vdev/virtio/virtio_pci.h"
#include "vdev/vacpi.h"
#include "vdev/vahci.h"
#include "vdev/vdebug_exit.h"
#include "vdev/vdma.h"
#include "vdev/ve1000.h"
#include "vdev/vedu.h"
#include "vdev/vflash.h"
#include "vdev/vfwcfg.h"
#include "vdev/vhpet.h"
#include "vdev/vide.h"
#include "vdev/vioapic.h"
#include "vdev/vkbd.h"
#include "vdev/vlpc.h"
#include "vdev/vmch.h"
#include "vdev/vnvme.h"
#include "vdev/vpci.h"
#include "vdev/vpci_port.h"
#include "vdev/vpci_testdev.h"
#include "vdev/vpic.h"
#include "vdev/vpit.h"
#include "vdev/vpost.h"
#include "vdev/vpvpanic.h"
#include "vdev/vrtc.h"
#include "vdev/vsmbus.h"
#include "vdev/vtestdev.h"
#include "vdev/vuart.h"
#include "vdev/vvga.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/firmware/shadow.h"
#include "vmm/machine.h"
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"
#include "vmm/vram.h"

#define IOAPIC_BASE	0xfec00000ul
#define TESTDEV_SOURCE	63	/* of a line, behind those that are wired */

_Static_assert(MACHINE_AHCI_PORTS == VAHCI_PORTS && VAHCI_PORTS <= HOST_MEDIA_MAX, "ports");
_Static_assert(MACHINE_IDE_PORTS == VIDE_CHANNELS * VIDE_UNITS, "ports");
_Static_assert(VVGA_VRAM_MIN == VRAM_MIN && VVGA_VRAM_MAX == VRAM_MAX, "video memory");
_Static_assert(MEMORY_ECAM_SIZE <= VPCI_ECAM_MAX, "ECAM");

static int make_vpic(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	(void)row;
	return vpic_create(machine_input_acknowledged, vm, out);
}

static int make_vioapic(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	struct vioapic_config c = {
		.id = MACHINE_IOAPIC_ID, .told = 1u << MACHINE_GSI_PIT,
		.acknowledged = machine_line_acknowledged, .context = vm,
	};

	(void)row;
	return vioapic_create(&c, out);
}

static int make_vrtc(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	struct vrtc_config c = {
		.ram_below_4g = memory_low_end(vm->config.memory),
		.ram_above_4g = memory_high_size(vm->config.memory),
		.base_kib = MEMORY_BASE_END / KIB, .vcpus = vm->config.vcpus,
		.battery = vm->config.battery,
	};

	(void)row;
	return vrtc_create(&c, out);
}

/* A system that starts directly has no use for a mouse, whose driver keeps it from starting. */
static int make_vkbd(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	(void)row;
	return vkbd_create(vm->config.firmware, out);
}

static int make_vpci(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	(void)vm, (void)row;
	return vpci_create(&(struct vpci_config){ .bare = true }, out);
}

static int make_vmch(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	struct vmch_config c = {
		.bus = machine_part(vm, PART_PCI), .shadow = vm->config.firmware,
	};

	(void)row;
	return vmch_create(&c, out);
}

static int make_vflash(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	struct vflash_config c = {
		.base = shadow_nvram_base(vm), .size = vm->config.nvram_size,
	};

	(void)row;
	return vflash_create(&c, out);
}

static int make_vlpc(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	struct vlpc_config c = {
		.bus = machine_part(vm, PART_PCI), .acpi = machine_part(vm, PART_ACPI),
		.route = machine_pirq_route, .context = vm,
	};

	(void)row;
	return vlpc_create(&c, out);
}

/* ISA 0 is GSI 2, and ISA 2 the cascade: it goes nowhere. */
static void testdev_line(void *context, unsigned line, bool level)
{
	struct vdev_line l = {
		.gsi = (uint8_t)(line == 0 ? 2 : line), .source = TESTDEV_SOURCE,
		.wired = line != 2,
	};

	machine_line_set(context, &l, level);
}

static void testdev_flush(void *context, gpa_t a)
{
	struct vm *vm = context;

	(void)a;			/* all pages are looked up anew */
	gmem_drop_tables(&vm->gmem);
}

static int make_vtestdev(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	struct vtestdev_config c = {
		.line = testdev_line, .flush = testdev_flush, .context = vm,
	};

	(void)row;
	return vtestdev_create(&c, out);
}

/* A queue for each vCPU, as far as there are so many. */
static int make_virtio_blk(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	(void)row;
	return virtio_pci_blk_create(vm->config.vcpus, out);
}

/* FNV-1a of the VM's UUID and the slot: what is made of it stays. */
static uint64_t slot_hash(const struct vm *vm, const struct machine_row *row)
{
	uint64_t hash = 0xcbf29ce484222325;
	const uint8_t slot[] = { row->slot.bus, row->slot.device, row->slot.function };

	for (unsigned i = 0; i < sizeof(vm->config.uuid) + sizeof(slot); i++)
		hash = (hash ^ (i < 16 ? vm->config.uuid[i] : slot[i - 16])) * 0x100000001b3;
	return hash;
}

/* The namespace has a UUID of our own making (version 8). */
static int make_nvme(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	struct vnvme_config c = { .queues = vm->config.vcpus };
	uint64_t hash = slot_hash(vm, row);

	memcpy(c.uuid, vm->config.uuid, 8);
	memcpy(c.uuid + 8, &hash, 8);
	c.uuid[6] = (uint8_t)((c.uuid[6] & 0x0f) | 0x80);
	c.uuid[8] = (uint8_t)((c.uuid[8] & 0x3f) | 0x80);
	return vnvme_create(&c, out);
}

/* Of the VM's and the slot's making, where none is given: it stays, and is nobody's by law. */
static void make_mac(const struct vm *vm, const struct machine_row *row, uint8_t mac[6])
{
	uint32_t hash = 0x811c9dc5;
	const uint8_t slot[] = { row->slot.bus, row->slot.device, row->slot.function };

	for (unsigned i = 0; i < sizeof(vm->config.uuid) + sizeof(slot); i++)
		hash = (hash ^ (i < 16 ? vm->config.uuid[i] : slot[i - 16])) * 0x01000193;
	memcpy(mac, (uint8_t[]){ 0x52, 0x54, 0x00 }, 3);
	memcpy(mac + 3, &hash, 3);
}

static void mac_of(const struct vm *vm, const struct machine_row *row, uint8_t mac[6])
{
	static const uint8_t none[6];
	const struct media_nic *n = row->properties;

	if (n && memcmp(n->mac, none, sizeof(none)))
		memcpy(mac, n->mac, 6);
	else
		make_mac(vm, row, mac);
}

static int make_virtio_net(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	uint8_t mac[6];

	mac_of(vm, row, mac);
	return virtio_pci_net_create(mac, vm->config.vcpus, out);
}

static int make_e1000(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	uint8_t mac[6];

	mac_of(vm, row, mac);
	return ve1000_create(strcmp(row->class, MACHINE_E1000E) ? VE1000_82540 : VE1000_82574, mac,
			     out);
}

static int make_virtio_serial(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	(void)vm;
	return virtio_pci_console_create(row->disks, out);
}

static int make_vga(struct vm *vm, const struct machine_row *row, struct vdev **out)
{
	(void)row;
	return vvga_create(vm->config.vram, out);
}

static const struct device_class classes[] = {
	{ "isa-i8259", .create = make_vpic, .part = PART_PIC, .lock = LOCK_IRQCHIP,
		.intr = 1 + VPIC_INTR, .region = {
		{ VPIC_MASTER, HOST_PORT, 0x20, 2 }, { VPIC_SLAVE, HOST_PORT, 0xa0, 2 },
		{ VPIC_ELCR, HOST_PORT, 0x4d0, 2 } } },
	{ "ioapic", .create = make_vioapic, .part = PART_IOAPIC, .lock = LOCK_IRQCHIP, .region = {
		{ 0, HOST_MMIO, IOAPIC_BASE, VIOAPIC_SIZE } } },
	{ "isa-pit", .plain = vpit_create, .part = PART_PIT, .region = {
		{ VPIT_PORTS, HOST_PORT, 0x40, 4 }, { VPIT_PORT61, HOST_PORT, 0x61, 1 } } },
	{ "mc146818rtc", .create = make_vrtc, .region = { { VRTC_PORTS, HOST_PORT, 0x70, 2 } } },
	{ "isa-serial", .plain = vuart_create, .part = PART_UART, .medium = HOST_MEDIA_CONSOLE,
		.region = { { VUART_PORTS, HOST_PORT, 0, 8 } } },
	{ "i8042", .create = make_vkbd, .part = PART_KEYBOARD, .region = {
		{ VKBD_DATA, HOST_PORT, 0x60, 1 }, { VKBD_COMMAND, HOST_PORT, 0x64, 1 },
		{ VKBD_PORT92, HOST_PORT, 0x92, 1 } } },
	{ "acpi", .plain = vacpi_create, .part = PART_ACPI, .region = {
		{ VACPI_SMI, HOST_PORT, VACPI_SMI_PORT, 2 } } },
	{ "pcie-host", .create = make_vpci, .part = PART_PCI, .lock = LOCK_PCI, .region = {
		{ VPCI_PORTS, HOST_PORT, 0xcf8, 8 } } },
	{ "mch", .create = make_vmch, .part = PART_MCH, .region = {
		{ VMCH_SHADOW, HOST_MMIO, HOST_SHADOW_FIRST,
		  HOST_SHADOW_END - HOST_SHADOW_FIRST } } },
	{ "ICH9-LPC", .create = make_vlpc },
	{ "cfi.pflash01", .create = make_vflash },
	{ "hpet", .plain = vhpet_create, .line = {
		{ 0, VHPET_GSI }, { 1, VHPET_GSI + 1 }, { 2, VHPET_GSI + 2 },
		{ 3, VHPET_GSI + 3 } }, .region = {
		{ VHPET_REGISTERS, HOST_MMIO, VHPET_BASE, VHPET_SIZE } } },
	{ "i8257", .plain = vdma_create, .region = {
		{ VDMA_BYTES, HOST_PORT, 0, 16 }, { VDMA_WORDS, HOST_PORT, 0xc0, 32 } } },
	{ "pcie-root-port", .plain = vpci_port_create, .function = vpci_port_function,
		.is_bridge = true },
	{ "post", .plain = vpost_create, .region = {
		{ VPOST_PAGES, HOST_PORT, 0x80, 16 }, { VPOST_DELAY, HOST_PORT, 0xed, 1 } } },
	{ "fw_cfg", .plain = vfwcfg_create, .part = PART_FWCFG, .region = {
		{ VFWCFG_PORTS, HOST_PORT, 0x510, 2 }, { VFWCFG_DMA, HOST_PORT, 0x514, 8 } } },
	{ "pvpanic", .plain = vpvpanic_create, .region = {
		{ VPVPANIC_EVENTS, HOST_PORT, VPVPANIC_PORT, 1 } } },
	{ "edu", .plain = vedu_create, .function = vedu_function },
	{ "pci-testdev", .plain = vpci_testdev_create, .function = vpci_testdev_function },
	{ "pc-testdev", .create = make_vtestdev, .region = {
		{ VTESTDEV_PORTS, HOST_PORT, 0xe0, 4 }, { VTESTDEV_FLUSH, HOST_PORT, 0xe4, 4 },
		{ VTESTDEV_BYTES, HOST_PORT, 0xe8, VTESTDEV_BYTES_SIZE },
		{ VTESTDEV_LINES, HOST_PORT, 0x2000, VTESTDEV_LINE_COUNT },
		{ VTESTDEV_MEMORY, HOST_MMIO, VTESTDEV_MEMORY_BASE, VTESTDEV_MEMORY_SIZE } } },
	{ "isa-debug-exit", .plain = vdebug_exit_create, .region = {
		{ VDEBUG_EXIT_PORTS, HOST_PORT, 0xf4, 4 } } },
	{ MACHINE_VIRTIO_BALLOON, .plain = virtio_pci_balloon_create,
		.function = virtio_pci_function, .part = PART_BALLOON },
	{ MACHINE_VIRTIO_BLK, .create = make_virtio_blk, .function = virtio_pci_function,
		.medium = HOST_MEDIA_DISK },
	{ MACHINE_VIRTIO_NET, .create = make_virtio_net, .function = virtio_pci_function,
		.medium = HOST_MEDIA_CABLE },
	{ MACHINE_NVME, .create = make_nvme, .function = vnvme_function,
		.medium = HOST_MEDIA_DISK },
	{ MACHINE_E1000, .create = make_e1000, .function = ve1000_function,
		.medium = HOST_MEDIA_CABLE },
	{ MACHINE_E1000E, .create = make_e1000, .function = ve1000_function,
		.medium = HOST_MEDIA_CABLE },
	{ MACHINE_AHCI, .plain = vahci_create, .function = vahci_function,
		.medium = HOST_MEDIA_DISK },
	{ MACHINE_VIRTIO_SERIAL, .create = make_virtio_serial, .function = virtio_pci_function,
		.medium = HOST_MEDIA_CONSOLE },
	{ MACHINE_IDE, .plain = vide_create, .function = vide_function,
		.medium = HOST_MEDIA_DISK, .line = { { VIDE_IRQ, 14 }, { VIDE_IRQ1, 15 } },
		.region = {
		{ VIDE_COMMAND, HOST_PORT, 0x1f0, VIDE_COMMAND_SIZE },
		{ VIDE_CONTROL, HOST_PORT, 0x3f6, 1 },
		{ VIDE_COMMAND1, HOST_PORT, 0x170, VIDE_COMMAND_SIZE },
		{ VIDE_CONTROL1, HOST_PORT, 0x376, 1 } } },
	{ MACHINE_VGA, .create = make_vga, .function = vvga_function, .part = PART_SCREEN,
		.vram = 1 + VVGA_VRAM, .region = {
		{ VVGA_PORTS, HOST_PORT, VVGA_PORTS_BASE, VVGA_PORTS_SIZE },
		{ VVGA_VBE, HOST_PORT, VVGA_VBE_BASE, VVGA_VBE_SIZE },
		{ VVGA_WINDOW, HOST_MMIO, VVGA_WINDOW_BASE, VVGA_WINDOW_SIZE } } },
	{ "ich9-smb", .plain = vsmbus_create, .function = vsmbus_function },
	{ "virtio-rng-pci", .plain = virtio_pci_rng_create, .function = virtio_pci_function },
};

const struct device_class *machine_class_get(unsigned i)
{
	return i < ARRAY_COUNT(classes) ? &classes[i] : NULL;
}

const struct device_class *machine_class_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(classes); i++)
		if (!strcmp(classes[i].name, name))
			return &classes[i];
	return NULL;
}
