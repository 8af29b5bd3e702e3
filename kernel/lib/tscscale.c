/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TSC scaling by a fixed-point ratio, as the CPUs do it (timer.h).
 * [SDM 3C 26.3 "Changes to Instruction Behavior in VMX Non-Root Operation", RDTSC]
 * [APM2 15.30.5 "TSC Ratio MSR"]
 */
#include <tern/timer.h>

struct tsc_ratio tsc_ratio_of(uint32_t guest_khz, uint32_t host_khz, unsigned bits)
{
	return (struct tsc_ratio){ mul_div64(guest_khz, 1ull << bits, host_khz), bits };
}

uint64_t tsc_scale(struct tsc_ratio r, uint64_t host_tsc)
{
	return (uint64_t)((unsigned __int128)host_tsc * r.ratio >> r.bits);
}

uint64_t tsc_unscale(struct tsc_ratio r, uint64_t delta)
{
	uint64_t host = mul_div64(delta, 1ull << r.bits, r.ratio);

	return host == UINT64_MAX ? host : host + 1;
}
