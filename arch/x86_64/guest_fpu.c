/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's vector state, for both backends. It is on the CPU while the vCPU is
 * loaded and in its area otherwise; the host, compiled for general registers only, does
 * not touch it. XCR0 is the host's outside of run(), so that save and restore
 * reach every component that a guest may have used. Without XSAVE the legacy
 * FXSAVE image stands in the same place. [APM2 11.5 "Instruction Set Extensions
 * Media Context"] [SDM 1 13.4 "XSAVE Area"]
 */
#include <string.h>

#include "guest.h"

/* Offsets in the legacy area and the header of the standard format. */
#define FPU_FCW 0u
#define FPU_MXCSR 24u
#define FPU_MXCSR_MASK 28u
#define FPU_HEADER 512u
#define FPU_LEGACY_END 576u
#define FPU_PROBE_BYTES 1024u /* of an area with SSE and AVX */
#define FCW_RESET 0x40u
#define MXCSR_RESET 0x1f80u

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

uint64_t guest_xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

void guest_xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

void guest_fpu_reset(uint8_t *fpu)
{
	memset(fpu, 0, PAGE_SIZE);
	fpu[FPU_FCW] = FCW_RESET;
	put32(fpu + FPU_MXCSR, MXCSR_RESET);
	put64(fpu + FPU_HEADER, 1); /* x87 from memory, the rest initial */
}

void guest_fpu_load(uint8_t *fpu)
{
	if (guest_feat.xsave)
		__asm__ volatile("xrstor64 (%0)" ::"r"(fpu), "a"((uint32_t)guest_feat.xcr0),
				 "d"((uint32_t)(guest_feat.xcr0 >> 32))
				 : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(fpu) : "memory");
}

void guest_fpu_save(uint8_t *fpu)
{
	if (guest_feat.xsave)
		__asm__ volatile("xsave64 (%0)" ::"r"(fpu), "a"((uint32_t)guest_feat.xcr0),
				 "d"((uint32_t)(guest_feat.xcr0 >> 32))
				 : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(fpu) : "memory");
}

void guest_fpu_export(const struct virt_vcpu *v, const uint8_t *fpu, struct virt_state *out)
{
	uint64_t mask = guest_feat.xsave ? v->vm->xcr0_mask & guest_feat.xcr0 : 3;

	out->xsave_size = guest_feat.xsave ? guest_xsave_size(mask) : FPU_LEGACY_END;
	memset(out->xsave, 0, sizeof(out->xsave));
	memcpy(out->xsave, fpu, out->xsave_size);
	memset(out->xsave + 464, 0, 48); /* software's part of the legacy area */
	put64(out->xsave + FPU_HEADER, guest_feat.xsave ? get64(fpu + FPU_HEADER) & (mask | 3) : 3);
	memset(out->xsave + FPU_HEADER + 8, 0, 56);
}

bool guest_fpu_ok(uint64_t xcr0_mask, const struct virt_state *in)
{
	uint64_t mask = guest_feat.xsave ? (xcr0_mask & guest_feat.xcr0) | 3 : 3;
	uint64_t used;

	if (in->xsave_size < FPU_LEGACY_END || in->xsave_size > XSAVE_AREA_MAX)
		return false;
	used = get64(in->xsave + FPU_HEADER);
	if ((used & ~mask) || in->xsave_size < guest_xsave_size(used))
		return false;
	for (unsigned i = 8; i < 64; i += 8)
		if (get64(in->xsave + FPU_HEADER + i))
			return false;
	return !(get32(in->xsave + FPU_MXCSR) & ~guest_feat.mxcsr_mask);
}

/* FXRSTOR knows no "initial": the legacy area gets such a component's values. */
static void make_legacy_explicit(uint8_t *fpu, uint64_t used)
{
	if (!(used & 1)) {
		memset(fpu, 0, 24);
		memset(fpu + 32, 0, 128);
		put32(fpu + FPU_FCW, 0x37f);
	}
	if (!(used & 2))
		memset(fpu + 160, 0, 256);
}

void guest_fpu_import(uint8_t *fpu, const struct virt_state *in)
{
	memset(fpu, 0, PAGE_SIZE);
	memcpy(fpu, in->xsave, in->xsave_size);
	if (!guest_feat.xsave)
		make_legacy_explicit(fpu, get64(in->xsave + FPU_HEADER));
}

void guest_fpu_xsavec(uint8_t *area)
{
	static const uint64_t ymm[4] = { 1, 1, GUEST_FPU_PROBE, GUEST_FPU_PROBE };

	__asm__ volatile("vmovdqu %1, %%ymm0\n\t"
			 "xsavec64 (%0)\n\t"
			 "vzeroall" ::"r"(area),
			 "m"(ymm), "a"(6), "d"(0)
			 : "memory");
}

/*
 * The first component behind the header stands right there. [SDM 1 13.4.3 "Extended Region of an
 * XSAVE Area"] Bochs 2.7 writes it and all others 160 bytes before, into the header too, and
 * reads them where they belong.
 */
bool guest_fpu_compacts(void (*xsavec)(uint8_t *area))
{
	static uint8_t area[FPU_PROBE_BYTES] __attribute__((aligned(64)));

	memset(area, 0, sizeof(area));
	xsavec(area);
	return get64(area + FPU_LEGACY_END) == GUEST_FPU_PROBE &&
	       get64(area + FPU_LEGACY_END + 8) == GUEST_FPU_PROBE;
}
