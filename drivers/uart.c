/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line; see drivers/uart.h. One routine, pump(), moves bytes both ways between the chip
 * and the rings, whether an interrupt, a timer, a poll or a full ring calls it. Receive interrupts
 * go off while the receive ring is full: the bytes then stay in the chip, and behind it flow
 * control holds the sender.
 *
 * The chip's INTR is the OR of its causes and its wire is usually edge triggered: an edge is seen
 * only after the line was low. So the handler goes on until the chip says that no cause is left.
 * And no interrupt may be relied upon: the wire may be another or none at all, as behind a
 * management controller. One is asked for at the start, those that are overdue later are counted,
 * and without them a timer does their work. Who reads or asks for room pumps as well.
 */
#include "drivers/uart.h"

#include "cpu/cpu.h"
#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/timer.h"
#include "lib/string.h"

enum reg {
	REG_DATA, REG_IER, REG_IIR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR,
	REG_FCR = REG_IIR,		/* when written */
	REG_DLL = REG_DATA, REG_DLM = REG_IER,	/* while LCR_DLAB */
};

#define IER_RECEIVE	0x01
#define IER_TRANSMIT	0x02
#define IIR_NONE	0x01		/* no cause is pending */
#define IIR_FIFO	0xc0
#define FCR_ENABLE	0x01
#define FCR_CLEAR	0x06
#define FCR_TRIGGER_8	0x80
#define LCR_8N1		0x03
#define LCR_DLAB	0x80
#define MCR_DTR_RTS_OUT2 0x0b		/* OUT2 lets the interrupt through */
#define LSR_DATA	0x01
#define LSR_EMPTY	0x20		/* the transmit FIFO */
#define LSR_IDLE	0x40

#define FIFO_SIZE	16
#define RX_SIZE		4096
#define TX_SIZE		16384
#define PATIENCE	1000000		/* polls; a line that is stuck that long drops output */
#define IRQ_ROUNDS	64		/* of pump() in one interrupt */
#define IRQ_TEST_NS	100000000	/* how long the first interrupt may take */
#define OVERDUE_NS	20000000	/* between two polls that count as finding one overdue */
#define OVERDUE_MAX	5		/* in a row: there are none any more */
#define POLL_NS		1000000		/* less than a full receive FIFO takes at 115200 baud */

/* Who calls pump(). */
enum mode {
	MODE_DIRECT,			/* who prints, until all has left */
	MODE_IRQ,
	MODE_TIMER,
};

static struct spinlock lock = SPINLOCK_INIT("uart", LOCK_UART);
static struct uart_port port;
static enum mode mode;
static bool present, rx_unseen;
static unsigned fifo_depth;
static unsigned overdue;		/* polls since the last interrupt that found one overdue */
static uint64_t overdue_ns;		/* when the newest was */
static struct timer poll_timer;
static uint8_t ier;
static uint8_t rx[RX_SIZE], tx[TX_SIZE];
/* Free-running; head is where bytes enter. */
static uint32_t rx_head, rx_tail, tx_head, tx_tail;
static uint64_t interrupts;
static void (*receive_hook)(void);

static uint8_t reg_in(enum reg r)
{
	volatile void *at = port.memory + r * port.stride;

	if (!port.memory)
		return cpu_in8((uint16_t)(port.io + r));
	switch (port.stride) {
	case 4:
		return (uint8_t)*(volatile uint32_t *)at;
	case 2:
		return (uint8_t)*(volatile uint16_t *)at;
	default:
		return *(volatile uint8_t *)at;
	}
}

static void reg_out(enum reg r, uint8_t v)
{
	volatile void *at = port.memory + r * port.stride;

	if (!port.memory) {
		cpu_out8((uint16_t)(port.io + r), v);
		return;
	}
	switch (port.stride) {
	case 4:
		*(volatile uint32_t *)at = v;
		break;
	case 2:
		*(volatile uint16_t *)at = v;
		break;
	default:
		*(volatile uint8_t *)at = v;
	}
}

static void set_ier(uint8_t v)
{
	if (v == ier)
		return;
	ier = v;
	reg_out(REG_IER, v);
}

