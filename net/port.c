/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lwIP asks of its host: milliseconds and random numbers. The numbers choose
 * ports and initial sequence numbers; RDRAND where the CPU has it, mixed with the
 * TSC.
 */
#include <tern/cpu.h>
#include <tern/timer.h>

#include "lwip/sys.h"

#define CPUID_1_ECX_RDRAND (1u << 30)

void *lwip_port_heap;

u32_t sys_now(void)
{
	return (u32_t)(time_ns() / NSEC_PER_MSEC);
}

static uint64_t hardware_random(void)
{
	uint64_t v = 0;
	uint8_t ok;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND))
		return 0;
	__asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=qm"(ok)::"cc");
	return ok ? v : 0;
}

/* A full-period mixer over a counter [Steele, Lea, Flood 2014 "Fast splittable pseudorandom number
 * generators"]. */
uint32_t lwip_port_rand(void)
{
	static uint64_t state;
	uint64_t z;

	if (!state)
		state = hardware_random();
	state += 0x9e3779b97f4a7c15ull + rdtsc();
	z = state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)(z >> 32);
}
