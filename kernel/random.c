/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Design. The state is a key of ChaCha20. Each use makes a stream from it, whose first bytes are
 * the next key, so that the old one is gone; the rest is given out. What is stirred in is put over
 * the key, and the key replaced by its stream. The chip's source is asked again after a while, the
 * time at each use.
 *
 * Locking. One lock (LOCK_LEAF) over the key, held for a few blocks at a time.
 */
#include "kernel/random.h"

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "lib/chacha.h"
#include "lib/string.h"

#define PIECE		256u		/* bytes that are given under the lock at once */
#define RESEED_BYTES	65536u
#define TRIES		10u		/* of RDRAND and RDSEED, which may have nothing */
#define JITTER_ROUNDS	512u

static struct spinlock lock = SPINLOCK_INIT("random", LOCK_LEAF);
static uint8_t key[CHACHA_KEY];
static size_t given;			/* since the chip's source was asked */

static void put_over(const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		key[i] ^= data[i];
}

/* The key's stream: the next key, and `n` bytes that are given out. */
static void stream(uint8_t *dst, size_t n)
{
	static const uint8_t nonce[12];
	uint8_t old[CHACHA_KEY], block[CHACHA_BLOCK];
	size_t part = MIN(n, (size_t)(CHACHA_BLOCK - CHACHA_KEY));

	memcpy(old, key, sizeof(old));
	chacha_block(old, 0, nonce, block);
	memcpy(key, block, sizeof(key));
	if (part)
		memcpy(dst, block + CHACHA_KEY, part);
	for (uint32_t i = 1; part < n; i++) {
		size_t more = MIN(n - part, (size_t)CHACHA_BLOCK);

		chacha_block(old, i, nonce, block);
		memcpy(dst + part, block, more);
		part += more;
	}
	memset(old, 0, sizeof(old));
	memset(block, 0, sizeof(block));
	__asm__ volatile("" :: "r"(old), "r"(block) : "memory");	/* they are cleared */
}

/* A word of the chip's; the time where it has none. */
static uint64_t word(void)
{
	uint64_t v;

	for (unsigned i = 0; i < TRIES; i++)
		if ((cpu_has(FEATURE_RDSEED) && cpu_rdseed(&v)) ||
		    (cpu_has(FEATURE_RDRAND) && cpu_rdrand(&v)))
			return v ^ tsc_read();
	return tsc_read();
}

static void reseed(void)
{
	uint64_t v[CHACHA_KEY / 8];

	for (unsigned i = 0; i < ARRAY_COUNT(v); i++)
		v[i] = word();
	put_over((const uint8_t *)v, sizeof(v));
	stream(NULL, 0);
	given = 0;
}

/* Adds what somebody could not foresee: it never makes the bytes worse. */
static void stir(const void *data, size_t n)
{
	const uint8_t *from = data;

	while (n) {
		size_t part = MIN(n, (size_t)CHACHA_KEY);
		uint64_t flags = spin_lock_irq(&lock);

		put_over(from, part);
		stream(NULL, 0);
		spin_unlock_irq(&lock, flags);
		from += part;
		n -= part;
	}
}

void random_get(void *dst, size_t n)
{
	uint8_t *to = dst;

	while (n) {
		size_t part = MIN(n, (size_t)PIECE);
		uint64_t flags = spin_lock_irq(&lock), now = tsc_read();

		if (given >= RESEED_BYTES)
			reseed();
		put_over((const uint8_t *)&now, sizeof(now));
		stream(to, part);
		given += part;
		spin_unlock_irq(&lock, flags);
		to += part;
		n -= part;
	}
}

/* How long the same work takes each time: caches, interrupts, clocks that drift. */
static void jitter(void)
{
	for (unsigned i = 0; i < JITTER_ROUNDS; i++) {
		uint64_t v = tsc_read();

		stir(&v, sizeof(v));
	}
}

void random_init(void)
{
	uint64_t flags;

	jitter();
	flags = spin_lock_irq(&lock);
	reseed();
	spin_unlock_irq(&lock, flags);
}
