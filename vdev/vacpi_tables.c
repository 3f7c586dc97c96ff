/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vacpi_tables.h. Tables are put one behind the other by `append`; a full buffer makes a
 * sticky error, so that the builders need not look. Little-endian and without padding, as the
 * structs are packed.
 */
#include "vdev/vacpi_tables.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vacpi.h"
#include "vdev/vhpet.h"
#include "vdev/vpci.h"

#define LAPIC_BASE	0xfee00000u
#define IOAPIC_BASE	0xfec00000u
#define APIC_ID_WIDE	255	/* from here on IDs need x2APIC entries */
#define VCPUS_MAX	4096

#define CMOS_CENTURY	0x32
#define BOOT_LEGACY	0x03	/* ISA devices and an 8042; no VGA to look for */
#define BOOT_NO_VGA	0x04
#define FADT_WBINVD	BIT(0)
#define FADT_C1		BIT(2)
#define FADT_NO_SLEEP_BUTTON BIT(5)
#define FADT_NO_FIXED_RTC BIT(6)
#define FADT_TIMER_32	BIT(8)
#define FADT_RESET	BIT(10)
#define RESET_PORT	0xcf9
#define RESET_VALUE	0x06
#define SPACE_PORT	1
#define AML_NAME	0x08
#define HPET_PAGE_4K	1	/* nothing else is in its 4 KiB */

extern const unsigned char dsdt_aml[];
extern const unsigned dsdt_aml_size;

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} packed;

struct address {		/* "Generic Address Structure" */
	uint8_t space, bits, offset, access;
	uint64_t address;
} packed;

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t checksum_all, reserved[3];
} packed;

struct fadt {
	struct header head;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, timer, gpe0, gpe1;
	uint8_t pm1_event_size, pm1_control_size, pm2_control_size, timer_size, gpe0_size,
		gpe1_size, gpe1_base, cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot;
	uint8_t reserved1;
	uint32_t flags;
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_boot;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control,
		x_timer, x_gpe0, x_gpe1;
	struct address sleep_control, sleep_status;
	uint64_t hypervisor;
} packed;

struct facs {
	char signature[4];
	uint32_t length, hardware, waking, lock, flags;
	uint64_t x_waking;
	uint8_t version, reserved[31];
} packed;

struct madt { struct header head; uint32_t lapic, flags; } packed;
struct madt_lapic { uint8_t type, length, uid, id; uint32_t flags; } packed;
struct madt_ioapic { uint8_t type, length, id, reserved; uint32_t base, gsi; } packed;
struct madt_override { uint8_t type, length, bus, irq; uint32_t gsi; uint16_t flags; } packed;
struct madt_nmi { uint8_t type, length, uid; uint16_t flags; uint8_t lint; } packed;
struct madt_x2apic { uint8_t type, length; uint16_t reserved; uint32_t id, flags, uid; } packed;
struct madt_x2nmi {
	uint8_t type, length;
	uint16_t flags;
	uint32_t uid;
	uint8_t lint, reserved[3];
} packed;
struct mcfg {
	struct header head;
	uint64_t reserved, base;
	uint16_t segment;
	uint8_t first, last;
	uint32_t reserved1;
} packed;

struct hpet {
	struct header head;
	uint32_t id;
	struct address base;
	uint8_t number;
	uint16_t least_ticks;		/* of a period */
	uint8_t page;
} packed;

_Static_assert(sizeof(struct rsdp) == 36 && sizeof(struct fadt) == 276 && sizeof(struct facs) == 64,
	"ACPI 6");
_Static_assert(sizeof(struct hpet) == 56, "IA-PC HPET 1.0a");

#define MADT_ENABLED	1u
#define MADT_LEVEL_HIGH	0x0d
#define MADT_PCAT	1u

struct build {
	uint8_t *buf;
	size_t size, used;
	uint64_t base;
	bool full;
	struct vacpi_layout *layout;
	size_t tables[6];	/* those that the root tables list */
	unsigned table_count;
};

static uint8_t checksum(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (n--)
		sum += *p++;
	return (uint8_t)-sum;
}

/* Where it was put; 0 when it does not fit. */
static size_t append(struct build *b, const void *data, size_t n)
{
	size_t at = b->used;

	if (b->full || n > b->size - at) {
		b->full = true;
		return 0;
	}
	memcpy(b->buf + at, data, n);
	b->used += n;
	return at;
}

