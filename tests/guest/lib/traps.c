/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps: the descriptor tables, who handles a vector, and calls that may fault. A fault is caught
 * by sending the trap frame back to the stack of the innermost fault_call() or user_call(), a
 * longjmp in all but name.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/guest.h"

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, zero;
};

struct tss {
	uint32_t zero0;
	uint64_t rsp[3], zero1, ist[7], zero2;
	uint16_t zero3, iomap;
	uint8_t ports[1024 / 8 + 1];
} packed;

#define STUB_SIZE	16
#define GATE_INTERRUPT	0x8e
#define GATE_USER	0xee
#define STACK_SIZE	8192

extern char trap_stubs[], fault_resume[], user_return[];
int fault_call_asm(call_fn *fn, void *arg);
int user_call_asm(call_fn *fn, void *arg, void *user_stack, void *rsp0, uint64_t rflags);
void trap(struct frame *frame);

uint64_t fault_rsp;			/* the innermost saved stack, 0 when none */
uint64_t trap_last_rip;

static struct gate idt[256] aligned(16);
static struct tss tss aligned(16);
static trap_fn *handlers[256];
static unsigned *counts[256];
static struct fault caught;
static uint8_t user_stack[STACK_SIZE] aligned(16);
static uint8_t ist_stacks[3][STACK_SIZE] aligned(16);
static uint8_t code_page[4096] aligned(4096);

static void gate_set(unsigned vector, uint64_t at, uint8_t type)
{
	idt[vector] = (struct gate){
		.offset_low = (uint16_t)at, .offset_mid = (uint16_t)(at >> 16),
		.offset_high = (uint32_t)(at >> 32), .selector = SEL_CODE64, .type = type,
	};
}

static uint64_t stub(unsigned vector)
{
	return (uint64_t)trap_stubs + vector * STUB_SIZE;
}

void traps_load(void)
{
	struct { uint16_t limit; uint64_t base; } packed pointer = {
		sizeof(idt) - 1, (uint64_t)idt,
	};

	__asm__ volatile("lidt %0" :: "m"(pointer) : "memory");
}

void traps_init(void)
{
	uint64_t base = (uint64_t)&tss;

	for (unsigned v = 0; v < 256; v++)
		gate_set(v, stub(v), GATE_INTERRUPT);
	gate_set(VEC_SYSCALL, stub(VEC_SYSCALL), GATE_USER);
	for (unsigned i = 0; i < 3; i++)
		tss.ist[i] = (uint64_t)ist_stacks[i] + STACK_SIZE;
	tss.iomap = sizeof(tss);
	gdt[SEL_TSS / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ul << 40 |
			   (base >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 1] = base >> 32;
	trap_ist_set(VEC_DF, 1);
	traps_load();
	__asm__ volatile("ltr %w0" :: "r"(SEL_TSS) : "memory");
}

void tss_allow(uint16_t port)
{
	fill(tss.ports, 0xff, sizeof(tss.ports));
	tss.ports[port / 8] &= (uint8_t)~(1u << port % 8);
	tss.iomap = offsetof(struct tss, ports);
}

void trap_set(unsigned vector, trap_fn *handler)
{
	handlers[vector] = handler;
	counts[vector] = NULL;
}

void trap_count_set(unsigned vector, unsigned *count)
{
	handlers[vector] = NULL;
	counts[vector] = count;
}

void trap_ist_set(unsigned vector, unsigned ist)
{
	idt[vector].ist = (uint8_t)ist;
}

uint64_t trap_ist_top(unsigned ist)
{
	return (uint64_t)ist_stacks[ist - 1] + STACK_SIZE;
}

void trap_entry_set(unsigned vector, void (*entry)(void))
{
	gate_set(vector, (uint64_t)entry, GATE_INTERRUPT);
}

static void resume_at(struct frame *frame, const char *rip)
{
	frame->rip = (uint64_t)rip;
	frame->cs = SEL_CODE64;
	frame->ss = SEL_DATA;
	frame->rsp = fault_rsp;
	frame->rflags &= ~(RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_AC);
}

static noreturn void unexpected(const struct frame *f)
{
	print("unexpected trap %lu error %lx rip %lx cs %lx rflags %lx rsp %lx cr2 %lx\n",
	      f->vector, f->error, f->rip, f->cs, f->rflags, f->rsp, cr2_read());
	print("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\n", f->rax, f->rbx, f->rcx,
	      f->rdx, f->rsi, f->rdi, f->rbp);
	astray("unexpected trap");
}

void trap(struct frame *frame)
{
	unsigned vector = (uint8_t)frame->vector;

	trap_last_rip = frame->rip;
	if (handlers[vector]) {
		handlers[vector](frame);
	} else if (counts[vector]) {
		(*counts[vector])++;
		if (vector >= 32)
			apic_eoi();
	} else if (vector == VEC_SYSCALL && fault_rsp) {
		resume_at(frame, user_return);
	} else if (vector < 32 && fault_rsp) {
		caught = (struct fault){
			.vector = (int)vector, .error = (uint32_t)frame->error, .rip = frame->rip,
			.cr2 = cr2_read(), .rflags = frame->rflags, .rsp = frame->rsp,
			.dr6 = vector == VEC_DB ? dr6_read() : 0,
		};
		resume_at(frame, fault_resume);
	} else {
		unexpected(frame);
	}
}

struct fault fault_call(call_fn *fn, void *arg)
{
	return fault_call_asm(fn, arg) ? caught : (struct fault){ .vector = -1 };
}

struct fault user_call_flags(call_fn *fn, void *arg, uint64_t rflags)
{
	uint8_t *top = user_stack + sizeof(user_stack);
	char *rsp0 = (char *)&tss + offsetof(struct tss, rsp);

	if (user_call_asm(fn, arg, top, rsp0, rflags))
		return caught;
	return (struct fault){ .vector = -1 };
}

struct fault user_call(call_fn *fn, void *arg)
{
	return user_call_flags(fn, arg, 2);
}

struct fault code_call(const void *code, unsigned length, bool user)
{
	call_fn *fn = (call_fn *)code_page;

	copy(code_page, code, length);
	__asm__ volatile("cpuid" : : "a"(0), "c"(0) : "ebx", "edx", "memory");
	return user ? user_call(fn, NULL) : fault_call(fn, NULL);
}

struct msr_access {
	uint32_t index;
	uint64_t value;
};

static void do_rdmsr(void *arg)
{
	struct msr_access *access = arg;

	access->value = rdmsr(access->index);
}

static void do_wrmsr(void *arg)
{
	struct msr_access *access = arg;

	wrmsr(access->index, access->value);
}

static void do_xsetbv(void *arg)
{
	struct msr_access *a = arg;

	__asm__ volatile("xsetbv" :: "c"(a->index), "a"((uint32_t)a->value),
			 "d"((uint32_t)(a->value >> 32)));
}

struct fault rdmsr_try(uint32_t msr, uint64_t *value)
{
	struct msr_access access = { msr, 0 };
	struct fault fault = fault_call(do_rdmsr, &access);

	if (value)
		*value = access.value;
	return fault;
}

struct fault wrmsr_try(uint32_t msr, uint64_t value)
{
	struct msr_access access = { msr, value };

	return fault_call(do_wrmsr, &access);
}

struct fault xsetbv_try(uint32_t index, uint64_t value)
{
	struct msr_access access = { index, value };

	return fault_call(do_xsetbv, &access);
}
