/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vahci.h and vahci_port.h: the controller's registers, its interrupts and its life. What a
 * guest writes is done at once, but for commands and for what must wait until the work has let go
 * of one: that ends it.
 */
#include "vdev/vahci.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vahci_port.h"
#include "vdev/vpci_msi.h"
#include "vdev/vpci_regs.h"

enum {
	REG_CAP = 0x00, REG_GHC = 0x04, REG_IS = 0x08, REG_PI = 0x0c, REG_VS = 0x10,
	REG_PORTS = 0x100, REG_PORT_SIZE = 0x80,
};

enum {
	PORT_CLB = 0x00, PORT_CLBU = 0x04, PORT_FB = 0x08, PORT_FBU = 0x0c, PORT_IS = 0x10,
	PORT_IE = 0x14, PORT_CMD = 0x18, PORT_TFD = 0x20, PORT_SIG = 0x24, PORT_SSTS = 0x28,
	PORT_SCTL = 0x2c, PORT_SERR = 0x30, PORT_SACT = 0x34, PORT_CI = 0x38,
};

/* 64-bit addresses, NCQ, command list override, 1.5 Gb/s, AHCI alone, 32 slots. */
#define CAPABILITIES	(0xc1140000u | (AHCI_SLOTS - 1) << 8 | (VAHCI_PORTS - 1))
#define VERSION		0x00010301u
#define PORTS_BITS	((1u << VAHCI_PORTS) - 1)

#define CMD_SPIN_UP	0x2u
#define CMD_POWER	0x4u
#define CMD_FIS_RUNS	0x4000u
#define CMD_RUNS	0x8000u
#define SIGNATURE_DISK	0x00000101u
#define SIGNATURE_DISC	0xeb140101u
#define NO_SIGNATURE	0xffffffffu
#define NO_STATUS	0x7fu
#define ERRORS_READY	0x00010000u	/* PHY ready changed */
#define ERRORS_EXCHANGED 0x04000000u
#define CONTROL_BITS	0xfffu
#define CONTROL_DETECT	0xfu
#define LINK_BITS_UP	0x113u		/* a drive, 1.5 Gb/s, active */
#define LINK_BITS_OFF	0x4u

#define INDEX_AT	0x10u		/* of BAR 4; the data are behind it */
#define DATA_AT		0x14u
#define CAP_SATA	0x12
#define SATA_SIZE	8u
#define SATA_REVISION	0x10
#define SATA_INDEX	0x48		/* in BAR 4, at 4 * 4 */
#define MSI_AT		0x80u
#define SATA_AT		0xa8u
#define MAP_AT		0x90u
#define MAP_AHCI	0x40
#define PIN_LINE	0

struct vpci_function *vahci_function(struct vdev *d)
{
	return &vahci_of(d)->function;
}

/* ---- interrupts; lock held ---- */

/* With what shows the errors' register. */
static uint32_t port_status(const struct ahci_port *p)
{
	return p->status | (p->errors & ERRORS_EXCHANGED ? PORT_CHANGED : 0) |
	       (p->errors & ERRORS_READY ? PORT_READY_CHANGED : 0);
}

void vahci_interrupt(struct vahci *a, bool again)
{
	uint32_t old = a->status;

	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		if (port_status(&a->port[i]) & a->port[i].enable)
			a->status |= 1u << i;
	if (!(a->control & GHC_INTERRUPT) || !a->status) {
		vpci_function_pin_set(&a->function, false);
		return;
	}
	if (vpci_msi_enabled(&a->function)) {
		if (again || a->status & ~old)
			vpci_msi_send(&a->function, 0);
		return;
	}
	vpci_function_pin_set(&a->function, true);
}

/* ---- ports; lock held ---- */

