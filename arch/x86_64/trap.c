/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where traps.S arrives. Interrupts go to irq.c, machine checks to mce.c. Any
 * other exception is either expected (an instruction listed in the exception
 * table goes on at its fix-up), or the end: panic with registers.
 */
#include <tern/arch.h>
#include <tern/cpu.h>

#include "arch.h"
#include "mce.h"
#include "regs.h"

/* Instructions that may raise #GP, and where to go on then (msr.S). */
extern const char rdmsr_safe_insn[], rdmsr_safe_fault[], wrmsr_safe_insn[], wrmsr_safe_fault[];

static const struct {
	const char *insn, *fault;
} exceptions[] = {
	{ rdmsr_safe_insn, rdmsr_safe_fault },
	{ wrmsr_safe_insn, wrmsr_safe_fault },
};

void trap_dispatch(struct trap_frame *f);

static bool fix_up(struct trap_frame *f)
{
	for (unsigned i = 0; i < ARRAY_SIZE(exceptions); i++)
		if ((uint64_t)exceptions[i].insn == f->rip) {
			f->rip = (uint64_t)exceptions[i].fault;
			return true;
		}
	return false;
}

/* An NMI stops this CPU when another one panics; others are counted only. */
static void nmi(void)
{
	this_cpu()->nmis++;
	if (arch_in_panic())
		arch_halt();
}

/* A panic in there shows these registers. */
static void machine_check(const struct trap_frame *f)
{
	this_cpu()->trap = f;
	mce_check("in the host");
	this_cpu()->trap = NULL;
}

void trap_dispatch(struct trap_frame *f)
{
	if (f->vector >= VEC_EXCEPTIONS)
		irq_dispatch(f);
	else if (f->vector == VEC_NMI)
		nmi();
	else if (f->vector == VEC_MACHINE_CHECK)
		machine_check(f);
	else if (!fix_up(f))
		trap_panic(f);
}
