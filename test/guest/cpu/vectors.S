/* SPDX-License-Identifier: BSD-2-Clause */
/* rdi: in, rsi: out, rdx: what (vectors.h). No instruction between uses the state; RAX,
 * RDX, RSI, RDI and R8 are needed here. */
#define X87 512
#define MXCSR 576
#define AVX 580
#define GPR 584
#define RFLAGS 664
#define WORD 672

	.macro each insn, reg, to
	i = 0
	.rept 16
	one \insn, \reg, %i, \to
	i = i + 1
	.endr
	.endm

	.altmacro
	.macro one insn, reg, n, to
	.if \to
	\insn %\reg&\n, \n*32(%rsi)
	.else
	\insn \n*32(%rdi), %\reg&\n
	.endif
	.endm

	.text
	.global vectors_keep
vectors_keep:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rdx, %r8
	fninit
	i = 7
	.rept 8
	fldl X87 + i * 8(%rdi)
	i = i - 1
	.endr
	ldmxcsr MXCSR(%rdi)
	cmpl $0, AVX(%rdi)
	je 1f
	each vmovups, ymm, 0
	jmp 2f
1:	each movups, xmm, 0
2:	mov GPR + 0(%rdi), %rbx
	mov GPR + 8(%rdi), %rbp
	mov GPR + 16(%rdi), %rcx
	mov GPR + 24(%rdi), %r9
	mov GPR + 32(%rdi), %r10
	mov GPR + 40(%rdi), %r11
	mov GPR + 48(%rdi), %r12
	mov GPR + 56(%rdi), %r13
	mov GPR + 64(%rdi), %r14
	mov GPR + 72(%rdi), %r15
	pushq RFLAGS(%rdi)
	popfq
	cmp $1, %r8
	je 5f
	ja 10f

	mov $100, %r9d
3:	xor %eax, %eax
	cpuid
	mov $0xe0, %dx
	out %al, %dx
	in %dx, %al
	mov $0x277, %ecx
	rdmsr
	mov $0xff000000, %eax
	mov %ecx, (%rax)
	mov (%rax), %ecx
	dec %r9d
	jnz 3b
	jmp 6f

5:	mov $0x3fd, %dx
	in %dx, %al
	test $1, %al
	jz 5b
	jmp 6f

10:	mov WORD(%rdi), %rax
	cmp $3, %r8
	je 12f
11:	cmpl $0, (%rax)
	je 11b
	jmp 6f

12:	cmpl $0, (%rax)
	jne 6f
	sti
	hlt
	cli
	jmp 12b

6:	mov %rbx, GPR + 0(%rsi)
	mov %rbp, GPR + 8(%rsi)
	mov %rcx, GPR + 16(%rsi)
	mov %r9, GPR + 24(%rsi)
	mov %r10, GPR + 32(%rsi)
	mov %r11, GPR + 40(%rsi)
	mov %r12, GPR + 48(%rsi)
	mov %r13, GPR + 56(%rsi)
	mov %r14, GPR + 64(%rsi)
	mov %r15, GPR + 72(%rsi)
	pushfq
	popq RFLAGS(%rsi)
	cld
	cmpl $0, AVX(%rdi)
	je 7f
	each vmovups, ymm, 1
	jmp 8f
7:	each movups, xmm, 1
8:	stmxcsr MXCSR(%rsi)
	i = 0
	.rept 8
	fstpl X87 + i * 8(%rsi)
	i = i + 1
	.endr
	fninit
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
