/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MC146818 at ports 70h/71h; see rtc.h. Boot CPU only, once. Source: Motorola MC146818A data
 * sheet, "Address Map".
 */
#include "drivers/rtc.h"

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "lib/string.h"

#define RTC_INDEX	0x70
#define RTC_DATA	0x71

enum {
	RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9,
	RTC_A = 10, RTC_B = 11,
};

#define RTC_A_UPDATING	BIT(7)
#define RTC_B_24H	BIT(1)
#define RTC_B_BINARY	BIT(2)
#define RTC_HOURS_PM	BIT(7)

static const uint8_t fields[] = {
	RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_DAY, RTC_MONTH, RTC_YEAR,
};

static uint64_t boot_wall_ns;

static uint8_t rtc_read(uint8_t reg)
{
	cpu_out8(RTC_INDEX, reg);
	return cpu_in8(RTC_DATA);
}

static void read_fields(uint8_t out[sizeof(fields)])
{
	for (unsigned tries = 0; tries < 100000 && rtc_read(RTC_A) & RTC_A_UPDATING; tries++)
		cpu_pause();
	for (unsigned i = 0; i < sizeof(fields); i++)
		out[i] = rtc_read(fields[i]);
}

static unsigned decode(uint8_t v, bool binary)
{
	return binary ? v : (v >> 4) * 10u + (v & 15);
}

/*
 * Days from 1970-01-01 to the given date (Howard Hinnant's civil calendar: the year
 * begins in March).
 */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy;

	y -= m <= 2;
	era = y / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void rtc_init(void)
{
	uint8_t a[sizeof(fields)], b[sizeof(fields)];
	uint8_t mode = rtc_read(RTC_B);
	bool binary = mode & RTC_B_BINARY;
	unsigned hours, v[sizeof(fields)];
	uint64_t days;

	/* Twice the same: no update came between. */
	for (unsigned tries = 0; tries < 8; tries++) {
		read_fields(a);
		read_fields(b);
		if (!memcmp(a, b, sizeof(a)))
			break;
	}
	for (unsigned i = 0; i < sizeof(fields); i++)
		v[i] = decode(b[i], binary);
	hours = decode(b[2] & ~RTC_HOURS_PM, binary);
	if (!(mode & RTC_B_24H))
		hours = hours % 12 + (b[2] & RTC_HOURS_PM ? 12 : 0);
	if (v[4] < 1 || v[4] > 12 || v[3] < 1 || v[3] > 31)
		return;		/* no clock there, or a dead battery: 1970 */
	/* Two digits, 1970 to 2069: the century stands elsewhere on each machine, or nowhere. */
	days = (uint64_t)days_from_civil((v[5] < 70 ? 2000 : 1900) + v[5], v[4], v[3]);
	boot_wall_ns = (days * 86400 + hours * 3600 + v[1] * 60 + v[0]) * 1000000000ul - clock_ns();
}

uint64_t rtc_wall_ns(void)
{
	return boot_wall_ns + clock_ns();
}
