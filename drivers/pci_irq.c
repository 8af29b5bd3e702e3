/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device's interrupts: MSI-X where it has it, else MSI, else the pin through the
 * IOAPIC. Pins are shared: one handler a global interrupt calls all that hang on
 * it, and each asks its device whether it was the one.
 */
#include <errno.h>

#include <tern/cpu.h>
#include <tern/lock.h>
#include <tern/log.h>

#include "drivers/pci_int.h"

#define MSIX_CONTROL 2u
#define MSIX_ENABLE 0x8000u
#define MSIX_MASK_ALL 0x4000u
#define MSIX_SIZE_MASK 0x7ffu
#define MSIX_TABLE 4u
#define MSIX_ENTRY_BYTES 16u
#define MSI_CONTROL 2u
#define MSI_ENABLE 0x1u
#define MSI_MULTI_MASK 0x70u
#define MSI_64BIT 0x80u

struct pin_user {
	irq_handler *fn;
	void *arg;
	unsigned gsi;
};

#define MAX_PIN_USERS 32u
static struct pin_user pin_users[MAX_PIN_USERS]; /* [attach], read by handlers up to nr */
static uint32_t nr_pin_users;			 /* [atom] */
static struct spinlock attach_lock = SPINLOCK_INIT(LOCK_DRIVER, "pci pins");

unsigned pci_msix_count(const struct pci_dev *d)
{
	unsigned cap = pci_find_cap(d, PCI_CAP_MSIX, 0);

	return cap ? (pci_read16(d, cap + MSIX_CONTROL) & MSIX_SIZE_MASK) + 1u : 0;
}

/* The table is mapped anew for each vector: set-up only, and the mapping is for good, so it is kept
 * a device. */
static volatile uint8_t *msix_table(struct pci_dev *d, unsigned cap)
{
	static struct {
		const struct pci_dev *d;
		volatile uint8_t *table;
	} known[PCI_MAX_DEVICES];
	uint32_t where = pci_read32(d, cap + MSIX_TABLE);
	unsigned i;
	uint8_t *bar;

	for (i = 0; i < ARRAY_SIZE(known) && known[i].d; i++)
		if (known[i].d == d)
			return known[i].table;
	bar = pci_map_bar(d, where & 7u);
	if (!bar || i == ARRAY_SIZE(known))
		return NULL;
	known[i].d = d;
	known[i].table = bar + (where & ~7u);
	return known[i].table;
}

/* [PCI 3.0 6.8.2 "MSI-X Capability and Table Structures"] */
static int attach_msix(struct pci_dev *d, unsigned n, int cpu, irq_handler *fn, void *arg,
		       const char *name)
{
	unsigned cap = pci_find_cap(d, PCI_CAP_MSIX, 0), target, vector;
	volatile uint8_t *entry;
	uint64_t addr;
	uint32_t data;
	int err;

	if (!cap || n >= pci_msix_count(d))
		return -ENODEV;
	entry = msix_table(d, cap);
	if (!entry)
		return -ENODEV;
	err = irq_alloc(cpu, fn, arg, name, &target, &vector);
	if (err)
		return err;
	irq_msi_message(target, vector, &addr, &data);
	entry += n * MSIX_ENTRY_BYTES;
	pci_write16(d, PCI_COMMAND, (uint16_t)(pci_read16(d, PCI_COMMAND) | PCI_COMMAND_INTX_OFF));
	pci_write16(d, cap + MSIX_CONTROL,
		    (uint16_t)((pci_read16(d, cap + MSIX_CONTROL) & ~MSIX_MASK_ALL) | MSIX_ENABLE));
	mmio_write32(entry + 12, 1); /* masked while it changes */
	mmio_write32(entry, (uint32_t)addr);
	mmio_write32(entry + 4, (uint32_t)(addr >> 32));
	mmio_write32(entry + 8, data);
	mmio_write32(entry + 12, 0);
	return 0;
}

/* [PCI 3.0 6.8.1 "MSI Capability Structure"] */
static int attach_msi(struct pci_dev *d, unsigned n, int cpu, irq_handler *fn, void *arg,
		      const char *name)
{
	unsigned cap = pci_find_cap(d, PCI_CAP_MSI, 0), target, vector;
	uint16_t control;
	uint64_t addr;
	uint32_t data;
	int err;

	if (!cap || n != 0)
		return -ENODEV;
	err = irq_alloc(cpu, fn, arg, name, &target, &vector);
	if (err)
		return err;
	irq_msi_message(target, vector, &addr, &data);
	control = pci_read16(d, cap + MSI_CONTROL);
	pci_write32(d, cap + 4, (uint32_t)addr);
	if (control & MSI_64BIT)
		pci_write32(d, cap + 8, (uint32_t)(addr >> 32));
	pci_write16(d, cap + ((control & MSI_64BIT) ? 12 : 8), (uint16_t)data);
	pci_write16(d, cap + MSI_CONTROL, (uint16_t)((control & ~MSI_MULTI_MASK) | MSI_ENABLE));
	return 0;
}

static void pin_interrupt(void *arg)
{
	unsigned gsi = (unsigned)(uintptr_t)arg;
	uint32_t nr = __atomic_load_n(&nr_pin_users, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < nr; i++)
		if (pin_users[i].gsi == gsi)
			pin_users[i].fn(pin_users[i].arg);
}

/* Adds a user; *first when the pin has no handler yet. */
static int add_pin_user(unsigned gsi, irq_handler *fn, void *arg, bool *first)
{
	unsigned long flags = spin_lock(&attach_lock);
	uint32_t nr = nr_pin_users;

	*first = true;
	if (nr == MAX_PIN_USERS) {
		spin_unlock(&attach_lock, flags);
		return -ENOSPC;
	}
	for (uint32_t i = 0; i < nr; i++)
		if (pin_users[i].gsi == gsi)
			*first = false;
	pin_users[nr] = (struct pin_user){ .fn = fn, .arg = arg, .gsi = gsi };
	__atomic_store_n(&nr_pin_users, nr + 1, __ATOMIC_RELEASE);
	spin_unlock(&attach_lock, flags);
	return 0;
}

/*
 * Firmware's interrupt line is the only routing that needs no AML; it is an ISA
 * interrupt, which the MADT's overrides lead to an IOAPIC pin. Pins of PCI are
 * level-triggered, active low.
 */
static int attach_pin(struct pci_dev *d, irq_handler *fn, void *arg, const char *name)
{
	unsigned gsi;
	bool level, low, first;
	int err;

	if (d->irq_pin == 0 || d->irq_line == 0 || d->irq_line > 15)
		return -ENODEV;
	irq_isa_to_gsi(d->irq_line, &gsi, &level, &low);
	err = add_pin_user(gsi, fn, arg, &first);
	if (err)
		return err;
	if (first)
		err = irq_gsi_attach(gsi, true, level ? low : true, pin_interrupt,
				     (void *)(uintptr_t)gsi, name);
	if (err)
		return err;
	pci_write16(d, PCI_COMMAND, (uint16_t)(pci_read16(d, PCI_COMMAND) & ~PCI_COMMAND_INTX_OFF));
	return 0;
}

int pci_irq_attach(struct pci_dev *d, unsigned n, int cpu, irq_handler *fn, void *arg,
		   const char *name, enum pci_irq_kind *kind)
{
	if (!d->no_msix && attach_msix(d, n, cpu, fn, arg, name) == 0) {
		*kind = PCI_IRQ_MSIX;
		return 0;
	}
	if (!d->no_msi && attach_msi(d, n, cpu, fn, arg, name) == 0) {
		*kind = PCI_IRQ_MSI;
		return 0;
	}
	*kind = PCI_IRQ_INTX;
	return n == 0 ? attach_pin(d, fn, arg, name) : -ENODEV;
}
