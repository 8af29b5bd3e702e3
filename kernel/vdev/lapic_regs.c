/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LAPIC registers by number, for MMIO and MSR access alike, and the ICR.
 * Called by the vCPU's world that owns the LAPIC. [SDM 3A 10.4.1 "The Local APIC Block Diagram",
 * table of registers]
 */
#include <errno.h>

#include "irqchip_int.h"

#define REG_ID 0x02u
#define REG_VERSION 0x03u
#define REG_TPR 0x08u
#define REG_APR 0x09u
#define REG_PPR 0x0au
#define REG_EOI 0x0bu
#define REG_RRD 0x0cu
#define REG_LDR 0x0du
#define REG_DFR 0x0eu
#define REG_SVR 0x0fu
#define REG_ISR 0x10u
#define REG_TMR 0x18u
#define REG_IRR 0x20u
#define REG_ESR 0x28u
#define REG_ICR_LOW 0x30u
#define REG_ICR_HIGH 0x31u
#define REG_LVT 0x32u /* to 0x37, in the order of enum lvt */
#define REG_INIT_COUNT 0x38u
#define REG_COUNT 0x39u
#define REG_DIVIDE 0x3eu
#define REG_SELF_IPI 0x3fu

#define VERSION (0x14u | (LVT_COUNT - 1) << 16)
#define SVR_WRITABLE 0x1ffu
#define ICR_WRITABLE 0xccfffu

static const uint32_t lvt_writable[LVT_COUNT] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,	[LVT_ERROR] = 0x100ff,
};

static uint32_t id_value(const struct lapic *l)
{
	return lapic_x2(l) ? l->vcpu->index : l->vcpu->index << 24;
}

static uint32_t ldr_value(const struct lapic *l)
{
	return lapic_x2(l) ? (l->vcpu->index >> 4) << 16 | BIT32(l->vcpu->index & 15) : l->ldr;
}

static int read_locked(struct lapic *l, unsigned reg, uint32_t *v)
{
	if (reg >= REG_ISR && reg < REG_ESR) {
		const uint32_t *bank = reg >= REG_IRR ? l->irr : reg >= REG_TMR ? l->tmr : l->isr;

		*v = bank[reg & 7];
		return 0;
	}
	if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT) {
		*v = l->lvt[reg - REG_LVT];
		return 0;
	}
	switch (reg) {
	case REG_ID:
		*v = id_value(l);
		return 0;
	case REG_VERSION:
		*v = VERSION;
		return 0;
	case REG_TPR:
		*v = l->tpr;
		return 0;
	case REG_PPR:
		*v = lapic_ppr(l);
		return 0;
	case REG_APR:
	case REG_RRD:
		*v = 0;
		return lapic_x2(l) ? -EINVAL : 0;
	case REG_LDR:
		*v = ldr_value(l);
		return 0;
	case REG_DFR:
		*v = l->dfr;
		return lapic_x2(l) ? -EINVAL : 0;
	case REG_SVR:
		*v = l->svr;
		return 0;
	case REG_ESR:
		*v = l->esr;
		return 0;
	case REG_ICR_LOW:
		*v = l->icr_low;
		return 0;
	case REG_ICR_HIGH:
		*v = l->icr_high;
		return lapic_x2(l) ? -EINVAL : 0;
	case REG_INIT_COUNT:
		*v = l->init_count;
		return 0;
	case REG_COUNT:
		*v = lapic_timer_count_locked(l);
		return 0;
	case REG_DIVIDE:
		*v = l->divide;
		return 0;
	default:
		return -EINVAL;
	}
}

int lapic_reg_read(struct lapic *l, unsigned reg, uint32_t *value)
{
	unsigned long flags;
	int err;

	lapic_sync_tpr(l);
	flags = chip_lock(l->chip);
	err = read_locked(l, reg, value);
	chip_unlock(l->chip, flags);
	return err;
}

