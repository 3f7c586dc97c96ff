/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cpu/features.h"
#include "cpu/registers.h"
#include "include/errno.h"

uint8_t guest_ram[GUEST_RAM] aligned(4096);
uint8_t guest_device[GUEST_DEVICE_SIZE];
struct vm guest_vm;
struct vcpu guest_vcpu;
struct vcpu_mode guest_mode;
struct segment guest_segment[SEG_COUNT];
struct guest_log guest_log;
uint64_t guest_reg[REG_COUNT];
uint32_t guest_pkru;
uint8_t guest_fpu[1024] aligned(64);
void (*guest_peeked)(gpa_t a, unsigned access);
struct features features;

/* ---- guest memory */

bool gmem_is_ram(struct gmem *g, gpa_t a, unsigned access)
{
	(void)g;
	(void)access;
	return a.v < GUEST_RAM;
}

void *gmem_peek(struct gmem *g, gpa_t a, unsigned access)
{
	if (guest_peeked)
		guest_peeked(a, access);
	return gmem_is_ram(g, a, access) ? guest_ram + a.v : NULL;
}

int gmem_fault(struct gmem *g, gpa_t a, unsigned access)
{
	return gmem_is_ram(g, a, access) ? 0 : -ENOENT;
}

/* ---- the device and the ports: what lies beyond reads ones */

static void log_access(unsigned size)
{
	unsigned n = guest_log.reads + guest_log.writes;

	if (n < ARRAY_COUNT(guest_log.sizes))
		guest_log.sizes[n] = size;
}

uint64_t exit_mmio_read(struct vcpu *vcpu, gpa_t a, unsigned size)
{
	uint64_t v = ~0ul;

	(void)vcpu;
	log_access(size);
	guest_log.reads++;
	if (range_within(a.v, size, GUEST_DEVICE, GUEST_DEVICE_SIZE)) {
		v = 0xdead000000000000;		/* the emulator must not look above `size` */
		memcpy(&v, guest_device + (a.v - GUEST_DEVICE), size);
	}
	return v;
}

void exit_mmio_write(struct vcpu *vcpu, gpa_t a, unsigned size, uint64_t value)
{
	(void)vcpu;
	log_access(size);
	guest_log.writes++;
	if (range_within(a.v, size, GUEST_DEVICE, GUEST_DEVICE_SIZE))
		memcpy(guest_device + (a.v - GUEST_DEVICE), &value, size);
}

/* A port counts how often it was read. */
uint64_t bus_read(struct vm *vm, enum host_space space, uint64_t address, unsigned size)
{
	(void)vm;
	(void)space;
	(void)size;
	return address + guest_log.ports++;
}

void bus_write(struct vm *vm, enum host_space space, uint64_t address, unsigned size,
	       uint64_t value)
{
	(void)vm;
	(void)space;
	(void)size;
	(void)address;
	guest_log.ports++;
	memcpy(guest_device + (guest_log.ports * size) % 4096, &value, size);
}

unsigned guest_string;

unsigned bus_read_string(struct vm *vm, unsigned port, unsigned size, void *to, unsigned n)
{
	n = MIN(n, guest_string);
	for (unsigned i = 0; i < n; i++) {
		uint64_t v = bus_read(vm, HOST_PORT, port, size);

		memcpy((char *)to + i * size, &v, size);
	}
	guest_log.strings += n != 0;
	return n;
}

unsigned bus_write_string(struct vm *vm, unsigned port, unsigned size, const void *from,
			  unsigned n)
{
	n = MIN(n, guest_string);
	for (unsigned i = 0; i < n; i++) {
		uint64_t v = 0;

		memcpy(&v, (const char *)from + i * size, size);
		bus_write(vm, HOST_PORT, port, size, v);
	}
	guest_log.strings += n != 0;
	return n;
}

/* ---- the vCPU */

void event_queue(struct vcpu *vcpu, const struct event *e)
{
	(void)vcpu;
	guest_log.event = *e;
	guest_log.events++;
}

void event_exception(struct vcpu *vcpu, unsigned vector)
{
	event_queue(vcpu, &(struct event){ .valid = true,
					   .type = EVENT_EXCEPTION,
					   .vector = (uint8_t)vector });
}

void event_exception_error(struct vcpu *vcpu, unsigned vector, uint32_t error)
{
	event_queue(vcpu, &(struct event){ .valid = true,
					   .type = EVENT_EXCEPTION,
					   .vector = (uint8_t)vector,
					   .has_error = true,
					   .error = error });
}

void event_debug(struct vcpu *vcpu, uint64_t dr6_bits)
{
	event_queue(vcpu, &(struct event){ .valid = true,
					   .type = EVENT_EXCEPTION,
					   .vector = EXC_DB,
					   .payload = dr6_bits });
}

void vcpu_next(struct vcpu *vcpu, unsigned length)
{
	vcpu->rip += length;
	guest_log.length = length;
	guest_log.nexts++;
}

void vcpu_request(struct vcpu *vcpu, uint32_t request)
{
	vcpu->requests |= request;
}

void vm_crash(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	(void)vm;
	va_start(ap, fmt);
	vsnprintf(guest_log.crash, sizeof(guest_log.crash), fmt, ap);
	va_end(ap);
	guest_log.crashes++;
}

PERCPU bool sched_wanted_flag;

/* ---- the back end */

static void mode(struct vcpu *vcpu, struct vcpu_mode *out)
{
	(void)vcpu;
	*out = guest_mode;
}

