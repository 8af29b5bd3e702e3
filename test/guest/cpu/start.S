/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry by multiboot 1, other processors' entry, long mode for both; the stubs
 * of all 256 vectors. Memory below 4 GiB is mapped 1:1 by 2 MiB pages.
 */
#include "layout.h"

#define MAGIC 0x1badb002
#define FLAGS 3

	.section .multiboot, "a"
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)

	.text
	.code32
	.global start
start:
	mov $stack_top, %esp
	mov %ebx, boot_info
	mov %eax, boot_magic
	lgdt gdt_pointer
	call enter_long
	ljmp $SEL_CODE64, $1f
	.code64
1:	xor %ebp, %ebp
	call main
	ud2

	.code32
enter_long:
	movl $pml4, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x620, %eax			/* OSXMMEXCPT, OSFXSR, PAE */
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x900, %eax			/* NXE, LME */
	wrmsr
	mov $0x80010033, %eax		/* PG, WP, NE, ET, MP, PE */
	mov %eax, %cr0
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	ret

/* Copied to AP_START. A lock-free ticket gives each processor its stack. */
	.code16
	.global ap_code, ap_code_end
ap_code:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl AP_START + (ap_gdt - ap_code)
	mov $0x11, %eax
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $ap_32
ap_gdt:
	.word GDT_SIZE - 1
	.long gdt
ap_code_end:
	.code32
ap_32:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $AP_STACK, %esp
	lock xadd %esp, ap_stack_next
	add $AP_STACK, %esp
	call enter_long
	ljmp $SEL_CODE64, $1f
	.code64
1:	xor %ebp, %ebp
	call ap_main
	ud2

/* Vectors 8, 10 to 14, 17, 21, 29, 30 come with an error code. */
#define WITH_ERROR 0x60227d00
	.global stubs
	.align 16
stubs:
	v = 0
	.rept 256
	.align 16
	.if v > 31 || !((WITH_ERROR >> (v & 31)) & 1)
	push $0
	.endif
	push $v
	jmp common
	v = v + 1
	.endr

common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	mov %rsp, %rbx
	and $-16, %rsp
	call on_trap
	mov %rbx, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	.data
	.align 16
	.global gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 08 64-bit code */
	.quad 0x00cf93000000ffff	/* 10 data */
	.quad 0x00cf9b000000ffff	/* 18 32-bit code */
	.quad 0x00009b000000ffff	/* 20 16-bit code */
	.quad 0x000093000000ffff	/* 28 16-bit data */
	.quad 0x00cff3000000ffff	/* 30 user data */
	.quad 0x00affb000000ffff	/* 38 user code */
	.quad 0, 0			/* 40 TSS, by rt.c */
	.quad 0x00cf13000000ffff	/* 50 data, not present */
gdt_pointer:
	.word GDT_SIZE - 1
	.long gdt
	.global boot_info, boot_magic, ap_stack_next
boot_info:
	.long 0
boot_magic:
	.long 0
ap_stack_next:
	.long ap_stacks

	.align 4096
	.global pml4
pml4:
	.quad pdpt + 7
	.fill 511, 8, 0
pdpt:
	.quad pd + 7, pd + 0x1007, pd + 0x2007, pd + 0x3007
	.fill 508, 8, 0
pd:
	i = 0
	.rept 2048
	.quad 0x83 + (i << 21)
	i = i + 1
	.endr

	.bss
	.align 16
	.skip 65536
	.global stack_top
stack_top:
ap_stacks:
	.skip AP_STACK * AP_MAX
