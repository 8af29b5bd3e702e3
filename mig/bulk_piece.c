/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A piece of the copy, from its claim to its release (bulk_int.h). Completions only wake the
 * world; it alone moves the pieces on.
 */
#include <tern/page.h>
#include <tern/store.h>
#include <tern/timer.h>

#include "bulk_int.h"

#define ZEROES_BYTES (4ull << 20) /* of a bare target, for writes to them wait meanwhile */

/* ---- its requests ---- */

static void ended(struct blk_req *r)
{
	struct bulk_piece *p = r->user;
	struct mirror *m = p->b->m;
	unsigned long flags = spin_lock(&m->lock);

	p->ended = true;
	/* Under the lock: once the world has seen it, it may free all this. */
	event_signal(&m->changed);
	spin_unlock(&m->lock, flags);
}

static void submit(struct bulk_piece *p, struct blkdev *d, enum blk_op op)
{
	bool zeroes = op == BLK_WRITE_ZEROES;

	p->req = (struct blk_req){ .op = op,
				   .block = bulk_bytes(p->b, p->at) / d->geo.block_bytes,
				   .blocks = bulk_bytes(p->b, p->blocks) / d->geo.block_bytes,
				   .segs = zeroes ? NULL : &p->seg,
				   .nr_segs = zeroes ? 0 : 1,
				   .unmap = zeroes,
				   .done = ended,
				   .user = p };
	p->ended = false;
	p->b->requests++;
	blk_submit(d, &p->req);
}

void bulk_release(struct bulk *b, struct bulk_piece *p)
{
	if (!b->cold)
		mirror_release(b->m, &p->range);
	p->state = PIECE_FREE;
}

uint64_t bulk_blocks_now(const struct bulk *b)
{
	uint64_t blocks = b->pace.piece_bytes / b->m->source->geo.block_bytes;

	return MAX(b->piece_blocks, MIN(blocks, b->most_blocks));
}

enum bulk_need bulk_need(const struct bulk *b, uint64_t at, uint64_t *n)
{
	enum bulk_need need = b->linear && b->need ? b->need(b->user, at, n) : BULK_COPY;

	if (need == BULK_COPY || !b->bare)
		return need;
	*n = MIN(*n, ZEROES_BYTES / b->m->source->geo.block_bytes);
	return BULK_ZEROES;
}

/*
 * In requests of what the target takes at a time, which is large. A bare one keeps its extents:
 * what zeroes them is work for the device as a copy is, and has the copy's pace.
 */
static void zero_next(struct bulk *b, struct bulk_piece *p, uint64_t n)
{
	const struct blk_geometry *g = &b->m->target->geo;

	p->blocks = MIN(n, g->max_zeroes_blocks * g->block_bytes / bulk_bytes(b, 1));
	p->state = PIECE_ZEROING;
	if (b->bare) {
		pace_begun(&b->pace, time_ns(), bulk_bytes(b, p->blocks));
		pace_zeros(&b->pace, bulk_bytes(b, p->blocks));
	}
	submit(p, b->m->target, BLK_WRITE_ZEROES);
}

/* The next part of it, or its end. */
static void read_next(struct bulk *b, struct bulk_piece *p)
{
	uint64_t left = p->range.to - p->at, n = left;
	enum bulk_need need = BULK_COPY;

	while (left && !p->promised && (need = bulk_need(b, p->at, &n)) == BULK_SKIP) {
		n = MIN(n, left);
		b->skipped_bytes += bulk_bytes(b, n);
		p->at += n;
		left -= n;
		n = left;
	}
	if (!left) {
		bulk_release(b, p);
		return;
	}
	if (need == BULK_ZEROES) {
		zero_next(b, p, MIN(n, left));
		return;
	}
	p->blocks = MIN(MIN(n, left), bulk_blocks_now(b));
	p->seg = (struct blk_seg){ .addr = ptr_hpa(p->buf),
				   .len = (uint32_t)bulk_bytes(b, p->blocks) };
	p->state = PIECE_READING;
	pace_begun(&b->pace, time_ns(), p->seg.len);
	submit(p, b->linear ? bulk_from(b) : b->m->source, BLK_READ);
}

static void tell(struct bulk *b, const struct bulk_piece *p)
{
	uint64_t most = bulk_bytes(b, b->piece_blocks), block = p->at;

	if (!b->copied)
		return;
	for (uint64_t at = 0; at < p->seg.len; at += most, block += b->piece_blocks)
		b->copied(b->user, block, (char *)p->buf + at, MIN(most, p->seg.len - at));
}

static void part_done(struct bulk *b, struct bulk_piece *p)
{
	if (p->state != PIECE_ZEROING)
		tell(b, p);
	else if (b->copied)
		b->copied(b->user, p->at, NULL, bulk_bytes(b, p->blocks));
	p->at += p->blocks;
	read_next(b, p);
}

/* Zeros that a bare target needs cost less as a request than as contents, on a link above all. */
static bool goes_as_zeroes(const struct bulk *b, const struct bulk_piece *p)
{
	const struct blk_geometry *g = &b->m->target->geo;

	return b->linear && b->bare && p->seg.len <= g->max_zeroes_blocks * g->block_bytes &&
	       ds_all_zero(p->buf, p->seg.len);
}

static int was_read(struct bulk *b, struct bulk_piece *p)
{
	if (p->req.status) {
		b->fault = BULK_SOURCE;
		return p->req.status;
	}
	if (b->linear && b->fresh && !p->promised && ds_all_zero(p->buf, p->seg.len)) {
		b->skipped_bytes += p->seg.len;
		pace_zeros(&b->pace, p->seg.len);
		part_done(b, p);
		return 0;
	}
	p->state = goes_as_zeroes(b, p) ? PIECE_ZEROING : PIECE_WRITING;
	if (p->state == PIECE_ZEROING)
		pace_zeros(&b->pace, p->seg.len);
	submit(p, b->m->target, p->state == PIECE_ZEROING ? BLK_WRITE_ZEROES : BLK_WRITE);
	return 0;
}

static int was_written(struct bulk *b, struct bulk_piece *p)
{
	if (p->req.status) {
		b->fault = BULK_TARGET;
		return p->req.status;
	}
	if (p->state == PIECE_ZEROING)
		b->skipped_bytes += bulk_bytes(b, p->blocks);
	else
		b->copied_bytes += p->seg.len;
	part_done(b, p);
	return 0;
}

unsigned bulk_movable(struct bulk *b, bool ends)
{
	unsigned long flags = spin_lock(&b->m->lock);
	unsigned bits = 0;

	for (unsigned i = 0; i < BULK_PIECES; i++) {
		const struct bulk_piece *p = &b->piece[i];
		bool can = p->state == PIECE_CLAIMED ? ends || b->cold || p->range.clear
						     : p->state != PIECE_FREE && p->ended;

		bits |= can ? 1u << i : 0;
	}
	spin_unlock(&b->m->lock, flags);
	return bits;
}

int bulk_move(struct bulk *b, struct bulk_piece *p)
{
	int err = 0;

	if (p->state == PIECE_CLAIMED)
		read_next(b, p);
	else if (p->state == PIECE_READING)
		err = was_read(b, p);
	else
		err = was_written(b, p);
	if (err)
		bulk_release(b, p);
	return err;
}
