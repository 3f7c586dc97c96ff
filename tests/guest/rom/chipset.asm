; SPDX-License-Identifier: BSD-2-Clause
;
; A firmware that tries what a machine with firmware has besides: the HPET's timers by edge, level
; and message; the SMBus, where nobody answers; DMA controllers, which read back; at last the
; watchdog, which resets the machine. A byte of CMOS memory tells the second start from the first.
; Port F4h tells how it ended: 0 well, else which step was wrong.

HPET	equ 0xfed00000
IOAPIC	equ 0xfec00000
LAPIC	equ 0xfee00000
RCBA	equ 0xfed1c000
PM	equ 0x600
SMBUS	equ 0x700
IDT	equ 0x1000
EDGES	equ 0x2000			; interrupts of each kind so far
LEVELS	equ 0x2004
MESSAGES equ 0x2008
VECTOR	equ 0x40			; of edges, then the others'
PERIOD	equ 100000			; ticks of 10 ns
MARK	equ 0x5a
HIGH	equ 0xffff0000			; of the image, whose offsets are those of its segment

	org 0
	bits 16
start16:
	cli
	o32 lgdt [cs:gdtr]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp dword 8:HIGH + start

	align 8
gdt:
	dq 0
	dq 0x00cf9b000000ffff		; 8: code
	dq 0x00cf93000000ffff		; 10h: data
gdtr:
	dw 23
	dd HIGH + gdt
idtr:
	dw (VECTOR + 3) * 8 - 1
	dd IDT

; A register of the PCI function 00:1f.%1.
%macro config 3
	mov dx, 0xcf8
	mov eax, 0x8000f800 | %1 << 8 | %2
	out dx, eax
	mov dx, 0xcfc
	mov eax, %3
	out dx, eax
%endmacro

%macro gate 2
	mov eax, HIGH + %2
	mov [IDT + (VECTOR + %1) * 8], ax
	mov word [IDT + (VECTOR + %1) * 8 + 2], 8
	mov word [IDT + (VECTOR + %1) * 8 + 4], 0x8e00
	shr eax, 16
	mov [IDT + (VECTOR + %1) * 8 + 6], ax
%endmacro

; The I/O APIC's input %1 sends %2 to APIC 0.
%macro redirect 2
	mov dword [IOAPIC], 0x10 + 2 * %1
	mov dword [IOAPIC + 0x10], %2
	mov dword [IOAPIC], 0x11 + 2 * %1
	mov dword [IOAPIC + 0x10], 0
%endmacro

	bits 32
edge:
	inc dword [EDGES]
	jmp done
level:
	inc dword [LEVELS]
	mov dword [HPET + 0x20], 2
	jmp done
message:
	inc dword [MESSAGES]
done:	mov dword [LAPIC + 0xb0], 0
	iretd

start:
	mov ax, 0x10
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov esp, 0x7000
	mov al, 0x50
	out 0x70, al
	in al, 0x71
	cmp al, MARK
	mov al, 0
	out 0x71, al
	mov ebx, 0
	je fail				; it was reset: all is well
	xor eax, eax
	mov [EDGES], eax
	mov [LEVELS], eax
	mov [MESSAGES], eax

	; Timer 0 every millisecond by an edge, 1 once by a level, 2 once by a message.
	inc ebx				; 1
	cmp dword [HPET], 0x80862201
	jne fail
	gate 0, edge
	gate 1, level
	gate 2, message
	lidt [HIGH + idtr]
	mov dword [LAPIC + 0xf0], 0x1ff
	redirect 20, VECTOR
	redirect 21, 0x8000 | (VECTOR + 1)
	mov dword [HPET + 0x100], 20 << 9 | 0x4c
	mov dword [HPET + 0x108], PERIOD
	mov dword [HPET + 0x100], 20 << 9 | 0x4c
	mov dword [HPET + 0x10c], 0
	mov dword [HPET + 0x120], 21 << 9 | 0x106
	mov dword [HPET + 0x128], 5 * PERIOD
	mov dword [HPET + 0x140], 0x4104
	mov dword [HPET + 0x148], 7 * PERIOD
	mov dword [HPET + 0x150], VECTOR + 2
	mov dword [HPET + 0x154], 0xfee00000
	mov dword [HPET + 0x10], 1
.wait:	sti
	hlt
	cli
	cmp dword [EDGES], 10
	jb .wait
	inc ebx				; 2: there was time for so many
	mov eax, [HPET + 0xf0]
	xor edx, edx
	mov ecx, PERIOD
	div ecx
	cmp eax, [EDGES]
	jb fail
	inc ebx				; 3
	cmp dword [LEVELS], 1
	jne fail
	inc ebx				; 4
	cmp dword [MESSAGES], 1
	jne fail
	mov dword [HPET + 0x10], 0
	mov dword [HPET + 0x100], 0

	; A word from a memory module.
	inc ebx				; 5
	config 3, 0x20, SMBUS
	config 3, 0x40, 1
	config 3, 0x04, 1
	mov dx, SMBUS + 4
	mov al, 0xa1
	out dx, al
	mov dx, SMBUS + 2
	mov al, 0x4c
	out dx, al
	mov dx, SMBUS
	in al, dx
	cmp al, 4
	jne fail

	inc ebx				; 6: channel 5's address
	out 0xda, al
	mov al, 0x34
	out 0xc4, al
	mov al, 0x12
	out 0xc4, al
	in al, 0xc4
	mov ah, al
	in al, 0xc4
	cmp ax, 0x3412
	jne fail

	; Two ticks, twice, and nobody reloads it.
	inc ebx				; 7
	config 0, 0x40, PM | 1
	config 0, 0x44, 0x80
	config 0, 0xf0, RCBA | 1
	cmp dword [RCBA + 0x3410], 0x20
	jne fail
	mov dword [RCBA + 0x3410], 0
	mov al, 0x50
	out 0x70, al
	mov al, MARK
	out 0x71, al
	mov dx, PM + 0x72
	mov ax, 2
	out dx, ax
	mov dx, PM + 0x60
	out dx, ax
.ever:	hlt
	jmp .ever

fail:
	mov eax, ebx
	mov dx, 0xf4
	out dx, al
.stay:	hlt
	jmp .stay

	times 0xfff0 - ($ - $$) db 0xff
	bits 16
	jmp start16
	times 0x10000 - ($ - $$) db 0xff
