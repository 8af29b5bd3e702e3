/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A watchdog that the ACPI table WDAT describes, so that any kernel's generic
 * driver has it: four registers of 32 bits. Not fed in time it fires once, and the VM's
 * policy decides (vm_trouble). Time in which the VM does not run does not count.
 */
#ifndef KERNEL_VDEV_WDT_H
#define KERNEL_VDEV_WDT_H

#include "device.h"

#define WDT_PORT 0x540u
#define WDT_PORTS 16u
#define WDT_CONTROL 0x0u /* bit 0: it runs */
#define WDT_COUNT 0x4u	 /* periods from a feeding to the end */
#define WDT_FEED 0x8u	 /* a write begins anew; read: periods left */
#define WDT_STATUS 0xcu	 /* bit 0: it has fired; writing 1 clears it */
#define WDT_BIT 0x1u
#define WDT_PERIOD_MS 100u
#define WDT_COUNT_MIN 1u
#define WDT_COUNT_MAX 6000u

MUST_CHECK int wdt_create(struct vm *vm);

#endif
