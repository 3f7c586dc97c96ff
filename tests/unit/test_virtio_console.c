/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio.c vdev/virtio/virtio_ring.c vdev/virtio/virtio_split.c
 * vdev/virtio/virtio_packed.c vdev/virtio/virtio_console.c lib/record.c tests/host/vdev_host.c */
/*
 * The virtio console: one port without a control queue, several with it; what ports are told and
 * tell, bytes either way in pieces, ports that are not open, buffers that are too small or not
 * memory, emergency writes, resets in mid-flight, saved state.
 */
#include "vdev_test.h"
#include "virtio_driver.h"
#include "vdev/virtio/virtio_console.h"

#define VERSION		BIT(VIRTIO_VERSION_1)
#define BUFFER		0xd000u		/* behind the rings of four queues */
#define BUFFER_SIZE	64u

enum { RX, TX, CONTROL_RX, CONTROL_TX, RX1, TX1 };

static struct virtio *v;
static struct vdev_host *h;
static struct driver queue[4];		/* of queues 0 and 1, or of the control queues and port 1 */

static uint64_t format_of(unsigned format)
{
	return (format & 1 ? BIT(VIRTIO_PACKED) : 0) | (format & 2 ? BIT(VIRTIO_EVENT_IDX) : 0) |
	       (format & 4 ? BIT(VIRTIO_INDIRECT) : 0);
}

static void begin(unsigned ports, unsigned consoles, uint64_t features)
{
	assert_int_equal(virtio_console_create(ports, &v), 0);
	h = driver_attach(v);
	h->consoles = consoles;
	v->dev.ops->reset(&v->dev);
	assert_true(driver_negotiate(v, VERSION | features));
}

/* Queue `number` in the place of the driver's queue `place`. */
static void bring_up(unsigned place, unsigned number)
{
	struct driver *d = &queue[place];

	if (driver_queue(d, v, place, 16) && place != number) {
		struct virtio_queue *from = &v->queue[place], *to = &v->queue[number];

		v->queue_select = (uint16_t)number;
		to->s.size = from->s.size;
		to->s.desc = from->s.desc;
		to->s.driver = from->s.driver;
		to->s.device = from->s.device;
		from->s.enabled = false;
		from->live = false;
		virtio_queue_enable(v);
	}
	assert_true(v->queue[number].s.enabled);
}

static void one_port(uint64_t features)
{
	begin(1, 1, features);
	bring_up(0, RX);
	bring_up(1, TX);
	driver_start(v);
}

/* A buffer for bytes at `place`, the i-th. */
static void give(unsigned place, unsigned i, uint32_t size)
{
	struct driver_part p = { BUFFER + i * BUFFER_SIZE, size, true };

	driver_add(&queue[place], &p, 1, false);
}

static uint32_t taken(unsigned place)
{
	uint32_t written;
	uint16_t id;

	return driver_take(&queue[place], &id, &written) ? written : ~0u;
}

static const char *memory_at(unsigned i)
{
	return (const char *)h->memory + BUFFER + i * BUFFER_SIZE;
}

/* ---- one port ---- */

static void speaks(void **state)
{
	static const char text[] = "a line of the guest's, in several parts";

	(void)state;
	for (unsigned format = 0; format < 8; format++) {
		one_port(format_of(format));
		for (unsigned round = 0; round < 20; round++) {
			unsigned parts = 1 + round % 4, n = sizeof(text) - 1, at = 0;
			struct driver_part p[4];

			h->sent_count = 0;
			memcpy(h->memory + BUFFER, text, n);
			for (unsigned i = 0; i < parts; i++) {
				unsigned size = i + 1 == parts ? n - at : 5;

				p[i] = (struct driver_part){ BUFFER + at, size, false };
				at += size;
			}
			driver_want(&queue[1], 0);
			virtio_test.interrupts = 0;
			driver_add(&queue[1], p, parts, format & 4);
			virtio_kick(v, TX);
			assert_int_equal(taken(1), 0);
			assert_true(virtio_test.interrupts);
			assert_int_equal(h->sent_count, n);
			assert_memory_equal(h->sent, text, n);
		}
		vdev_host_detach(h);
	}
}

