/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request as the command of a slot. What each slot needs beside the command, a
 * PRP list or a range to deallocate, has its place from the start. A list that the
 * controller cannot take as it is goes through the bounce buffer; there is one, and such
 * requests are queue 1's, whose lock guards it.
 */
#include <string.h>

#include "drivers/nvme.h"

static uint64_t *list_of(const struct nvme_queue *q, unsigned slot)
{
	return q->prps + slot * NVME_PRPS;
}

static bool map_data(struct nvme_queue *q, unsigned slot, struct blk_req *r, struct nvme_sqe *e)
{
	uint64_t *list = list_of(q, slot);
	struct blk_seg all = { .len = (uint32_t)(r->blocks * r->dev->geo.block_bytes) };

	q->slot[slot].bounced = !nvme_prp_fits(r->segs, r->nr_segs);
	if (!q->slot[slot].bounced) {
		(void)nvme_prp_build(e, list, ptr_hpa(list), r->segs, r->nr_segs);
		return true;
	}
	if (q->bounce_busy)
		return false;
	q->bounce_busy = true;
	all.addr = ptr_hpa(q->c->bounce);
	if (r->op == BLK_WRITE)
		disk_bounce(q->c->bounce, r, true);
	(void)nvme_prp_build(e, list, ptr_hpa(list), &all, 1);
	return true;
}

static void set_blocks(struct nvme_sqe *e, const struct blk_req *r)
{
	e->cdw10 = (uint32_t)r->block;
	e->cdw11 = (uint32_t)(r->block >> 32);
	e->cdw12 = (uint32_t)r->blocks - 1;
}

/* [NVMe 1.4 6.7 "Dataset Management command"]: one range, 0's based count. */
static void set_range(struct nvme_queue *q, unsigned slot, const struct blk_req *r,
		      struct nvme_sqe *e)
{
	struct nvme_range *range = (struct nvme_range *)list_of(q, slot);

	*range = (struct nvme_range){ .blocks = (uint32_t)r->blocks, .block = r->block };
	e->prp1 = ptr_hpa(range).v;
	e->cdw10 = 0;
	e->cdw11 = NVME_DATASET_DEALLOCATE;
}

bool nvme_command_build(struct nvme_queue *q, unsigned slot, struct blk_req *r, struct nvme_sqe *e)
{
	static const uint8_t opcode[BLK_OPS] = { [BLK_READ] = NVME_READ,
						 [BLK_WRITE] = NVME_WRITE,
						 [BLK_FLUSH] = NVME_FLUSH,
						 [BLK_DISCARD] = NVME_DATASET,
						 [BLK_WRITE_ZEROES] = NVME_WRITE_ZEROES };

	*e = (struct nvme_sqe){ .opcode = opcode[r->op],
				.cid = (uint16_t)slot,
				.nsid = nvme_ns_of(r)->nsid };
	q->slot[slot].bounced = false;
	if (r->op == BLK_FLUSH)
		return true;
	if (r->op == BLK_DISCARD) {
		set_range(q, slot, r, e);
		return true;
	}
	set_blocks(e, r);
	return r->op == BLK_WRITE_ZEROES || map_data(q, slot, r, e);
}

void nvme_command_end(struct nvme_queue *q, unsigned slot, bool copy)
{
	struct nvme_slot *s = &q->slot[slot];

	if (!s->bounced)
		return;
	if (copy && s->r->op == BLK_READ)
		disk_bounce(q->c->bounce, s->r, false);
	s->bounced = false;
	q->bounce_busy = false;
}
