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
#include "arch/x86_64/guest_entry.h"

#define HOST_RSP 0x6c14

	.section .text.vmx_enter, "ax", @progbits
	.globl vmx_enter, vmx_exit_point
	.type vmx_enter, @function
vmx_enter:
	HOST_PUSH
	pushq %rdi			/* gpr */
	movl $HOST_RSP, %eax
	vmwrite %rsp, %rax
	jbe failed
	testb %sil, %sil		/* the moves below keep the flags */
	movq 8*0(%rdi), %rax
	GUEST_LOAD
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
	GUEST_STORE
	xorl %eax, %eax
leave:
	GUEST_FORGET
	addq $8, %rsp
	HOST_POP
	ret
	.size vmx_enter, . - vmx_enter
	.section .note.GNU-stack, "", @progbits
