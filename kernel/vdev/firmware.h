/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting a guest by firmware in ROM. */
#ifndef KERNEL_VDEV_FIRMWARE_H
#define KERNEL_VDEV_FIRMWARE_H

#include "device.h"

/*
 * vm->cfg.kernel into ROM unless something is there; vCPU 0 is at the reset vector already.
 * -EINVAL: the file is no PC's firmware; and bootfile's errors.
 */
MUST_CHECK int firmware_boot(struct vm *vm, char *why, size_t why_len);

#endif
