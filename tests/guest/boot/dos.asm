; SPDX-License-Identifier: BSD-2-Clause
;
; A disk as DOS's was: a boot sector that the BIOS loads, which loads the rest by cylinder, head and
; sector, and lives on the BIOS's services: INT 10h, 11h, 12h, 13h, 15h, 16h, 1Ah. It asks each of
; them, prints a line for what it found ("ok NAME" or "bad NAME"), waits for a key and shows it,
; then for a K, and a click with its mouse 300 to the right and 40 down, and tells port F4h how many
; were bad.

SECTORS	equ 2880			; of the disk
STAGE	equ 8				; sectors behind the first that are loaded
BUFFER	equ 0x9000			; a sector
OTHER	equ 0x9200			; another
LAST	equ SECTORS - 1
SCRATCH	equ SECTORS - 2			; is written

	bits 16
	org 0x7c00
start:
	jmp 0:.here
.here:
	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x7c00
	sti
	mov [drive], dl
	mov ax, 0x0200 | STAGE
	mov cx, 2			; cylinder 0, sector 2
	mov dh, 0
	mov bx, stage
	int 0x13
	jc .bad
	jmp stage
.bad:
	mov si, no_rest
	call print
	hlt
	jmp $ - 1

; The text at DS:SI, as terminals of the BIOS take it.
print:
	lodsb
	test al, al
	jz .end
	mov ah, 0x0e
	mov bx, 7
	int 0x10
	jmp print
.end:
	ret

drive:	db 0
no_rest: db "cannot read the disk", 13, 10, 0

	times 446 - ($ - $$) db 0
	db 0x80, 0, 2, 0, 0x0e		; a partition from the second sector on
	db 0, 1, 1
	dd 1, SECTORS - 1
	times 510 - ($ - $$) db 0
	dw 0xaa55

stage:
	mov si, hello
	call print
	mov bx, checks
.next:
	mov di, [bx]			; the check; then its name
	test di, di
	jz .done
	mov si, [bx + 2]
	add bx, 4
	pusha
	call di				; carry: bad
	mov ax, ds
	mov es, ax
	popa
	mov di, ok
	jnc .say
	inc byte [bads]
	mov di, bad
.say:
	push bx
	push si
	mov si, di
	call print
	pop si
	call print
	mov si, newline
	call print
	pop bx
	jmp .next
.done:
	mov si, press
	call print
	mov ah, 0
	int 0x16
	mov ah, 0x0e
	mov bx, 7
	int 0x10
	mov si, press_more
	call print
	mov ah, 0
	int 0x16
	cmp al, 'K'
	setne ah
	add [bads], ah
	mov si, press_mouse
	call print
.moved:
	hlt
	cmp byte [clicked], 2		; pressed, and released
	jb .moved
	cmp word [moved_x], 300
	setne ah
	add [bads], ah
	cmp word [moved_y], -40		; up is positive
	setne ah
	add [bads], ah
	mov al, [bads]
	mov dx, 0xf4
	out dx, al
	hlt
	jmp $ - 1

; Of each check: all but DS, ES, SS may be changed.

; 80 columns of text, and a cursor that goes on with what is printed.
video:
	mov ah, 3
	mov bh, 0
	int 0x10
	push dx
	mov ax, 0x0e00 | '.'
	mov bx, 7
	int 0x10
	mov ah, 3
	mov bh, 0
	int 0x10
	pop ax
	inc ax
	cmp ax, dx
	jne wrong
	mov ax, 0x0e00 | 13
	mov bx, 7
	int 0x10
	clc
	ret

; Some base memory, a little less than 640 KiB, and a floppy or not.
base:
	int 0x11
	int 0x12
	cmp ax, 512
	jb wrong
	cmp ax, 640
	ja wrong
	clc
	ret

; A hard disk is what its BIOS says: as large, with some geometry.
geometry:
	mov ah, 8
	mov dl, [drive]
	mov di, 0
	int 0x13
	jc wrong
	test cl, 0x3f
	jz wrong
	push ds
	pop es
	mov ah, 0x41
	mov bx, 0x55aa
	mov dl, [drive]
	int 0x13
	jc wrong
	cmp bx, 0xaa55
	jne wrong
	mov ah, 0x48
	mov dl, [drive]
	mov si, BUFFER
	mov word [si], 30
	int 0x13
	jc wrong
	cmp dword [BUFFER + 16], SECTORS
	jne wrong
	cmp word [BUFFER + 24], 512
	jne wrong
	clc
	ret

