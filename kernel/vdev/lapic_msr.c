/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LAPIC MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE, the guest's word for EOI, and the
 * registers in x2APIC mode. [SDM 3A 10.12 "Extended XAPIC (x2APIC)"]
 */
#include <errno.h>

#include "irqchip_int.h"

#define MSR_BASE 0x1bu
#define MSR_DEADLINE 0x6e0u
#define MSR_WORD 0x4b564d04u /* lapic_word.c */
#define MSR_X2_FIRST 0x800u
#define X2_ICR 0x30u
#define X2_EOI 0x0bu
#define X2_SELF_IPI 0x3fu
#define X2_ICR_RESERVED 0xfff32000u

static int base_write(struct lapic *l, uint64_t v)
{
	uint64_t on = v & (APIC_BASE_ON | APIC_BASE_X2),
		 was = l->base & (APIC_BASE_ON | APIC_BASE_X2);
	unsigned long flags;

	/* The window stays where it is: no kernel or firmware moves it, and the BSP flag is fixed.
	 */
	if ((v ^ l->base) & ~(APIC_BASE_ON | APIC_BASE_X2))
		return -EINVAL;
	if (on == APIC_BASE_X2 || (was == (APIC_BASE_ON | APIC_BASE_X2) && on == APIC_BASE_ON) ||
	    (!was && on == (APIC_BASE_ON | APIC_BASE_X2)))
		return -EINVAL; /* [SDM 3A 10.12.5 "x2APIC State Transitions"] */
	flags = chip_lock(l->chip);
	if (!on && was) {
		lapic_reset_state(l);
		l->vcpu->v.cr8 = 0; /* the same register as the TPR that was reset */
	}
	l->base = v;
	chip_unlock(l->chip, flags);
	return 0;
}

static int deadline_read(struct lapic *l, uint64_t *v)
{
	unsigned long flags = chip_lock(l->chip);

	*v = l->deadline_tsc;
	chip_unlock(l->chip, flags);
	return 0;
}

static int deadline_write(struct lapic *l, uint64_t v)
{
	unsigned long flags = chip_lock(l->chip);

	lapic_timer_deadline_locked(l, v);
	chip_unlock(l->chip, flags);
	return 0;
}

static int word_write(struct lapic *l, uint64_t v)
{
	if (!lapic_word_ok(v))
		return -EINVAL;
	l->word_msr = v;
	return 0;
}

static int msr_read(void *arg, struct vcpu *c, uint32_t index, uint64_t *value)
{
	struct lapic *l = c->lapic;
	unsigned reg = index - MSR_X2_FIRST;
	uint32_t v = 0;

	(void)arg;
	if (index == MSR_BASE) {
		*value = l->base;
		return 0;
	}
	if (index == MSR_DEADLINE)
		return deadline_read(l, value);
	if (index == MSR_WORD) {
		*value = l->word_msr;
		return 0;
	}
	if (!lapic_x2(l) || reg == X2_EOI || reg == X2_SELF_IPI || lapic_reg_read(l, reg, &v))
		return -EINVAL;
	*value = v;
	if (reg == X2_ICR)
		*value |= (uint64_t)l->icr_high << 32;
	return 0;
}

static int msr_write(void *arg, struct vcpu *c, uint32_t index, uint64_t value)
{
	struct lapic *l = c->lapic;
	unsigned reg = index - MSR_X2_FIRST;

	(void)arg;
	if (index == MSR_BASE)
		return base_write(l, value);
	if (index == MSR_DEADLINE)
		return deadline_write(l, value);
	if (index == MSR_WORD)
		return word_write(l, value);
	if (!lapic_x2(l))
		return -EINVAL;
	if (reg == X2_ICR) {
		if ((uint32_t)value & X2_ICR_RESERVED)
			return -EINVAL;
		lapic_send_icr(l, (uint32_t)value, (uint32_t)(value >> 32));
		return 0;
	}
	if (reg == X2_SELF_IPI && value >> 8)
		return -EINVAL;
	return value >> 32 ? -EINVAL : lapic_reg_write(l, reg, (uint32_t)value);
}

const struct msr_ops lapic_msr_ops = { .read = msr_read, .write = msr_write };
