/* SPDX-License-Identifier: BSD-2-Clause */
/* rdi: in, rsi: out, rdx: what (vectors.h). No instruction between uses the state. */
#define X87 512
#define MXCSR 576
#define AVX 580

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
2:	test %r8, %r8
	jnz 5f

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
	mov $0x3f8, %dx
	in %dx, %al

6:	cmpl $0, AVX(%rdi)
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
	pop %rbx
	ret
