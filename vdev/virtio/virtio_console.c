/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See virtio_console.h. A port's two queues stand by themselves: what the driver sends goes to the
 * medium in its exit, piece by piece where it is long; what the medium has waits there until the
 * driver gives a buffer for it and has the port open. What the driver is to be told of ports are
 * bits, not messages: they wait without memory until it gives buffers for them.
 *
 * Locks: the device's own around what is told and which ports are open; the rest is the owner's of
 * the port's queue.
 */
#include "vdev/virtio/virtio_console.h"

#include "include/bits.h"
#include "lib/string.h"

#define PIECE		256u		/* bytes that are moved at once */
#define COST		2		/* of such a piece */
#define COLUMNS		80u
#define ROWS		25u

#define CONTROL_RX	2u		/* queues: before them port 0's, behind them the others' */
#define CONTROL_TX	3u

struct config {
	uint16_t columns, rows;
	uint32_t ports;
	uint32_t emergency;
};

struct message {
	uint32_t port;
	uint16_t event, value;
};

_Static_assert(sizeof(struct config) == 12 && sizeof(struct message) == 8 &&
	       2 * VIRTIO_CONSOLE_PORTS_MAX + 2 <= VIRTIO_QUEUES_MAX, "the driver's layout");

/* What waits to be told of a port, in this order. */
enum told { TOLD_ADD, TOLD_TERMINAL, TOLD_NAME, TOLD_OPEN, TOLD_COUNT };

static const uint16_t told_event[TOLD_COUNT] = {
	CONSOLE_PORT_ADD, CONSOLE_CONSOLE_PORT, CONSOLE_PORT_NAME, CONSOLE_PORT_OPEN,
};

struct port {
	uint8_t pending;		/* bits by enum told */
	bool open;			/* in the guest */
	uint64_t sent;			/* bytes of the first chain that were sent already */
	/* What came from the medium and is not in the guest's memory yet. */
	uint16_t first, count;
	uint8_t held[PIECE];
};

struct console {
	struct virtio v;
	unsigned ports;
	struct port port[VIRTIO_CONSOLE_PORTS_MAX], loaded[VIRTIO_CONSOLE_PORTS_MAX];
};

static struct console *console_of(struct virtio *v)
{
	return container_of(v, struct console, v);
}

static bool facts_of(struct console *c, uint32_t port, struct host_media_facts *out)
{
	if (port >= c->ports)
		return false;
	host_media_facts(&c->v.dev, port, out);
	return out->kind == HOST_MEDIA_CONSOLE;
}

static unsigned rx_queue(unsigned port)
{
	return port ? 2 * port + 2 : 0;
}

/* A driver that knows of one port alone does not say that it has it open; a terminal always is. */
static bool is_open(struct console *c, unsigned port)
{
	return !port || READ_ONCE(c->port[port].open);
}

/* ---- bytes ---- */

/* A buffer gets what there is, and no more than a piece of it. */
static int rx_serve(struct virtio *v, struct virtio_queue *q, unsigned n)
{
	struct port *p = &console_of(v)->port[n];
	uint32_t size;
	int err;

	if (!is_open(console_of(v), n))
		return -EAGAIN;
	if (!p->count) {
		p->first = 0;
		p->count = (uint16_t)host_media_get(&v->dev, n, p->held, sizeof(p->held));
	}
	if (!p->count)
		return -EAGAIN;
	size = (uint32_t)MIN(q->chain.write_size, (uint64_t)p->count);
	err = virtio_chain_write(v, &q->chain, p->held + p->first, size);
	err = err ?: virtio_done(v, q, size);
	if (err)
		return err == -EFAULT ? -EIO : err;
	p->first = (uint16_t)(p->first + size);
	p->count = (uint16_t)(p->count - size);
	return COST;
}

/* The medium takes what it has room for; the rest is lost, as on a line. */
static int tx_serve(struct virtio *v, struct virtio_queue *q, unsigned n)
{
	struct port *p = &console_of(v)->port[n];
	uint64_t left = q->chain.read_size - MIN(q->chain.read_size, p->sent);
	size_t size = MIN(left, (uint64_t)PIECE);
	uint8_t bytes[PIECE];
	int err = virtio_chain_read_at(v, &q->chain, p->sent, bytes, size);

	if (err)
		return err == -EFAULT ? -EIO : err;
	host_media_put(&v->dev, n, bytes, size);
	p->sent += size;
	if (size == left) {
		err = virtio_done(v, q, 0);
		p->sent = err ? p->sent : 0;
	}
	return err ?: COST;
}

