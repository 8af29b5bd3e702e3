/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test payloads expect beside a PC's devices: a way out with an exit code,
 * a port and a range of memory-mapped registers that read back, interrupt lines
 * to raise. Only VMs that start a multiboot payload have it.
 */
#ifndef KERNEL_VDEV_TESTDEV_H
#define KERNEL_VDEV_TESTDEV_H

#include "device.h"

#define TESTDEV_EXIT_PORT 0xf4u	   /* a write of any size: the VM stops with this code */
#define TESTDEV_LATCH_PORT 0xe0u   /* reads give what was written last */
#define TESTDEV_LINES_PORT 0x2000u /* + GSI: its level is 0 or not */
#define TESTDEV_MMIO_BASE 0xff000000ull
#define TESTDEV_MMIO_SIZE (64u << 10)

MUST_CHECK int testdev_create(struct vm *vm);

#endif
