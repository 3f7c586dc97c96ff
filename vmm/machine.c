/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine: a PC of the q35 age without firmware. One table says which classes of devices there
 * are and where their regions answer; a list of rows, the PC's own and the configuration's, says
 * which of them this machine has and where their lines go. See machine.h for layout and routing.
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
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"

#define IOAPIC_BASE	0xfec00000ul

#define NO_PIC		0xff
#define GSI_PIT		2		/* input 0 of the 8259 */
#define DEVICES_MAX	32
#define REGIONS_MAX	5	/* of a class that do not move */
#define TESTDEV_SOURCE	63	/* of a line, behind those that are wired */

struct line {
	uint64_t sources;	/* bit per source that raises it */
	uint8_t source_count;
	uint8_t pic_irq;	/* input of the 8259, or NO_PIC */
	struct vdev_host *host[8];
	uint8_t host_line[8];
};

/* Devices that others of the machine call by name. */
enum part { PART_NONE, PART_PIC, PART_IOAPIC, PART_PIT, PART_UART, PART_ACPI, PART_FWCFG, PARTS };

struct device_class;

struct machine {
	struct vdev_host *device[DEVICES_MAX];
	const struct device_class *class[DEVICES_MAX];
	const struct machine_row *row[DEVICES_MAX];
	unsigned count;
	struct vdev *part[PARTS];
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
		vpic_line(m->part[PART_PIC], m->line[gsi].pic_irq, level);
	vioapic_line(m->part[PART_IOAPIC], gsi, level);
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

