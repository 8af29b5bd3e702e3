/* SPDX-License-Identifier: BSD-2-Clause */
/* Kicks and cross calls. Calls wait in a list per CPU, which the interrupt empties at once. */
#include <tern/cpu.h>
#include <tern/log.h>

#include "arch.h"
#include "lapic.h"
#include "regs.h"

struct ipi_call {
	struct ipi_call *next;
	void (*fn)(void *);
	void *arg;
	uint32_t done; /* [atom] last access by the callee */
};

void cpu_kick(unsigned cpu)
{
	this_cpu()->kicks++;
	apic_ipi(percpu[cpu].apic_id, VEC_KICK);
}

static void push(struct ipi_call **head, struct ipi_call *call)
{
	call->next = __atomic_load_n(head, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(head, &call->next, call, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

void cpu_call(unsigned cpu, void (*fn)(void *), void *arg)
{
	struct ipi_call call = { .fn = fn, .arg = arg };
	unsigned long flags = irq_save();

	if (cpu == this_cpu()->index) {
		fn(arg);
		irq_restore(flags);
		return;
	}
	irq_restore(flags);
	tern_assert(irqs_on()); /* or two CPUs could wait for each other */
	push(&percpu[cpu].arch->calls, &call);
	apic_ipi(percpu[cpu].apic_id, VEC_CALL);
	while (!__atomic_load_n(&call.done, __ATOMIC_ACQUIRE))
		cpu_pause();
}

void ipi_run_calls(void)
{
	struct ipi_call *c = __atomic_exchange_n(&this_cpu()->arch->calls, NULL, __ATOMIC_ACQUIRE);

	while (c) {
		struct ipi_call *next = c->next;

		c->fn(c->arg);
		__atomic_store_n(&c->done, 1, __ATOMIC_RELEASE);
		c = next;
	}
}