; INT 13h of that function for the sector EAX, to or from BUFFER.
extended:
	mov [packet.sector], eax
	mov word [packet.count], 1
	mov si, packet
	mov dl, [drive]
	mov ah, bh
	mov al, 0
	int 0x13
	ret

; By address and by cylinder, head, sector: the same bytes.
read:
	mov bh, 0x42
	mov eax, 1
	call extended
	jc wrong
	mov ax, 0x0201
	mov cx, 2
	mov dh, 0
	mov dl, [drive]
	mov bx, OTHER
	int 0x13
	jc wrong
	mov si, BUFFER
	mov di, OTHER
	mov cx, 256
	cld
	repe cmpsw
	jne wrong
	mov si, BUFFER			; and it is what was loaded from there
	mov di, stage
	mov cx, 256
	repe cmpsw
	jne wrong
	mov bh, 0x42
	mov eax, LAST
	call extended
	jc wrong
	cmp dword [BUFFER], "LAST"
	jne wrong
	clc
	ret

write:
	mov di, BUFFER
	mov cx, 256
	mov ax, 0xa55a
	rep stosw
	mov bh, 0x43
	mov eax, SCRATCH
	call extended
	jc wrong
	mov word [BUFFER + 100], 0
	mov bh, 0x42
	mov eax, SCRATCH
	call extended
	jc wrong
	cmp word [BUFFER + 100], 0xa55a
	jne wrong
	clc
	ret

; Beyond its end there is an error, and the disk works afterwards.
beyond:
	mov bh, 0x42
	mov eax, SECTORS
	call extended
	jnc wrong
	mov ah, 0
	mov dl, [drive]
	int 0x13
	jc wrong
	mov bh, 0x42
	mov eax, 0
	call extended
	jc wrong
	cmp word [BUFFER + 510], 0xaa55
	jne wrong
	clc
	ret

; The memory map's parts follow each other, and INT 15h's older words agree with it.
memory:
	xor ebx, ebx
	mov dword [end], 0
	mov dword [above], 0
.part:
	mov eax, 0xe820
	mov edx, 0x534d4150		; "SMAP"
	mov ecx, 20
	mov di, BUFFER
	int 0x15
	jc wrong
	cmp eax, 0x534d4150
	jne wrong
	cmp dword [BUFFER + 4], 0	; of what lies above 4 GiB nothing is asked
	jne .more
	mov eax, [BUFFER]
	cmp eax, [end]
	jb wrong
	mov ecx, eax
	add ecx, [BUFFER + 8]
	mov [end], ecx
	cmp eax, 0x100000
	jne .more
	cmp dword [BUFFER + 16], 1
	jne wrong
	mov ecx, [BUFFER + 8]
	mov [above], ecx
.more:
	test ebx, ebx
	jnz .part
	mov ax, 0xe801
	int 0x15
	jc wrong
	movzx eax, ax			; KiB up to 16 MiB; 64 KiB above
	movzx ebx, bx
	shl eax, 10
	shl ebx, 16
	add eax, ebx
	sub eax, [above]
	jns .size
	neg eax
.size:
	cmp eax, 0x40000
	ja wrong
	mov ah, 0x88
	int 0x15
	jc wrong
	cmp ax, 0x3c00
	jb wrong
	clc
	ret

; A block goes above 1 MiB and comes back.
move:
	mov si, stage
	mov di, BUFFER
	mov cx, 256
	rep movsw
	mov word [gdt.from], BUFFER
	mov byte [gdt.from + 2], 0
	mov word [gdt.to], 0
	mov byte [gdt.to + 2], 0x20
	call .block
	jc wrong
	mov word [gdt.from], 0
	mov byte [gdt.from + 2], 0x20
	mov word [gdt.to], OTHER
	mov byte [gdt.to + 2], 0
	call .block
	jc wrong
	mov si, stage
	mov di, OTHER
	mov cx, 256
	repe cmpsw
	jne wrong
	clc
	ret
.block:
	mov ah, 0x87
	mov cx, 256
	mov si, gdt
	int 0x15
	ret

; A20 goes off and on as it is told, and ends on.
a20:
	mov ax, 0x2401
	int 0x15
	jc wrong
	mov ax, 0x2402
	int 0x15
	jc wrong
	cmp al, 1
	jne wrong
	clc
	ret