	return vioapic_open(m->part[PART_IOAPIC], gsi) ||
	       (irq != NO_PIC && vpic_heard(m->part[PART_PIC], irq));
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
	if (vioapic_open(m->part[PART_IOAPIC], l->gsi))
		return vioapic_busy(m->part[PART_IOAPIC], l->gsi);
	return irq != NO_PIC && vpic_busy(m->part[PART_PIC], irq);
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

static int wire(struct machine *m, struct vdev_host *h, const struct machine_line *to)
{
	struct line *l;

	if (to->gsi >= VIOAPIC_PINS)
		return -EINVAL;
	l = &m->line[to->gsi];
	if (l->source_count == ARRAY_COUNT(l->host))
		return -ENOSPC;
	h->line[to->line] = (struct vdev_line){
		.gsi = to->gsi, .source = l->source_count, .wired = true,
	};
	l->host[l->source_count] = h;
	l->host_line[l->source_count++] = to->line;
	return 0;
}

int machine_extint_acknowledge(struct vcpu *vcpu)
{
	if (!machine_extint_pending(vcpu))
		return -1;
	return vpic_acknowledge(vcpu->vm->machine->part[PART_PIC]);
}

void machine_eoi(struct vm *vm, unsigned vector)
{
	vioapic_eoi(vm->machine->part[PART_IOAPIC], (uint8_t)vector);
}

void machine_apic_changed(struct vm *vm)
{
	vioapic_retry(vm->machine->part[PART_IOAPIC]);
}

/* ---- devices ---- */

struct region_row {
	uint8_t region;
	enum host_space space;
	uint64_t base, size;		/* base: behind the row's */
};

struct device_class {
	const char *name;		/* QEMU's, where that has it */
	int (*create)(struct vm *vm, struct vdev **out);
	enum part part;
	bool irqchip;			/* others' lines lead there */
	uint8_t intr;			/* 1 + the line that is the vCPUs' INTR */
	bool console;			/* medium 0 of the first is the VM's console */
	struct region_row region[REGIONS_MAX];
};

static int make_vpic(struct vm *vm, struct vdev **out)
{
	return vpic_create(pic_acknowledged, vm, out);
}

static int make_vioapic(struct vm *vm, struct vdev **out)
{
	struct vioapic_config c = {
		.id = MACHINE_IOAPIC_ID, .told = 1u << GSI_PIT, .acknowledged = acknowledged,
		.context = vm,
	};

	return vioapic_create(&c, out);
}

static int make_vpit(struct vm *vm, struct vdev **out)
{
	(void)vm;
	return vpit_create(out);
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
	(void)vm;
	return vuart_create(out);
}

static int make_vkbd(struct vm *vm, struct vdev **out)
{
	(void)vm;
	return vkbd_create(out);
}

static int make_vacpi(struct vm *vm, struct vdev **out)
{
	(void)vm;
	return vacpi_create(out);
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
	(void)vm;
	return vfwcfg_create(out);
}

static int make_vdebug_exit(struct vm *vm, struct vdev **out)
{
	(void)vm;
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

	return vtestdev_create(&c, out);
}

static const struct device_class classes[] = {
	{ "isa-i8259", make_vpic, PART_PIC, .irqchip = true, .intr = 1 + VPIC_INTR, .region = {
		{ VPIC_MASTER, HOST_PORT, 0x20, 2 }, { VPIC_SLAVE, HOST_PORT, 0xa0, 2 },
		{ VPIC_ELCR, HOST_PORT, 0x4d0, 2 } } },
	{ "ioapic", make_vioapic, PART_IOAPIC, .irqchip = true, .region = {
		{ 0, HOST_MMIO, IOAPIC_BASE, VIOAPIC_SIZE } } },
	{ "isa-pit", make_vpit, PART_PIT, .region = {
		{ VPIT_PORTS, HOST_PORT, 0x40, 4 }, { VPIT_PORT61, HOST_PORT, 0x61, 1 } } },
	{ "mc146818rtc", make_vrtc, .region = { { VRTC_PORTS, HOST_PORT, 0x70, 2 } } },
	{ "isa-serial", make_vuart, PART_UART, .console = true, .region = {
		{ VUART_PORTS, HOST_PORT, 0, 8 } } },
	{ "i8042", make_vkbd, .region = {
		{ VKBD_DATA, HOST_PORT, 0x60, 1 }, { VKBD_COMMAND, HOST_PORT, 0x64, 1 },
		{ VKBD_PORT92, HOST_PORT, 0x92, 1 } } },
	{ "acpi", make_vacpi, PART_ACPI, .region = {
		{ VACPI_EVENT, HOST_PORT, VACPI_EVENT_PORT, 4 },
		{ VACPI_CONTROL, HOST_PORT, VACPI_CONTROL_PORT, 2 },
		{ VACPI_TIMER, HOST_PORT, VACPI_TIMER_PORT, 4 },
		{ VACPI_GPE, HOST_PORT, VACPI_GPE_PORT, 4 },
		{ VACPI_SMI, HOST_PORT, VACPI_SMI_PORT, 2 } } },
	{ "pcie-host", make_vpci, .region = {
		{ VPCI_PORTS, HOST_PORT, 0xcf8, 8 },
		{ VPCI_ECAM, HOST_MMIO, MEMORY_ECAM, MEMORY_ECAM_SIZE } } },
	{ "post", make_vpost, .region = {
		{ VPOST_PAGES, HOST_PORT, 0x80, 16 }, { VPOST_DELAY, HOST_PORT, 0xed, 1 } } },
	{ "fw_cfg", make_vfwcfg, PART_FWCFG, .region = {
		{ VFWCFG_PORTS, HOST_PORT, 0x510, 2 }, { VFWCFG_DMA, HOST_PORT, 0x514, 8 } } },
	{ "pvpanic", make_vpvpanic, .region = {
		{ VPVPANIC_EVENTS, HOST_PORT, VPVPANIC_PORT, 1 } } },
	{ "pc-testdev", make_vtestdev, .region = {
		{ VTESTDEV_PORTS, HOST_PORT, 0xe0, 4 }, { VTESTDEV_FLUSH, HOST_PORT, 0xe4, 4 },
		{ VTESTDEV_BYTES, HOST_PORT, 0xe8, VTESTDEV_BYTES_SIZE },
		{ VTESTDEV_LINES, HOST_PORT, 0x2000, VTESTDEV_LINE_COUNT },
		{ VTESTDEV_MEMORY, HOST_MMIO, VTESTDEV_MEMORY_BASE, VTESTDEV_MEMORY_SIZE } } },
	{ "isa-debug-exit", make_vdebug_exit, .region = {
		{ VDEBUG_EXIT_PORTS, HOST_PORT, 0xf4, 4 } } },
};

/* What every machine has. The interrupt controllers come first: the others' lines lead there. */
static const struct machine_row pc[] = {
	{ .class = "isa-i8259" },
	{ .class = "ioapic" },
	{ .class = "isa-pit", .line = { { VPIT_OUT0, GSI_PIT } } },
	{ .class = "mc146818rtc", .line = { { VRTC_IRQ, 8 } } },
	{ .class = "isa-serial", .base = 0x3f8, .line = { { VUART_IRQ, 4 } } },
	{ .class = "i8042", .line = { { VKBD_IRQ, 1 }, { VKBD_AUX_IRQ, 12 } } },
	{ .class = "acpi", .line = { { VACPI_SCI, VACPI_SCI_IRQ } } },
	{ .class = "pcie-host" },
	{ .class = "post" },
	{ .class = "fw_cfg" },
	{ .class = "pvpanic" },
};

static const struct device_class *find_class(const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(classes); i++)
		if (!strcmp(classes[i].name, name))
			return &classes[i];
	return NULL;
}

