/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vahci_port.h: the work. A command's header, FIS and packet are copied, then looked at; its
 * PRD table is read a window at a time, from where the last piece ended, so that a table of 65,535
 * entries costs no more than its length.
 */
#include "vdev/vahci_port.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vprd.h"

#define STEPS		16		/* pieces of one call of the work */
#define RETRY_NS	10000000ul
#define HEADER_SIZE	32u
#define TABLE_PACKET	0x40u
#define TABLE_ENTRIES	0x80u
#define HEADER_IS_PACKET 0x20u
#define ENTRY_TELLS	0x80000000u
#define ENTRY_SIZE_BITS	0x3fffffu
#define TRIM_RANGES	64u		/* of 512 bytes */

enum { FIS_COMMAND = 0x27, FIS_REGISTERS = 0x34, FIS_BITS = 0xa1, FIS_PIO = 0x5f };
enum { FIS_PIO_AT = 0x20, FIS_REGISTERS_AT = 0x40, FIS_BITS_AT = 0x58 };
#define FIS_TELLS	0x40
#define FIS_TO_HOST	0x20
#define FIS_IS_COMMAND	0x80		/* else the control register alone */
#define CONTROL_RESET	0x04

enum outcome { GO_ON, FINISHED };

static struct ahci_port *port_of(struct vahci *a)
{
	return &a->port[a->run_port];
}

/* ---- guest memory by the PRD table ---- */

/* An even number of bytes, 2 at least. */
static uint64_t entry_size(const struct ahci_entry *e)
{
	return (uint64_t)((e->size & ENTRY_SIZE_BITS) | 1) + 1;
}

/* Up to `want` bytes, whole granules, as far as a window goes; 0: the table has ended. */
static int gather(struct vahci *a, uint64_t want, unsigned granule, uint64_t *got)
{
	struct ahci_run *r = &a->run;
	unsigned n = MIN(r->entries - r->index, AHCI_WINDOW);
	uint64_t sum = 0;
	int err = 0;

	if (n)
		err = vpci_function_dma_read(&a->function,
			GPA(r->table + TABLE_ENTRIES + (uint64_t)r->index * sizeof(*r->entry)),
			r->entry, n * sizeof(*r->entry));
	r->segments = 0;
	for (unsigned i = 0; !err && i < n && sum < want; i++) {
		uint64_t skip = i ? 0 : r->skip;
		uint64_t size = MIN(entry_size(&r->entry[i]) - skip, want - sum);

		r->segment[r->segments++] = (struct host_segment){
			(r->entry[i].at & ~1ul) + skip, size,
		};
		sum += size;
	}
	*got = vprd_round_down(r->segment, &r->segments, sum, granule);
	return err;
}

/* So many bytes of what was gathered last are dealt with. */
static void advance(struct ahci_run *r, uint64_t n)
{
	r->moved += n;
	for (unsigned i = 0; n; i++) {
		uint64_t left = entry_size(&r->entry[i]) - r->skip;

		if (n < left) {
			r->skip += (uint32_t)n;
			return;
		}
		n -= left;
		r->skip = 0;
		r->index++;
		if (r->entry[i].size & ENTRY_TELLS)
			r->told = PORT_ENTRY;
	}
}

/* The operation's buffer, to the guest or from it. -ENOSPC: the table is too short. */
static int move_buffer(struct vahci *a, bool to_guest)
{
	struct ahci_run *r = &a->run;
	int err = 0;

	while (!err && r->moved < r->op.size) {
		uint64_t got;
		uint8_t *at = r->op.buffer + r->moved;

		err = gather(a, r->op.size - r->moved, 1, &got);
		if (!err && !got)
			return -ENOSPC;
		for (unsigned i = 0; !err && i < r->segments; at += r->segment[i++].size) {
			gpa_t ram = GPA(r->segment[i].at);

			err = to_guest
			    ? vpci_function_dma_write(&a->function, ram, at, r->segment[i].size)
			    : vpci_function_dma_read(&a->function, ram, at, r->segment[i].size);
		}
		if (!err)
			advance(r, got);
	}
	return err;
}

/* ---- what the guest is told ---- */

static int put_fis(struct vahci *a, unsigned at, const uint8_t *fis, unsigned size)
{
	const struct ahci_port *p = port_of(a);

	if (!(p->command & CMD_FIS))
		return 0;
	return vpci_function_dma_write(&a->function, GPA(p->fis + at), fis, size);
}

