/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: the virtual-APIC page. The TPR shadow lets a guest move CR8 without exits
 * until it falls below the class of an interrupt that waits. In x2APIC mode, where
 * the CPU has register virtualization and interrupt delivery, IRR, ISR and TPR
 * are lent to it for each entry: it delivers, and takes EOI and self-IPIs; an EOI
 * of a level-triggered vector exits. Other CPUs' interrupts come with a kick.
 * [SDM 3C 30.1 "Virtual APIC State"] [SDM 3C 30.2 "Evaluation and Delivery of Virtual Interrupts"]
 */
#include <tern/cpu.h>

#include "vmx.h"

/* In 32-bit words: registers are 16 bytes apart. */
#define REG_TPR (0x80u / 4)
#define REG_ISR (0x100u / 4)
#define REG_TMR (0x180u / 4)
#define REG_IRR (0x200u / 4)
#define BANK 8u
#define BANK_STEP 4u

#define DELIVERY_BITS                                                                              \
	((1u << PROC2_X2APIC) | (1u << PROC2_APIC_REGISTERS) | (1u << PROC2_VIRTUAL_INTERRUPTS))

static void bank_in(uint32_t *page, unsigned reg, const uint32_t bank[BANK])
{
	for (unsigned i = 0; i < BANK; i++)
		page[reg + i * BANK_STEP] = bank[i];
}

static void bank_out(const uint32_t *page, unsigned reg, uint32_t bank[BANK])
{
	for (unsigned i = 0; i < BANK; i++)
		bank[i] = page[reg + i * BANK_STEP];
}

/* 0: none, as the fields have it. */
static uint64_t highest(const uint32_t bank[BANK])
{
	for (unsigned i = BANK; i--;)
		if (bank[i])
			return i * 32 + 31 - (unsigned)__builtin_clz(bank[i]);
	return 0;
}

static void switch_delivery(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	uint64_t proc2 = vmcs_read(VMCS_PROC2);

	if (v->apic.on == s->apic_on)
		return;
	vmcs_write(VMCS_PROC2,
		   v->apic.on ? proc2 | DELIVERY_BITS : proc2 & ~(uint64_t)DELIVERY_BITS);
	vmcs_write(VMCS_MSR_BITMAP,
		   v->apic.on ? vmx_feat.msr_bitmap_x2apic.v : vmx_feat.msr_bitmap.v);
	s->apic_on = v->apic.on;
}

static void lend(struct virt_vcpu *v)
{
	struct virt_apic *a = &v->apic;
	uint32_t *page = vmx_of(v)->apic;

	page[REG_TPR] = a->tpr;
	bank_in(page, REG_IRR, a->irr);
	bank_in(page, REG_ISR, a->isr);
	bank_in(page, REG_TMR, a->level);
	vmcs_write(GUEST_INTERRUPT_STATUS, highest(a->isr) << 8 | highest(a->irr));
	for (unsigned i = 0; i < 4; i++)
		vmcs_write(VMCS_EOI_EXITS(i),
			   (uint64_t)a->level[2 * i + 1] << 32 | a->level[2 * i]);
}

void vmx_apic_enter(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	if (!s->apic)
		return;
	switch_delivery(v);
	if (s->apic_on) {
		lend(v);
		return;
	}
	s->apic[REG_TPR] = (uint32_t)v->cr8 << 4;
	/* Above the TPR it would be refused, and nobody waits there. */
	vmcs_write(VMCS_TPR_THRESHOLD, MIN((uint64_t)v->tpr_wait, v->cr8));
}

void vmx_apic_leave(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	if (!s->apic)
		return;
	v->cr8 = s->apic[REG_TPR] >> 4 & 0xf;
	if (!s->apic_on)
		return;
	v->apic.tpr = s->apic[REG_TPR] & 0xff;
	bank_out(s->apic, REG_IRR, v->apic.irr);
	bank_out(s->apic, REG_ISR, v->apic.isr);
}

void vmx_on_eoi(struct virt_vcpu *v, struct vmexit *x)
{
	(void)v;
	x->eoi.vector = (uint8_t)vmcs_read(EXIT_QUALIFICATION);
}