static void listens(void **state)
{
	(void)state;
	for (unsigned format = 0; format < 4; format++) {
		one_port(format_of(format));
		vdev_host_type(h, "early");		/* no buffer yet: it waits */
		vdev_host_work(h);
		give(0, 0, BUFFER_SIZE);
		virtio_kick(v, RX);
		assert_int_equal(taken(0), 5);
		assert_memory_equal(memory_at(0), "early", 5);
		give(0, 1, 3);
		give(0, 2, 3);
		give(0, 3, 3);
		virtio_kick(v, RX);
		assert_int_equal(taken(0), ~0u);
		driver_want(&queue[0], 0);
		virtio_test.interrupts = 0;
		vdev_host_type(h, "typed");
		vdev_host_work(h);
		assert_true(virtio_test.interrupts);
		assert_int_equal(taken(0), 3);
		assert_int_equal(taken(0), 2);
		assert_int_equal(taken(0), ~0u);
		assert_memory_equal(memory_at(1), "typ", 3);
		assert_memory_equal(memory_at(2), "ed", 2);
		vdev_host_detach(h);
	}
}

/* Longer than an exit's budget: the work goes on, and each byte comes once, in order. */
static void is_long(void **state)
{
	struct driver_part p[15];
	unsigned total = 0;

	(void)state;
	one_port(0);
	for (unsigned i = 0; i < 0x3000; i++)
		h->memory[BUFFER + i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned i = 0; i < 15; i++, total += 0x3000 - 5)
		p[i] = (struct driver_part){ BUFFER + 5, 0x3000 - 5, false };
	driver_add(&queue[1], p, 15, false);
	virtio_kick(v, TX);
	assert_int_equal(taken(1), ~0u);
	assert_true(h->sent_count < total && h->sent_count > 0);
	h->mem_interrupt = 3;			/* and is interrupted */
	for (unsigned i = 0; i < 5; i++) {
		vdev_host_work(h);
		vdev_host_advance(h, 20000000);
	}
	assert_int_equal(taken(1), 0);
	assert_int_equal(h->sent_count, total);
	for (unsigned i = total - 4096; i < total; i++) {
		unsigned at = 5 + i % (0x3000 - 5);

		assert_int_equal((uint8_t)h->sent[i % sizeof(h->sent)],
				 (uint8_t)(at * 7 + at / 256));
	}
	assert_int_equal(v->status & VIRTIO_NEEDS_RESET, 0);
	vdev_host_detach(h);
}

static void interrupted_input(void **state)
{
	(void)state;
	one_port(0);
	give(0, 0, BUFFER_SIZE);
	vdev_host_type(h, "kept");
	h->mem_interrupt = 8;
	for (unsigned i = 0; i < 10; i++) {
		vdev_host_work(h);
		vdev_host_advance(h, 20000000);
	}
	vdev_host_work(h);
	assert_int_equal(taken(0), 4);
	assert_memory_equal(memory_at(0), "kept", 4);
	vdev_host_detach(h);
}

static void bad_buffers(void **state)
{
	struct driver_part p = { VDEV_HOST_MEMORY - 2, 100, false };

	(void)state;
	one_port(0);
	driver_add(&queue[1], &p, 1, false);
	virtio_kick(v, TX);
	assert_true(v->queue[TX].s.broken && v->status & VIRTIO_NEEDS_RESET);
	assert_int_equal(h->sent_count, 0);
	vdev_host_detach(h);

	one_port(0);
	p.write = true;
	driver_add(&queue[0], &p, 1, false);
	vdev_host_type(h, "text");
	vdev_host_work(h);
	assert_true(v->queue[RX].s.broken);
	vdev_host_detach(h);

	one_port(0);				/* of the wrong kind: nothing comes, nothing goes */
	p = (struct driver_part){ BUFFER, 16, false };
	driver_add(&queue[0], &p, 1, false);
	vdev_host_type(h, "text");
	vdev_host_work(h);
	assert_int_equal(taken(0), 0);
	p.write = true;
	driver_add(&queue[1], &p, 1, false);
	virtio_kick(v, TX);
	assert_int_equal(taken(1), 0);
	assert_int_equal(h->sent_count, 0);
	assert_int_equal(v->status & VIRTIO_NEEDS_RESET, 0);
	vdev_host_detach(h);

	one_port(0);				/* a port's queue that was not agreed upon */
	virtio_status_write(v, 0);
	vdev_host_detach(h);
	begin(2, 3, 0);
	bring_up(0, RX1);
	driver_start(v);
	give(0, 0, 16);
	virtio_kick(v, RX1);
	assert_true(v->queue[RX1].s.broken);
	vdev_host_detach(h);
}

/* ---- configuration ---- */

