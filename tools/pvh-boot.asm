; SPDX-License-Identifier: BSD-2-Clause
;
; The first sector of a disk made by tools/pvh-disk, for a BIOS machine with an IDE disk: reads what
; the table at its end lists to where it belongs, and enters Keel as the PVH ABI has it. It stands
; in for GRUB where the way in is not the question: GRUB copies each byte several times, one by one,
; and an emulated processor is long at that.
;
; Sources: ACPI Specification, "INT 15H, E820H"; ATA/ATAPI-6, "READ SECTOR(S)"; Xen, "x86/HVM direct
; boot ABI", hvm_start_info.
;
; A line of the table has three words: the first sector, how many, and the address they go to. The
; last one has no sectors, and the entry point for an address.

bits 16
org 0x7c00

MAP		equ 0x1000		; hvm_memmap_table_entry[]
INFO		equ 0x9000		; hvm_start_info, from the disk
INFO_RSDP	equ INFO + 32
INFO_MAP_COUNT	equ INFO + 48
LINE_SIZE	equ 12

DATA		equ 0x1f0
COUNT		equ 0x1f2
STATUS		equ 0x1f7		; read; written it is the command
BUSY		equ 0x80
WANTS_DATA	equ 0x08
READ_SECTORS	equ 0x20

	cli
	cld
	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x7c00
	xor ebx, ebx
	mov di, MAP
	xor bp, bp
.region:				; the entries are 24 bytes: the last word stays 0
	mov dword [di + 20], 0
	mov eax, 0xe820
	mov edx, 0x534d4150		; 'SMAP'
	mov ecx, 20
	int 0x15
	jc .known
	add di, 24
	inc bp
	test ebx, ebx
	jnz .region
.known:
	cli
	in al, 0x92			; A20
	or al, 2
	out 0x92, al
	lgdt [gdt_pointer]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp 0x08:protected

bits 32
protected:
	mov ax, 0x10
	mov ds, ax
	mov es, ax
	mov ss, ax
	movzx ebp, bp			; the count of regions
	mov esi, table
.line:
	mov ebx, [esi]			; sector
	mov edi, [esi + 8]
	mov ecx, [esi + 4]
	jecxz .loaded
.read:					; ECX sectors from EBX on to EDI, 256 by a command
	push ecx
	cmp ecx, 256
	jbe .some
	mov ecx, 256
.some:
	sub [esp], ecx
	call wait_ready
	mov dx, COUNT
	mov al, cl			; 256 is 0
	out dx, al
	mov eax, ebx
	add ebx, ecx
	inc edx
	out dx, al			; 0 to 7 of the sector's number
	inc edx
	shr eax, 8
	out dx, al
	inc edx
	shr eax, 8
	out dx, al
	inc edx
	shr eax, 8
	or al, 0xe0			; by number, the first drive
	out dx, al
	inc edx
	mov al, READ_SECTORS
	out dx, al
.sector:
	call wait_ready
	test al, WANTS_DATA
	jz .sector
	push ecx
	mov ecx, 128
	mov dx, DATA
	rep insd
	pop ecx
	loop .sector
	pop ecx
	test ecx, ecx
	jnz .read
	add esi, LINE_SIZE
	jmp .line

.loaded:
	mov [INFO_MAP_COUNT], ebp
	mov eax, 0xe0000
.search:
	cmp dword [eax], 'RSD '
	jne .next
	cmp dword [eax + 4], 'PTR '
	je .found
.next:
	add eax, 16
	cmp eax, 0x100000
	jb .search
	xor eax, eax
.found:
	mov [INFO_RSDP], eax
	mov ebx, INFO
	jmp edi

; Returns the status, when the drive is not busy, in AL.
wait_ready:
	mov dx, STATUS
	in al, dx
	test al, BUSY
	jnz wait_ready
	ret

align 8
gdt:	dq 0
	dq 0x00cf9a000000ffff
	dq 0x00cf92000000ffff
gdt_pointer:
	dw $ - gdt - 1
	dd gdt

align 4
table:
