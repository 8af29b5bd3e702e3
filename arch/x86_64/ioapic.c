/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IOAPICs: global system interrupts to vectors. Registers are reached through
 * an index and a data window, under ioapic_lock. [82093AA datasheet]
 */
#include "ioapic.h"

#include <tern/irq.h>
#include <tern/lock.h>
#include <tern/log.h>

#include <errno.h>

#include "acpi.h"
#include "arch.h"

#define IOAPIC_WINDOW 0x10u
#define REG_VERSION 1u
#define REG_REDIRECTION 0x10u /* two per pin */
#define PIN_MASKED BIT(16)
#define PIN_LEVEL BIT(15)
#define PIN_ACTIVE_LOW BIT(13)
#define PIN_DEST_SHIFT 56
#define ISA_IRQS 16u

struct ioapic {
	volatile uint8_t *regs; /* [const] */
	uint32_t gsi_base;	/* [const] */
	unsigned pins;		/* [const] */
};

static struct spinlock ioapic_lock = SPINLOCK_INIT(LOCK_IRQCHIP, "ioapic");
static struct ioapic ioapics[ACPI_MAX_IOAPICS];
static unsigned ioapic_count;

static uint32_t read_reg(const struct ioapic *io, uint32_t reg)
{
	mmio_write32(io->regs, reg);
	return mmio_read32(io->regs + IOAPIC_WINDOW);
}

static void write_reg(const struct ioapic *io, uint32_t reg, uint32_t v)
{
	mmio_write32(io->regs, reg);
	mmio_write32(io->regs + IOAPIC_WINDOW, v);
}

/* The half with the mask bit is written last when unmasking, first when masking. */
static void write_pin(const struct ioapic *io, unsigned pin, uint64_t entry)
{
	uint32_t reg = REG_REDIRECTION + pin * 2;

	write_reg(io, reg, (uint32_t)PIN_MASKED);
	write_reg(io, reg + 1, (uint32_t)(entry >> 32));
	write_reg(io, reg, (uint32_t)entry);
}

static void add(const struct madt_ioapic *m)
{
	struct ioapic *io = &ioapics[ioapic_count];

	io->regs = mmio_map(HPA(m->phys), 0x20);
	if (!io->regs)
		return;
	uint32_t version = read_reg(io, REG_VERSION);

	/* 0x1x and 0x2x are what IOAPICs report; nothing there reads as all ones or zero. */
	if ((version & 0xff) < 0x10 || (version & 0xff) > 0x2f) {
		log_warn("irq", "IOAPIC at %x does not answer", (unsigned)m->phys);
		return;
	}
	io->gsi_base = m->gsi_base;
	io->pins = (version >> 16 & 0xff) + 1;
	for (unsigned pin = 0; pin < io->pins; pin++)
		write_pin(io, pin, PIN_MASKED);
	ioapic_count++;
}

unsigned ioapic_init(void)
{
	const struct madt *m = madt_host();

	for (unsigned i = 0; i < m->ioapics; i++)
		add(&m->ioapic[i]);
	return ioapic_count;
}

static const struct ioapic *find(unsigned gsi)
{
	for (unsigned i = 0; i < ioapic_count; i++)
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].pins)
			return &ioapics[i];
	return NULL;
}

int irq_gsi_attach(unsigned gsi, bool level, bool active_low, irq_handler *fn, void *arg,
		   const char *name)
{
	const struct ioapic *io = find(gsi);
	unsigned cpu, vector;

	if (!io)
		return -ENODEV;
	/* The boot CPU: its APIC id fits the pin's 8 bits on every machine. */
	int r = irq_alloc(0, fn, arg, name, &cpu, &vector);

	if (r)
		return r;
	uint64_t entry = vector | (level ? PIN_LEVEL : 0) | (active_low ? PIN_ACTIVE_LOW : 0) |
			 (uint64_t)(percpu[cpu].apic_id & 0xff) << PIN_DEST_SHIFT;
	unsigned long flags = spin_lock(&ioapic_lock);

	write_pin(io, gsi - io->gsi_base, entry);
	spin_unlock(&ioapic_lock, flags);
	return 0;
}

void irq_isa_to_gsi(unsigned irq, unsigned *gsi, bool *level, bool *active_low)
{
	const struct madt *m = madt_host();

	*gsi = irq;
	*level = *active_low = irq >= ISA_IRQS; /* beyond ISA: as PCI does */
	for (unsigned i = 0; i < m->overrides; i++)
		if (m->override[i].irq == irq) {
			*gsi = m->override[i].gsi;
			*level = m->override[i].level;
			*active_low = m->override[i].active_low;
		}
}
