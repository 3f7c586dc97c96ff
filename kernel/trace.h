/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the trace: a ring per CPU of fixed records {TSC, kind, three words}, cheap enough to be
 * always on (some eight instructions inline), dumped on panic and by a one-key diagnostic. Any
 * context; no lock.
 */
#pragma once

#include "cpu/percpu.h"

enum trace_kind {
	TRACE_NONE, TRACE_SWITCH, TRACE_WAKE, TRACE_IRQ, TRACE_IPI, TRACE_TIMER, TRACE_ENTRY,
	TRACE_EXIT, TRACE_INJECT,
	TRACE_FAULT, TRACE_CRASH, TRACE_KIND_COUNT
};

#define TRACE_RECORDS	256	/* per CPU, a power of two */

struct trace_record {
	uint64_t tsc;
	uint32_t kind;
	uint32_t a;
	uint64_t b, c;
};

struct trace_ring {
	uint64_t next;
	struct trace_record record[TRACE_RECORDS];
};

extern struct trace_ring trace_ring;	/* PERCPU */

static inline void trace(enum trace_kind kind, uint32_t a, uint64_t b, uint64_t c)
{
	struct trace_ring *r = &this_cpu(trace_ring);
	struct trace_record *t = &r->record[r->next++ % TRACE_RECORDS];

	t->tsc = __builtin_ia32_rdtsc();
	t->kind = kind;
	t->a = a;
	t->b = b;
	t->c = c;
}

/* Where who looks at the trace stands; too large for a stack. */
struct trace_cursor {
	uint64_t at[CPU_MAX], end[CPU_MAX];
};

const char *trace_kind_name(uint32_t kind);
/* Calls `fn` with the newest `count` records of every CPU, merged by time. */
void trace_walk(struct trace_cursor *cursor, unsigned count,
		void (*fn)(void *arg, unsigned cpu, const struct trace_record *r), void *arg);
/* Prints them through `print`; for panic. */
void trace_dump(unsigned count, void (*print)(const char *line));