/* The drive's first FIS comes: it has been reset, the line is up. */
static void sign_in(struct ahci_port *p)
{
	if (p->link != LINK_UP || !(p->command & CMD_FIS) || p->signed_in)
		return;
	p->signed_in = true;
	p->signature = p->drive.packet ? SIGNATURE_DISC : SIGNATURE_DISK;
	p->task_status = p->drive.packet ? 0 : VATA_STATUS_READY;
	p->task_error = 1;
}

/* Commands that wait are forgotten, the one under way is not wanted any more. */
static void port_stop(struct ahci_port *p)
{
	p->command &= ~(uint32_t)CMD_START;
	p->active = p->issued = 0;
	p->halted = false;
	p->last = 0;
	p->round++;
}

static void port_link(struct ahci_port *p, enum ahci_link link)
{
	p->link = (uint8_t)link;
	p->signed_in = p->resetting = false;
	p->renew = true;
	p->signature = NO_SIGNATURE;
	p->task_status = NO_STATUS;
	p->task_error = 0;
	if (link != LINK_UP)
		return;
	p->task_status = VATA_STATUS_BUSY;
	p->errors |= ERRORS_EXCHANGED | ERRORS_READY;
	sign_in(p);
}

static enum ahci_link link_alone(const struct ahci_port *p)
{
	return p->drive.present ? LINK_UP : LINK_NONE;
}

static void port_reset(struct ahci_port *p)
{
	port_stop(p);
	p->list = p->fis = 0;
	p->status = p->enable = p->command = p->errors = p->control = 0;
	port_link(p, link_alone(p));
}

void vahci_reset_all(struct vahci *a)
{
	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		port_reset(&a->port[i]);
	a->control = GHC_AHCI;
	a->status = 0;
}

/* ---- registers of a port; lock held ---- */

/* The list runs on while the work is at one of its commands. */
static uint32_t command_read(const struct vahci *a, const struct ahci_port *p)
{
	bool at_work = a->busy && &a->port[a->run_port] == p;
	uint32_t v = p->command | CMD_SPIN_UP | CMD_POWER;

	v |= p->command & CMD_FIS || at_work ? CMD_FIS_RUNS : 0;
	v |= p->command & CMD_START || at_work ? CMD_RUNS : 0;
	return p->command & CMD_START ? v | (uint32_t)p->last << 8 : v;
}

static uint32_t link_read(const struct ahci_port *p)
{
	return p->link == LINK_UP ? LINK_BITS_UP : p->link == LINK_OFF ? LINK_BITS_OFF : 0;
}

static uint32_t port_read(const struct vahci *a, const struct ahci_port *p, unsigned reg)
{
	switch (reg) {
	case PORT_CLB:
		return (uint32_t)p->list;
	case PORT_CLBU:
		return (uint32_t)(p->list >> 32);
	case PORT_FB:
		return (uint32_t)p->fis;
	case PORT_FBU:
		return (uint32_t)(p->fis >> 32);
	case PORT_IS:
		return port_status(p);
	case PORT_IE:
		return p->enable;
	case PORT_CMD:
		return command_read(a, p);
	case PORT_TFD:
		return (uint32_t)p->task_error << 8 | p->task_status;
	case PORT_SIG:
		return p->signature;
	case PORT_SSTS:
		return link_read(p);
	case PORT_SCTL:
		return p->control;
	case PORT_SERR:
		return p->errors;
	case PORT_SACT:
		return p->active;
	case PORT_CI:
		return p->issued;
	default:
		return 0;
	}
}

static void command_write(struct ahci_port *p, uint32_t v)
{
	bool ran = p->command & CMD_START;

	if (v & CMD_OVERRIDE && !ran)
		p->task_status &= (uint8_t)~(VATA_STATUS_BUSY | VATA_STATUS_DATA);
	if (ran && !(v & CMD_START))
		port_stop(p);
	p->command = v & CMD_KEPT;
	sign_in(p);
}

