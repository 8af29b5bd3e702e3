/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processors under load, for tests of who gets which CPU:
 *
 *	tickets		all take a fair lock in turns, many times: ends
 *	count		each counts for itself, for ever; a byte on COM1 is answered by a
 *			line of all counts
 */
#include "rt.h"

#define ROUNDS 20u
#define WORK 2000u /* turns of a loop with the lock held */

static volatile uint32_t next_ticket, now_served, in_lock, rounds_done, not_alone;
static volatile uint64_t counts[AP_MAX + 1][8]; /* a cache line each */

/* Who comes first is first: when the next one has no CPU, all others spin in vain. */
static void take(void)
{
	uint32_t mine = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&now_served, __ATOMIC_ACQUIRE) != mine)
		__asm__ volatile("pause");
}

static void give(void)
{
	__atomic_store_n(&now_served, now_served + 1, __ATOMIC_RELEASE);
}

static void take_turns(unsigned cpu)
{
	(void)cpu;
	for (unsigned i = 0; i < ROUNDS; i++) {
		take();
		not_alone += in_lock++ != 0;
		for (unsigned k = 0; k < WORK; k++)
			__asm__ volatile("");
		rounds_done++;
		in_lock--;
		give();
	}
}

void group_tickets(void)
{
	unsigned n = cpus();

	check(cpus_start(), "tickets-start", "of %u not all came", (uint64_t)n);
	on_others(take_turns);
	take_turns(0);
	while (others_busy())
		__asm__ volatile("pause");
	check(!not_alone, "tickets-lock", "%u times not alone", (uint64_t)not_alone);
	check(rounds_done == ROUNDS * n, "tickets-rounds", "%u of %u", (uint64_t)rounds_done,
	      (uint64_t)ROUNDS * n);
}

static void count_others(unsigned cpu)
{
	for (;;)
		counts[cpu][0]++;
}

static void say_counts(unsigned n)
{
	say("counts");
	for (unsigned i = 0; i < n; i++)
		say(" %u", counts[i][0]);
	say("\n");
}

void group_count(void)
{
	unsigned n = cpus();

	check(n == 1 || cpus_start(), "count-start", "of %u not all came", (uint64_t)n);
	on_others(count_others);
	for (;;)
		if (!(++counts[0][0] & 0xfffff) && typed())
			say_counts(n);
}
