/* SPDX-License-Identifier: BSD-2-Clause */
/* Local APIC: registers, interrupts to other CPUs. [SDM 3A "Advanced Programmable Interrupt
 * Controller"] */
#include "lapic.h"

#include <tern/cpu.h>

#include <errno.h>

#include "arch.h"
#include "lapic_regs.h"
#include "regs.h"

#define APIC_PHYS_DEFAULT 0xfee00000ull
#define APIC_BASE_ADDR 0x000ffffffffff000ull
#define ICR_WAIT_TURNS 1000000

static volatile uint8_t *mmio; /* [const] NULL in x2APIC mode */
static bool x2apic;	       /* [const] */

uint32_t apic_read(enum lapic_reg reg)
{
	if (x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC_FIRST + (uint32_t)reg / 16);
	return mmio_read32(mmio + reg);
}

void apic_write(enum lapic_reg reg, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_FIRST + (uint32_t)reg / 16, v);
	else
		mmio_write32(mmio + reg, v);
}

int apic_init(uint64_t phys)
{
	const struct cpu_id *id = cpu_identity();

	if (!(cpuid(1, 0).edx & BIT(9)))
		return -ENODEV;
	x2apic = id->has_x2apic;
	if (x2apic)
		return 0;
	uint64_t base = rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDR;

	mmio = mmio_map(HPA(phys ? phys : base ? base : APIC_PHYS_DEFAULT), PAGE_SIZE);
	return mmio ? 0 : -ENODEV;
}

bool apic_is_x2apic(void)
{
	return x2apic;
}

void apic_cpu_init(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	apic_write(LAPIC_SPURIOUS, LAPIC_SW_ENABLE | VEC_SPURIOUS);
	apic_write(LAPIC_TPR, 0);
	apic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
	apic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	apic_write(LAPIC_LVT_LINT1, LVT_NMI);
	apic_write(LAPIC_ESR, 0);
	apic_write(LAPIC_LVT_ERROR, VEC_APIC_ERROR);
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(LAPIC_ID);

	return x2apic ? id : id >> 24;
}

void apic_eoi(void)
{
	apic_write(LAPIC_EOI, 0);
}

/* xAPIC: the register takes one command at a time. */
static void icr_wait(void)
{
	for (int i = 0; i < ICR_WAIT_TURNS && apic_read(LAPIC_ICR_LOW) & ICR_PENDING; i++)
		cpu_pause();
}

static void icr_write(uint32_t apic_id, uint32_t low)
{
	unsigned long flags = irq_save();

	if (x2apic) {
		/* The MSR write is not ordered after earlier stores by itself. */
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC_FIRST + LAPIC_ICR_LOW / 16, (uint64_t)apic_id << 32 | low);
	} else {
		icr_wait();
		apic_write(LAPIC_ICR_HIGH, apic_id << 24);
		apic_write(LAPIC_ICR_LOW, low);
	}
	irq_restore(flags);
}

void apic_ipi(uint32_t apic_id, unsigned vector)
{
	icr_write(apic_id, ICR_FIXED | ICR_ASSERT | vector);
}

/* The shorthand needs no destination: the half of the register that holds one is left alone. */
void apic_kick_self(void)
{
	if (x2apic)
		icr_write(0, ICR_SELF | ICR_FIXED | ICR_ASSERT | VEC_KICK);
	else if (mmio)
		apic_write(LAPIC_ICR_LOW, ICR_SELF | ICR_FIXED | ICR_ASSERT | VEC_KICK);
}

void apic_nmi_others(void)
{
	if (mmio || x2apic)
		icr_write(0, ICR_OTHERS | ICR_NMI | ICR_ASSERT);
}

void apic_init_ipi(uint32_t apic_id)
{
	icr_write(apic_id, ICR_INIT | ICR_ASSERT);
}

void apic_startup_ipi(uint32_t apic_id, uint64_t page)
{
	icr_write(apic_id, ICR_STARTUP | ICR_ASSERT | (uint32_t)(page >> PAGE_SHIFT));
}

uint32_t apic_error(void)
{
	apic_write(LAPIC_ESR, 0);
	return apic_read(LAPIC_ESR);
}