/* Management controllers' chips may lack the scratch register: the interrupt enables do too. */
static bool probe(void)
{
	uint8_t none, all;

	reg_out(REG_SCR, 0x5a);
	reg_out(REG_IER, 0);
	none = reg_in(REG_IER);
	reg_out(REG_IER, 0x0f);
	all = reg_in(REG_IER);
	reg_out(REG_IER, 0);
	return (none & 0x0f) == 0 && ((all & 0x0f) == 0x0f || reg_in(REG_SCR) == 0x5a);
}

static void set_baud(void)
{
	uint32_t divisor;

	if (!port.baud)
		return;
	divisor = MAX((port.clock_hz / 8 / port.baud + 1) / 2, 1u);
	reg_out(REG_LCR, LCR_DLAB);
	reg_out(REG_DLL, (uint8_t)divisor);
	reg_out(REG_DLM, (uint8_t)(divisor >> 8));
}

bool uart_open(const struct uart_port *p)
{
	uint64_t flags = spin_lock_irq(&lock);

	port = *p;
	mode = MODE_DIRECT;
	ier = 0;
	present = probe();
	if (present) {
		set_baud();
		reg_out(REG_LCR, LCR_8N1);
		reg_out(REG_FCR, FCR_ENABLE | FCR_TRIGGER_8);
		reg_out(REG_MCR, MCR_DTR_RTS_OUT2);
		fifo_depth = (reg_in(REG_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_SIZE : 1;
	}
	spin_unlock_irq(&lock, flags);
	return present;
}

bool uart_present(void)
{
	return present;
}

static void pump_receive(uint8_t lsr)
{
	uint32_t before = rx_head;

	for (; (lsr & LSR_DATA) && rx_head - rx_tail < RX_SIZE; lsr = reg_in(REG_LSR))
		rx[rx_head++ % RX_SIZE] = reg_in(REG_DATA);
	rx_unseen |= rx_head != before;
}

static void pump_send(uint8_t lsr)
{
	if (!(lsr & LSR_EMPTY))
		return;
	for (unsigned n = 0; n < fifo_depth && tx_head != tx_tail; n++)
		reg_out(REG_DATA, tx[tx_tail++ % TX_SIZE]);
}

static void choose_interrupts(void)
{
	if (mode == MODE_IRQ)
		set_ier((rx_head - rx_tail < RX_SIZE ? IER_RECEIVE : 0) |
			(tx_head != tx_tail ? IER_TRANSMIT : 0));
}

/* The status is read again for sending: the FIFO may have run empty while bytes were taken. */
static void pump(void)
{
	pump_receive(reg_in(REG_LSR));
	pump_send(reg_in(REG_LSR));
	choose_interrupts();
}

/* Releases the lock, and then tells of what has arrived. */
static void unlock_and_tell(void)
{
	bool unseen = rx_unseen;

	rx_unseen = false;
	spin_unlock(&lock);
	if (unseen && receive_hook)
		receive_hook();
}

bool uart_irq(void)
{
	unsigned rounds = 0;
	bool pending, asked = false;

	spin_lock(&lock);
	interrupts++;
	overdue = 0;
	do {
		pending = !(reg_in(REG_IIR) & IIR_NONE);
		asked |= pending;
		pump();
	} while (pending && ++rounds < IRQ_ROUNDS);
	/* Enough for one interrupt: the line goes low and makes another edge for the rest. */
	if (pending) {
		reg_out(REG_IER, 0);
		reg_out(REG_IER, ier);
	}
	unlock_and_tell();
	return asked;
}

static void poll_tick(struct timer *t)
{
	spin_lock(&lock);
	pump();
	unlock_and_tell();
	if (READ_ONCE(mode) == MODE_TIMER)
		timer_set(t, clock_ns() + POLL_NS);
}

void uart_poll_start(void)
{
	uint64_t flags;

	if (!present)
		return;
	flags = spin_lock_irq(&lock);
	set_ier(0);
	mode = MODE_TIMER;
	spin_unlock_irq(&lock, flags);
	timer_init(&poll_timer, poll_tick);
	timer_set(&poll_timer, clock_ns() + POLL_NS);
}

bool uart_irq_start(void)
{
	uint64_t flags, before, end;

	if (!present)
		return false;
	uart_flush();
	flags = spin_lock_irq(&lock);
	before = interrupts;
	mode = MODE_IRQ;
	/* The transmitter is idle, which is a cause as soon as it is asked for. */
	set_ier(IER_RECEIVE | IER_TRANSMIT);
	spin_unlock_irq(&lock, flags);
	end = clock_ns() + IRQ_TEST_NS;
	while (READ_ONCE(interrupts) == before)
		if (clock_ns() < end) {
			cpu_pause();
		} else {
			uart_poll_start();
			return false;
		}
	return true;
}

/*
 * Looked at before a poll pumps, lock held: the transmitter has asked for an interrupt that nobody
 * has seen. True when that has happened too often.
 */
static bool irq_is_gone(void)
{
	uint64_t now = clock_ns();

	if (mode != MODE_IRQ || !(ier & IER_TRANSMIT) || now - overdue_ns < OVERDUE_NS ||
	    !(reg_in(REG_LSR) & LSR_EMPTY))
		return false;
	overdue_ns = now;
	return ++overdue >= OVERDUE_MAX;
}

/*
 * Until at most `left` bytes are queued. What is received meanwhile is told by the interrupt that
 * sends the rest.
 */
static void drain(uint32_t left)
{
	unsigned patience = PATIENCE;

	while (tx_head - tx_tail > left && --patience) {
		uint32_t before = tx_tail;

		pump();
		if (tx_tail != before)
			patience = PATIENCE;
		else
			cpu_pause();
	}
	if (!patience) {
		tx_tail = tx_head - left;
		choose_interrupts();
	}
}

static void queue(const uint8_t *p, size_t n)
{
	while (n--) {
		if (tx_head - tx_tail == TX_SIZE)
			drain(TX_SIZE / 2);
		tx[tx_head++ % TX_SIZE] = *p++;
	}
}

static void queue_text(const char *text, size_t n)
{
	for (; n--; text++) {
		if (*text == '\n')
			queue((const uint8_t *)"\r", 1);
		queue((const uint8_t *)text, 1);
	}
}

/* Everything leaves now, or an interrupt or the timer carries on. */
static void kick(void)
{
	if (mode == MODE_DIRECT) {
		drain(0);
	} else {
		pump_send(reg_in(REG_LSR));
		choose_interrupts();
	}
}

void uart_write(const void *data, size_t n)
{
	uint64_t flags;

	if (!present)
		return;
	flags = spin_lock_irq(&lock);
	queue(data, n);
	kick();
	spin_unlock_irq(&lock, flags);
}

void uart_text(const char *text, size_t n)
{
	uint64_t flags;

	if (!present)
		return;
	flags = spin_lock_irq(&lock);
	queue_text(text, n);
	kick();
	spin_unlock_irq(&lock, flags);
}

size_t uart_space(void)
{
	uint64_t flags;

	if (present && READ_ONCE(tx_head) != READ_ONCE(tx_tail)) {
		flags = spin_lock_irq(&lock);
		pump();
		spin_unlock_irq(&lock, flags);
	}
	return TX_SIZE - (READ_ONCE(tx_head) - READ_ONCE(tx_tail));
}

size_t uart_read(void *buf, size_t n)
{
	uint8_t *p = buf;
	uint64_t flags;
	bool gone;
	size_t i;

	if (!present)
		return 0;
	flags = spin_lock_irq(&lock);
	gone = irq_is_gone();
	pump();
	for (i = 0; i < n && rx_head != rx_tail; i++)
		p[i] = rx[rx_tail++ % RX_SIZE];
	rx_unseen &= rx_head != rx_tail;
	choose_interrupts();
	spin_unlock_irq(&lock, flags);
	if (gone) {
		uart_poll_start();
		log_warn("uart: its interrupts have stopped, polling");
	}
	return i;
}

void uart_set_receive(void (*fn)(void))
{
	receive_hook = fn;
}

void uart_flush(void)
{
	uint64_t flags;
	unsigned patience = PATIENCE;

	if (!present)
		return;
	flags = spin_lock_irq(&lock);
	drain(0);
	while (!(reg_in(REG_LSR) & LSR_IDLE) && --patience)
		cpu_pause();
	spin_unlock_irq(&lock, flags);
}

/* The terminal may be a guest's: out of a sequence that it has not finished, and of its colours. */
static const char plain[] = "\x18\x1b\\\x1b[!p\x1b[m";

void uart_panic_print(const char *text)
{
	static bool begun;

	if (!present)
		return;
	mode = MODE_DIRECT;
	if (!begun)
		queue((const uint8_t *)plain, sizeof(plain) - 1);
	begun = true;
	queue_text(text, strlen(text));
	drain(0);
}
