/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vuart.h. "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs" data sheet. Under
 * the device's lock.
 */
#include "vdev/vuart.h"

#include "include/bits.h"
#include "lib/string.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };

#define IER_RDA		0x01
#define IER_THRE	0x02
#define IER_LINE	0x04
#define IER_MODEM	0x08
#define IER_BITS	0x0f

#define IIR_NONE	0x01
#define IIR_MODEM	0x00
#define IIR_THRE	0x02
#define IIR_RDA		0x04
#define IIR_LINE	0x06
#define IIR_TIMEOUT	0x0c
#define IIR_FIFO	0xc0

#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define FCR_KEPT	0xc9

#define LCR_DLAB	0x80
#define LCR_BREAK	0x40
#define MCR_DTR		0x01
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10
#define MCR_BITS	0x1f
#define LSR_READY	0x01
#define LSR_OVERRUN	0x02
#define LSR_IDLE	0x60	/* THRE and TEMT */
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80
#define MSR_CONNECTED	(MSR_CTS | MSR_DSR | MSR_DCD)
#define MSR_RI_FELL	0x04	/* the one change bit that tells of an end, not of a change */

#define FIFO_SIZE	16

struct vuart {
	struct vdev dev;
	uint8_t fifo[FIFO_SIZE];	/* from `first` on, `count` bytes, round */
	uint8_t first, count;
	uint8_t ier, fcr, lcr, mcr, scratch;
	uint8_t errors;			/* LSR bits that a read of LSR clears */
	uint8_t msr;
	uint16_t divisor;
	bool thre_due;			/* the transmitter ran empty and nobody has been told */
	bool line;
};

static struct vuart *vuart_of(struct vdev *d)
{
	return container_of(d, struct vuart, dev);
}

static unsigned room(const struct vuart *u)
{
	return (u->fcr & FCR_ENABLE ? FIFO_SIZE : 1u) - u->count;
}

static unsigned trigger_level(const struct vuart *u)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return u->fcr & FCR_ENABLE ? levels[u->fcr >> 6] : 1;
}

static uint8_t cause(const struct vuart *u)
{
	if (u->ier & IER_LINE && u->errors)
		return IIR_LINE;
	if (u->ier & IER_RDA && u->count)
		return u->count >= trigger_level(u) ? IIR_RDA : IIR_TIMEOUT;
	if (u->ier & IER_THRE && u->thre_due)
		return IIR_THRE;
	if (u->ier & IER_MODEM && u->msr & 0x0f)
		return IIR_MODEM;
	return IIR_NONE;
}

/* In loopback the OUT2 pin, which opens the interrupt's way on a PC, is held high. */
static void update(struct vuart *u)
{
	bool line = cause(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	if (line == u->line)
		return;
	u->line = line;
	host_line_set(&u->dev, VUART_IRQ, line);
}

static void receive(struct vuart *u, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		u->fifo[(u->first + u->count++) % FIFO_SIZE] = data[i];
}

/* In loopback the line is cut off and the host's bytes wait. */
static void fetch(struct vuart *u)
{
	uint8_t data[FIFO_SIZE];
	size_t want = room(u);

	if (want && want <= FIFO_SIZE && !(u->mcr & MCR_LOOP))
		receive(u, data, MIN(host_media_get(&u->dev, VUART_CONSOLE, data, want), want));
}

static void vuart_media_input(struct vdev *d, unsigned medium)
{
	struct vuart *u = vuart_of(d);
	uint64_t flags = host_lock(d);

	(void)medium;
	fetch(u);
	update(u);
	host_unlock(d, flags);
}

static void transmit(struct vuart *u, uint8_t v)
{
	if (!(u->mcr & MCR_LOOP))
		host_media_put(&u->dev, VUART_CONSOLE, &v, 1);
	else if (room(u))
		receive(u, &v, 1);
	else
		u->errors |= LSR_OVERRUN;
	u->thre_due = true;
}

static uint8_t take(struct vuart *u)
{
	uint8_t v = 0;

	if (u->count) {
		v = u->fifo[u->first];
		u->first = (u->first + 1) % FIFO_SIZE;
		u->count--;
	}
	if (!u->count)
		fetch(u);
	return v;
}

static void set_msr(struct vuart *u, uint8_t wires)
{
	uint8_t changed = (u->msr ^ wires) >> 4;

	if (wires & MSR_RI)
		changed &= ~MSR_RI_FELL;
	u->msr = wires | (u->msr & 0x0f) | changed;
}

/*
 * Loopback ties the modem's outputs to its inputs: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
 */
static void write_mcr(struct vuart *u, uint8_t v)
{
	uint8_t wires = MSR_CONNECTED;

	u->mcr = v & MCR_BITS;
	if (v & MCR_LOOP)
		wires = (v & MCR_RTS ? MSR_CTS : 0) | (v & MCR_DTR ? MSR_DSR : 0) |
			(v & MCR_OUT1 ? MSR_RI : 0) |
			(v & MCR_OUT2 ? MSR_DCD : 0);
	set_msr(u, wires);
	fetch(u);
}

static void write_fcr(struct vuart *u, uint8_t v)
{
	if ((v ^ u->fcr) & FCR_ENABLE || v & FCR_CLEAR_RX)
		u->count = u->first = 0;
	u->fcr = v & FCR_ENABLE ? v & FCR_KEPT : 0;
	fetch(u);
}

static void write_ier(struct vuart *u, uint8_t v)
{
	if (v & ~u->ier & IER_THRE)
		u->thre_due = true;
	u->ier = v & IER_BITS;
}

static void write_register(struct vuart *u, unsigned reg, uint8_t v)
{
	bool divisor = u->lcr & LCR_DLAB;

	switch (reg) {
	case DATA:
		if (divisor)
			u->divisor = (u->divisor & 0xff00) | v;
		else
			transmit(u, v);
		break;
	case IER:
		if (divisor)
			u->divisor = (uint16_t)(v << 8 | (u->divisor & 0xff));
		else
			write_ier(u, v);
		break;
	case IIR_FCR:
		write_fcr(u, v);
		break;
	case LCR:
		u->lcr = v;
		break;
	case MCR:
		write_mcr(u, v);
		break;
	case SCRATCH:
		u->scratch = v;
		break;
	}
	update(u);
}

static uint8_t read_iir(struct vuart *u)
{
	uint8_t v = cause(u);

	if (v == IIR_THRE)
		u->thre_due = false;
	return v | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_register(struct vuart *u, unsigned reg)
{
	bool divisor = u->lcr & LCR_DLAB;
	uint8_t v;

	switch (reg) {
	case DATA:
		return divisor ? (uint8_t)u->divisor : take(u);
	case IER:
		return divisor ? u->divisor >> 8 : u->ier;
	case IIR_FCR:
		return read_iir(u);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		v = LSR_IDLE | u->errors | (u->count ? LSR_READY : 0);
		u->errors = 0;
		return v;
	case MSR:
		v = u->msr;
		u->msr &= 0xf0;
		return v;
	default:
		return u->scratch;
	}
}

/* Wide accesses touch each register in turn, as the bus of a PC splits them. */
static uint64_t vuart_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vuart *u = vuart_of(d);
	uint64_t flags = host_lock(d), v = 0;

	(void)region;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)read_register(u, (unsigned)(offset + i) & 7) << 8 * i;
	update(u);
	host_unlock(d, flags);
	return v;
}

