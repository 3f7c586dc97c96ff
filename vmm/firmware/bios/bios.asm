; SPDX-License-Identifier: BSD-2-Clause
;
; The little of a PC's BIOS that kernels use before they are on their own: the top 8 KiB of segment
; F000h, copied into each guest's memory by vmm/firmware/firmware.c, which fills in the first words.
; It runs in the guest, in real mode, and is as hostile or harmless as any guest code.
;
; A screen (in memory that nobody shows) and the serial port stand for the console, as where a
; server's firmware redirects it: what INT 10h writes goes to COM1 too, and INT 16h's keys come from
; there. There are no disks. What is not known is answered as IBM's BIOS does: carry set, AH 86h.
; Sources: IBM, "Personal System/2 and Personal Computer BIOS Interface Technical Reference"; ACPI
; 6.5, "System Address Map Interfaces".

%define SEG		0xf000
%define BDA		0x40
%define SCREEN		0xb800
%define COLUMNS		80
%define ROWS		25
%define BLANK		0x0720
%define REGIONS_MAX	8
%define SMAP		0x534d4150
%define COM1		0x3f8

; In the BIOS data area.
%define EQUIPMENT	0x10
%define BASE_KIB	0x13
%define KEY_HEAD	0x1a
%define KEY_TAIL	0x1c
%define KEY_FIRST	0x1e
%define KEY_END		0x3e
%define VIDEO_MODE	0x49
%define CURSOR		0x50
%define CURSOR_ROW	0x51
%define CURSOR_SHAPE	0x60
%define TICKS		0x6c
%define MIDNIGHT	0x70
%define TICKS_A_DAY	0x1800b0

; PUSHA's frame at BP, then ES, DS, and what INT has pushed.
%define F_BX		bp + 8
%define F_DX		bp + 10
%define F_CX		bp + 12
%define F_AX		bp + 14
%define F_FLAGS		bp + 24

bits 16
org 0xf000

; ---- struct bios_head of vmm/firmware/firmware.c
regions:	dw 0
kib_to_64m:	dw 0			; KiB from 1 MiB on, as INT 15h tells them
kib_to_16m:	dw 0
blocks_to_4g:	dw 0			; of 64 KiB, from 16 MiB on
region:		times REGIONS_MAX * 20 db 0

; Vector %1 leads to %2, those before it that were not named to an IRET.
%macro vector 2
	times %1 - ($ - vectors) / 4 dd SEG * 0x10000 + dummy
	dd SEG * 0x10000 + %2
%endmacro

vectors:
	vector 0x08, irq_timer
	vector 0x09, irq_keyboard
%assign irq 2
%rep 6
	vector 8 + irq, irq_master
%assign irq irq + 1
%endrep
	vector 0x10, video
	vector 0x11, equipment
	vector 0x12, base_memory
	vector 0x13, disk
	vector 0x15, system
	vector 0x16, keyboard
	vector 0x18, reset
	vector 0x19, reset
	vector 0x1a, clock
	vector 0x70, irq_rtc
%assign irq 1
%rep 7
	vector 0x70 + irq, irq_slave
%assign irq irq + 1
%endrep
	times 256 - ($ - vectors) / 4 dd SEG * 0x10000 + dummy

; ---- interrupts

irq_timer:
	push ds
	push ax
	push BDA
	pop ds
	inc dword [TICKS]
	cmp dword [TICKS], TICKS_A_DAY
	jb .told
	mov dword [TICKS], 0
	inc byte [MIDNIGHT]
.told:	int 0x1c
	pop ax
	pop ds
	jmp irq_master

irq_keyboard:
	push ax
	in al, 0x60
	pop ax
irq_master:
	push ax
	mov al, 0x20
	out 0x20, al
	pop ax
	iret

irq_rtc:
	push ax
	mov al, 0x0c
	out 0x70, al
	in al, 0x71
	pop ax
irq_slave:
	push ax
	mov al, 0x20
	out 0xa0, al
	out 0x20, al
	pop ax
	iret

; ---- small ones

equipment:
	push ds
	push BDA
	pop ds
	mov ax, [EQUIPMENT]
	pop ds
	iret

base_memory:
	push ds
	push BDA
	pop ds
	mov ax, [BASE_KIB]
	pop ds
	iret

disk:
	mov ah, 0x01			; invalid
fail:	push bp
	mov bp, sp
	or byte [bp + 6], 1		; carry in the caller's flags
	pop bp
	iret
unknown:
	mov ah, 0x86
	jmp fail
done:	push bp
	mov bp, sp
	and byte [bp + 6], ~1 & 0xff
	pop bp
	iret

reset:
	cli
	mov dx, 0xcf9
	mov al, 6
	out dx, al
