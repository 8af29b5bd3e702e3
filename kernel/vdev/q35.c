/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform's composition (q35.h): which devices a VM has, in which order
 * they are made, how it is reset and booted. What is not here reads all-ones,
 * as on a board without it: keyboard controller, TPM, HPET, POST ports.
 *
 * The PCI bus comes first and is destroyed last, for functions of the other
 * devices hang on it; interrupt controllers come before what raises lines.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "direct.h"
#include "firmware.h"
#include "fwcfg.h"
#include "irqchip.h"
#include "pci.h"
#include "pm.h"
#include "q35.h"
#include "pvpanic.h"
#include "rtc.h"
#include "testdev.h"
#include "uart.h"
#include "vballoon.h"
#include "vblk.h"
#include "vconsole.h"
#include "vnet.h"
#include "vrng.h"
#include "wdt.h"

unsigned q35_e820(struct vm *vm, bool direct, struct e820_entry out[Q35_E820_MAX])
{
	uint64_t ram = vm->cfg.mem_bytes, low = MIN(ram, GMEM_LOW_MAX);
	unsigned n = 0;

	if (direct) {
		out[n++] = (struct e820_entry){ 0, Q35_LOW_END, E820_RAM };
		out[n++] = (struct e820_entry){ Q35_BIOS_BASE, Q35_BIOS_END - Q35_BIOS_BASE,
						E820_RESERVED };
		out[n++] = (struct e820_entry){ Q35_BIOS_END, low - Q35_BIOS_END, E820_RAM };
		out[n++] = (struct e820_entry){ Q35_ECAM_BASE, Q35_ECAM_SIZE, E820_RESERVED };
	} else {
		out[n++] = (struct e820_entry){ 0, low, E820_RAM };
	}
	if (ram > low)
		out[n++] = (struct e820_entry){ Q35_HIGH_RAM, ram - low, E820_RAM };
	return n;
}

static int create_chipset(struct vm *vm, struct q35 *q)
{
	int rc = pci_bus_create(vm, &q->pci);

	if (!rc)
		rc = irqchip_create(vm);
	if (!rc)
		rc = pit_create(vm);
	if (!rc)
		rc = hostbridge_create(vm, q->pci);
	if (!rc)
		rc = pm_create(vm, &q->pm);
	if (!rc)
		rc = lpc_create(vm, q->pci, q->pm);
	if (!rc)
		rc = rtc_create(vm);
	if (!rc)
		rc = pvpanic_create(vm);
	if (!rc)
		rc = wdt_create(vm);
	if (!rc)
		q->pci->reset_port = pm_reset_port;
	return rc;
}

static int create_serial(struct vm *vm, struct q35 *q)
{
	int rc = 0;

	for (uint16_t i = 0; i < SERIAL_LOGS && !rc; i++)
		rc = keptlog_create(vm, i, &q->log[i]);
	if (!rc)
		rc = uart_create(vm, 0, UART_COM1, GSI_COM1, q->log[0], &q->uart[0]);
	if (!rc)
		rc = uart_create(vm, 1, UART_COM2, GSI_COM2, q->log[1], &q->uart[1]);
	return rc;
}

static int create_others(struct vm *vm, struct q35 *q)
{
	int rc;

	acpi_build(&q->acpi, vm->nr_vcpus);
	rc = fwcfg_create(vm, &q->acpi, &q->fwcfg);
	if (!rc)
		rc = vrng_create(vm, q->pci, Q35_SLOT_RNG);
	if (!rc)
		rc = vconsole_create(vm, q->pci, Q35_SLOT_CONSOLE, q->log[SERIAL_VCONSOLE],
				     &q->vconsole);
	if (!rc)
		rc = vballoon_create(vm, q->pci, Q35_SLOT_BALLOON, &q->balloon);
	for (unsigned i = 0; i < vm->cfg.nics && !rc; i++)
		rc = vnet_create(vm, q->pci, Q35_SLOT_NET + i, &vm->cfg.nic[i]);
	for (unsigned i = 0; i < vm->cfg.disks && !rc; i++)
		rc = vblk_create(vm, q->pci, Q35_SLOT_DISK + i, i, &q->disk[i]);
	if (!rc && vm->cfg.boot == VM_BOOT_MULTIBOOT)
		rc = testdev_create(vm);
	return rc;
}

static void platform_destroy(struct vm *vm)
{
	vdevs_destroy(vm);
	free(vm->platform);
	vm->platform = NULL;
}

static int platform_create(struct vm *vm)
{
	struct q35 *q = calloc(1, sizeof(*q));
	int rc;

	if (!q)
		return -ENOMEM;
	rc = create_chipset(vm, q);
	if (!rc)
		rc = create_serial(vm, q);
	if (!rc)
		rc = create_others(vm, q);
	vm->platform = q;
	if (rc)
		platform_destroy(vm);
	return rc;
}

static bool network_is_here(const char *name)
{
	struct network_info n;

	for (unsigned i = 0; network_at(i, &n); i++)
		if (!strcmp(n.name, name))
			return true;
	return false;
}

static int platform_check(const struct vm_config *cfg, char *why, size_t len)
{
	for (unsigned i = 0; i < cfg->nics; i++)
		if (!network_is_here(cfg->nic[i].network)) {
			snprintf(why, len,
				 "no network '%s' here: 'net networks' lists those that are",
				 cfg->nic[i].network);
			return -ENOENT;
		}
	for (unsigned i = 0; i < cfg->disks; i++) {
		int rc = vdisk_check(&cfg->disk[i], why, len);

		if (rc)
			return rc;
	}
	return 0;
}

static void platform_release(struct vm *vm)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++)
		vblk_close(q35_of(vm)->disk[i]);
}

static int platform_acquire(struct vm *vm, char *why, size_t len)
{
	for (unsigned i = 0; i < vm->cfg.disks; i++) {
		int rc = vblk_open(q35_of(vm)->disk[i], why, len);

		if (rc) {
			platform_release(vm);
			return rc;
		}
	}
	return 0;
}

bool vdisk_at(struct vm *vm, unsigned index, struct vdisk_info *out)
{
	if (index >= vm->cfg.disks)
		return false;
	vblk_info(q35_of(vm)->disk[index], out);
	return true;
}

int vdisk_filter(struct vm *vm, unsigned index, struct blkdev *blk)
{
	return vblk_filter(q35_of(vm)->disk[index], blk);
}

void vdisk_pause(struct vm *vm, unsigned index, bool on)
{
	vblk_pause(q35_of(vm)->disk[index], on);
}

int vdisk_limit(struct vm *vm, unsigned index, const struct vm_disk_limit *limit)
{
	if (index >= vm->cfg.disks)
		return -ENOENT;
	return vblk_limit(q35_of(vm)->disk[index], limit);
}

static int platform_reset(struct vm *vm)
{
	vdevs_reset(vm);
	return 0;
}

static int platform_boot(struct vm *vm, char *why, size_t why_len)
{
	if (vm->cfg.boot == VM_BOOT_FIRMWARE)
		return firmware_boot(vm, why, why_len);
	if (vm->cfg.boot == VM_BOOT_MULTIBOOT)
		return multiboot_boot(vm, why, why_len);
	return direct_boot(vm, why, why_len);
}

const struct vm_platform q35_platform = {
	.check = platform_check,
	.create = platform_create,
	.destroy = platform_destroy,
	.acquire = platform_acquire,
	.release = platform_release,
	.reset = platform_reset,
	.boot = platform_boot,
};
