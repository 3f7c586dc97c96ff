/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host time; see cpu/tsc.h. The TSC is measured against a reference counter between two moments,
 * each read as TSC, reference, TSC: of several tries the tightest counts, so that an interruption
 * between the reads does no harm. The ratio to a crystal that CPUID tells is exact, and is taken if
 * it agrees with the measurement to a thousandth; its base frequency is a rounded number, good only
 * where there is nothing to measure by.
 * Source: Intel SDM 3, "Time-Stamp Counter", "Determining the Processor Base Frequency".
 */
#include "cpu/tsc.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/percpu.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"

#define REFERENCE_MAX	4
#define TRIES		8
/* The window grows until it is 50,000 times (20 ppm) what the readings leave open, or MAX long. */
#define WINDOW_MIN_US	2000
#define WINDOW_MAX_US	64000
#define WINDOW_FACTOR	50000
#define SKEW_ROUNDS	8
#define CORRECTIONS_MAX	3
#define PATIENCE_NS	1000000000

uint64_t tsc_hz, tsc_base, tsc_to_ns_mult, tsc_from_ns_mult;
bool tsc_invariant, tsc_synchronised = true;

static struct tsc_reference references[REFERENCE_MAX];
static unsigned reference_count;
static int64_t skew[CPU_MAX];

void tsc_add_reference(const struct tsc_reference *r)
{
	if (reference_count < REFERENCE_MAX)
		references[reference_count++] = *r;
}

/* ---- the PIT, if there is nothing better: channel 2, whose gate is ours, counts from 65536 --- */

#define PIT_HZ		1193182
#define PIT_CHANNEL2	0x42
#define PIT_COMMAND	0x43
#define PIT_GATE	0x61

static void pit_start(void)
{
	cpu_out8(PIT_GATE, (cpu_in8(PIT_GATE) & ~2) | 1);	/* gate on, speaker off */
	/* Channel 2, low then high byte, mode 2. */
	cpu_out8(PIT_COMMAND, 0xb4);
	cpu_out8(PIT_CHANNEL2, 0);
	cpu_out8(PIT_CHANNEL2, 0);
}

static uint64_t pit_read(void)
{
	unsigned low;

	cpu_out8(PIT_COMMAND, 0x80);	/* latch */
	low = cpu_in8(PIT_CHANNEL2);
	return -(low | (unsigned)cpu_in8(PIT_CHANNEL2) << 8) & 0xffff;
}

static const struct tsc_reference pit = { "PIT", PIT_HZ, 0xffff, pit_read };

/* ---- calibration ---- */

/* a * b / c, whose value fits. */
static uint64_t multiply_divide(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high;

	__asm__("mulq %2; divq %3" : "+&a"(a), "=&d"(high) : "r"(b), "r"(c) : "cc");
	return a;
}

struct moment {
	uint64_t tsc, reference;
	uint64_t width;		/* TSC ticks that the reading took */
};

static struct moment take_moment(const struct tsc_reference *r)
{
	struct moment best = { 0, 0, ~0ul };

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t before = tsc_read();
		uint64_t reference = r->read();
		uint64_t width = tsc_read() - before;

		if (width < best.width)
			best = (struct moment){ before + width / 2, reference, width };
	}
	return best;
}

/* Until the reference has gone on by `ticks` since `start`; false if it stands still. */
static bool wait_reference(const struct tsc_reference *r, uint64_t start, uint64_t ticks)
{
	uint64_t patience = tsc_read() + 20000000000ul;

	while (((r->read() - start) & r->mask) < ticks) {
		if (tsc_read() > patience)
			return false;
		cpu_pause();
	}
	return true;
}

/* 0 if the reference stands still. */
static uint64_t measure(const struct tsc_reference *r)
{
	struct moment start = take_moment(r), end;
	uint64_t tsc, ticks;

	for (uint64_t us = WINDOW_MIN_US;; us *= 2) {
		uint64_t window = MIN(us * r->hz / 1000000, r->mask / 4 * 3);

		if (!wait_reference(r, start.reference, window))
			return 0;
		end = take_moment(r);
		tsc = end.tsc - start.tsc;
		ticks = (end.reference - start.reference) & r->mask;
		/* Half of both readings, and one tick of the reference. */
		if (((start.width + end.width) / 2 + tsc / ticks) * WINDOW_FACTOR <= tsc ||
		    us >= WINDOW_MAX_US || window < us * r->hz / 1000000)
			return multiply_divide(tsc, r->hz, ticks);
	}
}

/* Chips that tell the ratio but not the crystal. */
static const struct {
	uint8_t model;		/* of Intel's family 6 */
	uint32_t hz;
} crystals[] = {
	{ 0x4e, 24000000 }, { 0x5e, 24000000 },		/* Skylake */
	{ 0x5c, 19200000 }, { 0x5f, 25000000 },		/* Goldmont, Denverton */
	{ 0x8e, 24000000 }, { 0x9e, 24000000 },		/* Kaby Lake, Coffee Lake */
};

static uint32_t known_crystal(void)
{
	if (features.vendor == VENDOR_INTEL && features.family == 6)
		for (unsigned i = 0; i < ARRAY_COUNT(crystals); i++)
			if (crystals[i].model == features.model)
				return crystals[i].hz;
	return 0;
}

/* The TSC's rate as CPUID tells it, exactly; 0 if it does not. */
static uint64_t exact_hz(void)
{
	struct cpuid_regs r;

	if (features.max_basic < 0x15)
		return 0;
	r = cpu_cpuid(0x15, 0);
	return r.eax ? (uint64_t)(r.ecx ?: known_crystal()) * r.ebx / r.eax : 0;
}

