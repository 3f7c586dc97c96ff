/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line, a 16550 at 0x3f8, 115200 8N1: the only way in and out. Polled from the first
 * instruction on; uart_irq_start() makes both directions interrupt-driven, or where no interrupt
 * arrives driven by a timer. Received bytes wait in a ring of 4 KiB, and when it is full in the
 * chip and its sender, so nothing that is typed is lost while others print. Output is queued in a
 * ring of 16 KiB; who fills it faster than the line drains it waits, polling both directions. Any
 * context; LOCK_UART.
 * Source: National Semiconductor, "PC16550D".
 */
#pragma once

#include "include/compiler.h"

#define UART_IRQ	4	/* ISA line, IOAPIC input by way of the MADT */

/* Polled; also when there is no chip: then everything is dropped. */
void uart_init(void);
bool uart_present(void);
/* The line's interrupt handler, to be routed and unmasked by the caller before uart_irq_start(). */
void uart_irq(void *arg);
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
void uart_print(const char *text);
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

struct uart_stats {
	uint64_t received, sent, overruns;	/* overruns: bytes the chip lost */
	uint64_t interrupts;
};
void uart_stats_get(struct uart_stats *out);
