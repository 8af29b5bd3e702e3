/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-console with one port: what the guest sends goes to a kept log, input
 * waits until the guest offers buffers for it.
 */
#ifndef KERNEL_VDEV_VCONSOLE_H
#define KERNEL_VDEV_VCONSOLE_H

#include "keptlog.h"
#include "virtio.h"

struct vconsole;
/* -ENOMEM. log outlives the device. */
MUST_CHECK int vconsole_create(struct vm *vm, struct pci_bus *bus, unsigned slot,
			       struct keptlog *log, struct vconsole **out);
/* How many of them it took: none while it is quiet, else what the queue has room for. */
size_t vconsole_input(struct vconsole *c, const char *bytes, size_t len);

#endif
