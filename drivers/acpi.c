/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parses ACPI tables. Everything is copied before it is looked at, in small pieces through one
 * reader, so that no length in a table can lead outside the table and no table outside memory. A
 * struct table is the window on one table whose length and checksum have been checked; field()
 * reads from it, zeros beyond its end.
 * Source: ACPI Specification 6.4, "ACPI Software Programming Model"; PCI Firmware Specification
 * 3.2, "MCFG table"; IA-PC HPET Specification 1.0a, "The ACPI 2.0 HPET description table"; Intel
 * Virtualization Technology for Directed I/O, "DMA Remapping Reporting Structure"; Microsoft,
 * "Serial Port Console Redirection Table", revision 4.
 */
#include "drivers/acpi.h"

#include "cpu/features.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/layout.h"

#define HEADER_SIZE	36u
#define TABLE_SIZE_MAX	(4u << 20)
#define TABLE_COUNT_MAX	256u
#define CHUNK		256u

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
} packed;

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} packed;

#define RSDP_V1_SIZE	20u

struct table {
	hpa_t at;
	struct header h;
	acpi_reader *read;
};

struct acpi_info acpi_info;

static uint8_t sum(const void *p, size_t n)
{
	uint8_t s = 0;

	for (size_t i = 0; i < n; i++)
		s = (uint8_t)(s + ((const uint8_t *)p)[i]);
	return s;
}

/* ---- the window on one table ---- */

/* Copies n bytes at `offset`; what lies beyond the table's end reads as zeros. */
static void bytes(const struct table *t, uint32_t offset, void *buf, uint32_t n)
{
	uint32_t fit = offset < t->h.length ? MIN(n, t->h.length - offset) : 0;

	memset(buf, 0, n);
	if (fit && !t->read(HPA(t->at.v + offset), buf, fit))
		memset(buf, 0, n);
}

/* A little-endian number of 1 to 8 bytes. */
static uint64_t field(const struct table *t, uint32_t offset, uint32_t size)
{
	uint64_t v = 0;

	bytes(t, offset, &v, size);
	return v & bytes_mask(size);
}

/* Reads all of it, and so knows that it can be read; false: it cannot. */
static bool sum_table(const struct table *t, uint8_t *s)
{
	uint8_t buf[CHUNK];

	*s = 0;
	for (uint32_t at = 0; at < t->h.length; at += CHUNK) {
		uint32_t n = MIN(CHUNK, t->h.length - at);

		if (!t->read(HPA(t->at.v + at), buf, n))
			return false;
		*s = (uint8_t)(*s + sum(buf, n));
	}
	return true;
}

/*
 * Shipped firmware has wrong checksums, and other systems use its tables all the same: so a warning
 * is enough, as no content can do harm here.
 */
static bool table_open(struct table *t, hpa_t at, acpi_reader *read)
{
	uint8_t s;

	t->at = at;
	t->read = read;
	if (!at.v || !read(at, &t->h, HEADER_SIZE))
		return false;
	if (t->h.length < HEADER_SIZE || t->h.length > TABLE_SIZE_MAX || !sum_table(t, &s)) {
		log_warn("acpi: table %.4s at %#lx is damaged and ignored", t->h.signature, at.v);
		return false;
	}
	if (s)
		log_warn("acpi: table %.4s at %#lx has a wrong checksum", t->h.signature, at.v);
	return true;
}

static bool is(const struct table *t, const char *signature)
{
	return !memcmp(t->h.signature, signature, 4);
}

/* ---- MADT ---- */

static void add_cpu(struct acpi_info *out, uint32_t apic_id, uint32_t uid, uint32_t flags)
{
	/*
	 * Only bit 0, enabled, counts. What could be plugged in later, or is an empty socket, may
	 * bear an id that another entry has too, and would take the place of one that is there.
	 */
	if (!(flags & 1))
		return;
	for (unsigned i = 0; i < out->cpu_count; i++)
		if (out->cpu[i].apic_id == apic_id)
			return;		/* listed as LAPIC and as x2APIC */
	if (out->cpu_count == ARRAY_COUNT(out->cpu)) {
		log_warn("acpi: CPU with APIC id %u is one too many", apic_id);
		return;
	}
	out->cpu[out->cpu_count++] = (struct acpi_cpu){ .apic_id = apic_id, .uid = uid };
}

