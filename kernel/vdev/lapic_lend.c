/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC where the CPU delivers interrupts itself: IRR, ISR and TPR are
 * lent to it around each run(), in x2APIC mode, so that outside of run() the state
 * is here as ever. Vectors that come meanwhile are gathered in the IRR here and
 * lent at the next entry, to which their kick leads. [SDM 3C 30.5 "Virtualizing
 * MSR-Based APIC Accesses"]
 */
#include <string.h>

#include "irqchip_int.h"

static bool can_lend(const struct lapic *l)
{
	return l->vcpu->v.apic.usable && lapic_x2(l) && lapic_enabled(l);
}

bool lapic_by_cpu(struct vcpu *c)
{
	struct lapic *l = c->lapic;

	return can_lend(l) && !l->extint;
}

void lapic_enter(struct vcpu *c)
{
	struct virt_apic *a = &c->v.apic;
	struct lapic *l = c->lapic;
	unsigned long flags;

	a->on = can_lend(l);
	if (!a->on) {
		lapic_word_lend(l);
		return;
	}
	lapic_sync_tpr(l);
	a->tpr = l->tpr;
	flags = chip_lock(l->chip);
	memcpy(a->irr, l->irr, sizeof(a->irr));
	memset(l->irr, 0, sizeof(l->irr));
	memcpy(a->isr, l->isr, sizeof(a->isr));
	memcpy(a->level, l->tmr, sizeof(a->level));
	chip_unlock(l->chip, flags);
}

void lapic_leave(struct vcpu *c)
{
	const struct virt_apic *a = &c->v.apic;
	struct lapic *l = c->lapic;
	unsigned long flags;

	if (!a->on) {
		lapic_word_return(l);
		return;
	}
	flags = chip_lock(l->chip);
	for (unsigned i = 0; i < APIC_REGS; i++)
		l->irr[i] |= a->irr[i];
	memcpy(l->isr, a->isr, sizeof(l->isr));
	chip_unlock(l->chip, flags);
	l->tpr = a->tpr;
}

void lapic_ended(struct vcpu *c, uint8_t vector)
{
	struct lapic *l = c->lapic;
	unsigned long flags = chip_lock(l->chip);

	ioapic_eoi_locked(l->chip->ioapic, vector);
	chip_unlock(l->chip, flags);
}
