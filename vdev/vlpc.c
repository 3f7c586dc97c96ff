/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vlpc.h. Source: Intel, "I/O Controller Hub 9 Family" datasheet, "LPC Interface Bridge
 * Registers (D31:F0)", "Chipset Configuration Registers".
 */
#include "vdev/vlpc.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vacpi.h"
#include "vdev/vpci.h"

#define VENDOR		0x8086
#define DEVICE		0x2918
#define CLASS_ISA	0x06010002
#define HEADER_TYPE	0x0e
#define MULTIFUNCTION	0x80

#define PMBASE_WRITABLE	0xff80u
#define IS_IO		0x01
#define ACPI_ON		0x80
#define ACPI_WRITABLE	0x87		/* with the SCI's choice, which has no effect: IRQ 9 */
#define PIRQ_OFF	0x80
#define PIRQ_WRITABLE	0x8f
#define PIRQ_IRQS	0xdef8u		/* 3 to 7, 9 to 12, 14, 15 */
#define LPC_EN		0x82
#define LPC_EN_COM1	0x01
#define RCBA_WRITABLE	0xffffc001u
#define RCBA_ON		0x01
#define RCBA_SIZE	0x4000u

/* In the register block: INTA to INTD of slots 31 to 25 are PIRQA to PIRQD. */
#define ROUTES_FIRST	0x3140u
#define ROUTES_END	0x3152u
#define ROUTES		0x3210u
#define GCS		0x3410u		/* "General Control and Status" */
#define NO_REBOOT	0x20u

struct vlpc {
	struct vdev dev;
	struct vpci_function function;
	struct vlpc_config config;
	/* What others were told last, and whether some vCPU is about to tell more. */
	uint8_t routed[VLPC_PIRQS];
	uint32_t pmbase, rcba;			/* 0: off */
	bool telling;
};

static struct vlpc *vlpc_of(struct vdev *d)
{
	return container_of(d, struct vlpc, dev);
}

/* --- what the registers say */

static unsigned pirq_register(unsigned pirq)
{
	return pirq < 4 ? 0x60 + pirq : 0x68 + pirq - 4;
}

static uint8_t irq_of(const struct vlpc *l, unsigned pirq)
{
	uint8_t v = l->function.config[pirq_register(pirq)], irq = v & 15;

	return v & PIRQ_OFF || !(PIRQ_IRQS & BIT(irq)) ? VLPC_NO_IRQ : irq;
}

static uint32_t get(const struct vlpc *l, unsigned reg)
{
	uint32_t v;

	memcpy(&v, l->function.config + reg, sizeof(v));
	return v;
}

static uint32_t pmbase_of(const struct vlpc *l)
{
	return l->function.config[VLPC_ACPI_CNTL] & ACPI_ON
		? get(l, VLPC_PMBASE) & PMBASE_WRITABLE : 0;
}

static uint32_t rcba_of(const struct vlpc *l)
{
	uint32_t v = get(l, VLPC_RCBA_BASE);

	return v & RCBA_ON ? v & ~(RCBA_SIZE - 1) : 0;
}

/* --- telling others; the bus's lock is held, but given up meanwhile. Has anything changed? */

static bool tell_route(struct vlpc *l, unsigned pirq, uint64_t *flags)
{
	uint8_t irq = irq_of(l, pirq);

	if (l->routed[pirq] == irq)
		return false;
	l->routed[pirq] = irq;
	host_unlock(l->config.bus, *flags);
	l->config.route(l->config.context, pirq, irq);
	*flags = host_lock(l->config.bus);
	return true;
}

static bool tell_pmbase(struct vlpc *l, uint64_t *flags)
{
	uint32_t base = pmbase_of(l);

	if (l->pmbase == base)
		return false;
	l->pmbase = base;
	host_unlock(l->config.bus, *flags);
	vacpi_place(l->config.acpi, (uint16_t)base, base);
	*flags = host_lock(l->config.bus);
	return true;
}

static bool tell_rcba(struct vlpc *l, uint64_t *flags)
{
	uint32_t base = rcba_of(l);

	if (l->rcba == base)
		return false;
	l->rcba = base;
	host_unlock(l->config.bus, *flags);
	if (host_region_set(&l->dev, VLPC_RCBA, HOST_MMIO, base, RCBA_SIZE, base))
		host_log(&l->dev, "RCBA at %#x cannot be mapped", base);
	*flags = host_lock(l->config.bus);
	return true;
}

