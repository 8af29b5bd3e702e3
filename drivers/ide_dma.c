/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptor tables of the bus-master engine. It reaches 32 bits of address and
 * even bytes; a list beyond that goes through the channel's bounce buffer.
 * [SFF-8038i 1.0 "Physical Region Descriptor"]
 */
#include <string.h>

#include <tern/page.h>

#include "drivers/disk.h"
#include "drivers/ide.h"

#define DMA_LIMIT (1ull << 32)
#define TRIM_RANGE_BLOCKS 0xffffu

static bool reachable(const struct blk_seg *s)
{
	return ((s->addr.v | s->len) & 1) == 0 && s->addr.v < DMA_LIMIT &&
	       s->len <= DMA_LIMIT - s->addr.v;
}

/* Cuts [addr, addr + len) at 64 KiB boundaries; the table's next free place. */
static unsigned add_region(struct ide_prd *prds, unsigned n, uint64_t addr, uint32_t len)
{
	while (len) {
		uint32_t part = MIN(len, IDE_PRD_SPAN - (uint32_t)(addr & (IDE_PRD_SPAN - 1)));

		prds[n++] = (struct ide_prd){ .addr = (uint32_t)addr, .len = (uint16_t)part };
		addr += part;
		len -= part;
	}
	return n;
}

unsigned ide_build_prds(struct ide_prd *prds, const struct blk_seg *segs, uint32_t nr_segs)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < nr_segs; i++) {
		if (!reachable(&segs[i]))
			return 0;
		n = add_region(prds, n, segs[i].addr.v, segs[i].len);
	}
	prds[n - 1].flags = IDE_PRD_LAST;
	return n;
}

unsigned ide_build_prds_same(struct ide_prd *prds, uint32_t addr, uint64_t len)
{
	unsigned n = 0;

	for (; len; len -= MIN(len, IDE_PRD_SPAN))
		prds[n++] =
			(struct ide_prd){ .addr = addr, .len = (uint16_t)MIN(len, IDE_PRD_SPAN) };
	prds[n - 1].flags = IDE_PRD_LAST;
	return n;
}

/* [ATA8-ACS 7.10.3 "TRIM"]: 48 bits of address, 16 of length; a range of no length is nothing. */
void ide_build_trim(uint8_t *to, uint64_t block, uint64_t blocks)
{
	uint8_t *end = to + ide_trim_blocks(blocks) * IDE_TRIM_BLOCK_BYTES;

	for (; to < end; to += sizeof(uint64_t)) {
		uint64_t part = MIN(blocks, TRIM_RANGE_BLOCKS), range = part << 48 | block;

		range = part ? range : 0;
		memcpy(to, &range, sizeof(range));
		block += part;
		blocks -= part;
	}
}

unsigned ide_trim_blocks(uint64_t blocks)
{
	return (unsigned)((blocks + IDE_TRIM_BLOCK_REACH - 1) / IDE_TRIM_BLOCK_REACH);
}

static uint32_t phys32(const void *p)
{
	return (uint32_t)ptr_hpa(p).v;
}

void ide_dma_map(struct ide_channel *ch, struct blk_req *r)
{
	uint64_t bytes = r->blocks * r->dev->geo.block_bytes;

	ch->bounced = false;
	if (r->op == BLK_DISCARD) {
		ide_build_trim((uint8_t *)ch->bounce, r->block, r->blocks);
		bytes = (uint64_t)ide_trim_blocks(r->blocks) * IDE_TRIM_BLOCK_BYTES;
		(void)ide_build_prds_same(ch->prds, phys32(ch->bounce), bytes);
	} else if (r->op == BLK_WRITE_ZEROES) {
		(void)ide_build_prds_same(ch->prds, phys32(ch->zeroes), bytes);
	} else if (!ide_build_prds(ch->prds, r->segs, r->nr_segs)) {
		struct blk_seg all = { .addr = ptr_hpa(ch->bounce), .len = (uint32_t)bytes };

		ch->bounced = true;
		if (r->op == BLK_WRITE)
			disk_bounce(ch->bounce, r, true);
		(void)ide_build_prds(ch->prds, &all, 1);
	}
}

void ide_dma_unmap(struct ide_channel *ch, struct blk_req *r)
{
	if (ch->bounced && r->op == BLK_READ)
		disk_bounce(ch->bounce, r, false);
}
