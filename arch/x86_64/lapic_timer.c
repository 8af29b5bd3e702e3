/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The LAPIC timer of each CPU as one-shot source for base's timer queue: in
 * TSC-deadline mode where the CPU has it, else counting down. A count that
 * ends before the deadline (32 bits are a few seconds) is re-armed here.
 */
#include <tern/arch.h>
#include <tern/percpu.h>
#include <tern/timer.h>

#include "arch.h"
#include "lapic.h"
#include "lapic_regs.h"
#include "regs.h"

static uint32_t counter_khz; /* [const] 0: TSC-deadline mode */

void apic_timer_run(void)
{
	apic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_4);
	apic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
	apic_write(LAPIC_TIMER_INITIAL, UINT32_MAX);
}

uint32_t apic_timer_left(void)
{
	return apic_read(LAPIC_TIMER_CURRENT);
}

void apic_timer_setup(uint32_t khz)
{
	counter_khz = khz;
	this_cpu()->arch->timer_deadline_ns = NEVER_NS;
	apic_write(LAPIC_TIMER_INITIAL, 0);
	apic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_4);
	apic_write(LAPIC_LVT_TIMER, (khz ? 0 : LVT_TIMER_DEADLINE) | VEC_TIMER);
	/* The mode must be in effect before a deadline is written. [SDM 3A "TSC-Deadline Mode"] */
	__asm__ volatile("mfence; lfence" ::: "memory");
}

static void arm(uint64_t deadline_ns)
{
	if (counter_khz == 0) {
		wrmsr(MSR_TSC_DEADLINE, deadline_ns == NEVER_NS ? 0 : ns_to_tsc(deadline_ns));
		return;
	}
	if (deadline_ns == NEVER_NS) {
		apic_write(LAPIC_TIMER_INITIAL, 0);
		return;
	}
	uint64_t now = time_ns();
	uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
	uint64_t ticks = mul_div64(left, counter_khz, 1000000) + 1;

	apic_write(LAPIC_TIMER_INITIAL, (uint32_t)MIN(ticks, (uint64_t)UINT32_MAX));
}

void arch_timer_set(uint64_t deadline_ns)
{
	this_cpu()->arch->timer_deadline_ns = deadline_ns;
	arm(deadline_ns);
}

void apic_timer_irq(void)
{
	struct arch_cpu *a = this_cpu()->arch;

	if (time_ns() < a->timer_deadline_ns) {
		arm(a->timer_deadline_ns); /* early, or disarmed while on its way */
		return;
	}
	a->timer_deadline_ns = NEVER_NS;
	timer_interrupt();
}
