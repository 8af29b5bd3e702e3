/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical PCI: enumeration through ECAM or port I/O, BARs, MSI-X, MSI, INTx.
 */
#ifndef TERN_PCI_H
#define TERN_PCI_H

#include <tern/irq.h>
#include <tern/types.h>

struct pci_dev {
	uint16_t segment;
	uint8_t bus, dev, fn;
	uint16_t vendor, device;
	uint8_t class_code, subclass, prog_if, revision;
	uint8_t irq_line, irq_pin;
	uint64_t bar[6];      /* host-physical or port; 0 = none */
	uint64_t bar_size[6]; /* bytes */
	bool bar_io[6];
	bool no_msi, no_msix; /* kinds that the driver does not want pci_irq_attach to take */
	const struct pci_driver *driver;
	struct pci_dev *next;
};

struct pci_driver {
	const char *name;
	/* 0 = taken, -ENODEV = not mine. */
	int (*probe)(struct pci_dev *d);
	const struct pci_driver *next;
};

void pci_scan(void); /* finds all devices */
/* Offers every device to the drivers in order; called by main.c with its list. */
void pci_attach(const struct pci_driver *const *drivers, unsigned count);
struct pci_dev *pci_at(unsigned index);

uint32_t pci_read32(const struct pci_dev *d, unsigned off);
uint16_t pci_read16(const struct pci_dev *d, unsigned off);
uint8_t pci_read8(const struct pci_dev *d, unsigned off);
void pci_write32(const struct pci_dev *d, unsigned off, uint32_t v);
void pci_write16(const struct pci_dev *d, unsigned off, uint16_t v);
void pci_write8(const struct pci_dev *d, unsigned off, uint8_t v);
unsigned pci_find_cap(const struct pci_dev *d, uint8_t id, unsigned after); /* offset or 0 */
void *pci_map_bar(struct pci_dev *d, unsigned bar);
void pci_enable_master(struct pci_dev *d);
void pci_disable_master(struct pci_dev *d); /* it reaches memory no more */
/*
 * Interrupt number n of the device to handler: MSI-X entry n, else MSI (n = 0),
 * else INTx. cpu -1 = any. Returns the kind used through *kind.
 */
enum pci_irq_kind { PCI_IRQ_MSIX, PCI_IRQ_MSI, PCI_IRQ_INTX };
MUST_CHECK int pci_irq_attach(struct pci_dev *d, unsigned n, int cpu, irq_handler *fn, void *arg,
			      const char *name, enum pci_irq_kind *kind);
unsigned pci_msix_count(const struct pci_dev *d);

#endif
