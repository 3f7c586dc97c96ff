; SPDX-License-Identifier: BSD-2-Clause
;
; Ends of a guest that only 32-bit protected mode can have: die32() goes there for good. EDI says
; how.

%define SEL_DATA	0x10
%define SEL_CODE32	0x18
%define SEL_TASK	0x60			; an available 32-bit TSS
%define USER_CODE	0x53			; ring 3, 32 bit, at 0x50
%define USER_DATA	0x3b
%define MSR_EFER	0xc0000080
%define EFER_LME	0x100
%define CR0_PG		0x80000000
%define CR0_AM		0x40000
%define FLAGS_AC	0x40000

section .bss
alignb 16
idt32:		resb 256 * 8
way:		resd 1
		resb 4096
stack32:
user_stack32:	resb 4096
user_top32:

section .data
idt32_pointer:	dw 256 * 8 - 1
		dd idt32

section .text
bits 64
global die32
; void die32(int way): 0 is the #AC loop, 1 a task switch, 2 an invalid task.
die32:
	mov [way], edi
	push SEL_CODE32
	push .compat
	retfq
bits 32
.compat:
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov esp, stack32
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov ecx, MSR_EFER
	rdmsr
	and eax, ~EFER_LME
	wrmsr
	lidt [idt32_pointer]
	cmp dword [way], 1
	je .task
	ja .invalid

; #AC's gate leads to ring 3, where the stack is odd and alignment is checked: pushing the frame
; raises the next #AC.
	mov eax, ac_handler
	mov [idt32 + 17 * 8], ax
	mov word [idt32 + 17 * 8 + 2], USER_CODE
	mov word [idt32 + 17 * 8 + 4], 0xee00
	shr eax, 16
	mov [idt32 + 17 * 8 + 6], ax
	mov eax, cr0
	or eax, CR0_AM
	mov cr0, eax
	push USER_DATA
	push user_top32 - 3
	push FLAGS_AC | 2
	push USER_CODE
	push user32
	iret
user32:	mov ax, USER_DATA
	mov ds, ax
	mov eax, [user_stack32 + 1]
.here:	jmp .here				; a chip without #AC comes here
ac_handler:
	jmp ac_handler

die32.task:
	jmp SEL_TASK:0
.here:	jmp .here

die32.invalid:
	mov dword [idt32 + 13 * 8], 0
	jmp 0x68:0
.here:	jmp .here
