/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start of another CPU: copied to a page below 1 MiB, where it begins in real
 * mode with cs = page >> 4. It fetches what it needs from the block at
 * trampoline_data, which smp.c fills, and goes real -> protected -> long mode.
 */
#include "regs.h"

#define OFF(label) ((label) - trampoline_start)

	.section .rodata.trampoline, "a"
	.balign 16
	.globl trampoline_start, trampoline_end, trampoline_data
	.code16
trampoline_start:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	movl OFF(data_page), %ebx
	lgdtl OFF(data_gdtr)
	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl *OFF(data_jump32)

	.code32
start32:
	movw $SEL_DATA, %ax
	movw %ax, %ds
	movw %ax, %ss
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl OFF(data_cr3)(%ebx), %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl %cr0, %eax
	andl $~(CR0_CD | CR0_NW), %eax
	orl $(CR0_PG | CR0_WP), %eax
	movl %eax, %cr0
	ljmpl *OFF(data_jump64)(%ebx)

	.code64
start64:
	movq OFF(data_stack)(%rbx), %rsp
	movq OFF(data_arg)(%rbx), %rdi
	movq OFF(data_entry)(%rbx), %rax
	xorl %ebp, %ebp
	pushq $0
	jmpq *%rax

	/* struct trampoline_data of smp.c */
	.balign 8
trampoline_data:
data_page:	.long 0		/* 0x00 physical address of this page */
data_cr3:	.long 0		/* 0x04 */
data_stack:	.quad 0		/* 0x08 */
data_arg:	.quad 0		/* 0x10 */
data_entry:	.quad 0		/* 0x18 */
data_gdt:	.quad 0		/* 0x20 */
		.quad 0x00af9b000000ffff /* 64-bit code, SEL_CODE */
		.quad 0x00cf93000000ffff /* data, SEL_DATA */
		.quad 0x00cf9b000000ffff /* 32-bit code, SEL_CODE32 */
data_gdtr:	.word 31	/* 0x40 */
		.long 0		/* 0x42 physical address of data_gdt */
		.word 0
data_jump32:	.long OFF(start32) /* 0x48, plus page */
		.word 0x18
		.word 0
data_jump64:	.long OFF(start64) /* 0x50, plus page */
		.word SEL_CODE
		.word 0
trampoline_end:

	.section .note.GNU-stack, "", @progbits
