; SPDX-License-Identifier: BSD-2-Clause
;
; Where Keel begins, on the boot CPU: by multiboot2 (GRUB, BIOS or UEFI) or PVH (qemu -kernel), both
; in 32-bit protected mode without paging, the image at any 2 MiB boundary below 4 GiB. Builds the
; boot map, switches to 64-bit mode, gives the CPU its stack and per-CPU block and calls
; boot_main(). Until the far return only EBP, where the image is, gives addresses: nothing here is
; linked at where it runs.
; Sources: Multiboot2 Specification 2.0, "OS image format"; Xen, "x86/HVM direct boot ABI".
;
; The boot map, 2 MiB pages, everything writable and executable; mm/kmap.c replaces it,
; APs start on it:
;	slot 0 and slot 256	physical 0 to 4 GiB, as it is and as the direct map
;	slot 511		the image at -2 GiB

%include "offsets.inc"

MULTIBOOT2_MAGIC	equ 0xe85250d6
PVH_MAGIC		equ 0x336ec578
BOOT_STACK_SIZE		equ 16384

PTE_TABLE		equ 0x003	; present, writable
PTE_2M			equ 0x083	; present, writable, large

; An image address as an offset that EBP makes physical.
%define AT(symbol)	(symbol - LAYOUT_IMAGE)

extern boot_main, percpu_start, percpu_end, percpu_boot, image_size, boot_pvh_physical
global boot_multiboot_entry, boot_pvh_entry, boot_pml4, boot_gdt_pointer

section .boot progbits alloc exec nowrite align=16
bits 32

image:

; ---- multiboot2 header ----
align 8
header:
	dd MULTIBOOT2_MAGIC
	dd 0					; i386, protected mode
	dd header_end - header
	dd -(MULTIBOOT2_MAGIC + header_end - header)
	; No framebuffer is asked for: GRUB would change the mode (and dies of it on some VGA
	; BIOSes). One that is on is told: text on a BIOS machine, and on UEFI a framebuffer,
	; which GRUB sets up there unasked. Booting does not depend on either.
align 8
	dw 6, 0					; modules start on pages
	dd 8
align 8
	; relocatable: minimum, maximum, alignment, lowest preferred
	dw 10, 0
	dd 24
	dd 0x200000, 0xffffffff, 0x200000, 1
align 8
	dw 0, 0
	dd 8
header_end:

; ---- entries: EBX = boot information ----

boot_pvh_entry:
	mov eax, PVH_MAGIC
boot_multiboot_entry:
	cli
	cld
	mov esi, eax
	; No stack yet: the word at EBX + 4 serves as one for a single call, and gets
	; its value back.
	mov edx, [ebx + 4]
	lea esp, [ebx + 8]
	call .here
.here:	pop ebp
	sub ebp, .here - image
	mov [ebx + 4], edx
	lea esp, [ebp + AT(boot_stack_top)]

	call check_long_mode
	call make_boot_map

	lea eax, [ebp + AT(boot_pml4)]
	mov cr3, eax
	mov eax, 0x20				; CR4.PAE
	mov cr4, eax
	mov ecx, 0xc0000080			; EFER: LME, and NXE where it exists
	rdmsr
	or eax, 0x100
	or eax, edi
	wrmsr
	mov eax, 0x80010033			; PG, WP, NE, ET, MP, PE
	mov cr0, eax

	; The GDT is linked high: load it by a pointer built here, in low terms.
	lea eax, [ebp + AT(boot_gdt)]
	push eax
	push word BOOT_GDT_SIZE - 1
	lgdt [esp]
	add esp, 6
	push dword GDT_KERNEL_CODE
	lea eax, [ebp + entry64 - image]
	push eax
	retf

; Returns EDI = EFER.NXE if the CPU has it; does not return on a CPU without 64-bit mode.
check_long_mode:
	push ebx
	mov eax, 0x80000000
	cpuid
	cmp eax, 0x80000001
	jb .missing
	mov eax, 0x80000001
	cpuid
	bt edx, 29
	jnc .missing
	xor edi, edi
	bt edx, 20
	jnc .done
	mov edi, 0x800