/* The line is reset or taken down by the guest, and comes up when it lets go. */
static void control_write(struct ahci_port *p, uint32_t v)
{
	unsigned old = p->control & CONTROL_DETECT, now = v & CONTROL_DETECT;

	p->control = v & CONTROL_BITS;
	if (now == old || !p->drive.present)
		return;
	port_stop(p);
	port_link(p, now == 1 ? LINK_RESET : now == 4 ? LINK_OFF : LINK_UP);
}

static void set_half(uint64_t *to, bool high, uint32_t v, uint32_t mask)
{
	*to = high ? (*to & 0xffffffff) | (uint64_t)v << 32 : (*to & ~0xfffffffful) | (v & mask);
}

/* True: there may be something for the work. */
static bool port_write(struct ahci_port *p, unsigned reg, uint32_t v)
{
	bool runs = p->command & CMD_START;

	switch (reg) {
	case PORT_CLB:
	case PORT_CLBU:
		if (!runs)
			set_half(&p->list, reg == PORT_CLBU, v, ~0x3ffu);
		return false;
	case PORT_FB:
	case PORT_FBU:
		if (!runs)
			set_half(&p->fis, reg == PORT_FBU, v, ~0xffu);
		return false;
	case PORT_IS:
		p->status &= ~v;
		return false;
	case PORT_IE:
		p->enable = v & PORT_STATUS_BITS;
		return false;
	case PORT_CMD:
		command_write(p, v);
		return true;
	case PORT_SCTL:
		control_write(p, v);
		return true;
	case PORT_SERR:
		p->errors &= ~v;
		return false;
	case PORT_SACT:
		p->active |= runs ? v : 0;
		return false;
	case PORT_CI:
		p->issued |= runs ? v : 0;
		return runs;
	default:
		return false;
	}
}

/* ---- the controller's registers; lock held ---- */

static uint32_t read_register(const struct vahci *a, uint64_t at)
{
	uint64_t n = (at - REG_PORTS) / REG_PORT_SIZE;

	if (at >= REG_PORTS)
		return n < VAHCI_PORTS
		     ? port_read(a, &a->port[n], (unsigned)(at % REG_PORT_SIZE)) : 0;
	switch (at) {
	case REG_CAP:
		return CAPABILITIES;
	case REG_GHC:
		return a->control;
	case REG_IS:
		return a->status;
	case REG_PI:
		return PORTS_BITS;
	case REG_VS:
		return VERSION;
	default:
		return 0;
	}
}

/* It is AHCI's alone: that bit stays. A reset ends when the work has let go. */
static bool control_all_write(struct vahci *a, uint32_t v)
{
	a->control = GHC_AHCI | (a->control & GHC_RESET) | (v & (GHC_INTERRUPT | GHC_RESET));
	if (!(v & GHC_RESET))
		return false;
	if (!a->busy)
		vahci_reset_all(a);
	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		port_stop(&a->port[i]);
	return true;
}

static bool write_register(struct vahci *a, uint64_t at, uint32_t v)
{
	uint64_t n = (at - REG_PORTS) / REG_PORT_SIZE;
	bool wanted = false;

	if (at >= REG_PORTS && n < VAHCI_PORTS)
		wanted = port_write(&a->port[n], (unsigned)(at % REG_PORT_SIZE), v);
	else if (at == REG_GHC)
		wanted = control_all_write(a, v);
	else if (at == REG_IS)
		a->status &= ~v;
	vahci_interrupt(a, at == REG_IS || at == REG_GHC);
	return wanted;
}

/* ---- accesses ---- */

/* BAR 4's index may name any register; its data are that one. */
static bool find_register(const struct vahci *a, unsigned region, uint64_t *at)
{
	if (region == VAHCI_INDEX) {
		if (ALIGN_DOWN(*at, 4ul) != DATA_AT)
			return false;
		*at = a->index + *at % 4;
	}
	return true;
}

