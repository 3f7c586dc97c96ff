/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runtime of the guest kernels: one flat 64-bit program, ring 0, the low 4 GiB mapped one to
 * one. A kernel defines `void test_main(void)`, calls check() and skip() with the names of what it
 * tried, and returns: the run ends with exit value 0 when all passed or were skipped, 1 when
 * something failed, 2 when it went astray (an unexpected trap). The value goes to port 0xf4, so
 * QEMU's isa-debug-exit shows value<<1|1.
 */
#pragma once

#include "include/compiler.h"
#include "tests/guest/lib/insn.h"

/* Selectors of the GDT in start.asm. */
#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_CODE16	0x20
#define SEL_DATA16	0x28
#define SEL_UCODE	0x33
#define SEL_UDATA	0x3b
#define SEL_TSS		0x40
#define SEL_FREE	0x50

enum vector {
	VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF, VEC_TS = 10,
	VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM,
	VEC_SYSCALL = 0x80,
};

/* What a trap pushes; traps.asm knows this order. */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* How a call that may fault ended. `vector` is -1 when it returned. */
struct fault {
	int vector;
	uint32_t error;
	uint64_t rip, cr2, dr6, rflags, rsp;
};

void test_main(void);			/* the test's */

/* Results. */
void check(bool ok, const char *name, const char *format, ...) printf_like(3, 4);
void skip(const char *name, const char *why);
void bench(const char *name, uint64_t value);
noreturn void finish(int value);
noreturn void astray(const char *format, ...) printf_like(1, 2);
/* `want` == `got`, both shown when not. */
void check_equal(uint64_t got, uint64_t want, const char *name);
/* Is this fault (vector, error code) the wanted one? A vector of -1 means none. */
void check_fault(struct fault fault, int vector, uint32_t error, const char *name);

/* Output. %d %u %x %c %s %p, with l or ll, width and zero padding. */
void print(const char *format, ...) printf_like(1, 2);
void print_char(char c);

/*
 * Traps. A handler, where one is set, is asked first; then an armed fault_call() ends; else
 * the run goes astray.
 */
typedef void trap_fn(struct frame *frame);
void trap_set(unsigned vector, trap_fn *handler);
/* A handler that counts, and EOIs when vector >= 32. */
void trap_count_set(unsigned vector, unsigned *count);
void trap_ist_set(unsigned vector, unsigned ist);
uint64_t trap_ist_top(unsigned ist);	/* 1 to 3: the end of that stack */
void trap_entry_set(unsigned vector, void (*entry)(void));	/* raw gate, past the runtime */
void traps_init(void);			/* again, to take back trap_entry_set */
void traps_load(void);			/* the same table on another processor */
extern uint64_t trap_last_rip;

/* Ring 3 may use this port, below 1024, and no other. */
void tss_allow(uint16_t port);

/*
 * Calls fn(arg), catching a fault; user_call does it in ring 3, user_call_flags with these RFLAGS.
 */
typedef void call_fn(void *arg);
struct fault fault_call(call_fn *fn, void *arg);
struct fault user_call(call_fn *fn, void *arg);
struct fault user_call_flags(call_fn *fn, void *arg, uint64_t rflags);
/* Runs `code` (position-independent, ends in RET), in ring 0 or 3. */
struct fault code_call(const void *code, unsigned length, bool user);

struct fault rdmsr_try(uint32_t msr, uint64_t *value);
struct fault wrmsr_try(uint32_t msr, uint64_t value);
struct fault xsetbv_try(uint32_t index, uint64_t value);

/* Where we are. */
enum vendor { VENDOR_OTHER, VENDOR_INTEL, VENDOR_AMD };
enum vendor vendor(void);
bool on_keel(void);			/* Keel's leaf at 0x40000200 */
bool on_qemu_tcg(void);			/* QEMU's own signature in the hypervisor leaf, seen bare */
/* QEMU's TCG executes us, under Keel or not: it checks less than chips do. */
bool on_qemu_chip(void);
bool cpu_has_x2apic(void);
bool cpu_has_keys(void);

/* Multiboot. */
extern uint32_t boot_magic, boot_info;
const char *cmdline(void);
bool cmdline_has(const char *word);
uint64_t ram_end(void);			/* end of RAM below 4 GiB, from the memory map */

/* Tables. */
extern uint64_t boot_pml4[512], boot_pdpt[512], boot_pd[2048], gdt[];
extern char image_end[];

/* Little helpers. */
int compare(const void *a, const void *b, size_t count);
void *copy(void *to, const void *from, size_t count);
void *fill(void *to, int byte, size_t count);
bool text_equal(const char *a, const char *b);
void wait_ticks(uint64_t ticks);	/* TSC */
void random_seed(uint64_t seed);
uint64_t random_next(void);
