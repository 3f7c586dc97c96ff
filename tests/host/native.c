/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/native.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern const uint8_t native_back[];

/* RSP is the code's own, too, which therefore jumps back. */
__asm__(".data\nnative_n: .quad 0\nnative_code: .quad 0\nnative_rsp: .quad 0\nnative_out: .quad 0\n"
	".text\n.globl native_run\nnative_run:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"mov %rdi, native_n(%rip)\n mov %rsi, native_code(%rip)\n"
	"cmpq $0, 136(%rdi)\n je 1f\n"
	".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"vmovdqu 144 + 32 * \\n(%rdi), %ymm\\n\n .endr\n"
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
	".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"vmovdqu %ymm\\n, 144 + 32 * \\n(%rdi)\n .endr\n vzeroupper\n1:\n"
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

static sigjmp_buf before;

static void on_divide_error(int signal)
{
	(void)signal;
	siglongjmp(before, 1);
}

/* There may be no stack where RSP points. */
bool native_divides(struct native *n, const uint8_t *page)
{
	static uint8_t stack[65536];
	struct sigaction action = { .sa_handler = on_divide_error, .sa_flags = SA_ONSTACK }, old;
	struct native kept = *n;
	bool faulted;

	sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
	sigaction(SIGFPE, &action, &old);
	faulted = sigsetjmp(before, 1);
	if (!faulted)
		native_run(n, page);
	else
		*n = kept;
	sigaction(SIGFPE, &old, NULL);
	return !faulted;
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
