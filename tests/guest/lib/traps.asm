; SPDX-License-Identifier: BSD-2-Clause
;
; The 256 ways into trap() and the ways out of a call that may fault. A frame is pushed as `struct
; frame` of guest.h has it.

bits 64
section .text
extern trap, fault_rsp
global trap_stubs, fault_call_asm, fault_resume, user_call_asm, user_return

%macro PUSH_ALL 0
	push rax
	push rcx
	push rdx
	push rbx
	push rbp
	push rsi
	push rdi
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
%endmacro

%macro POP_ALL 0
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rdi
	pop rsi
	pop rbp
	pop rbx
	pop rdx
	pop rcx
	pop rax
%endmacro

; One stub is 16 bytes long. Vectors with an error code: 8, 10 to 14, 17, 21, 29, 30.
	align 16
trap_stubs:
%assign vector 0
%rep 256
	align 16
%if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
	vector == 29 || vector == 30
%else
	push 0
%endif
	push strict dword vector
	jmp trap_common
%assign vector vector + 1
%endrep

	align 16
trap_common:
	PUSH_ALL
	cld
	mov rdi, rsp
	mov rbx, rsp
	and rsp, -16
	call trap
	mov rsp, rbx
	POP_ALL
	add rsp, 16
	iretq

%macro SAVE_CALLEE 0
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	pushfq
	push qword [fault_rsp]
	mov [fault_rsp], rsp
%endmacro

; int fault_call_asm(fn, arg): calls fn(arg); 0 if it returned, 1 if trap() sent us to fault_resume.
fault_call_asm:
	SAVE_CALLEE
	mov rax, rdi
	mov rdi, rsi
	call rax
	xor eax, eax
	jmp fault_out
fault_resume:
	mov eax, 1
fault_out:
	pop qword [fault_rsp]
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

; int user_call_asm(fn, arg, user_stack, rsp0_slot, rflags): the same in ring 3. fn comes
; back through INT 0x80.
user_call_asm:
	SAVE_CALLEE
	lea rax, [rsp - 64]
	mov [rcx], rax				; traps from ring 3 land below what we saved
	lea rax, [rel .back]
	sub rdx, 8
	mov [rdx], rax
	mov rax, rdi
	mov rdi, rsi
	push 0x38 | 3
	push rdx
	push r8
	push 0x30 | 3
	push rax
	iretq
.back:	int 0x80
user_return:
	xor eax, eax
	jmp fault_out