static void add_ioapic(struct acpi_info *out, const struct table *t, uint32_t at)
{
	struct acpi_ioapic *io;

	if (out->ioapic_count == ARRAY_COUNT(out->ioapic))
		return;
	io = &out->ioapic[out->ioapic_count++];
	io->id = (uint8_t)field(t, at + 2, 1);
	io->base = HPA(field(t, at + 4, 4));
	io->gsi_base = (uint32_t)field(t, at + 8, 4);
}

/* MPS INTI flags: 0 means as the bus does it, which is high and edge for ISA. */
static bool flag_low(uint64_t flags)
{
	return (flags & 3) == 3;
}

static bool flag_level(uint64_t flags)
{
	return (flags >> 2 & 3) == 3;
}

static void add_override(struct acpi_info *out, const struct table *t, uint32_t at)
{
	uint64_t flags = field(t, at + 8, 2);
	struct acpi_override *o;

	if (out->override_count == ARRAY_COUNT(out->override))
		return;
	o = &out->override[out->override_count++];
	o->irq = (uint8_t)field(t, at + 3, 1);
	o->gsi = (uint32_t)field(t, at + 4, 4);
	o->low = flag_low(flags);
	o->level = flag_level(flags);
}

static void add_nmi(struct acpi_info *out, uint32_t uid, uint64_t lint, uint64_t flags)
{
	struct acpi_nmi *n;

	if (out->nmi_count == ARRAY_COUNT(out->nmi))
		return;
	n = &out->nmi[out->nmi_count++];
	*n = (struct acpi_nmi){ .uid = uid, .lint = lint & 1, .low = flag_low(flags),
				.level = flag_level(flags) };
}

static void madt_entry(struct acpi_info *out, const struct table *t, uint32_t at)
{
	uint32_t uid;

	switch (field(t, at, 1)) {
	case 0:		/* local APIC */
		if (field(t, at + 3, 1) != 0xff)
			add_cpu(out, (uint32_t)field(t, at + 3, 1), (uint32_t)field(t, at + 2, 1),
				(uint32_t)field(t, at + 4, 4));
		break;
	case 1:
		add_ioapic(out, t, at);
		break;
	case 2:
		add_override(out, t, at);
		break;
	case 4:		/* local APIC NMI */
		uid = (uint32_t)field(t, at + 2, 1);
		add_nmi(out, uid == 0xff ? ACPI_UID_ALL : uid, field(t, at + 5, 1),
			field(t, at + 3, 2));
		break;
	case 5:		/* 64-bit address of the local APIC */
		out->lapic = HPA(field(t, at + 4, 8));
		break;
	case 9:		/* local x2APIC */
		add_cpu(out, (uint32_t)field(t, at + 4, 4), (uint32_t)field(t, at + 12, 4),
			(uint32_t)field(t, at + 8, 4));
		break;
	case 10:	/* local x2APIC NMI */
		add_nmi(out, (uint32_t)field(t, at + 4, 4), field(t, at + 8, 1),
			field(t, at + 2, 2));
		break;
	}
}

/*
 * Calls `entry` for each record {type, length, ...}; one that is too short or runs over the end
 * ends the walk.
 */
static void walk(struct acpi_info *out, const struct table *t, uint32_t at,
		 void (*entry)(struct acpi_info *out, const struct table *t, uint32_t at))
{
	while (at + 2 <= t->h.length) {
		uint32_t length = (uint32_t)field(t, at + 1, 1);

		if (length < 2 || length > t->h.length - at) {
			log_warn("acpi: table %.4s has a bad record at %u", t->h.signature, at);
			return;
		}
		entry(out, t, at);
		at += length;
	}
}

