/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Base address registers: where firmware put them and how large they are, found
 * by writing ones with decoding off. [PCI 3.0 6.2.5.1 "Address Maps"]
 */
#include <tern/cpu.h>
#include <tern/log.h>

#include "drivers/pci_int.h"

#define BAR_IO 0x1u
#define BAR_TYPE 0x6u
#define BAR_64 0x4u
#define BAR_IO_MASK 0xfffffffcu
#define BAR_MEM_MASK 0xfffffff0u

/* The register's value when all ones are written to it; the old value is put back. */
static uint32_t size_mask(struct pci_dev *d, unsigned off, uint32_t old)
{
	uint32_t mask;

	pci_write32(d, off, UINT32_MAX);
	mask = pci_read32(d, off);
	pci_write32(d, off, old);
	return mask;
}

/* Returns how many registers the BAR takes. */
static unsigned read_bar(struct pci_dev *d, unsigned i)
{
	unsigned off = PCI_BAR0 + i * 4;
	uint32_t lo = pci_read32(d, off), mask = size_mask(d, off, lo);
	uint64_t wide;
	uint32_t hi;

	if (lo & BAR_IO) {
		d->bar_io[i] = true;
		d->bar[i] = lo & BAR_IO_MASK;
		d->bar_size[i] = (mask & BAR_IO_MASK) ? (~(mask & BAR_IO_MASK) & 0xffffu) + 1 : 0;
		return 1;
	}
	if ((lo & BAR_TYPE) != BAR_64 || i == 5) {
		d->bar[i] = lo & BAR_MEM_MASK;
		d->bar_size[i] = (mask & BAR_MEM_MASK) ? (uint64_t)(~(mask & BAR_MEM_MASK)) + 1 : 0;
		return 1;
	}
	hi = pci_read32(d, off + 4);
	wide = (uint64_t)size_mask(d, off + 4, hi) << 32 | (mask & BAR_MEM_MASK);
	d->bar[i] = (uint64_t)hi << 32 | (lo & BAR_MEM_MASK);
	d->bar_size[i] = wide ? ~wide + 1 : 0;
	return 2;
}

void pci_read_bars(struct pci_dev *d, unsigned count)
{
	uint16_t command = pci_read16(d, PCI_COMMAND);
	unsigned i = 0;

	pci_write16(d, PCI_COMMAND, (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY)));
	while (i < count)
		i += read_bar(d, i);
	pci_write16(d, PCI_COMMAND, command);
}

void *pci_map_bar(struct pci_dev *d, unsigned bar)
{
	if (bar > 5 || d->bar_io[bar] || !d->bar[bar] || !d->bar_size[bar])
		return NULL;
	pci_write16(d, PCI_COMMAND, (uint16_t)(pci_read16(d, PCI_COMMAND) | PCI_COMMAND_MEMORY));
	return mmio_map(HPA(d->bar[bar]), ALIGN_UP(d->bar_size[bar], PAGE_SIZE));
}
