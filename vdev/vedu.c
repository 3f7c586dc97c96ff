/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vedu.h. A factorial modulo 2^32 is 0 from 34 on, so that none takes long: it is done when it
 * was asked for. A transfer is done by `work`, without the lock, through `staging`, which belongs
 * to the work; `round` tells it that a reset came meanwhile, or another state. What a transfer has
 * been told cannot change while it runs.
 */
#include "vdev/vedu.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_msi.h"
#include "vdev/vpci_regs.h"

#define IDENTIFICATION	0x010000edu	/* of version 1.0; the u is the suffix */

enum {
	REG_ID = 0x00, REG_LIVE = 0x04, REG_FACTORIAL = 0x08, REG_STATUS = 0x20,
	REG_INTERRUPT = 0x24, REG_RAISE = 0x60, REG_ACKNOWLEDGE = 0x64, REG_WIDE = 0x80,
	REG_SOURCE = 0x80, REG_DESTINATION = 0x88, REG_COUNT = 0x90, REG_COMMAND = 0x98,
};

#define STATUS_TELL	0x80u		/* an interrupt when the factorial is there */
#define INTERRUPT_FACTORIAL 0x001u
#define INTERRUPT_DMA	0x100u
#define COMMAND_START	1u
#define COMMAND_TO_RAM	2u
#define COMMAND_TELL	4u
#define COMMAND_BITS	7u
#define FACTORIAL_MAX	33		/* the last one that is not 0 */
#define PIN_LINE	0
#define RETRY_TIMER	0
#define RETRY_NS	10000000ul	/* there was no memory */

struct vedu_dma {
	uint64_t source, destination, count, command;
};

struct vedu {
	struct vdev dev;
	struct vpci_function function;
	uint32_t live, factorial, status, interrupt;
	struct vedu_dma dma;			/* under way while its command says START */
	uint32_t round;				/* of resets and loads */
	uint8_t buffer[VEDU_BUFFER_SIZE];
	uint8_t staging[VEDU_BUFFER_SIZE];	/* the work's */
};

static struct vedu *vedu_of(struct vdev *d)
{
	return container_of(d, struct vedu, dev);
}

struct vpci_function *vedu_function(struct vdev *d)
{
	return &vedu_of(d)->function;
}

/* --- interrupts; lock held */

static void raise(struct vedu *e, uint32_t why)
{
	e->interrupt |= why;
	if (e->interrupt && !vpci_msi_send(&e->function, 0))
		vpci_function_pin_set(&e->function, true);
}

static void acknowledge(struct vedu *e, uint32_t why)
{
	e->interrupt &= ~why;
	if (!e->interrupt)
		vpci_function_pin_set(&e->function, false);
}

/* --- DMA */

/* Where in the buffer; -1: not all of it is there. */
static long buffer_offset(uint64_t address, uint64_t count)
{
	return range_within(address, count, VEDU_BUFFER, VEDU_BUFFER_SIZE) ?
		(long)(address - VEDU_BUFFER) : -1;
}

/*
 * Its bytes, through `staging`; a transfer that cannot be moves none. -EINTR, -ENOMEM: not now, and
 * once more from its beginning.
 */
static int move(struct vedu *e, const struct vedu_dma *t, uint32_t round)
{
	bool to_ram = t->command & COMMAND_TO_RAM;
	long at = buffer_offset(to_ram ? t->source : t->destination, t->count);
	gpa_t ram = GPA((to_ram ? t->destination : t->source) & VEDU_DMA_MASK);
	uint64_t flags;
	int err;

	if (at < 0)
		return 0;
	if (!to_ram) {
		err = vpci_function_dma_read(&e->function, ram, e->staging, t->count);
		if (err)
			return err;
	}
	flags = host_lock(&e->dev);
	if (to_ram)
		memcpy(e->staging, e->buffer + at, t->count);
	else if (e->round == round)
		memcpy(e->buffer + at, e->staging, t->count);
	host_unlock(&e->dev, flags);
	return to_ram ? vpci_function_dma_write(&e->function, ram, e->staging, t->count) : 0;
}

