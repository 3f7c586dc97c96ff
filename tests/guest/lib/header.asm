; SPDX-License-Identifier: BSD-2-Clause
;
; The multiboot1 header of all guest kernels that do not bring one of their own.

%define MB_MAGIC	0x1badb002
%define MB_FLAGS	3			; modules on pages, memory map wanted

section .multiboot
	align 4
	dd MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)