static bool tell_some(struct vlpc *l, uint64_t *flags)
{
	bool any = false;

	for (unsigned i = 0; i < VLPC_PIRQS; i++)
		any |= tell_route(l, i, flags);
	any |= tell_pmbase(l, flags);
	return any | tell_rcba(l, flags);
}

/* One caller at a time, who goes on until nothing is left: see vmch.c. */
static void tell(struct vlpc *l)
{
	uint64_t flags = host_lock(l->config.bus);

	if (!l->telling) {
		l->telling = true;
		while (tell_some(l, &flags))
			;
		l->telling = false;
	}
	host_unlock(l->config.bus, flags);
}

static void written(struct vpci_function *f, unsigned offset, unsigned size)
{
	(void)size;
	if (offset >= VLPC_PMBASE)
		tell(container_of(f, struct vlpc, function));
}

/* --- the root complex's registers: they only say what is, but for the watchdog's bit */

static uint8_t rcba_byte(const struct vlpc *l, uint64_t offset)
{
	bool routes = offset >= ROUTES_FIRST && offset < ROUTES_END;

	if (offset == GCS)
		return vacpi_no_reboot(l->config.acpi) ? NO_REBOOT : 0;
	return routes ? (uint8_t)(ROUTES >> 8 * (offset & 1)) : 0;
}

static uint64_t vlpc_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	(void)region;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)rcba_byte(vlpc_of(d), offset + i) << 8 * i;
	return v;
}

static void vlpc_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	(void)region;
	if (range_within(GCS, 1, offset, size))
		vacpi_set_no_reboot(vlpc_of(d)->config.acpi,
				    value >> 8 * (GCS - offset) & NO_REBOOT);
}

/* --- life */

/* What a reset brings back; the rest is 0. */
static void first_registers(struct vlpc *l)
{
	uint8_t *config = l->function.config;

	config[VLPC_PMBASE] = IS_IO;
	for (unsigned i = 0; i < VLPC_PIRQS; i++)
		config[pirq_register(i)] = PIRQ_OFF;
	config[LPC_EN] = LPC_EN_COM1;
}

static void vlpc_reset(struct vdev *d)
{
	vpci_function_reset(&vlpc_of(d)->function);
	tell(vlpc_of(d));
}

static void vlpc_save(struct vdev *d, struct record_writer *w)
{
	vpci_function_save(&vlpc_of(d)->function, w);
}

static int vlpc_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vlpc *l = vlpc_of(d);
	struct vpci_saved saved;

	vpci_function_read(&l->function, r, &saved);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	vpci_function_commit(&l->function, &saved);
	tell(l);
	return 0;
}

static void vlpc_destroy(struct vdev *d)
{
	vpci_function_fini(&vlpc_of(d)->function);
	host_free(vlpc_of(d));
}

static const struct vdev_ops vlpc_ops = {
	.name = "vlpc", .version = 1, .read = vlpc_read, .write = vlpc_write, .reset = vlpc_reset,
	.save = vlpc_save, .load = vlpc_load, .destroy = vlpc_destroy,
};

static void put(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void make_writable(struct vpci_function *f)
{
	put(f->writable + VLPC_PMBASE, PMBASE_WRITABLE);
	f->writable[VLPC_ACPI_CNTL] = ACPI_WRITABLE;
	for (unsigned i = 0; i < VLPC_PIRQS; i++)
		f->writable[pirq_register(i)] = PIRQ_WRITABLE;
	put(f->writable + VLPC_RCBA_BASE, RCBA_WRITABLE);
}

int vlpc_create(const struct vlpc_config *config, struct vdev **out)
{
	struct vlpc *l = host_alloc(sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->dev.ops = &vlpc_ops;
	l->config = *config;
	vpci_function_init(&l->function, &l->dev, VENDOR, DEVICE, CLASS_ISA, 0x1af4, 0x1100);
	l->function.config[HEADER_TYPE] = MULTIFUNCTION;
	l->function.written = written;
	make_writable(&l->function);
	memset(l->routed, VLPC_NO_IRQ, sizeof(l->routed));
	first_registers(l);
	err = vpci_attach(config->bus, 0, VLPC_SLOT, 0, &l->function);
	if (err) {
		host_free(l);
		return err;
	}
	*out = &l->dev;
	return 0;
}
