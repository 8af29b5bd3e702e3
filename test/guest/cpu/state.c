/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "state": dumps of everything (state.h) for the host's tests to compare, before
 * and after a move, on as many processors as there are. "state2" is the same with other
 * values, for a guest that was there before.
 *
 *	held N		says that registers hold their values; a line typed then, beginning
 *	begin N ... end N	with 'd', asks for a dump, with 'q' for the end
 *
 * The first processor does all this inside an NMI's handler with another NMI
 * waiting; the second comes right after it and not before.
 */
#include "msrs.h"
#include "rt.h"
#include "state.h"

#define ROUNDS_MAX 64

uint64_t salt;

static volatile uint32_t release[ROUNDS_MAX], looked[ROUNDS_MAX], filled, quit;
static volatile unsigned nmis;
static unsigned processors;

uint64_t pattern(unsigned cpu, unsigned what)
{
	uint64_t v = (salt << 32 | cpu << 16 | what) * 0x9e3779b97f4a7c15;

	return v ^ v >> 29;
}

static void rounds_of_other(unsigned order)
{
	unsigned cpu = apic_id();

	(void)order;
	state_cpu_fill(cpu);
	__atomic_fetch_add(&filled, 1, __ATOMIC_SEQ_CST);
	for (unsigned n = 0; n < ROUNDS_MAX && !quit; n++) {
		state_cpu_hold(cpu, &release[n]);
		state_cpu_look(cpu);
		__atomic_fetch_add(&looked[n], 1, __ATOMIC_SEQ_CST);
	}
	state_cpu_end(cpu);
}

static void dump(unsigned n)
{
	say("begin %u\n", (uint64_t)n);
	for (unsigned cpu = 0; cpu < processors; cpu++)
		state_cpu_say(cpu);
	state_devs_say();
	say("end %u\n", (uint64_t)n);
}

static void rounds(void)
{
	for (unsigned n = 0; n < ROUNDS_MAX && !quit; n++) {
		say("held %u\n", (uint64_t)n);
		state_cpu_hold(0, NULL);
		quit = typed_line() == 'q';
		release[n] = 1;
		for (unsigned cpu = 1; cpu < processors; cpu++)
			state_cpu_release(cpu);
		state_cpu_look(0);
		while (looked[n] != processors - 1)
			__asm__ volatile("pause");
		dump(n);
	}
}

static void on_nmi(struct frame *f)
{
	(void)f;
	if (++nmis != 1)
		return;
	apic_ipi(apic_id(), ICR_NMI);
	rounds();
	check(nmis == 1, "state-nmi-blocked", "%u came early", (uint64_t)nmis - 1);
}

static void run(uint64_t with)
{
	salt = with;
	processors = cpus();
	msrs_find();
	check(processors == 1 || cpus_start(), "state-start", "not all came");
	if (processors > 1)
		on_others(rounds_of_other);
	state_cpu_fill(0);
	while (filled != processors - 1)
		__asm__ volatile("pause");
	state_devs_fill();
	on_vector[2] = on_nmi;
	apic_ipi(apic_id(), ICR_NMI);
	for (uint64_t start = rdtsc(); nmis < 2 && rdtsc() - start < 20000000000;)
		__asm__ volatile("pause");
	check(nmis == 2, "state-nmi", "%u came", (uint64_t)nmis);
	if (processors > 1)
		wait_others();
	state_devs_end();
	state_watch_end();
	state_cpu_end(0);
	for (unsigned cpu = 0; cpu < processors; cpu++)
		state_cpu_check(cpu);
}

void group_state(void)
{
	run(1);
}

void group_state2(void)
{
	run(2);
}
