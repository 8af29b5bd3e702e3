/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot2 header and the way from 32-bit protected mode to mb2_main in long
 * mode, with the first 4 GiB mapped 1:1. On entry eax is the boot loader's
 * magic, ebx the address of its information; there is no stack.
 * [Multiboot2 2.0 3.1 "OS image format", 3.3 "I386 machine state"]
 */
#define MB2_MAGIC 0xe85250d6
#define MB2_LENGTH (header_end - header)
#define COM1 0x3f8
#define EFER 0xc0000080

	.section .header, "a", @progbits
	.balign 8
header:
	.long MB2_MAGIC
	.long 0				/* architecture: i386, protected mode */
	.long MB2_LENGTH
	.long -(MB2_MAGIC + MB2_LENGTH)
	.balign 8
	.short 6, 0			/* modules start at page boundaries */
	.long 8
	.balign 8
	.short 5, 1			/* a framebuffer, where the boot loader can set one */
	.long 20
	.long 0, 0, 32			/* of any size, 32 bits a pixel */
	.balign 8
	.short 0, 0			/* end */
	.long 8
header_end:

	.text
	.code32
	.globl _start
_start:
	cli
	cld
	movl $stack_top, %esp
	movl %eax, %esi
	movl $0x80000000, %eax
	pushl %ebx
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	popl %ebx
	btl $29, %edx
	jnc no_long_mode

	/* Four page directories of 2 MiB pages, one table above, one above that. */
	movl $directories, %edi
	movl $0x83, %eax		/* present, writable, large */
	xorl %edx, %edx
	movl $2048, %ecx
1:	movl %eax, (%edi)
	movl %edx, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $pointers, %edi
	movl $directories + 3, %eax
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $pointers + 3, pml4

	movl %cr4, %eax
	orl $0x20, %eax			/* PAE */
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $0x100, %eax		/* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax		/* PG, PE */
	movl %eax, %cr0
	lgdt gdt_ptr
	ljmp $8, $long_mode

no_long_mode:
	movl $message, %esi
1:	lodsb
	testb %al, %al
	jz 2f
	movw $COM1, %dx
	outb %al, %dx
	jmp 1b
2:	hlt
	jmp 2b

	.code64
long_mode:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	xorl %ebp, %ebp
	movl %esi, %edi			/* magic */
	movl %ebx, %esi			/* information */
	movl $stack_top, %esp
	call mb2_main
1:	cli
	hlt
	jmp 1b

	.section .rodata
message:
	.asciz "tern: this CPU has no 64-bit mode\r\n"
	.balign 8
gdt:	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
gdt_ptr:
	.short . - gdt - 1
	.long gdt

	.bss
	.balign 4096
pml4:	.skip 4096
pointers: .skip 4096
directories: .skip 4 * 4096
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits
