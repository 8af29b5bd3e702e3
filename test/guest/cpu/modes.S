/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From long mode to 32-bit code, protected mode without paging, real mode, and
 * all the way back. What each mode did is left in modes_*. The code runs where
 * it is copied to, REAL_START.
 */
#include "layout.h"

#define AT(label) (REAL_START + (label - modes_code))

	.text
	.code64
	.global modes_trip
modes_trip:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, modes_rsp
	sidt modes_idt
	mov $REAL_START + 0xf00, %esp
	mov %cr3, %rax
	mov %eax, modes_cr3
	mov $AT(modes_32), %eax
	push $SEL_CODE32
	push %rax
	lretq

	.global modes_code, modes_code_end
modes_code:
	.code32
modes_32:				/* compatibility mode */
	mov $SEL_DATA, %eax
	mov %eax, %ss
	movl $0x32, modes_compat
	inc %eax			/* no REX prefix here: one byte, one more */
	mov %eax, modes_inc
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0			/* paging off: long mode ends */
	mov $0xc0000080, %ecx
	rdmsr
	mov %eax, modes_efer
	and $~0x100, %eax
	wrmsr
	movl $0x5a5a, modes_flat
	mov $SEL_DATA16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $SEL_DATA, %eax
	mov %eax, %fs			/* keeps 4 GiB in real mode */
	lidt AT(real_idt)
	ljmp $SEL_CODE16, $AT(modes_16)
	.code16
modes_16:
	mov %cr0, %eax
	and $~1, %eax
	mov %eax, %cr0
	ljmp $REAL_START >> 4, $modes_real - modes_code
modes_real:
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $REAL_START + 0xf00, %sp
	/* INT through the vector table; the handler is in this segment */
	movw $real_int - modes_code, 0x21 * 4
	movw $REAL_START >> 4, 0x21 * 4 + 2
	xor %bx, %bx
	int $0x21
	mov %bx, AT(real_bx)
	/* exits of several kinds */
	xor %eax, %eax
	cpuid
	mov %eax, AT(real_cpuid)
	mov $0xe0, %dx
	mov $0xcafe, %ax
	out %ax, %dx
	xor %ax, %ax
	in %dx, %ax
	mov %ax, AT(real_in)
	/* string output and input by 16-bit registers */
	mov $AT(real_text), %si
	mov $3, %cx
	cld
	rep outsb
	mov $AT(real_ins), %di
	mov $2, %cx
	rep insb
	/* above 1 MiB by the limit that FS kept */
	mov $modes_big, %ebx
	movl $0xb16, %fs:(%ebx)
	/* a device's register above 1 MiB */
	mov $0xff000000, %ebx
	movl $0x12345678, %fs:(%ebx)
	movw %fs:2(%ebx), %ax
	mov %ax, AT(real_mmio)
	/* back */
	lgdtl AT(real_gdt)
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $AT(modes_again)
real_int:
	mov $0x2121, %bx
	iret
	.code32
modes_again:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov AT(real_bx), %ax
	mov %ax, modes_int
	mov AT(real_cpuid), %eax
	mov %eax, modes_cpuid
	mov AT(real_in), %ax
	mov %ax, modes_in
	mov AT(real_ins), %ax
	mov %ax, modes_ins
	mov AT(real_mmio), %ax
	mov %ax, modes_mmio
	mov modes_cr3, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	ljmp $SEL_CODE64, $modes_back
	.align 4
real_idt:
	.word 0x3ff
	.long 0
real_gdt:
	.word GDT_SIZE - 1
	.long gdt
real_cpuid:
	.long 0
real_bx:
	.word 0
real_in:
	.word 0
real_ins:
	.word 0
real_mmio:
	.word 0
real_text:
	.ascii "xyz"
modes_code_end:

	.code64
modes_back:
	mov modes_rsp, %rsp
	lidt modes_idt
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

/* INTO with OF set, in compatibility mode: #OF, which 64-bit code cannot raise. */
	.global modes_overflow
modes_overflow:
	mov %rsp, modes_rsp
	push $SEL_CODE32
	lea 1f(%rip), %rax
	push %rax
	lretq
	.code32
1:	mov $0x7fffffff, %eax
	inc %eax
	into
	push $SEL_CODE64
	push $2f
	lret
	.code64
2:	mov modes_rsp, %rsp
	ret

	.bss
	.align 8
	.global modes_compat, modes_inc, modes_efer, modes_flat, modes_big, modes_int
	.global modes_cpuid, modes_in, modes_ins, modes_mmio
modes_rsp:
	.quad 0
modes_idt:
	.skip 16
modes_cr3:
	.long 0
modes_compat:
	.long 0
modes_inc:
	.long 0
modes_efer:
	.long 0
modes_flat:
	.long 0
modes_big:
	.long 0
modes_cpuid:
	.long 0
modes_int:
	.word 0
modes_in:
	.word 0
modes_ins:
	.word 0
modes_mmio:
	.word 0