static void note_link(struct build *b, size_t at, unsigned size)
{
	struct vacpi_layout *l = b->layout;

	if (l->link_count == VACPI_LINKS_MAX) {
		b->full = true;
		return;
	}
	l->link[l->link_count].at = (uint32_t)at;
	l->link[l->link_count++].size = (uint8_t)size;
}

static void note_sum(struct build *b, size_t at, size_t size, size_t sum)
{
	struct vacpi_layout *l = b->layout;

	if (l->sum_count == VACPI_SUMS_MAX) {
		b->full = true;
		return;
	}
	l->sum[l->sum_count].at = (uint32_t)at;
	l->sum[l->sum_count].size = (uint32_t)size;
	l->sum[l->sum_count++].sum = (uint32_t)(at + sum);
}

static void align(struct build *b, size_t to)
{
	static const uint8_t zeros[64];

	append(b, zeros, ALIGN_UP(b->used, to) - b->used);
}

static struct header header(const char *signature, uint8_t revision, size_t length)
{
	struct header h = {
		.length = (uint32_t)length, .revision = revision, .oem = "KEEL  ",
		.oem_table = "KEELVM  ",
		.oem_revision = 1, .creator = "KEEL", .creator_revision = 1,
	};

	memcpy(h.signature, signature, 4);
	return h;
}

/* The table that starts at `at` ends here. */
static void finish(struct build *b, size_t at)
{
	struct header h;

	if (b->full)
		return;
	memcpy(&h, b->buf + at, sizeof(h));
	h.length = (uint32_t)(b->used - at);
	h.checksum = 0;
	memcpy(b->buf + at, &h, sizeof(h));
	b->buf[at + offsetof(struct header, checksum)] = checksum(b->buf + at, h.length);
	note_sum(b, at, h.length, offsetof(struct header, checksum));
	align(b, 16);
}

static void list(struct build *b, size_t at)
{
	if (b->table_count == ARRAY_COUNT(b->tables))
		b->full = true;
	else
		b->tables[b->table_count++] = at;
}

/* --- DSDT */

/* Name (`name`, number of `bytes` bytes) in AML gets the value. */
static void patch(struct build *b, size_t at, const char *name, unsigned bytes, uint64_t value)
{
	uint8_t pattern[6] = { AML_NAME, 0, 0, 0, 0, bytes == 8 ? 0x0e : 0x0c };

	memcpy(pattern + 1, name, 4);
	for (; at + sizeof(pattern) + bytes <= b->used; at++) {
		if (b->buf[at] != AML_NAME || memcmp(b->buf + at, pattern, sizeof(pattern)))
			continue;
		memcpy(b->buf + at + sizeof(pattern), &value, bytes);
		return;
	}
}

#define DEVICE_SHORT	(2 + 0x3f)	/* an object whose length takes a byte, with its opcode */

/* Device (\_SB.MOU), a short one, ends the table; its length stands between opcode and path. */
static void cut_mouse(struct build *b, size_t at)
{
	static const char path[] = "._SB_MOU_";
	size_t n = 3, end = b->used;

	if (end - at > DEVICE_SHORT)
		at = end - DEVICE_SHORT;
	for (; at + n + strlen(path) <= end; at++)
		if (b->buf[at] == 0x5b && b->buf[at + 1] == 0x82 &&
		    !memcmp(b->buf + at + n, path, strlen(path)))
			b->used = at;
}

static size_t build_dsdt(struct build *b, const struct vacpi_tables_config *c)
{
	size_t at = append(b, dsdt_aml, dsdt_aml_size);

	patch(b, at, "PWIN", 4, c->pci_window);
	patch(b, at, "QWIN", 8, c->pci_window64);
	patch(b, at, "QLEN", 8, c->pci_window64_size);
	patch(b, at, "ECAM", 4, c->ecam);
	patch(b, at, "LBUS", 4, c->buses - 1);
	patch(b, at, "HPTA", 4, c->hpet);
	if (!c->mouse)
		cut_mouse(b, at);
	finish(b, at);
	return at;
}

/* --- FADT */

static struct address port(unsigned bits, uint64_t at)
{
	static const uint8_t access[] = { [1] = 1, [2] = 2, [4] = 3 };
	unsigned bytes = bits / 8;

