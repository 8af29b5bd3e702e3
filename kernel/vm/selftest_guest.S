/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest code of the self-tests: position independent, copied into guest memory
 * by selftest.c. Each entry is started with registers that its test sets, and
 * speaks to the host by OUT; a HLT ends it.
 */
	.section .rodata.guest, "a", @progbits
	.globl guest_code, guest_code_end

/* Real mode: counts CX down, a CPUID each time, and shows its EBX at port 0x80. */
	.globl guest_real
	.code16
guest_code:
guest_real:
	movl $0x12345, %eax
	movw $3, %cx
1:	pushw %cx
	cpuid
	movl %ebx, %eax
	outl %eax, $0x80
	popw %cx
	loop 1b
	hlt

	.code64
/* Every common exit once. RDI: a device's address. */
	.globl guest_basic
guest_basic:
	movl $0x1234, %eax
	cpuid
	movl %ebx, %eax
	outl %eax, $0x80
	movl $0xcafe, 0x10(%rdi)
	movl 0x14(%rdi), %eax
	outl %eax, $0x80
	movl $0x1b, %ecx
	rdmsr
	wrmsr
	inb $0x71, %al
	movb %al, %bl
	rdtsc
	movq %rdx, %r8
	shlq $32, %r8
	orq %rax, %r8
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	cmpq %r8, %rax
	setae %al
	outb %al, $0x81
	wbinvd
	hlt

/* Exits for ever. */
	.globl guest_exits
guest_exits:
	cpuid
	jmp guest_exits

/* Never exits by itself. */
	.globl guest_spin
guest_spin:
	incq %rax
	jmp guest_spin

/* Does not exit for some hundred million instructions. */
	.globl guest_spin_some
guest_spin_some:
	movl $100000000, %ecx
1:	decl %ecx
	jnz 1b
2:	hlt
	jmp 2b

/* Takes what comes. */
	.globl guest_wait
guest_wait:
	sti
1:	hlt
	nop				/* as long as INT n, for one that is injected here */
	nop
	jmp 1b

/* Interrupts off, then on: the window. */
	.globl guest_window
guest_window:
	cli
	outb %al, $0x86
	nop
	sti
	nop
	nop
	hlt

	.globl guest_on_irq
guest_on_irq:
	pushq %rax
	movb $0x40, %al
	outb %al, $0x81
	popq %rax
	iretq

	.globl guest_on_fault		/* with error code: shows CR2 and the code */
guest_on_fault:
	pushq %rax
	movq %cr2, %rax
	outl %eax, $0x83
	movl 8(%rsp), %eax
	outl %eax, $0x82
	popq %rax
	addq $8, %rsp
	iretq

	.globl guest_on_nmi
guest_on_nmi:
	outb %al, $0x84
	iretq

	.globl guest_on_ud		/* skips the two bytes of UD2 */
guest_on_ud:
	outb %al, $0x85
	addq $2, (%rsp)
	iretq

	.globl guest_ud
guest_ud:
	ud2
	int $0x41
	hlt

/* Writes RCX bytes that lie RDX apart, from RSI; reads likewise from RDI. */
	.globl guest_touch
guest_touch:
	movq %rcx, %r9
1:	movb $1, (%rsi)
	addq %rdx, %rsi
	decq %r9
	jnz 1b
2:	movb (%rdi), %al
	addq %rdx, %rdi
	decq %rcx
	jnz 2b
	hlt

/* One byte up in each of RDX pages from RSI, in order, for ever: a lost page breaks the series. */
	.globl guest_sequence
guest_sequence:
	movq %rsi, %rdi
	movq %rdx, %rcx
1:	incb (%rdi)
	addq $4096, %rdi
	decq %rcx
	jnz 1b
	incq %r8
	jmp guest_sequence

/* Keeps RAX in XMM0 over exits. */
	.globl guest_vector
guest_vector:
	movq %rax, %xmm0
	movl $100, %ecx
1:	outb %al, $0x87
	movq %xmm0, %rbx
	cmpq %rax, %rbx
	jne 2f
	decl %ecx
	jnz 1b
	hlt
2:	ud2
/* Faults of its own; before each a mark, at which the host hides pages. */
	.globl guest_own_faults
guest_own_faults:
	leaq 1f(%rip), %r15
	outb %al, $0x88
	movl $0x28, %eax		/* beyond the GDT */
	movl %eax, %ds
1:	leaq 2f(%rip), %r15
	outb %al, $0x88
	movabsq $0x100003000, %rbx	/* not mapped */
	movb (%rbx), %al
2:	outb %al, $0x88
	ud2
	hlt

	.globl guest_own_int
guest_own_int:
	outb %al, $0x88
	int $0x41
	hlt

	.globl guest_on_own		/* shows CR2 and the error code, goes on at R15 */
guest_on_own:
	pushq %rax
	movq %cr2, %rax
	outl %eax, $0x83
	movl 8(%rsp), %eax
	outl %eax, $0x82
	popq %rax
	addq $8, %rsp
	movq %r15, (%rsp)
	iretq

/* Steps over itself, an STI included; R14: where the stepping begins. */
	.globl guest_step
guest_step:
	leaq 1f(%rip), %r14
	xorl %r13d, %r13d
	cli
	pushfq
	orq $0x100, (%rsp)
	popfq
