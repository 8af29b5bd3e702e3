/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For assembly: the registers around an entry into a guest, the same for both
 * backends. Of the guest's, RAX and RSP are the backend's affair: one has them in
 * its control block, the other has not. Flags stay as they are but in GUEST_FORGET.
 */
#ifndef ARCH_X86_64_GUEST_ENTRY_H
#define ARCH_X86_64_GUEST_ENTRY_H

/* clang-format off */

/* What a C function may not change. */
#define HOST_PUSH \
	pushq %rbp; \
	movq %rsp, %rbp; \
	pushq %rbx; \
	pushq %r12; \
	pushq %r13; \
	pushq %r14; \
	pushq %r15

#define HOST_POP \
	popq %r15; \
	popq %r14; \
	popq %r13; \
	popq %r12; \
	popq %rbx; \
	popq %rbp; \
	cld

/* From the array of 16 at RDI, in the order of enum virt_gpr; RDI itself last. */
#define GUEST_LOAD \
	movq 8*1(%rdi), %rcx; \
	movq 8*2(%rdi), %rdx; \
	movq 8*3(%rdi), %rbx; \
	movq 8*5(%rdi), %rbp; \
	movq 8*6(%rdi), %rsi; \
	movq 8*8(%rdi), %r8; \
	movq 8*9(%rdi), %r9; \
	movq 8*10(%rdi), %r10; \
	movq 8*11(%rdi), %r11; \
	movq 8*12(%rdi), %r12; \
	movq 8*13(%rdi), %r13; \
	movq 8*14(%rdi), %r14; \
	movq 8*15(%rdi), %r15; \
	movq 8*7(%rdi), %rdi

/* To the array at RDI; the guest's RDI is on the stack, and leaves it. */
#define GUEST_STORE \
	movq %rcx, 8*1(%rdi); \
	movq %rdx, 8*2(%rdi); \
	movq %rbx, 8*3(%rdi); \
	movq %rbp, 8*5(%rdi); \
	movq %rsi, 8*6(%rdi); \
	movq %r8, 8*8(%rdi); \
	movq %r9, 8*9(%rdi); \
	movq %r10, 8*10(%rdi); \
	movq %r11, 8*11(%rdi); \
	movq %r12, 8*12(%rdi); \
	movq %r13, 8*13(%rdi); \
	movq %r14, 8*14(%rdi); \
	movq %r15, 8*15(%rdi); \
	popq 8*7(%rdi)

/* Nothing of the guest's stays where speculation could use it; HOST_POP overwrites the rest. */
#define GUEST_FORGET \
	xorl %ecx, %ecx; \
	xorl %edx, %edx; \
	xorl %esi, %esi; \
	xorl %r8d, %r8d; \
	xorl %r9d, %r9d; \
	xorl %r10d, %r10d; \
	xorl %r11d, %r11d

/* clang-format on */

#endif
