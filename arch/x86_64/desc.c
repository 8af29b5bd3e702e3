/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GDT, TSS, IDT and control registers. NMI, double fault and machine check
 * have stacks of their own (IST), because they may come while the current
 * stack is unusable.
 */
#include "arch.h"
#include "control.h"
#include "regs.h"

#define GDT_CODE 0x00af9b000000ffffull /* 64-bit, present, accessed */
#define GDT_DATA 0x00cf93000000ffffull
#define GDT_TSS_LOW 0x0000890000000000ull /* available 64-bit TSS */
#define GATE_INTERRUPT 0x8eull

#define IST_NMI 1u
#define IST_DOUBLE_FAULT 2u
#define IST_MACHINE_CHECK 3u

struct idt_gate {
	uint64_t low, high;
};

struct table_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static struct idt_gate idt[256]; /* [const] after desc_build_idt */

static unsigned gate_ist(unsigned vector)
{
	switch (vector) {
	case VEC_NMI:
		return IST_NMI;
	case VEC_DOUBLE_FAULT:
		return IST_DOUBLE_FAULT;
	case VEC_MACHINE_CHECK:
		return IST_MACHINE_CHECK;
	default:
		return 0;
	}
}

void desc_build_idt(void)
{
	for (unsigned v = 0; v < 256; v++) {
		uint64_t a = (uint64_t)trap_stubs + v * 16;

		idt[v].low = (a & 0xffff) | (uint64_t)SEL_CODE << 16 | (uint64_t)gate_ist(v) << 32 |
			     GATE_INTERRUPT << 40 | (a >> 16 & 0xffff) << 48;
		idt[v].high = a >> 32;
	}
}

static void set_ist(struct tss *t, unsigned ist, const void *top)
{
	t->ist[(ist - 1) * 2] = (uint32_t)(uint64_t)top;
	t->ist[(ist - 1) * 2 + 1] = (uint32_t)((uint64_t)top >> 32);
}

static void build_gdt(struct arch_cpu *a)
{
	uint64_t tss = (uint64_t)&a->tss;

	a->gdt[1] = GDT_CODE;
	a->gdt[2] = GDT_DATA;
	a->gdt[3] = GDT_TSS_LOW | (sizeof(a->tss) - 1) | (tss & 0xffffff) << 16 |
		    (tss >> 24 & 0xff) << 56;
	a->gdt[4] = tss >> 32;
}

static void load_segments(void)
{
	uint64_t code = SEL_CODE;

	__asm__ volatile("movl %k1, %%ds\n\t"
			 "movl %k1, %%es\n\t"
			 "movl %k1, %%ss\n\t"
			 "movl %k2, %%fs\n\t"
			 "movl %k2, %%gs\n\t"
			 "pushq %0\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:" ::"r"(code),
			 "r"((uint64_t)SEL_DATA), "r"(0ull)
			 : "rax", "memory");
}

/* Loads this CPU's tables and makes this_cpu() work. */
void desc_load(struct percpu *c, struct arch_cpu *a, const struct cpu_stacks *s)
{
	struct table_ptr gdtr = { .limit = sizeof(a->gdt) - 1, .base = (uint64_t)a->gdt };
	struct table_ptr idtr = { .limit = sizeof(idt) - 1, .base = (uint64_t)idt };

	a->tss.io_map = sizeof(a->tss);
	set_ist(&a->tss, IST_NMI, s->nmi_top);
	set_ist(&a->tss, IST_DOUBLE_FAULT, s->double_fault_top);
	set_ist(&a->tss, IST_MACHINE_CHECK, s->machine_check_top);
	build_gdt(a);
	c->self = c;
	c->arch = a;
	__asm__ volatile("lgdt %0" ::"m"(gdtr));
	load_segments();
	wrmsr(MSR_GS_BASE, (uint64_t)c);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	__asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
	__asm__ volatile("lidt %0" ::"m"(idtr));
}

/* Whole values, so that all CPUs run alike whatever firmware or the start code left in them. */
void cpu_control_setup(void)
{
	uint64_t cr0 = CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG;
	uint64_t cr4 = CR4_DE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (cpu_identity()->has_xsave)
		cr4 |= CR4_OSXSAVE;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	__asm__ volatile("movq %0, %%cr0" ::"r"(cr0) : "memory");
	write_cr4(cr4);
	wrmsr(MSR_PAT, PAT_VALUE);
}
