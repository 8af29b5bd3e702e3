/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Q35-lite platform: all devices of a VM, kept in vm->platform, and where
 * they sit. Addresses are those that packaged firmware expects, so that direct
 * kernel boot and firmware boot see the same machine.
 */
#ifndef KERNEL_VDEV_Q35_H
#define KERNEL_VDEV_Q35_H

#include "acpi_tables.h"
#include "device.h"
#include "keptlog.h"

#define Q35_ECAM_BASE 0xb0000000ull
#define Q35_ECAM_SIZE (256ull << 20)
#define Q35_MMIO_BASE 0xc0000000ull /* 32-bit PCI window, to 0xfbffffff */
#define Q35_MMIO_END 0xfc000000ull
#define Q35_PM_BASE 0x600u
#define Q35_LOW_END 0xa0000ull	 /* conventional memory */
#define Q35_BIOS_BASE 0xe0000ull /* ACPI tables of direct boot */
#define Q35_BIOS_END 0x100000ull
#define Q35_HIGH_RAM (4ull << 30)

/* Slots of bus 0. */
#define Q35_SLOT_RNG 1u
#define Q35_SLOT_CONSOLE 2u
#define Q35_SLOT_NET 3u /* to 6: VM_NICS_MAX */
#define Q35_SLOT_BALLOON 7u
#define Q35_SLOT_DISK 8u /* to 15: VM_DISKS_MAX */

struct uart;
struct pci_bus;
struct fwcfg;
struct vconsole;
struct vballoon;
struct vblk;

struct q35 {
	struct pci_bus *pci;
	struct pm *pm;
	struct uart *uart[SERIAL_PORTS];
	struct keptlog *log[SERIAL_LOGS];
	struct vconsole *vconsole;
	struct vballoon *balloon;
	struct vblk *disk[VM_DISKS_MAX];
	struct fwcfg *fwcfg;
	struct acpi_image acpi;
};

static inline struct q35 *q35_of(struct vm *vm)
{
	return vm->platform;
}

/* BIOS e820 entry, as zero page and fw_cfg carry it. */
struct e820_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type; /* 1 RAM, 2 reserved */
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "e820 entry");

#define E820_RAM 1u
#define E820_RESERVED 2u
#define Q35_E820_MAX 6u

/* RAM with its holes for a kernel booted directly (low holes told) or for firmware (RAM only). */
unsigned q35_e820(struct vm *vm, bool direct, struct e820_entry out[Q35_E820_MAX]);

/* multiboot_boot.c: payload, modules and command line of vm->cfg into memory, vCPU 0 at its entry.
 */
MUST_CHECK int multiboot_boot(struct vm *vm, char *why, size_t why_len);

#endif
