/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one command takes, from its row.
 */
#pragma once

#include "shell/command.h"

void help_print(const struct command *c);