static void registers_fis(const struct ahci_run *r, uint8_t type, uint8_t *f)
{
	const struct vata_operation *op = &r->op;

	memset(f, 0, 20);
	f[0] = type;
	f[2] = op->status;
	f[3] = op->error;
	for (unsigned i = 0; i < 3; i++) {
		f[4 + i] = (uint8_t)(op->lba >> 8 * i);
		f[8 + i] = (uint8_t)(op->lba >> 8 * (3 + i));
	}
	f[7] = r->fis[7];
	f[12] = op->count;
}

/* A drive that gives by PIO says so first; the status it gives then holds for the end, too. */
static int tell_pio(struct vahci *a, bool to_guest)
{
	const struct vata_operation *op = &a->run.op;
	uint16_t n = (uint16_t)MIN(op->size, VATA_SECTOR);
	uint8_t f[20];

	registers_fis(&a->run, FIS_PIO, f);
	f[1] = to_guest ? FIS_TELLS | FIS_TO_HOST : 0;
	f[2] = op->status | VATA_STATUS_DATA;
	f[15] = op->status;
	f[16] = (uint8_t)n;
	f[17] = (uint8_t)(n >> 8);
	return put_fis(a, FIS_PIO_AT, f, sizeof(f));
}

static int tell_queued(struct vahci *a)
{
	const struct vata_operation *op = &a->run.op;
	uint32_t done = op->status & VATA_STATUS_ERROR ? 0 : 1u << op->tag;
	uint8_t f[8] = { FIS_BITS, FIS_TELLS, op->status & 0x77, op->error };

	memcpy(f + 4, &done, 4);
	return put_fis(a, FIS_BITS_AT, f, sizeof(f));
}

/* Nothing but data ends a read by PIO that went well: what came with them was the end. */
static bool ends_by_pio(const struct vata_operation *op)
{
	return op->pio && !(op->status & VATA_STATUS_ERROR) &&
	       (op->what == VATA_READ || op->what == VATA_ANSWER);
}

static int tell(struct vahci *a)
{
	struct ahci_run *r = &a->run;
	uint32_t moved = (uint32_t)r->moved;
	uint8_t f[20];
	int err;

	if (r->op.queued)
		return tell_queued(a);
	err = vpci_function_dma_write(&a->function, GPA(r->header_at + 4), &moved, 4);
	if (err || ends_by_pio(&r->op))
		return err;
	registers_fis(r, FIS_REGISTERS, f);
	f[1] = FIS_TELLS;
	return put_fis(a, FIS_REGISTERS_AT, f, sizeof(f));
}

/* The command's end, as its port's registers show it. */
static void finish(struct vahci *a)
{
	struct ahci_port *p = port_of(a);
	const struct vata_operation *op = &a->run.op;
	bool error = op->status & VATA_STATUS_ERROR;
	uint32_t bit = 1u << a->run_slot;

	p->task_status = op->status;
	p->task_error = op->error;
	p->status |= a->run.told;
	p->status |= op->queued ? PORT_QUEUED : ends_by_pio(op) ? PORT_PIO : PORT_DONE;
	if (error) {			/* the guest sees by CI and SACT what was not done */
		p->status |= PORT_TASK_ERROR;
		p->halted = true;
		return;
	}
	p->issued &= ~bit;
	if (op->queued)
		p->active &= ~bit;
}

/* ---- doing it ---- */

static void fail(struct vahci *a, uint8_t error)
{
	vata_failed(&port_of(a)->drive, &a->run.op, error);
}

/* What the medium or its memory said; < 0: the command is tried again, or the bus failed. */
static int medium_failed(struct vahci *a, int err)
{
	if (err == -EINTR || err == -EAGAIN || err == -EFAULT)
		return err;
	fail(a, a->run.op.what == VATA_READ ? VATA_ERROR_MEDIUM : VATA_ERROR_ABORT);
	return FINISHED;
}

static int submit(struct vahci *a, struct host_media_request *r)
{
	if (!vpci_function_is_master(&a->function))
		return -EPERM;
	r->tag = a->run_port;
	return host_media_submit(&a->dev, a->run_port, r);
}

static int submit_flush(struct vahci *a)
{
	int err = submit(a, &(struct host_media_request){ .op = HOST_MEDIA_FLUSH });

	if (err == -EPERM)
		return err;
	return err ? medium_failed(a, err) : FINISHED;
}

/* The PRD table is shorter than the data. */
static int overflow(struct vahci *a)
{
	a->run.told |= PORT_OVERFLOW;
	fail(a, VATA_ERROR_ABORT);
	return FINISHED;
}

