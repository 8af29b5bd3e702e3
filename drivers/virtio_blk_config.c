/* SPDX-License-Identifier: BSD-2-Clause */
/* What a virtio disk says of itself. [virtio 1.2 5.2.4 "Device configuration layout"] */
#include <errno.h>

#include "drivers/virtio_blk.h"

#define CONFIG(field) (unsigned)offsetof(struct vblk_config, field)

#define MAX_BLOCK_BYTES 4096u
#define MAX_PHYSICAL_SHIFT 16u

unsigned vblk_offered_queues(const struct vblk *d)
{
	return virtio_pci_has(&d->v, VBLK_F_MQ) ? virtio_pci_read16(&d->v, CONFIG(num_queues)) : 1;
}

static uint32_t block_bytes(const struct vblk *d)
{
	uint32_t n = virtio_pci_has(&d->v, VBLK_F_BLK_SIZE)
			     ? virtio_pci_read32(&d->v, CONFIG(blk_size))
			     : VBLK_SECTOR;

	/* Only a hint of a good size: addresses are in sectors all the same. */
	return n >= VBLK_SECTOR && n <= MAX_BLOCK_BYTES && (n & (n - 1)) == 0 ? n : VBLK_SECTOR;
}

static uint32_t physical_bytes(const struct vblk *d, uint32_t block)
{
	unsigned shift = virtio_pci_has(&d->v, VBLK_F_TOPOLOGY)
				 ? virtio_pci_read8(&d->v, CONFIG(physical_block_exp))
				 : 0;

	return shift <= MAX_PHYSICAL_SHIFT ? block << shift : block;
}

/* In blocks, for a limit in sectors that is there when the feature is. */
static uint64_t range_limit(const struct vblk *d, uint64_t feature, unsigned at, uint32_t block)
{
	if (!virtio_pci_has(&d->v, feature))
		return 0;
	return (uint64_t)virtio_pci_read32(&d->v, at) * VBLK_SECTOR / block;
}

/*
 * Segments above size_max are cut, each leaves one more than its share of the bytes: with half
 * of the list for segments and half for cuts the worst list fits.
 */
static void limits(struct vblk *d, uint32_t ring_size)
{
	struct blk_geometry *g = &d->blk.geo;
	uint32_t segs = VBLK_MAX_SEGS;

	if (!virtio_pci_has(&d->v, VIRTIO_F_INDIRECT_DESC))
		segs = MIN(segs, ring_size < 3 ? 0 : ring_size - 2);
	if (virtio_pci_has(&d->v, VBLK_F_SEG_MAX))
		segs = MIN(segs, virtio_pci_read32(&d->v, CONFIG(seg_max)));
	g->max_segs = segs;
	g->max_bytes = VBLK_MAX_BYTES;
	d->size_max = UINT32_MAX;
	if (virtio_pci_has(&d->v, VBLK_F_SIZE_MAX))
		d->size_max = virtio_pci_read32(&d->v, CONFIG(size_max));
	if (d->size_max < VBLK_MAX_BYTES) {
		g->max_segs = segs / 2;
		g->max_bytes = (uint32_t)MIN((uint64_t)(segs - segs / 2) * d->size_max,
					     (uint64_t)VBLK_MAX_BYTES);
	}
	g->max_bytes -= g->max_bytes % g->block_bytes;
}

int vblk_read_config(struct vblk *d, uint32_t ring_size, const char **why)
{
	uint64_t capacity = virtio_pci_read32(&d->v, CONFIG(capacity)) |
			    (uint64_t)virtio_pci_read32(&d->v, CONFIG(capacity) + 4) << 32;
	struct blk_geometry *g = &d->blk.geo;
	uint32_t block = block_bytes(d);

	*g = (struct blk_geometry){
		.block_bytes = block,
		.physical_bytes = physical_bytes(d, block),
		.blocks = capacity / (block / VBLK_SECTOR),
		.max_discard_blocks =
			range_limit(d, VBLK_F_DISCARD, CONFIG(max_discard_sectors), block),
		.max_zeroes_blocks =
			range_limit(d, VBLK_F_WRITE_ZEROES, CONFIG(max_zeroes_sectors), block),
		.dma_align = 1,
		.dma_limit = UINT64_MAX,
		.volatile_cache = virtio_pci_has(&d->v, VBLK_F_FLUSH),
		.read_only = virtio_pci_has(&d->v, VBLK_F_RO),
	};
	limits(d, ring_size);
	if (!g->blocks || capacity > UINT64_MAX / VBLK_SECTOR)
		*why = "no sensible size";
	else if (!g->max_segs || !g->max_bytes)
		*why = "it takes too little in a request";
	else
		return 0;
	return -EINVAL;
}
