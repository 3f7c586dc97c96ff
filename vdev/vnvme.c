/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vnvme.h and vnvme_parts.h: the controller's registers, its pin, and its life. A controller
 * that is disabled ends when nobody serves one of its queues any more; its guest's write waits for
 * that, so that the status says so at once.
 */
#include "vdev/vnvme_parts.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_msi.h"
#include "vdev/vpci_regs.h"

enum {
	REG_CAP = 0x00, REG_VS = 0x08, REG_INTMS = 0x0c, REG_INTMC = 0x10, REG_CC = 0x14,
	REG_CSTS = 0x1c, REG_AQA = 0x24, REG_ASQ = 0x28, REG_ACQ = 0x30, REG_END = 0x38,
};

/* NVM commands; 7.5 s to be ready or not; queues are contiguous. */
#define CAPABILITIES	(1ul << 37 | 15ul << 24 | 1ul << 16 | (NVME_ENTRIES_MAX - 1))
#define VERSION		0x00010400u
#define CC_SETUP	0x3ff0u		/* command set, pages' size, arbitration: all 0 */
#define CC_SHUTDOWN	0xc000u
#define AQA_BITS	0x0fff0fffu
#define BASE_BITS	(~0ul << 12)
#define PIN_LINE	0u
#define CLASS		0x010802u
#define REVISION	2u

struct vpci_function *vnvme_function(struct vdev *d)
{
	return &vnvme_of(d)->function;
}

/* ---- the pin ---- */

/* Under the lock: is there anything that the driver has not seen? */
static bool pin_wanted(const struct vnvme *n)
{
	for (unsigned i = 0; i < n->queues; i++) {
		const struct nvme_cq *c = &n->cq[i];

		if (c->size && c->interrupts && READ_ONCE(c->tail) != READ_ONCE(c->head) &&
		    !(c->vector < 32 && n->r.masked >> c->vector & 1))
			return true;
	}
	return false;
}

void vnvme_pin(struct vnvme *n)
{
	uint64_t flags = host_lock(&n->dev);

	vpci_function_pin_set(&n->function, pin_wanted(n));
	host_unlock(&n->dev, flags);
}

/* ---- beginning and end ---- */

/* Lock held. */
static void none_live(struct vnvme *n)
{
	for (unsigned i = 0; i < n->queues; i++)
		__atomic_store_n(&n->cq[i].live, false, __ATOMIC_SEQ_CST);
}

void vnvme_fatal(struct vnvme *n, const char *why)
{
	uint64_t flags = host_lock(&n->dev);

	n->r.csts |= CSTS_FATAL;
	none_live(n);
	host_unlock(&n->dev, flags);
	host_log(&n->dev, "%s; the driver has to reset the controller", why);
}

static unsigned admin_size(uint32_t aqa, unsigned shift)
{
	return (aqa >> shift & 0xfff) + 1;
}

static bool may_start(const struct nvme_registers *r)
{
	return !(r->cc & CC_SETUP) && admin_size(r->aqa, 0) > 1 && admin_size(r->aqa, 16) > 1;
}

/* Lock held: nobody serves a queue. */
static void start(struct vnvme *n)
{
	struct nvme_cq *c = &n->cq[0];
	struct nvme_sq *s = &n->sq[0];

	n->r.csts = may_start(&n->r) ? CSTS_READY : CSTS_FATAL;
	if (n->r.csts & CSTS_FATAL)
		return;
	s->base = n->r.asq;
	s->head = s->tail = c->head = c->tail = 0;
	c->base = n->r.acq;
	c->phase = c->interrupts = true;
	c->queues = 1;
	s->size = (uint16_t)admin_size(n->r.aqa, 0);
	c->size = (uint16_t)admin_size(n->r.aqa, 16);
	__atomic_store_n(&c->live, true, __ATOMIC_SEQ_CST);
}

static void queue_clear(struct nvme_cq *c)
{
	c->base = 0;
	c->size = c->head = c->tail = c->vector = 0;
	c->interrupts = c->phase = c->posted = c->unheard = c->waits = c->stalled = false;
	c->pending = false;
	c->queues = 0;
}

/* Lock held, likewise: as a reset of the controller leaves it. */
static void clear(struct vnvme *n)
{
	for (unsigned i = 0; i < n->queues; i++)
		queue_clear(&n->cq[i]);
	memset(n->sq, 0, sizeof(n->sq));
	memset(n->kept, 0, sizeof(n->kept));
	memset(&n->s, 0, sizeof(n->s));
	n->kept_count = 0;
	n->kept_wanted = false;
	n->r.csts = n->r.masked = 0;
	vnvme_info_reset(n);
}

