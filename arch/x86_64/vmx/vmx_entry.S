/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmx_enter(gpr, launched): VMLAUNCH or VMRESUME until the next VM exit.
 *
 * Called with interrupts off; an interrupt that is pending or comes makes the
 * guest exit at once, and is taken by the host when the caller opens
 * interrupts again. The guest's RSP is in the VMCS; the host's is written to
 * it here. 0 after an exit, 1 when the instruction failed (VMfail).
 * [SDM 3C 27 "VM Entries"] [SDM 3C 28.5 "Loading Host State"]
 */
#define HOST_RSP 0x6c14

	.section .text.vmx_enter, "ax", @progbits
	.globl vmx_enter, vmx_exit_point
	.type vmx_enter, @function
vmx_enter:
	pushq %rbp
	movq %rsp, %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi			/* gpr */
	movl $HOST_RSP, %eax
	vmwrite %rsp, %rax
	jbe failed
	testb %sil, %sil		/* the moves below keep the flags */
	movq 8*0(%rdi), %rax
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
	jnz 1f
	vmlaunch
	jmp failed
1:	vmresume
failed:
	movl $1, %eax
	jmp leave

vmx_exit_point:
	pushq %rdi
	movq 8(%rsp), %rdi		/* gpr */
	movq %rax, 8*0(%rdi)
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
	xorl %eax, %eax
leave:
	/* Nothing of the guest's stays where speculation could use it. */
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	addq $8, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	cld
	ret
	.size vmx_enter, . - vmx_enter
	.section .note.GNU-stack, "", @progbits
