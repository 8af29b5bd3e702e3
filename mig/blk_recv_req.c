/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request of an arriving VM's disks (blk_recv_int.h), part by part to its disk.
 */
#include <errno.h>

#include "blk_recv_int.h"

static enum blk_op blk_op_of(const struct recv_slot *s)
{
	return s->op == BLOCKS_WRITE	? BLK_WRITE
	       : s->op == BLOCKS_ZEROES ? BLK_WRITE_ZEROES
	       : s->op == BLOCKS_FLUSH	? BLK_FLUSH
	       : s->op == BLOCKS_CHECK	? BLK_READ
					: BLK_DISCARD;
}

/* Segments for up to n bytes from s->at on, as many as the disk takes; their bytes. */
static uint64_t make_list(struct recv_slot *s, const struct blk_geometry *g, uint64_t n)
{
	uint64_t off = s->at - s->from, bytes = 0;
	uint32_t most = MIN(g->max_segs, (uint32_t)RECV_SEGS), nr = 0;

	while (bytes < n) {
		uint64_t at = off + bytes;
		hpa_t a = HPA(s->page[at / PAGE_SIZE].v + (at & PAGE_MASK));
		uint32_t len = (uint32_t)MIN(n - bytes, PAGE_SIZE - (at & PAGE_MASK));

		if (nr && s->seg[nr - 1].addr.v + s->seg[nr - 1].len == a.v) {
			s->seg[nr - 1].len += len;
		} else if (nr == most) {
			break;
		} else {
			s->seg[nr++] = (struct blk_seg){ .addr = a, .len = len };
		}
		bytes += len;
	}
	s->r.segs = s->seg;
	s->r.nr_segs = nr;
	return bytes / g->block_bytes * g->block_bytes;
}

static uint64_t part_max(const struct blk_geometry *g, enum blk_op op)
{
	return op <= BLK_WRITE	   ? g->max_bytes
	       : op == BLK_DISCARD ? g->max_discard_blocks * g->block_bytes
				   : g->max_zeroes_blocks * g->block_bytes;
}

void recv_slot_over(struct recv_slot *s, int err)
{
	struct blk_receiver *r = s->receiver;
	unsigned long f = spin_lock(&r->lock);

	s->over = true;
	r->under_way--;
	if (s->op != BLOCKS_FLUSH && s->op != BLOCKS_CHECK)
		r->state[s->disk].changed = true;
	if (!err && s->op == BLOCKS_WRITE)
		r->bytes += s->to - s->from;
	if (!err && (s->op == BLOCKS_WRITE || s->op == BLOCKS_ZEROES) && r->state[s->disk].bare)
		err = spans_add(&r->state[s->disk].written, s->from, s->to);
	if (err && !r->error) {
		r->error = err;
		r->error_disk = s->disk;
	}
	waitq_wake_all(&r->changed); /* under the lock: who sees the last one end frees it */
	spin_unlock(&r->lock, f);
}

/* The next part, ready to go; false: there is none, with the request's verdict. */
static bool next_part(struct recv_slot *s, int *verdict)
{
	enum blk_op op = blk_op_of(s);
	const struct blk_geometry *g;
	uint64_t n;

	*verdict = 0;
	if (!s->left)
		return false;
	g = &s->receiver->disk[s->disk].dev->geo;
	n = MIN(s->left, part_max(g, op));
	if (op <= BLK_WRITE)
		n = make_list(s, g, n);
	if (!n && op == BLK_DISCARD)
		return false; /* the disk cannot; contents that nobody needs may stay */
	if (!n) {
		*verdict = -ENOTSUP;
		return false;
	}
	s->r.op = op;
	s->r.unmap = s->unmap;
	s->r.block = s->at / g->block_bytes;
	s->r.blocks = n / g->block_bytes;
	s->at += n;
	s->left -= n;
	return true;
}

/*
 * A flush goes to one disk after the other that has changed since its last one; left counts them.
 * Nothing that it waits for is under way meanwhile. Each disk may take its time: after it the
 * source is told the number of before, that all together may take longer than a disk that is stuck.
 */
static bool next_flush(struct recv_slot *s)
{
	struct blk_receiver *r = s->receiver;
	unsigned long f = spin_lock(&r->lock);
	bool found = false, first = s->left == r->nr_disks;

	while (s->left && !found) {
		s->disk = r->nr_disks - (uint32_t)s->left--;
		found = r->state[s->disk].changed;
		r->state[s->disk].changed = false;
	}
	if (found && !first) {
		r->comes = true;
		waitq_wake_all(&r->changed);
	}
	spin_unlock(&r->lock, f);
	s->r.op = BLK_FLUSH;
	return found;
}

static void part_done(struct blk_req *q);

/*
 * Hands over part after part until one does not end at once, whose part_done then goes on: a
 * request may have many, and each call from part_done would be a deeper one.
 */
void recv_slot_go(struct recv_slot *s)
{
	int verdict = 0;

	do {
		if (!(s->op == BLOCKS_FLUSH ? next_flush(s) : next_part(s, &verdict))) {
			recv_slot_over(s, verdict);
			return;
		}
		s->r.done = part_done;
		__atomic_store_n(&s->part, PART_GOES, __ATOMIC_RELAXED);
		blk_submit(s->receiver->disk[s->disk].dev, &s->r);
		if (__atomic_exchange_n(&s->part, PART_PENDS, __ATOMIC_ACQ_REL) != PART_ENDED)
			return;
	} while (!s->r.status);
	recv_slot_over(s, s->r.status);
}

static void part_done(struct blk_req *q)
{
	struct recv_slot *s = container_of(q, struct recv_slot, r);

	if (__atomic_exchange_n(&s->part, PART_ENDED, __ATOMIC_ACQ_REL) != PART_PENDS)
		return; /* recv_slot_go sees it */
	if (q->status)
		recv_slot_over(s, q->status);
	else
		recv_slot_go(s);
}
