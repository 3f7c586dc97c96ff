; SPDX-License-Identifier: BSD-2-Clause
;
; A multiboot2 header with tags of each kind: what must be known, what a BIOS machine passes over,
; and what nobody knows and need not.

%define MB2_MAGIC	0xe85250d6
%define MB2_386		0
%define OPTIONAL	1

%define REQUEST		1
%define ENTRY		3
%define CONSOLE		4
%define MODULE_ALIGN	6
%define EFI_SERVICES	7
%define EFI64_ENTRY	9
%define UNKNOWN		0x4b65

; tag TYPE, FLAGS, CONTENT...
%macro tag 2-*
	align 8
%%start:
	dw %1, %2
	dd %%end - %%start
%rep %0 - 2
	dd %3
%rotate 1
%endrep
%%end:
%endmacro

extern start32

section .multiboot
	align 8
header:
	dd MB2_MAGIC, MB2_386, header_end - header
	dd -(MB2_MAGIC + MB2_386 + (header_end - header))
	tag REQUEST, 0, 1, 2, 3, 4, 6, 8, 9, 14, 15
	tag REQUEST, OPTIONAL, 17, UNKNOWN
	tag ENTRY, 0, multiboot2_entry
	tag CONSOLE, 0, 3
	tag MODULE_ALIGN, 0
	tag EFI_SERVICES, 0
	tag EFI64_ENTRY, OPTIONAL, astray_entry
	tag UNKNOWN, OPTIONAL, 0, 0
	tag 0, 0
header_end:

section .text
bits 32
; Not the ELF file's entry: the tag's word goes before it.
global multiboot2_entry
multiboot2_entry:
	mov byte [entered_by_tag], 1
	jmp start32

; There is no EFI to come from.
astray_entry:
	ud2

section .data
global entered_by_tag
entered_by_tag:	db 0