static void parse_madt(struct acpi_info *out, const struct table *t)
{
	out->lapic = HPA(field(t, 36, 4));
	out->pic = field(t, 40, 4) & 1;
	walk(out, t, 44, madt_entry);
}

/* ---- FADT and the soft-off package ---- */

/*
 * One number of a package: ZeroOp, OneOp, or BytePrefix and a byte. Returns the offset behind it, 0
 * if it is another thing.
 */
static uint32_t package_byte(const struct table *t, uint32_t at, uint8_t *v)
{
	uint8_t op = (uint8_t)field(t, at, 1);

	if (at >= t->h.length)
		return 0;
	if (op == 0x0a) {
		*v = (uint8_t)field(t, at + 1, 1);
		return at + 2;
	}
	*v = op;
	return op <= 1 ? at + 1 : 0;
}

/* At the name: "_S5_" PackageOp PkgLength NumElements a b. */
static bool parse_s5(struct acpi_info *out, const struct table *t, uint32_t at)
{
	uint8_t a, b;

	if (field(t, at - 1, 1) != 0x08 && field(t, at - 2, 2) != 0x5c08)
		return false;		/* not a NameOp, with or without the root's prefix */
	if (field(t, at + 4, 1) != 0x12)
		return false;
	at += 5;
	at += 1 + (uint32_t)(field(t, at, 1) >> 6);	/* PkgLength takes 1 to 4 bytes */
	if (field(t, at, 1) < 1)
		return false;
	at = package_byte(t, at + 1, &a);
	if (!at)
		return false;
	if (!package_byte(t, at, &b))
		b = a;
	out->s5 = true;
	out->s5_a = a & 7;
	out->s5_b = b & 7;
	return true;
}

static void find_s5(struct acpi_info *out, const struct table *t)
{
	char buf[CHUNK];

	/* Chunks overlap by 3 bytes, so that a name across a seam is seen. */
	for (uint32_t at = HEADER_SIZE; at < t->h.length; at += CHUNK - 3) {
		bytes(t, at, buf, CHUNK);
		for (uint32_t i = 0; i + 4 <= CHUNK; i++)
			if (buf[i] == '_' && !memcmp(buf + i, "_S5_", 4) &&
			    parse_s5(out, t, at + i))
				return;
	}
}

/* A generic address structure. */
static struct acpi_register parse_register(const struct table *t, uint32_t at)
{
	return (struct acpi_register){
		.space = (uint8_t)field(t, at, 1),
		.width = (uint8_t)field(t, at + 1, 1),
		.address = field(t, at + 4, 8),
	};
}

/* A port by its 32-bit field, or by the later structure when that is empty. */
static uint16_t parse_port(const struct table *t, uint32_t old, uint32_t extended)
{
	struct acpi_register r = parse_register(t, extended);
	uint64_t port = field(t, old, 4);

	if (!port && r.space == ACPI_SPACE_IO)
		port = r.address;
	return port <= 0xffff ? (uint16_t)port : 0;
}

static void parse_fadt(struct acpi_info *out, const struct table *t)
{
	uint32_t flags = (uint32_t)field(t, 112, 4);
	struct table dsdt;

	out->sci = (uint8_t)field(t, 46, 2);
	out->smi_command = (uint16_t)field(t, 48, 4);
	out->acpi_enable = (uint8_t)field(t, 52, 1);
	out->pm1a_control = parse_port(t, 64, 172);
	out->pm1b_control = parse_port(t, 68, 184);
	out->pm_timer_port = parse_port(t, 76, 208);
	out->pm_timer_bits = flags & BIT(8) ? 32 : 24;
	if (flags & BIT(10) && t->h.length >= 129) {
		out->reset = parse_register(t, 116);
		out->reset_value = (uint8_t)field(t, 128, 1);
	}
	if (flags & BIT(20))
		out->sleep = parse_register(t, 244);
	/* ACPI 1.0 has no boot architecture flags there. */
	out->no_keyboard = t->h.revision >= 3 && t->h.length >= 111 && !(field(t, 109, 2) & BIT(1));
	if (table_open(&dsdt, HPA(field(t, 40, 4)), t->read) ||
	    table_open(&dsdt, HPA(field(t, 140, 8)), t->read))
		find_s5(out, &dsdt);
}