static void power_up(struct vnvme *n)
{
	n->r = (struct nvme_registers){ 0 };
	n->error_count = 0;
	memset(n->error, 0, sizeof(n->error));
	for (unsigned i = 0; i < n->queues; i++)
		memset(n->cq[i].stat, 0, sizeof(n->cq[i].stat));
}

static bool is_drained(struct vdev *d)
{
	struct vnvme *n = vnvme_of(d);

	for (unsigned i = 0; i < n->queues; i++)
		if (!vnvme_queue_is_drained(n, &n->cq[i]))
			return false;
	return true;
}

/* Who is the last of several that wait has it for himself. */
static void stop(struct vnvme *n, bool all)
{
	uint64_t flags = host_lock(&n->dev);

	n->stopping++;
	n->to_power_up |= all;
	none_live(n);
	host_unlock(&n->dev, flags);
	host_wait_until(&n->dev, is_drained);
	flags = host_lock(&n->dev);
	if (!--n->stopping) {
		clear(n);
		if (n->to_power_up)
			power_up(n);
		n->to_power_up = false;
		if (n->r.cc & CC_ENABLE)
			start(n);
	}
	host_unlock(&n->dev, flags);
}

/* ---- registers ---- */

/* What the driver was promised is kept, by then. */
static void shut_down(struct vnvme *n)
{
	struct host_media_request r = { .op = HOST_MEDIA_FLUSH };
	uint64_t flags;

	if (host_media_submit(&n->dev, 0, &r))
		host_log(&n->dev, "its disk could not be flushed");
	flags = host_lock(&n->dev);
	if (n->r.cc & CC_SHUTDOWN)
		n->r.csts |= CSTS_SHUT_DOWN;
	host_unlock(&n->dev, flags);
}

static void cc_write(struct vnvme *n, uint32_t v)
{
	uint64_t flags = host_lock(&n->dev);
	uint32_t old = n->r.cc;
	bool ends = old & ~v & CC_ENABLE, begins = v & ~old & CC_ENABLE;

	n->r.cc = v & CC_WRITABLE;
	if (!(v & CC_SHUTDOWN))
		n->r.csts &= ~CSTS_SHUTDOWN_BITS;
	if (begins && !n->stopping)
		start(n);
	host_unlock(&n->dev, flags);
	if (v & CC_SHUTDOWN && !(old & CC_SHUTDOWN))
		shut_down(n);
	if (ends) {
		stop(n, false);
		vnvme_pin(n);
	}
}

/* The lower or the upper half, or both. */
static void set_half(uint64_t *to, unsigned at, uint32_t v)
{
	*to = at % 8 ? (*to & 0xffffffff) | (uint64_t)v << 32 : (*to & ~0xfffffffful) | v;
	*to &= BASE_BITS;
}

static void setup_write(struct vnvme *n, unsigned at, uint32_t v)
{
	uint64_t flags = host_lock(&n->dev);

	if (n->r.cc & CC_ENABLE)
		;
	else if (at == REG_AQA)
		n->r.aqa = v & AQA_BITS;
	else
		set_half(at < REG_ACQ ? &n->r.asq : &n->r.acq, at, v);
	host_unlock(&n->dev, flags);
}

static void mask_write(struct vnvme *n, uint32_t set, uint32_t clear_bits)
{
	uint64_t flags = host_lock(&n->dev);

	n->r.masked = (n->r.masked | set) & ~clear_bits;
	host_unlock(&n->dev, flags);
	if (!vpci_msi_enabled(&n->function))
		vnvme_pin(n);
}

static void register_write(struct vnvme *n, unsigned at, uint32_t v)
{
	switch (at) {
	case REG_INTMS:
		mask_write(n, v, 0);
		break;
	case REG_INTMC:
		mask_write(n, 0, v);
		break;
	case REG_CC:
		cc_write(n, v);
		break;
	case REG_AQA ... REG_END - 4:
		setup_write(n, at, v);
		break;
	default:
		break;
	}
}

static uint32_t register_get(const struct vnvme *n, unsigned at)
{
	switch (at) {
	case REG_CAP:
		return (uint32_t)CAPABILITIES;
	case REG_CAP + 4:
		return (uint32_t)(CAPABILITIES >> 32);
	case REG_VS:
		return VERSION;
	case REG_INTMS:
	case REG_INTMC:
		return n->r.masked;
	case REG_CC:
		return n->r.cc;
	case REG_CSTS:
		return n->r.csts;
	case REG_AQA:
		return n->r.aqa;
	case REG_ASQ:
	case REG_ASQ + 4:
		return (uint32_t)(n->r.asq >> at % 8 * 8);
	case REG_ACQ:
	case REG_ACQ + 4:
		return (uint32_t)(n->r.acq >> at % 8 * 8);
	default:
		return 0;
	}
}