static void vuart_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vuart *u = vuart_of(d);
	uint64_t flags = host_lock(d);

	(void)region;
	for (unsigned i = 0; i < size; i++)
		write_register(u, (unsigned)(offset + i) & 7, (uint8_t)(value >> 8 * i));
	host_unlock(d, flags);
}

static void vuart_reset(struct vdev *d)
{
	struct vuart *u = vuart_of(d);
	uint64_t flags = host_lock(d);

	u->first = u->count = 0;
	u->ier = u->fcr = u->lcr = u->mcr = u->scratch = u->errors = 0;
	u->msr = MSR_CONNECTED;
	u->divisor = 12;	/* 9600 baud */
	u->thre_due = u->line = false;
	host_line_set(d, VUART_IRQ, false);
	host_unlock(d, flags);
}

static void vuart_save(struct vdev *d, struct record_writer *w)
{
	struct vuart *u = vuart_of(d);
	uint64_t flags = host_lock(d);
	const uint8_t bytes[] = { u->ier, u->fcr, u->lcr, u->mcr, u->scratch, u->errors, u->msr,
		u->count };

	record_put(w, bytes, sizeof(bytes));
	for (unsigned i = 0; i < u->count; i++)
		record_put_u8(w, u->fifo[(u->first + i) % FIFO_SIZE]);
	record_put_u16(w, u->divisor);
	record_put_bool(w, u->thre_due);
	host_unlock(d, flags);
}

static void commit(struct vuart *u, const struct vuart *n)
{
	memcpy(u->fifo, n->fifo, sizeof(u->fifo));
	u->first = 0;
	u->count = n->count;
	u->ier = n->ier;
	u->fcr = n->fcr;
	u->lcr = n->lcr;
	u->mcr = n->mcr;
	u->scratch = n->scratch;
	u->errors = n->errors;
	u->msr = n->msr;
	u->divisor = n->divisor;
	u->thre_due = n->thre_due;
}

static int vuart_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vuart *u = vuart_of(d), n = { 0 };
	uint64_t flags;

	n.ier = (uint8_t)record_get_below(r, 1, IER_BITS);
	n.fcr = record_get_u8(r);
	n.lcr = record_get_u8(r);
	n.mcr = (uint8_t)record_get_below(r, 1, MCR_BITS);
	n.scratch = record_get_u8(r);
	n.errors = record_get_u8(r);
	n.msr = record_get_u8(r);
	n.count = (uint8_t)record_get_below(r, 1, n.fcr & FCR_ENABLE ? FIFO_SIZE : 1);
	record_get(r, n.fifo, n.count);
	n.divisor = record_get_u16(r);
	n.thre_due = record_get_bool(r);
	if (version != d->ops->version || record_finish(r) || n.errors & ~LSR_OVERRUN ||
	    n.fcr != (n.fcr & FCR_ENABLE ? n.fcr & FCR_KEPT : 0))
		return -EINVAL;
	flags = host_lock(d);
	commit(u, &n);
	u->line = false;
	host_line_set(d, VUART_IRQ, false);
	update(u);
	host_unlock(d, flags);
	return 0;
}

static void vuart_destroy(struct vdev *d)
{
	host_free(vuart_of(d));
}

static const struct vdev_ops vuart_ops = {
	.name = "vuart", .version = 1, .read = vuart_read, .write = vuart_write,
	.reset = vuart_reset,
	.save = vuart_save, .load = vuart_load, .destroy = vuart_destroy,
	.media_input = vuart_media_input,
};

int vuart_create(struct vdev **out)
{
	struct vuart *u = host_alloc(sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->dev.ops = &vuart_ops;
	*out = &u->dev;
	return 0;
}
