/* SPDX-License-Identifier: BSD-2-Clause */
/* LAPIC registers by their MMIO offset; the MSR is 0x800 + offset / 16. For lapic*.c only. */
#ifndef ARCH_LAPIC_REGS_H
#define ARCH_LAPIC_REGS_H

#include <tern/types.h>

enum lapic_reg {
	LAPIC_ID = 0x20,
	LAPIC_TPR = 0x80,
	LAPIC_EOI = 0xb0,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_ESR = 0x280,
	LAPIC_ICR_LOW = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define LAPIC_SW_ENABLE 0x100u
#define LVT_MASKED 0x10000u
#define LVT_NMI 0x400u
#define LVT_TIMER_DEADLINE 0x40000u
#define ICR_FIXED 0u
#define ICR_NMI 0x400u
#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define ICR_PENDING 0x1000u
#define ICR_ASSERT 0x4000u
#define ICR_SELF 0x40000u
#define ICR_OTHERS 0xc0000u
#define TIMER_DIVIDE_BY_4 1u

uint32_t apic_read(enum lapic_reg reg);
void apic_write(enum lapic_reg reg, uint32_t v);

#endif
