/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine: a PC of the q35 age without firmware. A list of rows, the PC's own and the
 * configuration's, says which devices this machine has and where their lines go; what there are is
 * machine_class.c's table. See machine.h for layout and routing.
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
#include "vdev/vioapic.h"
#include "vdev/vkbd.h"
#include "vdev/vlpc.h"
#include "vdev/vmch.h"
#include "vdev/vpci.h"
#include "vdev/vpic.h"
#include "vdev/vpit.h"
#include "vdev/vrtc.h"
#include "vdev/vsmbus.h"
#include "vdev/vuart.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/machine_class.h"
#include "vmm/media.h"
#include "vmm/vdev_host.h"
#include "vmm/vm.h"
#include "vmm/vram.h"

#define NO_PIC		VLPC_NO_IRQ
#define GSI_PIRQ	16		/* PIRQA's, then the others' */
#define RESERVED	3		/* devices without a slot that a configuration may add */

struct line {
	uint64_t sources;	/* bit per source that raises it */
	uint8_t source_count;
	uint8_t pic_irq;	/* input of the 8259, or NO_PIC */
	struct vdev_host *host[9];	/* with what the machine has on a line of PCI's */
	uint8_t host_line[9];
};

struct machine {
	struct vdev_host *device[MACHINE_DEVICE_MAX];
	const struct device_class *class[MACHINE_DEVICE_MAX];
	uint64_t base[MACHINE_DEVICE_MAX];	/* its row's */
	unsigned count;
	struct vdev *part[PARTS];
	struct spinlock lines;
	struct line line[VIOAPIC_PINS];
	uint16_t shared;		/* inputs of the 8259 that PIRQs are routed to */
	uint64_t boot_wall_ns;
};

/* ---- lines ---- */

/* Of an input of the 8259: any of the lines that lead there. */
static bool input_level(const struct machine *m, unsigned irq)
{
	for (unsigned i = 0; i < VIOAPIC_PINS; i++)
		if (m->line[i].pic_irq == irq && m->line[i].sources)
			return true;
	return false;
}

/* The level of a GSI changed. */
static void drive(struct machine *m, unsigned gsi, bool level)
{
	uint8_t irq = m->line[gsi].pic_irq;

	if (irq != NO_PIC)
		vpic_line(m->part[PART_PIC], irq,
			  unlikely(m->shared & BIT(irq)) ? input_level(m, irq) : level);
	vioapic_line(m->part[PART_IOAPIC], gsi, level);
}

/* What it left and what it came to may change. */
void machine_pirq_route(void *context, unsigned pirq, uint8_t irq)
{
	struct machine *m = ((struct vm *)context)->machine;
	struct line *line = &m->line[GSI_PIRQ + pirq];
	uint64_t flags = spin_lock_irq(&m->lines);
	uint8_t old = line->pic_irq;

	line->pic_irq = irq;
	m->shared = 0;
	for (unsigned i = GSI_PIRQ; i < GSI_PIRQ + VLPC_PIRQS; i++)
		if (m->line[i].pic_irq != NO_PIC)
			m->shared |= (uint16_t)BIT(m->line[i].pic_irq);
	if (old != NO_PIC)
		vpic_line(m->part[PART_PIC], old, input_level(m, old));
	if (irq != NO_PIC)
		vpic_line(m->part[PART_PIC], irq, input_level(m, irq));
	spin_unlock_irq(&m->lines, flags);
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
void machine_line_acknowledged(void *context, unsigned gsi)
{
	struct vm *vm = context;
	struct line *line = &vm->machine->line[gsi];

	for (unsigned i = 0; i < line->source_count; i++) {
		struct vdev *d = line->host[i]->dev;

		if (d->ops->line_eoi)
			d->ops->line_eoi(d, line->host_line[i]);
	}
}

void machine_input_acknowledged(void *context, unsigned irq)
{
	const struct machine *m = ((struct vm *)context)->machine;

	machine_line_acknowledged(context, irq == 0 ? MACHINE_GSI_PIT : irq);
	if (likely(!(m->shared & BIT(irq))))
		return;
	for (unsigned i = GSI_PIRQ; i < GSI_PIRQ + VLPC_PIRQS; i++)
		if (m->line[i].pic_irq == irq)
			machine_line_acknowledged(context, i);
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

/* What every machine has. The interrupt controllers come first: the others' lines lead there. */
static const struct machine_row pc[] = {
	{ .class = "isa-i8259" },
	{ .class = "ioapic" },
	{ .class = "isa-pit", .line = { { VPIT_OUT0, MACHINE_GSI_PIT } } },
	{ .class = "mc146818rtc", .line = { { VRTC_IRQ, 8 } } },
	{ .class = "isa-serial", .base = 0x3f8, .line = { { VUART_IRQ, 4 } } },
	{ .class = "i8042", .line = { { VKBD_IRQ, 1 }, { VKBD_AUX_IRQ, 12 } } },
	{ .class = "acpi", .line = { { VACPI_SCI, VACPI_SCI_IRQ } } },
	{ .class = "pcie-host" },
	{ .class = "mch" },
	{ .class = "ICH9-LPC" },
	{ .class = "post" },
	{ .class = "fw_cfg" },
	{ .class = "pvpanic" },
};

static const struct machine_row flash = { .class = "cfi.pflash01" };

/* What one with firmware has besides. */
static const struct machine_row with_firmware[] = {
	{ .class = "hpet" },
	{ .class = "i8257" },
	{ .class = "ich9-smb", .slot = { 0, VLPC_SLOT, VSMBUS_FUNCTION } },
};

_Static_assert(ARRAY_COUNT(pc) + ARRAY_COUNT(with_firmware) + RESERVED + MACHINE_SLOT_MAX <=
	MACHINE_DEVICE_MAX, "all fit");

static unsigned instances(const struct machine *m, const struct device_class *class)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->count; i++)
		n += m->class[i] == class;
	return n;
}

