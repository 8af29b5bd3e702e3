/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request of the guest's through the mirror (mirror.h): to the source, and where it
 * is behind the cursor to the target as well, in parts that the target takes. It ends
 * when both have ended, with the source's status. Any context.
 */
#include <errno.h>
#include <string.h>

#include <tern/page.h>

#include "mirror.h"

static void side_done(struct mirror_op *op)
{
	unsigned long flags = spin_lock(&op->m->lock);
	bool last = --op->sides == 0;

	spin_unlock(&op->m->lock, flags);
	if (last)
		mirror_end(op);
}

/* ---- the target ---- */

static uint64_t target_bytes(const struct mirror_op *op)
{
	return (op->target_to - op->from) * op->m->front.geo.block_bytes;
}

/* What the target is asked for, and so many bytes at a time; 0: it has no such thing. */
static uint64_t target_part(const struct mirror_op *op, enum blk_op *what)
{
	const struct blk_geometry *g = &op->m->target->geo;

	*what = op->guest->op;
	if (*what == BLK_DISCARD)
		return g->max_discard_blocks * g->block_bytes;
	if (*what == BLK_WRITE_ZEROES && g->max_zeroes_blocks)
		return g->max_zeroes_blocks * g->block_bytes;
	*what = BLK_WRITE;
	return MIN(g->max_bytes, MIRROR_BYTES);
}

/* False: the target has all. */
static bool target_next(struct mirror_op *op)
{
	const struct blk_geometry *g = &op->m->target->geo;
	struct blk_req *t = &op->target;
	uint64_t at = op->from * op->m->front.geo.block_bytes + op->target_at, n;
	enum blk_op what;
	uint64_t most = target_part(op, &what);

	n = MIN(most, target_bytes(op) - op->target_at);
	if (!n)
		return false;
	t->op = what;
	t->block = at / g->block_bytes;
	t->blocks = n / g->block_bytes;
	t->segs = NULL;
	t->nr_segs = 0;
	t->unmap = op->guest->unmap;
	if (what == BLK_WRITE) { /* zeroes: the same ones each time */
		uint64_t in = op->guest->op == BLK_WRITE ? op->target_at : 0;

		op->target_seg = (struct blk_seg){ .addr = ptr_hpa((char *)op->buf + in),
						   .len = (uint32_t)n };
		t->segs = &op->target_seg;
		t->nr_segs = 1;
	}
	op->target_at += n;
	blk_submit(op->m->target, t);
	return true;
}

static void target_done(struct blk_req *r)
{
	struct mirror_op *op = r->user;
	bool hint = r->op == BLK_DISCARD && r->status == -ENOTSUP;

	if (r->status && !hint)
		mirror_fail(op->m, r->status);
	if (r->status || r->op == BLK_FLUSH || !target_next(op))
		side_done(op);
}

static void start_target(struct mirror_op *op)
{
	op->target = (struct blk_req){ .op = BLK_FLUSH, .done = target_done, .user = op };
	op->target_at = 0;
	if (op->flush_target)
		blk_submit(op->m->target, &op->target);
	else if (!target_next(op))
		side_done(op);
}

/* ---- the source ---- */

static void source_done(struct blk_req *r)
{
	struct mirror_op *op = r->user;

	op->status = r->status;
	side_done(op);
}

static void start_source(struct mirror_op *op, bool copied)
{
	const struct blk_req *g = op->guest;

	op->source = (struct blk_req){ .op = g->op,
				       .block = g->block,
				       .blocks = g->blocks,
				       .segs = copied ? &op->source_seg : g->segs,
				       .nr_segs = copied ? 1 : g->nr_segs,
				       .unmap = g->unmap,
				       .done = source_done,
				       .user = op };
	blk_submit(op->m->source, &op->source);
}

/* ---- both ---- */

/* The only time that the guest's buffer is read. */
static void copy_buffer(struct mirror_op *op)
{
	const struct blk_req *g = op->guest;
	char *to = op->buf;

	for (uint32_t i = 0; i < g->nr_segs; i++) {
		memcpy(to, hpa_ptr(g->segs[i].addr), g->segs[i].len);
		to += g->segs[i].len;
	}
	op->source_seg = (struct blk_seg){ .addr = ptr_hpa(op->buf),
					   .len = (uint32_t)(to - (char *)op->buf) };
}

void mirror_start(struct mirror_op *op)
{
	bool both = op->sides == 2, copied = both && op->guest->op == BLK_WRITE;
	struct mirror *m = op->m;

	op->status = 0;
	if (op->to > op->from && m->touched)
		m->touched(m, op->guest->op, op->from, op->to);
	if (copied)
		copy_buffer(op);
	else if (both && op->guest->op == BLK_WRITE_ZEROES && !m->target->geo.max_zeroes_blocks)
		memset(op->buf, 0, MIRROR_BYTES);
	start_source(op, copied);
	if (both)
		start_target(op); /* the op is not over yet: this side is not */
}
