/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's entry: rdi = struct bootinfo, provisional page tables, no
 * interrupts, no usable stack. The loader has cleared bss.
 */
#include "regs.h"

	.section .text.start, "ax", @progbits
	.globl _start
	.type _start, @function
_start:
	movq $boot_stack + BOOT_STACK_SIZE, %rsp
	xorl %ebp, %ebp
	pushq $0
	pushq $0
	call kernel_main
1:	cli
	hlt
	jmp 1b
	.size _start, . - _start

	.section .bss.boot_stack, "aw", @nobits
	.balign 4096
	.globl boot_stack
boot_stack:
	.skip BOOT_STACK_SIZE

	.section .note.GNU-stack, "", @progbits
