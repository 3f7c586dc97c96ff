/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/random.c lib/chacha.c tests/host/spinlock.c tests/host/percpu.c tests/host/panic.c
 * tests/host/log.c tests/host/tsc.c */
/*
 * ChaCha20 by its RFC's example; the generator: what it gives depends on all that went in, differs
 * each time, has no pattern that is easily seen, and the chip's source is asked, and done without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/random.h"
#include "lib/chacha.h"

struct features features;

static unsigned seeds, rands;
static bool dry;			/* RDSEED has nothing */

static bool entropy(uint64_t *v, bool seed)
{
	*v = 0x123456789abcdef0 + seeds + rands;
	if (seed)
		seeds++;
	else
		rands++;
	return !(dry && seed);
}

static void has(enum feature f, bool on)
{
	features.bits[f / 64] = (features.bits[f / 64] & ~BIT(f % 64)) | (uint64_t)on << f % 64;
}

/* RFC 8439, section 2.3.2. */
static void block(void **state)
{
	static const uint8_t nonce[12] = { 0, 0, 0, 9, 0, 0, 0, 0x4a };
	static const uint8_t want[CHACHA_BLOCK] = {
		0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20,
		0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a,
		0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2,
		0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9,
		0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
	};
	uint8_t key[CHACHA_KEY], out[CHACHA_BLOCK];

	(void)state;
	for (unsigned i = 0; i < CHACHA_KEY; i++)
		key[i] = (uint8_t)i;
	chacha_block(key, 1, nonce, out);
	assert_memory_equal(out, want, sizeof(want));
}

static void differs(void **state)
{
	uint8_t a[700], b[700];
	unsigned ones = 0, count[256] = { 0 };

	(void)state;
	random_init();
	random_get(a, sizeof(a));
	random_get(b, sizeof(b));		/* at the same time */
	for (unsigned i = 0; i + 32 <= sizeof(a); i++)
		assert_memory_not_equal(a + i, b, 32);
	for (unsigned i = 0; i < 200; i++) {
		random_get(a, sizeof(a));
		for (unsigned j = 0; j < sizeof(a); j++) {
			ones += bit_count(a[j]);
			count[a[j]]++;
		}
	}
	/* 140,000 bytes: 547 of each, 560,000 bits that are set. */
	assert_in_range(ones, 557000, 563000);
	for (unsigned i = 0; i < 256; i++)
		assert_in_range(count[i], 420, 680);
	random_get(a, 0);
}

/* Not a byte more than was asked for is written. */
static void sizes(void **state)
{
	uint8_t a[600];

	(void)state;
	for (size_t n = 0; n < 590; n++) {
		memset(a, 0x5a, sizeof(a));
		random_get(a, n);
		for (size_t i = n; i < sizeof(a); i++)
			assert_int_equal(a[i], 0x5a);
	}
}

static void source(void **state)
{
	uint8_t a[4096];

	(void)state;
	host_entropy = entropy;
	random_init();
	assert_int_equal(seeds + rands, 0);	/* the chip has neither */
	has(FEATURE_RDRAND, true);
	random_init();
	assert_int_equal(rands, 4);
	has(FEATURE_RDSEED, true);
	random_init();
	assert_int_equal(seeds, 4);
	assert_int_equal(rands, 4);
	dry = true;
	random_init();
	assert_int_equal(seeds, 8);
	assert_int_equal(rands, 8);
	has(FEATURE_RDRAND, false);
	random_init();				/* tries, and does without */
	assert_int_equal(seeds, 48);
	dry = false;
	for (unsigned i = 0; i < 32; i++)
		random_get(a, sizeof(a));
	assert_in_range(seeds, 52, 60);		/* every 64 KiB */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block), cmocka_unit_test(differs), cmocka_unit_test(sizes),
		cmocka_unit_test(source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