static uint64_t read_part(const struct vahci *a, unsigned region, uint64_t at, unsigned size)
{
	uint64_t v;

	if (region == VAHCI_INDEX && ALIGN_DOWN(at, 4ul) == INDEX_AT)
		return a->index >> at % 4 * 8;
	if (!find_register(a, region, &at))
		return 0;
	v = read_register(a, ALIGN_DOWN(at, 4ul));
	if (size == 8)
		v |= (uint64_t)read_register(a, ALIGN_DOWN(at, 4ul) + 4) << 32;
	return v >> at % 4 * 8;
}

static uint64_t vahci_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t flags = host_lock(d), v = read_part(vahci_of(d), region, offset, size);

	host_unlock(d, flags);
	return v;
}

/* Registers are written whole: 4 bytes, or two of them. */
static void vahci_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vahci *a = vahci_of(d);
	uint64_t flags;
	bool wanted = false;

	if (size < 4 || offset % 4)
		return;
	flags = host_lock(d);
	if (region == VAHCI_INDEX && offset == INDEX_AT) {
		a->index = (uint32_t)value & (VAHCI_SIZE - 4);
	} else if (find_register(a, region, &offset)) {
		wanted = write_register(a, offset, (uint32_t)value);
		if (size == 8)
			wanted |= write_register(a, offset + 4, (uint32_t)(value >> 32));
	}
	host_unlock(d, flags);
	if (wanted)
		host_work_queue(d);
}

/* It may be a bus master now, which commands have waited for. */
static void config_written(struct vpci_function *f, unsigned offset, unsigned size)
{
	if (range_within(PCI_COMMAND, 1, offset, size) && vpci_function_is_master(f))
		host_work_queue(f->owner);
}

static void vahci_timer(struct vdev *d, unsigned timer)
{
	(void)timer;
	host_work_queue(d);
}

/* ---- life ---- */

static bool is_quiet(struct vdev *d)
{
	struct vahci *a = vahci_of(d);
	uint64_t flags = host_lock(d);
	bool quiet = !a->stepping && !a->waiting;

	host_unlock(d, flags);
	return quiet;
}

static bool is_resting(struct vdev *d)
{
	struct vahci *a = vahci_of(d);
	uint64_t flags = host_lock(d);
	bool rests = !a->stepping;

	host_unlock(d, flags);
	return rests;
}

static int move_tray(struct vata_drive *drive, enum host_tray what,
		     const struct host_media_facts *f)
{
	if (what != HOST_TRAY_LOAD)
		return vata_eject(drive, what == HOST_TRAY_FORCE);
	vata_insert(drive, f->size / VATA_SECTOR, f->open);
	return 0;
}

/* A command under way is between two of its pieces then, and finds its disc gone. */
static int vahci_tray(struct vdev *d, unsigned medium, enum host_tray what)
{
	struct vahci *a = vahci_of(d);
	struct host_media_facts f;
	uint64_t flags = host_lock(d);
	int err;

	a->held++;
	host_unlock(d, flags);
	host_wait_until(d, is_resting);
	host_media_facts(d, medium, &f);
	flags = host_lock(d);
	a->held--;
	err = move_tray(&a->port[medium].drive, what, &f);
	host_unlock(d, flags);
	host_work_queue(d);
	return err;
}

static void drive_facts(struct vdev *d, unsigned n, struct vata_drive *drive)
{
	struct host_media_facts f;

	host_media_facts(d, n, &f);
	drive->present = f.kind == HOST_MEDIA_DISK;
	drive->packet = f.optical;
	drive->read_only = f.read_only || f.optical;
	drive->sectors = f.size / VATA_SECTOR;
	drive->open = f.open;
	drive->attention = drive->event = 0;
	memcpy(drive->name, f.name, sizeof(drive->name));
	vata_reset(drive);
}

