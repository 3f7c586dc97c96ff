/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See virtio_pci.h. The common registers are rows of a table, the older interface's ports rows of
 * another: some are fields of the device or of the selected queue, others do something. The window
 * in configuration space leads to the same code, for firmware that cannot reach the BAR.
 */
#include "vdev/virtio/virtio_pci.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/virtio/virtio_balloon.h"
#include "vdev/virtio/virtio_blk.h"
#include "vdev/virtio/virtio_console.h"
#include "vdev/virtio/virtio_net.h"
#include "vdev/virtio/virtio_rng.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_msi.h"
#include "vdev/vpci_regs.h"

#define VENDOR		0x1af4u
#define REVISION	0u		/* of a device that has both interfaces */
#define CLASS_SCSI	0x010000u
#define CLASS_ETHERNET	0x020000u
#define CLASS_SERIAL	0x078000u
#define CLASS_OTHER	0x00ff00u

#define BAR_PORTS	0u
#define BAR_MESSAGES	1u
#define BAR_REGISTERS	4u
#define MESSAGES_SIZE	4096u
#define MESSAGES_PENDING 2048u
#define PORTS_SIZE	128u
#define PIN_LINE	0u

#define ISR_QUEUE	1u
#define ISR_CONFIG	2u

#define CAP_VENDOR	0x09u
#define CAP_SIZE	16u
#define CAP_LONG	20u		/* with a word behind it */

/* Offsets in such a capability. */
enum {
	VCAP_LENGTH = 2, VCAP_TYPE = 3, VCAP_BAR = 4, VCAP_OFFSET = 8, VCAP_SIZE = 12,
	VCAP_WORD = 16,
};

enum { TYPE_COMMON = 1, TYPE_NOTIFY, TYPE_ISR, TYPE_DEVICE, TYPE_WINDOW };

struct virtio_pci {
	struct virtio *v;
	struct vdev_ops ops;
	struct vpci_function function;
	unsigned window;		/* the capability's place */
	uint8_t isr;
};

static struct virtio *virtio_of(struct vdev *d)
{
	return container_of(d, struct virtio, dev);
}

static struct virtio_pci *pci_of(const struct virtio *v)
{
	return v->bus;
}

struct vpci_function *virtio_pci_function(struct vdev *d)
{
	return &pci_of(virtio_of(d))->function;
}

/* ---- interrupts ---- */

/* Status and pin change together: else a read between the two would lose one. */
static void pin_raise(struct virtio_pci *p, uint8_t cause)
{
	uint64_t flags = host_lock(&p->v->dev);

	p->isr |= cause;
	vpci_function_pin_set(&p->function, true);
	host_unlock(&p->v->dev, flags);
}

static void isr_note(struct virtio_pci *p, uint8_t cause)
{
	uint64_t flags = host_lock(&p->v->dev);

	p->isr |= cause;
	host_unlock(&p->v->dev, flags);
}

static uint8_t isr_read(struct virtio_pci *p)
{
	uint64_t flags = host_lock(&p->v->dev);
	uint8_t isr = p->isr;

	p->isr = 0;
	vpci_function_pin_set(&p->function, false);
	host_unlock(&p->v->dev, flags);
	return isr;
}

static void pci_interrupt(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_pci *p = pci_of(v);
	uint16_t vector = q ? READ_ONCE(q->s.vector) : READ_ONCE(v->config_vector);

	if (unlikely(!vpci_msi_enabled(&p->function))) {
		pin_raise(p, q ? ISR_QUEUE : ISR_CONFIG);
		return;
	}
	if (unlikely(!q))
		isr_note(p, ISR_CONFIG);
	if (vector != VIRTIO_NO_VECTOR)
		vpci_msi_send(&p->function, vector);
}

static bool pci_may_dma(const struct virtio *v)
{
	return vpci_function_is_master(&pci_of(v)->function);
}

static const struct virtio_transport transport = {
	.interrupt = pci_interrupt, .may_dma = pci_may_dma,
};

/* ---- common registers ---- */

enum kind { OF_DEVICE, OF_QUEUE, CALLS };

