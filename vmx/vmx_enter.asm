; SPDX-License-Identifier: BSD-2-Clause
;
; World switch: unsigned vmx_enter(uint64_t *gpr, bool launched).
; Interrupts are off before and after, the VMCS is current. The guest's RSP, RIP and RFLAGS are in
; the VMCS, which also brings Keel's control registers, segments and GS back. 0: an exit; 1: no
; current VMCS; 2: the VMCS was refused. No policy here. After the exit no register but the
; callee-saved ones, which are restored, holds a value of the guest.

%include "cpu/mitigation.inc"
%include "offsets.inc"

global vmx_enter
global vmx_exited

section .rodata
kernel_data_selector:
	dw	GDT_KERNEL_DATA

section .text
bits 64

align 16
vmx_enter:
	push	rbp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	push	rdi			; [rsp]: gpr
	mov	eax, VMCS_HOST_RSP
	vmwrite	rax, rsp
	CLEAR_BUFFERS
	test	sil, sil		; no move below changes the flags
	mov	rax, [rdi + GPR_RAX * 8]
	mov	rcx, [rdi + GPR_RCX * 8]
	mov	rdx, [rdi + GPR_RDX * 8]
	mov	rbx, [rdi + GPR_RBX * 8]
	mov	rbp, [rdi + GPR_RBP * 8]
	mov	rsi, [rdi + GPR_RSI * 8]
	mov	r8,  [rdi + GPR_R8 * 8]
	mov	r9,  [rdi + GPR_R9 * 8]
	mov	r10, [rdi + GPR_R10 * 8]
	mov	r11, [rdi + GPR_R11 * 8]
	mov	r12, [rdi + GPR_R12 * 8]
	mov	r13, [rdi + GPR_R13 * 8]
	mov	r14, [rdi + GPR_R14 * 8]
	mov	r15, [rdi + GPR_R15 * 8]
	mov	rdi, [rdi + GPR_RDI * 8]
	jnz	.resume
	vmlaunch
	jmp	.refused
.resume:
	vmresume
.refused:				; the guest's registers in memory are as they were
	setc	al
	setz	cl
	movzx	eax, al
	movzx	ecx, cl
	lea	eax, [rax + rcx * 2]
	add	rsp, 8
	jmp	clear

align 16
vmx_exited:				; HOST_RIP
	push	rdi
	mov	rdi, [rsp + 8]
	pop	qword [rdi + GPR_RDI * 8]
	mov	[rdi + GPR_RAX * 8], rax
	mov	[rdi + GPR_RCX * 8], rcx
	mov	[rdi + GPR_RDX * 8], rdx
	mov	[rdi + GPR_RBX * 8], rbx
	mov	[rdi + GPR_RBP * 8], rbp
	mov	[rdi + GPR_RSI * 8], rsi
	mov	[rdi + GPR_R8 * 8], r8
	mov	[rdi + GPR_R9 * 8], r9
	mov	[rdi + GPR_R10 * 8], r10
	mov	[rdi + GPR_R11 * 8], r11
	mov	[rdi + GPR_R12 * 8], r12
	mov	[rdi + GPR_R13 * 8], r13
	mov	[rdi + GPR_R14 * 8], r14
	mov	[rdi + GPR_R15 * 8], r15
	add	rsp, 8
	FILL_RETURN_STACK
	xor	eax, eax
clear:
	xor	ecx, ecx
	xor	edx, edx
	xor	esi, esi
	xor	edi, edi
	xor	r8d, r8d
	xor	r9d, r9d
	xor	r10d, r10d
	xor	r11d, r11d
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	pop	rbp
	ret
