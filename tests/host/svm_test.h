/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the unit tests of the SVM back end: a vCPU with its VMCB, and stand-ins for what the
 * back end calls. Each links the same files of svm/.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/registers.h"
#include "cpu/tsc.h"
#include "kernel/trace.h"
#include "svm/svm.h"
#include "tests/host/memory.h"
#include "vmm/machine.h"

static struct vmcb vmcb;
static struct svm_vcpu arch;
static struct cpuid_policy policy;
static struct vm vm = { .cpuid = &policy };
static struct vcpu vcpu;
static bool multimatch, breakpoints_stay, no_detect;
static unsigned shutdowns, crashes, machine_checks;
static int pending_vector, extint = -1;

struct features features;
struct trace_ring trace_ring PERCPU;
static const struct vmm_ops ops = { .reg_get = svm_reg_get };
const struct vmm_ops *vmm_ops = &ops;
PERCPU bool sched_wanted_flag;

bool errata_has(enum erratum e)
{
	return (e == ERRATUM_SVM_BREAKPOINTS_STAY && breakpoints_stay) ||
	       (e == ERRATUM_SVM_NO_GENERAL_DETECT && no_detect) ||
	       (e == ERRATUM_SVM_TLB_MULTIMATCH && multimatch);
}

/* ---- what svm_vcpu.c stands on ---- */

struct svm_cpu svm_cpu PERCPU;
hpa_t svm_iopm, svm_msrpm;

hpa_t gmem_root(const struct gmem *g)
{
	(void)g;
	return HPA(0x5000);
}

uint64_t fpu_xcr0(void)
{
	return 0;
}

uint64_t fpu_xcr0_refuse(uint64_t xcr0, uint64_t allowed)
{
	return xcr0 & allowed;
}

size_t fpu_area_size(void)
{
	return 512;
}

void fpu_area_init(void *area)
{
	memset(area, 0, 512);
}

void fpu_save(void *area)
{
	(void)area;
}

uint32_t fpu_pkru_loaded(void)
{
	return 0x55;
}

uint32_t fpu_pkru_saved(const void *area)
{
	return *(const uint32_t *)area;
}

int fpu_restore(const void *area)
{
	(void)area;
	return 0;
}

void mitigation_vm_load(uint64_t vm)
{
	(void)vm;
}

/* ---- what svm_debug.c stands on ---- */

__asm__(".globl svm_armed_from, svm_armed_to\nsvm_armed_from: .zero 4\nsvm_armed_to:");

void svm_enter(uint64_t *gpr, hpa_t v, hpa_t host_vmcb)
{
	(void)gpr;
	(void)v;
	(void)host_vmcb;
}

static uint64_t entered_with;

void svm_enter_armed(uint64_t *gpr, hpa_t v, hpa_t host_vmcb, uint64_t dr7)
{
	(void)gpr;
	(void)v;
	(void)host_vmcb;
	entered_with = dr7;
}

static struct {
	unsigned n, length;
	bool write;
} decoded;

void vcpu_next(struct vcpu *v, unsigned length)
{
	v->rip += length;
}

/* The operand is RBX. */
unsigned emulate_decode_mov_dr(struct vcpu *v, unsigned *dr, bool *write, enum gpr *r)
{
	(void)v;
	*dr = decoded.n;
	*write = decoded.write;
	*r = GPR_RBX;
	return decoded.length;
}

/* ---- what svm_inject.c stands on ---- */

int vlapic_pending(struct vcpu *v)
{
	(void)v;
	return pending_vector;
}

void vlapic_accept(struct vcpu *v, unsigned vector)
{
	assert_int_equal((int)vector, pending_vector);
	pending_vector = -1;
	v->vlapic.irr[0] = 0;
}

bool vlapic_blocked_by_tpr(const struct vcpu *v)
{
	return v->vlapic.tpr;
}

bool vlapic_extint_open(const struct vcpu *v)
{
	(void)v;
	return true;
}

int machine_extint_acknowledge(struct vcpu *v)
{
	(void)v;
	return extint;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn, .cpu = -1 };
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	t->cpu = 0;
	t->deadline_ns = deadline_ns;
}

void timer_cancel_sync(struct timer *t)
{
	t->cpu = -1;
}

static unsigned kicks;

void ipi_send(unsigned cpu, unsigned vector)
{
	assert_int_equal(cpu, 0);
	(void)vector;
	kicks++;
}

void exit_shutdown(struct vcpu *v)
{
	(void)v;
	shutdowns++;
}

void vm_crash(struct vm *v, const char *format, ...)
{
	(void)v;
	(void)format;
	crashes++;
}

/* The real one does not come back. */
void trap_machine_check(void)
{
	machine_checks++;
}

void vcpu_request(struct vcpu *v, uint32_t request)
{
	v->requests |= request;
}

/* As VMRUN wants it: 64-bit code with paging. */
static inline int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&arch, 0, sizeof(arch));
	memset(&vcpu, 0, sizeof(vcpu));
	arch.vmcb = &vmcb;
	vcpu.arch = &arch;
	hwstate_reset(&vcpu.hw);
	svm_nmi_init(&vcpu);
	vcpu.vm = &vm;
	vmcb.efer = EFER_SVME | EFER_LME | EFER_LMA;
	vmcb.cr0 = CR0_PE | CR0_PG | CR0_ET;
	vmcb.cr4 = CR4_PAE;
	vmcb.asid = 1;
	vmcb.n_cr3 = 0x1000;
	svm_intercept_set(&vmcb, INTERCEPT_VMRUN, true);
	pending_vector = extint = -1;
	vcpu.rflags = RFLAGS_ONE | RFLAGS_IF;
	return 0;
}
