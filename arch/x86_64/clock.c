/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's clock: the TSC, scaled. time_ns() counts from the moment the
 * loader was entered; before calibration it stands at 0.
 */
#include <tern/timer.h>

#include "arch.h"

#define NS_SHIFT 52u /* keeps the scale's error below 10^-11; needs 250 kHz or more */

static uint64_t tsc_base;   /* [const] */
static uint64_t ns_per_tsc; /* [const] 2^-NS_SHIFT ns */
static uint32_t khz;	    /* [const] */

void clock_init(uint64_t boot_tsc)
{
	tsc_base = boot_tsc;
}

void clock_set_khz(uint32_t k)
{
	khz = k;
	ns_per_tsc = mul_div64(1000000ull, 1ull << NS_SHIFT, k);
}

uint32_t tsc_khz(void)
{
	return khz;
}

uint64_t tsc_to_ns(uint64_t tsc)
{
	uint64_t delta = tsc > tsc_base ? tsc - tsc_base : 0;

	return (uint64_t)((unsigned __int128)delta * ns_per_tsc >> NS_SHIFT);
}

/* The first TSC value at which tsc_to_ns() has reached ns, or one or two after it. */
uint64_t ns_to_tsc(uint64_t ns)
{
	uint64_t delta = mul_div64(ns, khz, 1000000);

	return delta > UINT64_MAX - tsc_base - 1 ? UINT64_MAX : tsc_base + delta + 1;
}

uint64_t time_ns(void)
{
	return tsc_to_ns(rdtsc());
}

void delay_ns(uint64_t ns)
{
	uint64_t end = rdtsc() + mul_div64(ns, khz, 1000000) + 1;

	while (rdtsc() < end)
		cpu_pause();
}
