/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of an ATA channel behind a PCI bus-master controller.
 * [ATA8-ACS 6 "Register delivered data"], [ATA8-APT 7 "Parallel interface"],
 * [SFF-8038i 1.0 "Programming Interface for Bus Master IDE Controller"]
 */
#ifndef DRIVERS_IDE_REGS_H
#define DRIVERS_IDE_REGS_H

#include <tern/types.h>

/*
 * Command block, from the channel's first port. With 48-bit addresses each register from
 * IDE_FEATURES to IDE_LBA_HIGH is written twice, the high octet first.
 */
#define IDE_DATA 0u	/* 16 bits */
#define IDE_ERROR 1u	/* read */
#define IDE_FEATURES 1u /* written */
#define IDE_COUNT 2u
#define IDE_LBA_LOW 3u
#define IDE_LBA_MID 4u
#define IDE_LBA_HIGH 5u
#define IDE_DEVICE 6u
#define IDE_STATUS 7u  /* read: clears the interrupt */
#define IDE_COMMAND 7u /* written */

/* The control port: status without clearing the interrupt; interrupts and reset. */
#define IDE_CONTROL_NIEN 0x02u
#define IDE_CONTROL_SRST 0x04u

#define IDE_STATUS_ERR 0x01u
#define IDE_STATUS_DRQ 0x08u
#define IDE_STATUS_DF 0x20u
#define IDE_STATUS_DRDY 0x40u
#define IDE_STATUS_BSY 0x80u
#define IDE_STATUS_GONE 0xffu /* nothing drives the bus */

#define IDE_ERROR_ABRT 0x04u
#define IDE_ERROR_IDNF 0x10u
#define IDE_ERROR_UNC 0x40u
#define IDE_ERROR_ICRC 0x80u

#define IDE_DEVICE_LBA 0x40u
#define IDE_DEVICE_SECOND 0x10u
#define IDE_DEVICE_OBSOLETE 0xa0u /* bits that old devices want set */

enum ide_command {
	ATA_DATA_SET_MANAGEMENT = 0x06, /* by DMA; features 1: trim */
	ATA_READ_DMA_EXT = 0x25,
	ATA_WRITE_DMA_EXT = 0x35,
	ATA_READ_DMA = 0xc8,
	ATA_WRITE_DMA = 0xca,
	ATA_FLUSH = 0xe7,
	ATA_FLUSH_EXT = 0xea,
	ATA_IDENTIFY = 0xec,
};
#define ATA_DSM_TRIM 1u

/* Bus-master block of a channel; the second's begins 8 ports later. */
#define BM_COMMAND 0u
#define BM_COMMAND_START 0x01u
#define BM_COMMAND_TO_MEMORY 0x08u
#define BM_STATUS 2u
#define BM_STATUS_ACTIVE 0x01u
#define BM_STATUS_ERROR 0x02u	  /* cleared by writing 1 */
#define BM_STATUS_INTERRUPT 0x04u /* cleared by writing 1 */
#define BM_STATUS_DRIVES 0x60u	  /* firmware's note that a drive can do DMA */
#define BM_TABLE 4u		  /* 32 bits */
#define BM_CHANNEL_PORTS 8u

/* Physical region descriptor: memory that does not cross a 64 KiB boundary. */
struct ide_prd {
	uint32_t addr;
	uint16_t len;	/* 0x4: bytes, even; 0 is 64 KiB */
	uint16_t flags; /* 0x6 */
};
_Static_assert(sizeof(struct ide_prd) == 8, "PRD");
_Static_assert(offsetof(struct ide_prd, flags) == 6, "PRD");
#define IDE_PRD_LAST 0x8000u
#define IDE_PRD_SPAN 0x10000u

/* PCI configuration of Intel's PIIX: timing registers; bit 15 has the channel's ports decoded. */
#define PIIX_TIMING 0x40u
#define PIIX_TIMING_DECODE 0x8000u

/* Where a PC's two channels have been since before PCI. */
#define IDE_LEGACY_PRIMARY 0x1f0u
#define IDE_LEGACY_PRIMARY_CONTROL 0x3f6u
#define IDE_LEGACY_PRIMARY_IRQ 14u
#define IDE_LEGACY_SECONDARY 0x170u
#define IDE_LEGACY_SECONDARY_CONTROL 0x376u
#define IDE_LEGACY_SECONDARY_IRQ 15u

#endif