struct row {
	uint8_t at, size;
	uint8_t kind;			/* enum kind */
	uint16_t field;			/* its offset in the device or the queue's state */
	uint64_t (*get)(struct virtio *v);
	void (*set)(struct virtio *v, uint64_t value);	/* NULL: it is read only */
};

static uint64_t get_device_feature(struct virtio *v)
{
	return virtio_features_read(v, false);
}

static uint64_t get_driver_feature(struct virtio *v)
{
	return virtio_features_read(v, true);
}

static void set_driver_feature(struct virtio *v, uint64_t value)
{
	virtio_features_write(v, (uint32_t)value);
}

static uint64_t get_queue_count(struct virtio *v)
{
	return v->queue_count;
}

static uint64_t get_zero(struct virtio *v)
{
	(void)v;
	return 0;
}

static uint64_t get_status(struct virtio *v)
{
	return READ_ONCE(v->status);
}

static void set_status(struct virtio *v, uint64_t value)
{
	struct virtio_pci *p = pci_of(v);

	virtio_status_write(v, (uint8_t)value);
	if (!value)
		isr_read(p);
}

/* One that there is not reads back as none. */
static uint16_t vector_of(const struct virtio *v, uint64_t value)
{
	return value <= v->queue_count ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static uint64_t get_config_vector(struct virtio *v)
{
	return v->config_vector;
}

static void set_config_vector(struct virtio *v, uint64_t value)
{
	WRITE_ONCE(v->config_vector, vector_of(v, value));
}

static uint64_t get_queue_vector(struct virtio *v)
{
	const struct virtio_queue *q = virtio_selected(v);

	return q ? q->s.vector : VIRTIO_NO_VECTOR;
}

static void set_queue_vector(struct virtio *v, uint64_t value)
{
	struct virtio_queue *q = virtio_selected(v);

	if (q)
		WRITE_ONCE(q->s.vector, vector_of(v, value));
}

static uint64_t get_enable(struct virtio *v)
{
	const struct virtio_queue *q = virtio_selected(v);

	return q && q->s.enabled;
}

static void set_enable(struct virtio *v, uint64_t value)
{
	if (value == 1)
		virtio_queue_enable(v);
}

static uint64_t get_notify_off(struct virtio *v)
{
	return virtio_selected(v) ? v->queue_select : 0;
}

static uint64_t get_queue_reset(struct virtio *v)
{
	const struct virtio_queue *q = virtio_selected(v);

	return q && READ_ONCE(q->resetting);
}

static void set_queue_reset(struct virtio *v, uint64_t value)
{
	if (value == 1)
		virtio_queue_reset(v);
}

#define DEVICE_FIELD(f)	.kind = OF_DEVICE, .field = offsetof(struct virtio, f)
#define QUEUE_FIELD(f)	.kind = OF_QUEUE, .field = offsetof(struct virtio_queue_state, f)
#define CALL(g, s)	.kind = CALLS, .get = (g), .set = (s)

static const struct row rows[] = {
	{ 0x00, 4, DEVICE_FIELD(device_select) },
	{ 0x04, 4, CALL(get_device_feature, NULL) },
	{ 0x08, 4, DEVICE_FIELD(driver_select) },
	{ 0x0c, 4, CALL(get_driver_feature, set_driver_feature) },
	{ 0x10, 2, CALL(get_config_vector, set_config_vector) },
	{ 0x12, 2, CALL(get_queue_count, NULL) },
	{ 0x14, 1, CALL(get_status, set_status) },
	{ 0x15, 1, CALL(get_zero, NULL) },		/* the generation: nothing changes */
	{ 0x16, 2, DEVICE_FIELD(queue_select) },
	{ 0x18, 2, QUEUE_FIELD(size) },
	{ 0x1a, 2, CALL(get_queue_vector, set_queue_vector) },
	{ 0x1c, 2, CALL(get_enable, set_enable) },
	{ 0x1e, 2, CALL(get_notify_off, NULL) },
	{ 0x20, 8, QUEUE_FIELD(desc) },
	{ 0x28, 8, QUEUE_FIELD(driver) },
	{ 0x30, 8, QUEUE_FIELD(device) },
	{ 0x38, 2, CALL(get_zero, NULL) },		/* what to notify with: the queue's index */
	{ 0x3a, 2, CALL(get_queue_reset, set_queue_reset) },
};

#define COMMON_SIZE	0x3cu

/* ---- the older interface's ports ---- */

static uint64_t get_old_features(struct virtio *v)
{
	return (uint32_t)v->offered;
}

static uint64_t get_old_accepted(struct virtio *v)
{
	return (uint32_t)v->accepted;
}

static void set_old_features(struct virtio *v, uint64_t value)
{
	virtio_legacy_features(v, (uint32_t)value);
}

static uint64_t get_old_page(struct virtio *v)
{
	return virtio_legacy_page(v);
}

static void set_old_page(struct virtio *v, uint64_t value)
{
	virtio_legacy_queue(v, (uint32_t)value);
}

static uint64_t get_old_size(struct virtio *v)
{
	return virtio_selected(v) ? VIRTIO_QUEUE_SIZE : 0;
}

static void set_old_bell(struct virtio *v, uint64_t value)
{
	virtio_kick(v, (uint16_t)value);
}

static void set_old_status(struct virtio *v, uint64_t value)
{
	virtio_legacy_status(v, (uint8_t)value);
	if (!value)
		isr_read(pci_of(v));
}

static uint64_t get_old_isr(struct virtio *v)
{
	return isr_read(pci_of(v));
}

static const struct row old_rows[] = {
	{ 0, 4, CALL(get_old_features, NULL) },
	{ 4, 4, CALL(get_old_accepted, set_old_features) },
	{ 8, 4, CALL(get_old_page, set_old_page) },
	{ 12, 2, CALL(get_old_size, NULL) },
	{ 14, 2, DEVICE_FIELD(queue_select) },
	{ 16, 2, CALL(get_zero, set_old_bell) },
	{ 18, 1, CALL(get_status, set_old_status) },
	{ 19, 1, CALL(get_old_isr, NULL) },
	/* These only while the guest uses MSI-X; else its own configuration begins here. */
	{ 20, 2, CALL(get_config_vector, set_config_vector) },
	{ 22, 2, CALL(get_queue_vector, set_queue_vector) },
};

#define OLD_VECTORS	2u

struct table {
	const struct row *row;
	unsigned count;
};

static const struct table common = { rows, ARRAY_COUNT(rows) };

static struct table old_table(const struct virtio *v)
{
	bool messages = vpci_msi_enabled(&pci_of(v)->function);

	return (struct table){ old_rows, ARRAY_COUNT(old_rows) - (messages ? 0 : OLD_VECTORS) };
}

/* Where the last row ends. */
static unsigned table_size(struct table t)
{
	return t.row[t.count - 1].at + t.row[t.count - 1].size;
}

/* ---- accesses to either ---- */

static const struct row *row_of(struct table t, uint64_t at)
{
	for (unsigned i = 0; i < t.count; i++)
		if (at - t.row[i].at < t.row[i].size)
			return &t.row[i];
	return NULL;
}

/* Under the lock; NULL: there is no such queue. */
static uint8_t *field_of(struct virtio *v, const struct row *r)
{
	struct virtio_queue *q = virtio_selected(v);

	if (r->kind == OF_DEVICE)
		return (uint8_t *)v + r->field;
	return q ? (uint8_t *)&q->s + r->field : NULL;
}

static uint64_t row_get(struct virtio *v, const struct row *r)
{
	uint64_t flags, value = 0;
	uint8_t *field;

	if (r->kind == CALLS)
		return r->get(v);
	flags = host_lock(&v->dev);
	field = field_of(v, r);
	if (field)
		memcpy(&value, field, r->size);
	host_unlock(&v->dev, flags);
	return value;
}

/* A queue's do not change while it is enabled. */
static void row_set(struct virtio *v, const struct row *r, unsigned skip, unsigned size,
		    uint64_t value)
{
	uint64_t flags;
	uint8_t *field;

	if (r->kind == CALLS) {
		if (r->set)
			r->set(v, value);
		return;
	}
	flags = host_lock(&v->dev);
	field = field_of(v, r);
	if (field && (r->kind == OF_DEVICE || !virtio_selected(v)->s.enabled))
		memcpy(field + skip, &value, size);
	host_unlock(&v->dev, flags);
}

static uint64_t table_read(struct virtio *v, struct table t, uint64_t at, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size;) {
		const struct row *r = row_of(t, at + i);
		unsigned skip = r ? (unsigned)(at + i - r->at) : 0;
		unsigned n = r ? MIN(r->size - skip, size - i) : 1;

		if (r)
			value |= (row_get(v, r) >> 8 * skip & bytes_mask(n)) << 8 * i;
		i += n;
	}
	return value;
}

