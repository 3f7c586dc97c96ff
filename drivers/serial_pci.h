/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console on a PCI card's serial port; drivers/serial.h has the choice.
 */
#pragma once

#include "drivers/pci.h"

extern const struct pci_driver serial_pci;