/* Those of a class with disks: medium 0 and on, as far as they have a name or a tray. */
static int add_disks(struct vdev_host *h, const struct machine_row *row)
{
	const struct media_image *image = row->properties;
	struct media *m;
	int err = 0;

	for (unsigned i = 0; !err && i < MIN(row->disks, HOST_MEDIA_MAX); i++) {
		if (!image[i].name && !image[i].tray)
			continue;
		err = image[i].tray ? media_disc_create(image[i].tray, &m)
				    : media_disk_create(&image[i], &m);
		if (!err)
			media_attach(m, h, i);
	}
	return err;
}

static int add_channels(struct vdev_host *h, const struct machine_row *row)
{
	const struct media_channel *channel = row->properties;
	struct media *m;
	int err = 0;

	for (unsigned i = 0; !err && channel && i < MIN(row->disks, HOST_MEDIA_MAX); i++) {
		if (!channel[i].put)
			continue;
		err = media_channel_create(&channel[i], &m);
		if (!err)
			media_attach(m, h, i);
	}
	if (channel)
		h->vm->machine->part[PART_SERIAL] = h->dev;
	return err;
}

static int add_media(struct vdev_host *h, const struct device_class *class,
		     const struct machine_row *row)
{
	const struct media_nic *nic = row->properties;
	struct media *m = NULL;
	int err = 0;

	if (class->medium == HOST_MEDIA_DISK)
		err = add_disks(h, row);
	else if (class->medium == HOST_MEDIA_CABLE && nic)
		err = media_cable_create(nic->cable, &m);
	else if (class->medium == HOST_MEDIA_CONSOLE && class->function)
		err = add_channels(h, row);
	else if (class->medium == HOST_MEDIA_CONSOLE && !h->dev->instance)
		err = media_console_create(&m);
	if (m)
		media_attach(m, h, 0);
	return err;
}

/* At its slot, and its pin on the line that this means. */
static int place(struct machine *m, struct vdev_host *h, const struct machine_slot *s,
		 struct vpci_function *f)
{
	int gsi, err = vpci_attach(m->part[PART_PCI], s->bus, s->device, s->function, f);

	if (err)
		return err;
	gsi = vpci_gsi(f);
	return gsi < 0 ? 0 : wire(m, h, &(struct machine_line){ f->line, (uint8_t)gsi });
}

static int connect(struct machine *m, struct vdev_host *h, const struct device_class *class,
		   const struct machine_row *row)
{
	int err = 0;

	if (class->vram)
		vram_bind(h->vm, h->dev, class->vram - 1);
	if (class->intr)
		h->line[class->intr - 1].is_intr = true;
	for (unsigned i = 0; !err && i < ARRAY_COUNT(row->line) && row->line[i].gsi; i++)
		err = wire(m, h, &row->line[i]);
	for (unsigned i = 0; !err && i < ARRAY_COUNT(class->line) && class->line[i].gsi; i++)
		err = wire(m, h, &class->line[i]);
	if (!err && class->function)
		err = place(m, h, &row->slot, class->function(h->dev));
	return err;
}

