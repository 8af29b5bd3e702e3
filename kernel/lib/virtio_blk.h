/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio block device's protocol, for both of its sides: the driver of a host's disk
 * and the device that a guest sees. [virtio 1.2 5.2 "Block Device"]
 */
#ifndef KERNEL_LIB_VIRTIO_BLK_H
#define KERNEL_LIB_VIRTIO_BLK_H

#include <tern/types.h>

#define VBLK_SECTOR 512u  /* the unit of addresses and sizes, whatever the block's size */
#define VBLK_ID_BYTES 20u /* of the serial number */

/* [virtio 1.2 5.2.3 "Feature bits"] */
#define VBLK_F_SIZE_MAX BIT(1)
#define VBLK_F_SEG_MAX BIT(2)
#define VBLK_F_RO BIT(5)
#define VBLK_F_BLK_SIZE BIT(6)
#define VBLK_F_FLUSH BIT(9)
#define VBLK_F_TOPOLOGY BIT(10)
#define VBLK_F_MQ BIT(12)
#define VBLK_F_DISCARD BIT(13)
#define VBLK_F_WRITE_ZEROES BIT(14)

/* [virtio 1.2 5.2.4 "Device configuration layout"] */
struct vblk_config {
	uint64_t capacity;	      /* 0: sectors */
	uint32_t size_max;	      /* 8: bytes of a buffer */
	uint32_t seg_max;	      /* 12 */
	uint32_t geometry;	      /* 16: cylinders, heads, sectors */
	uint32_t blk_size;	      /* 20: logical block */
	uint8_t physical_block_exp;   /* 24: physical block = logical << this */
	uint8_t alignment_offset;     /* 25 */
	uint16_t min_io_size;	      /* 26: logical blocks */
	uint32_t opt_io_size;	      /* 28: logical blocks */
	uint8_t writeback;	      /* 32 */
	uint8_t unused0;	      /* 33 */
	uint16_t num_queues;	      /* 34 */
	uint32_t max_discard_sectors; /* 36: of a range */
	uint32_t max_discard_seg;     /* 40: ranges in a request */
	uint32_t discard_alignment;   /* 44: sectors */
	uint32_t max_zeroes_sectors;  /* 48 */
	uint32_t max_zeroes_seg;      /* 52 */
	uint8_t zeroes_may_unmap;     /* 56 */
	uint8_t unused1[3];	      /* 57 */
};
_Static_assert(sizeof(struct vblk_config) == 64, "virtio-blk configuration");
_Static_assert(offsetof(struct vblk_config, num_queues) == 34, "virtio-blk configuration");
_Static_assert(offsetof(struct vblk_config, zeroes_may_unmap) == 56, "virtio-blk configuration");
#define VBLK_CONFIG_LEN 60u /* without the compiler's padding */

/* [virtio 1.2 5.2.6 "Device Operation"] */
enum vblk_type {
	VBLK_T_IN = 0,
	VBLK_T_OUT = 1,
	VBLK_T_FLUSH = 4,
	VBLK_T_GET_ID = 8,
	VBLK_T_DISCARD = 11,
	VBLK_T_WRITE_ZEROES = 13,
};
/* VBLK_S_NONE is no answer: what a driver writes there before. */
enum vblk_status { VBLK_S_OK, VBLK_S_IOERR, VBLK_S_UNSUPP, VBLK_S_NONE = 0xff };

struct vblk_header {
	uint32_t type;	 /* 0: enum vblk_type */
	uint32_t ioprio; /* 4 */
	uint64_t sector; /* 8 */
};
_Static_assert(sizeof(struct vblk_header) == 16, "virtio-blk request");

#define VBLK_RANGE_UNMAP 1u /* write zeroes: the space may be given back */
struct vblk_range {
	uint64_t sector;  /* 0 */
	uint32_t sectors; /* 8 */
	uint32_t flags;	  /* 12 */
};
_Static_assert(sizeof(struct vblk_range) == 16, "virtio-blk range");

#endif
