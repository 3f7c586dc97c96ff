; SPDX-License-Identifier: BSD-2-Clause
;
; bios_call(vector): down to real mode, an INT, and back. The registers are those of bios_regs, in
; the order eax, ebx, ecx, edx, edi, and are put back there with the flags; ES is 0.

%define SEL_DATA	0x10
%define SEL_CODE32	0x18
%define SEL_CODE64	0x08
%define SEL_CODE16	0x20
%define SEL_DATA16	0x28
%define MSR_EFER	0xc0000080
%define EFER_LME	0x100
%define CR0_PG		0x80000000
%define CR0_PE		1
%define REAL		0x8000			; where this file's code is copied to
%define STACK16		0x7f00
%define at(label)	(REAL + (label) - real_start)

section .bss
alignb 8
saved_rsp:	resq 1
saved_idt:	resb 16

section .text
bits 64
global bios_call, bios_regs, real_start, real_end
extern boot_pml4, gdt_pointer
bios_call:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	pushfq
	cli
	mov [saved_rsp], rsp
	sidt [saved_idt]
	mov [at(vector)], dil
	mov rax, at(down)
	push SEL_CODE32
	push rax
	retfq

back:	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov rsp, [saved_rsp]
	lidt [saved_idt]
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

; From here on it runs at REAL.
real_start:
bits 32
down:	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov ecx, MSR_EFER
	rdmsr
	and eax, ~EFER_LME
	wrmsr
	jmp SEL_CODE16:at(narrow)
bits 16
narrow:	mov ax, SEL_DATA16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov eax, cr0
	and eax, ~CR0_PE
	mov cr0, eax
	jmp 0:at(real)
real:	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, STACK16
	lidt [at(real_idt)]
	mov eax, [at(bios_regs)]
	mov ebx, [at(bios_regs) + 4]
	mov ecx, [at(bios_regs) + 8]
	mov edx, [at(bios_regs) + 12]
	mov edi, [at(bios_regs) + 16]
	db 0xcd					; INT
vector:	db 0
	mov [at(bios_regs)], eax
	mov [at(bios_regs) + 4], ebx
	mov [at(bios_regs) + 8], ecx
	mov [at(bios_regs) + 12], edx
	mov [at(bios_regs) + 16], edi
	pushfd
	pop dword [at(bios_regs) + 20]
	cli
	mov eax, cr0
	or eax, CR0_PE
	mov cr0, eax
	jmp dword SEL_CODE32:at(up)
bits 32
up:	mov ax, SEL_DATA
	mov ds, ax
	mov ss, ax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, cr0
	or eax, CR0_PG
	mov cr0, eax
	jmp SEL_CODE64:back
align 4
real_idt:	dw 0x3ff
		dd 0
align 4
bios_regs:	times 6 dd 0
real_end:
