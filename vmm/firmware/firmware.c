/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See firmware.h. The BIOS's image is assembled from vmm/firmware/bios/bios.asm and is the same for
 * all; its head, struct bios_head, is filled in here. Addresses are IBM's. Sources: IBM, "Personal
 * System/2 and Personal Computer BIOS Interface Technical Reference", "BIOS Data Area"; Intel,
 * "MultiProcessor Specification" 1.4.
 */
#include "vmm/firmware/firmware.h"

#include "include/errno.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vdev/vacpi_tables.h"
#include "vdev/vmp_table.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/machine.h"

#define VECTORS		0x0ul
#define DATA_AREA	0x400ul
#define ACPI_SIZE	0x10000ul
#define MP_TABLE	0xf0000ul
#define BIOS		0xff000ul
#define BIOS_SIZE	0x1000ul
#define REGIONS_MAX	8

extern const unsigned char bios_bin[];
extern const unsigned bios_bin_size;

struct bios_region {
	uint64_t base, size;
	uint32_t type;
} packed;

/* The first bytes of vmm/firmware/bios/bios.asm. */
struct bios_head {
	uint16_t regions, kib_to_64m, kib_to_16m, blocks_to_4g;
	struct bios_region region[REGIONS_MAX];
	uint32_t vectors[256];
} packed;

/* "BIOS Data Area", from 400h on: what is not 0. */
struct data_area {
	uint16_t com[4], lpt[3], ebda;
	uint16_t equipment;
	uint8_t post;
	uint16_t base_kib;
	uint8_t unused0[5];
	uint16_t key_head, key_tail, keys[16];
	uint8_t unused1[11];
	uint8_t video_mode;
	uint16_t columns, page_size, page;
	uint16_t cursor[8], cursor_shape;
	uint8_t video_page;
	uint16_t crtc;
	uint8_t unused2[7];
	uint32_t ticks;
	uint8_t midnight, unused3[15];
	uint16_t keys_start, keys_end;
	uint8_t rows;			/* less one */
	uint16_t character_height;
	uint8_t unused4[256 - 0x87];
} packed;

_Static_assert(offsetof(struct data_area, ebda) == 0x0e, "IBM's");
_Static_assert(offsetof(struct data_area, key_head) == 0x1a, "IBM's");
_Static_assert(offsetof(struct data_area, video_mode) == 0x49, "IBM's");
_Static_assert(offsetof(struct data_area, ticks) == 0x6c, "IBM's");
_Static_assert(offsetof(struct data_area, rows) == 0x84, "IBM's");
_Static_assert(sizeof(struct data_area) == 0x100, "IBM's");
_Static_assert(MEMORY_MAP_MAX <= REGIONS_MAX, "all of the map fits");

#define EQUIPMENT_FPU		2
#define EQUIPMENT_COM(n)	((n) << 9)
#define MODE_TEXT		3
#define KEYS			0x1e	/* offset in the data area */

static const struct data_area data_area = {
	.com = { 0x3f8 },
	.ebda = MEMORY_BASE_END >> 4,
	.equipment = EQUIPMENT_FPU | EQUIPMENT_COM(1),
	.base_kib = MEMORY_BASE_END / KIB,
	.key_head = KEYS, .key_tail = KEYS, .keys_start = KEYS, .keys_end = KEYS + 32,
	.video_mode = MODE_TEXT, .columns = 80, .page_size = 0x1000, .cursor_shape = 0x0607,
	.crtc = 0x3d4, .rows = 24, .character_height = 16,
};

static uint32_t apic_id(const void *context, unsigned index)
{
	const struct vm *vm = context;

	return vm->vcpu[index]->apic_id;
}

struct vacpi_tables_config firmware_acpi_config(const struct vm *vm, uint64_t ecam)
{
	uint64_t ram_end = MEMORY_HIGH + memory_high_size(vm->config.memory);
	uint64_t window = ALIGN_UP(ram_end, GIB), end = BIT(vm->cpuid->phys_bits);

	return (struct vacpi_tables_config){
		.apic_id = apic_id, .context = vm, .vcpus = vm->config.vcpus,
		.ioapic_id = MACHINE_IOAPIC_ID, .ecam = ecam, .buses = machine_buses(vm),
		.pci_window = MACHINE_PCI_WINDOW, .mouse = vm->config.firmware,
		.hpet = vm->config.firmware,
		/* Wherever firmware puts a BAR of 64 bits. */
		.pci_window64 = window, .pci_window64_size = window < end ? end - window : 0,
	};
}

static int write_acpi(struct vm *vm, void *buf)
{
	struct vacpi_tables_config c = firmware_acpi_config(vm, MEMORY_ECAM);
	long size = vacpi_tables_build(&c, buf, ACPI_SIZE, GPA(FIRMWARE_RSDP), NULL);

	return size < 0 ? (int)size : gmem_write(&vm->gmem, GPA(FIRMWARE_RSDP), buf, (size_t)size);
}

static int write_mp_table(struct vm *vm, void *buf)
{
	struct cpuid_regs leaf;
	struct vmp_table_config c = {
		.apic_id = apic_id, .context = vm, .vcpus = vm->config.vcpus,
		.ioapic_id = MACHINE_IOAPIC_ID,
	};
	long size;

	cpuid_query(vm->vcpu[0], 1, 0, &leaf);
	c.signature = leaf.eax;
	c.features = leaf.edx;
	size = vmp_table_build(&c, buf, VMP_TABLE_MAX, GPA(MP_TABLE));
	return size < 0 ? (int)size : gmem_write(&vm->gmem, GPA(MP_TABLE), buf, (size_t)size);
}

static void fill_head(struct bios_head *h, uint64_t memory)
{
	struct memory_region map[MEMORY_MAP_MAX];
	uint64_t low = memory_low_end(memory);

	h->regions = (uint16_t)memory_map(memory, map);
	for (unsigned i = 0; i < h->regions; i++)
		h->region[i] = (struct bios_region){ map[i].base, map[i].size, map[i].type };
	h->kib_to_64m = (uint16_t)((MIN(low, 64 * MIB) - MIB) / KIB);
	h->kib_to_16m = (uint16_t)((MIN(low, 16 * MIB) - MIB) / KIB);
	h->blocks_to_4g = (uint16_t)(low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0);
}

static int write_bios(struct vm *vm, uint8_t *buf)
{
	static const uint8_t ebda_kib = MEMORY_EBDA_SIZE / KIB;
	struct bios_head *h = (struct bios_head *)buf;
	struct gmem *g = &vm->gmem;
	int err;

	if (bios_bin_size != BIOS_SIZE)
		return -EINVAL;
	memcpy(buf, bios_bin, BIOS_SIZE);
	fill_head(h, vm->config.memory);
	err = gmem_write(g, GPA(BIOS), buf, BIOS_SIZE);
	if (!err)
		err = gmem_write(g, GPA(VECTORS), h->vectors, sizeof(h->vectors));
	if (!err)
		err = gmem_write(g, GPA(DATA_AREA), &data_area, sizeof(data_area));
	return err ?: gmem_write(g, GPA(MEMORY_BASE_END), &ebda_kib, 1);
}

int firmware_write(struct vm *vm)
{
	void *buf = heap_alloc(ACPI_SIZE);
	int err;

	if (!buf)
		return -ENOMEM;
	err = write_acpi(vm, buf);
	if (!err)
		err = write_mp_table(vm, buf);
	if (!err)
		err = write_bios(vm, buf);
	heap_free(buf);
	return err;
}