static bool code64(struct vcpu *vcpu, uint64_t *cr3, uint64_t *cr4)
{
	(void)vcpu;
	if (guest_mode.bits != 64)
		return false;
	*cr3 = guest_mode.cr3;
	*cr4 = guest_mode.cr4;
	return true;
}

static void segment_get(struct vcpu *vcpu, enum seg s, struct segment *out)
{
	(void)vcpu;
	*out = guest_segment[s];
}

static void segment_set(struct vcpu *vcpu, enum seg s, const struct segment *in)
{
	(void)vcpu;
	guest_segment[s] = *in;
}

static uint64_t segment_base(struct vcpu *vcpu, enum seg s)
{
	(void)vcpu;
	return guest_segment[s].base;
}

static uint64_t reg_get(struct vcpu *vcpu, enum reg r)
{
	(void)vcpu;
	return guest_reg[r];
}

static void reg_set(struct vcpu *vcpu, enum reg r, uint64_t v)
{
	(void)vcpu;
	guest_reg[r] = v;
}

/* It is never loaded. */
uint32_t fpu_pkru_loaded(void)
{
	__builtin_trap();
}

uint32_t fpu_pkru_saved(const void *area)
{
	(void)area;
	return guest_pkru;
}

void vcpu_put_state(struct vcpu *vcpu)
{
	(void)vcpu;
}

static void flush_tlb(struct vcpu *vcpu)
{
	(void)vcpu;
	guest_log.flushes++;
}

static const struct vmm_ops ops = { .mode = mode,
				    .code64 = code64,
				    .segment_get = segment_get,
				    .segment_set = segment_set,
				    .segment_base = segment_base,
				    .reg_set = reg_set,
				    .flush_tlb = flush_tlb,
				    .reg_get = reg_get };
/* The same chip, but one that loads PDPTEs. */
static const struct vmm_ops loading = { .loads_pdptes = true,
					.mode = mode,
					.code64 = code64,
					.segment_get = segment_get,
					.segment_set = segment_set,
					.segment_base = segment_base,
					.reg_set = reg_set,
					.flush_tlb = flush_tlb,
					.reg_get = reg_get };
const struct vmm_ops *vmm_ops = &ops;

/* ---- setting up */

static void entry(uint64_t table, unsigned index, uint64_t v)
{
	memcpy(guest_ram + table + index * 8, &v, 8);
}

/* Tables at 2M: RAM on itself by 2M pages, the device by 4K pages. */
static void map(void)
{
	const uint64_t t = 2 * MIB;

	entry(t, 0, (t + 0x1000) | 7);
	entry(t + 0x1000, 0, (t + 0x2000) | 7);
	entry(t + 0x2000, 0, 0x83);
	entry(t + 0x2000, 1, 0x83 | 2 * MIB);
	entry(t + 0x1000, 1, (t + 0x3000) | 7);
	entry(t + 0x3000, 0, (t + 0x4000) | 7);
	entry(t + 0x4000, 0, GUEST_DEVICE | 7);
	entry(t + 0x4000, 1, (GUEST_DEVICE + 4096) | 7);
	entry(t + 0x4000, 2, 0x300000 | 7);
	guest_mode.cr3 = t;
}

void guest_reset(void)
{
	if (!percpu_distance[0])
		host_percpu_init(1);
	emulate_vcpu_fini(&guest_vcpu);
	memset(guest_ram, 0, sizeof(guest_ram));
	memset(guest_device, 0, sizeof(guest_device));
	memset(&guest_vcpu, 0, sizeof(guest_vcpu));
	memset(&guest_log, 0, sizeof(guest_log));
	memset(guest_segment, 0, sizeof(guest_segment));
	memset(guest_reg, 0, sizeof(guest_reg));
	guest_pkru = 0;
	memset(guest_fpu, 0, sizeof(guest_fpu));
	guest_peeked = NULL;
	vmm_ops = &ops;
	features.physical_bits = 40;
	features.bits[FEATURE_PAGE_1G / 64] |= BIT(FEATURE_PAGE_1G % 64);
	guest_vcpu.vm = &guest_vm;
	guest_vcpu.hw.fpu = guest_fpu;
	guest_vcpu.exit_now = &guest_vcpu.exits[0];
	guest_vcpu.rflags = RFLAGS_ONE;
	guest_vcpu.rip = 0x1000;
	guest_mode = (struct vcpu_mode){ .cr0 = CR0_PE | CR0_PG | CR0_WP,
					 .cr4 = CR4_PAE,
					 .bits = 64,
					 .long_mode = true,
					 .efer = EFER_LME | EFER_LMA | EFER_NXE };
	map();
	if (emulate_vcpu_init(&guest_vcpu))
		__builtin_trap();
}

void guest_loads_pdptes(void)
{
	vmm_ops = &loading;
}

void guest_flat(unsigned bits)
{
	guest_mode = (struct vcpu_mode){ .cr0 = bits == 16 ? 0 : CR0_PE, .bits = (uint8_t)bits };
	for (unsigned s = 0; s < SEG_COUNT; s++)
		guest_segment[s] =
			bits == 16 ? (struct segment){ .limit = 0xffff, .attr = SEG_P | SEG_S | 3 }
				   : (struct segment){ .limit = 0xffffffff,
						       .attr = SEG_P | SEG_S | SEG_DB | SEG_G |
							       (s == SEG_CS ? 11 : 3) };
}

void guest_code(const void *bytes, size_t n)
{
	memcpy(guest_ram + 0x1000, bytes, n);
	guest_vcpu.rip = 0x1000;
}