static int transfer(struct vahci *a)
{
	struct ahci_run *r = &a->run;
	struct vata_operation *op = &r->op;
	struct host_media_request m = {
		.op = op->what == VATA_WRITE ? HOST_MEDIA_WRITE : HOST_MEDIA_READ,
		.offset = op->offset + r->moved, .segment = r->segment,
	};
	int err;

	if (vata_disc_gone(&port_of(a)->drive, op))
		return FINISHED;
	err = gather(a, MIN(op->size - r->moved, AHCI_PIECE), HOST_MEDIA_BLOCK, &m.size);
	if (err)
		return err;
	if (!m.size)
		return overflow(a);
	m.count = r->segments;
	if (!vpci_function_is_master(&a->function))
		return -EPERM;
	err = submit(a, &m);
	if (err)
		return medium_failed(a, err);
	advance(r, m.size);
	if (r->moved < op->size)
		return GO_ON;
	return op->flush ? submit_flush(a) : FINISHED;
}

/* One range; those that are empty are none. */
static int trim(struct vahci *a)
{
	struct ahci_run *r = &a->run;
	struct host_media_request m = { .op = HOST_MEDIA_DISCARD };
	int err;

	if (r->range == r->op.size / VATA_SECTOR * TRIM_RANGES)
		return FINISHED;
	if (!vata_trim_range(&port_of(a)->drive, &r->op, r->range++, &m.offset, &m.size)) {
		fail(a, VATA_ERROR_NO_SECTOR);
		return FINISHED;
	}
	if (!m.size)
		return GO_ON;
	a->waiting = true;
	err = submit(a, &m);
	if (err == HOST_MEDIA_LATER)
		return GO_ON;
	a->waiting = false;
	return !err ? GO_ON : err == -EPERM ? err : medium_failed(a, err);
}

static int answer(struct vahci *a)
{
	int err = move_buffer(a, true);

	return err == -ENOSPC ? overflow(a) : err ?: FINISHED;
}

/* A piece of what was begun. */
static int go_on(struct vahci *a)
{
	switch (a->run.op.what) {
	case VATA_ANSWER:
		return answer(a);
	case VATA_READ:
	case VATA_WRITE:
		return transfer(a);
	case VATA_FLUSH:
		return submit_flush(a);
	case VATA_TRIM:
		return trim(a);
	default:
		return FINISHED;
	}
}

/* The control register: its reset bit, set and cleared again, resets the drive. */
static void control(struct vahci *a)
{
	struct ahci_port *p = port_of(a);
	struct ahci_run *r = &a->run;
	bool reset = r->fis[15] & CONTROL_RESET;

	memset(&r->op, 0, offsetof(struct vata_operation, buffer));
	r->op.status = p->task_status & ~VATA_STATUS_ERROR;
	if (p->resetting && !reset) {
		vata_reset(&p->drive);
		vata_signature(&p->drive, &r->op);
	}
	p->resetting = reset;
}

static void command(struct vahci *a, const uint8_t *packet)
{
	struct ahci_port *p = port_of(a);
	struct ahci_run *r = &a->run;
	const uint8_t *f = r->fis;
	struct vata_registers regs = {
		.command = f[2], .device = f[7], .features = (uint16_t)(f[3] | f[11] << 8),
		.count = (uint16_t)(f[12] | f[13] << 8),
	};
	bool open;

	for (unsigned i = 0; i < 3; i++)
		regs.lba |= (uint64_t)f[4 + i] << 8 * i | (uint64_t)f[8 + i] << (24 + 8 * i);
	open = p->drive.open;
	vata_command(&p->drive, &regs, packet, &r->op);
	if (p->drive.open != open)
		host_media_tray(&a->dev, a->run_port, p->drive.open);
	if (r->op.queued && r->op.tag != a->run_slot)
		fail(a, VATA_ERROR_ABORT);
}

/* Header, FIS and packet. */
static int fetch(struct vahci *a, uint8_t *packet)
{
	struct ahci_run *r = &a->run;
	uint32_t h[4];
	int err;

	r->header_at = port_of(a)->list + a->run_slot * HEADER_SIZE;
	err = vpci_function_dma_read(&a->function, GPA(r->header_at), h, sizeof(h));
	if (err)
		return err;
	r->header = h[0];
	r->entries = h[0] >> 16;
	r->table = (h[2] | (uint64_t)h[3] << 32) & ~0x7ful;
	err = vpci_function_dma_read(&a->function, GPA(r->table), r->fis, sizeof(r->fis));
	if (!err && r->header & HEADER_IS_PACKET)
		err = vpci_function_dma_read(&a->function, GPA(r->table + TABLE_PACKET), packet,
					     VATA_PACKET);
	return err;
}