/* ---- MCFG, HPET, DMAR, SRAT ---- */

static void parse_mcfg(struct acpi_info *out, const struct table *t)
{
	for (uint32_t at = 44; at + 16 <= t->h.length; at += 16) {
		struct acpi_ecam e = {
			.base = HPA(field(t, at, 8)),
			.segment = (uint16_t)field(t, at + 8, 2),
			.first_bus = (uint8_t)field(t, at + 10, 1),
			.last_bus = (uint8_t)field(t, at + 11, 1),
		};

		if (e.base.v && e.first_bus <= e.last_bus &&
		    out->ecam_count < ARRAY_COUNT(out->ecam))
			out->ecam[out->ecam_count++] = e;
	}
}

static void parse_hpet(struct acpi_info *out, const struct table *t)
{
	struct acpi_register r = parse_register(t, 40);

	if (r.space == ACPI_SPACE_MEMORY && !out->hpet.v)
		out->hpet = HPA(r.address);
}

/*
 * Flags, bit 1. By the letter it counts only beside bit 0, interrupt remapping; but who sets it
 * means it.
 */
static void parse_dmar(struct acpi_info *out, const struct table *t)
{
	out->x2apic_opt_out = field(t, 37, 1) & 2;
}

/* The node of a proximity domain; node 0 when there are too many. */
static uint8_t node_of(struct acpi_info *out, uint32_t domain)
{
	for (unsigned i = 0; i < out->node_count; i++)
		if (out->domain[i] == domain)
			return (uint8_t)i;
	if (out->node_count == ARRAY_COUNT(out->domain))
		return 0;
	out->domain[out->node_count] = domain;
	return (uint8_t)out->node_count++;
}

static void place_cpu(struct acpi_info *out, uint32_t apic_id, uint32_t domain)
{
	for (unsigned i = 0; i < out->cpu_count; i++)
		if (out->cpu[i].apic_id == apic_id)
			out->cpu[i].node = node_of(out, domain);
}

static void place_memory(struct acpi_info *out, const struct table *t, uint32_t at)
{
	struct acpi_memory m = { .start = HPA(field(t, at + 8, 8)), .size = field(t, at + 16, 8) };

	if (!m.size || m.start.v + m.size < m.start.v ||
	    out->memory_count == ARRAY_COUNT(out->memory))
		return;
	m.node = node_of(out, (uint32_t)field(t, at + 2, 4));
	out->memory[out->memory_count++] = m;
}

static void srat_entry(struct acpi_info *out, const struct table *t, uint32_t at)
{
	uint32_t domain;

	switch (field(t, at, 1)) {
	case 0:		/* local APIC: the domain's bytes are apart */
		domain = (uint32_t)(field(t, at + 2, 1) | field(t, at + 9, 3) << 8);
		if (field(t, at + 4, 4) & 1)
			place_cpu(out, (uint32_t)field(t, at + 3, 1), domain);
		break;
	case 1:
		if (field(t, at + 28, 4) & 1)
			place_memory(out, t, at);
		break;
	case 2:		/* local x2APIC */
		if (field(t, at + 12, 4) & 1)
			place_cpu(out, (uint32_t)field(t, at + 8, 4),
				  (uint32_t)field(t, at + 4, 4));
		break;
	}
}

static void parse_srat(struct acpi_info *out, const struct table *t)
{
	walk(out, t, 48, srat_entry);
}

/* ---- SPCR ---- */

