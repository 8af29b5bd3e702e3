/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the PCI driver share. Offsets are those of [PCI 3.0 6.1 "Configuration Space
 * Organization"]. */
#ifndef DRIVERS_PCI_INT_H
#define DRIVERS_PCI_INT_H

#include <tern/pci.h>

#define PCI_VENDOR 0x00u
#define PCI_COMMAND 0x04u
#define PCI_COMMAND_IO 0x1u
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_MASTER 0x4u
#define PCI_COMMAND_INTX_OFF 0x400u
#define PCI_STATUS 0x06u
#define PCI_STATUS_CAPS 0x10u
#define PCI_CLASS 0x08u
#define PCI_HEADER 0x0eu
#define PCI_HEADER_TYPE 0x7fu
#define PCI_HEADER_MULTI 0x80u
#define PCI_HEADER_BRIDGE 1u
#define PCI_BAR0 0x10u
#define PCI_BUSES 0x18u /* of a bridge: primary, secondary, subordinate */
#define PCI_CAP_PTR 0x34u
#define PCI_IRQ_LINE 0x3cu
#define PCI_IRQ_PIN 0x3du

#define PCI_CAP_MSI 0x05u
#define PCI_CAP_MSIX 0x11u

#define PCI_MAX_DEVICES 256u

/* pci_config.c: raw access by address; dword aligned. */
void pci_config_init(void);
uint32_t pci_config_read(uint16_t segment, uint8_t bus, uint8_t dev, uint8_t fn, unsigned off);
void pci_config_write(uint16_t segment, uint8_t bus, uint8_t dev, uint8_t fn, unsigned off,
		      uint32_t v);
/* Root buses: segment and first bus of each; false past the end. */
bool pci_config_root(unsigned index, uint16_t *segment, uint8_t *bus, uint8_t *last_bus);

/* pci_bar.c: fills bar, bar_size, bar_io. */
void pci_read_bars(struct pci_dev *d, unsigned count);

#endif
