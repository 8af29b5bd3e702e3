/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TSC warp check. Both CPUs read the TSC in turns under a lock: a value below
 * the last one that anybody saw is a warp, and its size bounds how far
 * time_ns() can be seen to run backwards.
 */
#include "tscsync.h"

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/timer.h>

#include <stdbool.h>

#define READS 1000u
#define GIVE_UP_NS (100 * NSEC_PER_MSEC)

static uint32_t taken; /* [atom] guards the rest */
static uint64_t last_tsc, worst;
static uint32_t present;  /* [atom] CPUs in the check */
static uint32_t finished; /* [atom] */

static void lock(void)
{
	while (__atomic_exchange_n(&taken, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
}

static void read_one(void)
{
	lock();
	uint64_t now = rdtsc();

	if (now < last_tsc)
		worst = MAX(worst, last_tsc - now);
	last_tsc = now;
	__atomic_store_n(&taken, 0, __ATOMIC_RELEASE);
}

static void take_part(void)
{
	uint64_t end = time_ns() + GIVE_UP_NS;

	__atomic_add_fetch(&present, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&present, __ATOMIC_SEQ_CST) < 2)
		if (time_ns() > end)
			break;
	for (unsigned i = 0; i < READS; i++)
		read_one();
	__atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
}

void tscsync_follow(void)
{
	take_part();
}

void tscsync_lead(unsigned cpu)
{
	take_part();
	while (__atomic_load_n(&finished, __ATOMIC_SEQ_CST) < 2)
		cpu_pause();
	if (worst)
		log_warn("clock", "CPU %u: TSC differs from the boot CPU's by %llu ticks", cpu,
			 (unsigned long long)worst);
	last_tsc = worst = 0;
	present = finished = 0;
}
