; SPDX-License-Identifier: BSD-2-Clause
;
; Another processor's way to 64 bits, by the tables that start.asm made. What runs in real mode is
; copied to 0x8000; the rest stays where it is.

%define AT		0x8000
%define CR0_WANTED	0x80010023		; PG, WP, NE, MP, PE
%define CR4_PAE		0x20
%define MSR_EFER	0xc0000080
%define EFER_LME	0x100
%define STACK		16384
%define STACKS		8

section .text
global smp_code, smp_code_end
extern gdt, boot_pml4, smp_main

bits 16
smp_code:
	cli
	cld
	xor ax, ax
	mov ds, ax
	o32 lgdt [AT + .pointer - smp_code]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp dword 0x18:protected
.pointer:
	dw 0x4f					; up to the data of ring 3: no task state
	dd gdt
smp_code_end:

bits 32
protected:
	mov eax, 0x10
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov eax, cr4
	or eax, CR4_PAE
	mov cr4, eax
	mov eax, boot_pml4
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, CR0_WANTED
	mov cr0, eax
	jmp 0x08:.long

bits 64
.long:
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov edi, 1
	lock xadd [taken], edi			; 0 for the first of them
	cmp edi, STACKS
	jae .none
	inc edi
	mov eax, edi
	imul rax, rax, STACK
	lea rsp, [stacks + rax]
	xor ebp, ebp
	call smp_main
.none:	cli
	hlt
	jmp .none

section .bss
taken:	resd 1
	alignb 16
stacks:	resb STACKS * STACK
