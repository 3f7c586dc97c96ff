/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vtco.h. Intel, "I/O Controller Hub 9 Family" datasheet, "TCO I/O Registers". A table says
 * which bits of each byte are there; those of status are cleared by writing 1.
 */
#include "vdev/vtco.h"

#include "include/bits.h"
#include "lib/string.h"

enum {
	RELOAD = 0x00, DATA_IN = 0x02, DATA_OUT = 0x03, STATUS1 = 0x04, STATUS2 = 0x06,
	CONTROL1 = 0x08, CONTROL2 = 0x0a, MESSAGES = 0x0c, BOOT_STATUS = 0x0e, IRQS = 0x10,
	INITIAL = 0x12,
};

#define STATUS1_TIMEOUT	0x08
#define STATUS2_SECOND	0x02
#define STATUS2_BOOT	0x04
#define CONTROL1_HIGH	(CONTROL1 + 1)
#define HALT		0x08	/* in CONTROL1_HIGH */
#define LOCK		0x10	/* stays */
#define LEFT_MAX	0x3ff
#define END_MAX		BIT(62)	/* of a saved state */

static const uint8_t bits[VTCO_SIZE] = {
	[DATA_IN] = 0xff, [DATA_OUT] = 0xff, [STATUS1] = STATUS1_TIMEOUT,
	[STATUS2] = STATUS2_SECOND | STATUS2_BOOT, [CONTROL1_HIGH] = HALT | LOCK | 0x02,
	[CONTROL2] = 0x3e, [MESSAGES] = 0xff, [MESSAGES + 1] = 0xff, [BOOT_STATUS] = 0xff,
	[IRQS] = 0x03, [INITIAL] = 0xff, [INITIAL + 1] = 0x03,
};

/* From fewer than two it does not count. */
static uint16_t initial(const struct vtco *t)
{
	uint16_t ticks = (uint16_t)(t->reg[INITIAL] | t->reg[INITIAL + 1] << 8);

	return ticks < 2 ? 0 : ticks;
}

static uint16_t left(const struct vtco *t, uint64_t now)
{
	if (!t->end)
		return t->left;
	return now < t->end ? (uint16_t)MIN(DIV_UP(t->end - now, VTCO_TICK_NS), LEFT_MAX + 0ul) : 0;
}

/* It goes on with so many ticks, or stands. */
static void set_left(struct vtco *t, uint16_t ticks, uint64_t now)
{
	t->left = ticks;
	t->end = !ticks || t->reg[CONTROL1_HIGH] & HALT ? 0 : now + ticks * VTCO_TICK_NS;
}

void vtco_reset(struct vtco *t)
{
	*t = (struct vtco){ .no_reboot = true };
	t->reg[CONTROL2] = 0x08;
	t->reg[IRQS] = 0x03;
	t->reg[INITIAL] = 4;
}

uint64_t vtco_read(const struct vtco *t, uint64_t offset, unsigned size, uint64_t now)
{
	uint8_t reg[VTCO_SIZE];
	uint16_t ticks = left(t, now);
	uint64_t v = 0;

	memcpy(reg, t->reg, sizeof(reg));
	memcpy(reg + RELOAD, &ticks, sizeof(ticks));
	memcpy(&v, reg + offset, size);
	return v;
}

static void write_byte(struct vtco *t, unsigned at, uint8_t v, uint64_t now)
{
	uint16_t ticks = left(t, now);
	uint8_t old = t->reg[at];

	if (at >= STATUS1 && at < CONTROL1)
		t->reg[at] = old & ~v;
	else
		t->reg[at] = (old & ~bits[at]) | (v & bits[at]);
	if (at == CONTROL1_HIGH) {
		t->reg[at] |= old & LOCK;
		set_left(t, ticks, now);
	} else if (at == RELOAD) {
		t->ended = 0;
		set_left(t, initial(t), now);
	}
}

void vtco_write(struct vtco *t, uint64_t offset, unsigned size, uint64_t value, uint64_t now)
{
	for (unsigned i = 0; i < size; i++)
		write_byte(t, (unsigned)offset + i, (uint8_t)(value >> 8 * i), now);
}

bool vtco_expire(struct vtco *t, uint64_t now)
{
	bool second = t->ended;

	if (!t->end || now < t->end)
		return false;
	t->reg[STATUS1] |= STATUS1_TIMEOUT;
	t->ended = !second;
	set_left(t, initial(t), now);
	if (second)
		t->reg[STATUS2] |= STATUS2_SECOND | STATUS2_BOOT;
	return second && !t->no_reboot;
}

void vtco_save(const struct vtco *t, struct record_writer *w)
{
	record_put(w, t->reg, sizeof(t->reg));
	record_put_bool(w, t->no_reboot);
	record_put_u8(w, t->ended);
	record_put_u16(w, t->left);
	record_put_u64(w, t->end);
}

bool vtco_load(struct vtco *t, struct record_reader *r)
{
	bool valid = true;

	record_get(r, t->reg, sizeof(t->reg));
	t->no_reboot = record_get_bool(r);
	t->ended = (uint8_t)record_get_below(r, 1, 1);
	t->left = (uint16_t)record_get_below(r, 2, LEFT_MAX);
	t->end = record_get_below(r, 8, END_MAX);
	for (unsigned i = 0; i < VTCO_SIZE; i++)
		valid &= !(t->reg[i] & ~bits[i]);
	return valid && !(t->end && (t->reg[CONTROL1_HIGH] & HALT || !t->left));
}