.done:	pop ebx
	ret
.missing:
	lea esi, [ebp + no_long_mode - image]
.next:	lodsb
	test al, al
	jz .stop
	mov ah, al
	mov edx, 0x3fd
.wait:	in al, dx
	test al, 0x20
	jz .wait
	mov edx, 0x3f8
	mov al, ah
	out dx, al
	jmp .next
.stop:	hlt
	jmp .stop

no_long_mode:
	db 13, 10, "keel: cannot start: this CPU has no 64-bit mode", 13, 10, 0

; Fills the tables, which lie in the cleared BSS. Keeps EBX, ESI, EDI.
make_boot_map:
	; physical 0 to 4 GiB
	lea edx, [ebp + AT(boot_pd)]
	mov eax, PTE_2M
	xor ecx, ecx
.page:	mov [edx + ecx * 8], eax
	add eax, 0x200000
	inc ecx
	cmp ecx, 2048
	jb .page
	lea eax, [edx + PTE_TABLE]
	lea edx, [ebp + AT(boot_pdpt)]
	mov ecx, 4
.gib:	mov [edx], eax
	add eax, 4096
	add edx, 8
	loop .gib
	; the image
	lea edx, [ebp + AT(boot_pd_image)]
	lea eax, [ebp + PTE_2M]
	mov ecx, image_size + 0x1fffff
	shr ecx, 21
.image:	mov [edx], eax
	add eax, 0x200000
	add edx, 8
	loop .image
	lea eax, [ebp + AT(boot_pd_image) + PTE_TABLE]
	mov [ebp + AT(boot_pdpt_image) + 510 * 8], eax
	; top level
	lea eax, [ebp + AT(boot_pdpt) + PTE_TABLE]
	mov [ebp + AT(boot_pml4)], eax
	mov [ebp + AT(boot_pml4) + 256 * 8], eax
	lea eax, [ebp + AT(boot_pdpt_image) + PTE_TABLE]
	mov [ebp + AT(boot_pml4) + 511 * 8], eax
	ret

bits 64
; ESI = magic, EBX = information, EBP = image, still at low addresses.
entry64:
	mov rax, .high
	jmp rax
.high:
	lgdt [boot_gdt_pointer]
	xor eax, eax
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov fs, eax
	mov gs, eax
	mov rsp, boot_stack_top
	mov r8d, esi
	; The boot CPU's per-CPU block: a copy of the template, its distance first.
	mov rsi, percpu_start
	mov rdi, percpu_boot
	mov rax, rdi
	sub rax, rsi
	mov rcx, percpu_end
	sub rcx, rsi
	shr ecx, 3
	rep movsq
	mov rdx, percpu_boot
	mov [rdx], rax
	mov eax, edx
	shr rdx, 32
	mov ecx, 0xc0000101			; GS_BASE
	wrmsr

	mov edi, r8d
	mov esi, ebx
	mov edx, ebp
	xor ebp, ebp				; the backtrace ends here
	push rbp
	call boot_main
	ud2

; ---- PVH note ----
section .note.Xen note alloc noexec nowrite align=4
	dd 4, 4, 18				; name and descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
	db "Xen", 0
	dd boot_pvh_physical

section .rodata
align 16
boot_gdt:
	dq 0
	dq 0x00af9b000000ffff			; GDT_KERNEL_CODE
	dq 0x00cf93000000ffff			; GDT_KERNEL_DATA
BOOT_GDT_SIZE equ $ - boot_gdt
boot_gdt_pointer:
	dw BOOT_GDT_SIZE - 1
	dq boot_gdt

section .bss.pages nobits alloc write align=4096
boot_pml4:	resb 4096
boot_pdpt:	resb 4096
boot_pd:	resb 4 * 4096
boot_pdpt_image: resb 4096
boot_pd_image:	resb 4096
boot_stack:	resb BOOT_STACK_SIZE
boot_stack_top:
global boot_stack, boot_stack_top