/* Where memory is not there or must not be used the transfer ends, too. */
static void vedu_work(struct vdev *d)
{
	struct vedu *e = vedu_of(d);
	uint64_t flags = host_lock(d);
	struct vedu_dma t = e->dma;
	uint32_t round = e->round;
	int err;

	host_unlock(d, flags);
	if (!(t.command & COMMAND_START))
		return;
	err = move(e, &t, round);
	flags = host_lock(d);
	if (e->round == round && (err == -EINTR || err == -ENOMEM)) {
		host_timer_set(d, RETRY_TIMER, host_clock_ns(d) + RETRY_NS);
	} else if (e->round == round) {
		e->dma.command &= ~(uint64_t)COMMAND_START;
		if (t.command & COMMAND_TELL)
			raise(e, INTERRUPT_DMA);
	}
	host_unlock(d, flags);
}

static void vedu_timer(struct vdev *d, unsigned timer)
{
	(void)timer;
	host_work_queue(d);
}

/* --- registers; lock held */

static uint32_t factorial_of(uint32_t n)
{
	uint32_t product = 1;

	if (n > FACTORIAL_MAX)
		return 0;
	for (; n > 1; n--)
		product *= n;
	return product;
}

static uint64_t *dma_register(struct vedu *e, uint64_t offset)
{
	switch (offset) {
	case REG_SOURCE:
		return &e->dma.source;
	case REG_DESTINATION:
		return &e->dma.destination;
	case REG_COUNT:
		return &e->dma.count;
	case REG_COMMAND:
		return &e->dma.command;
	default:
		return NULL;
	}
}

static bool has_size(uint64_t offset, unsigned size)
{
	return size == 4 || (size == 8 && offset >= REG_WIDE);
}

static uint64_t read_register(struct vedu *e, uint64_t offset)
{
	const uint64_t *wide = dma_register(e, offset);

	switch (offset) {
	case REG_ID:
		return IDENTIFICATION;
	case REG_LIVE:
		return e->live;
	case REG_FACTORIAL:
		return e->factorial;
	case REG_STATUS:
		return e->status;
	case REG_INTERRUPT:
		return e->interrupt;
	default:
		return wide ? *wide : ~0ul;
	}
}

static uint64_t vedu_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t flags, v;

	(void)region;
	if (!has_size(offset, size))
		return ~0ul;
	flags = host_lock(d);
	v = read_register(vedu_of(d), offset);
	host_unlock(d, flags);
	return v;
}

/* True: there is a transfer to be done. */
static bool write_dma(struct vedu *e, uint64_t offset, uint64_t value)
{
	uint64_t *wide = dma_register(e, offset);

	if (!wide || e->dma.command & COMMAND_START)
		return false;
	if (offset == REG_COMMAND && !(value & COMMAND_START))
		return false;
	*wide = offset == REG_COMMAND ? value & COMMAND_BITS : value;
	return offset == REG_COMMAND;
}

/* True: there is a transfer to be done. */
static bool write_register(struct vedu *e, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case REG_LIVE:
		e->live = ~(uint32_t)value;
		return false;
	case REG_FACTORIAL:
		e->factorial = factorial_of((uint32_t)value);
		if (e->status & STATUS_TELL)
			raise(e, INTERRUPT_FACTORIAL);
		return false;
	case REG_STATUS:
		e->status = value & STATUS_TELL;
		return false;
	case REG_RAISE:
		raise(e, (uint32_t)value);
		return false;
	case REG_ACKNOWLEDGE:
		acknowledge(e, (uint32_t)value);
		return false;
	default:
		return write_dma(e, offset, value);
	}
}

static void vedu_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	uint64_t flags;
	bool begins;

	(void)region;
	if (!has_size(offset, size))
		return;
	flags = host_lock(d);
	begins = write_register(vedu_of(d), offset, value & bytes_mask(size));
	host_unlock(d, flags);
	if (begins)
		host_work_queue(d);
}

/* --- life */

