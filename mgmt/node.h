/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be asked of the machine itself: its CPUs, memory, interrupts, quirks, log. Results only.
 * Thread context.
 */
#pragma once

#include "cpu/irq.h"
#include "include/compiler.h"
#include "kernel/nodedev.h"
#include "mgmt/error.h"
#include "mgmt/records.h"

struct node_info {
	char model[64];			/* the chip's own words */
	char vendor[16];
	char back_end[8];		/* "SVM", "VMX"; "none" */
	char abilities[128];		/* of the back end */
	char mitigations[384];		/* against speculation, and what stays open */
	unsigned family, model_number, stepping;
	unsigned cpus, cpus_virtual;	/* up; and with SVM or VMX switched on */
	unsigned nodes;
	unsigned sockets, cores, threads;	/* cores of a socket, threads of a core */
	uint64_t memory;		/* bytes */
	uint64_t mhz;			/* of the TSC */
	bool tsc_invariant;
	unsigned physical_bits, linear_bits;
};

void node_info_get(struct node_info *out);
/* Features of the host's CPUs that Keel knows, one after the other from 0; NULL behind the last. */
const char *node_feature(unsigned i);
/* Features that guests have, by their libvirt names, likewise. */
const char *node_guest_feature(unsigned i);
/* Quirks found, likewise; *text says what is done about it. */
const char *node_erratum(unsigned i, const char **text);

struct node_cpu {
	bool virtual;
	int64_t tsc_skew;		/* ticks against CPU 0 */
	uint64_t busy_ns, idle_ns;
	uint64_t switches, steals;
	unsigned runnable;
};

/* -ENOENT behind the last. */
int node_cpu_get(unsigned cpu, struct node_cpu *out);

#define NODE_ALL (-1)

struct node_memory {			/* bytes */
	uint64_t total, free, dirty;	/* dirty: free and not yet scrubbed */
	uint64_t keel;			/* Keel's own; over all nodes */
	uint64_t heap;			/* of that, objects */
};

int node_memory_get(int node, struct node_memory *out);

/* The vectors in use, one after the other, as irq_next() gives them: 0 at the end. */
unsigned node_irq_next(unsigned from, struct irq_info *out);

/* The machine's devices, one after the other from 0; false behind the last. */
bool node_device(unsigned i, struct nodedev *out);
/* By libvirt's name; -ENOENT. */
int node_device_find(const char *name, struct nodedev *out);

struct node_trace {
	uint64_t time_ns;
	unsigned cpu;
	const char *kind;
	uint32_t a;
	uint64_t b, c;
};

/* The newest `count` records of every CPU's trace, merged by time, are added to `out`. */
void node_trace(unsigned count, struct records *out);

uint64_t node_uptime_ns(void);
const char *node_version(void);
const char *node_commit(void);		/* what it was built from */
const char *node_loader(void);		/* which boot loader, and Keel's command line */
const char *node_cmdline(void);
/* What is wrong with it, one after the other from 0; false behind the last. */
bool node_cmdline_error(unsigned i, char *text, size_t size);
const char *node_console(void);		/* which serial port, and how it was chosen */