#define SPCR_16550		0
#define SPCR_16550_SUBSET	1
#define SPCR_16550_GAS		0x12	/* its registers are as wide as the structure says */

/* Bits of an access: as the structure's access size says, else by the register's width. */
static uint8_t access_width(const struct table *t, uint32_t at)
{
	uint32_t size = (uint32_t)field(t, at + 3, 1), width = (uint32_t)field(t, at + 1, 1);

	if (size >= 1 && size <= 3)
		return (uint8_t)(4u << size);
	return width == 16 || width == 32 ? (uint8_t)width : 8;
}

static void parse_spcr(struct acpi_info *out, const struct table *t)
{
	static const uint32_t bauds[] = { 0, 2400, 4800, 9600, 19200, 0, 57600, 115200 };
	uint32_t kind = (uint32_t)field(t, 36, 1), baud = (uint32_t)field(t, 58, 1);
	uint32_t interrupts = (uint32_t)field(t, 52, 1);
	struct acpi_serial *s = &out->serial;

	if (kind != SPCR_16550 && kind != SPCR_16550_SUBSET && kind != SPCR_16550_GAS)
		return;
	s->port = parse_register(t, 40);
	s->port.width = access_width(t, 40);
	s->irq = (uint8_t)field(t, 53, 1);
	s->irq_known = interrupts & 1 && s->irq && s->irq < 16;
	s->gsi = (uint32_t)field(t, 54, 4);
	s->gsi_known = interrupts & 2;
	s->baud = baud < ARRAY_COUNT(bauds) ? bauds[baud] : 0;
	if (t->h.revision >= 3)
		s->clock_hz = (uint32_t)field(t, 76, 4);
	if (t->h.revision >= 4 && field(t, 80, 4))
		s->baud = (uint32_t)field(t, 80, 4);
}

/* ---- root ---- */

/* In this order: the SRAT names CPUs that the MADT lists. */
static const struct {
	char signature[5];
	void (*parse)(struct acpi_info *out, const struct table *t);
} parsers[] = {
	{ "APIC", parse_madt },
	{ "FACP", parse_fadt },
	{ "MCFG", parse_mcfg },
	{ "HPET", parse_hpet },
	{ "DMAR", parse_dmar },
	{ "SRAT", parse_srat },
	{ "SPCR", parse_spcr },
};

/* The first table of that signature, through a root whose entries have `width` bytes. */
static bool root_find(const struct table *root, uint32_t width, const char *signature,
		      struct table *t)
{
	uint32_t count = MIN((root->h.length - HEADER_SIZE) / width, TABLE_COUNT_MAX);
	char found[4];

	for (uint32_t i = 0; i < count; i++) {
		hpa_t at = HPA(field(root, HEADER_SIZE + i * width, width));

		if (at.v && root->read(at, found, 4) && !memcmp(found, signature, 4) &&
		    table_open(t, at, root->read))
			return true;
	}
	return false;
}

static bool open_root(const struct rsdp *r, acpi_reader *read, struct table *root, uint32_t *width)
{
	*width = 8;
	if (r->revision >= 2 && r->xsdt && table_open(root, HPA(r->xsdt), read) && is(root, "XSDT"))
		return true;
	*width = 4;
	return r->rsdt && table_open(root, HPA(r->rsdt), read) && is(root, "RSDT");
}

/* A revision 2 RSDP whose longer checksum is wrong is still good as a revision 0 one. */
static bool rsdp_copy(struct rsdp *r, const void *p, size_t size)
{
	memset(r, 0, sizeof(*r));
	if (size < RSDP_V1_SIZE)
		return false;
	memcpy(r, p, MIN(size, sizeof(*r)));
	if (memcmp(r->signature, "RSD PTR ", 8) || sum(r, RSDP_V1_SIZE))
		return false;
	if (r->revision >= 2 && (size < sizeof(*r) || sum(r, sizeof(*r))))
		r->revision = 0;
	return true;
}

