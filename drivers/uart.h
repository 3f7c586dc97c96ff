/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line, a 16550 at I/O ports or in memory, 8N1: the first way out, and a way in.
 * Which one it is decides drivers/serial.h. Polled from the first instruction on; uart_irq_start()
 * makes both directions interrupt-driven, or where no interrupt arrives driven by a timer. Received
 * bytes wait in a ring of 4 KiB, and when it is full in the chip and its sender, so nothing that is
 * typed is lost while others print. Output is queued in a ring of 16 KiB; who fills it faster than
 * the line drains it waits, polling both directions. Any context; LOCK_UART.
 * Source: National Semiconductor, "PC16550D".
 */
#pragma once

#include "include/compiler.h"

#define UART_CLOCK_HZ	1843200u	/* of every PC's ports: 115200 baud at most */

struct uart_port {
	uint16_t io;			/* of the first register, unless `memory` is there */
	volatile uint8_t *memory;	/* mapped, not cached */
	uint8_t stride;			/* bytes from one register in memory to the next, and of an
					 * access: 1, 2 or 4 */
	uint32_t baud;			/* 0: as the chip is set already */
	uint32_t clock_hz;		/* what the baud rate is divided from */
};

/*
 * Polled; moves from the port that was open before, whose interrupt is not in use yet. False when
 * there is no chip: then everything is dropped.
 */
bool uart_open(const struct uart_port *p);
bool uart_present(void);
/*
 * For the interrupt's handler, whose wire is routed and unmasked before uart_irq_start(). False
 * when the chip had not asked for it.
 */
bool uart_irq(void);
/*
 * Asks the chip for an interrupt. When none arrives a timer of this CPU polls from then on: false.
 * Interrupts on, no lock held, timers run.
 */
bool uart_irq_start(void);
/* By the timer from the start. */
void uart_poll_start(void);

/* Raw bytes. */
void uart_write(const void *data, size_t n);
/* Text, with \n sent as \r\n. */
void uart_text(const char *text, size_t n);
/* Bytes that uart_write() takes without waiting for the line. */
size_t uart_space(void);
/*
 * Takes what has arrived, up to n bytes; never waits. Thread context: also finds out when
 * interrupts have stopped.
 */
size_t uart_read(void *buf, size_t n);
/* Called from the interrupt after bytes have arrived, lock not held. */
void uart_set_receive(void (*fn)(void));
/* Waits until everything queued has left. */
void uart_flush(void);

/* For panic: polled, without the lock, what is queued goes first. */
void uart_panic_print(const char *text);
