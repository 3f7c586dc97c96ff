; SPDX-License-Identifier: BSD-2-Clause
;
; World switch: void svm_enter(uint64_t *gpr, hpa_t vmcb, hpa_t host_vmcb).
; GIF is clear before and after. The guest's RAX, RSP, RIP and RFLAGS are in the VMCB; the chip
; keeps Keel's. VMLOAD and VMSAVE move what VMRUN leaves: FS, GS, TR, LDTR, KernelGsBase, STAR,
; LSTAR, CSTAR, SFMASK, SYSENTER. No policy here. After the exit no register but the callee-saved
; ones, which are restored, holds a value of the guest.
;
; svm_enter_armed(gpr, vmcb, host_vmcb, dr7) is the same for a guest with breakpoints on a bed whose
; exits do not disarm them (svm_debug.c). Between the two writes of DR7 nothing touches memory, and
; no breakpoint stands on these instructions.

%include "cpu/mitigation.inc"
%include "offsets.inc"

global svm_enter
global svm_enter_armed
global svm_armed_from
global svm_armed_to

section .text
bits 64

%macro LOAD_GUEST 0
	push	rbp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	push	rdi			; [rsp + 8]: gpr
	push	rdx			; [rsp]: host_vmcb
	mov	rax, rsi
	vmload
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
%endmacro

%macro STORE_GUEST 0
	mov	rax, [rsp + 8]
	mov	[rax + GPR_RDI * 8], rdi
	mov	[rax + GPR_RCX * 8], rcx
	mov	[rax + GPR_RDX * 8], rdx
	mov	[rax + GPR_RBX * 8], rbx
	mov	[rax + GPR_RBP * 8], rbp
	mov	[rax + GPR_RSI * 8], rsi
	mov	[rax + GPR_R8 * 8], r8
	mov	[rax + GPR_R9 * 8], r9
	mov	[rax + GPR_R10 * 8], r10
	mov	[rax + GPR_R11 * 8], r11
	mov	[rax + GPR_R12 * 8], r12
	mov	[rax + GPR_R13 * 8], r13
	mov	[rax + GPR_R14 * 8], r14
	mov	[rax + GPR_R15 * 8], r15
	pop	rax
	vmload				; Keel's own: GS is right from here on
	add	rsp, 8
	FILL_RETURN_STACK
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
%endmacro

align 16
svm_enter:
	LOAD_GUEST
	vmrun
	vmsave				; RAX is the VMCB's address again
	STORE_GUEST
	ret

align 16
svm_enter_armed:
	push	rsi			; the VMCB's address, above what LOAD_GUEST pushes
	push	rcx			; DR7
	LOAD_GUEST
	mov	cr2, rax		; VMRUN loads it anyway: a place that is no memory
	mov	rax, [rsp + 8 * 8]
	mov	dr7, rax
svm_armed_from:
	mov	rax, cr2
	vmrun
	mov	eax, DR7_RESET
	mov	dr7, rax
svm_armed_to:
	mov	rax, [rsp + 9 * 8]
	vmsave
	STORE_GUEST
	add	rsp, 16
	ret