/* ---- what the driver is told ---- */

/* The next message, which waits no longer; 0: there is none. */
static unsigned told_take(struct console *c, struct message *m, unsigned *port)
{
	uint64_t flags = host_lock(&c->v.dev);
	unsigned what, size = 0;

	for (*port = 0; *port < c->ports && !c->port[*port].pending; ++*port)
		;
	if (*port < c->ports) {
		what = (unsigned)__builtin_ctz(c->port[*port].pending);
		c->port[*port].pending &= (uint8_t)~(1u << what);
		*m = (struct message){ .port = *port, .event = told_event[what], .value = 1 };
		size = sizeof(*m);
	}
	host_unlock(&c->v.dev, flags);
	return size;
}

static void told_give_back(struct console *c, unsigned port, uint16_t event)
{
	uint64_t flags = host_lock(&c->v.dev);

	for (unsigned i = 0; i < TOLD_COUNT; i++)
		if (told_event[i] == event)
			c->port[port].pending |= (uint8_t)(1u << i);
	host_unlock(&c->v.dev, flags);
}

/* A buffer without room for its message comes back empty, and the message waits for the next. */
static int control_rx_serve(struct virtio *v, struct virtio_queue *q)
{
	struct console *c = console_of(v);
	struct host_media_facts f;
	uint8_t bytes[sizeof(struct message) + sizeof(f.name)];
	struct message m;
	unsigned port, size = told_take(c, &m, &port);
	bool fits;
	int err = 0;

	if (!size)
		return -EAGAIN;
	memcpy(bytes, &m, sizeof(m));
	if (m.event == CONSOLE_PORT_NAME && facts_of(c, port, &f)) {
		memcpy(bytes + sizeof(m), f.name, strlen(f.name));
		size += (unsigned)strlen(f.name);
	}
	fits = size <= q->chain.write_size;
	if (fits)
		err = virtio_chain_write(v, &q->chain, bytes, size);
	err = err ?: virtio_done(v, q, fits ? size : 0);
	if (err || !fits)
		told_give_back(c, port, m.event);
	return err == -EFAULT ? -EIO : err ?: 1;
}

/* ---- what it tells ---- */

static void tell(struct console *c, unsigned port, unsigned what)
{
	c->port[port].pending |= (uint8_t)(1u << what);
}

static void tell_of_ports(struct console *c)
{
	struct host_media_facts f;

	for (unsigned i = 0; i < c->ports; i++)
		if (facts_of(c, i, &f))
			tell(c, i, TOLD_ADD);
}

/* Our end of a port is always open: what nobody reads yet waits there. */
static void tell_of_port(struct console *c, unsigned port, const char *name)
{
	if (!port)
		tell(c, port, TOLD_TERMINAL);
	else if (*name)
		tell(c, port, TOLD_NAME);
	tell(c, port, TOLD_OPEN);
}

/* Under the lock. True: the port is open from now on. */
static bool hear(struct console *c, const struct message *m)
{
	struct host_media_facts f;

	if (m->event == CONSOLE_DEVICE_READY && m->value)
		tell_of_ports(c);
	if (!facts_of(c, m->port, &f))
		return false;
	if (m->event == CONSOLE_PORT_READY && m->value)
		tell_of_port(c, m->port, f.name);
	if (m->event == CONSOLE_PORT_OPEN)
		WRITE_ONCE(c->port[m->port].open, m->value);
	return m->event == CONSOLE_PORT_OPEN && m->value;
}

static int control_tx_serve(struct virtio *v, struct virtio_queue *q)
{
	struct console *c = console_of(v);
	struct message m = { 0 };
	uint64_t flags;
	bool opened = false;
	int err = 0;

	if (q->chain.read_size >= sizeof(m)) {
		err = virtio_chain_read(v, &q->chain, &m, sizeof(m));
		if (err)
			return err == -EFAULT ? -EIO : err;
		flags = host_lock(&v->dev);
		opened = hear(c, &m);
		host_unlock(&v->dev, flags);
	}
	err = virtio_done(v, q, 0);
	virtio_kick(v, CONTROL_RX);
	if (opened)
		virtio_kick(v, rx_queue(m.port));
	return err ?: COST;
}

