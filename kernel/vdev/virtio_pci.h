/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI function of a virtio device: identity, BARs, capabilities.
 */
#ifndef KERNEL_VDEV_VIRTIO_PCI_H
#define KERNEL_VDEV_VIRTIO_PCI_H

#include "virtio.h"

/* v->d and v->ops are set. */
void virtio_pci_init(struct virtio *v, struct pci_bus *bus, unsigned slot);

#endif
