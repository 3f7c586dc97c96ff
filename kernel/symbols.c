/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of code addresses; see kernel/symbols.h. The table is sorted by offset from image_start.
 * The frame chain is followed as long as it stays in the kernel's half, rises, and its return
 * addresses are code.
 */
#include "kernel/symbols.h"

#include "include/addr.h"
#include "include/bits.h"

struct symbol {
	uint32_t offset;	/* from image_start */
	uint32_t name;		/* in symbol_names */
};

/* By tools/symtab. */
extern const uint32_t symbol_count;
extern const struct symbol symbol_table[];
extern const char symbol_names[];

extern const char image_start[], text_start[], text_end[];

#define STACK_MAX	(64 * KIB)

static bool is_code(uint64_t a)
{
	return a >= (uint64_t)text_start && a < (uint64_t)text_end;
}

const char *symbols_find(uint64_t address, uint64_t *offset)
{
	uint64_t at = address - (uint64_t)image_start;
	unsigned low = 0, high = symbol_count;

	if (!is_code(address) || !high || at < symbol_table[0].offset)
		return NULL;
	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (symbol_table[middle].offset <= at)
			low = middle;
		else
			high = middle;
	}
	*offset = at - symbol_table[low].offset;
	return symbol_names + symbol_table[low].name;
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
