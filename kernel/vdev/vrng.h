/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-rng: fills what the guest offers with random bytes at once.
 */
#ifndef KERNEL_VDEV_VRNG_H
#define KERNEL_VDEV_VRNG_H

#include "virtio.h"

MUST_CHECK int vrng_create(struct vm *vm, struct pci_bus *bus, unsigned slot);

#endif