1:	nop
	sti
	nop
	nop
	pushfq
	andq $~0x100, (%rsp)
	popfq
	hlt

	.globl guest_on_step		/* tells how far it is; counts in R13 where DR6 has BS */
guest_on_step:
	pushq %rax
	movq 8(%rsp), %rax
	subq %r14, %rax
	outb %al, $0x8b
	movq %db6, %rax
	shrq $14, %rax
	andl $1, %eax
	addq %rax, %r13
	movl $0xffff0ff0, %eax
	movq %rax, %db6
	popq %rax
	iretq

/* Its TSC before and after a million instructions. */
	.globl guest_tsc
guest_tsc:
	rdtsc
	outl %eax, $0x8a
	movl $500000, %ecx
1:	decl %ecx
	jnz 1b
	rdtsc
	outl %eax, $0x8a
	hlt

	.globl guest_store
guest_store:
	movq %rax, (%rdi)
	hlt

/* Raises its task priority, moves it about a hundred times, lowers it. */
	.globl guest_tpr
guest_tpr:
	movl $100, %ecx
1:	movl $9, %eax
	movq %rax, %cr8
	movl $7, %eax
	movq %rax, %cr8
	decl %ecx
	jnz 1b
	movq %cr8, %rax
	outb %al, $0x8d
	movl $2, %eax
	movq %rax, %cr8
	nop
	movq %cr8, %rax
	outb %al, $0x8d
	hlt

/* Interrupts that came before, then two to itself, one of them behind its task priority. */
	.globl guest_apic
guest_apic:
	xorl %edx, %edx
	sti
	nop
	movl $0x83f, %ecx
	movl $0x43, %eax
	wrmsr
	nop
	movl $0x808, %ecx
	movl $0x65, %eax
	wrmsr
	movl $0x83f, %ecx
	movl $0x52, %eax
	wrmsr
	nop
	movl $0x808, %ecx
	rdmsr
	outb %al, $0x8d
	xorl %eax, %eax
	wrmsr
	nop
	hlt

	.globl guest_on_41, guest_on_43, guest_on_52
guest_on_41:
	pushq %rax
	movb $0x41, %al
	jmp guest_on_apic
guest_on_43:
	pushq %rax
	movb $0x43, %al
	jmp guest_on_apic
guest_on_52:
	pushq %rax
	movb $0x52, %al
guest_on_apic:
	outb %al, $0x8c
	pushq %rcx
	movl $0x80b, %ecx
	xorl %eax, %eax
	wrmsr				/* EOI */
	popq %rcx
	popq %rax
	iretq

/*
 * Two address spaces, of PCID 1 (tables at RBX) and 2 (RBP), that differ in what is
 * at R10. Comes back to each without a flush; at last R9 goes into the second's
 * entry at R8, and INVPCID makes that seen.
 */
	.globl guest_pcid
guest_pcid:
	movq %cr4, %rax
	orl $0x20000, %eax		/* PCIDE */
	movq %rax, %cr4
	leaq 1(%rbx), %rax
	movq %rax, %cr3
	movl (%r10), %eax
	outl %eax, $0x8e
	leaq 2(%rbp), %rax
	movq %rax, %cr3
	movl (%r10), %eax
	outl %eax, $0x8e
	leaq 1(%rbx), %rax
	btsq $63, %rax			/* keep what is known of it */
	movq %rax, %cr3
	movl (%r10), %eax
	outl %eax, $0x8e
	movq %cr3, %rax
	outl %eax, $0x8f
	shrq $32, %rax
	outl %eax, $0x8f
	movq %r9, (%r8)
	pushq $0
	pushq $2
	movl $1, %eax			/* all of one PCID */
	invpcid (%rsp), %rax
	leaq 2(%rbp), %rax
	btsq $63, %rax
	movq %rax, %cr3
	movl (%r10), %eax
	outl %eax, $0x8e
	hlt

/* XMM0 to the compacted area at RDI and back; RAX:RDX is which components, RBX the value. */
	.globl guest_xsaves
guest_xsaves:
	movq %rbx, %xmm0
	xsaves64 (%rdi)
	xorps %xmm0, %xmm0
	xrstors64 (%rdi)
	movq %xmm0, %rax
	outl %eax, $0x90
	movl 524(%rdi), %eax		/* the upper half of XCOMP_BV */
	outl %eax, $0x90
	hlt

	.globl guest_once
guest_once:
	nop
	hlt

#define HERE(label) (label - guest_code + 0x8000)

/* From real mode to long mode. */
	.globl guest_modes
	.code16
guest_modes:
	movl $0x16, %eax
	outl %eax, $0x89
	lgdtl HERE(modes_gdtr)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x18, $HERE(modes_32)
modes_gdtr:
	.word 0x1f
	.long 0x1000
	.code32
modes_32:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $0x32, %eax
	outl %eax, $0x89
	movl $0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $0x2000, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax		/* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	ljmpl $8, $HERE(modes_64)
	.code64
modes_64:
	movl $0x64, %eax
	outl %eax, $0x89
	hlt

	.globl guest_protected
	.code32
guest_protected:
	cpuid
	movl %ebx, %eax
	outl %eax, $0x89
	pushl $0x12345678
	popl %eax
	outl %eax, $0x89
	hlt
	.code64
guest_code_end:
	.section .note.GNU-stack, "", @progbits