; The date has digits only.
date:
	mov ah, 4
	int 0x1a
	jc wrong
	cmp ch, 0x19			; a bed may begin its time long ago
	jb wrong
	cmp ch, 0x20
	ja wrong
	mov al, dl
	and al, 0x0f
	cmp al, 9
	ja wrong
	clc
	ret

; The ticks go on while INT 15h waits.
ticks:
	mov ah, 0
	int 0x1a
	push dx
	mov ah, 0x86
	mov cx, 3			; 0.2 s
	mov dx, 0x0d40
	int 0x15
	mov ah, 0
	int 0x1a
	pop ax
	sub dx, ax
	jz wrong
	clc
	ret

; The PCI BIOS finds the memory controller where a q35 has it.
pci:
	mov ax, 0xb101
	int 0x1a
	jc wrong
	cmp edx, 0x20494350		; "PCI "
	jne wrong
	mov ax, 0xb102
	mov cx, 0x29c0
	mov dx, 0x8086
	mov si, 0
	int 0x1a
	jc wrong
	test bx, bx
	jnz wrong
	mov ax, 0xb10a
	mov di, 0
	int 0x1a
	jc wrong
	cmp ecx, 0x29c08086
	jne wrong
	clc
	ret

; No key is there, and no shift is held.
keyboard:
	mov ah, 1
	int 0x16
	jnz wrong
	mov ah, 2
	int 0x16
	test al, 0x0f
	jnz wrong
	clc
	ret

; The BIOS finds a PS/2 mouse, and calls when it tells of something.
mouse:
	mov ax, 0xc205			; packets of three bytes
	mov bh, 3
	int 0x15
	jc wrong
	mov ax, 0xc204
	int 0x15
	jc wrong
	test bh, bh			; a plain one
	jnz wrong
	push cs
	pop es
	mov ax, 0xc207
	mov bx, mouse_told
	int 0x15
	jc wrong
	mov ax, 0xc200
	mov bh, 1
	int 0x15
	jc wrong
	clc
	ret

; The BIOS has pushed status, X, Y and 0.
mouse_told:
	push bp
	mov bp, sp
	push ax
	push bx
	mov bx, [bp + 12]
	mov al, [bp + 10]		; X, with its sign in the status
	mov ah, 0
	test bl, 0x10
	jz .right
	dec ah
.right:
	add [cs:moved_x], ax
	mov al, [bp + 8]
	mov ah, 0
	test bl, 0x20
	jz .up
	dec ah
.up:
	add [cs:moved_y], ax
	and bl, 1
	cmp bl, [cs:button]
	je .same
	mov [cs:button], bl
	inc byte [cs:clicked]
.same:
	pop bx
	pop ax
	pop bp
	retf

wrong:
	stc
	ret

	align 4
checks:
	dw video, .video, base, .base, geometry, .geometry, read, .read, write, .write
	dw beyond, .beyond, memory, .memory, move, .move, a20, .a20, date, .date, ticks, .ticks
	dw pci, .pci, keyboard, .keyboard, mouse, .mouse, 0
.video:	db "video", 0
.base:	db "base memory", 0
.geometry: db "geometry", 0
.read:	db "read", 0
.write:	db "write", 0
.beyond: db "beyond the end", 0
.memory: db "memory map", 0
.move:	db "move", 0
.a20:	db "a20", 0
.date:	db "date", 0
.ticks:	db "ticks", 0
.pci:	db "pci", 0
.keyboard: db "keyboard", 0
.mouse:	db "mouse", 0
hello:	db "DOS-like guest", 13, 10, 0
ok:	db "ok ", 0
bad:	db "bad ", 0
press:	db "press a key: ", 0
newline: db 13, 10, 0
press_more: db 13, 10, "and a K: ", 0
press_mouse: db 13, 10, "and its mouse: ", 0
bads:	db 0
button:	db 0
clicked: db 0
moved_x: dw 0
moved_y: dw 0
	align 4
end:	dd 0
above:	dd 0
packet:
	db 16, 0
.count:	dw 1
	dw BUFFER, 0
.sector: dd 0, 0
gdt:
	dq 0, 0
	dw 0xffff
.from:	dw 0
	db 0, 0x93, 0, 0
	dw 0xffff
.to:	dw 0
	db 0, 0x93, 0, 0
	dq 0, 0

	times 512 * (1 + STAGE) - ($ - $$) db 0
	times 512 * LAST - ($ - $$) db 0
	db "LAST"
	times 512 * SECTORS - ($ - $$) db 0
