/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NVMe: registers, queue entries, and what of the Identify pages the driver reads.
 * Sections are those of NVM Express 1.4.
 */
#ifndef DRIVERS_NVME_REGS_H
#define DRIVERS_NVME_REGS_H

#include <stddef.h>
#include <stdint.h>

/* [NVMe 1.4 3.1 "Register Definition"]; the 64-bit ones are read as two halves. */
#define NVME_CAP 0x00u
#define NVME_CAP_MQES_MASK 0xffffull /* low half: entries of a queue, 0's based */
#define NVME_CAP_TO_SHIFT 24u	     /* low half: 500 ms units until ready */
#define NVME_CAP_DSTRD(hi) ((hi)&0xfu)
#define NVME_CAP_CSS_NVM(hi) ((hi) >> 5 & 1u)
#define NVME_CAP_MPSMIN(hi) ((hi) >> 16 & 0xfu)
#define NVME_CC 0x14u
#define NVME_CC_EN 0x1u
#define NVME_CC_QUEUE_ENTRIES (6u << 16 | 4u << 20) /* 64 and 16 bytes; MPS, AMS, CSS are 0 */
#define NVME_CSTS 0x1cu
#define NVME_CSTS_RDY 0x1u
#define NVME_CSTS_CFS 0x2u
#define NVME_CSTS_GONE 0xffffffffu
#define NVME_AQA 0x24u
#define NVME_ASQ 0x28u
#define NVME_ACQ 0x30u
#define NVME_BELLS 0x1000u
#define NVME_REGISTER_BYTES 0x2000u /* at least, before the doorbells' stride counts */

/* [NVMe 1.4 5 "Admin Command Set"], [NVMe 1.4 6 "NVM Command Set"] */
enum nvme_admin_op {
	NVME_CREATE_SQ = 0x01,
	NVME_CREATE_CQ = 0x05,
	NVME_IDENTIFY = 0x06,
	NVME_ABORT = 0x08,
	NVME_SET_FEATURES = 0x09,
};

enum nvme_io_op {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DATASET = 0x09,
};

#define NVME_QUEUE_CONTIGUOUS 0x1u /* cdw11 of both creations */
#define NVME_CQ_INTERRUPTS 0x2u
#define NVME_FEATURE_QUEUES 0x07u
#define NVME_IDENTIFY_NS 0u
#define NVME_IDENTIFY_CTRL 1u
#define NVME_IDENTIFY_LIST 2u
#define NVME_DATASET_DEALLOCATE 0x4u

/* [NVMe 1.4 4.2 "Submission Queue Entry - Command Format"] */
struct nvme_sqe {
	uint8_t opcode;	  /* 0 */
	uint8_t flags;	  /* 1: no fused operation, PRPs */
	uint16_t cid;	  /* 2 */
	uint32_t nsid;	  /* 4 */
	uint64_t unused;  /* 8 */
	uint64_t meta;	  /* 16 */
	uint64_t prp1;	  /* 24 */
	uint64_t prp2;	  /* 32 */
	uint32_t cdw10;	  /* 40 */
	uint32_t cdw11;	  /* 44 */
	uint32_t cdw12;	  /* 48 */
	uint32_t rest[3]; /* 52 */
};
_Static_assert(sizeof(struct nvme_sqe) == 64, "submission queue entry");
_Static_assert(offsetof(struct nvme_sqe, prp1) == 24, "submission queue entry");
_Static_assert(offsetof(struct nvme_sqe, cdw10) == 40, "submission queue entry");

/* [NVMe 1.4 4.6 "Completion Queue Entry"] */
struct nvme_cqe {
	uint32_t result;  /* 0 */
	uint32_t unused;  /* 4 */
	uint16_t sq_head; /* 8 */
	uint16_t sq;	  /* 10 */
	uint16_t cid;	  /* 12 */
	uint16_t status;  /* 14: with the phase tag */
};
_Static_assert(sizeof(struct nvme_cqe) == 16, "completion queue entry");
_Static_assert(offsetof(struct nvme_cqe, status) == 14, "completion queue entry");

#define NVME_PHASE 0x1u
/* [NVMe 1.4 4.6.1 "Status Field Definition"], the status shifted right past the phase tag */
#define NVME_STATUS_DNR 0x4000u
#define NVME_STATUS_CODE 0x7ffu /* type and code */
#define NVME_SC_INVALID_OPCODE 0x001u
#define NVME_SC_ABORTED 0x007u
#define NVME_SC_INVALID_NS 0x00bu
#define NVME_SC_WRITE_PROTECTED 0x020u
#define NVME_SC_LBA_RANGE 0x080u
#define NVME_SC_READ_ONLY_RANGE 0x182u
#define NVME_SC_WRITE_FAULT 0x280u
#define NVME_SC_UNRECOVERED_READ 0x281u

/* [NVMe 1.4 5.15.2.2 "Identify Controller data structure"] */
#define NVME_CTRL_SERIAL 4u /* 20 characters */
#define NVME_CTRL_MODEL 24u /* 40 characters */
#define NVME_CTRL_MDTS 77u
#define NVME_CTRL_NN 516u
#define NVME_CTRL_ONCS 520u
#define NVME_ONCS_DATASET 0x4u
#define NVME_ONCS_ZEROES 0x8u
#define NVME_CTRL_VWC 525u

/* [NVMe 1.4 5.15.2.1 "Identify Namespace data structure"] */
#define NVME_NS_NSZE 0u
#define NVME_NS_NSFEAT 24u
#define NVME_NSFEAT_OPTIMAL 0x10u /* NPWG and its like are given */
#define NVME_NS_FLBAS 26u
#define NVME_NS_NPWG 64u
#define NVME_NS_ATTR 99u
#define NVME_NS_ATTR_PROTECTED 0x1u
#define NVME_NS_FORMATS 128u /* 16 of 4 bytes: metadata bytes, log2 of the block, performance */

/* [NVMe 1.4 6.7.1 "Context Attributes"], a range of Dataset Management */
struct nvme_range {
	uint32_t attributes;
	uint32_t blocks;
	uint64_t block;
};
_Static_assert(sizeof(struct nvme_range) == 16, "dataset management range");

#endif
