/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives each network card of Intel's e1000 family that there is for a moment: mapping, reset,
 * interrupts of every kind to every CPU, and back. Part of kernel/selftest.c's, for machines whose
 * cards are nobody's.
 */
#pragma once

#include "include/compiler.h"

/* Thread context, all CPUs up. Logs what came; true when all did, or there was no card. */
bool pci_selftest(void);
