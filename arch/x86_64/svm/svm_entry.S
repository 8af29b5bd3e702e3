/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svm_enter(gpr, vmcb_pa, host_pa): VMRUN until the next #VMEXIT.
 *
 * Called with interrupts off. GIF is cleared first, then IF set, so that an
 * interrupt that is pending or comes makes the guest exit at once
 * (V_INTR_MASKING: the host's IF decides), and is taken by the host only when
 * the caller opens interrupts again. A host NMI is taken at STGI.
 * Between STI and VMRUN stands another instruction: QEMU 7.2 carries the STI
 * shadow into the guest otherwise. RAX and RSP are in the VMCB; VMRUN brings
 * the host's back. [APM2 15.5.1 "Basic Operation"] [APM2 15.17 "Global Interrupt Flag"]
 */
	.section .text.svm_enter, "ax", @progbits
	.globl svm_enter
	.type svm_enter, @function
svm_enter:
	pushq %rbp
	movq %rsp, %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdx			/* host_pa */
	pushq %rdi			/* gpr */
	movq %rsi, %rax
	movq 8*1(%rdi), %rcx
	movq 8*2(%rdi), %rdx
	movq 8*3(%rdi), %rbx
	movq 8*5(%rdi), %rbp
	movq 8*6(%rdi), %rsi
	movq 8*8(%rdi), %r8
	movq 8*9(%rdi), %r9
	movq 8*10(%rdi), %r10
	movq 8*11(%rdi), %r11
	movq 8*12(%rdi), %r12
	movq 8*13(%rdi), %r13
	movq 8*14(%rdi), %r14
	movq 8*15(%rdi), %r15
	movq 8*7(%rdi), %rdi
	clgi
	sti
	nop
	vmload %rax
	vmrun %rax
	vmsave %rax
	pushq %rdi
	movq 8(%rsp), %rdi		/* gpr */
	movq 16(%rsp), %rax		/* host_pa */
	vmload %rax
	movq %rcx, 8*1(%rdi)
	movq %rdx, 8*2(%rdi)
	movq %rbx, 8*3(%rdi)
	movq %rbp, 8*5(%rdi)
	movq %rsi, 8*6(%rdi)
	movq %r8, 8*8(%rdi)
	movq %r9, 8*9(%rdi)
	movq %r10, 8*10(%rdi)
	movq %r11, 8*11(%rdi)
	movq %r12, 8*12(%rdi)
	movq %r13, 8*13(%rdi)
	movq %r14, 8*14(%rdi)
	movq %r15, 8*15(%rdi)
	popq 8*7(%rdi)
	/* Nothing of the guest's stays where speculation could use it. */
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	addq $16, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	cld
	cli
	stgi
	ret
	.size svm_enter, . - svm_enter
	.section .note.GNU-stack, "", @progbits