static void vahci_reset(struct vdev *d)
{
	struct vahci *a = vahci_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		port_stop(&a->port[i]);
	host_unlock(d, flags);
	host_wait_until(d, is_quiet);
	flags = host_lock(d);
	a->busy = false;
	a->index = 0;
	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		drive_facts(d, i, &a->port[i].drive);
	vahci_reset_all(a);
	host_timer_cancel(d, AHCI_RETRY_TIMER);
	host_unlock(d, flags);
	vpci_function_reset(&a->function);
}

static void save_port(const struct ahci_port *p, struct record_writer *w)
{
	record_put_u64(w, p->list);
	record_put_u64(w, p->fis);
	record_put_u32(w, p->status);
	record_put_u32(w, p->enable);
	record_put_u32(w, p->command);
	record_put_u32(w, p->errors);
	record_put_u32(w, p->control);
	record_put_u32(w, p->active);
	record_put_u32(w, p->issued);
	record_put_u8(w, p->link);
	record_put_bool(w, p->signed_in);
	record_put_bool(w, p->halted);
	record_put_bool(w, p->renew);
	record_put_bool(w, p->resetting);
	record_put_u8(w, p->last);
	record_put_u8(w, p->task_status);
	record_put_u8(w, p->task_error);
	record_put_u32(w, p->signature);
	vata_save(&p->drive, w);
}

/* A command under way is none that was told of: it is begun anew. */
static void vahci_save(struct vdev *d, struct record_writer *w)
{
	const struct vahci *a = vahci_of(d);

	record_put_u32(w, a->control);
	record_put_u32(w, a->status);
	record_put_u32(w, a->index);
	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		save_port(&a->port[i], w);
	vpci_function_save(&vahci_of(d)->function, w);
}

static void read_port(struct record_reader *r, struct ahci_port *p)
{
	p->list = record_get_u64(r);
	p->fis = record_get_u64(r);
	p->status = record_get_u32(r);
	p->enable = record_get_u32(r);
	p->command = record_get_u32(r);
	p->errors = record_get_u32(r);
	p->control = (uint32_t)record_get_below(r, 4, CONTROL_BITS);
	p->active = record_get_u32(r);
	p->issued = record_get_u32(r);
	p->link = (uint8_t)record_get_below(r, 1, LINK_UP);
	p->signed_in = record_get_bool(r);
	p->halted = record_get_bool(r);
	p->renew = record_get_bool(r);
	p->resetting = record_get_bool(r);
	p->last = (uint8_t)record_get_below(r, 1, AHCI_SLOTS - 1);
	p->task_status = record_get_u8(r);
	p->task_error = record_get_u8(r);
	p->signature = record_get_u32(r);
	vata_read(&p->drive, r);
}

/* `p` has the facts of the drive that is there. */
static bool port_valid(const struct ahci_port *p)
{
	bool runs = p->command & CMD_START;

	return !(p->list & 0x3ff) && !(p->fis & 0xff) && !(p->status & ~(uint32_t)PORT_LATCHED) &&
	       !(p->enable & ~PORT_STATUS_BITS) && !(p->command & ~(uint32_t)CMD_KEPT) &&
	       !(p->errors & ~(ERRORS_READY | ERRORS_EXCHANGED)) &&
	       (runs || !(p->active | p->issued)) && p->drive.present == (p->link != LINK_NONE);
}

struct saved {
	uint32_t control, status, index;
	struct ahci_port port[VAHCI_PORTS];
	struct vpci_saved function;
};

static bool saved_valid(const struct saved *s)
{
	bool wants = s->control & GHC_INTERRUPT && s->status;

	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		if (!port_valid(&s->port[i]))
			return false;
	return (s->control & ~(GHC_INTERRUPT | GHC_RESET)) == GHC_AHCI &&
	       !(s->status & ~PORTS_BITS) && !(s->index & ~(VAHCI_SIZE - 4)) &&
	       (wants || !(s->function.config[PCI_STATUS] & STATUS_INTX));
}

