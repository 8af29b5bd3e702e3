/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ways of starting a guest without firmware share: files into guest
 * memory, the ACPI tables, the chipset as firmware would leave it, vCPU 0's
 * first state. linux_boot.c has Linux's own protocol.
 */
#ifndef KERNEL_VDEV_DIRECT_H
#define KERNEL_VDEV_DIRECT_H

#include <tern/bootinfo.h>

#include "q35.h"

/* Segment attributes of struct virt_seg. */
#define DIRECT_DATA_ATTR 0xc93u /* data, write, accessed, present, 32-bit, granular */
#define DIRECT_TR_ATTR 0x08bu	/* busy TSS */

/* A part of a file to guest memory; error text in why. */
MUST_CHECK int direct_copy(struct vm *vm, gpa_t to, const struct boot_file *f, uint64_t from,
			   uint64_t len, char *why, size_t why_len);
/*
 * What a part of that file has in memory beyond the file: zeros. Memory reads as zero after a
 * start, but not after a reset.
 */
MUST_CHECK int direct_zero(struct vm *vm, gpa_t to, const struct boot_file *f, uint64_t len,
			   char *why, size_t why_len);
/* RSDP at Q35_BIOS_BASE, the tables behind it. */
MUST_CHECK int direct_acpi(struct vm *vm);
/* ECAM and PM block placed, BARs assigned. */
void direct_chipset(struct vm *vm);

/* Flat segments: code with these attributes, data, no LDT, an empty IDT. */
void direct_segments(struct virt_state *s, uint32_t code_attr, uint16_t code, uint16_t data);
/* vCPU 0's state as it is, changed by fill, put back. General registers are zero before. */
MUST_CHECK int direct_enter(struct vm *vm, void (*fill)(struct virt_state *s, void *arg),
			    void *arg);

#endif
