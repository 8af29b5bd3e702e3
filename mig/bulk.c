/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy (bulk.h). A piece is claimed at the mirror, waits until no write is under way in
 * it, is read and written part by part, and released. One that is skipped is claimed as well,
 * and looked at again then: a write that began before may have filled the hole.
 *
 * Completions only wake the world; it alone moves the pieces on.
 */
#include <errno.h>
#include <string.h>

#include <tern/page.h>
#include <tern/store.h>
#include <tern/timer.h>

#include "bulk.h"

_Static_assert(PACE_PIECE_MAX == PAGE_SIZE << BULK_ORDER, "a piece fills its buffer");

#define PROMISE_BYTES (64ull << 20)
#define ZEROES_BYTES (4ull << 20) /* of a bare target, for writes to them wait meanwhile */

/* ---- a piece ---- */

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

static bool has_ended(const struct bulk_piece *p)
{
	unsigned long flags = spin_lock(&p->b->m->lock);
	bool ended = p->ended;

	spin_unlock(&p->b->m->lock, flags);
	return ended;
}

static uint64_t bytes_of(const struct bulk *b, uint64_t blocks)
{
	return blocks * b->m->source->geo.block_bytes;
}

static void submit(struct bulk_piece *p, struct blkdev *d, enum blk_op op)
{
	bool zeroes = op == BLK_WRITE_ZEROES;

	p->req = (struct blk_req){ .op = op,
				   .block = bytes_of(p->b, p->at) / d->geo.block_bytes,
				   .blocks = bytes_of(p->b, p->blocks) / d->geo.block_bytes,
				   .segs = zeroes ? NULL : &p->seg,
				   .nr_segs = zeroes ? 0 : 1,
				   .unmap = zeroes,
				   .done = ended,
				   .user = p };
	p->ended = false;
	blk_submit(d, &p->req);
}

static void release(struct bulk *b, struct bulk_piece *p)
{
	if (!b->cold)
		mirror_release(b->m, &p->range);
	p->state = PIECE_FREE;
}

/* Of a piece, as the pace is now. */
static uint64_t blocks_now(const struct bulk *b)
{
	uint64_t blocks = b->pace.piece_bytes / b->m->source->geo.block_bytes;

	return MAX(b->piece_blocks, MIN(blocks, b->most_blocks));
}

static enum bulk_need need_of(const struct bulk *b, uint64_t at, uint64_t *n)
{
	enum bulk_need need = b->linear && b->need ? b->need(b->user, at, n) : BULK_COPY;

	if (need != BULK_SKIP || !b->bare)
		return need;
	*n = MIN(*n, ZEROES_BYTES / b->m->source->geo.block_bytes);
	return BULK_ZEROES;
}

/* In requests of what the target takes at a time, which is large. */
static void zero_next(struct bulk *b, struct bulk_piece *p, uint64_t n)
{
	const struct blk_geometry *g = &b->m->target->geo;

	p->blocks = MIN(n, g->max_zeroes_blocks * g->block_bytes / bytes_of(b, 1));
	p->state = PIECE_ZEROING;
	submit(p, b->m->target, BLK_WRITE_ZEROES);
}

/* The next part of it, or its end. */
static void read_next(struct bulk *b, struct bulk_piece *p)
{
	uint64_t left = p->range.to - p->at, n = left;
	enum bulk_need need = BULK_COPY;

	while (left && !p->promised && (need = need_of(b, p->at, &n)) == BULK_SKIP) {
		n = MIN(n, left);
		b->skipped_bytes += bytes_of(b, n);
		p->at += n;
		left -= n;
		n = left;
	}
	if (!left) {
		release(b, p);
		return;
	}
	if (need == BULK_ZEROES) {
		zero_next(b, p, MIN(n, left));
		return;
	}
	p->blocks = MIN(MIN(n, left), blocks_now(b));
	p->seg = (struct blk_seg){ .addr = ptr_hpa(p->buf),
				   .len = (uint32_t)bytes_of(b, p->blocks) };
	p->state = PIECE_READING;
	pace_begun(&b->pace, time_ns(), p->seg.len);
	submit(p, b->linear ? bulk_from(b) : b->m->source, BLK_READ);
}