	return (struct address){ .space = SPACE_PORT, .bits = (uint8_t)bits,
		.access = access[bytes], .address = at };
}

static void fadt_registers(struct fadt *f)
{
	f->pm1a_event = VACPI_EVENT_PORT;
	f->pm1_event_size = 4;
	f->x_pm1a_event = port(32, VACPI_EVENT_PORT);
	f->x_pm1a_event.access = 2;	/* two registers of 16 bits */
	f->pm1a_control = VACPI_CONTROL_PORT;
	f->pm1_control_size = 2;
	f->x_pm1a_control = port(16, VACPI_CONTROL_PORT);
	f->timer = VACPI_TIMER_PORT;
	f->timer_size = 4;
	f->x_timer = port(32, VACPI_TIMER_PORT);
	f->gpe0 = VACPI_GPE_PORT;
	f->gpe0_size = 4;
	f->x_gpe0 = port(32, VACPI_GPE_PORT);
	f->x_gpe0.access = 1;
	f->reset = port(8, RESET_PORT);
	f->reset_value = RESET_VALUE;
}

static void build_fadt(struct build *b, size_t facs, size_t dsdt)
{
	struct fadt f = {
		.head = header("FACP", 6, sizeof(f)), .facs = (uint32_t)(b->base + facs),
		.dsdt = (uint32_t)(b->base + dsdt), .x_dsdt = b->base + dsdt, .sci = VACPI_SCI_IRQ,
		.smi = VACPI_SMI_PORT, .acpi_enable = VACPI_ENABLE, .acpi_disable = VACPI_DISABLE,
		.c2_latency = 0xfff, .c3_latency = 0xfff, .century = CMOS_CENTURY,
		.boot = BOOT_LEGACY | BOOT_NO_VGA, .minor = 3,
		.flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC |
		FADT_TIMER_32 | FADT_RESET,
	};
	size_t at;

	fadt_registers(&f);
	at = append(b, &f, sizeof(f));
	note_link(b, at + offsetof(struct fadt, facs), sizeof(f.facs));
	note_link(b, at + offsetof(struct fadt, dsdt), sizeof(f.dsdt));
	note_link(b, at + offsetof(struct fadt, x_dsdt), sizeof(f.x_dsdt));
	finish(b, at);
	list(b, at);
}

/* --- MADT */

/* True: an entry of its wide form was wanted. */
static bool madt_vcpu(struct build *b, uint32_t uid, uint32_t id)
{
	struct madt_lapic narrow = { 0, sizeof(narrow), (uint8_t)uid, (uint8_t)id, MADT_ENABLED };
	struct madt_x2apic wide = { 9, sizeof(wide), 0, id, MADT_ENABLED, uid };
	bool is_wide = id >= APIC_ID_WIDE || uid >= APIC_ID_WIDE;

	if (!is_wide)
		append(b, &narrow, sizeof(narrow));
	else
		append(b, &wide, sizeof(wide));
	return is_wide;
}

/*
 * IRQ 0 arrives at pin 2; the SCI is active high and level-triggered. LINT1 of every vCPU is NMI.
 */
static void build_madt(struct build *b, const struct vacpi_tables_config *c)
{
	struct madt head = { header("APIC", 5, sizeof(head)), LAPIC_BASE, MADT_PCAT };
	struct madt_ioapic ioapic = { 1, sizeof(ioapic), c->ioapic_id, 0, IOAPIC_BASE, 0 };
	struct madt_override timer = { 2, sizeof(timer), 0, 0, 2, 0 };
	struct madt_override sci = { 2, sizeof(sci), 0, VACPI_SCI_IRQ, VACPI_SCI_IRQ,
		MADT_LEVEL_HIGH };
	struct madt_nmi nmi = { 4, sizeof(nmi), 0xff, 0, 1 };
	struct madt_x2nmi x2nmi = { 10, sizeof(x2nmi), 0, ~0u, 1, { 0 } };
	size_t at = append(b, &head, sizeof(head));
	bool any_wide = false;

	for (uint32_t i = 0; i < c->vcpus; i++)
		any_wide |= madt_vcpu(b, i, c->apic_id(c->context, i));
	append(b, &ioapic, sizeof(ioapic));
	append(b, &timer, sizeof(timer));
	append(b, &sci, sizeof(sci));
	append(b, &nmi, sizeof(nmi));
	if (any_wide)
		append(b, &x2nmi, sizeof(x2nmi));
	finish(b, at);
	list(b, at);
}