/* The same to some MHz. */
static uint64_t rounded_hz(void)
{
	return features.max_basic >= 0x16 ? (uint64_t)(cpu_cpuid(0x16, 0).eax & 0xffff) * 1000000
					  : 0;
}

/* 0 measured: nothing to measure by. */
static uint64_t settle(uint64_t measured)
{
	uint64_t exact = exact_hz(), claim = exact ?: rounded_hz();
	uint64_t difference = claim > measured ? claim - measured : measured - claim;

	if (!measured)
		return claim;
	if (exact && difference <= measured / 1000)
		return exact;
	if (claim && difference > measured / 10)
		errata_set(ERRATUM_CPUID_TSC_WRONG);
	return measured;
}

static const char *calibrate(void)
{
	uint64_t hz;

	for (unsigned i = 0; i < reference_count; i++) {
		hz = measure(&references[i]);
		if (hz) {
			tsc_hz = settle(hz);
			return references[i].name;
		}
		log_warn("tsc: the %s stands still", references[i].name);
	}
	pit_start();
	hz = measure(&pit);
	tsc_hz = settle(hz);
	return hz ? pit.name : "CPUID's word";
}

void tsc_init(void)
{
	const char *by = calibrate();

	if (tsc_hz < 1000000)
		panic("tsc: no reference to calibrate it by, and CPUID does not tell its rate");
	tsc_to_ns_mult = multiply_divide(1000000000, 1ul << 32, tsc_hz);
	tsc_from_ns_mult = multiply_divide(tsc_hz, 1ul << 32, 1000000000);
	tsc_base = tsc_read();
	tsc_invariant = cpu_has(FEATURE_INVARIANT_TSC);
	log_info("tsc: %lu.%03lu MHz by the %s%s", tsc_hz / 1000000, tsc_hz / 1000 % 1000, by,
		 errata_has(ERRATUM_CPUID_TSC_WRONG) ? "; CPUID says otherwise" : "");
	if (!tsc_invariant && errata_bed() == BED_CHIP)
		log_warn("tsc: not invariant: time drifts when the CPU changes its clock");
}

/* ---- skew ---- */

/*
 * A ball between two CPUs, on a line of its own: odd to ask, even to answer. After some rounds the
 * ball carries what the other shall add to its TSC; 0 ends the game.
 */
static struct {
	uint32_t turn;
	uint64_t answer;
	int64_t correction;
} aligned(64) ball;

/* Until the ball has come; false: the other CPU keeps it for longer than a living one would. */
static bool ball_wait(uint32_t turn)
{
	uint64_t start = tsc_read(), patience = tsc_from_ns(PATIENCE_NS);

	while (__atomic_load_n(&ball.turn, __ATOMIC_ACQUIRE) != turn) {
		if (tsc_read() - start > patience)
			return false;
		cpu_pause();
	}
	return true;
}

static void ball_throw(uint32_t turn)
{
	__atomic_store_n(&ball.turn, turn, __ATOMIC_RELEASE);
}

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

/* How far the other CPU is ahead; 0 where it is nearer than the way there and back tells. */
static bool measure_skew(uint32_t *turn, int64_t *ahead)
{
	uint64_t best = ~0ul;

	for (unsigned i = 0; i < SKEW_ROUNDS; i++, *turn += 2) {
		uint64_t start = tsc_read(), end;

		ball_throw(*turn + 1);
		if (!ball_wait(*turn + 2))
			return false;
		end = tsc_read();
		if (end - start >= best)
			continue;
		best = end - start;
		*ahead = (int64_t)(ball.answer - start - best / 2);
	}
	if (magnitude(*ahead) <= best / 2)
		*ahead = 0;
	return true;
}

bool tsc_skew_measure(unsigned cpu)
{
	unsigned corrections = cpu_has(FEATURE_TSC_ADJUST) ? CORRECTIONS_MAX : 0;
	uint32_t turn = 0;
	int64_t ahead = 0;

	ball_throw(0);
	for (;; corrections--) {
		if (!measure_skew(&turn, &ahead))
			return false;
		ball.correction = corrections ? -ahead : 0;
		ball_throw(turn + 1);
		if (!ball_wait(turn + 2))
			return false;
		turn += 2;
		if (!ball.correction)
			break;
		log_info("tsc: CPU %u was %ld ticks off CPU 0", cpu, ahead);
	}
	skew[cpu] = ahead;
	if (!ahead)
		return true;
	tsc_synchronised = false;
	log_warn("tsc: CPU %u is %ld ticks off CPU 0", cpu, ahead);
	return true;
}

bool tsc_skew_answer(void)
{
	int64_t correction;

	for (uint32_t turn = 0;;) {
		for (unsigned i = 0; i < SKEW_ROUNDS; i++, turn += 2) {
			if (!ball_wait(turn + 1))
				return false;
			ball.answer = tsc_read();
			ball_throw(turn + 2);
		}
		if (!ball_wait(turn + 1))
			return false;
		correction = ball.correction;
		if (correction)
			cpu_wrmsr(MSR_TSC_ADJUST,
				  cpu_rdmsr(MSR_TSC_ADJUST) + (uint64_t)correction);
		ball_throw(turn += 2);
		if (!correction)
			return true;
	}
}

int64_t tsc_skew(unsigned cpu)
{
	return cpu < CPU_MAX ? skew[cpu] : 0;
}