static void tell(struct bulk *b, const struct bulk_piece *p)
{
	uint64_t most = bytes_of(b, b->piece_blocks), block = p->at;

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
		b->copied(b->user, p->at, NULL, bytes_of(b, p->blocks));
	p->at += p->blocks;
	read_next(b, p);
}

static int was_read(struct bulk *b, struct bulk_piece *p)
{
	if (p->req.status) {
		b->fault = BULK_SOURCE;
		return p->req.status;
	}
	if (b->linear && b->fresh && !p->promised && ds_all_zero(p->buf, p->seg.len)) {
		b->skipped_bytes += p->seg.len;
		part_done(b, p);
		return 0;
	}
	p->state = PIECE_WRITING;
	submit(p, b->m->target, BLK_WRITE);
	return 0;
}

static int was_written(struct bulk *b, struct bulk_piece *p)
{
	if (p->req.status) {
		b->fault = BULK_TARGET;
		return p->req.status;
	}
	if (p->state == PIECE_ZEROING)
		b->skipped_bytes += bytes_of(b, p->blocks);
	else
		b->copied_bytes += p->seg.len;
	part_done(b, p);
	return 0;
}

static bool can_move(struct bulk *b, const struct bulk_piece *p)
{
	if (p->state == PIECE_CLAIMED)
		return b->cold || mirror_clear(b->m, &p->range);
	return p->state != PIECE_FREE && has_ended(p);
}

static int move(struct bulk *b, struct bulk_piece *p)
{
	int err = 0;

	while (!err && can_move(b, p)) {
		if (p->state == PIECE_CLAIMED)
			read_next(b, p);
		else if (p->state == PIECE_READING)
			err = was_read(b, p);
		else
			err = was_written(b, p);
	}
	if (err)
		release(b, p);
	return err;
}

/* The copy has ended: what is under way is waited for, and nothing follows it. */
static void drop(struct bulk *b, struct bulk_piece *p)
{
	if (p->state == PIECE_CLAIMED || (p->state != PIECE_FREE && has_ended(p)))
		release(b, p);
}

/* ---- which pieces ---- */

/* Blocks from b->next on that go into a piece; what is no hole is promised, as far as it goes. */
static uint64_t how_many(struct bulk *b, uint64_t left)
{
	uint64_t n = left;

	if (b->next < b->promised)
		return MIN(b->promised - b->next, blocks_now(b));
	if (need_of(b, b->next, &n) != BULK_COPY)
		return MIN(n, left);
	n = MIN(MIN(n, left), PROMISE_BYTES / b->m->source->geo.block_bytes);
	if (b->promise && b->need && b->fresh) {
		b->promised = b->next + n;
		b->promise(b->user, b->next, b->promised);
	}
	return MIN(n, blocks_now(b));
}

/* The next one; false: the pass is over. */
static bool next_range(struct bulk *b, struct bulk_piece *p)
{
	struct mirror_range *r = &p->range;
	uint64_t left = bulk_from(b)->geo.blocks - b->next;

	p->promised = false;
	if (!b->linear)
		return cbt_take(b->m->cbt, &b->next, blocks_now(b), &r->from, &r->to);
	if (!left)
		return false;
	r->from = b->next;
	r->to = b->next += how_many(b, left);
	p->promised = r->to <= b->promised;
	return true;
}

static struct bulk_piece *free_piece(struct bulk *b, unsigned *busy)
{
	struct bulk_piece *found = NULL;

	*busy = 0;
	for (unsigned i = 0; i < BULK_PIECES; i++) {
		if (b->piece[i].state != PIECE_FREE)
			++*busy;
		else if (!found)
			found = &b->piece[i];
	}
	return found;
}

