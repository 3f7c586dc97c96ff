/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal; see shell/tty.h. Log lines are not printed where they are made: the sink only wakes
 * the shell, which prints what log_read() has beyond the last line that it printed. A context that
 * may not wake (an interrupt, a scheduler's lock) is served by the next tick of the wait.
 */
#include "shell/tty.h"

#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/format.h"
#include "lib/ring.h"
#include "lib/string.h"
#include "mgmt/node.h"

#define TICK_NS		200000000ull	/* how late a log line from an interrupt may be printed */
#define POLL_NS		10000000ull	/* of a port that does not tell of input */
#define PACE_NS		2000000ull	/* some 23 bytes at 115200 baud */

static const struct shell_port *port;
static uint8_t input_buffer[4096];
static struct ring input = RING_INIT(input_buffer);
static bool interruptible, interrupted;
static uint8_t interrupt_key;		/* besides Ctrl-C; that again: none */

static struct waitq wake;
static bool woken;		/* atomic */

static uint64_t log_next;	/* sequence of the next line to print */
static bool log_new;		/* atomic */

void tty_wake(void)
{
	if (!__atomic_exchange_n(&woken, true, __ATOMIC_ACQ_REL))
		waitq_wake_all(&wake);
}

static void log_sink(const struct log_line *line)
{
	(void)line;
	__atomic_store_n(&log_new, true, __ATOMIC_RELEASE);
	if (!port->can_wake || port->can_wake())
		tty_wake();
}

void tty_init(const struct shell_port *p)
{
	struct log_line line;

	port = p;
	waitq_init(&wake);
	while (log_read(log_next, &line))
		log_next = line.sequence + 1;
	log_set_sink(log_sink);
	if (port->set_receive)
		port->set_receive(tty_wake);
}

/* --- input */

static void take(uint8_t c)
{
	if (interruptible && (c == TTY_CTRL('C') || c == interrupt_key)) {
		interrupted = true;
		input.tail = input.head;
	} else {
		ring_put(&input, c);
	}
}

/* Bytes stay in the port, and behind it in the sender, while there is no room for them here. */
static void pull(void)
{
	uint8_t buf[64];
	size_t n;

	do {
		n = port->read(buf, MIN(sizeof(buf), (size_t)ring_space(&input)));
		for (size_t i = 0; i < n; i++)
			take(buf[i]);
	} while (n);
}

int tty_get(void)
{
	if (!ring_count(&input))
		pull();
	return ring_get(&input);
}

void tty_interruptible(bool on)
{
	interruptible = on;
	interrupted = false;
	interrupt_key = TTY_CTRL('C');
}

void tty_interrupt_also(char key)
{
	interrupt_key = (uint8_t)key;
}

bool tty_interrupted(void)
{
	pull();
	return interrupted;
}

bool tty_typed(void)
{
	return ring_count(&input);
}

/*
 * What was typed before and is not for the caller to take does not end the wait: it would become a
 * spin.
 */
void tty_wait(uint64_t deadline_ns)
{
	uint64_t tick = node_uptime_ns() + (port->set_receive ? TICK_NS : POLL_NS);
	uint32_t before = ring_count(&input);

	pull();
	if (ring_count(&input) == before)
		(void)WAITQ_WAIT(&wake, __atomic_exchange_n(&woken, false, __ATOMIC_ACQ_REL),
				 MIN(deadline_ns, tick));
}

void tty_wait_some(void)
{
	tty_wait(THREAD_FOREVER);
}

/* --- output */

void tty_write(const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n) {
		size_t room = port->space ? port->space() : 64;
		size_t part = MIN(n, room);

		if (part)
			port->write(p, part);
		p += part;
		n -= part;
		if (n && port->space) {
			pull();
			thread_sleep_ns(PACE_NS);
		}
	}
	sched_point();
}

void tty_text(const char *text)
{
	while (*text) {
		const char *end = strchr(text, '\n');
		size_t n = end ? (size_t)(end - text) : strlen(text);

		tty_write(text, n);
		text += n;
		if (end) {
			tty_write("\r\n", 2);
			text++;
		}
	}
}

void tty_print(const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	format_v(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	tty_text(buf);
}

/* --- the log */

bool tty_log_waiting(void)
{
	return __atomic_load_n(&log_new, __ATOMIC_ACQUIRE);
}

void tty_log_print(void)
{
	struct log_line line;
	char buf[sizeof(line.text) + 40];

	__atomic_store_n(&log_new, false, __ATOMIC_RELEASE);
	while (log_read(log_next, &line)) {
		log_next = line.sequence + 1;
		if (line.level > LOG_INFO)
			continue;
		log_format_line(&line, buf, sizeof(buf));
		tty_text(buf);
	}
}
