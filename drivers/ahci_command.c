/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes into a command slot: the task as a FIS, and where the data lies. Memory
 * that the adapter does not reach goes through the port's bounce buffer, which one
 * request has at a time. [AHCI 1.3.1 4.2.3 "Command Table"]
 */
#include <string.h>

#include <tern/page.h>

#include "drivers/ahci.h"

#define TAG_SHIFT 3u /* in the count: [ACS-3 7.23 "READ FPDMA QUEUED"] */

static uint8_t data_command(const struct ahci_port *p, bool write)
{
	if (p->nr_slots > 1)
		return write ? ATA_WRITE_FPDMA : ATA_READ_FPDMA;
	return write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT;
}

struct ahci_task ahci_task_of(const struct ahci_port *p, const struct blk_req *r, unsigned tag)
{
	struct ahci_task t = { .lba = r->block, .count = (uint16_t)r->blocks };

	switch (r->op) {
	case BLK_FLUSH:
		return (struct ahci_task){ .command = p->id.flush_ext ? ATA_FLUSH_EXT : ATA_FLUSH };
	case BLK_DISCARD:
		return (struct ahci_task){ .command = ATA_DATA_SET_MANAGEMENT,
					   .features = ATA_DSM_TRIM,
					   .count = (uint16_t)ide_trim_blocks(r->blocks),
					   .write = true };
	default:
		t.write = r->op != BLK_READ;
		t.command = data_command(p, t.write);
		t.queued = p->nr_slots > 1;
		if (t.queued) {
			t.features = t.count;
			t.count = (uint16_t)(tag << TAG_SHIFT);
		}
		return t;
	}
}

/* [Serial ATA 3.x "Register - Host to Device FIS"] */
void ahci_build_fis(uint8_t *fis, const struct ahci_task *t)
{
	memset(fis, 0, AHCI_FIS_BYTES);
	fis[0] = FIS_HOST_TO_DEVICE;
	fis[1] = FIS_IS_COMMAND;
	fis[2] = t->command;
	fis[3] = (uint8_t)t->features;
	for (unsigned i = 0; i < 3; i++) {
		fis[4 + i] = (uint8_t)(t->lba >> 8 * i);
		fis[8 + i] = (uint8_t)(t->lba >> (24 + 8 * i));
	}
	fis[7] = IDE_DEVICE_LBA;
	fis[11] = (uint8_t)(t->features >> 8);
	fis[12] = (uint8_t)t->count;
	fis[13] = (uint8_t)(t->count >> 8);
}

unsigned ahci_build_prds(struct ahci_prd *prds, const struct blk_seg *segs, uint32_t nr_segs,
			 uint64_t limit)
{
	for (uint32_t i = 0; i < nr_segs; i++) {
		uint64_t at = segs[i].addr.v, len = segs[i].len;

		if (((at | len) & 1) || at >= limit || len > limit - at)
			return 0;
		prds[i] = (struct ahci_prd){ .addr = at, .len = (uint32_t)len - 1 };
	}
	return nr_segs;
}

void ahci_unbounce(struct ahci_port *p, struct blk_req *r, bool copy)
{
	if (p->bounced != r)
		return;
	if (copy && r->op == BLK_READ)
		disk_bounce(p->bounce, r, false);
	p->bounced = NULL;
}

static unsigned zero_prds(const struct ahci_port *p, struct ahci_prd *prds, uint64_t bytes)
{
	unsigned n = 0;

	for (uint64_t part; bytes; bytes -= part) {
		part = MIN(bytes, AHCI_ZEROES_BYTES);
		prds[n++] = (struct ahci_prd){ .addr = ptr_hpa(p->zeroes).v,
					       .len = (uint32_t)part - 1 };
	}
	return n;
}

static unsigned bounce_prds(struct ahci_port *p, struct ahci_prd *prds, struct blk_req *r)
{
	struct blk_seg all = { .addr = ptr_hpa(p->bounce),
			       .len = (uint32_t)(r->blocks * p->blk.geo.block_bytes) };

	p->bounced = r;
	if (r->op == BLK_DISCARD) {
		ide_build_trim((uint8_t *)p->bounce, r->block, r->blocks);
		all.len = ide_trim_blocks(r->blocks) * IDE_TRIM_BLOCK_BYTES;
	} else if (r->op == BLK_WRITE) {
		disk_bounce(p->bounce, r, true);
	}
	return ahci_build_prds(prds, &all, 1, UINT64_MAX);
}

bool ahci_fill_slot(struct ahci_port *p, unsigned tag, struct blk_req *r, const struct ahci_task *t)
{
	struct ahci_table *table = &p->tables[tag];
	unsigned prds = 0;

	if (r->op == BLK_WRITE_ZEROES)
		prds = zero_prds(p, table->prd, r->blocks * p->blk.geo.block_bytes);
	else if (r->op == BLK_READ || r->op == BLK_WRITE)
		prds = ahci_build_prds(table->prd, r->segs, r->nr_segs, p->dma_limit);
	if (!prds && r->op != BLK_FLUSH) {
		if (p->bounced)
			return false;
		prds = bounce_prds(p, table->prd, r);
	}
	ahci_build_fis(table->fis, t);
	p->list[tag] = (struct ahci_header){
		.flags = (uint16_t)(AHCI_FIS_BYTES / 4 | (t->write ? AHCI_HEADER_WRITE : 0)),
		.prds = (uint16_t)prds,
		.table = ptr_hpa(table).v,
	};
	return true;
}
