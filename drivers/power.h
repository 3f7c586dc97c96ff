/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's switch: off and reset, by ACPI where there is it, else by what PCs have always
 * had.
 */
#pragma once

#include "include/compiler.h"

/* Boot, early: panic=reboot can use it from here on. */
void power_init(void);
/*
 * Both silence the devices that are driven, send what the serial line still holds and stop the
 * other CPUs, and this one if all fails. Thread context, interrupts on.
 */
noreturn void power_off(void);
noreturn void power_reboot(void);