static unsigned instances(const struct machine *m, const struct device_class *class)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->count; i++)
		n += m->class[i] == class;
	return n;
}

static int add_media(struct vm *vm, struct vdev_host *h, const struct device_class *class,
		     const struct machine_row *row)
{
	struct media *m = NULL;
	int err = 0;

	if (row->disk)
		err = media_disk_create(row->disk, &vm->charge, &m);
	else if (class->console && !h->dev->instance)
		err = media_console_create(&m);
	if (m)
		media_attach(m, h, 0);
	return err;
}

static int add_device(struct vm *vm, const struct machine_row *row)
{
	const struct device_class *class = find_class(row->class);
	struct machine *m = vm->machine;
	struct vdev *d = NULL;
	struct vdev_host *h;
	int err;

	if (!class)
		return -ENODEV;
	if (m->count == DEVICES_MAX)
		return -ENOSPC;
	err = class->create(vm, &d);
	if (err)
		return err;
	d->instance = instances(m, class);
	d->order = m->count;
	err = vdev_host_attach(vm, d, class->irqchip ? LOCK_IRQCHIP : LOCK_VDEV, &h);
	if (err)
		return err;
	m->class[m->count] = class;
	m->row[m->count] = row;
	m->device[m->count++] = h;
	if (class->part && !d->instance)
		m->part[class->part] = d;
	if (class->intr)
		h->line[class->intr - 1].is_intr = true;
	err = add_media(vm, h, class, row);
	for (unsigned i = 0; !err && i < ARRAY_COUNT(row->line) && row->line[i].gsi; i++)
		err = wire(m, h, &row->line[i]);
	return err;
}

/* Those of the row list; a device's BARs are its own affair. */
static int claim_regions(struct vm *vm, enum host_space space)
{
	struct machine *m = vm->machine;
	struct bus_claim *add = heap_alloc(m->count * REGIONS_MAX * sizeof(*add));
	unsigned n = 0;
	int err;

	if (!add)
		return -ENOMEM;
	for (unsigned i = 0; i < m->count; i++) {
		const struct region_row *r = m->class[i]->region;

		for (unsigned j = 0; j < REGIONS_MAX && r[j].size; j++) {
			uint64_t base = m->row[i]->base + r[j].base;

			if (r[j].space == space)
				add[n++] = (struct bus_claim){
					base, base + r[j].size, m->device[i]->dev, r[j].region,
				};
		}
	}
	err = bus_claim_all(vm, space, add, n);
	heap_free(add);
	return err;
}

static int add_devices(struct vm *vm, const struct machine_row *row, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; !err && i < n; i++)
		err = add_device(vm, &row[i]);
	return err;
}

int machine_create(struct vm *vm)
{
	struct machine *m = heap_alloc(sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	vm->machine = m;
	m->boot_wall_ns = rtc_wall_ns();
	spin_init(&m->lines, "lines", LOCK_LINE);
	for (unsigned i = 0; i < VIOAPIC_PINS; i++)
		m->line[i].pic_irq = i == GSI_PIT ? 0 : i == 0 || i >= 16 ? NO_PIC : (uint8_t)i;
	err = add_devices(vm, pc, ARRAY_COUNT(pc));
	if (!err)
		err = add_devices(vm, vm->config.device, vm->config.device_count);
	if (!err)
		err = claim_regions(vm, HOST_PORT);
	if (!err)
		err = claim_regions(vm, HOST_MMIO);
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
		struct vdev *d = vm->machine->part[row[i].pic ? PART_PIC : PART_PIT];

		d->ops->write(d, row[i].region, row[i].offset, 1, row[i].value);
	}
}

void machine_power_button(struct vm *vm)
{
	if (vm->machine)
		vacpi_power_button(vm->machine->part[PART_ACPI]);
}

struct vdev *machine_fwcfg(struct vm *vm)
{
	return vm->machine->part[PART_FWCFG];
}

void machine_console_input(struct vm *vm)
{
	if (vm->machine)
		vm->machine->part[PART_UART]->ops->media_input(vm->machine->part[PART_UART],
							       VUART_CONSOLE);
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
