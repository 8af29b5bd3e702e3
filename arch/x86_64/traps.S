/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 256 entry stubs of 16 bytes each and their common part, which builds struct
 * trap_frame. All host code runs in ring 0 with its GS base set, so there is
 * no swapgs anywhere.
 */
	.text
	.balign 16
	.globl trap_stubs
	.type trap_stubs, @function
trap_stubs:
	vector = 0
	.rept 256
	.balign 16
	/* These push an error code themselves. [SDM 3A "Exception and Interrupt Reference"] */
	.if vector != 8 && !(vector >= 10 && vector <= 14) && vector != 17 && vector != 21 && \
		vector != 29 && vector != 30
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	vector = vector + 1
	.endr
	.size trap_stubs, . - trap_stubs

	.type trap_common, @function
trap_common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	call trap_dispatch
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp		/* vector, error code */
	iretq
	.size trap_common, . - trap_common

	.section .note.GNU-stack, "", @progbits
