/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One processor's state (state.h), for the two files that know it: state_cpu.c fills and holds
 * it, state_look.c reads all of it and says it.
 */
#ifndef TEST_GUEST_CPU_STATE_CPU_H
#define TEST_GUEST_CPU_STATE_CPU_H

#include "msrs.h"
#include "rt.h"
#include "vectors.h"

#define APIC_REGS 0x40
#define MSR_TSC 0x10
#define MSR_APIC_FIRST 0x800
#define MSR_APIC_LAST 0x8ff
#define XSAVE_MAX 4096

enum { CR0, CR2, CR3, CR4, CR8, DR0, DR1, DR2, DR3, DR6, DR7, SELECTORS, GDTR, IDTR, TR, WORDS };

struct cpu {
	struct vectors in, out;
	uint64_t word[WORDS], xcr0, xinuse, msr[MSRS_MAX], tsc;
	uint32_t apic[APIC_REGS], pkru;
	uint32_t xsave_size;
	uint8_t xsave[XSAVE_MAX] __attribute__((aligned(64)));
	uint8_t xsavec[XSAVE_MAX] __attribute__((aligned(64)));
	volatile uint32_t woken;
	volatile unsigned above, below, early;
};
extern struct cpu cpu_of[AP_MAX];

static inline bool has(unsigned leaf, unsigned sub, unsigned reg, unsigned bit)
{
	struct cpuid r = cpuid(leaf, sub);
	const uint32_t word[4] = { r.a, r.b, r.c, r.d };

	return leaf <= cpuid(leaf & 0x80000000, 0).a && (word[reg] >> bit & 1);
}

static inline bool has_xsave(void)
{
	return has(1, 0, 2, 26);
}

/* All components: what is in them stays when XCR0 is made narrower. */
static inline uint64_t xcr0_wide(void)
{
	return cpuid(0xd, 0).a;
}

static inline bool is_apic(uint32_t msr)
{
	return msr >= MSR_APIC_FIRST && msr <= MSR_APIC_LAST;
}

#endif
