/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC, by MMIO or, where the CPU has it, by MSR (x2APIC). */
#ifndef ARCH_LAPIC_H
#define ARCH_LAPIC_H

#include <tern/types.h>

/* Boot CPU: finds and maps it. -ENODEV when the CPU has none. */
int apic_init(uint64_t phys);
/* Each CPU: enables it, everything masked but NMI. */
void apic_cpu_init(void);
uint32_t apic_id(void);
bool apic_is_x2apic(void);
void apic_eoi(void);
void apic_ipi(uint32_t apic_id, unsigned vector);
/* An interrupt to this CPU, from any context: a half-written command of it stays whole. */
void apic_kick_self(void);
void apic_nmi_others(void);
void apic_init_ipi(uint32_t apic_id);
void apic_startup_ipi(uint32_t apic_id, uint64_t page);
uint32_t apic_error(void); /* reads and clears the error status */

/* The timer: free-running from the top for calibration, then as arch_timer_set needs it. */
void apic_timer_run(void);
uint32_t apic_timer_left(void);
/* khz of the counter; 0 selects TSC-deadline mode. Each CPU, after calibration. */
void apic_timer_setup(uint32_t khz);
void apic_timer_irq(void);

#endif
