/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine: a PC of the q35 age without firmware. One table says which devices there are, where
 * their regions answer and where their lines go; see machine.h for the layout and the routing.
 * Locks: a line's sources under machine->lines (LOCK_LINE), taken under a device's lock
 * (LOCK_VDEV), before those of the 8259 and the IOAPIC (LOCK_IRQCHIP).
 */
#include "vmm/machine.h"

#include "cpu/tsc.h"
#include "drivers/rtc.h"
#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vdev/vacpi.h"
#include "vdev/vdebug_exit.h"
#include "vdev/vfwcfg.h"
#include "vdev/vioapic.h"
#include "vdev/vkbd.h"
#include "vdev/vpci.h"
#include "vdev/vpic.h"
#include "vdev/vpit.h"
#include "vdev/vpost.h"
#include "vdev/vpvpanic.h"
#include "vdev/vrtc.h"
#include "vdev/vtestdev.h"
#include "vdev/vuart.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

#define IOAPIC_BASE	0xfec00000ul

#define NO_PIC		0xff
#define GSI_PIT		2		/* input 0 of the 8259 */
#define DEVICES_MAX	16
#define TESTDEV_SOURCE	63	/* of a line, behind those that are wired */

struct line {
	uint64_t sources;	/* bit per source that raises it */
	uint8_t source_count;
	uint8_t pic_irq;	/* input of the 8259, or NO_PIC */
	struct vdev_host *host[8];
	uint8_t host_line[8];
};

struct machine {
	struct vdev_host *device[DEVICES_MAX];
	unsigned count;
	struct vdev *vpic, *vioapic, *vpit, *vuart, *vacpi, *vfwcfg;
	struct spinlock lines;
	struct line line[VIOAPIC_PINS];
	uint64_t boot_wall_ns;
};

_Static_assert(MEMORY_ECAM_SIZE == VPCI_ECAM_SIZE, "ECAM");

/* ---- lines ---- */

/* The level of a GSI changed. */
static void drive(struct machine *m, unsigned gsi, bool level)
{
	if (m->line[gsi].pic_irq != NO_PIC)
		vpic_line(m->vpic, m->line[gsi].pic_irq, level);
	vioapic_line(m->vioapic, gsi, level);
}

void machine_line_set(struct vm *vm, const struct vdev_line *l, bool level)
{
	struct machine *m = vm->machine;
	struct line *line;
	uint64_t flags, old, bit;

	if (l->is_intr) {
		WRITE_ONCE(vm->intr, level);
		if (level)
			vcpu_request(vm->vcpu[0], VCPU_REQ_EVENT);
		return;
	}
	if (!l->wired)
		return;
	line = &m->line[l->gsi];
	bit = BIT(l->source);
	flags = spin_lock_irq(&m->lines);
	old = line->sources;
	line->sources = level ? old | bit : old & ~bit;
	if (!old != !line->sources)
		drive(m, l->gsi, level);
	spin_unlock_irq(&m->lines, flags);
}

static bool line_open(const struct machine *m, unsigned gsi)
{
	uint8_t irq = m->line[gsi].pic_irq;

	return vioapic_open(m->vioapic, gsi) || (irq != NO_PIC && vpic_heard(m->vpic, irq));
}

/* An edge that gets through takes a vCPU out of its sleep, and that has exits again. */
static bool ran_since(const struct vm *vm, uint64_t tsc)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *v = vm->vcpu[i];

		if (!READ_ONCE(v->sleeping) || (int64_t)(READ_ONCE(v->exit_tsc) - tsc) > 0)
			return true;
	}
	return false;
}

bool machine_line_heard(struct vm *vm, struct vdev_line *l)
{
	uint64_t before = l->asked_tsc;

	l->asked_tsc = tsc_read();
	return l->wired && line_open(vm->machine, l->gsi) && ran_since(vm, before);
}

bool machine_line_busy(struct vm *vm, const struct vdev_line *l)
{
	const struct machine *m = vm->machine;
	uint8_t irq = m->line[l->gsi].pic_irq;

	if (!l->wired)
		return false;
	if (vioapic_open(m->vioapic, l->gsi))
		return vioapic_busy(m->vioapic, l->gsi);
	return irq != NO_PIC && vpic_busy(m->vpic, irq);
}

/* Sources that are still due raise their lines again. */
static void acknowledged(void *context, unsigned gsi)
{
	struct vm *vm = context;
	struct line *line = &vm->machine->line[gsi];

	for (unsigned i = 0; i < line->source_count; i++) {
		struct vdev *d = line->host[i]->dev;

		if (d->ops->line_eoi)
			d->ops->line_eoi(d, line->host_line[i]);
	}
}

