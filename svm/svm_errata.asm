; SPDX-License-Identifier: BSD-2-Clause
;
; What svm_errata.c has a chip run as a guest, in Keel's own address space, ring 0. Each ends in HLT
; unless the chip exits before. No memory is touched.

global svm_errata_halt
global svm_errata_xsetbv
global svm_errata_arm
global svm_errata_met
global svm_errata_detect
global svm_errata_rdtscp
global svm_errata_cr4
global svm_errata_spin

section .text
bits 64

svm_errata_halt:
	nop				; one byte: in a shadow an interrupt comes behind it
	hlt

svm_errata_xsetbv:			; XCR0 as it is
	xor	ecx, ecx
	xgetbv
	xsetbv
	hlt

svm_errata_arm:
	lea	rax, [rel svm_errata_met]
	mov	dr0, rax
	mov	eax, 0x401
	mov	dr7, rax
	hlt

svm_errata_met:				; void (void), which Keel calls
	ret

svm_errata_detect:
	mov	eax, 0x2400
	mov	dr7, rax
	mov	rax, dr7
	hlt

svm_errata_rdtscp:
	rdtscp
	hlt

svm_errata_cr4:				; bit 63 is reserved for ever
	mov	rax, cr4
	bts	rax, 63
	mov	cr4, rax
	hlt

svm_errata_spin:			; some ten microseconds, in which an IPI comes
	mov	ecx, 0x10000
.more:
	dec	ecx
	jnz	.more
	hlt
