/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI table WDAT, which describes the watchdog (acpi_wdat.c).
 */
#ifndef KERNEL_VDEV_ACPI_WDAT_H
#define KERNEL_VDEV_ACPI_WDAT_H

#include <tern/types.h>

uint32_t acpi_wdat_len(void);
/* Everything behind the common header of a table that is zeroed. */
void acpi_wdat_fill(uint8_t *table);

#endif
