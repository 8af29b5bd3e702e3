/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions on memory, as compilers and hand-written drivers have them: rdi
 * is the operand's address, rsi another one 32 bytes behind it, rbx ordinary
 * memory; rax, rcx, rdx, r8 and xmm0 have values. Each form says which flags it
 * defines (mmio.c).
 */
#define ALL 0x8d5
#define LOGIC 0x8c5	/* AF is not defined */
#define CARRY 0x001	/* bit tests */
#define ZERO 0x040	/* bit scans */
#define MUL 0x801

	.macro form name, flags, insn:vararg
	.section .rodata
77:	.asciz "\name"
	.text
78:	\insn
	ret
	.section .forms, "a"
	.balign 8
	.quad 77b, 78b, \flags
	.text
	.endm

/* More than one instruction: in quotes. */
	.macro several name, flags, insns
	.section .rodata
77:	.asciz "\name"
	.text
78:	\insns
	ret
	.section .forms, "a"
	.balign 8
	.quad 77b, 78b, \flags
	.text
	.endm

/* b w l q with al ax eax rax, each way and with an immediate. */
	.macro sizes op, flags
	form \op-store-b, \flags, \op %al, (%rdi)
	form \op-store-w, \flags, \op %ax, (%rdi)
	form \op-store-l, \flags, \op %eax, (%rdi)
	form \op-store-q, \flags, \op %rax, (%rdi)
	form \op-load-b, \flags, \op 1(%rdi), %cl
	form \op-load-w, \flags, \op 2(%rdi), %cx
	form \op-load-l, \flags, \op 4(%rdi), %ecx
	form \op-load-q, \flags, \op 8(%rdi), %rcx
	form \op-imm-b, \flags, \op\()b $0x5a, 3(%rdi)
	form \op-imm-w, \flags, \op\()w $0x5a5a, (%rdi)
	form \op-imm-l, \flags, \op\()l $0x5a5a5a5a, (%rdi)
	form \op-imm-q, \flags, \op\()q $-0x5a5a5a, (%rdi)
	.endm

	.macro unary op, flags
	form \op-b, \flags, \op\()b (%rdi)
	form \op-w, \flags, \op\()w (%rdi)
	form \op-l, \flags, \op\()l (%rdi)
	form \op-q, \flags, \op\()q (%rdi)
	.endm

	.macro three op, flags, operand:vararg
	form \op-w, \flags, \op\()w \operand
	form \op-l, \flags, \op\()l \operand
	form \op-q, \flags, \op\()q \operand
	.endm

	sizes mov, 0
	form mov-high, 0, mov %ah, 1(%rdi)
	form mov-to-high, 0, mov 1(%rdi), %ch
	form mov-r8, 0, mov %r8, (%rdi)
	form mov-index, 0, mov (%rdi,%rdx), %eax
	form mov-addr32, 0, mov (%edi), %eax
	form mov-abs, 0, movabs 0xff000000, %al
	form mov-misaligned, 0, mov 1(%rdi), %eax
	form mov-misaligned-store, 0, mov %rax, 3(%rdi)
	form movzx-bw, 0, movzbw 5(%rdi), %cx
	form movzx-bl, 0, movzbl 5(%rdi), %ecx
	form movzx-wl, 0, movzwl 6(%rdi), %ecx
	form movsx-bl, 0, movsbl 5(%rdi), %ecx
	form movsx-bq, 0, movsbq 5(%rdi), %rcx
	form movsx-wq, 0, movswq 6(%rdi), %rcx
	form movsxd, 0, movslq 4(%rdi), %rcx
	form movnti, 0, movnti %eax, (%rdi)
	form movbe-load, 0, movbe (%rdi), %ecx
	form movbe-store, 0, movbe %rax, (%rdi)

	sizes and, LOGIC
	sizes or, LOGIC
	sizes xor, LOGIC
	sizes add, ALL
	sizes sub, ALL
	sizes adc, ALL
	sizes sbb, ALL
	sizes cmp, ALL
	form test-b, LOGIC, test %al, (%rdi)
	form test-l, LOGIC, test %eax, (%rdi)
	form test-imm-w, LOGIC, testw $0x1234, (%rdi)
	form test-imm-q, LOGIC, testq $0x12345678, (%rdi)
	form or-lock, LOGIC, lock orl $0x80, (%rdi)
	form add-lock, ALL, lock addw %ax, (%rdi)
	unary inc, ALL
	unary dec, ALL
	unary neg, ALL
	unary not, 0

	form xchg-b, 0, xchg %al, (%rdi)
	form xchg-w, 0, xchg %ax, (%rdi)
	form xchg-l, 0, xchg %eax, (%rdi)
	form xchg-q, 0, xchg %rax, (%rdi)
	form xadd-b, ALL, xadd %al, (%rdi)
	form xadd-l, ALL, lock xadd %eax, (%rdi)
	form xadd-q, ALL, xadd %rax, (%rdi)
	form cmpxchg-b, ALL, cmpxchg %cl, (%rdi)
	form cmpxchg-w, ALL, cmpxchg %cx, (%rdi)
	form cmpxchg-l, ALL, lock cmpxchg %ecx, (%rdi)
	form cmpxchg-q, ALL, cmpxchg %rcx, (%rdi)
	several cmpxchg-hit, ALL, "mov (%rdi), %rax; cmpxchg %rcx, (%rdi)"
	form cmpxchg8b, ZERO, cmpxchg8b (%rdi)
	several cmpxchg8b-hit, ZERO, "mov (%rdi), %eax; mov 4(%rdi), %edx; lock cmpxchg8b (%rdi)"

	three bt, CARRY, $5, (%rdi)
	three bts, CARRY, $5, (%rdi)
	three btr, CARRY, $5, (%rdi)
	three btc, CARRY, $5, (%rdi)
	several bt-far, CARRY, "mov $100, %ecx; bt %ecx, (%rdi)"
	several bts-far, CARRY, "mov $100, %ecx; lock bts %ecx, (%rdi)"
	several btr-back, CARRY, "mov $-20, %rcx; btr %rcx, 16(%rdi)"
	several btc-w, CARRY, "mov $17, %ecx; btc %cx, (%rdi)"
	form bsf-l, ZERO, bsf (%rdi), %ecx
	form bsr-q, ZERO, bsr (%rdi), %rcx
	form imul-l, MUL, imul (%rdi), %ecx
	form imul-imm-q, MUL, imul $-3, (%rdi), %rcx
	form shl-1, 0x8c5, shll (%rdi)
	form shl-imm, 0x0c5, shll $3, (%rdi)
	several shr-cl, 0x0c5, "mov $5, %ecx; shrq %cl, (%rdi)"
	form sar-b, 0x0c5, sarb $2, (%rdi)
	form rol-w, 0x001, rolw $3, (%rdi)
	form setne, 0, setne (%rdi)
	form cmovne, 0, cmovne (%rdi), %rcx
	form cmove, 0, cmove (%rdi), %ecx

	form smsw, 0, smsw (%rdi)
	several push, 0, "push (%rdi); pop %rcx"
	several pop, 0, "push %rax; pop (%rdi)"

	form stos-b, 0, stosb
	form stos-w, 0, stosw
	form stos-l, 0, stosl
	form stos-q, 0, stosq
	several stos-rep, 0, "mov $5, %ecx; rep stosw"
	several stos-down, 0, "std; stosl; cld"
	several lods-b, 0, "mov %rdi, %rsi; lodsb"
	several lods-q, 0, "mov %rdi, %rsi; lodsq"
	form movs-both-b, 0, movsb
	several movs-both-rep, 0, "mov $3, %ecx; rep movsq"
	several movs-to, 0, "mov %rbx, %rsi; mov $7, %ecx; rep movsw"
	several movs-from, 0, "mov %rdi, %rsi; mov %rbx, %rdi; mov $5, %ecx; rep movsl"
	several movs-none, 0, "xor %ecx, %ecx; rep movsl"
	form scas-b, ALL, scasb
	several scas-rep, ALL, "mov $20, %ecx; repne scasb"
	several scas-repe, ALL, "mov $20, %ecx; repe scasw"
	form cmps-l, ALL, cmpsl
	several cmps-rep, ALL, "mov $9, %ecx; repe cmpsb"
	several ins-rep, 0, "mov $0xe0, %dx; mov $6, %ecx; rep insb"
	several outs-rep, 0, "mov $0xe0, %dx; mov $3, %ecx; rep outsl"

	form movups-load, 0, movups (%rdi), %xmm0
	form movups-store, 0, movups %xmm0, 3(%rdi)
	form movaps-store, 0, movaps %xmm0, (%rdi)
	form movapd-load, 0, movapd (%rdi), %xmm0
	form movdqa-load, 0, movdqa (%rdi), %xmm0
	form movdqu-store, 0, movdqu %xmm0, (%rdi)
	form movq-load, 0, movq (%rdi), %xmm0
	form movq-store, 0, movq %xmm0, (%rdi)
	form movd-load, 0, movd (%rdi), %xmm0
	form movd-store, 0, movd %xmm0, (%rdi)
	form movss-load, 0, movss (%rdi), %xmm0
	form movsd-store, 0, movsd %xmm0, (%rdi)
	form movntdq, 0, movntdq %xmm0, (%rdi)

/* rdi: struct regs, rsi: the form; loads, runs, stores. */
	.global form_run
form_run:
	push %rbx
	push %rbp
	push %rdi
	mov %rsi, %rbp
	mov 0(%rdi), %rax
	mov 8(%rdi), %rcx
	mov 16(%rdi), %rdx
	mov 24(%rdi), %rbx
	mov 32(%rdi), %rsi
	mov 48(%rdi), %r8
	movups 64(%rdi), %xmm0
	push 56(%rdi)
	mov 40(%rdi), %rdi
	popf
	call *%rbp
	pushf
	mov 8(%rsp), %rbp
	pop 56(%rbp)
	mov %rax, 0(%rbp)
	mov %rcx, 8(%rbp)
	mov %rdx, 16(%rbp)
	mov %rbx, 24(%rbp)
	mov %rsi, 32(%rbp)
	mov %rdi, 40(%rbp)
	mov %r8, 48(%rbp)
	movups %xmm0, 64(%rbp)
	pop %rdi
	pop %rbp
	pop %rbx
	cld
	ret