static int add_device(struct vm *vm, const struct machine_row *row)
{
	const struct device_class *class = machine_class_find(row->class);
	struct machine *m = vm->machine;
	struct vdev *d = NULL;
	struct vdev_host *h;
	int err;

	if (!class)
		return -ENODEV;
	if (m->count == MACHINE_DEVICE_MAX)
		return -ENOSPC;
	err = class->plain ? class->plain(&d) : class->create(vm, row, &d);
	if (err)
		return err;
	d->instance = instances(m, class);
	d->order = m->count;
	err = vdev_host_attach(vm, d, class->lock ?: LOCK_VDEV, &h);
	if (err)
		return err;
	m->class[m->count] = class;
	m->base[m->count] = row->base;
	m->device[m->count++] = h;
	if (class->part && !d->instance)
		m->part[class->part] = d;
	return add_media(h, class, row) ?: connect(m, h, class, row);
}

/* Those of the row list; a device's BARs are its own affair. */
static int claim_regions(struct vm *vm, enum host_space space)
{
	struct machine *m = vm->machine;
	struct bus_claim *add = heap_alloc(m->count * MACHINE_REGION_MAX * sizeof(*add));
	unsigned n = 0;
	int err;

	if (!add)
		return -ENOMEM;
	for (unsigned i = 0; i < m->count; i++) {
		const struct region_row *r = m->class[i]->region;

		for (unsigned j = 0; j < MACHINE_REGION_MAX && r[j].size; j++) {
			uint64_t base = m->base[i] + r[j].base;

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
		m->line[i].pic_irq = i == MACHINE_GSI_PIT  ? 0
				     : i == 0 || i >= 16 ? NO_PIC
							 : (uint8_t)i;
	err = add_devices(vm, pc, ARRAY_COUNT(pc));
	if (!err && vm->config.firmware)
		err = add_devices(vm, with_firmware, ARRAY_COUNT(with_firmware));
	if (!err && vm->config.nvram)
		err = add_device(vm, &flash);
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

bool machine_cable_stats(const struct vm *vm, unsigned i, struct media_cable_stats *out)
{
	const struct machine *m = vm->machine;

	for (unsigned n = 0; n < m->count; n++) {
		const struct media *c = m->device[n]->media[0];

		if (!c || c->facts.kind != HOST_MEDIA_CABLE || i--)
			continue;
		*out = media_cable_stats(c);
		return true;
	}
	return false;
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

/* A register of a PCI function, as a guest writes it by CF8h and CFCh. */
static void config_write(struct vdev *pci, unsigned slot, unsigned reg, uint32_t value)
{
	pci->ops->write(pci, VPCI_PORTS, 0, 4, BIT(31) | slot << 11 | (reg & 0xfcu));
	pci->ops->write(pci, VPCI_PORTS, 4, 4, value);
}

/* It is on, translates, tells by IRQ 1, and has said that it is well. */
static void enable_keyboard(struct vdev *d)
{
	d->ops->write(d, VKBD_COMMAND, 0, 1, 0xae);
	(void)d->ops->read(d, VKBD_DATA, 0, 1);
	d->ops->write(d, VKBD_COMMAND, 0, 1, 0x60);
	d->ops->write(d, VKBD_DATA, 0, 1, 0x65);
}

void machine_firmware_registers(struct vm *vm)
{
	struct vdev *pci = vm->machine->part[PART_PCI];

	config_write(pci, VMCH_SLOT, VMCH_PCIEXBAR, MEMORY_ECAM | 1);
	config_write(pci, VLPC_SLOT, VLPC_PMBASE, VACPI_BASE | 1);
	config_write(pci, VLPC_SLOT, VLPC_ACPI_CNTL, 0x80);
	pci->ops->write(pci, VPCI_PORTS, 0, 4, 0);
	enable_keyboard(vm->machine->part[PART_KEYBOARD]);
}

uint64_t machine_ecam(struct vm *vm)
{
	return vmch_ecam(vm->machine->part[PART_MCH]);
}

struct vdev *machine_part(struct vm *vm, enum part part)
{
	return vm->machine->part[part];
}

void machine_power_button(struct vm *vm)
{
	if (vm->machine)
		vacpi_power_button(vm->machine->part[PART_ACPI]);
}

int machine_key(struct vm *vm, uint8_t key, bool pressed)
{
	return vm->machine ? vkbd_key(vm->machine->part[PART_KEYBOARD], key, pressed) : -ENODEV;
}

int machine_mouse(struct vm *vm, int dx, int dy, int wheel, unsigned buttons)
{
	return vm->machine ? vkbd_mouse(vm->machine->part[PART_KEYBOARD], dx, dy, wheel, buttons)
			   : -ENODEV;
}

unsigned machine_buses(const struct vm *vm)
{
	unsigned n = 1;

	for (unsigned i = 0; i < vm->machine->count; i++)
		n += vm->machine->class[i]->is_bridge;
	return n;
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

void machine_channel_input(struct vm *vm, unsigned port)
{
	struct vdev *d = vm->machine ? vm->machine->part[PART_SERIAL] : NULL;

	if (d)
		d->ops->media_input(d, port);
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
