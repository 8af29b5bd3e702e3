/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvpanic: a port by which a guest's kernel says that it has panicked. It keeps
 * nothing; what follows is the VM's policy (vm_trouble).
 */
#ifndef KERNEL_VDEV_PVPANIC_H
#define KERNEL_VDEV_PVPANIC_H

#include "device.h"

#define PVPANIC_PORT 0x505u
#define PVPANIC_PANICKED 0x01u
#define PVPANIC_CRASH_LOADED 0x02u /* a crash kernel takes over */

MUST_CHECK int pvpanic_create(struct vm *vm);

#endif
