/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: the guest's vector state. It is on the CPU while the vCPU is loaded
 * and in s->fpu otherwise; the host, compiled for general registers only, does
 * not touch it. XCR0 is the host's outside of run(), so that save and restore
 * reach every component that a guest may have used. Without XSAVE the legacy
 * FXSAVE image stands in the same place. [APM2 11.5 "Instruction Set Extensions
 * Media Context"] [SDM 1 13.4 "XSAVE Area"]
 */
#include <string.h>

#include "svm.h"

/* Offsets in the legacy area and the header of the standard format. */
#define FPU_FCW 0u
#define FPU_MXCSR 24u
#define FPU_MXCSR_MASK 28u
#define FPU_HEADER 512u
#define FPU_LEGACY_END 576u
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

uint64_t svm_xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

void svm_xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

void svm_fpu_reset(struct svm_vcpu *s)
{
	memset(s->fpu, 0, PAGE_SIZE);
	s->fpu[FPU_FCW] = FCW_RESET;
	put32(s->fpu + FPU_MXCSR, MXCSR_RESET);
	put64(s->fpu + FPU_HEADER, 1); /* x87 from memory, the rest initial */
}

void svm_fpu_load(struct svm_vcpu *s)
{
	if (svm_feat.xsave)
		__asm__ volatile("xrstor64 (%0)" ::"r"(s->fpu), "a"((uint32_t)svm_feat.xcr0),
				 "d"((uint32_t)(svm_feat.xcr0 >> 32))
				 : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(s->fpu) : "memory");
}

void svm_fpu_save(struct svm_vcpu *s)
{
	if (svm_feat.xsave)
		__asm__ volatile("xsave64 (%0)" ::"r"(s->fpu), "a"((uint32_t)svm_feat.xcr0),
				 "d"((uint32_t)(svm_feat.xcr0 >> 32))
				 : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(s->fpu) : "memory");
}

void svm_fpu_export(const struct virt_vcpu *v, struct virt_state *out)
{
	const struct svm_vcpu *s = svm_of(v);
	uint64_t mask = svm_feat.xsave ? v->vm->xcr0_mask & svm_feat.xcr0 : 3;

	out->xsave_size = svm_feat.xsave ? svm_xsave_size(mask) : FPU_LEGACY_END;
	memset(out->xsave, 0, sizeof(out->xsave));
	memcpy(out->xsave, s->fpu, out->xsave_size);
	memset(out->xsave + 464, 0, 48); /* software's part of the legacy area */
	put64(out->xsave + FPU_HEADER,
	      svm_feat.xsave ? get64(s->fpu + FPU_HEADER) & (mask | 3) : 3);
	memset(out->xsave + FPU_HEADER + 8, 0, 56);
}

bool svm_fpu_ok(const struct virt_vcpu *v, const struct virt_state *in)
{
	uint64_t mask = svm_feat.xsave ? (v->vm->xcr0_mask & svm_feat.xcr0) | 3 : 3;
	uint64_t used;

	if (in->xsave_size < FPU_LEGACY_END || in->xsave_size > XSAVE_AREA_MAX)
		return false;
	used = get64(in->xsave + FPU_HEADER);
	if ((used & ~mask) || in->xsave_size < svm_xsave_size(used))
		return false;
	for (unsigned i = 8; i < 64; i += 8)
		if (get64(in->xsave + FPU_HEADER + i))
			return false;
	return !(get32(in->xsave + FPU_MXCSR) & ~svm_feat.mxcsr_mask);
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

void svm_fpu_import(struct svm_vcpu *s, const struct virt_state *in)
{
	memset(s->fpu, 0, PAGE_SIZE);
	memcpy(s->fpu, in->xsave, in->xsave_size);
	if (!svm_feat.xsave)
		make_legacy_explicit(s->fpu, get64(in->xsave + FPU_HEADER));
}
