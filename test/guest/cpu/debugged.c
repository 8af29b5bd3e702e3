/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a debugger from outside looks at: a loop with symbols that it can stop in, change
 * and let go; ends when debugged_go is cleared or a byte comes on COM1. The loop looks for
 * traces that a debugger must not leave where a guest sees them.
 */
#include "rt.h"

#define PATTERN 0x7465726e2d6d656dull
#define TF BIT(8)

volatile uint64_t debugged_turns, debugged_go = 1, debugged_word, debugged_extra;
volatile uint64_t debugged_leaks;			   /* TF or DR7 were seen */
volatile uint64_t *const debugged_mapped = (void *)MAP_AT; /* by the page tables alone */

/* RFLAGS as PUSHF and as SYSCALL's like would keep them. */
__attribute__((noinline)) uint64_t debugged_flags(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags;
}

__attribute__((noinline)) void debugged_turn(uint64_t n)
{
	debugged_turns = n + 1 + debugged_extra;
	if ((debugged_flags() & TF) || read_dr7() != 0x400)
		debugged_leaks++;
	if (n % 8 == 0)
		debugged_word = n;
}

void group_debugged(void)
{
	volatile uint64_t *at = map(0, (uint64_t)pages[3], PTE_P | PTE_W);

	for (unsigned i = 0; i < 512; i++)
		at[i] = PATTERN ^ i;
	say("debugged: ready\n");
	for (uint64_t n = 0; debugged_go && !typed(); n++) {
		debugged_turn(n);
		for (unsigned i = 0; i < 1000; i++)
			__asm__ volatile("pause");
	}
	check(debugged_leaks == 0, "debugged-leaks", "%u turns saw the debugger", debugged_leaks);
	check(at[511] == (PATTERN ^ 511), "debugged-memory", "%x", at[511]);
}