/* Begins as many as may go now; false when the pass has no more. *busy are under way. */
static bool begin(struct bulk *b, unsigned *busy)
{
	struct bulk_piece *p;

	while ((p = free_piece(b, busy)) && *busy < b->pace.window &&
	       time_ns() >= pace_at(&b->pace)) {
		if (!next_range(b, p))
			return false;
		p->at = p->range.from;
		p->state = PIECE_CLAIMED;
		if (!b->cold)
			mirror_claim(b->m, &p->range);
	}
	return true;
}

/* The first error counts. */
static int move_all(struct bulk *b, int err)
{
	for (unsigned i = 0; i < BULK_PIECES; i++) {
		if (err)
			drop(b, &b->piece[i]);
		else
			err = move(b, &b->piece[i]);
	}
	return err;
}

/* What ends the copy from outside. */
static int look(struct bulk *b)
{
	struct mirror_figures f;
	int err = mirror_error(b->m);

	if (err) {
		b->fault = BULK_TARGET;
		return err;
	}
	mirror_figures(b->m, &f);
	pace_look(&b->pace, time_ns(), f.requests, f.busy_ns);
	err = b->asked ? b->asked(b->user) : 0;
	if (err)
		b->fault = BULK_ASKED;
	return err;
}

/* Until a piece can move on, or another may begin. */
static void wait(struct bulk *b, bool more)
{
	uint64_t until = time_ns() + PACE_EVERY_NS, at = pace_at(&b->pace);

	(void)event_wait(&b->m->changed, more && at > time_ns() ? MIN(at, until) : until);
}

/* Of the pass. */
static uint64_t first_undone(const struct bulk *b)
{
	uint64_t first = b->next;

	for (unsigned i = 0; i < BULK_PIECES; i++)
		if (b->piece[i].state != PIECE_FREE)
			first = MIN(first, b->piece[i].range.from);
	return first;
}

static int pass(struct bulk *b, bool linear)
{
	bool more = true;
	unsigned busy = 0;
	int err = 0;

	b->linear = linear;
	b->next = b->promised = 0;
	pace_pass(&b->pace);
	while (more || busy) {
		if (!err)
			err = look(b);
		more = !err && more && begin(b, &busy);
		err = move_all(b, err);
		if (linear && !err)
			b->done = b->passed + first_undone(b);
		(void)free_piece(b, &busy);
		if (busy || (more && time_ns() < pace_at(&b->pace)))
			wait(b, more && busy < b->pace.window);
		if (world_should_yield())
			world_yield();
	}
	if (b->promised && b->promise)
		b->promise(b->user, 0, 0); /* it is kept */
	return err;
}

int bulk_linear(struct bulk *b)
{
	int err = pass(b, true);

	b->passed = b->done;
	return err;
}

int bulk_marked(struct bulk *b)
{
	return pass(b, false);
}

int bulk_flush(struct bulk *b)
{
	struct blk_req r = { .op = BLK_FLUSH };
	int err = blk_wait(b->m->target, &r);

	if (err)
		b->fault = BULK_TARGET;
	return err;
}

/* ---- life ---- */

int bulk_init(struct bulk *b, struct mirror *m)
{
	uint32_t most = MIN(m->source->geo.max_bytes, m->target->geo.max_bytes);

	memset(b, 0, sizeof(*b));
	b->m = m;
	b->piece_blocks = MIN(most, PACE_PIECE_MIN) / m->source->geo.block_bytes;
	if (!b->piece_blocks)
		return -EINVAL;
	b->most_blocks = MIN(most, PACE_PIECE_MAX) / m->source->geo.block_bytes;
	b->most_blocks -= b->most_blocks % b->piece_blocks;
	for (unsigned i = 0; i < BULK_PIECES; i++) {
		hpa_t buf;
		int err = page_alloc(BULK_ORDER, 0, FRAME_MIG, &buf);

		if (err) {
			bulk_fini(b);
			return err;
		}
		b->piece[i].b = b;
		b->piece[i].buf = hpa_ptr(buf);
	}
	return 0;
}

void bulk_fini(struct bulk *b)
{
	for (unsigned i = 0; i < BULK_PIECES; i++)
		if (b->piece[i].buf)
			page_put(ptr_hpa(b->piece[i].buf));
	memset(b, 0, sizeof(*b));
}
