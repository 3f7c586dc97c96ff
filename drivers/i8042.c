/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyboard's controller; see drivers/i8042.h. It is left as firmware had it but for what is
 * needed: the keyboard's port is open, its codes are translated to set 1, the mouse's interrupt is
 * off. What the mouse says is dropped.
 */
#include "drivers/i8042.h"

#include "cpu/cpu.h"
#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "drivers/keys.h"
#include "drivers/wire.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/timer.h"
#include "lib/ring.h"

#define PORT_DATA	0x60
#define PORT_STATUS	0x64
#define PORT_COMMAND	0x64

#define STATUS_OUTPUT	0x01		/* a byte waits to be read */
#define STATUS_INPUT	0x02		/* the controller has not taken the last one yet */
#define STATUS_MOUSE	0x20		/* that byte is the mouse's */
#define STATUS_NOBODY	0xff		/* what a port without a device reads */

#define COMMAND_READ	0x20		/* of the configuration */
#define COMMAND_WRITE	0x60
#define COMMAND_KEYBOARD_OFF 0xad
#define COMMAND_KEYBOARD_ON 0xae
#define COMMAND_MOUSE_OFF 0xa7

#define CONFIG_IRQ	0x01
#define CONFIG_MOUSE_IRQ 0x02
#define CONFIG_KEYBOARD_OFF 0x10
#define CONFIG_TRANSLATE 0x40

#define KEYBOARD_SET	0xf0		/* and the number of the scan code set */
#define KEYBOARD_SCAN	0xf4
#define KEYBOARD_ACK	0xfa

#define IRQ		1
#define WAIT_NS		50000000	/* for a byte to go or come */
#define DRAIN_MAX	64		/* bytes; a controller that has more is none */
#define BYTES_AT_ONCE	32
#define OVERDUE_MAX	3		/* keys in a row that no interrupt told of */
#define POLL_NS		10000000

static struct spinlock lock = SPINLOCK_INIT("i8042", LOCK_UART);
static bool present, polled;
static struct keys keys;
static uint8_t typed_buffer[256];
static struct ring typed = RING_INIT(typed_buffer);
static unsigned overdue;
static struct timer poll_timer;
static void (*receive_hook)(void);
static void (*look_back_hook)(int screens);

/* ---- setting up, alone with the controller ---- */

static uint8_t status(void)
{
	return cpu_in8(PORT_STATUS);
}

static bool wait_status(uint8_t mask, uint8_t value)
{
	uint64_t end = clock_ns() + WAIT_NS;

	while ((status() & mask) != value) {
		if (clock_ns() > end)
			return false;
		cpu_pause();
	}
	return true;
}

static bool send(uint16_t port, uint8_t v)
{
	if (!wait_status(STATUS_INPUT, 0))
		return false;
	cpu_out8(port, v);
	return true;
}

static bool drain(void)
{
	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		if (!(status() & STATUS_OUTPUT))
			return true;
		(void)cpu_in8(PORT_DATA);
	}
	return false;
}

/* What the controller answers to a command. */
static bool ask(uint8_t command, uint8_t *answer)
{
	if (!send(PORT_COMMAND, command) || !wait_status(STATUS_OUTPUT, STATUS_OUTPUT))
		return false;
	*answer = cpu_in8(PORT_DATA);
	return true;
}

/* Whether the keyboard has confirmed it; what is typed meanwhile is lost. */
static bool tell_keyboard(uint8_t v)
{
	if (!send(PORT_DATA, v))
		return false;
	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		if (!wait_status(STATUS_OUTPUT, STATUS_OUTPUT))
			return false;
		if (cpu_in8(PORT_DATA) == KEYBOARD_ACK)
			return true;
	}
	return false;
}

static bool set_up(void)
{
	uint8_t config, now;

	if (status() == STATUS_NOBODY || !send(PORT_COMMAND, COMMAND_KEYBOARD_OFF) ||
	    !send(PORT_COMMAND, COMMAND_MOUSE_OFF) || !wait_status(STATUS_INPUT, 0) || !drain() ||
	    !ask(COMMAND_READ, &config))
		return false;
	config &= (uint8_t)~(CONFIG_MOUSE_IRQ | CONFIG_KEYBOARD_OFF);
	config |= CONFIG_IRQ | CONFIG_TRANSLATE;
	if (!send(PORT_COMMAND, COMMAND_WRITE) || !send(PORT_DATA, config) ||
	    !ask(COMMAND_READ, &now) || !send(PORT_COMMAND, COMMAND_KEYBOARD_ON))
		return false;
	/* A controller that does not translate: the keyboard shall speak set 1 itself. */
	if (!(now & CONFIG_TRANSLATE) && (!tell_keyboard(KEYBOARD_SET) || !tell_keyboard(1)))
		return false;
	if (!tell_keyboard(KEYBOARD_SCAN))
		log_info("i8042: no keyboard answers");
	return true;
}

/* ---- at work ---- */

/* Keys into the ring; how many bytes there were, and *look_back screens. Lock held. */
static unsigned take(int *look_back)
{
	unsigned n = 0;
	uint8_t s, code, out[KEYS_MAX];

	for (; n < BYTES_AT_ONCE && (s = status()) & STATUS_OUTPUT && s != STATUS_NOBODY; n++) {
		code = cpu_in8(PORT_DATA);
		if (s & STATUS_MOUSE)
			continue;
		for (size_t i = 0, m = keys_take(&keys, code, out); i < m; i++)
			ring_put(&typed, out[i]);
		*look_back += keys.look_back;
	}
	return n;
}

static void tell(bool some, int look_back)
{
	if (look_back && look_back_hook)
		look_back_hook(look_back);
	if (some && receive_hook)
		receive_hook();
}

static bool interrupt(void *arg)
{
	int look_back = 0;
	bool some;

	(void)arg;
	spin_lock(&lock);
	overdue = 0;
	(void)take(&look_back);
	some = ring_count(&typed);
	spin_unlock(&lock);
	tell(some, look_back);
	return true;
}

static void poll_tick(struct timer *t)
{
	(void)interrupt(NULL);
	timer_set(t, clock_ns() + POLL_NS);
}

static void poll_start(void)
{
	polled = true;
	timer_init(&poll_timer, poll_tick);
	timer_set(&poll_timer, clock_ns() + POLL_NS);
}

static void route(void)
{
	static struct wire_user user = { .name = "i8042", .fn = interrupt };

	if (wire_open_isa(&user, IRQ)) {
		log_info("i8042: no interrupt is known for it, polling");
		poll_start();
	}
}

bool i8042_init(void)
{
	present = set_up();
	if (!present)
		return false;
	route();
	/* What has come before the wire was open makes no edge any more. */
	(void)i8042_read(NULL, 0);
	return true;
}

size_t i8042_read(void *buf, size_t n)
{
	int look_back = 0;
	bool gone = false;
	uint64_t flags;

	if (!present)
		return 0;
	flags = spin_lock_irq(&lock);
	if (take(&look_back) && !polled)
		gone = ++overdue >= OVERDUE_MAX;
	n = ring_read(&typed, buf, (uint32_t)MIN(n, sizeof(typed_buffer)));
	spin_unlock_irq(&lock, flags);
	tell(false, look_back);
	if (gone) {
		log_warn("i8042: keys come without interrupts, polling");
		poll_start();
	}
	return n;
}

void i8042_set_receive(void (*fn)(void), void (*look_back)(int screens))
{
	receive_hook = fn;
	look_back_hook = look_back;
}

const char *i8042_how(void)
{
	return polled ? "polled" : "IRQ 1";
}
