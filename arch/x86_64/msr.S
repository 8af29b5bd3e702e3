/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSR accesses that survive #GP: trap.c continues at the _fault label when
 * the instruction at the _insn label faults. 0 or -EFAULT.
 */
#define EFAULT 14

	.text
	.globl rdmsr_safe, rdmsr_safe_insn, rdmsr_safe_fault
	.type rdmsr_safe, @function
rdmsr_safe:			/* edi: MSR, rsi: where to put the value */
	movl %edi, %ecx
rdmsr_safe_insn:
	rdmsr
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, (%rsi)
	xorl %eax, %eax
	ret
rdmsr_safe_fault:
	movl $-EFAULT, %eax
	ret
	.size rdmsr_safe, . - rdmsr_safe

	.globl wrmsr_safe, wrmsr_safe_insn, wrmsr_safe_fault
	.type wrmsr_safe, @function
wrmsr_safe:			/* edi: MSR, rsi: value */
	movl %edi, %ecx
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
wrmsr_safe_insn:
	wrmsr
	xorl %eax, %eax
	ret
wrmsr_safe_fault:
	movl $-EFAULT, %eax
	ret
	.size wrmsr_safe, . - wrmsr_safe

	.section .note.GNU-stack, "", @progbits
