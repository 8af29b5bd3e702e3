/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a PCI function (pci.h): header, BARs, capabilities, its place on the
 * bus, and the addresses that firmware would give.
 */
#include <string.h>
#include <tern/log.h>

#include "pci.h"

#define CAPS_START 0x40u

void pci_reg_set(struct pci_func *f, unsigned off, unsigned size, uint32_t value, uint32_t mask)
{
	for (unsigned i = 0; i < size; i++) {
		f->cfg[off + i] = (uint8_t)(value >> 8 * i);
		f->wmask[off + i] = (uint8_t)(mask >> 8 * i);
	}
}

void pci_func_init(struct pci_func *f, uint16_t vendor, uint16_t device, uint32_t class,
		   uint8_t revision)
{
	pci_reg_set(f, PCI_VENDOR, 2, vendor, 0);
	pci_reg_set(f, PCI_DEVICE, 2, device, 0);
	pci_reg_set(f, PCI_COMMAND, 2, 0, 0x0547); /* I/O, memory, master, parity, SERR, INTx off */
	pci_reg_set(f, PCI_REVISION, 1, revision, 0);
	pci_reg_set(f, PCI_CLASS, 3, class, 0);
	pci_reg_set(f, PCI_INT_LINE, 1, 0, 0xff); /* pin 0: no INTx */
	pci_reg_set(f, 0x0c, 1, 0, 0xff);	  /* cache line size */
	f->cap_end = CAPS_START;
	f->cap_last = PCI_CAPS;
}

void pci_bar_add(struct pci_func *f, unsigned bar, uint32_t size, struct vdev *d,
		 const struct io_ops *ops)
{
	struct pci_bar *b = &f->bar[bar];

	tern_assert(bar < PCI_BARS && size >= PAGE_SIZE && (size & (size - 1)) == 0);
	b->size = size;
	pci_reg_set(f, PCI_BAR0 + 4 * bar, 4, 0, ~(size - 1));
	vdev_region(d, &b->io, IO_MMIO, 0, size, ops, &d->lock);
}

unsigned pci_cap_add(struct pci_func *f, uint8_t id, unsigned len)
{
	unsigned at = f->cap_end;

	tern_assert(at + len <= PCI_CFG_SIZE);
	f->cfg[f->cap_last] = (uint8_t)at;
	pci_reg_set(f, PCI_STATUS, 2, PCI_STATUS_CAPS, 0);
	pci_reg_set(f, at, 1, id, 0);
	f->cap_last = (uint8_t)(at + 1);
	f->cap_end = (uint8_t)ALIGN_UP(at + len, 4);
	return at;
}

void pci_func_add(struct pci_bus *bus, struct pci_func *f, unsigned slot)
{
	tern_assert(slot < PCI_SLOTS && !bus->func[slot]);
	f->bus = bus;
	f->slot = (uint8_t)slot;
	memcpy(f->power, f->cfg, PCI_CFG_SIZE);
	bus->func[slot] = f;
}

void pci_assign(struct pci_bus *bus, uint64_t from, uint64_t end)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_func *f = bus->func[slot];
		bool any = false;

		for (unsigned n = 0; f && n < PCI_BARS; n++) {
			uint32_t size = f->bar[n].size;

			if (size == 0)
				continue;
			from = ALIGN_UP(from, size);
			tern_assert(from + size <= end);
			pci_cfg_write(bus, slot, PCI_BAR0 + 4 * n, 4, (uint32_t)from);
			from += size;
			any = true;
		}
		if (any)
			pci_cfg_write(bus, slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	}
}