static void write_svr_locked(struct lapic *l, uint32_t v)
{
	l->svr = v & SVR_WRITABLE;
	if (!(l->svr & 0x100)) /* software disable masks all */
		for (unsigned i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
	else
		ioapic_again_locked(l->chip->ioapic);
}

static void write_lvt_locked(struct lapic *l, unsigned n, uint32_t v)
{
	uint32_t old = l->lvt[n];

	v &= lvt_writable[n];
	if (!(l->svr & 0x100))
		v |= LVT_MASKED;
	l->lvt[n] = v;
	if (n == LVT_TIMER)
		lapic_timer_mode_locked(l, old);
	else if (n == LVT_LINT0)
		l->chip->kick |= BIT(l->vcpu->index); /* the PIC may be waiting behind it */
}

static int write_xapic_locked(struct lapic *l, unsigned reg, uint32_t v)
{
	if (lapic_x2(l))
		return -EINVAL; /* read-only or absent there */
	switch (reg) {
	case REG_ID: /* the ID is the vCPU's index, as the tables say */
	case REG_APR:
	case REG_RRD:
		return 0;
	case REG_LDR:
		l->ldr = v & 0xff000000u;
		return 0;
	case REG_DFR:
		l->dfr = v | 0x0fffffffu;
		return 0;
	case REG_ICR_HIGH:
		l->icr_high = v;
		return 0;
	default:
		return -EINVAL;
	}
}

static int write_locked(struct lapic *l, unsigned reg, uint32_t v)
{
	if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT) {
		write_lvt_locked(l, reg - REG_LVT, v);
		return 0;
	}
	switch (reg) {
	case REG_EOI:
		if (lapic_x2(l) && v)
			return -EINVAL;
		lapic_eoi_locked(l);
		return 0;
	case REG_SVR:
		write_svr_locked(l, v);
		return 0;
	case REG_ESR:
		if (lapic_x2(l) && v)
			return -EINVAL;
		l->esr = l->esr_next;
		l->esr_next = 0;
		return 0;
	case REG_INIT_COUNT:
		l->init_count = v;
		lapic_timer_start_locked(l);
		return 0;
	case REG_DIVIDE:
		l->divide = v & 0xb;
		return 0;
	default:
		return write_xapic_locked(l, reg, v);
	}
}

int lapic_reg_write(struct lapic *l, unsigned reg, uint32_t value)
{
	unsigned long flags;
	int err;

	if (reg == REG_TPR) {
		if (lapic_x2(l) && value > 0xff)
			return -EINVAL;
		l->tpr = value & 0xff;
		l->vcpu->v.cr8 = l->tpr >> 4;
		return 0;
	}
	if (reg == REG_ICR_LOW) {
		lapic_send_icr(l, value, l->icr_high >> 24);
		return 0;
	}
	if (reg == REG_SELF_IPI && lapic_x2(l)) {
		lapic_send_icr(l, (value & 0xff) | BIT32(18), 0);
		return 0;
	}
	flags = chip_lock(l->chip);
	err = write_locked(l, reg, value);
	chip_unlock(l->chip, flags);
	return err;
}

void lapic_send_icr(struct lapic *l, uint32_t low, uint32_t dest)
{
	struct irq_message m = { .dest = dest,
				 .vector = (uint8_t)low,
				 .mode = low >> 8 & 7,
				 .logical = (low & BIT32(11)) != 0,
				 .level = (low & BIT32(15)) != 0,
				 .assert_level = (low & BIT32(14)) != 0,
				 .shorthand = (int8_t)(low >> 18 & 3),
				 .from = l };
	unsigned long flags = chip_lock(l->chip);

	l->vcpu->stats.ipis++;
	l->icr_low = low & ICR_WRITABLE;
	if (lapic_x2(l))
		l->icr_high = dest;
	if (m.mode == DELIVER_FIXED || m.mode == DELIVER_LOWEST)
		m.level = false; /* IPIs of these modes are edges */
	if (m.vector < 16 && m.mode <= DELIVER_LOWEST)
		lapic_error_locked(l, BIT32(5)); /* send illegal vector */
	else
		(void)irq_route_locked(l->chip, &m);
	chip_unlock(l->chip, flags);
}