/* Whole registers, and halves of those of eight bytes. */
static void table_write(struct virtio *v, struct table t, uint64_t at, unsigned size,
			uint64_t value)
{
	const struct row *r = row_of(t, at);
	unsigned skip = r ? (unsigned)(at - r->at) : 0;

	if (r && (size == r->size || (r->size == 8 && size == 4)) && !(skip % size))
		row_set(v, r, skip, size, value);
}

/* ---- the BAR ---- */

static uint64_t registers_read(struct virtio *v, uint64_t at, unsigned size)
{
	if (at < VIRTIO_PCI_ISR)
		return table_read(v, common, at, size);
	if (at < VIRTIO_PCI_DEVICE)
		return at == VIRTIO_PCI_ISR ? isr_read(pci_of(v)) : 0;
	if (at < VIRTIO_PCI_NOTIFY)
		return virtio_config_read(v, at - VIRTIO_PCI_DEVICE, size);
	return 0;
}

/* A doorbell's place says which queue it is, whatever is written. */
static void registers_write(struct virtio *v, uint64_t at, unsigned size, uint64_t value)
{
	if (likely(at >= VIRTIO_PCI_NOTIFY))
		virtio_kick(v, (unsigned)(at - VIRTIO_PCI_NOTIFY) / VIRTIO_PCI_MULTIPLIER);
	else if (at < VIRTIO_PCI_ISR)
		table_write(v, common, at, size, value);
	else if (at >= VIRTIO_PCI_DEVICE)
		virtio_config_write(v, at - VIRTIO_PCI_DEVICE, size, value);
}

