/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: model-specific registers. The permission map lets through what VMLOAD
 * and VMSAVE switch; everything else exits, and the kernel decides. Those that
 * the VMCB holds (EFER, PAT, ...) and the TSC are read and written here for it.
 * EFER is never let through: a guest that cleared SVME could not be entered.
 * [APM2 15.11 "MSR Intercepts"]
 */
#include <errno.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/timer.h>

#include "svm.h"

#define MSRPM_ORDER 1u /* 8 KiB */
#define IOPM_ORDER 2u  /* 12 KiB, one bit a port */

/* Switched by VMLOAD and VMSAVE; no value of them harms the host. */
static const uint32_t pass_through[] = {
	MSR_STAR,    MSR_LSTAR,		 MSR_CSTAR,	  MSR_SFMASK,	    MSR_FS_BASE,
	MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

/* Two bits for each MSR, in three ranges of 0x2000. [APM2 15.11 Table "MSR Ranges"] */
static void allow(uint8_t *map, uint32_t msr)
{
	uint32_t n = msr & 0x1fff;
	uint32_t range = msr >= 0xc0010000 ? 2 : msr >= 0xc0000000 ? 1 : 0;

	map[range * 0x800 + n / 4] &= (uint8_t) ~(3u << (n % 4 * 2));
}

int svm_msr_init(void)
{
	uint8_t *map;

	if (page_alloc(MSRPM_ORDER, 0, FRAME_VM, &svm_feat.msrpm))
		return -ENOMEM;
	if (page_alloc(IOPM_ORDER, 0, FRAME_VM, &svm_feat.iopm)) {
		page_put(svm_feat.msrpm);
		return -ENOMEM;
	}
	map = hpa_ptr(svm_feat.msrpm);
	memset(map, 0xff, PAGE_SIZE << MSRPM_ORDER);
	memset(hpa_ptr(svm_feat.iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
	for (unsigned i = 0; i < ARRAY_SIZE(pass_through); i++)
		allow(map, pass_through[i]);
	return 0;
}

static struct tsc_ratio ratio_of(const struct virt_vm *vm)
{
	uint32_t host = tsc_khz();

	return tsc_ratio_of(svm_feat.tsc_rate && vm->tsc_khz ? vm->tsc_khz : host, host,
			    TSC_RATIO_BITS); /* fits: caps.tsc_ratio_end */
}

uint64_t svm_tsc_ratio(const struct virt_vm *vm)
{
	return ratio_of(vm).ratio;
}

static uint64_t scaled_tsc(const struct virt_vm *vm)
{
	return tsc_scale(ratio_of(vm), rdtsc());
}

uint64_t svm_guest_tsc(const struct virt_vcpu *v)
{
	return scaled_tsc(v->vm) + v->tsc_offset;
}

/* Where the VMCB keeps an MSR as it is; NULL when it does not. */
static uint64_t *slot_of(struct vmcb_save *b, uint32_t index, bool *address)
{
	*address = false;
	switch (index) {
	case MSR_STAR:
		return &b->star;
	case MSR_SFMASK:
		return &b->sfmask;
	case MSR_SYSENTER_CS:
		return &b->sysenter_cs;
	default:
		break;
	}
	*address = true;
	switch (index) {
	case MSR_LSTAR:
		return &b->lstar;
	case MSR_CSTAR:
		return &b->cstar;
	case MSR_FS_BASE:
		return &b->fs.base;
	case MSR_GS_BASE:
		return &b->gs.base;
	case MSR_KERNEL_GS_BASE:
		return &b->kernel_gs_base;
	case MSR_SYSENTER_ESP:
		return &b->sysenter_esp;
	case MSR_SYSENTER_EIP:
		return &b->sysenter_eip;
	default:
		return NULL;
	}
}

int svm_msr_get(struct virt_vcpu *v, uint32_t index, uint64_t *value)
{
	struct svm_vcpu *s = svm_of(v);
	bool address;
	uint64_t *slot = slot_of(&s->vmcb->s, index, &address);

	if (slot) {
		*value = *slot;
		return 0;
	}
	switch (index) {
	case MSR_EFER:
		*value = s->vmcb->s.efer & ~EFER_SVME;
		return 0;
	case MSR_PAT:
		*value = s->vmcb->s.g_pat;
		return 0;
	case MSR_TSC:
		*value = svm_guest_tsc(v);
		return 0;
	default:
		return guest_msr_get(&s->msrs, index, value);
	}
}

static int set_efer(struct svm_vcpu *s, uint64_t value)
{
	struct vmcb_save *b = &s->vmcb->s;

	if (value & ~guest_feat.efer_mask)
		return -EINVAL;
	if ((b->cr0 & CR0_PG) && ((b->efer ^ value) & EFER_LME))
		return -EINVAL;
	b->efer = (value & ~EFER_LMA) | (b->efer & EFER_LMA) | EFER_SVME;
	s->flush = true; /* NXE changes what translations mean */
	return 0;
}

int svm_msr_set(struct virt_vcpu *v, uint32_t index, uint64_t value)
{
	struct svm_vcpu *s = svm_of(v);
	bool address;
	uint64_t *slot = slot_of(&s->vmcb->s, index, &address);

	if (slot) {
		if (address && !guest_canonical(value))
			return -EINVAL;
		*slot = value;
		return 0;
	}
	switch (index) {
	case MSR_EFER:
		return set_efer(s, value);
	case MSR_PAT:
		if (!guest_pat_ok(value))
			return -EINVAL;
		s->vmcb->s.g_pat = value;
		return 0;
	case MSR_TSC:
		v->tsc_offset = value - scaled_tsc(v->vm);
		return 0;
	default:
		return guest_msr_set(v, &s->msrs, index, value);
	}
}
