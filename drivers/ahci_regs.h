/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers and memory structures of a SATA host bus adapter.
 * [AHCI 1.3.1 3 "HBA Memory Registers", 4 "System Memory Structures"]
 */
#ifndef DRIVERS_AHCI_REGS_H
#define DRIVERS_AHCI_REGS_H

#include <tern/types.h>

/* The adapter's. [AHCI 1.3.1 3.1 "Generic Host Control"] */
#define AHCI_CAP 0x00u
#define AHCI_CAP_SLOTS(cap) (((cap) >> 8 & 0x1fu) + 1)
#define AHCI_CAP_STAGGERED (1u << 27)
#define AHCI_CAP_NCQ (1u << 30)
#define AHCI_CAP_64BIT (1u << 31)
#define AHCI_GHC 0x04u
#define AHCI_GHC_INTERRUPTS (1u << 1)
#define AHCI_GHC_ENABLE (1u << 31)
#define AHCI_IS 0x08u
#define AHCI_PORTS 0x0cu
#define AHCI_CAP2 0x24u
#define AHCI_CAP2_HANDOFF (1u << 0)
#define AHCI_BOHC 0x28u
#define AHCI_BOHC_FIRMWARE (1u << 0)
#define AHCI_BOHC_OS (1u << 1)

/* A port's, from 0x100 on. [AHCI 1.3.1 3.3 "Port Registers"] */
#define AHCI_PORT(n) (0x100u + (n)*0x80u)
#define AHCI_PORT_BYTES 0x80u
#define AHCI_PORT_LIST 0x00u	 /* 64 bits */
#define AHCI_PORT_RECEIVED 0x08u /* 64 bits */
#define AHCI_PORT_IS 0x10u	 /* cleared by writing 1 */
#define AHCI_PORT_IE 0x14u
#define AHCI_PORT_CMD 0x18u
#define AHCI_PORT_TFD 0x20u
#define AHCI_PORT_SSTS 0x28u
#define AHCI_PORT_SCTL 0x2cu
#define AHCI_PORT_SIG 0x24u
#define AHCI_PORT_SERR 0x30u /* cleared by writing 1 */
#define AHCI_PORT_SACT 0x34u
#define AHCI_PORT_CI 0x38u

#define AHCI_INT_DEVICE 0x0000000fu /* a FIS of the device's came: register, PIO, DMA, bits */
#define AHCI_INT_ERRORS 0x78000000u /* interface, host bus twice, task file */

#define AHCI_CMD_START (1u << 0)
#define AHCI_CMD_SPIN_UP (1u << 1)
#define AHCI_CMD_POWER (1u << 2)
#define AHCI_CMD_RECEIVE (1u << 4)
#define AHCI_CMD_RECEIVING (1u << 14)
#define AHCI_CMD_RUNNING (1u << 15)

#define AHCI_DETECTION 0xfu /* of SSTS and SCTL */
#define AHCI_DET_NONE 0u
#define AHCI_DET_LINK_UP 3u
#define AHCI_DET_RESET 1u
#define AHCI_SIG_ATA 0x00000101u

#define AHCI_SLOTS 32u

struct ahci_header {
	uint16_t flags;	      /* 0x0: FIS length in dwords, direction */
	uint16_t prds;	      /* 0x2 */
	uint32_t transferred; /* 0x4 */
	uint64_t table;	      /* 0x8 */
	uint32_t reserved[4];
};
_Static_assert(sizeof(struct ahci_header) == 32, "AHCI command header");
#define AHCI_HEADER_WRITE 0x40u

struct ahci_prd {
	uint64_t addr; /* even */
	uint32_t reserved;
	uint32_t len; /* 0xc: bytes less one, odd; at most 4 MiB */
};
_Static_assert(sizeof(struct ahci_prd) == 16, "AHCI PRD");

#define AHCI_MAX_PRDS 120u
#define AHCI_FIS_BYTES 20u
struct ahci_table {
	uint8_t fis[64];
	uint8_t atapi[16];
	uint8_t reserved[48];
	struct ahci_prd prd[AHCI_MAX_PRDS]; /* 0x80 */
};
_Static_assert(offsetof(struct ahci_table, prd) == 0x80, "AHCI command table");
_Static_assert(sizeof(struct ahci_table) == 2048, "AHCI command table");

/* [Serial ATA 3.x "Register - Host to Device FIS"] */
#define FIS_HOST_TO_DEVICE 0x27u
#define FIS_IS_COMMAND 0x80u

enum ahci_ata_command {
	ATA_READ_LOG_EXT = 0x2f,
	ATA_READ_FPDMA = 0x60,
	ATA_WRITE_FPDMA = 0x61,
};
#define ATA_LOG_NCQ_ERROR 0x10u

#endif
