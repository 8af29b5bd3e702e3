/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two fixed functions of the platform's bus: host bridge 8086:29c0 at
 * 00.0, whose PCIEXBAR places ECAM, and LPC bridge 8086:2918 at 1f.0, whose
 * PMBASE places the power-management block.
 */
#ifndef KERNEL_VDEV_BRIDGE_H
#define KERNEL_VDEV_BRIDGE_H

#include "pci.h"
#include "pm.h"

#define HOST_SLOT 0u
#define HOST_PCIEXBAR 0x60u
#define HOST_PCIEXBAR_ENABLE 0x1u

#define LPC_SLOT 31u
#define LPC_PMBASE 0x40u
#define LPC_ACPI_CNTL 0x44u
#define LPC_ACPI_ENABLE 0x80u

/* -ENOMEM. Freed with the VM's devices. */
MUST_CHECK int hostbridge_create(struct vm *vm, struct pci_bus *bus);
MUST_CHECK int lpc_create(struct vm *vm, struct pci_bus *bus, struct pm *pm);

#endif