static void configuration(void **state)
{
	(void)state;
	begin(3, 5, 0);
	assert_int_equal(virtio_config_read(v, 0, 4), 25 << 16 | 80);
	assert_int_equal(virtio_config_read(v, 4, 4), 3);
	assert_int_equal(v->queue_count, 8);
	virtio_config_write(v, 8, 4, '!');	/* also before the driver is ready */
	virtio_config_write(v, 8, 1, '?');
	virtio_config_write(v, 4, 8, (uint64_t)'+' << 32 | 77);
	virtio_config_write(v, 4, 4, 77);
	virtio_config_write(v, 9, 4, 77);
	virtio_config_write(v, 0xfffffff0, 8, 77);
	assert_int_equal(h->sent_count, 3);
	assert_memory_equal(h->sent, "!?+", 3);
	assert_int_equal(h->sent_medium, 0);
	assert_int_equal(virtio_config_read(v, 4, 8), 3);
	vdev_host_detach(h);
	assert_int_equal(virtio_console_create(100, &v), 0);
	h = driver_attach(v);
	assert_int_equal(v->queue_count, 2 * VIRTIO_CONSOLE_PORTS_MAX + 2);
	vdev_host_detach(h);
}

/* ---- several ports ---- */

#define PLACE_CONTROL_RX	0
#define PLACE_CONTROL_TX	1
#define PLACE_RX1		2
#define PLACE_TX1		3

static void several(unsigned consoles, uint64_t features)
{
	begin(3, consoles, BIT(CONSOLE_MULTIPORT) | features);
	bring_up(PLACE_RX1, RX1);		/* before what is at their places */
	bring_up(PLACE_TX1, TX1);
	bring_up(PLACE_CONTROL_RX, CONTROL_RX);
	bring_up(PLACE_CONTROL_TX, CONTROL_TX);
	driver_start(v);
}

static void say(uint32_t port, unsigned event, unsigned value, uint32_t size)
{
	struct driver_part p = { BUFFER + 0x800, size, false };

	put32(&queue[1], BUFFER + 0x800, port);
	put16(&queue[1], BUFFER + 0x804, (uint16_t)event);
	put16(&queue[1], BUFFER + 0x806, (uint16_t)value);
	driver_add(&queue[PLACE_CONTROL_TX], &p, 1, false);
	virtio_kick(v, CONTROL_TX);
	assert_int_equal(taken(PLACE_CONTROL_TX), 0);
}

static unsigned next_buffer;

static void give_control(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		give(PLACE_CONTROL_RX, (next_buffer + i) % 16, BUFFER_SIZE);
	virtio_kick(v, CONTROL_RX);
}

static void expect(uint32_t port, unsigned event, const char *name)
{
	const uint64_t at = BUFFER + next_buffer++ % 16 * BUFFER_SIZE;

	assert_int_equal(taken(PLACE_CONTROL_RX), 8 + strlen(name));
	assert_int_equal(get32(&queue[0], at), port);
	assert_int_equal(get16(&queue[0], at + 4), event);
	assert_int_equal(get16(&queue[0], at + 6), 1);
	assert_memory_equal(h->memory + at + 8, name, strlen(name));
}

static void ports_are_told(void **state)
{
	(void)state;
	for (unsigned format = 0; format < 4; format++) {
		next_buffer = 0;
		several(5, format_of(format));	/* 0 and 2; 1 is none */
		say(0, CONSOLE_DEVICE_READY, 1, 8);
		assert_int_equal(taken(PLACE_CONTROL_RX), ~0u);
		give_control(8);			/* what waited */
		expect(0, CONSOLE_PORT_ADD, "");
		expect(2, CONSOLE_PORT_ADD, "");
		assert_int_equal(taken(PLACE_CONTROL_RX), ~0u);
		say(2, CONSOLE_PORT_READY, 1, 8);
		expect(2, CONSOLE_PORT_NAME, "port.2");
		expect(2, CONSOLE_PORT_OPEN, "");
		say(0, CONSOLE_PORT_READY, 1, 8);
		expect(0, CONSOLE_CONSOLE_PORT, "");
		expect(0, CONSOLE_PORT_OPEN, "");
		/* Nothing of these. */
		say(1, CONSOLE_PORT_READY, 1, 8);
		say(3, CONSOLE_PORT_READY, 1, 8);
		say(0xffffffff, CONSOLE_PORT_OPEN, 1, 8);
		say(2, CONSOLE_PORT_READY, 0, 8);
		say(0, CONSOLE_DEVICE_READY, 0, 8);
		say(0, CONSOLE_DEVICE_READY, 1, 7);
		say(0, 999, 1, 8);
		assert_int_equal(taken(PLACE_CONTROL_RX), ~0u);
		assert_int_equal(v->status & VIRTIO_NEEDS_RESET, 0);
		vdev_host_detach(h);
	}
}

