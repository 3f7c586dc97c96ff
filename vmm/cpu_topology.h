/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a VM's vCPUs are arranged: threads in cores, cores in sockets. The APIC ids follow from it,
 * with a field of whole bits for each level, so that they have gaps where a level's count is no
 * power of two. Pure.
 * Sources: Intel SDM 3, "Hierarchical Mapping of Shared Resources"; AMD APM 3, "Extended Topology
 * Enumeration".
 */
#pragma once

#include "include/bits.h"
#include "include/compiler.h"

#define CPU_TOPOLOGY_TEXT	64

struct cpu_topology {
	unsigned sockets;
	unsigned cores;			/* of a socket */
	unsigned threads;		/* of a core */
};

/* From "2 sockets, 4 cores, 2 threads"; what is not named is 1. False: it is not that. */
bool cpu_topology_parse(struct cpu_topology *t, const char *text, size_t n) must_check;
void cpu_topology_format(const struct cpu_topology *t, char buf[CPU_TOPOLOGY_TEXT]);

static inline uint64_t cpu_topology_vcpus(const struct cpu_topology *t)
{
	return (uint64_t)t->sockets * t->cores * t->threads;
}

static inline unsigned cpu_topology_bits(unsigned count)
{
	return count > 1 ? bit_highest(count - 1) + 1 : 0;
}

/* Of an APIC id, those that tell the threads of a core, and the vCPUs of a socket, apart. */
static inline unsigned cpu_topology_thread_bits(const struct cpu_topology *t)
{
	return cpu_topology_bits(t->threads);
}

static inline unsigned cpu_topology_socket_bits(const struct cpu_topology *t)
{
	return cpu_topology_thread_bits(t) + cpu_topology_bits(t->cores);
}

/* Of vCPU `index`; they rise with it. */
static inline uint32_t cpu_topology_apic_id(const struct cpu_topology *t, unsigned index)
{
	unsigned core = index / t->threads;

	return core / t->cores << cpu_topology_socket_bits(t) |
	       core % t->cores << cpu_topology_thread_bits(t) | index % t->threads;
}
