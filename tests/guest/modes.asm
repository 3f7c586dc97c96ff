; SPDX-License-Identifier: BSD-2-Clause
;
; Down to 32-bit and real mode and back. legacy_run() leaves long mode for a 32-bit function, with
; no paging or with the tables it is told; body_* are such functions. What they find goes to
; modes_result, which modes.c judges.

%define SEL_CODE64	0x08
%define SEL_DATA	0x10
%define SEL_CODE32	0x18
%define SEL_CODE16	0x20
%define SEL_DATA16	0x28
%define SEL_APIC	0x50			; data, based at the APIC's page
%define SEL_MAIN	0x58			; TSSs, and a gate to the second
%define SEL_OTHER	0x60
%define SEL_GATE	0x68
%define MSR_EFER	0xc0000080
%define EFER_LME	0x100
%define CR0_PG		0x80000000
%define APIC_EOI	0xfee000b0
%define APIC_ICR	0xfee00300
%define APIC_LVT_ERROR	0xfee00370
%define NOBODY		0x2f0
%define REAL		0x8000			; where the real-mode code is copied to
%define REAL_DATA	0x7000
%define IMR		0x21
%define PAE_WINDOW	0x40000000

section .bss
global modes_result, legacy_cr3, legacy_cr4, legacy_paging
alignb 16
modes_result:	resd 64
legacy_cr3:	resd 1
legacy_cr4:	resd 1
legacy_paging:	resd 1
pae_entry:	resd 1
pae_other:	resd 1
saved_rsp:	resq 1
saved_cr3:	resq 1
saved_cr4:	resq 1
saved_efer:	resd 2
saved_idt:	resb 16
function:	resd 1
resb 4096
stack32:

section .data
real_idt:	dw 0x3ff
		dd 0
no_idt:		dw 0
		dq 0

extern gdt

section .text
bits 64
global legacy_run
; void legacy_run(void (*fn32)(void)): uses legacy_cr3, legacy_cr4, legacy_paging.
; Interrupts are off.
legacy_run:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [function], edi
	mov [saved_rsp], rsp
	mov rax, cr3
	mov [saved_cr3], rax
	mov rax, cr4
	mov [saved_cr4], rax
	sidt [saved_idt]
	lidt [no_idt]
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
	mov [saved_efer], eax
	mov [saved_efer + 4], edx
	and eax, ~EFER_LME
	wrmsr
	mov eax, [legacy_cr4]
	mov cr4, eax
	mov eax, [legacy_cr3]
	mov cr3, eax
	cmp dword [legacy_paging], 0
	je .call
	mov eax, cr0
	or eax, CR0_PG
	mov cr0, eax
.call:	call [function]
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov eax, [saved_cr4]
	mov cr4, eax
	mov eax, [saved_cr3]
	mov cr3, eax
	mov ecx, MSR_EFER
	mov eax, [saved_efer]
	mov edx, [saved_efer + 4]
	wrmsr
	mov eax, cr0
	or eax, CR0_PG
	mov cr0, eax
	jmp SEL_CODE64:.long
bits 64
.long:	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov rsp, [saved_rsp]
	lidt [saved_idt]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

bits 32
global body_32
; Exits of every kind from 32-bit code; results in order, see modes.c.
body_32:
	mov edi, modes_result
	xor eax, eax
	cpuid
	mov [edi], ebx				; 0: CPUID
	xor eax, eax
	db 0x66, 0x0f, 0xa2
	mov [edi + 4], ebx			; 1: with operand size
	xor eax, eax
	db 0xf3, 0x0f, 0xa2
	mov [edi + 8], ebx			; 2: with REP
	mov eax, 0x11223344
	mov dx, NOBODY
	in al, dx
	mov [edi + 12], eax			; 3: 0x112233ff
	mov eax, 0x11223344
	in ax, dx
	mov [edi + 16], eax			; 4: 0x1122ffff
	in eax, dx
	mov [edi + 20], eax			; 5: ones
	mov al, 0xfe
	out IMR, al
	in al, IMR
	and eax, 0xff
	mov [edi + 24], eax			; 6: 0xfe
	mov al, 0xff
	out IMR, al
	mov dword [APIC_LVT_ERROR], 0x10055
	mov eax, [APIC_LVT_ERROR]		; moffs
	mov [edi + 28], eax			; 7: 0x10055
	mov ebx, APIC_LVT_ERROR - 0x40
	mov esi, 0x10
	or dword [ebx + esi * 4], 2
	mov ecx, [ebx + esi * 4]
	mov [edi + 32], ecx			; 8: 0x10057
	mov ax, SEL_APIC
	mov gs, ax
	mov eax, [gs:0x370]
	mov [edi + 36], eax			; 9: by a segment's base
	push edi
	mov ax, ds
	mov es, ax
	mov edi, APIC_LVT_ERROR
	mov eax, 0x10011
	mov ecx, 1
	rep stosd
	pop edi
	mov eax, [APIC_LVT_ERROR]
	mov [edi + 40], eax			; 10: 0x10011
	push edi
	mov dword [edi + 44], 0
	lea edi, [edi + 44]
	mov ecx, 4
	mov dx, NOBODY
	rep insb
	pop edi					; 11: ones
	mov ecx, MSR_EFER
	rdmsr
	mov [edi + 48], eax			; 12: EFER, no LMA
	xor eax, eax
	mov gs, ax
	mov eax, cr0
	mov [edi + 52], eax			; 13
	rdtsc
	mov [edi + 56], eax			; 14
	push dword 0x5a5a			; a push of a device's register, a pop into one
	pop dword [edi + 60]			; 15: 0x5a5a
	mov dword [edi + 64], 0xd09e		; 16: we came to the end
	ret