static uint64_t ports_read(struct virtio *v, uint64_t at, unsigned size)
{
	struct table t = old_table(v);

	return at < table_size(t) ? table_read(v, t, at, size)
				  : virtio_config_read(v, at - table_size(t), size);
}

static void ports_write(struct virtio *v, uint64_t at, unsigned size, uint64_t value)
{
	struct table t = old_table(v);

	if (at < table_size(t))
		table_write(v, t, at, size, value);
	else
		virtio_config_write(v, at - table_size(t), size, value);
}

static uint64_t pci_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	if (region == VIRTIO_PCI_MESSAGES)
		return vpci_msix_read(virtio_pci_function(d), offset, size);
	if (region == VIRTIO_PCI_PORTS)
		return ports_read(virtio_of(d), offset, size);
	return registers_read(virtio_of(d), offset, size);
}

static void pci_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
		      uint64_t value)
{
	if (region == VIRTIO_PCI_MESSAGES)
		vpci_msix_write(virtio_pci_function(d), offset, size, value);
	else if (unlikely(region == VIRTIO_PCI_PORTS))
		ports_write(virtio_of(d), offset, size, value);
	else
		registers_write(virtio_of(d), offset, size, value);
}

/* ---- the window ---- */

struct window {
	uint32_t offset, size;		/* size 0: it leads nowhere */
};

static struct window window_get(struct virtio_pci *p)
{
	struct vpci_function *f = &p->function;
	struct window w = {
		.offset = (uint32_t)vpci_function_get(f, p->window + VCAP_OFFSET, 4),
		.size = (uint32_t)vpci_function_get(f, p->window + VCAP_SIZE, 4),
	};
	bool right = vpci_function_get(f, p->window + VCAP_BAR, 1) == BAR_REGISTERS &&
		     (w.size == 1 || w.size == 2 || w.size == 4) && w.offset % w.size == 0 &&
		     range_within(w.offset, w.size, 0, VIRTIO_PCI_SIZE);

	return right ? w : (struct window){ 0 };
}

static struct virtio_pci *from_function(struct vpci_function *f)
{
	return container_of(f, struct virtio_pci, function);
}

static bool meets_window(const struct virtio_pci *p, unsigned offset, unsigned size)
{
	unsigned at = p->window + VCAP_WORD;

	return offset < at + 4 && offset + size > at;
}