/* Told again and again without a buffer: it stays one message of each. */
static void messages_are_bounded(void **state)
{
	(void)state;
	next_buffer = 0;
	several(2, 0);
	for (unsigned i = 0; i < 1000; i++) {
		say(1, CONSOLE_DEVICE_READY, 1, 8);
		say(1, CONSOLE_PORT_READY, 1, 8);
	}
	give(PLACE_CONTROL_RX, 0, 7);		/* none fits there: it comes back empty */
	virtio_kick(v, CONTROL_RX);
	assert_int_equal(taken(PLACE_CONTROL_RX), 0);
	give_control(8);
	expect(1, CONSOLE_PORT_ADD, "");
	expect(1, CONSOLE_PORT_NAME, "port.1");
	expect(1, CONSOLE_PORT_OPEN, "");
	assert_int_equal(taken(PLACE_CONTROL_RX), ~0u);
	vdev_host_detach(h);
}

static void ports_open(void **state)
{
	struct driver_part p = { BUFFER, 6, false };

	(void)state;
	several(7, 0);
	h->input_medium = 1;
	give(PLACE_RX1, 1, 16);
	vdev_host_type(h, "to one");
	vdev_host_work(h);
	assert_int_equal(taken(PLACE_RX1), ~0u);	/* the guest does not have it open */
	say(1, CONSOLE_PORT_OPEN, 1, 8);
	assert_int_equal(taken(PLACE_RX1), 6);
	assert_memory_equal(memory_at(1), "to one", 6);
	say(1, CONSOLE_PORT_OPEN, 0, 8);
	give(PLACE_RX1, 2, 16);
	vdev_host_type(h, "more");
	vdev_host_work(h);
	assert_int_equal(taken(PLACE_RX1), ~0u);
	memcpy(h->memory + BUFFER, "thanks", 6);
	driver_add(&queue[PLACE_TX1], &p, 1, false);
	virtio_kick(v, TX1);
	assert_int_equal(taken(PLACE_TX1), 0);
	assert_int_equal(h->sent_medium, 1);
	assert_memory_equal(h->sent, "thanks", 6);
	vdev_host_detach(h);
}

/* ---- resets and saved state ---- */

static void reset_in_flight(void **state)
{
	struct driver_part p[15];

	(void)state;
	one_port(BIT(VIRTIO_RING_RESET));
	for (unsigned i = 0; i < 15; i++)
		p[i] = (struct driver_part){ BUFFER, 0x3000, false };
	driver_add(&queue[1], p, 15, false);
	virtio_kick(v, TX);
	v->queue_select = TX;
	virtio_queue_reset(v);
	vdev_host_work(h);
	bring_up(1, TX);
	h->sent_count = 0;
	memcpy(h->memory + BUFFER, "fresh", 5);
	p[0].size = 5;
	driver_add(&queue[1], p, 1, false);
	virtio_kick(v, TX);
	assert_int_equal(taken(1), 0);
	assert_memory_equal(h->sent, "fresh", 5);
	p[0].size = 0x3000;
	driver_add(&queue[1], p, 15, false);
	virtio_kick(v, TX);
	virtio_status_write(v, 0);
	h->sent_count = 0;
	vdev_host_work(h);
	assert_int_equal(h->sent_count, 0);
	vdev_host_detach(h);
}

static void saved(void **state)
{
	struct vdev_host *first;
	struct virtio *old;

	(void)state;
	several(3, 0);
	h->input_medium = 1;
	say(0, CONSOLE_DEVICE_READY, 1, 8);
	say(1, CONSOLE_PORT_OPEN, 1, 8);
	give(PLACE_RX1, 0, 4);
	vdev_host_type(h, "half of it stays");
	vdev_host_work(h);
	assert_int_equal(taken(PLACE_RX1), 4);
	old = v;
	first = h;
	assert_int_equal(virtio_console_create(3, &v), 0);
	h = driver_attach(v);
	h->consoles = 3;
	check_save_load(&old->dev, &v->dev);
	memcpy(h->memory, first->memory, sizeof(h->memory));
	queue[PLACE_RX1].v = v;
	queue[PLACE_RX1].memory = queue[PLACE_CONTROL_RX].memory = h->memory;
	vdev_host_work(h);
	give(PLACE_RX1, 1, 64);
	virtio_kick(v, RX1);
	assert_int_equal(taken(PLACE_RX1), 12);
	assert_memory_equal(memory_at(1), " of it stays", 12);
	next_buffer = 0;
	give_control(4);
	expect(0, CONSOLE_PORT_ADD, "");
	expect(1, CONSOLE_PORT_ADD, "");
	vdev_host_detach(first);
	vdev_host_detach(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speaks), cmocka_unit_test(listens), cmocka_unit_test(is_long),
		cmocka_unit_test(interrupted_input), cmocka_unit_test(bad_buffers),
		cmocka_unit_test(configuration), cmocka_unit_test(ports_are_told),
		cmocka_unit_test(messages_are_bounded), cmocka_unit_test(ports_open),
		cmocka_unit_test(reset_in_flight), cmocka_unit_test(saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
