/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parts of a request (vblk.h): as much of it as the disk takes at once. For a read or
 * a write the guest's pages are pinned and listed, in whole blocks; zeroes that the disk cannot
 * write by itself come from a page of them, as often as it fits.
 */
#include <errno.h>

#include <tern/gmem.h>
#include <tern/page.h>

#include "vblk.h"

void vblk_unpin(struct vblk_req *q)
{
	struct gmem *g = q->dev->v.d.vm->mem;

	while (q->nr_pins) {
		const struct vblk_pin *pin = &q->pin[--q->nr_pins];

		gmem_unpin(g, pin->gpa, pin->p, q->op == BLK_READ);
	}
}

/* ---- the list ---- */

static uint32_t segs_most(const struct vblk_req *q)
{
	return MIN(q->dev->blk->geo.max_segs, VBLK_PART_PAGES);
}

/* False: the list is full. */
static bool add_seg(struct vblk_req *q, hpa_t at, uint32_t len)
{
	struct blk_seg *last = q->r.nr_segs ? &q->seg[q->r.nr_segs - 1] : NULL;

	if (last && last->addr.v + last->len == at.v) {
		last->len += len;
		return true;
	}
	if (q->r.nr_segs >= segs_most(q))
		return false;
	q->seg[q->r.nr_segs++] = (struct blk_seg){ .addr = at, .len = len };
	return true;
}

/* Up to len bytes of guest memory, within a page; 0 when the list is full, or an error. */
static int64_t add_page(struct vblk_req *q, uint64_t gpa, uint64_t len)
{
	struct vblk_pin *pin = &q->pin[q->nr_pins];
	uint32_t n = (uint32_t)MIN(len, PAGE_SIZE - (gpa & PAGE_MASK));
	int rc;

	if (q->nr_pins == VBLK_PART_PAGES)
		return 0;
	pin->gpa = GPA(gpa);
	rc = gmem_pin(q->dev->v.d.vm->mem, pin->gpa, n, q->op == BLK_READ, &pin->p);
	if (rc)
		return rc;
	q->nr_pins++;
	return add_seg(q, ptr_hpa(pin->p), n) ? n : 0;
}

/* Bytes listed from q->at on, at most so many. */
static int64_t add_pages(struct vblk_req *q, uint64_t most)
{
	const struct virtq_chain *c = &q->chain;
	bool in = q->op == BLK_READ;
	unsigned i = in ? c->nr_out : 0, end = i + (in ? c->nr_in : c->nr_out);
	uint64_t skip = q->at + (in ? 0 : sizeof(struct vblk_header)), got = 0;

	while (i < end && got < most) {
		const struct virtq_seg *s = &c->seg[i];
		int64_t n;

		if (skip >= s->len) {
			skip -= s->len;
			i++;
			continue;
		}
		n = add_page(q, s->gpa + skip, MIN(s->len - skip, most - got));
		if (n < 0)
			return n;
		if (!n)
			break;
		got += (uint64_t)n;
		skip += (uint64_t)n;
	}
	return (int64_t)got;
}

static void cut_tail(struct vblk_req *q, uint64_t bytes)
{
	while (bytes) {
		struct blk_seg *last = &q->seg[q->r.nr_segs - 1];
		uint32_t n = (uint32_t)MIN(bytes, (uint64_t)last->len);

		last->len -= n;
		bytes -= n;
		if (!last->len)
			q->r.nr_segs--;
	}
}

/* Buffers so small that not even a block of them can be listed are nobody's. */
static int64_t list_memory(struct vblk_req *q, uint64_t most)
{
	int64_t got = add_pages(q, most);
	uint64_t odd;

	if (got <= 0)
		return got ? got : -EINVAL;
	odd = (uint64_t)got % q->dev->blk->geo.block_bytes;
	cut_tail(q, odd);
	got -= (int64_t)odd;
	return got ? got : -EINVAL;
}

static int64_t list_zeroes(struct vblk_req *q, uint64_t most)
{
	uint64_t got = 0;

	for (; got < most && q->r.nr_segs < segs_most(q); q->r.nr_segs++) {
		uint32_t n = (uint32_t)MIN(most - got, PAGE_SIZE);

		q->seg[q->r.nr_segs] = (struct blk_seg){ .addr = q->dev->zeroes, .len = n };
		got += n;
	}
	return (int64_t)got;
}

/* ---- the part ---- */

static uint64_t blocks_most(const struct blk_geometry *g, enum blk_op op)
{
	return op == BLK_DISCARD	? g->max_discard_blocks
	       : op == BLK_WRITE_ZEROES ? g->max_zeroes_blocks
					: g->max_bytes / g->block_bytes;
}

static void submit(struct vblk_req *q, enum blk_op op, uint64_t bytes)
{
	const struct blk_geometry *g = &q->dev->blk->geo;

	q->r.op = op;
	q->r.unmap = q->nr_ranges && q->range[q->next_range - 1].flags & VBLK_RANGE_UNMAP;
	q->r.block = (q->from + q->at) / g->block_bytes;
	q->r.blocks = bytes / g->block_bytes;
	q->r.segs = q->seg;
	q->r.done = vblk_done;
	q->r.user = q;
	q->at += bytes;
	blk_submit(q->dev->blk, &q->r);
}

int vblk_part(struct vblk_req *q)
{
	const struct blk_geometry *g = &q->dev->blk->geo;
	enum blk_op op = q->op;
	int64_t bytes;
	uint64_t most;

	if (op == BLK_WRITE_ZEROES && !g->max_zeroes_blocks)
		op = BLK_WRITE;
	most = MIN(q->bytes - q->at, blocks_most(g, op) * g->block_bytes);
	q->r.nr_segs = 0;
	if (q->op == BLK_READ || q->op == BLK_WRITE)
		bytes = list_memory(q, most);
	else
		bytes = op == BLK_WRITE ? list_zeroes(q, most) : (int64_t)most;
	if (bytes < 0) {
		vblk_unpin(q);
		return (int)bytes;
	}
	submit(q, op, (uint64_t)bytes);
	return 0;
}

void vblk_flush(struct vblk_req *q)
{
	q->r.nr_segs = 0;
	submit(q, BLK_FLUSH, 0);
}
