/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ways of starting a guest without firmware share: zeros in guest
 * memory, the ACPI tables, the chipset as firmware would leave it, vCPU 0's
 * first state. Files are bootfile.h's; linux_boot.c has Linux's own protocol.
 */
#ifndef KERNEL_VDEV_DIRECT_H
#define KERNEL_VDEV_DIRECT_H

#include "bootfile.h"
#include "q35.h"

/* Segment attributes of struct virt_seg. */
#define DIRECT_DATA_ATTR 0xc93u /* data, write, accessed, present, 32-bit, granular */
#define DIRECT_TR_ATTR 0x08bu	/* busy TSS */

/*
 * What a part of a file has in memory beyond the file: zeros. Memory reads as zero after a
 * start, but not after a reset.
 */
MUST_CHECK int direct_zero(struct vm *vm, gpa_t to, const struct bootfile *f, uint64_t len,
			   char *why, size_t why_len);
/* Flat segments: code with these attributes, data, no LDT, an empty IDT. */
void direct_segments(struct virt_state *s, uint32_t code_attr, uint16_t code, uint16_t data);
/*
 * The last step: ACPI tables (RSDP at Q35_BIOS_BASE), vCPU 0's state as fill changes it
 * (general registers are zero before), ECAM, PM block and BARs placed. err is of the
 * caller's own writes before; whichever fails is told in why.
 */
MUST_CHECK int direct_start(struct vm *vm, int err, void (*fill)(struct virt_state *s, void *arg),
			    void *arg, char *why, size_t why_len);

/*
 * Starts the configured kernel with its initrd, by the protocol that it has:
 * linux_boot.c, or pvh_boot.c an ELF file. An initrd that is not configured is not open.
 */
MUST_CHECK int direct_boot(struct vm *vm, char *why, size_t why_len);
MUST_CHECK int linux_boot(struct vm *vm, struct bootfile *kernel, struct bootfile *initrd,
			  char *why, size_t why_len);

#endif
