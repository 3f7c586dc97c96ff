; SPDX-License-Identifier: BSD-2-Clause
;
; The 256 gates' stubs. Below IRQ_FIRST each leaves vector and error code (0 where there is none) on
; the stack, the common part builds a struct trap_frame and calls trap_dispatch(frame). An interrupt
; has nobody who looks at the frame: what C functions may change is saved, and irq_dispatch(vector)
; is called. Entered from ring 3 the stubs swap GS and clear AC. NMI, #DF and #MC may come between
; any two instructions, also where CS says ring 0 and GS is still the user's: they look at the GS
; base itself (Keel's is in the upper half, a user's never is). Back to ring 3 it goes through
; trap_to_user().

%include "offsets.inc"

extern trap_dispatch, irq_dispatch, trap_to_user
global trap_stubs, stack_leave, trap_enter_user

%define ERROR_VECTORS	0x60227d00		; bit n: vector n pushes an error code
%define PARANOID	((1 << 2) | (1 << 8) | (1 << 18))

section .text
bits 64

; All stubs are of one size, so that trap_init() finds them without a table.
%define STUB_SIZE	12
align 16
trap_stubs:
%assign vector 0
%rep 256
	times vector * STUB_SIZE - ($ - trap_stubs) int3
	%if vector >= IRQ_FIRST
	push rdi
	mov edi, vector
	jmp near trap_interrupt
	%else
	%if vector >= 32 || !((ERROR_VECTORS >> vector) & 1)
	push 0
	%endif
	push vector
	%if vector < 32 && ((PARANOID >> vector) & 1)
	jmp near trap_paranoid
	%elif vector == 1
	jmp near trap_debug
	%else
	jmp near trap_common
	%endif
	%endif
	%assign vector vector + 1
%endrep

%macro SAVE 0
	push rax
	push rbx
	push rcx
	push rdx
	push rsi
	push rdi
	push rbp
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
	cld
	mov rdi, rsp
%endmacro

%macro RESTORE 0
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rbp
	pop rdi
	pop rsi
	pop rdx
	pop rcx
	pop rbx
	pop rax
	add rsp, 16				; vector, error code
%endmacro

; RDI, which the stub has pushed, and the other registers that belong to a function's caller.
%macro SAVE_INTERRUPT 0
	push rax
	push rcx
	push rdx
	push rsi
	push r8
	push r9
	push r10
	push r11
	cld
%endmacro

%macro RESTORE_INTERRUPT 0
	pop r11
	pop r10
	pop r9
	pop r8
	pop rsi
	pop rdx
	pop rcx
	pop rax
	pop rdi
%endmacro

align 16
trap_interrupt:
	test byte [rsp + 16], 3			; CS
	jnz .from_user
	SAVE_INTERRUPT
	call irq_dispatch
	RESTORE_INTERRUPT
	iretq

.from_user:
	swapgs
	SAVE_INTERRUPT
	pushfq
	btr qword [rsp], 18			; AC would let the kernel through SMAP
	popfq
	call irq_dispatch
	lea rdi, [rsp + 14 * 8]			; behind the frame
	call trap_to_user
	RESTORE_INTERRUPT
	swapgs
	iretq

; #DB in Keel's own code. Keel sets neither TF nor breakpoints: without TF it is what a guest left
; pending or armed, raised by a bed behind the exit, where GS is the guest's still. It is dropped
; before anything is touched: breakpoints off, and RF lets the instruction that met one go on.
align 16
trap_debug:
	test byte [rsp + 24], 3			; CS
	jnz trap_common
	test dword [rsp + 32], 1 << 8		; RFLAGS.TF
	jnz trap_common
	push rax
	mov eax, DR7_RESET
	mov dr7, rax
	xor eax, eax
	mov dr6, rax
	pop rax
	or dword [rsp + 32], 1 << 16		; RFLAGS.RF
	add rsp, 16				; vector, error code
	iretq

align 16
trap_common:
	test byte [rsp + 24], 3			; CS
	jnz .from_user
	SAVE
	call trap_dispatch
	RESTORE
	iretq

.from_user:
	swapgs
	SAVE
	pushfq
	btr qword [rsp], 18			; AC would let the kernel through SMAP
	popfq
	call trap_dispatch
	lea rdi, [rsp + 22 * 8]			; behind the frame
	call trap_to_user
	RESTORE
	swapgs
	iretq

align 16
trap_paranoid:
	SAVE
	pushfq
	btr qword [rsp], 18
	popfq
	mov ecx, 0xc0000101			; GS_BASE
	rdmsr
	xor ebx, ebx				; EBX = 1: GS was the user's
	test edx, edx
	js .kernel_gs
	swapgs
	inc ebx
.kernel_gs:
	call trap_dispatch
	test ebx, ebx
	jz .done
	swapgs
.done:	RESTORE
	iretq

; trap_enter_user(rip, rsp, stack_top): to ring 3, where all other registers are 0. The top is
; 16-byte aligned.
trap_enter_user:
	cli
	mov rsp, rdx
	push GDT_USER_DATA | 3
	push rsi
	push 0x202				; RFLAGS: IF
	push GDT_USER_CODE | 3
	push rdi
	sub rsp, 8				; aligned, for the call
	mov rdi, rdx
	call trap_to_user
	add rsp, 8
	xor eax, eax
	xor ebx, ebx
	xor ecx, ecx
	xor edx, edx
	xor esi, esi
	xor edi, edi
	xor ebp, ebp
	xor r8d, r8d
	xor r9d, r9d
	xor r10d, r10d
	xor r11d, r11d
	xor r12d, r12d
	xor r13d, r13d
	xor r14d, r14d
	xor r15d, r15d
	swapgs
	iretq

; stack_leave(top, fn): calls fn on the stack that ends at `top`; the backtrace ends there.
stack_leave:
	mov rsp, rdi
	xor ebp, ebp
	push rbp
	call rsi
	ud2
