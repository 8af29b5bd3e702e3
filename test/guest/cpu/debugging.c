/* SPDX-License-Identifier: BSD-2-Clause */
/* Single steps, hardware breakpoints, the debug registers. */
#include "rt.h"

#define TF BIT(8)
#define DR6_B0 BIT(0)
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define STEPS 16

static uint64_t step_rip[STEPS], step_dr6[STEPS];
static unsigned steps;
static bool clear_exec; /* resume past an instruction breakpoint */

static void on_debug(struct frame *f)
{
	if (steps < STEPS) {
		step_rip[steps] = f->rip;
		step_dr6[steps] = read_dr6();
	}
	steps++;
	write_dr6(0xffff0ff0);
	if (clear_exec)
		f->rflags |= BIT(16);
}

/* Steps over insn, which begins where TF works first; the trap must come right behind it. */
#define STEP(name, insn, ...)                                                                      \
	do {                                                                                       \
		uint64_t behind;                                                                   \
                                                                                                   \
		steps = 0;                                                                         \
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq\n\t" insn                     \
				 "\n992: pushfq; andq $~0x100, (%%rsp); popfq\n\t"                 \
				 "lea 992b(%%rip), %0"                                             \
				 : "=r"(behind)::"memory", "cc", ##__VA_ARGS__);                   \
		stepped(name, behind);                                                             \
	} while (0)

static void stepped(const char *name, uint64_t behind)
{
	unsigned n = steps < STEPS ? steps : STEPS;
	bool seen = false;

	for (unsigned i = 0; i < n; i++)
		seen |= step_rip[i] == behind && (step_dr6[i] & DR6_BS);
	check(seen, name, "%u traps, first at %x DR6 %x, none at %x", (uint64_t)steps, step_rip[0],
	      step_dr6[0], behind);
}

static void single(void)
{
	STEP("step", "nop");
	check(steps == 4, "step-each", "%u traps", (uint64_t)steps); /* NOP, PUSHF, AND, POPF */
	STEP("step-cpuid", "xor %%eax, %%eax; cpuid", "rax", "rbx", "rcx", "rdx");
	STEP("step-in", "in $0xe0, %%al", "rax");
	STEP("step-out", "xor %%eax, %%eax; out %%al, $0xe0", "rax");
	STEP("step-rdmsr", "mov $0x277, %%ecx; rdmsr", "rax", "rcx", "rdx");
	STEP("step-mmio", "mov $0xff000000, %%ecx; mov (%%rcx), %%eax", "rax", "rcx");
	STEP("step-cr8", "mov %%cr8, %%rax; mov %%rax, %%cr8", "rax");
	STEP("step-mov-ss", "mov %%ss, %%eax; mov %%eax, %%ss; nop", "rax");
	STEP("step-rep-out",
	     "lea 992f(%%rip), %%rsi; mov $3, %%ecx; mov $0xe0, %%edx; cld; rep outsb", "rcx",
	     "rdx", "rsi");
}

static volatile uint32_t watched;

static void breakpoints(void)
{
	extern const char break_here[];

	steps = 0;
	write_dr0((uint64_t)&watched);
	write_dr7(0x400 | 1 | 0xd << 16); /* writes of 4 bytes */
	watched = 1;
	write_dr7(0x400);
	if (!steps && on_tcg())
		skip("break-write", "the emulator does not look at DR7 in guests");
	else
		check(steps == 1 && (step_dr6[0] & 0xf) == DR6_B0, "break-write",
		      "%u traps, DR6 %x", (uint64_t)steps, step_dr6[0]);
	steps = 0;
	clear_exec = true;
	write_dr0((uint64_t)break_here);
	write_dr7(0x400 | 1);
	__asm__ volatile(".global break_here\nbreak_here: nop; nop" ::: "memory");
	write_dr7(0x400);
	clear_exec = false;
	if (!steps && on_tcg())
		skip("break-exec", "the emulator does not look at DR7 in guests");
	else
		check(steps == 1 && step_rip[0] == (uint64_t)break_here, "break-exec",
		      "%u traps, first at %x", (uint64_t)steps, step_rip[0]);
}

/* INT1: a trap right behind it, in one go. */
static void int1(void)
{
	extern const char behind_int1[];

	if (on_tcg()) {
		skip("int1", "the emulator has none in guests");
		return;
	}
	steps = 0;
	__asm__ volatile(".byte 0xf1\n\t.global behind_int1\nbehind_int1: nop" ::: "memory");
	check(steps == 1 && step_rip[0] == (uint64_t)behind_int1, "int1", "%u traps, first at %x",
	      (uint64_t)steps, step_rip[0]);
}

static void registers(void)
{
	write_dr1(0x123456789abcull);
	write_dr3(0xfffffffff0000000ull);
	(void)cpuid(0, 0);
	check(read_dr1() == 0x123456789abcull && read_dr3() == 0xfffffffff0000000ull, "dr", "%x %x",
	      read_dr1(), read_dr3());
	check((read_dr7() & ~0x400ull) == 0, "dr7", "%x", read_dr7());
	if (!on_tcg()) {
		RAISES("dr7-high", 13, 0, "mov %0, %%dr7", ::"r"(BIT(32)));
		RAISES("dr6-high", 13, 0, "mov %0, %%dr6", ::"r"(BIT(32)));
	} else {
		skip("dr7-high", "the emulator takes it");
		skip("dr6-high", "the emulator takes it");
	}
	write_cr4(read_cr4() | BIT(3));
	RAISES("dr4-de", 6, 0, "mov %%dr4, %%rax", ::: "rax");
	write_cr4(read_cr4() & ~BIT(3));
}

void group_debug(void)
{
	on_vector[1] = on_debug;
	single();
	breakpoints();
	int1();
	registers();
	on_vector[1] = NULL;
}