static int console_serve(struct virtio *v, struct virtio_queue *q)
{
	unsigned i = (unsigned)(q - v->queue);

	if (i < CONTROL_RX)
		return i ? tx_serve(v, q, 0) : rx_serve(v, q, 0);
	if (!virtio_has(v, CONSOLE_MULTIPORT))
		return -EIO;
	if (i <= CONTROL_TX)
		return i == CONTROL_RX ? control_rx_serve(v, q) : control_tx_serve(v, q);
	return i & 1 ? tx_serve(v, q, (i - 2) / 2) : rx_serve(v, q, (i - 2) / 2);
}

static void console_media_input(struct vdev *d, unsigned medium)
{
	struct console *c = container_of(d, struct console, v.dev);

	if (medium < c->ports)
		virtio_ask(&c->v, rx_queue(medium));
}

/* A kernel's last words, or its first, before it has a queue: one character each. */
static void console_config_written(struct virtio *v, uint64_t offset, unsigned size,
				   uint64_t value)
{
	const uint64_t at = offsetof(struct config, emergency);
	uint8_t byte;

	if (offset > at || at - offset >= size)
		return;
	byte = (uint8_t)(value >> 8 * (at - offset));
	host_media_put(&v->dev, 0, &byte, 1);
}

/* ---- life ---- */

static const struct virtio_feature features[] = {
	{ CONSOLE_SIZE, 0 }, { CONSOLE_MULTIPORT, 0 }, { CONSOLE_EMERG_WRITE, 0 },
};

static void console_reset(struct virtio *v)
{
	struct console *c = console_of(v);
	struct config config = { .columns = COLUMNS, .rows = ROWS, .ports = c->ports };

	memcpy(v->config, &config, sizeof(config));
	v->config_size = sizeof(config);
	for (unsigned i = 0; i < ARRAY_COUNT(features); i++)
		v->offered |= BIT(features[i].bit);
	memset(c->port, 0, sizeof(c->port));
}

static void console_queue_reset(struct virtio *v, unsigned queue)
{
	unsigned port = queue < CONTROL_RX ? 0 : (queue - 2) / 2;

	if (queue & 1 && queue != CONTROL_TX)
		console_of(v)->port[port].sent = 0;
}

static void console_save(struct virtio *v, struct record_writer *w)
{
	struct console *c = console_of(v);

	for (unsigned i = 0; i < c->ports; i++) {
		const struct port *p = &c->port[i];

		record_put_u8(w, p->pending);
		record_put_bool(w, p->open);
		record_put_u64(w, p->sent);
		record_put_u16(w, p->count);
		record_put(w, p->held + p->first, p->count);
	}
}

static int console_load(struct virtio *v, struct record_reader *r)
{
	struct console *c = console_of(v);

	memset(c->loaded, 0, sizeof(c->loaded));
	for (unsigned i = 0; i < c->ports; i++) {
		struct port *p = &c->loaded[i];

		p->pending = (uint8_t)record_get_below(r, 1, (1u << TOLD_COUNT) - 1);
		p->open = record_get_bool(r);
		p->sent = record_get_u64(r);
		p->count = (uint16_t)record_get_below(r, 2, PIECE);
		record_get(r, p->held, p->count);
	}
	return 0;
}

static void console_commit(struct virtio *v)
{
	memcpy(console_of(v)->port, console_of(v)->loaded, sizeof(console_of(v)->port));
}

static const struct virtio_kind kind = {
	.name = "virtio-console", .id = 3, .pci_id = 0x1003,
	.feature = features, .feature_count = ARRAY_COUNT(features),
	.serve = console_serve, .reset = console_reset, .queue_reset = console_queue_reset,
	.config_written = console_config_written, .media_input = console_media_input,
	.save = console_save, .load = console_load, .commit = console_commit,
};

int virtio_console_create(unsigned ports, struct virtio **out)
{
	struct console *c = host_alloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->ports = MIN(MAX(ports, 1u), VIRTIO_CONSOLE_PORTS_MAX);
	c->v.kind = &kind;
	c->v.queue_count = 2 * c->ports + 2;
	if (virtio_init(&c->v)) {
		host_free(c);
		return -ENOMEM;
	}
	*out = &c->v;
	return 0;
}
