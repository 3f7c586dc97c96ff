/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/native.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

__asm__(".data\nnative_n: .quad 0\nnative_code: .quad 0\n.text\n.globl native_run\nnative_run:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"mov %rdi, native_n(%rip)\n mov %rsi, native_code(%rip)\n push 128(%rdi)\n popfq\n"
	"mov 0(%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n"
	"mov 24(%rdi), %rbx\n mov 40(%rdi), %rbp\n"
	"mov 48(%rdi), %rsi\n mov 64(%rdi), %r8\n mov 72(%rdi), %r9\n"
	"mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n"
	"mov 96(%rdi), %r12\n mov 104(%rdi), %r13\n mov 112(%rdi), %r14\n"
	"mov 120(%rdi), %r15\n mov 56(%rdi), %rdi\n"
	"call *native_code(%rip)\n pushfq\n cld\n push %rdi\n mov native_n(%rip), %rdi\n"
	"mov %rax, 0(%rdi)\n mov %rcx, 8(%rdi)\n mov %rdx, 16(%rdi)\n"
	"mov %rbx, 24(%rdi)\n mov %rbp, 40(%rdi)\n"
	"mov %rsi, 48(%rdi)\n mov %r8, 64(%rdi)\n mov %r9, 72(%rdi)\n"
	"mov %r10, 80(%rdi)\n mov %r11, 88(%rdi)\n"
	"mov %r12, 96(%rdi)\n mov %r13, 104(%rdi)\n mov %r14, 112(%rdi)\n mov %r15, 120(%rdi)\n"
	"pop %rax\n mov %rax, 56(%rdi)\n pop %rax\n mov %rax, 128(%rdi)\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static sigjmp_buf before;

static void on_divide_error(int signal)
{
	(void)signal;
	siglongjmp(before, 1);
}

bool native_divides(struct native *n, const void *code)
{
	struct sigaction action = { .sa_handler = on_divide_error }, old;
	struct native kept = *n;
	bool faulted;

	sigaction(SIGFPE, &action, &old);
	faulted = sigsetjmp(before, 1);
	if (!faulted)
		native_run(n, code);
	else
		*n = kept;
	sigaction(SIGFPE, &old, NULL);
	return !faulted;
}

uint8_t *native_page(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}