static uint64_t registers_read(struct vnvme *n, unsigned at, unsigned size)
{
	unsigned from = at & ~3u;
	uint64_t flags = host_lock(&n->dev), v = register_get(n, from);

	if (at % 4 + size > 4)
		v |= (uint64_t)register_get(n, from + 4) << 32;
	host_unlock(&n->dev, flags);
	return v >> at % 4 * 8;
}

static uint64_t vnvme_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vnvme *n = vnvme_of(d);

	(void)region;
	if (offset >= VNVME_MESSAGES)
		return vpci_msix_read(&n->function, offset, size);
	return offset < REG_END ? registers_read(n, (unsigned)offset, size) : 0;
}

/* Registers are written whole: 4 bytes, or two of them; doorbells by 4 alone. */
static void vnvme_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct vnvme *n = vnvme_of(d);

	(void)region;
	if (likely(offset - VNVME_DOORBELLS < VNVME_MESSAGES - VNVME_DOORBELLS)) {
		if (size == 4 && !(offset % 4) && READ_ONCE(n->r.csts) & CSTS_READY)
			vnvme_queue_bell(n, (unsigned)(offset - VNVME_DOORBELLS) / 4,
					 (uint32_t)value);
		return;
	}
	if (offset >= VNVME_MESSAGES) {
		vpci_msix_write(&n->function, offset, size, value);
		return;
	}
	if (size < 4 || offset % 4)
		return;
	register_write(n, (unsigned)offset, (uint32_t)value);
	if (size == 8)
		register_write(n, (unsigned)offset + 4, (uint32_t)(value >> 32));
}

/* It may be a bus master now, which queues have waited for. */
static void config_written(struct vpci_function *f, unsigned offset, unsigned size)
{
	if (range_within(PCI_COMMAND, 1, offset, size) && vpci_function_is_master(f))
		vnvme_queue_kick_all(vnvme_of(f->owner));
}

static void vnvme_timer(struct vdev *d, unsigned timer)
{
	(void)timer;
	host_work_queue(d);
}

/* ---- life ---- */

static void vnvme_reset(struct vdev *d)
{
	struct vnvme *n = vnvme_of(d);
	struct host_media_facts f;

	stop(n, true);
	host_timer_cancel(d, NVME_RETRY_TIMER);
	host_media_facts(d, 0, &f);
	n->blocks = f.size / NVME_BLOCK;
	n->read_only = f.read_only;
	memcpy(n->name, f.name, sizeof(n->name));
	vpci_function_reset(&n->function);
}

static void vnvme_destroy(struct vdev *d)
{
	struct vnvme *n = vnvme_of(d);

	vpci_function_fini(&n->function);
	host_free(n->cq);
	host_free(n);
}

static const struct vdev_ops vnvme_ops = {
	.name = "vnvme", .version = 1, .read = vnvme_read, .write = vnvme_write,
	.reset = vnvme_reset, .save = vnvme_state_save, .load = vnvme_state_load,
	.destroy = vnvme_destroy, .timer = vnvme_timer, .work = vnvme_queue_work,
	.media_done = vnvme_io_done,
};

static int make_function(struct vnvme *n)
{
	struct vpci_function *f = &n->function;

	vpci_function_init(f, &n->dev, 0x1b36, 0x0010, CLASS << 8 | REVISION, 0x1af4, 0x1100);
	f->written = config_written;
	vpci_function_bar(f, 0, (struct vpci_bar){ .size = VNVME_SIZE, .space = HOST_MMIO,
		.wide = true });
	vpci_function_pin(f, 1, PIN_LINE);
	return vpci_msix_init(f, n->queues, 0, VNVME_MESSAGES, VNVME_PENDING) ?:
	       vpci_express_init(f, VPCI_ENDPOINT) ?: vpci_express_power_init(f);
}

int vnvme_create(const struct vnvme_config *c, struct vdev **out)
{
	struct vnvme *n = host_alloc(sizeof(*n));
	int err = -ENOMEM;

	if (!n)
		return err;
	n->dev.ops = &vnvme_ops;
	/* OVMF's driver makes two, and does without the disk where it cannot. */
	n->queues = 1 + MIN(MAX(c->queues, 2u), VNVME_QUEUES_MAX);
	memcpy(n->uuid, c->uuid, sizeof(n->uuid));
	n->cq = host_alloc(n->queues * sizeof(n->cq[0]));
	if (n->cq)
		err = make_function(n);
	if (err) {
		vnvme_destroy(&n->dev);
		return err;
	}
	*out = &n->dev;
	return 0;
}