static void read_all(struct vahci *a, struct record_reader *r, struct saved *s)
{
	s->control = record_get_u32(r);
	s->status = record_get_u32(r);
	s->index = record_get_u32(r);
	for (unsigned i = 0; i < VAHCI_PORTS; i++) {
		s->port[i].drive = a->port[i].drive;
		s->port[i].round = a->port[i].round + 1;
		read_port(r, &s->port[i]);
	}
	vpci_function_read(&a->function, r, &s->function);
}

static int vahci_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vahci *a = vahci_of(d);
	struct saved *s = host_alloc(sizeof(*s));
	uint64_t flags;

	if (!s)
		return -ENOMEM;
	read_all(a, r, s);
	if (version != d->ops->version || record_finish(r) || !saved_valid(s)) {
		host_free(s);
		return -EINVAL;
	}
	host_wait_until(d, is_quiet);
	flags = host_lock(d);
	a->busy = false;
	a->control = s->control;
	a->status = s->status;
	a->index = s->index;
	memcpy(a->port, s->port, sizeof(a->port));
	for (unsigned i = 0; i < VAHCI_PORTS; i++)
		if (a->port[i].drive.packet)
			host_media_tray(d, i, a->port[i].drive.open);
	host_timer_cancel(d, AHCI_RETRY_TIMER);
	host_unlock(d, flags);
	vpci_function_commit(&a->function, &s->function);
	host_free(s);
	host_work_queue(d);
	return 0;
}

static void vahci_destroy(struct vdev *d)
{
	vpci_function_fini(vahci_function(d));
	host_free(vahci_of(d));
}

static const struct vdev_ops vahci_ops = {
	.name = "vahci", .version = 2, .read = vahci_read, .write = vahci_write,
	.reset = vahci_reset, .save = vahci_save, .load = vahci_load, .destroy = vahci_destroy,
	.timer = vahci_timer, .work = vahci_run_work, .media_done = vahci_run_done,
	.media_tray = vahci_tray,
};

/*
 * Its messages have no masks: the address map is where those would be, and of what is written there
 * the first message's bit is none.
 */
static void make_map(struct vpci_function *f)
{
	f->config[MSI_AT + MSI_CONTROL + 1] &= (uint8_t)~(MSI_MASKS >> 8);
	memset(f->writable + MSI_AT + MSI_MASK, 0, 4);
	f->config[MAP_AT] = MAP_AHCI;
	f->config[MAP_AT + 2] = f->writable[MAP_AT + 2] = PORTS_BITS;
}

/* Its capabilities lie where an ICH9 has them. */
static int make_function(struct vahci *a)
{
	struct vpci_function *f = &a->function;
	unsigned at;
	int err;

	vpci_function_init(f, &a->dev, 0x8086, 0x2922, 0x01060102, 0x1af4, 0x1100);
	f->written = config_written;
	vpci_function_bar(f, 4, (struct vpci_bar){ .size = VAHCI_INDEX_SIZE, .space = HOST_PORT,
		.region = VAHCI_INDEX });
	vpci_function_bar(f, 5, (struct vpci_bar){ .size = VAHCI_SIZE, .space = HOST_MMIO,
		.region = VAHCI_REGISTERS });
	vpci_function_pin(f, 1, PIN_LINE);
	f->capability_end = MSI_AT;
	err = vpci_msi_init(f, 1);
	f->capability_end = SATA_AT;
	at = err ? 0 : vpci_function_capability(f, CAP_SATA, SATA_SIZE);
	if (!at)
		return err ?: -ENOSPC;
	f->config[at + 2] = SATA_REVISION;
	f->config[at + 4] = SATA_INDEX;
	make_map(f);
	return 0;
}

int vahci_create(struct vdev **out)
{
	struct vahci *a = host_alloc(sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->dev.ops = &vahci_ops;
	err = make_function(a);
	if (err) {
		vpci_function_fini(&a->function);
		host_free(a);
		return err;
	}
	*out = &a->dev;
	return 0;
}
