/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who serves a queue, without a lock: a byte that says whether somebody has the turn, and whether
 * somebody else came meanwhile. Who comes and does not get it leaves that note and goes; the owner
 * looks again before he is rid of it. 0: nobody has it. Any context.
 */
#pragma once

#include "include/compiler.h"

#define TURN_OWNED	1u
#define TURN_ASKED	2u		/* look again before you give it back */

/* True: it is ours. False: who has it will look again. */
static inline bool turn_take(uint8_t *turn)
{
	uint8_t old = __atomic_load_n(turn, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(turn, &old, old ? TURN_OWNED | TURN_ASKED : TURN_OWNED,
					    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return !old;
}

/* As turn_take(), but no note is left. */
static inline bool turn_try(uint8_t *turn)
{
	uint8_t free = 0;

	return __atomic_compare_exchange_n(turn, &free, TURN_OWNED, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* False: somebody has asked meanwhile; it stays ours. */
static inline bool turn_give(uint8_t *turn)
{
	uint8_t old = TURN_OWNED;

	if (__atomic_compare_exchange_n(turn, &old, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return true;
	__atomic_store_n(turn, TURN_OWNED, __ATOMIC_SEQ_CST);
	return false;
}

static inline bool turn_is_free(const uint8_t *turn)
{
	return !__atomic_load_n(turn, __ATOMIC_SEQ_CST);
}