static void pic_acknowledged(void *context, unsigned irq)
{
	acknowledged(context, irq == 0 ? GSI_PIT : irq);
}

static void wire(struct machine *m, struct vdev_host *h, unsigned line, unsigned gsi)
{
	struct line *l = &m->line[gsi];

	if (l->source_count == ARRAY_COUNT(l->host))
		return;
	h->line[line] = (struct vdev_line){
		.gsi = (uint8_t)gsi, .source = l->source_count, .wired = true,
	};
	l->host[l->source_count] = h;
	l->host_line[l->source_count++] = (uint8_t)line;
}

int machine_extint_acknowledge(struct vcpu *vcpu)
{
	if (!machine_extint_pending(vcpu))
		return -1;
	return vpic_acknowledge(vcpu->vm->machine->vpic);
}

void machine_eoi(struct vm *vm, unsigned vector)
{
	vioapic_eoi(vm->machine->vioapic, (uint8_t)vector);
}

void machine_apic_changed(struct vm *vm)
{
	vioapic_retry(vm->machine->vioapic);
}

/* ---- devices ---- */

struct region_row {
	uint8_t region;
	enum host_space space;
	uint64_t base, size;
};

struct line_row {
	uint8_t line, gsi;
};

struct device_row {
	int (*create)(struct vm *vm, struct vdev **out);
	struct region_row region[5];
	struct line_row line[2];	/* gsi 0: none */
};

static int make_vpic(struct vm *vm, struct vdev **out)
{
	int err = vpic_create(pic_acknowledged, vm, out);

	vm->machine->vpic = err ? NULL : *out;
	return err;
}

static int make_vioapic(struct vm *vm, struct vdev **out)
{
	struct vioapic_config c = {
		.id = MACHINE_IOAPIC_ID, .told = 1u << GSI_PIT, .acknowledged = acknowledged,
		.context = vm,
	};
	int err = vioapic_create(&c, out);

	vm->machine->vioapic = err ? NULL : *out;
	return err;
}

static int make_vpit(struct vm *vm, struct vdev **out)
{
	int err = vpit_create(out);

	vm->machine->vpit = err ? NULL : *out;
	return err;
}

static int make_vrtc(struct vm *vm, struct vdev **out)
{
	struct vrtc_config c = {
		.ram_below_4g = memory_low_end(vm->config.memory),
		.ram_above_4g = memory_high_size(vm->config.memory),
		.base_kib = MEMORY_BASE_END / KIB, .vcpus = vm->config.vcpus,
	};

	return vrtc_create(&c, out);
}

static int make_vuart(struct vm *vm, struct vdev **out)
{
	int err = vuart_create(out);

	vm->machine->vuart = err ? NULL : *out;
	return err;
}

static int make_vkbd(struct vm *vm, struct vdev **out)
{
	(void)vm;
	return vkbd_create(out);
}

static int make_vacpi(struct vm *vm, struct vdev **out)
{
	int err = vacpi_create(out);

	vm->machine->vacpi = err ? NULL : *out;
	return err;
}

static int make_vpci(struct vm *vm, struct vdev **out)
{
	(void)vm;
	return vpci_create(&(struct vpci_config){ 0 }, out);
}

static int make_vpost(struct vm *vm, struct vdev **out)
{
	(void)vm;
	return vpost_create(out);
}

static int make_vpvpanic(struct vm *vm, struct vdev **out)
{
	(void)vm;
	return vpvpanic_create(out);
}

static int make_vfwcfg(struct vm *vm, struct vdev **out)
{
	int err = vfwcfg_create(out);

	vm->machine->vfwcfg = err ? NULL : *out;
	return err;
}

