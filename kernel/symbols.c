/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of code addresses; see kernel/symbols.h. The table is sorted by offset from image_start.
 * The frame chain is followed as long as it stays in the kernel's half, rises, and its return
 * addresses are code.
 */
#include "kernel/symbols.h"

#include "include/addr.h"
#include "include/bits.h"

/* By tools/symtab, whose head tells what they are. */
extern const uint32_t symbol_count;
extern const struct symbol_block {
	uint32_t offset, name;
} symbol_blocks[];
extern const uint16_t symbol_distances[];
extern const uint8_t symbol_pairs[][2], symbol_names[];

#define BLOCK		32
#define FIRST_PAIR	128
#define PAIRS_DEEP	16

extern const char image_start[], text_start[], text_end[];

#define STACK_MAX	(64 * KIB)

static bool is_code(uint64_t a)
{
	return a >= (uint64_t)text_start && a < (uint64_t)text_end;
}

static void unpack(const uint8_t *from, char *name, size_t size)
{
	uint8_t left[PAIRS_DEEP];
	size_t length = 0;

	for (; *from; from++) {
		unsigned n = 0;

		left[n++] = *from;
		while (n) {
			uint8_t c = left[--n];

			if (c >= FIRST_PAIR) {
				left[n++] = symbol_pairs[c - FIRST_PAIR][1];
				left[n++] = symbol_pairs[c - FIRST_PAIR][0];
			} else if (length + 1 < size) {
				name[length++] = (char)c;
			}
		}
	}
	name[length] = 0;
}

bool symbols_find(uint64_t address, char *name, size_t size, uint64_t *offset)
{
	uint64_t at = address - (uint64_t)image_start;
	unsigned low = 0, high = DIV_UP(symbol_count, BLOCK), i;
	const uint8_t *from;

	if (!is_code(address) || !high || at < symbol_blocks[0].offset)
		return false;
	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (symbol_blocks[middle].offset <= at)
			low = middle;
		else
			high = middle;
	}
	at -= symbol_blocks[low].offset;
	from = symbol_names + symbol_blocks[low].name;
	high = MIN(low * BLOCK + BLOCK, symbol_count);
	for (i = low * BLOCK; i + 1 < high && symbol_distances[i + 1] <= at; i++)
		while (*from++)
			;
	*offset = at - symbol_distances[i];
	unpack(from, name, size);
	return true;
}

unsigned symbols_backtrace(uint64_t rbp, uint64_t *address, unsigned max)
{
	uint64_t first = rbp;
	unsigned n = 0;

	while (n < max && rbp >> 63 && IS_ALIGNED(rbp, 8ul) && rbp >= first &&
	       rbp - first < STACK_MAX) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (!is_code(frame[1]))
			break;
		address[n++] = frame[1];
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
	return n;
}
