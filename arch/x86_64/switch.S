/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * World switch. A suspended world's struct ctx is its stack pointer: below it
 * lie rbp, rbx, r12-r15 and the return address, as arch_stack_prepare() lays
 * them out for a new one.
 */
	.text
	.globl arch_switch
	.type arch_switch, @function
arch_switch:			/* rdi: where to save ours, rsi: the other's */
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size arch_switch, . - arch_switch

	.globl switch_first
	.type switch_first, @function
switch_first:			/* a new world: r12 = entry, r13 = arg */
	movq %r13, %rdi
	pushq $0		/* return address: none; rsp is 16n + 8 as after a call */
	jmpq *%r12
	.size switch_first, . - switch_first

	.section .note.GNU-stack, "", @progbits
