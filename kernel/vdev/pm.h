/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI power management of a guest: PM1 status, enable and control, the PM
 * timer, soft-off, the reset port 0xCF9, and of a keyboard controller its reset line (port 0x64).
 */
#ifndef KERNEL_VDEV_PM_H
#define KERNEL_VDEV_PM_H

#include "device.h"

#define PM_BLOCK_SIZE 0x80u
#define PM1_STS 0x00u
#define PM1_EN 0x02u
#define PM1_CNT 0x04u
#define PM_TMR 0x08u
#define PM_TIMER_HZ 3579545u
#define PM_RESET_PORT 0xcf9u
#define PM_RESET_VALUE 0x06u

struct pm;
MUST_CHECK int pm_create(struct vm *vm, struct pm **out);
/* The LPC bridge places the block. */
void pm_move(struct pm *pm, uint16_t base, bool enabled);
/* Somebody presses the power button. */
void pm_press_power(struct pm *pm);
/* Byte write of 0xCF9, which lies inside the PCI address register's ports. */
void pm_reset_port(struct vm *vm, uint8_t value);

#endif