static void pci_reading(struct vpci_function *f, unsigned offset, unsigned size)
{
	struct virtio_pci *p = from_function(f);
	struct window w;

	if (!meets_window(p, offset, size))
		return;
	w = window_get(p);
	if (w.size)
		vpci_function_put(f, p->window + VCAP_WORD, 4,
				  registers_read(p->v, w.offset, w.size) & bytes_mask(w.size));
}

/* A guest that lets it become bus master may have filled queues before. */
static void pci_written(struct vpci_function *f, unsigned offset, unsigned size)
{
	struct virtio_pci *p = from_function(f);
	struct window w;

	if (offset <= PCI_COMMAND && offset + size > PCI_COMMAND && vpci_function_is_master(f))
		virtio_kick(p->v, VIRTIO_ALL_QUEUES);
	if (!meets_window(p, offset, size))
		return;
	w = window_get(p);
	if (w.size)
		registers_write(p->v, w.offset, w.size,
				vpci_function_get(f, p->window + VCAP_WORD, 4) &
					bytes_mask(w.size));
}

/* ---- life ---- */

static void pci_reset(struct vdev *d)
{
	virtio_reset(virtio_of(d));
	pci_of(virtio_of(d))->isr = 0;
	vpci_function_reset(virtio_pci_function(d));
}

static void pci_save(struct vdev *d, struct record_writer *w)
{
	vpci_function_save(virtio_pci_function(d), w);
	record_put_u8(w, pci_of(virtio_of(d))->isr);
	virtio_save(virtio_of(d), w);
}

static int pci_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct virtio *v = virtio_of(d);
	struct vpci_saved function;
	struct virtio_saved *s;
	uint8_t isr;
	int err;

	vpci_function_read(virtio_pci_function(d), r, &function);
	isr = (uint8_t)record_get_below(r, 1, ISR_QUEUE | ISR_CONFIG);
	err = version == d->ops->version ? virtio_load(v, r, &s) : -EINVAL;
	if (err)
		return err;
	pci_of(v)->isr = isr;
	vpci_function_commit(virtio_pci_function(d), &function);
	virtio_commit(v, s);
	return 0;
}

static void pci_destroy(struct vdev *d)
{
	struct virtio *v = virtio_of(d);
	struct virtio_pci *p = pci_of(v);

	vpci_function_fini(&p->function);
	virtio_destroy(v);
	host_free(p);
}

static void pci_media_input(struct vdev *d, unsigned medium)
{
	virtio_of(d)->kind->media_input(d, medium);
}

static void pci_media_done(struct vdev *d, unsigned medium, uint32_t tag, int error)
{
	virtio_of(d)->kind->media_done(d, medium, tag, error);
}

static int pci_media_frame(struct vdev *d, unsigned medium, const struct host_frame *f)
{
	return virtio_of(d)->kind->media_frame(d, medium, f);
}

static void pci_media_link(struct vdev *d, unsigned medium)
{
	virtio_of(d)->kind->media_link(d, medium);
}

static const struct vdev_ops pci_ops = {
	.version = 1, .read = pci_read, .write = pci_write, .reset = pci_reset, .save = pci_save,
	.load = pci_load, .destroy = pci_destroy, .timer = virtio_timer, .work = virtio_work,
	.media_input = pci_media_input, .media_done = pci_media_done,
	.media_frame = pci_media_frame, .media_link = pci_media_link,
};

/* Its place, or 0. */
static unsigned add_part(struct vpci_function *f, unsigned type, uint32_t offset, uint32_t size,
			 unsigned length)
{
	unsigned at = vpci_function_capability(f, CAP_VENDOR, length);
	uint8_t *c = f->config + at;

	if (!at)
		return 0;
	c[VCAP_LENGTH] = (uint8_t)length;
	c[VCAP_TYPE] = (uint8_t)type;
	c[VCAP_BAR] = type == TYPE_WINDOW ? 0 : BAR_REGISTERS;
	vpci_regs_set(c + VCAP_OFFSET, 4, offset);
	vpci_regs_set(c + VCAP_SIZE, 4, size);
	return at;
}

