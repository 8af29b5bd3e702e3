/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vector registers for host code. The hypervisor is compiled without them, so
 * what is loaded belongs to the vCPU that ran last here: fpu_begin() puts it
 * aside, fpu_end() brings it back. No world switch in between.
 */
#include <tern/log.h>
#include <tern/page.h>

#include "arch.h"
#include "regs.h"

#define FXSAVE_BYTES 512u
/* x87, SSE, AVX, AVX-512. Not PKRU and not AMX: nobody in the host uses them. */
#define HOST_XCR0 0xe7ull

static uint32_t area_bytes = FXSAVE_BYTES; /* [const] */

static void xsetbv0(uint64_t v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static uint64_t xcr0_supported(void)
{
	struct cpuid_regs r = cpuid(0xd, 0);

	return ((uint64_t)r.edx << 32 | r.eax) & HOST_XCR0;
}

void fpu_cpu_init(void)
{
	hpa_t a;
	unsigned order = ORDER_4K;

	if (cpu_identity()->has_xsave) {
		xsetbv0(xcr0_supported());
		area_bytes = cpuid(0xd, 0).ebx;
	}
	while ((PAGE_SIZE << order) < area_bytes)
		order++;
	if (page_alloc(order, PAGE_ZERO, FRAME_KERNEL, &a))
		panic("no memory for the FPU save area");
	this_cpu()->arch->fpu_area = hpa_ptr(a);
}

void fpu_begin(void)
{
	struct arch_cpu *a = this_cpu()->arch;

	tern_assert(!a->fpu_busy);
	a->fpu_busy = true;
	if (cpu_identity()->has_xsave)
		__asm__ volatile("xsave64 (%0)" ::"r"(a->fpu_area), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(a->fpu_area) : "memory");
}

void fpu_end(void)
{
	struct arch_cpu *a = this_cpu()->arch;

	tern_assert(a->fpu_busy);
	if (cpu_identity()->has_xsave)
		__asm__ volatile("xrstor64 (%0)" ::"r"(a->fpu_area), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(a->fpu_area) : "memory");
	a->fpu_busy = false;
}