static int begin(struct vahci *a)
{
	struct ahci_run *r = &a->run;
	uint8_t packet[VATA_PACKET] = { 0 };
	bool to_guest;
	int err = fetch(a, packet);

	if (err)
		return err;
	r->index = r->skip = r->range = r->told = 0;
	r->moved = 0;
	r->begun = true;
	if (r->fis[0] != FIS_COMMAND || !(r->fis[1] & FIS_IS_COMMAND))
		control(a);
	else
		command(a, packet);
	to_guest = r->op.what == VATA_READ || r->op.what == VATA_ANSWER;
	if (r->op.pio && (to_guest || r->op.what == VATA_WRITE))
		err = tell_pio(a, to_guest);
	if (!err && r->op.what == VATA_TRIM) {
		err = move_buffer(a, false);
		if (err == -ENOSPC)
			err = overflow(a);
	}
	return err < 0 ? err : GO_ON;
}

static int step(struct vahci *a)
{
	int err = a->run.begun ? go_on(a) : begin(a);

	return err == FINISHED ? tell(a) ?: FINISHED : err;
}

/* ---- whose turn it is; lock held ---- */

/* A slot behind the last one; -1: none. */
static int next_slot(const struct ahci_port *p)
{
	uint32_t from = p->issued & ~(uint32_t)BITS(p->last, 0);

	if (!(p->command & CMD_START) || p->halted || p->link != LINK_UP || !p->issued)
		return -1;
	return (int)bit_lowest(from ?: p->issued);
}

/* Of the ports behind the last one. */
static bool choose(struct vahci *a)
{
	for (unsigned i = 1; i <= VAHCI_PORTS; i++) {
		unsigned n = (a->run_port + i) % VAHCI_PORTS;
		struct ahci_port *p = &a->port[n];
		int slot = next_slot(p);

		if (slot < 0)
			continue;
		if (p->renew)
			vata_reset(&p->drive);
		p->renew = false;
		p->last = (uint8_t)slot;
		a->run_port = (uint8_t)n;
		a->run_slot = (uint8_t)slot;
		a->run_round = p->round;
		a->run.begun = false;
		a->result = 0;
		a->busy = true;
		return true;
	}
	return false;
}

/* False: there is nothing to do now. */
static bool take_turn(struct vahci *a)
{
	if (a->waiting || a->held)
		return false;
	if (a->busy && port_of(a)->round != a->run_round)
		a->busy = false;
	if (!a->busy && a->control & GHC_RESET) {
		vahci_reset_all(a);
		vahci_interrupt(a, false);
	}
	if (!a->busy && (!vpci_function_is_master(&a->function) || !choose(a)))
		return false;
	a->stepping = true;
	return true;
}

/* What came of a step; false: the work is to rest. */
static bool settle(struct vahci *a, int err)
{
	struct ahci_port *p = port_of(a);

	a->stepping = false;
	if (err == GO_ON)
		return true;
	a->busy = false;
	if (p->round != a->run_round)
		return true;
	if (err == FINISHED) {
		finish(a);
	} else if (err == -EFAULT) {
		p->status |= PORT_BUS_ERROR;
		p->halted = true;
	} else if (err != -EPERM) {
		host_timer_set(&a->dev, AHCI_RETRY_TIMER, host_clock_ns(&a->dev) + RETRY_NS);
	}
	vahci_interrupt(a, false);
	return err == FINISHED || err == -EFAULT;
}

/* The medium's word on what it did later. */
static int take_result(struct vahci *a)
{
	int err = a->result;

	a->result = 0;
	return err ? medium_failed(a, err) : GO_ON;
}

void vahci_run_work(struct vdev *d)
{
	struct vahci *a = vahci_of(d);
	bool more = true;

	for (unsigned i = 0; more && i < STEPS; i++) {
		uint64_t flags = host_lock(d);
		int err;

		more = take_turn(a);
		host_unlock(d, flags);
		if (!more)
			return;
		err = a->result ? take_result(a) : GO_ON;
		err = err == FINISHED ? tell(a) ?: FINISHED : err ?: step(a);
		flags = host_lock(d);
		more = settle(a, err);
		host_unlock(d, flags);
	}
	if (more)
		host_work_queue(d);
}

void vahci_run_done(struct vdev *d, unsigned medium, uint32_t tag, int error)
{
	struct vahci *a = vahci_of(d);
	uint64_t flags = host_lock(d);

	(void)medium, (void)tag;
	a->waiting = false;
	a->result = error;
	host_unlock(d, flags);
	host_work_queue(d);
}
