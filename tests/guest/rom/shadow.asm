; SPDX-License-Identifier: BSD-2-Clause
;
; A firmware that is no friend: two processors write the chipset's registers as fast as they can
; (what is shown below 1 MiB, where ACPI's registers, ECAM's and the root complex's lie, where PIRQs
; lead) and use the memory that comes and goes under them. Afterwards that memory must answer as the
; registers say. It runs from the image below 4 GiB, which never moves. Port F4h tells how it ended:
; 0 well, else which step was wrong. With one processor it hammers alone.

ROUNDS	equ 400
ECAM	equ 0xb0000000
MCH	equ ECAM			; 00:00.0
LPC	equ ECAM + (31 << 15)		; 00:1f.0
LAPIC	equ 0xfee00000
AP_CODE	equ 0x8000			; where the other one starts
AP_HERE	equ 0x9000			; it has come; it is done
AP_DONE	equ 0x9004
HIGH	equ 0xffff0000			; of the image, whose offsets are those of its segment
OPEN	equ 0x33333330			; all RAM

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

; The other's first steps, in RAM: CS is AP_CODE >> 4.
ap16:
	cli
	o32 lgdt [cs:ap_gdtr - ap16]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp dword 8:HIGH + ap
ap_gdtr:
	dw 23
	dd HIGH + gdt
ap16_end:

	bits 32
start:
	mov ax, 0x10
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov esp, 0x7000
	mov dword [AP_HERE], 0
	mov dword [AP_DONE], 0
	; ECAM on, by the ports.
	mov dx, 0xcf8
	mov eax, 0x80000060
	out dx, eax
	mov dx, 0xcfc
	mov eax, ECAM | 1
	out dx, eax
	mov dword [MCH + 0x64], 0
	mov ebx, 1
	cmp dword [MCH], 0x29c08086
	jne fail
	; The other one, if there is one: INIT and SIPI to all but this.
	mov esi, HIGH + ap16
	mov edi, AP_CODE
	mov ecx, ap16_end - ap16
	rep movsb
	mov dword [LAPIC + 0xf0], 0x1ff
	mov dword [LAPIC + 0x300], 0x000c4500
	mov dword [LAPIC + 0x300], 0x000c4600 | AP_CODE >> 12
	mov ecx, 100000
.wait:	cmp dword [AP_HERE], 0
	jne .come
	pause
	dec ecx
	jnz .wait
.come:
	mov ebp, 0x12345
	call hammer
	cmp dword [AP_HERE], 0
	je alone
.done:	pause
	cmp dword [AP_DONE], 0
	je .done
alone:
	; RAM everywhere: it takes what is written.
	mov ebx, 2
	call open_all
	mov edi, 0xc0000
.fill:	mov [edi], edi
	add edi, 0x1000
	cmp edi, 0x100000
	jb .fill
	call check
	; Read alone: the same, and writes are lost.
	mov ebx, 3
	mov dword [MCH + 0x90], 0x11111110
	mov dword [MCH + 0x94], 0x00111111
	mov edi, 0xc0000
.lost:	mov dword [edi], 0
	add edi, 0x1000
	cmp edi, 0x100000
	jb .lost
	call check
	; Nothing: below E0000h all ones, then the image, which begins with the same code.
	mov ebx, 4
	mov dword [MCH + 0x90], 0
	mov dword [MCH + 0x94], 0
	cmp dword [0xc8000], -1
	jne fail
	mov eax, [HIGH]
	cmp eax, [0xf0000]
	jne fail
	; Writes alone: they are in the RAM when that is shown.
	mov ebx, 5
	mov dword [MCH + 0x90], 0x20202020
	mov dword [0xf0000], 0x77665544
	mov eax, [HIGH]
	cmp eax, [0xf0000]
	jne fail
	call open_all
	cmp dword [0xf0000], 0x77665544
	jne fail
	xor ebx, ebx
fail:
	mov eax, ebx
	mov dx, 0xf4
	out dx, al
.stay:	hlt
	jmp .stay

open_all:
	mov dword [MCH + 0x90], OPEN
	mov dword [MCH + 0x94], OPEN >> 8
	ret

check:
	mov edi, 0xc0000
.next:	cmp [edi], edi
	jne fail
	add edi, 0x1000
	cmp edi, 0x100000
	jb .next
	ret

ap:
	mov ax, 0x10
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov esp, 0x6000
	mov dword [AP_HERE], 1
	mov ebp, 0x98765
	call hammer
	mov dword [AP_DONE], 1
.stay:	hlt
	jmp .stay

; EBP: the seed. Each round changes some registers and touches what they move.
hammer:
	mov esi, ROUNDS
.round:
	call random
	mov [MCH + 0x90], eax
	call random
	mov [MCH + 0x94], eax
	call random
	and al, 0x6f			; SMRAM, but for its lock
	mov [MCH + 0x9d], al
	call touch
	call random
	mov [LPC + 0x60], eax		; PIRQs
	call random
	and eax, 0x3f80
	mov [LPC + 0x40], eax		; PMBASE, anywhere below 4000h
	mov [LPC + 0x44], ah
	call random
	and eax, 0x0007c001		; RCBA: from FED00000h on, over nobody
	or eax, 0xfed00000
	mov [LPC + 0xf0], eax
	and eax, ~1
	mov ecx, [eax + 0x3140]
	call touch
	dec esi
	jnz .round
	ret

touch:
	call random
	mov edi, eax
	and edi, 0x3fffc
	mov ecx, [edi + 0xc0000]
	mov [edi + 0xc0000], ecx
	and edi, 0x1fffc
	mov [edi + 0xa0000], ecx
	mov ecx, [edi + 0xa0000]
	mov edx, eax
	and edx, 0x3fff
	cmp dl, 0xf4			; not what ends it
	je .out
	in al, dx
.out:	ret

random:
	imul ebp, ebp, 1103515245
	add ebp, 12345
	mov eax, ebp
	ror eax, 11
	ret

	times 0xfff0 - ($ - $$) db 0xff
	bits 16
	jmp start16
	times 0x10000 - ($ - $$) db 0xff
