; SPDX-License-Identifier: BSD-2-Clause
;
; What vmx_errata.c has a chip run as a guest, in Keel's own address space, ring 0: it ends in HLT
; unless the chip exits before. No memory is touched.

global vmx_errata_spin

section .text
bits 64

vmx_errata_spin:			; some ten microseconds, in which an IPI comes
	mov	ecx, 0x10000
.more:
	dec	ecx
	jnz	.more
	hlt