static int add_parts(struct virtio_pci *p)
{
	struct vpci_function *f = &p->function;
	uint32_t bells = p->v->queue_count * VIRTIO_PCI_MULTIPLIER;
	unsigned notify = add_part(f, TYPE_NOTIFY, VIRTIO_PCI_NOTIFY, bells, CAP_LONG);

	p->window = add_part(f, TYPE_WINDOW, 0, 0, CAP_LONG);
	if (!notify || !p->window ||
	    !add_part(f, TYPE_COMMON, VIRTIO_PCI_COMMON, COMMON_SIZE, CAP_SIZE) ||
	    !add_part(f, TYPE_ISR, VIRTIO_PCI_ISR, 1, CAP_SIZE) ||
	    !add_part(f, TYPE_DEVICE, VIRTIO_PCI_DEVICE, VIRTIO_CONFIG_MAX, CAP_SIZE))
		return -ENOSPC;
	vpci_regs_set(f->config + notify + VCAP_WORD, 4, VIRTIO_PCI_MULTIPLIER);
	f->writable[p->window + VCAP_BAR] = 0xff;
	memset(f->writable + p->window + VCAP_OFFSET, 0xff, CAP_LONG - VCAP_OFFSET);
	return 0;
}

static int add_function(struct virtio_pci *p, uint32_t class)
{
	struct vpci_function *f = &p->function;
	struct virtio *v = p->v;
	int err;

	vpci_function_init(f, &v->dev, VENDOR, v->kind->pci_id, class << 8 | REVISION, VENDOR,
			   v->kind->id);
	vpci_function_bar(f, BAR_PORTS, (struct vpci_bar){
		.size = PORTS_SIZE, .space = HOST_PORT, .region = VIRTIO_PCI_PORTS });
	vpci_function_bar(f, BAR_MESSAGES, (struct vpci_bar){
		.size = MESSAGES_SIZE, .space = HOST_MMIO, .region = VIRTIO_PCI_MESSAGES });
	vpci_function_bar(f, BAR_REGISTERS, (struct vpci_bar){
		.size = VIRTIO_PCI_SIZE, .space = HOST_MMIO, .wide = true, .prefetch = true,
		.region = VIRTIO_PCI_REGISTERS });
	vpci_function_pin(f, 1, PIN_LINE);
	f->written = pci_written;
	f->reading = pci_reading;
	err = vpci_msix_init(f, v->queue_count + 1, BAR_MESSAGES, 0, MESSAGES_PENDING);
	err = err ?: add_parts(p);
	err = err ?: vpci_express_init(f, VPCI_ENDPOINT);
	return err ?: vpci_express_power_init(f);
}

/* Takes the device over. */
static int create(struct virtio *v, uint32_t class, struct vdev **out)
{
	struct virtio_pci *p = host_alloc(sizeof(*p));
	int err = -ENOMEM;

	if (!p)
		goto fail;
	p->v = v;
	p->ops = pci_ops;
	p->ops.name = v->kind->name;
	v->bus = p;
	v->transport = &transport;
	v->dev.ops = &p->ops;
	err = add_function(p, class);
	if (err) {
		vpci_function_fini(&p->function);
		goto fail;
	}
	*out = &v->dev;
	return 0;
fail:
	host_free(p);
	virtio_destroy(v);
	return err;
}

int virtio_pci_balloon_create(struct vdev **out)
{
	struct virtio *v;

	return virtio_balloon_create(&v) ?: create(v, CLASS_OTHER, out);
}

int virtio_pci_blk_create(unsigned queues, struct vdev **out)
{
	struct virtio *v;

	return virtio_blk_create(queues, &v) ?: create(v, CLASS_SCSI, out);
}

int virtio_pci_net_create(const uint8_t mac[6], unsigned pairs, struct vdev **out)
{
	struct virtio *v;

	return virtio_net_create(mac, pairs, &v) ?: create(v, CLASS_ETHERNET, out);
}

int virtio_pci_console_create(unsigned ports, struct vdev **out)
{
	struct virtio *v;

	return virtio_console_create(ports, &v) ?: create(v, CLASS_SERIAL, out);
}

int virtio_pci_rng_create(struct vdev **out)
{
	struct virtio *v;

	return virtio_rng_create(&v) ?: create(v, CLASS_OTHER, out);
}
