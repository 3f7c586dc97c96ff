/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chip's real-time clock, read once at boot; wall time goes on by Keel's own clock from there.
 */
#pragma once

#include "include/compiler.h"

void rtc_init(void);
uint64_t rtc_wall_ns(void);	/* since 1970, UTC (the RTC is taken to run in UTC) */
