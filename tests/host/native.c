/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/native.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

extern const uint8_t native_back[];

/* RSP is the code's own, too, which therefore jumps back. */
__asm__(".data\n.balign 64\nnative_own: .fill 1024\nnative_n: .quad 0\nnative_code: .quad 0\nnative_rsp: .quad 0\nnative_out: .quad 0\n"
	".text\n.globl native_run\nnative_run:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"mov %rdi, native_n(%rip)\n mov %rsi, native_code(%rip)\n"
	"cmpq $0, 136(%rdi)\n je 1f\n"
	"mov $7, %eax\n xor %edx, %edx\n"
	"xsave64 native_own(%rip)\n xrstor64 192(%rdi)\n"
	"1: push 128(%rdi)\n popfq\n"
	"mov %rsp, native_rsp(%rip)\n"
	"mov 0(%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n"
	"mov 24(%rdi), %rbx\n mov 32(%rdi), %rsp\n mov 40(%rdi), %rbp\n"
	"mov 48(%rdi), %rsi\n mov 64(%rdi), %r8\n mov 72(%rdi), %r9\n"
	"mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n"
	"mov 96(%rdi), %r12\n mov 104(%rdi), %r13\n mov 112(%rdi), %r14\n"
	"mov 120(%rdi), %r15\n mov 56(%rdi), %rdi\n"
	"jmp *native_code(%rip)\n.globl native_back\nnative_back:\n"
	"mov %rsp, native_out(%rip)\n mov native_rsp(%rip), %rsp\n"
	"pushfq\n cld\n push %rdi\n mov native_n(%rip), %rdi\n"
	"mov %rax, 0(%rdi)\n mov %rcx, 8(%rdi)\n mov %rdx, 16(%rdi)\n"
	"mov %rbx, 24(%rdi)\n mov %rbp, 40(%rdi)\n"
	"mov %rsi, 48(%rdi)\n mov %r8, 64(%rdi)\n mov %r9, 72(%rdi)\n"
	"mov %r10, 80(%rdi)\n mov %r11, 88(%rdi)\n"
	"mov %r12, 96(%rdi)\n mov %r13, 104(%rdi)\n mov %r14, 112(%rdi)\n mov %r15, 120(%rdi)\n"
	"mov native_out(%rip), %rax\n mov %rax, 32(%rdi)\n"
	"pop %rax\n mov %rax, 56(%rdi)\n pop %rax\n mov %rax, 128(%rdi)\n"
	"cmpq $0, 136(%rdi)\n je 1f\n"
	"mov $7, %eax\n xor %edx, %edx\n"
	"xsave64 192(%rdi)\n xrstor64 native_own(%rip)\n1:\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

uint8_t *native_page(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

void native_put(uint8_t *page, const void *code, size_t n)
{
	const uint8_t *back = native_back;

	memcpy(page, code, n);
	memcpy(page + n, "\xff\x25\0\0\0\0", 6);		/* jmp *0(%rip) */
	memcpy(page + n + 6, &back, sizeof(back));
}

/* In the kernel's order; their names in <ucontext.h> are taken. */
#define GREG_RIP	16
#define GREG_TRAPNO	20

static int vector;

/* The instruction's end, with all that it left. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal;
	(void)info;
	vector = (int)gregs[GREG_TRAPNO];
	gregs[GREG_RIP] = (greg_t)native_back;
}

/* There may be no stack where RSP points. */
int native_try(struct native *n, const uint8_t *page)
{
	static const int signals[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS };
	static uint8_t stack[65536];
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_ONSTACK | SA_SIGINFO };
	struct sigaction old[ARRAY_COUNT(signals)];

	sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
	for (unsigned i = 0; i < ARRAY_COUNT(signals); i++)
		sigaction(signals[i], &action, &old[i]);
	vector = -1;
	native_run(n, page);
	for (unsigned i = 0; i < ARRAY_COUNT(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	return vector;
}

static pthread_t adder;
static unsigned adder_rounds;

static void *add(void *counter)
{
	for (unsigned i = 0; i < adder_rounds; i++)
		__atomic_fetch_add((uint32_t *)counter, 1, __ATOMIC_RELAXED);
	return NULL;
}

void native_adder(uint32_t *counter, unsigned rounds)
{
	adder_rounds = rounds;
	if (pthread_create(&adder, NULL, add, counter))
		abort();
}

void native_adder_ends(void)
{
	pthread_join(adder, NULL);
}