int acpi_parse(struct acpi_info *out, const void *rsdp, size_t rsdp_size, acpi_reader *read)
{
	struct rsdp r;
	struct table root, t;
	uint32_t width;

	memset(out, 0, sizeof(*out));
	if (!rsdp_copy(&r, rsdp, rsdp_size) || !open_root(&r, read, &root, &width)) {
		out->node_count = 1;
		return -ENOENT;
	}
	out->found = true;
	out->revision = r.revision;
	memcpy(out->oem, r.oem_id, 6);
	for (unsigned i = 0; i < ARRAY_COUNT(parsers); i++)
		if (root_find(&root, width, parsers[i].signature, &t))
			parsers[i].parse(out, &t);
	if (!out->node_count)
		out->node_count = 1;
	return 0;
}

/* ---- physical memory, by the boot map and by the final one ---- */

static bool out_of_reach;	/* something was, for the boot map */

static bool read_direct(hpa_t a, void *buf, size_t n)
{
	if (!range_within(a.v, n, 0, LAYOUT_BOOT_DIRECT_SIZE)) {
		out_of_reach = true;
		return false;
	}
	memcpy(buf, (const void *)(LAYOUT_DIRECT + a.v), n);
	return true;
}

/* What read_mapped has mapped; most reads follow each other in one page. */
static struct {
	uint64_t start, size;
	const uint8_t *at;
} window;

static void window_close(void)
{
	if (window.at)
		kmap_io_unmap((void *)window.at, window.size);
	window.at = NULL;
}

/* Whole pages and no more: what lies beside them may be a device's. */
static bool window_open(uint64_t start, uint64_t end)
{
	window_close();
	window.start = start;
	window.size = end - start;
	window.at = kmap_io(HPA(start), end - start, CACHE_WB);
	return window.at;
}

static bool read_mapped(hpa_t a, void *buf, size_t n)
{
	uint64_t start = ALIGN_DOWN(a.v, PAGE_SIZE);

	if (!range_within(a.v, n, 0, (1ul << features.physical_bits) - PAGE_SIZE))
		return false;
	if (!window.at || !range_within(a.v, n, window.start, window.size))
		if (!window_open(start, ALIGN_UP(a.v + n, PAGE_SIZE)))
			return false;
	memcpy(buf, window.at + (a.v - window.start), n);
	return true;
}

static void say(const struct acpi_info *a)
{
	log_info("acpi: revision %u by %s: %u CPUs, %u I/O APICs, %u nodes%s%s%s%s", a->revision,
		 a->oem, a->cpu_count, a->ioapic_count, a->node_count,
		 a->pm_timer_port ? ", PM timer" : "", a->hpet.v ? ", HPET" : "",
		 a->ecam_count ? ", ECAM" : "", a->s5 ? ", soft-off" : "");
}

int acpi_init(const void *rsdp, size_t rsdp_size)
{
	int err = acpi_parse(&acpi_info, rsdp, rsdp_size, read_direct);

	if (out_of_reach)
		return -EAGAIN;
	if (!err)
		say(&acpi_info);
	return err;
}

int acpi_init_late(const void *rsdp, size_t rsdp_size)
{
	int err;

	if (!out_of_reach)
		return acpi_info.found ? 0 : -ENOENT;
	err = acpi_parse(&acpi_info, rsdp, rsdp_size, read_mapped);
	window_close();
	if (!err)
		say(&acpi_info);
	return err;
}

bool acpi_wants_x2apic(void)
{
	bool want = !acpi_info.x2apic_opt_out;

	for (unsigned i = 0; i < acpi_info.cpu_count; i++)
		want |= acpi_info.cpu[i].apic_id >= 255;
	return want;
}

struct acpi_override acpi_isa_irq(unsigned irq)
{
	for (unsigned i = 0; i < acpi_info.override_count; i++)
		if (acpi_info.override[i].irq == irq)
			return acpi_info.override[i];
	return (struct acpi_override){ .irq = (uint8_t)irq, .gsi = irq };
}