static void build_mcfg(struct build *b, const struct vacpi_tables_config *c)
{
	struct mcfg m = {
		.head = header("MCFG", 1, sizeof(m)), .base = c->ecam,
		.last = (uint8_t)(c->buses - 1),
	};
	size_t at;

	if (!c->ecam)
		return;
	at = append(b, &m, sizeof(m));
	finish(b, at);
	list(b, at);
}

static void build_hpet(struct build *b, const struct vacpi_tables_config *c)
{
	struct hpet h = {
		.head = header("HPET", 1, sizeof(h)), .id = VHPET_ID,
		.base = { .bits = 64, .address = VHPET_BASE },
		.least_ticks = VHPET_GAP_NS / VHPET_TICK_NS, .page = HPET_PAGE_4K,
	};
	size_t at;

	if (!c->hpet)
		return;
	at = append(b, &h, sizeof(h));
	finish(b, at);
	list(b, at);
}

/* --- the roots */

static size_t build_root(struct build *b, const char *signature, unsigned entry)
{
	struct header h = header(signature, 1, sizeof(h));
	size_t at = append(b, &h, sizeof(h));

	for (unsigned i = 0; i < b->table_count; i++) {
		uint64_t address = b->base + b->tables[i];

		note_link(b, append(b, &address, entry), entry);
	}
	finish(b, at);
	return at;
}

static void write_rsdp(struct build *b, size_t rsdt, size_t xsdt)
{
	struct rsdp r = {
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' }, .oem = "KEEL  ",
		.revision = 2,
		.rsdt = (uint32_t)(b->base + rsdt), .length = sizeof(r), .xsdt = b->base + xsdt,
	};

	r.checksum = checksum(&r, 20);
	r.checksum_all = checksum(&r, sizeof(r));
	memcpy(b->buf, &r, sizeof(r));
	note_link(b, offsetof(struct rsdp, rsdt), sizeof(r.rsdt));
	note_link(b, offsetof(struct rsdp, xsdt), sizeof(r.xsdt));
	note_sum(b, 0, 20, offsetof(struct rsdp, checksum));
	note_sum(b, 0, sizeof(r), offsetof(struct rsdp, checksum_all));
}

static bool valid(const struct vacpi_tables_config *c, gpa_t base, size_t size)
{
	return c->vcpus >= 1 && c->vcpus <= VCPUS_MAX && IS_ALIGNED(base.v, 64) &&
		range_within(base.v, size, 0, 4 * GIB) && c->ecam <= 4 * GIB - VPCI_ECAM_MAX &&
		c->buses >= 1 && c->buses <= 256 &&
		c->pci_window < IOAPIC_BASE && IS_ALIGNED(c->pci_window, PAGE_SIZE) &&
		c->pci_window64 + c->pci_window64_size >= c->pci_window64;
}

long vacpi_tables_build(const struct vacpi_tables_config *config, void *buf, size_t size,
	gpa_t base, struct vacpi_layout *layout)
{
	struct vacpi_layout unused;
	struct build b = {
		.buf = buf, .size = size, .base = base.v, .layout = layout ?: &unused,
	};
	struct rsdp rsdp = { 0 };
	struct facs facs = { .signature = "FACS", .length = sizeof(facs), .version = 2 };
	size_t facs_at, dsdt_at, rsdt_at, xsdt_at;

	if (!valid(config, base, size))
		return -EINVAL;
	*b.layout = (struct vacpi_layout){ 0 };
	append(&b, &rsdp, sizeof(rsdp));
	align(&b, 64);
	facs_at = append(&b, &facs, sizeof(facs));
	dsdt_at = build_dsdt(&b, config);
	build_fadt(&b, facs_at, dsdt_at);
	build_madt(&b, config);
	build_mcfg(&b, config);
	build_hpet(&b, config);
	rsdt_at = build_root(&b, "RSDT", 4);
	xsdt_at = build_root(&b, "XSDT", 8);
	if (b.full)
		return -ENOSPC;
	write_rsdp(&b, rsdt_at, xsdt_at);
	return b.full ? -ENOSPC : (long)b.used;
}
