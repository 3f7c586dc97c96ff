; SPDX-License-Identifier: BSD-2-Clause
;
; The context switch. Threads switch only by calling, so what the C ABI preserves is all there is to
; save; guest FPU and other state of the CPU are leave_cpu's business. The frame that switch_stacks
; leaves on a stack, and switch_prepare builds:
;
;	sp ->	r15 r14 r13 r12 rbx rbp  return address
;
; Source: System V ABI, AMD64 supplement, "Registers and the Stack Frame".

global switch_stacks
global switch_begin
global switch_prepare
extern sched_begin

section .text
bits 64

; void switch_stacks(uintptr_t *save_sp, uintptr_t sp). Interrupts off; returns on the other stack.
align 16
switch_stacks:
	push rbp
	push rbx
	push r12
	push r13
	push r14
	push r15
	mov [rdi], rsp
	mov rsp, rsi
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbx
	pop rbp
	ret

; uintptr_t switch_prepare(void *stack_top). The top is 16-byte aligned; RBP = 0 ends backtraces.
align 16
switch_prepare:
	lea rax, [rel switch_begin]
	mov [rdi - 8], rax
	xor ecx, ecx
%assign i 2
%rep 6
	mov [rdi - 8 * i], rcx
	%assign i i + 1
%endrep
	lea rax, [rdi - 8 * 7]
	ret

; A new thread's first instruction. The stack is 16-byte aligned here; the call makes it
; what C expects.
align 16
switch_begin:
	call sched_begin
	ud2
