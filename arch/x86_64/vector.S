/* SPDX-License-Identifier: BSD-2-Clause */
/* vector_get, vector_set: edi is the register, rsi its 16 bytes. Upper halves of AVX stay. */
	.macro access name, insn:vararg
	.text
	.global \name
\name:
	and $15, %edi
	lea 1f(%rip), %rax
	shl $4, %edi
	add %rdi, %rax
	jmp *%rax
	.balign 16
1:
	n = 0
	.rept 16
	.balign 16
	step_\name %n
	ret
	n = n + 1
	.endr
	.endm

	.altmacro
	.macro step_vector_get n
	movups %xmm\n, (%rsi)
	.endm
	.macro step_vector_set n
	movups (%rsi), %xmm\n
	.endm

	access vector_get
	access vector_set

	.section .note.GNU-stack, "", @progbits
