; SPDX-License-Identifier: BSD-2-Clause
;
; How every other CPU comes up. The page between trampoline_start and trampoline_end is copied
; below 1 MiB, its fields are filled in by kernel/smp.c, and a SIPI starts it in real mode at
; CS:0. It goes straight to 64-bit mode on the boot map, whose slot 0 is as physical memory is,
; then to the image, the final map, its own per-CPU block and stack, and calls smp_ap_main().
; Source: Intel SDM 3, "Multiple-Processor (MP) Initialization".

%include "offsets.inc"

global trampoline_start, trampoline_end, trampoline_fields
extern boot_gdt_pointer, smp_ap_main, smp_ap_start

section .rodata
align 16
bits 16
trampoline_start:
	cli
	cld
	mov ax, cs
	mov ds, ax
	o32 lgdt [trampoline_gdt_pointer - trampoline_start]
	mov eax, [trampoline_fields.cr3 - trampoline_start]
	mov cr3, eax
	mov eax, 0x20				; CR4.PAE
	mov cr4, eax
	cmp dword [trampoline_fields.unlock - trampoline_start], 0
	je .unlocked
	mov ecx, 0x1a0				; MISC_ENABLE: no CPUID limit, no XD disable,
	rdmsr					; else NXE would be reserved
	and eax, ~(1 << 22)
	and edx, ~(1 << 2)
	wrmsr
.unlocked:
	mov ecx, 0xc0000080			; EFER: LME, NXE
	xor edx, edx
	mov eax, 0x900
	wrmsr
	mov eax, 0x80010033			; PG, WP, NE, ET, MP, PE
	mov cr0, eax
	jmp far dword [trampoline_fields.target - trampoline_start]

bits 64
.long_mode:
	mov rax, ap_entry
	jmp rax

align 8
trampoline_gdt:
	dq 0
	dq 0x00af9b000000ffff			; GDT_KERNEL_CODE

; struct trampoline_fields of kernel/smp.c
align 8
trampoline_fields:
.cr3:	dd 0
.unlock: dd 0
.target: dd trampoline_start.long_mode - trampoline_start	; + the page's address
	dw GDT_KERNEL_CODE
trampoline_gdt_pointer:
	dw 15
	dd trampoline_gdt - trampoline_start			; + the page's address
trampoline_end:

section .text
bits 64
; smp_ap_start: { cr3, stack top, per-CPU block, place }, struct ap_start of kernel/smp.c
ap_entry:
	lgdt [boot_gdt_pointer]
	xor eax, eax
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov fs, eax
	mov gs, eax
	mov rax, [smp_ap_start]
	mov cr3, rax
	xor eax, eax
	xchg eax, [smp_ap_start + 24]
	test eax, eax
	jz .late
	mov rsp, [smp_ap_start + 8]
	mov rax, [smp_ap_start + 16]
	mov rdx, rax
	shr rdx, 32
	mov ecx, 0xc0000101			; GS_BASE
	wrmsr
	xor ebp, ebp				; the backtrace ends here
	push rbp
	call smp_ap_main
	ud2

; Called once, given up, and here after all: the place is another's, or gone.
.late:	cli
	hlt
	jmp .late