global body_pae, pae_other, pae_entry
; PAE's pointer [pae_entry] is loaded as it was; memory says [pae_other] from here on. What then is
; read where INS and MOVS from a device have written, before and after CR3 is loaded again.
body_pae:
	mov edi, modes_result
	mov ebx, [pae_entry]
	mov eax, [ebx]
	mov [edi + 16], eax
	mov eax, [pae_other]
	mov [ebx], eax
	mov dword [APIC_LVT_ERROR], 0x10055
	call .write
	mov eax, [PAE_WINDOW]
	mov [edi], eax				; 0: 0xff
	mov eax, [PAE_WINDOW + 4]
	mov [edi + 4], eax			; 1: 0x10055
	mov eax, cr3
	mov cr3, eax
	mov eax, [PAE_WINDOW]
	mov [edi + 8], eax			; 2: whatever the other page holds
	call .write
	mov eax, [PAE_WINDOW]
	mov [edi + 12], eax			; 3: 0xff
	mov eax, [edi + 16]
	mov [ebx], eax
	mov dword [edi + 16], 0xd09e		; 4: we came to the end
	ret
.write:	push edi
	mov ax, ds
	mov es, ax
	mov edi, PAE_WINDOW
	mov dx, NOBODY
	insb
	mov edi, PAE_WINDOW + 4
	mov esi, APIC_LVT_ERROR
	movsd
	pop edi
	ret

global body_real
; Copies the 16-bit code low, goes there, comes back.
body_real:
	mov esi, real_code
	mov edi, REAL
	mov ecx, real_code_end - real_code
	rep movsb
	mov [REAL_DATA + 0x100], esp
	lidt [real_idt]
	jmp SEL_CODE16:REAL
bits 32
real_back:
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov esp, [REAL_DATA + 0x100]
	lidt [no_idt]
	mov esi, REAL_DATA
	mov edi, modes_result
	mov ecx, 64
	rep movsd
	ret

bits 16
%define AT(label) (label - real_code + REAL)
real_code:
	mov ax, SEL_DATA16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov eax, cr0
	and al, ~1
	mov cr0, eax
	jmp 0:AT(.real)
.real:	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, REAL_DATA
	mov edi, REAL_DATA
	xor eax, eax
	cpuid
	mov [edi], ebx				; 0
	xor eax, eax
	db 0x66, 0x0f, 0xa2
	mov [edi + 4], ebx			; 1
	mov eax, 0x11223344
	mov dx, NOBODY
	in ax, dx
	mov [edi + 8], eax			; 2: 0x1122ffff
	in eax, dx
	mov [edi + 12], eax			; 3: ones
	; INS through a segment of its own
	mov ax, (REAL_DATA + 0x80) >> 4
	mov es, ax
	push edi
	mov di, 4
	mov cx, 3
	mov dword [REAL_DATA + 0x84], 0
	rep insb
	mov ax, di
	pop edi
	mov [edi + 16], ax			; 4: 7 (a word)
	mov word [edi + 18], 0
	mov eax, [REAL_DATA + 0x84]
	mov [edi + 20], eax			; 5: 0x00ffffff
	xor ax, ax
	mov es, ax
	; a software interrupt and two exceptions through the vector table
	mov word [0x40 * 4], AT(.soft)
	mov word [0x40 * 4 + 2], 0
	mov word [6 * 4], AT(.undefined)
	mov word [6 * 4 + 2], 0
	mov word [0 * 4], AT(.divide)
	mov word [0 * 4 + 2], 0
	mov dword [edi + 24], 0			; 6: 1 | 2 | 4
	int 0x40
	ud2
