; SPDX-License-Identifier: BSD-2-Clause
;
; Where a guest kernel begins: the way from 32 to 64 bits, and the tables that the way needs. All of
; the low 4 GiB are mapped one to one, writable and open to ring 3, in pages of 2 MiB. A test that
; wants other tables builds its own.

%define CR0_PE		1
%define CR0_MP		2
%define CR0_NE		0x20
%define CR0_WP		0x10000
%define CR0_PG		0x80000000
%define CR4_PAE		0x20
%define MSR_EFER	0xc0000080
%define EFER_LME	0x100
%define PTE_PWU		7			; present, writable, user
%define PTE_LARGE	0x80

section .text
bits 32
global start32
extern main64, boot_magic, boot_info

; Multiboot's entry: EAX magic, EBX information, protected mode without paging. Interrupts are off.
start32:
	cld
	mov esp, stack_top
	mov [boot_magic], eax
	mov [boot_info], ebx

	mov eax, PTE_PWU | PTE_LARGE		; 2048 pages of 2 MiB
	mov edi, boot_pd
	mov ecx, 2048
.pd:	mov [edi], eax
	add eax, 0x200000
	add edi, 8
	loop .pd
	mov eax, boot_pd + PTE_PWU
	mov edi, boot_pdpt
	mov ecx, 4
.pdpt:	mov [edi], eax
	add eax, 0x1000
	add edi, 8
	loop .pdpt
	mov dword [boot_pml4], boot_pdpt + PTE_PWU

	mov eax, cr4
	or eax, CR4_PAE
	mov cr4, eax
	mov eax, boot_pml4
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, cr0
	or eax, CR0_PG | CR0_PE | CR0_WP | CR0_NE | CR0_MP
	mov cr0, eax
	lgdt [gdt_pointer]
	jmp 0x08:.long

bits 64
.long:
	mov eax, 0x10
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov rsp, stack_top
	xor ebp, ebp
	call main64
.end:	hlt
	jmp .end

section .data
	align 16
global gdt, gdt_pointer
; The selectors stand in guest.h.
gdt:
	dq 0
	dq 0x00af9b000000ffff			; 0x08 code, 64 bit
	dq 0x00cf93000000ffff			; 0x10 data, flat
	dq 0x00cf9b000000ffff			; 0x18 code, 32 bit
	dq 0x00009b000000ffff			; 0x20 code, 16 bit, base 0
	dq 0x000093000000ffff			; 0x28 data, 16 bit, base 0
	dq 0x00affb000000ffff			; 0x30 code, 64 bit, ring 3
	dq 0x00cff3000000ffff			; 0x38 data, ring 3
	dq 0, 0					; 0x40 task state, 64 bit: filled in by traps.c
	dq 0, 0, 0, 0				; 0x50 to 0x68: free for tests
gdt_end:
gdt_pointer:
	dw gdt_end - gdt - 1
	dq gdt

section .bss
	align 4096
global boot_pml4, boot_pdpt, boot_pd, stack_top
boot_pml4:	resb 4096
boot_pdpt:	resb 4096
boot_pd:	resb 4 * 4096
stack_low:	resb 32768
stack_top:
