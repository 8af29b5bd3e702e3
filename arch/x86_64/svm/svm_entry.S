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
#include "arch/x86_64/guest_entry.h"

	.section .text.svm_enter, "ax", @progbits
	.globl svm_enter
	.type svm_enter, @function
svm_enter:
	HOST_PUSH
	pushq %rdx			/* host_pa */
	pushq %rdi			/* gpr */
	movq %rsi, %rax
	GUEST_LOAD
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
	GUEST_STORE
	GUEST_FORGET
	addq $16, %rsp
	HOST_POP
	cli
	stgi
	ret
	.size svm_enter, . - svm_enter
	.section .note.GNU-stack, "", @progbits