.after_ud:
	xor cx, cx
	div cx
.after_div:
	; the PIT through the 8259s, waking a HLT
	mov word [0x30 * 4], AT(.irq)
	mov word [0x30 * 4 + 2], 0
	mov dword [edi + 28], 0			; 7: interrupts taken: 3
	mov bx, 3
.wait:	sti
	hlt
	cli
	cmp word [edi + 28], bx
	jb .wait
	mov eax, cr0
	mov [edi + 32], eax			; 8
	mov ecx, MSR_EFER
	rdmsr
	mov [edi + 36], eax			; 9
	mov dword [edi + 40], 0xd09e		; 10
	lgdt [cs:AT(.gdt)]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp dword SEL_CODE32:real_back
.soft:	or byte [REAL_DATA + 24], 1
	iret
.undefined:
	or byte [REAL_DATA + 24], 2
	push bp
	mov bp, sp
	mov word [bp + 2], AT(.after_ud)
	pop bp
	iret
.divide:
	or byte [REAL_DATA + 24], 4
	push bp
	mov bp, sp
	mov word [bp + 2], AT(.after_div)
	pop bp
	iret
.irq:	inc word [REAL_DATA + 28]
	push ax
	mov al, 0x20
	out 0x20, al
	pop ax
	iret
extern gdt
.gdt:	dw 0x6f
	dd gdt
real_code_end:

bits 32
global body_tasks
extern tss_main, tss_other, tasks_idt
; Switches of tasks of every kind, and back; results in order, see modes.c.
body_tasks:
	mov edi, modes_result
	lidt [tasks_idt_pointer]
	mov eax, SEL_MAIN
	ltr ax
	mov ebx, 0x12345678
	call SEL_OTHER:0xf4f4f4f4
	mov [edi + 48], ebx			; 12: what it was
	pushfd
	pop dword [edi + 52]			; 13: not nested any more
	call SEL_GATE:0xf4f4f4f4
	mov dword [edi + 80], .after_int	; 20: where INT goes on
	int 0x20
.after_int:
	mov dword [edi + 84], .faults		; 21: where the fault was
	mov eax, 0xfff8
.faults:
	mov fs, ax
	ud2
.events:
	mov dword [APIC_ICR + 16], 0
	mov dword [APIC_ICR], 0x4400		; two NMIs to itself
	nop
	mov dword [APIC_ICR], 0x4400
	nop
	mov dword [APIC_ICR], 0x4020		; and an interrupt
	sti
	nop
	nop
	cli
	jmp SEL_OTHER:0xf4f4f4f4
.jumped:
	mov eax, [gdt + SEL_MAIN + 4]
	mov [edi + 56], eax			; 14: busy
	mov eax, [gdt + SEL_OTHER + 4]
	mov [edi + 60], eax			; 15: not
	clts
	mov dword [edi + 44], 0xd09e		; 11: the end
	ret

; The other task, which goes on where it left off.
global other_task
other_task:
	inc dword [modes_result]		; 0: it runs
	pushfd
	pop dword [modes_result + 4]		; 1: nested
	mov eax, cr0
	mov [modes_result + 8], eax		; 2: TS
	xor eax, eax
	str ax
	mov [modes_result + 12], eax		; 3: its TSS
	mov eax, [tss_other]
	mov [modes_result + 16], eax		; 4: the one before
	iret
	inc dword [modes_result + 20]		; 5: by a gate of the GDT, and of the IDT
	iret
	inc dword [modes_result + 20]
	mov eax, [tss_main + 32]
	mov [modes_result + 24], eax		; 6: where it goes on
	iret
	pop dword [modes_result + 28]		; 7: #GP's error code
	mov eax, [tss_main + 32]
	mov [modes_result + 32], eax		; 8: where it was
	mov eax, [tss_main + 36]
	mov [modes_result + 36], eax		; 9: with RF
	mov dword [tss_main + 32], body_tasks.events
	iret
	inc dword [modes_result + 88]		; 22: NMIs
	iret
	inc dword [modes_result + 88]
	iret
	inc dword [modes_result + 92]		; 23: interrupts
	mov dword [APIC_EOI], 0
	iret
	pushfd
	pop dword [modes_result + 40]		; 10: not nested
	jmp SEL_MAIN:0xf4f4f4f4

section .data
tasks_idt_pointer:
	dw 0x21 * 8 - 1
	dd tasks_idt
