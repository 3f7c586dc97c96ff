/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vmp_table.h. Entries are put one behind the other by `append`; a full buffer makes a sticky
 * error. Structures are little-endian and without padding.
 */
#include "vdev/vmp_table.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vacpi.h"
#include "vdev/vpci.h"

#define LAPIC_BASE	0xfee00000u
#define LAPIC_VERSION	0x14
#define IOAPIC_BASE	0xfec00000u
#define IOAPIC_VERSION	0x11
#define CPUS_MAX	254
#define BUS_PCI		0
#define BUS_ISA		1
#define ISA_IRQS	16
#define PCI_SLOTS	32
#define TIMER_IRQ	0
#define TIMER_PIN	2
#define ALL_APICS	0xff

#define CPU_ENABLED	1
#define CPU_BOOT	2
#define IOAPIC_ENABLED	1

enum entry { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum interrupt { INTERRUPT_INT, INTERRUPT_NMI, INTERRUPT_SMI, INTERRUPT_EXTINT };

/* Polarity and trigger: as the bus has them (ISA: rising edges, PCI: low levels); the SCI's. */
#define FLAGS_BUS	0
#define FLAGS_HIGH_LEVEL 0x0d

struct pointer {
	char signature[4];
	uint32_t table;
	uint8_t length, revision, checksum, features[5];
} packed;

struct table {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, count;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} packed;

struct cpu { uint8_t type, id, version, flags; uint32_t signature, features, reserved[2]; } packed;
struct bus { uint8_t type, id; char name[6]; } packed;
struct ioapic { uint8_t type, id, version, flags; uint32_t base; } packed;
struct source {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, irq, apic, pin;
} packed;

_Static_assert(sizeof(struct pointer) == 16 && sizeof(struct table) == 44 &&
	       sizeof(struct cpu) == 20 && sizeof(struct source) == 8, "MP specification 1.4");

struct build {
	uint8_t *buf;
	size_t size, used;
	unsigned count;
	bool full;
};

static uint8_t checksum(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (n--)
		sum += *p++;
	return (uint8_t)-sum;
}

static void append(struct build *b, const void *data, size_t n)
{
	if (b->full || n > b->size - b->used) {
		b->full = true;
		return;
	}
	memcpy(b->buf + b->used, data, n);
	b->used += n;
	b->count++;
}

static void put_cpus(struct build *b, const struct vmp_table_config *c)
{
	for (unsigned i = 0; i < MIN(c->vcpus, (unsigned)CPUS_MAX); i++) {
		struct cpu cpu = {
			ENTRY_CPU, (uint8_t)c->apic_id(c->context, i), LAPIC_VERSION,
			CPU_ENABLED | (i ? 0 : CPU_BOOT), c->signature, c->features, { 0 },
		};

		append(b, &cpu, sizeof(cpu));
	}
}

static void put_buses(struct build *b)
{
	struct bus pci = { ENTRY_BUS, BUS_PCI, { 'P', 'C', 'I', ' ', ' ', ' ' } };
	struct bus isa = { ENTRY_BUS, BUS_ISA, { 'I', 'S', 'A', ' ', ' ', ' ' } };

	append(b, &pci, sizeof(pci));
	append(b, &isa, sizeof(isa));
}

static void put_source(struct build *b, const struct source *s)
{
	append(b, s, sizeof(*s));
}

/* ISA interrupts go to the pin of their number, but the timer; pin 2 is the other 8259's on ISA. */
static void put_isa(struct build *b, uint8_t ioapic)
{
	for (unsigned irq = 0; irq < ISA_IRQS; irq++) {
		struct source s = {
			ENTRY_INTERRUPT, INTERRUPT_INT, FLAGS_BUS, BUS_ISA, (uint8_t)irq, ioapic,
			(uint8_t)irq,
		};

		if (irq == TIMER_PIN)
			continue;
		if (irq == TIMER_IRQ)
			s.pin = TIMER_PIN;
		if (irq == VACPI_SCI_IRQ)
			s.flags = FLAGS_HIGH_LEVEL;
		put_source(b, &s);
	}
}

static void put_pci(struct build *b, uint8_t ioapic)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			struct source s = {
				ENTRY_INTERRUPT, INTERRUPT_INT, FLAGS_BUS, BUS_PCI,
				(uint8_t)(slot << 2 | pin), ioapic,
				(uint8_t)VPCI_GSI(slot, pin),
			};

			put_source(b, &s);
		}
	}
}

static void put_local(struct build *b)
{
	struct source extint = { ENTRY_LOCAL, INTERRUPT_EXTINT, FLAGS_BUS, BUS_ISA, 0, 0, 0 };
	struct source nmi = { ENTRY_LOCAL, INTERRUPT_NMI, FLAGS_BUS, BUS_ISA, 0, ALL_APICS, 1 };

	put_source(b, &extint);
	put_source(b, &nmi);
}

static void write_heads(struct build *b, uint64_t base)
{
	struct pointer p = {
		.signature = { '_', 'M', 'P', '_' }, .table = (uint32_t)(base + sizeof(p)),
		.length = 1, .revision = 4,
	};
	struct table t = {
		.signature = { 'P', 'C', 'M', 'P' }, .length = (uint16_t)(b->used - sizeof(p)),
		.revision = 4, .oem = "KEEL   ", .product = "KEELVM     ",
		.count = (uint16_t)b->count, .lapic = LAPIC_BASE,
	};

	t.oem[7] = t.product[11] = ' ';
	p.checksum = checksum(&p, sizeof(p));
	memcpy(b->buf, &p, sizeof(p));
	memcpy(b->buf + sizeof(p), &t, sizeof(t));
	t.checksum = checksum(b->buf + sizeof(p), t.length);
	memcpy(b->buf + sizeof(p), &t, sizeof(t));
}

long vmp_table_build(const struct vmp_table_config *config, void *buf, size_t size, gpa_t base)
{
	struct build b = {
		.buf = buf, .size = size, .used = sizeof(struct pointer) + sizeof(struct table),
	};
	struct ioapic ioapic = {
		ENTRY_IOAPIC, config->ioapic_id, IOAPIC_VERSION, IOAPIC_ENABLED, IOAPIC_BASE,
	};

	if (!config->vcpus || !IS_ALIGNED(base.v, 16) || !range_within(base.v, size, 0, MIB))
		return -EINVAL;
	if (size < b.used)
		return -ENOSPC;
	put_cpus(&b, config);
	put_buses(&b);
	append(&b, &ioapic, sizeof(ioapic));
	put_isa(&b, config->ioapic_id);
	put_pci(&b, config->ioapic_id);
	put_local(&b);
	if (b.full)
		return -ENOSPC;
	write_heads(&b, base.v);
	return (long)b.used;
}
