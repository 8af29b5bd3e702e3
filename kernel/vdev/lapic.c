/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC: which interrupt comes next. IRR, ISR, priorities, EOI.
 *
 * Priority is a vector's upper four bits. An interrupt is delivered when its
 * class is above the processor priority, which is the higher of the task
 * priority and the class of the highest vector in service.
 * [SDM 3A 10.8 "Handling Interrupts"]
 *
 * lapic_pending is called at every turn of the run loop, so it looks at the
 * words of IRR without the lock first. A vector that appears after that look
 * comes with a kick, which the run loop sees before it enters the guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "irqchip_int.h"

#define ESR_ILLEGAL_SENT BIT32(5)
#define ESR_ILLEGAL_RECEIVED BIT32(6)

static void vec_set(uint32_t r[APIC_REGS], unsigned v, bool on)
{
	if (on)
		r[v / 32] |= BIT32(v % 32);
	else
		r[v / 32] &= ~BIT32(v % 32);
}

static bool vec_get(const uint32_t r[APIC_REGS], unsigned v)
{
	return (r[v / 32] >> (v % 32) & 1) != 0;
}

int vec_highest(const uint32_t r[APIC_REGS])
{
	for (int i = APIC_REGS - 1; i >= 0; i--)
		if (r[i])
			return i * 32 + 31 - __builtin_clz(r[i]);
	return -1;
}

void lapic_sync_tpr(struct lapic *l)
{
	if (l->tpr >> 4 != l->vcpu->v.cr8)
		l->tpr = (uint32_t)(l->vcpu->v.cr8 & 15) << 4;
}

uint32_t lapic_ppr(const struct lapic *l)
{
	int isr = vec_highest(l->isr);
	uint32_t in_service = isr < 0 ? 0 : (uint32_t)isr & 0xf0;

	return in_service > (l->tpr & 0xf0) ? in_service : l->tpr;
}

void lapic_error_locked(struct lapic *l, uint32_t bits)
{
	l->esr_next |= bits;
	if (!(l->lvt[LVT_ERROR] & LVT_MASKED) && (l->lvt[LVT_ERROR] & 0xff) >= 16)
		(void)lapic_fixed_locked(l, (uint8_t)l->lvt[LVT_ERROR], false);
}

bool lapic_fixed_locked(struct lapic *l, uint8_t vector, bool level)
{
	if (!lapic_enabled(l))
		return false;
	if (vector < 16) {
		l->esr_next |= ESR_ILLEGAL_RECEIVED;
		return false;
	}
	vec_set(l->irr, vector, true);
	vec_set(l->tmr, vector, level);
	l->chip->kick |= BIT(l->vcpu->index);
	return true;
}

/* LINT0 carries the PIC's output to the boot CPU; with the LAPIC off, the pin is the CPU's INTR. */
bool lapic_accepts_extint_locked(const struct lapic *l)
{
	if (l->vcpu->index)
		return false;
	if (!lapic_on(l))
		return true;
	return !(l->lvt[LVT_LINT0] & LVT_MASKED) && (l->lvt[LVT_LINT0] >> 8 & 7) == DELIVER_EXTINT;
}

static int own_pending_locked(struct lapic *l)
{
	int v = vec_highest(l->irr);

	if (v < 0 || !lapic_enabled(l))
		return -1;
	return (uint32_t)v >> 4 > lapic_ppr(l) >> 4 ? v : -1;
}

/* What only the task priority holds back is looked at when the guest lowers it. */
static uint8_t waiting_locked(const struct lapic *l)
{
	int v = vec_highest(l->irr), isr = vec_highest(l->isr);

	if (v < 0 || !lapic_enabled(l) || v >> 4 <= isr >> 4 || (uint32_t)v >> 4 > l->tpr >> 4)
		return 0;
	return (uint8_t)(v >> 4);
}

static bool nothing_asked(const struct lapic *l)
{
	uint32_t any = 0;

	for (unsigned i = 0; i < APIC_REGS; i++)
		any |= __atomic_load_n(&l->irr[i], __ATOMIC_RELAXED);
	return !any && (l->vcpu->index || !pic_output_locked(l->chip->pic));
}

int lapic_pending(struct vcpu *c)
{
	struct lapic *l = c->lapic;
	unsigned long flags;
	int v;

	c->v.tpr_wait = 0;
	if (nothing_asked(l))
		return -1;
	lapic_sync_tpr(l);
	flags = chip_lock(l->chip);
	l->extint = lapic_accepts_extint_locked(l) && pic_output_locked(l->chip->pic);
	v = l->extint ? pic_vector_locked(l->chip->pic) : own_pending_locked(l);
	c->v.tpr_wait = waiting_locked(l);
	chip_unlock(l->chip, flags);
	return v;
}

void lapic_accept(struct vcpu *c, int vector)
{
	struct lapic *l = c->lapic;
	unsigned long flags = chip_lock(l->chip);

	if (l->extint) {
		pic_acknowledge_locked(l->chip->pic);
	} else {
		vec_set(l->irr, (unsigned)vector, false);
		vec_set(l->isr, (unsigned)vector, true);
	}
	chip_unlock(l->chip, flags);
}

void lapic_eoi_locked(struct lapic *l)
{
	int v = vec_highest(l->isr);

	if (v < 0)
		return;
	vec_set(l->isr, (unsigned)v, false);
	if (vec_get(l->tmr, (unsigned)v))
		ioapic_eoi_locked(l->chip->ioapic, (uint8_t)v);
}

void lapic_init(struct vcpu *c)
{
	struct lapic *l = c->lapic;
	unsigned long flags = chip_lock(l->chip);
	uint64_t base = l->base;

	lapic_reset_state(l);
	l->word_msr = 0;
	l->base = base; /* INIT leaves IA32_APIC_BASE and with it the ID alone */
	chip_unlock(l->chip, flags);
}

int lapic_create(struct irqchip *chip, struct vcpu *c)
{
	struct lapic *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->chip = chip;
	l->vcpu = c;
	chip->lapic[c->index] = l;
	c->lapic = l;
	lapic_timer_setup(l);
	lapic_reset_state(l);
	vdev_init(&l->dev, chip->vm, &lapic_vdev_ops, REC_LAPIC, REC_LAPIC, (uint16_t)c->index);
	return 0;
}