/* A piece of a transfer to RAM that is being written at this moment may still arrive. */
static void vedu_reset(struct vdev *d)
{
	struct vedu *e = vedu_of(d);
	uint64_t flags = host_lock(d);

	e->round++;
	e->live = e->factorial = e->status = e->interrupt = 0;
	e->dma = (struct vedu_dma){ 0 };
	memset(e->buffer, 0, sizeof(e->buffer));
	host_timer_cancel(d, RETRY_TIMER);
	host_unlock(d, flags);
	vpci_function_reset(&e->function);
}

static void vedu_save(struct vdev *d, struct record_writer *w)
{
	struct vedu *e = vedu_of(d);

	record_put_u32(w, e->live);
	record_put_u32(w, e->factorial);
	record_put_u32(w, e->status);
	record_put_u32(w, e->interrupt);
	record_put_u64(w, e->dma.source);
	record_put_u64(w, e->dma.destination);
	record_put_u64(w, e->dma.count);
	record_put_u64(w, e->dma.command);
	record_put(w, e->buffer, sizeof(e->buffer));
	vpci_function_save(&e->function, w);
}

static void read_dma(struct record_reader *r, struct vedu_dma *dma)
{
	dma->source = record_get_u64(r);
	dma->destination = record_get_u64(r);
	dma->count = record_get_u64(r);
	dma->command = record_get_below(r, 8, COMMAND_BITS);
}

/* A pin that is up has a reason. */
static bool saved_valid(uint32_t status, uint32_t interrupt, const struct vpci_saved *saved)
{
	return !(status & ~STATUS_TELL) &&
		(interrupt || !(saved->config[PCI_STATUS] & STATUS_INTX));
}

static int vedu_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vedu *e = vedu_of(d);
	uint32_t live = record_get_u32(r), factorial = record_get_u32(r);
	uint32_t status = record_get_u32(r), interrupt = record_get_u32(r);
	const uint8_t *buffer;
	struct vpci_saved saved;
	struct vedu_dma dma;
	uint64_t flags;

	read_dma(r, &dma);
	buffer = record_take(r, sizeof(e->buffer));
	vpci_function_read(&e->function, r, &saved);
	if (version != d->ops->version || record_finish(r) ||
	    !saved_valid(status, interrupt, &saved))
		return -EINVAL;
	flags = host_lock(d);
	e->round++;
	e->live = live;
	e->factorial = factorial;
	e->status = status;
	e->interrupt = interrupt;
	e->dma = dma;
	memcpy(e->buffer, buffer, sizeof(e->buffer));
	host_timer_cancel(d, RETRY_TIMER);
	host_unlock(d, flags);
	vpci_function_commit(&e->function, &saved);
	if (dma.command & COMMAND_START)
		host_work_queue(d);
	return 0;
}

static void vedu_destroy(struct vdev *d)
{
	vpci_function_fini(vedu_function(d));
	host_free(vedu_of(d));
}

static const struct vdev_ops vedu_ops = {
	.name = "vedu", .version = 1, .read = vedu_read, .write = vedu_write,
	.reset = vedu_reset, .save = vedu_save, .load = vedu_load, .destroy = vedu_destroy,
	.timer = vedu_timer, .work = vedu_work,
};

int vedu_create(struct vdev **out)
{
	struct vedu *e = host_alloc(sizeof(*e));
	struct vpci_function *f;
	int err;

	if (!e)
		return -ENOMEM;
	e->dev.ops = &vedu_ops;
	f = &e->function;
	vpci_function_init(f, &e->dev, 0x1234, 0x11e8, 0x00ff0010, 0x1af4, 0x1100);
	vpci_function_bar(f, 0, (struct vpci_bar){ .size = VEDU_SIZE, .space = HOST_MMIO,
		.region = VEDU_REGISTERS });
	vpci_function_pin(f, 1, PIN_LINE);
	err = vpci_msi_init(f, 1);
	err = err ?: vpci_express_init(f, VPCI_ENDPOINT);
	if (err) {
		host_free(e);
		return err;
	}
	*out = &e->dev;
	return 0;
}