static int make_vdebug_exit(struct vm *vm, struct vdev **out)
{
	if (!vm->config.debug_exit)
		return -ENODEV;
	return vdebug_exit_create(out);
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

static int make_vtestdev(struct vm *vm, struct vdev **out)
{
	struct vtestdev_config c = {
		.line = testdev_line, .flush = testdev_flush, .context = vm,
	};

	if (!vm->config.debug_exit)
		return -ENODEV;
	return vtestdev_create(&c, out);
}

/* The interrupt controllers come first: the others' lines lead there. */
static const struct device_row devices[] = {
	{ make_vpic, { { VPIC_MASTER, HOST_PORT, 0x20, 2 }, { VPIC_SLAVE, HOST_PORT, 0xa0, 2 },
		       { VPIC_ELCR, HOST_PORT, 0x4d0, 2 } }, { { 0 } } },
	{ make_vioapic, { { 0, HOST_MMIO, IOAPIC_BASE, VIOAPIC_SIZE } }, { { 0 } } },
	{ make_vpit, { { VPIT_PORTS, HOST_PORT, 0x40, 4 }, { VPIT_PORT61, HOST_PORT, 0x61, 1 } },
	  { { VPIT_OUT0, 2 } } },
	{ make_vrtc, { { VRTC_PORTS, HOST_PORT, 0x70, 2 } }, { { VRTC_IRQ, 8 } } },
	{ make_vuart, { { VUART_PORTS, HOST_PORT, 0x3f8, 8 } }, { { VUART_IRQ, 4 } } },
	{ make_vkbd, { { VKBD_DATA, HOST_PORT, 0x60, 1 }, { VKBD_COMMAND, HOST_PORT, 0x64, 1 },
		       { VKBD_PORT92, HOST_PORT, 0x92, 1 } },
	  { { VKBD_IRQ, 1 }, { VKBD_AUX_IRQ, 12 } } },
	{ make_vacpi, { { VACPI_EVENT, HOST_PORT, VACPI_EVENT_PORT, 4 },
			{ VACPI_CONTROL, HOST_PORT, VACPI_CONTROL_PORT, 2 },
			{ VACPI_TIMER, HOST_PORT, VACPI_TIMER_PORT, 4 },
			{ VACPI_GPE, HOST_PORT, VACPI_GPE_PORT, 4 },
			{ VACPI_SMI, HOST_PORT, VACPI_SMI_PORT, 2 } },
	  { { VACPI_SCI, VACPI_SCI_IRQ } } },
	{ make_vpci, { { VPCI_PORTS, HOST_PORT, 0xcf8, 8 },
		       { VPCI_ECAM, HOST_MMIO, MEMORY_ECAM, MEMORY_ECAM_SIZE } },
	  { { 0 } } },
	{ make_vpost, { { VPOST_PAGES, HOST_PORT, 0x80, 16 }, { VPOST_DELAY, HOST_PORT, 0xed, 1 } },
	  { { 0 } } },
	{ make_vfwcfg, { { VFWCFG_PORTS, HOST_PORT, 0x510, 2 }, { VFWCFG_DMA, HOST_PORT, 0x514, 8 } },
	  { { 0 } } },
	{ make_vpvpanic, { { VPVPANIC_EVENTS, HOST_PORT, VPVPANIC_PORT, 1 } }, { { 0 } } },
	{ make_vtestdev, { { VTESTDEV_PORTS, HOST_PORT, 0xe0, 4 },
			   { VTESTDEV_FLUSH, HOST_PORT, 0xe4, 4 },
			   { VTESTDEV_BYTES, HOST_PORT, 0xe8, VTESTDEV_BYTES_SIZE },
			   { VTESTDEV_LINES, HOST_PORT, 0x2000, VTESTDEV_LINE_COUNT },
			   { VTESTDEV_MEMORY, HOST_MMIO, VTESTDEV_MEMORY_BASE,
			     VTESTDEV_MEMORY_SIZE } },
	  { { 0 } } },
	{ make_vdebug_exit, { { VDEBUG_EXIT_PORTS, HOST_PORT, 0xf4, 4 } }, { { 0 } } },
};

static int claim_regions(struct vm *vm, struct vdev *d, const struct device_row *row)
{
	int err = 0;

	for (unsigned i = 0; !err && i < ARRAY_COUNT(row->region) && row->region[i].size; i++) {
		const struct region_row *r = &row->region[i];

		err = bus_claim(vm, r->space, d, r->region, r->base, r->size);
	}
	return err;
}

static int add_device(struct vm *vm, const struct device_row *row)
{
	struct machine *m = vm->machine;
	struct vdev *d = NULL;
	struct vdev_host *h;
	bool irqchip = row->create == make_vpic || row->create == make_vioapic;
	int err = row->create(vm, &d);

	if (err)
		return err == -ENODEV ? 0 : err;
	err = vdev_host_attach(vm, d, irqchip ? LOCK_IRQCHIP : LOCK_VDEV, &h);
	if (err)
		return err;
	m->device[m->count++] = h;
	if (row->create == make_vpic)
		h->line[VPIC_INTR].is_intr = true;
	for (unsigned i = 0; i < ARRAY_COUNT(row->line) && row->line[i].gsi; i++)
		wire(m, h, row->line[i].line, row->line[i].gsi);
	return claim_regions(vm, d, row);
}

int machine_create(struct vm *vm)
{
	struct machine *m = heap_alloc(sizeof(*m));
	int err = 0;

	if (!m)
		return -ENOMEM;
	vm->machine = m;
	m->boot_wall_ns = rtc_wall_ns();
	spin_init(&m->lines, "lines", LOCK_LINE);
	for (unsigned i = 0; i < VIOAPIC_PINS; i++)
		m->line[i].pic_irq = i == GSI_PIT ? 0 : i == 0 || i >= 16 ? NO_PIC : (uint8_t)i;
	for (unsigned i = 0; !err && i < ARRAY_COUNT(devices); i++)
		err = add_device(vm, &devices[i]);
	if (!err)
		machine_reset(vm);
	return err;
}

void machine_destroy(struct vm *vm)
{
	struct machine *m = vm->machine;

	if (!m)
		return;
	while (m->count)
		vdev_host_detach(m->device[--m->count]);
	vm->machine = NULL;
	heap_free(m);
}

void machine_freeze(struct vm *vm)
{
	for (unsigned i = 0; vm->machine && i < vm->machine->count; i++)
		vdev_host_freeze(vm->machine->device[i]);
}

void machine_thaw(struct vm *vm)
{
	for (unsigned i = 0; i < vm->machine->count; i++)
		vdev_host_thaw(vm->machine->device[i]);
}

uint64_t machine_boot_wall_ns(struct vm *vm)
{
	return vm->machine->boot_wall_ns;
}

void machine_reset(struct vm *vm)
{
	for (unsigned i = 0; i < vm->machine->count; i++)
		vm->machine->device[i]->dev->ops->reset(vm->machine->device[i]->dev);
}

/*
 * Interrupts at 08h and 70h, the timer's alone open, 18.2 a second. Protected-mode kernels find all
 * this as after a reset: no BIOS of theirs takes the ticks.
 */
void machine_bios_devices(struct vm *vm)
{
	static const struct {
		uint8_t pic, region, offset, value;
	} row[] = {
		{ 1, VPIC_MASTER, 0, 0x11 }, { 1, VPIC_MASTER, 1, 0x08 },
		{ 1, VPIC_MASTER, 1, 0x04 }, { 1, VPIC_MASTER, 1, 0x01 },
		{ 1, VPIC_SLAVE, 0, 0x11 }, { 1, VPIC_SLAVE, 1, 0x70 },
		{ 1, VPIC_SLAVE, 1, 0x02 }, { 1, VPIC_SLAVE, 1, 0x01 },
		{ 1, VPIC_MASTER, 1, 0xfa }, { 1, VPIC_SLAVE, 1, 0xff },
		{ 0, VPIT_PORTS, 3, 0x34 }, { 0, VPIT_PORTS, 0, 0 }, { 0, VPIT_PORTS, 0, 0 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(row); i++) {
		struct vdev *d = row[i].pic ? vm->machine->vpic : vm->machine->vpit;

		d->ops->write(d, row[i].region, row[i].offset, 1, row[i].value);
	}
}

void machine_power_button(struct vm *vm)
{
	if (vm->machine)
		vacpi_power_button(vm->machine->vacpi);
}

struct vdev *machine_fwcfg(struct vm *vm)
{
	return vm->machine->vfwcfg;
}

void machine_console_input(struct vm *vm)
{
	if (vm->machine)
		vm->machine->vuart->ops->console_input(vm->machine->vuart);
}

void machine_save(struct vm *vm, struct record_writer *w)
{
	struct machine *m = vm->machine;

	record_begin(w, "machine", 0, 1);
	record_put_u64(w, m->boot_wall_ns);
	record_end(w);
	for (unsigned i = 0; i < m->count; i++) {
		struct vdev *d = m->device[i]->dev;

		record_begin(w, d->ops->name, d->instance, d->ops->version);
		d->ops->save(d, w);
		record_end(w);
	}
}

int machine_load(struct vm *vm, const char *name, uint32_t instance, uint32_t version,
		 struct record_reader *r)
{
	struct machine *m = vm->machine;

	if (!strcmp(name, "machine")) {
		uint64_t wall = record_get_u64(r);

		if (version != 1 || record_finish(r))
			return -EINVAL;
		m->boot_wall_ns = wall;
		return 0;
	}
	for (unsigned i = 0; i < m->count; i++) {
		struct vdev *d = m->device[i]->dev;

		if (!strcmp(d->ops->name, name) && d->instance == instance)
			return d->ops->load(d, r, version);
	}
	return -ENOENT;
}
