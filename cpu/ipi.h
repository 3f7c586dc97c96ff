/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: messages between CPUs.
 */
#pragma once

#include "include/compiler.h"

void ipi_send(unsigned cpu, unsigned vector);		/* cpu index; any context */
void ipi_send_others(unsigned vector);
void ipi_send_nmi_others(void);				/* panic stops the rest */
/*
 * Runs fn(arg) on every other CPU (in interrupt context there) and waits; thread context,
 * interrupts on.
 */
void ipi_call_others(void (*fn)(void *arg), void *arg);
void ipi_call(unsigned cpu, void (*fn)(void *arg), void *arg);
void ipi_init(void);					/* boot CPU, before the others start */
