/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fw_cfg: how firmware in the guest learns of the machine. A selector port, a
 * data port that gives an item's bytes one after another, a directory of files.
 * [QEMU docs/specs/fw_cfg.txt]
 */
#ifndef KERNEL_VDEV_FWCFG_H
#define KERNEL_VDEV_FWCFG_H

#include "acpi_tables.h"
#include "device.h"

#define FWCFG_PORT 0x510u
#define FWCFG_FILES_MAX 8u

struct fwcfg;
/* acpi is not copied and stays with the VM. */
MUST_CHECK int fwcfg_create(struct vm *vm, const struct acpi_image *acpi, struct fwcfg **out);

/* fwcfg_loader.c: the loader's commands for these tables; bytes written, 0 when they do not fit. */
#define FWCFG_LOADER_MAX 4096u
#define FWCFG_NAME_MAX 56u
uint32_t fwcfg_loader_build(const struct acpi_image *acpi, uint8_t out[FWCFG_LOADER_MAX]);
#define FWCFG_TABLES_NAME "etc/acpi/tables"
#define FWCFG_RSDP_NAME "etc/acpi/rsdp"

#endif