.wait:	hlt
	jmp .wait

; ---- INT 15h

system:
	cmp ax, 0xe820
	je memory_map
	cmp ax, 0xe801
	je memory_sizes
	cmp ah, 0x88
	je memory_size
	cmp ah, 0x24
	jne unknown
	cmp al, 3			; the A20 gate: always open, and no harm in asking
	ja unknown
	cmp al, 2
	mov ax, 0x0001
	je done
	mov bx, 3
	xor ah, ah
	jmp done

memory_size:
	mov ax, [cs:kib_to_64m]
	jmp done

memory_sizes:
	mov ax, [cs:kib_to_16m]
	mov bx, [cs:blocks_to_4g]
	mov cx, ax
	mov dx, bx
	jmp done

; EBX: which region; ECX bytes at ES:DI.
memory_map:
	cmp edx, SMAP
	jne unknown
	cmp ecx, 20
	jb unknown
	cmp bx, [cs:regions]
	jae unknown
	push ds
	push si
	push di
	push cs
	pop ds
	movzx ebx, bx
	imul si, bx, 20
	add si, region
	mov cx, 20
	cld
	rep movsb
	mov ecx, 20
	inc bx
	cmp bx, [regions]
	jb .more
	xor bx, bx
.more:	mov eax, SMAP
	pop di
	pop si
	pop ds
	jmp done

; ---- INT 10h

video:
	push ds
	push es
	pusha
	mov bp, sp
	cld
	push BDA
	pop ds
	push SCREEN
	pop es
	mov di, .table
.look:	cmp ah, [cs:di]
	je .found
	add di, 3
	cmp di, .end
	jb .look
	jmp .out
.found:	call [cs:di + 1]
.out:	popa
	pop es
	pop ds
	iret

.table:	db 0x00
	dw set_mode
	db 0x01
	dw set_shape
	db 0x02
	dw set_cursor
	db 0x03
	dw get_cursor
	db 0x06
	dw scroll
	db 0x07
	dw scroll
	db 0x08
	dw read_cell
	db 0x09
	dw write_cells
	db 0x0a
	dw write_cells
	db 0x0e
	dw teletype
	db 0x0f
	dw get_mode
.end:

set_mode:
	and al, 0x7f
	mov [VIDEO_MODE], al
	mov word [CURSOR], 0
	xor di, di
	mov cx, COLUMNS * ROWS
	mov ax, BLANK
	rep stosw
	ret

set_shape:
	mov [CURSOR_SHAPE], cx
	ret

set_cursor:
	cmp dl, COLUMNS
	jae .out
	cmp dh, ROWS
	jae .out
	mov [CURSOR], dx
.out:	ret

get_cursor:
	mov ax, [CURSOR]
	mov [F_DX], ax
	mov ax, [CURSOR_SHAPE]
	mov [F_CX], ax
	ret

get_mode:
	mov al, [VIDEO_MODE]
	mov ah, COLUMNS
	mov [F_AX], ax
	mov byte [F_BX + 1], 0
	ret

; DI = the cell at row AH, column AL.
cell:
	movzx di, al
	mov al, COLUMNS
	mul ah
	add di, ax
	add di, di
	ret

at_cursor:
	mov ax, [CURSOR]
	jmp cell

read_cell:
	call at_cursor
	mov ax, [es:di]
	mov [F_AX], ax
	ret

; AL: character, CX times; AH 09h: with attribute BL.
write_cells:
	call at_cursor
	mov ax, [F_AX]
.next:	cmp di, COLUMNS * ROWS * 2
	jae .out
	jcxz .out
	mov [es:di], al
	cmp ah, 0x09
	jne .kept
	mov [es:di + 1], bl
.kept:	add di, 2
	dec cx
	jmp .next
.out:	ret

; Window from row CH, column CL to DH, DL; AL lines up (06h); all of it is cleared if AL is 0, and
; if it is to go down.
scroll:
	cmp dh, ROWS
	jae .out
	cmp dl, COLUMNS
	jae .out
	cmp ah, 0x07
	jne .up
	mov al, 0
.up:	mov bl, al			; BL: lines
	or bl, bl
	jnz .row
	mov bl, ROWS
.row:	cmp ch, dh
	ja .out
	mov ax, cx
	call cell
	mov al, ch
	add al, bl			; the row that comes here
	cmp al, dh
	ja .blank
	push di
	mov ah, al
	mov al, cl
	call cell
	mov si, di
	pop di
	jmp .cells
.blank:	xor si, si
	dec si
.cells:	mov bh, dl
	sub bh, cl
	jb .out
.cell:	mov ah, [F_BX + 1]
	mov al, ' '
	cmp si, -1
	je .put
	mov ax, [es:si]
	add si, 2
