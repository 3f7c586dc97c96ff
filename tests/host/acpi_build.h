/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds ACPI tables in a small physical memory for tests: the RSDP at 0, the XSDT (or RSDT) at
 * 0x100, tables behind.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define MEMORY_SIZE	0x10000u
#define ROOT_AT		0x100u

static uint8_t memory[MEMORY_SIZE];
static uint32_t memory_end, root_width;

static inline void put(uint32_t at, uint64_t v, unsigned size)
{
	memcpy(memory + at, &v, size);
}

static inline void checksum(uint32_t at, uint32_t n, uint32_t where)
{
	uint8_t s = 0;

	memory[where] = 0;
	for (uint32_t i = 0; i < n; i++)
		s = (uint8_t)(s + memory[at + i]);
	memory[where] = (uint8_t)-s;
}

static inline void seal_table(uint32_t at, const char *signature, uint32_t length)
{
	memcpy(memory + at, signature, 4);
	put(at + 4, length, 4);
	checksum(at, length, at + 9);
}

/* revision 2: with XSDT; 0: with RSDT. */
static inline void build_begin(unsigned revision)
{
	memset(memory, 0, sizeof(memory));
	root_width = revision >= 2 ? 8 : 4;
	memcpy(memory, "RSD PTR ", 8);
	memcpy(memory + 9, "KEEL  ", 6);
	memory[15] = (uint8_t)revision;
	put(16, revision >= 2 ? 0 : ROOT_AT, 4);
	put(20, 36, 4);
	put(24, revision >= 2 ? ROOT_AT : 0, 8);
	checksum(0, 20, 8);
	checksum(0, 36, 32);
	seal_table(ROOT_AT, revision >= 2 ? "XSDT" : "RSDT", 36);
	memory_end = 0x400;
}

/* Appends a table without naming it in the root; returns where it is. */
static inline uint32_t build_loose(const char *signature, const void *body, uint32_t n)
{
	uint32_t at = memory_end;

	memcpy(memory + at + 36, body, n);
	seal_table(at, signature, 36 + n);
	memory_end = (at + 36 + n + 15) & ~15u;
	return at;
}

static inline uint32_t build_table(const char *signature, const void *body, uint32_t n)
{
	uint32_t at = build_loose(signature, body, n), length;

	memcpy(&length, memory + ROOT_AT + 4, 4);
	put(ROOT_AT + length, at, root_width);
	seal_table(ROOT_AT, root_width == 8 ? "XSDT" : "RSDT", length + root_width);
	return at;
}
