/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vmch.h. Source: Intel, "3 Series Express Chipset Family" datasheet, "DRAM Controller
 * Registers (D0:F0)".
 */
#include "vdev/vmch.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vpci.h"

#define VENDOR		0x8086
#define DEVICE		0x29c0
#define CLASS_HOST	0x06000000

#define ECAM_ON		BIT(0)
#define ECAM_LENGTH(v)	((v) >> 1 & 3)		/* 256, 128, 64 MiB; 3 is reserved */
#define ECAM_MAX	(256 * MIB)
#define ECAM_WRITABLE	(BITS(35, 26) | BITS(2, 0))
#define ECAM_RESET	0xb0000000u

#define PAM_COUNT	7
#define PAM_LOW(v)	((v) & 3u)		/* bit 0: RAM answers reads, bit 1: takes writes */
#define PAM_HIGH(v)	((v) >> 4 & 3u)

#define SMRAM_OPEN	0x40
#define SMRAM_CLOSED	0x20			/* to data; with it, open is not allowed */
#define SMRAM_LOCK	0x10
#define SMRAM_ON	0x08
#define SMRAM_WRITABLE	0x78
#define SMRAM_RESET	0x02			/* at A0000h: the only place there is */
#define ESMRAMC		0x9e
#define ESMRAMC_RESET	0x38

struct vmch {
	struct vdev dev;
	struct vpci_function function;
	struct vmch_config config;
	uint8_t smram;				/* as it is to be once it is locked */
	/* What the host was told last, and whether some vCPU is about to tell it more. */
	uint8_t shown[HOST_SHADOW_COUNT];
	uint64_t ecam, ecam_size;		/* size 0: off */
	bool telling;
};

static struct vmch *vmch_of(struct vdev *d)
{
	return container_of(d, struct vmch, dev);
}

/* --- what the registers say */

static uint64_t pciexbar(const struct vmch *m)
{
	uint64_t v;

	memcpy(&v, m->function.config + VMCH_PCIEXBAR, sizeof(v));
	return v;
}

static uint64_t ecam_size_of(uint64_t v)
{
	return v & ECAM_ON && ECAM_LENGTH(v) < 3 ? ECAM_MAX >> ECAM_LENGTH(v) : 0;
}

static uint64_t ecam_base_of(uint64_t v)
{
	return v & BITS(35, 26) & ~(ecam_size_of(v) - 1);
}

/* The first register has F0000h above, the others two pieces each, the lower one below. */
static unsigned wanted(const struct vmch *m, unsigned piece)
{
	const uint8_t *pam = m->function.config + VMCH_PAM;
	unsigned open = m->smram & (SMRAM_OPEN | SMRAM_CLOSED | SMRAM_ON);

	if (piece == HOST_SHADOW_SCREEN)
		return open == (SMRAM_OPEN | SMRAM_ON) ? HOST_SHADOW_READ | HOST_SHADOW_WRITE : 0;
	if (piece == HOST_SHADOW_BIOS)
		return PAM_HIGH(pam[0]);
	return piece % 2 ? PAM_HIGH(pam[1 + piece / 2]) : PAM_LOW(pam[1 + piece / 2]);
}

/* --- telling the host */

/* The next piece that is not shown as it should be, noted as told; or -1. */
static int next_piece(struct vmch *m)
{
	for (unsigned i = 0; m->config.shadow && i < HOST_SHADOW_COUNT; i++) {
		unsigned want = wanted(m, i);

		if (m->shown[i] == want)
			continue;
		m->shown[i] = (uint8_t)want;
		return (int)i;
	}
	return -1;
}

static bool ecam_moved(struct vmch *m)
{
	uint64_t v = pciexbar(m), size = ecam_size_of(v), base = size ? ecam_base_of(v) : 0;

	if (size == m->ecam_size && base == m->ecam)
		return false;
	m->ecam = base;
	m->ecam_size = size;
	return true;
}

/* The bus's lock is held, but given up meanwhile. */
static void tell_host(struct vmch *m, uint64_t *flags)
{
	struct vdev *bus = m->config.bus;
	int piece;

	while ((piece = next_piece(m)) >= 0) {
		unsigned access = m->shown[piece];

		host_unlock(bus, *flags);
		if (host_shadow_set(&m->dev, (unsigned)piece, access))
			host_log(&m->dev, "piece %d below 1 MiB cannot be shown", piece);
		*flags = host_lock(bus);
	}
	while (ecam_moved(m)) {
		uint64_t base = m->ecam, size = m->ecam_size;

		host_unlock(bus, *flags);
		if (host_region_set(bus, VPCI_ECAM, HOST_MMIO, base, size, size))
			host_log(&m->dev, "ECAM at %#lx cannot be mapped", base);
		*flags = host_lock(bus);
	}
}

static bool is_told(const struct vmch *m)
{
	uint64_t v = pciexbar(m), size = ecam_size_of(v);

	for (unsigned i = 0; m->config.shadow && i < HOST_SHADOW_COUNT; i++)
		if (m->shown[i] != wanted(m, i))
			return false;
	return size == m->ecam_size && (!size || ecam_base_of(v) == m->ecam);
}

/*
 * Without the lock, since the host waits for other vCPUs. Only one caller at a time, who goes on
 * until nothing is left: what the host heard last is what the registers say.
 */
