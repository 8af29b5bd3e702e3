/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions, each with its error code, raised by the CPU and by the hypervisor. */
#include "rt.h"

#define NON_CANONICAL 0x800000000000ull
#define RF BIT(16)
#define AC BIT(18)

static void divide(void)
{
	RAISES("de", 0, 0, "xor %%ecx, %%ecx; div %%ecx", ::: "rax", "rcx", "rdx");
}

/* The emulator counts gates of 16 bytes; the CPU always 8. */
static uint64_t gate_error(unsigned vector)
{
	return vector * (on_tcg() ? 16 : 8) + 2;
}

static void selectors(void)
{
	RAISES("gp-selector", 13, 0x7f8, "mov %w0, %%ds", ::"r"(0x7f8));
	RAISES("np", 11, SEL_ABSENT, "mov %w0, %%ds", ::"r"(SEL_ABSENT));
	RAISES("ss-selector", 12, SEL_ABSENT, "mov %w0, %%ss", ::"r"(SEL_ABSENT));
	idt[0x82].attr = 0;
	RAISES("gp-gate", 13, gate_error(0x82), "int $0x82");
	idt[0x83].attr = 0x0e00; /* not present */
	RAISES("np-gate", 11, gate_error(0x83), "int $0x83");
}

static void addresses(void)
{
	RAISES("gp-address", 13, 0, "mov (%0), %%al", ::"r"(NON_CANONICAL) : "rax");
	if (on_tcg()) {
		skip("ss-address", "the emulator raises #GP for all segments");
		return;
	}
	RAISES("ss-address", 12, 0,
	       "mov %%rbp, %%rcx; mov %0, %%rbp; mov (%%rbp), %%al; 991: mov %%rcx, %%rbp; nop; "
	       "jmp 992f"
	       "\n992: nop",
	       ::"r"(NON_CANONICAL)
	       : "rax", "rcx");
}

static void page_fault(void)
{
	volatile uint8_t *p = map(0, 0, 0);

	RAISES("pf-read", 14, 0, "mov 5(%0), %%al", ::"r"(p) : "rax");
	check(trap.cr2 == MAP_AT + 5, "pf-cr2", "CR2 is %x", trap.cr2);
	RAISES("pf-write", 14, 2, "movb $1, (%0)", ::"r"(p) : "memory");
}

/* The gate of #PF is not there: #NP while #PF is delivered. */
static void double_fault(void)
{
	uint16_t attr = idt[14].attr;

	idt[14].attr = 0x0e00;
	RAISES("df", 8, 0, "mov (%0), %%al", ::"r"(map(0, 0, 0)) : "rax");
	idt[14].attr = attr;
}

/* A stack switch by IST that the TSS is too short for. */
static void task_segment(void)
{
	set_gate(0x84, 0, 0, 1);
	set_tss_limit(35);
	RAISES("ts", 10, SEL_TSS, "int $0x84");
	set_tss_limit(sizeof(tss) - 1);
}

static void fpu(void)
{
	static const uint32_t unmasked = 0x1d80; /* divide by zero */

	write_cr0(read_cr0() | BIT(3));
	RAISES("nm", 7, 0, "fninit");
	write_cr0(read_cr0() & ~BIT(3));
	write_cr0(read_cr0() | BIT(2));
	RAISES("ud-em", 6, 0, "xorps %%xmm0, %%xmm0", :);
	write_cr0(read_cr0() & ~BIT(2));
	if (on_tcg())
		skip("xm", "the emulator raises none");
	else
		RAISES("xm", 19, 0,
		       "ldmxcsr %0; xorps %%xmm0, %%xmm0; mov $0x3f800000, %%eax; movd %%eax, "
		       "%%xmm1;"
		       "divss %%xmm0, %%xmm1",
		       ::"m"(unmasked)
		       : "rax");
	__asm__ volatile("ldmxcsr %0" ::"m"((uint32_t){ 0x1f80 }));
	RAISES("mf", 16, 0, "fninit; fldcw %0; fld1; fldz; fdivrp; fwait",
	       ::"m"((uint16_t){ 0x37b }));
	__asm__ volatile("fnclex; fninit");
}

/* Misaligned at CPL 3, with CR0.AM and with or without RFLAGS.AC; then #UD. */
__asm__("user_misaligned: lea user_misaligned(%rip), %rax\n mov 1(%rax), %eax\n ud2\nuser_end:");
extern const uint8_t user_misaligned[], user_end[];

static void alignment(void)
{
	for (long i = 0; i < user_end - user_misaligned; i++)
		pages[1][i] = user_misaligned[i];
	(void)map(2, (uint64_t)pages[1], PTE_P | PTE_W | PTE_U);
	(void)map(3, (uint64_t)pages[2], PTE_P | PTE_W | PTE_U);
	write_cr0(read_cr0() | BIT(18));
	run_user((void (*)(void))(MAP_AT + 0x2000), 0);
	raised("user", 6, 0);
	run_user((void (*)(void))(MAP_AT + 0x2000), AC);
	if (trap.vector == 6 && on_tcg())
		skip("ac", "the emulator takes misaligned accesses");
	else
		raised("ac", 17, 0);
	write_cr0(read_cr0() & ~BIT(18));
}

static uint64_t soft_rip;

static void on_soft(struct frame *f)
{
	soft_rip = f->rip;
}

static void software(void)
{
	extern const char after_int[], after_bp[];

	on_vector[0x80] = on_soft;
	__asm__ volatile("int $0x80\n\t.global after_int\nafter_int:" ::: "memory");
	check(soft_rip == (uint64_t)after_int, "int", "returns to %x", soft_rip);
	on_vector[0x80] = NULL;
	on_vector[3] = on_soft;
	__asm__ volatile("int3\n\t.global after_bp\nafter_bp:" ::: "memory");
	check(soft_rip == (uint64_t)after_bp, "bp", "returns to %x", soft_rip);
	on_vector[3] = NULL;
}

void group_exceptions(void)
{
	divide();
	RAISES("ud", 6, 0, "ud2");
	if (on_tcg())
		skip("ud-rf", "the emulator pushes RF as it was");
	else
		check(trap.rflags & RF, "ud-rf", "RFLAGS pushed are %x", trap.rflags);
	RAISES("gp-hypervisor", 13, 0, "mov %0, %%cr4", ::"r"(BIT(31)));
	check(trap.rflags & RF, "gp-hypervisor-rf", "RFLAGS pushed are %x", trap.rflags);
	selectors();
	addresses();
	page_fault();
	double_fault();
	task_segment();
	fpu();
	alignment();
	software();
}
