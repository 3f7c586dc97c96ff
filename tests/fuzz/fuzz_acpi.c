/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/acpi.c cpu/features.c tests/host/log.c */
/*
 * ACPI tables of any content. An even first byte: the rest is physical memory as it stands. An odd
 * one: records {kind, length (2 bytes), body} become tables with good checksums, so that the
 * parsers behind them are reached.
 */
#include "drivers/acpi.h"
#include "include/bits.h"
#include "mm/kmap.h"
#include "tests/host/acpi_build.h"

/* For acpi_init_late, which nobody calls here. */
void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	(void)a, (void)size, (void)c;
	return NULL;
}

void kmap_io_unmap(void *va, uint64_t size)
{
	(void)va, (void)size;
}

static bool reader(hpa_t a, void *buf, size_t n)
{
	if (a.v > MEMORY_SIZE || n > MEMORY_SIZE - a.v)
		return false;
	memcpy(buf, memory + a.v, n);
	return true;
}

static void build(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = {
		"APIC", "FACP", "MCFG", "HPET", "SRAT", "DSDT", "SPCR",
	};
	uint32_t dsdt = 0x400;

	build_begin(data[0] & 2 ? 2 : 0);
	for (size_t at = 1; at + 3 <= size && memory_end < MEMORY_SIZE / 2;) {
		const char *kind = kinds[data[at] % ARRAY_COUNT(kinds)];
		uint32_t n = (uint32_t)(data[at + 1] | (data[at + 2] & 0x1f) << 8), table;

		at += 3;
		n = (uint32_t)MIN((size_t)n, size - at);
		memory[memory_end + 8] = data[0] >> 2;		/* the revision */
		if (kind[0] == 'D') {
			dsdt = build_loose(kind, data + at, n);
		} else {
			table = build_table(kind, data + at, n);
			if (kind[0] == 'F' && n >= 8) {
				put(table + 40, dsdt, 4);
				seal_table(table, kind, 36 + n);
			}
		}
		at += n;
		if (ROOT_AT + 36 + 30 * 8 > 0x400 || memory[ROOT_AT + 4] > 200)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acpi_info info;

	if (!size)
		return 0;
	if (data[0] & 1) {
		build(data, size);
	} else {
		memset(memory, 0, sizeof(memory));
		memcpy(memory, data + 1, MIN(size - 1, (size_t)MEMORY_SIZE));
	}
	if (!acpi_parse(&info, memory, 36, reader) &&
	    (!info.node_count || info.cpu_count > CPU_MAX ||
	     (info.serial.irq_known && info.serial.irq > 15) ||
	     (info.serial.port.address && info.serial.port.width % 8)))
		__builtin_trap();
	return 0;
}