static void tell(struct vmch *m)
{
	uint64_t flags = host_lock(m->config.bus);

	if (!m->telling) {
		m->telling = true;
		while (!is_told(m))
			tell_host(m, &flags);
		m->telling = false;
	}
	host_unlock(m->config.bus, flags);
}

/* Once SMRAM is locked it is closed, and its register keeps what it has. */
static void smram_written(struct vmch *m)
{
	uint8_t *smram = &m->function.config[VMCH_SMRAM];
	uint64_t flags = host_lock(m->config.bus);

	if (m->smram & SMRAM_LOCK)
		*smram = m->smram;
	else if (*smram & SMRAM_LOCK)
		*smram &= ~SMRAM_OPEN;
	m->smram = *smram;
	host_unlock(m->config.bus, flags);
}

static void written(struct vpci_function *f, unsigned offset, unsigned size)
{
	struct vmch *m = container_of(f, struct vmch, function);

	if (offset <= VMCH_SMRAM && VMCH_SMRAM < offset + size)
		smram_written(m);
	if (offset >= VMCH_PCIEXBAR && offset < ESMRAMC)
		tell(m);
}

/* --- what RAM does not answer */

static uint64_t vmch_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	(void)d, (void)region, (void)offset, (void)size;
	return ~0ul;
}

static unsigned piece_at(uint64_t offset)
{
	return MIN((unsigned)(offset >> 14), (unsigned)HOST_SHADOW_BIOS);
}

/* Byte by byte: it may lie in two pieces. */
static void vmch_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vmch *m = vmch_of(d);

	(void)region;
	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(value >> 8 * i);

		if (READ_ONCE(m->shown[piece_at(offset + i)]) == HOST_SHADOW_WRITE &&
		    host_shadow_write(d, GPA(HOST_SHADOW_FIRST + offset + i), &byte, 1))
			host_log(d, "a write to RAM that is not shown is lost");
	}
}

/* --- life */

/* What a reset brings back. */
static void first_registers(struct vmch *m)
{
	uint8_t *config = m->function.config;
	uint64_t bar = ECAM_RESET;

	memcpy(config + VMCH_PCIEXBAR, &bar, sizeof(bar));
	memset(config + VMCH_PAM, m->config.shadow ? 0 : 0x33, PAM_COUNT);
	if (!m->config.shadow)
		config[VMCH_PAM] = 0x30;
	config[VMCH_SMRAM] = m->smram = SMRAM_RESET;
	config[ESMRAMC] = ESMRAMC_RESET;
}

static void vmch_reset(struct vdev *d)
{
	struct vmch *m = vmch_of(d);

	vpci_function_reset(&m->function);
	WRITE_ONCE(m->smram, SMRAM_RESET);
	tell(m);
}

static void vmch_save(struct vdev *d, struct record_writer *w)
{
	vpci_function_save(&vmch_of(d)->function, w);
}

static int vmch_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vmch *m = vmch_of(d);
	struct vpci_saved saved;
	uint8_t smram;

	vpci_function_read(&m->function, r, &saved);
	smram = saved.config[VMCH_SMRAM];
	if (version != d->ops->version || record_finish(r) ||
	    (smram & SMRAM_LOCK && smram & SMRAM_OPEN))
		return -EINVAL;
	vpci_function_commit(&m->function, &saved);
	WRITE_ONCE(m->smram, smram);
	tell(m);
	return 0;
}

static void vmch_destroy(struct vdev *d)
{
	vpci_function_fini(&vmch_of(d)->function);
	host_free(vmch_of(d));
}

static const struct vdev_ops vmch_ops = {
	.name = "vmch", .version = 1, .read = vmch_read, .write = vmch_write, .reset = vmch_reset,
	.save = vmch_save, .load = vmch_load, .destroy = vmch_destroy,
};

uint64_t vmch_ecam(struct vdev *d)
{
	struct vmch *m = vmch_of(d);
	uint64_t flags = host_lock(m->config.bus), v = pciexbar(m);

	host_unlock(m->config.bus, flags);
	return ecam_size_of(v) ? ecam_base_of(v) : 0;
}

static void make_writable(struct vmch *m)
{
	uint64_t bar = ECAM_WRITABLE;

	memcpy(m->function.writable + VMCH_PCIEXBAR, &bar, sizeof(bar));
	m->function.writable[VMCH_SMRAM] = SMRAM_WRITABLE;
	if (!m->config.shadow)
		return;
	memset(m->function.writable + VMCH_PAM, 0x33, PAM_COUNT);
	m->function.writable[VMCH_PAM] = 0x30;
}

int vmch_create(const struct vmch_config *config, struct vdev **out)
{
	struct vmch *m = host_alloc(sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->dev.ops = &vmch_ops;
	m->config = *config;
	vpci_function_init(&m->function, &m->dev, VENDOR, DEVICE, CLASS_HOST, 0x1af4, 0x1100);
	m->function.written = written;
	make_writable(m);
	first_registers(m);
	err = vpci_attach(config->bus, 0, VMCH_SLOT, 0, &m->function);
	if (err) {
		host_free(m);
		return err;
	}
	*out = &m->dev;
	return 0;
}