.put:	stosw
	sub bh, 1
	jae .cell
	inc ch
	jmp .row
.out:	ret

teletype:
	call send
	cmp al, 8
	je .back
	cmp al, 13
	je .return
	cmp al, 10
	je .line
	cmp al, ' '
	jb .out
	push ax
	call at_cursor
	pop ax
	mov [es:di], al
	inc byte [CURSOR]
	cmp byte [CURSOR], COLUMNS
	jb .out
	mov byte [CURSOR], 0
.line:	inc byte [CURSOR_ROW]
	cmp byte [CURSOR_ROW], ROWS
	jb .out
	dec byte [CURSOR_ROW]
	push ds
	push es
	pop ds
	xor di, di
	mov si, COLUMNS * 2
	mov cx, COLUMNS * (ROWS - 1)
	rep movsw
	mov ax, BLANK
	mov cx, COLUMNS
	rep stosw
	pop ds
.out:	ret
.return:
	mov byte [CURSOR], 0
	ret
.back:	cmp byte [CURSOR], 0
	je .out
	dec byte [CURSOR]
	ret

; AL to COM1, which is given a while to take it.
send:
	push ax
	mov dx, COM1 + 5
	mov cx, 0xffff
.wait:	in al, dx
	test al, 0x20
	loopz .wait
	pop ax
	mov dx, COM1
	out dx, al
	ret

; ---- INT 16h: the ring of keys is IBM's, filled from COM1

keyboard:
	push ds
	push bx
	push BDA
	pop ds
	and ah, ~0x10 & 0xff		; the enhanced functions alike
	cmp ah, 0
	je .read
	cmp ah, 1
	je .peek
	cmp ah, 2
	jne .out
	mov al, 0			; no shift key is down
.out:	pop bx
	pop ds
	iret

.read:	call key
	jnz .take
	sti
	pause
	jmp .read
.take:	add bx, 2
	cmp bx, KEY_END
	jb .head
	mov bx, KEY_FIRST
.head:	mov [KEY_HEAD], bx
	jmp .out

.peek:	call key
	pop bx
	pop ds
	push bp
	mov bp, sp
	jz .none
	and byte [bp + 6], ~0x40 & 0xff
	pop bp
	iret
.none:	or byte [bp + 6], 0x40
	pop bp
	iret

; ZF: there is none; else AX is the first one, BX its place.
key:
	push dx
	mov dx, COM1 + 5
	in al, dx
	test al, 1
	jz .look
	mov bx, [KEY_TAIL]
	lea ax, [bx + 2]
	cmp ax, KEY_END
	jb .room
	mov ax, KEY_FIRST
.room:	cmp ax, [KEY_HEAD]
	je .look			; full: it stays in the port
	mov [KEY_TAIL], ax
	mov dx, COM1
	in al, dx
	mov ah, 0
	mov [bx], ax
.look:	pop dx
	mov bx, [KEY_HEAD]
	mov ax, [bx]
	cmp bx, [KEY_TAIL]
	ret

; ---- INT 1Ah

clock:
	cmp ah, 0
	je .ticks
	cmp ah, 2
	je .time
	cmp ah, 4
	je .date
	cmp ah, 0xb1			; PCI's BIOS: not there
	jne unknown
	mov ah, 0x81
	jmp fail
.ticks:	push ds
	push BDA
	pop ds
	mov dx, [TICKS]
	mov cx, [TICKS + 2]
	mov al, [MIDNIGHT]
	mov byte [MIDNIGHT], 0
	pop ds
	jmp done
.time:	mov ah, 4
	call cmos
	mov ch, al
	mov ah, 2
	call cmos
	mov cl, al
	mov ah, 0
	call cmos
	mov dh, al
	mov dl, 0
	jmp done
.date:	mov ah, 0x32
	call cmos
	mov ch, al
	mov ah, 9
	call cmos
	mov cl, al
	mov ah, 8
	call cmos
	mov dh, al
	mov ah, 7
	call cmos
	mov dl, al
	jmp done

; AL = CMOS byte AH, not in the middle of an update.
cmos:
	push cx
	mov cx, 0xffff
.busy:	mov al, 0x0a
	out 0x70, al
	in al, 0x71
	test al, 0x80
	loopnz .busy
	pop cx
	mov al, ah
	out 0x70, al
	in al, 0x71
	ret

; ---- where IBM has them

	times 0xff53 - 0xf000 - ($ - $$) db 0
dummy:	iret

	times 0xfff0 - 0xf000 - ($ - $$) db 0
	jmp SEG:reset
	db '01/01/26'			; FFF5h: the BIOS's date
	db 0, 0xfc, 0			; FFFEh: an AT
