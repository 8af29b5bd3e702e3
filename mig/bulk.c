/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy (bulk.h): which pieces go when. One is claimed at the mirror, waits until no write is
 * under way in it, is read and written part by part, and released (bulk_piece.c). One that is
 * skipped is claimed as well, and looked at again then: a write that began before may have
 * filled the hole.
 */
#include <errno.h>
#include <string.h>

#include <tern/page.h>
#include <tern/timer.h>

#include "bulk_int.h"

_Static_assert(PACE_PIECE_MAX == PAGE_SIZE << BULK_ORDER, "a piece fills its buffer");
_Static_assert(PACE_PIECE_MIN == PAGE_SIZE << MIRROR_ORDER, "the smallest fills the smallest");

#define PROMISE_BYTES (1ull << 30)

/* ---- which pieces ---- */

/* Blocks from b->next on that go into a piece; what is no hole is promised, as far as it goes. */
static uint64_t how_many(struct bulk *b, uint64_t left)
{
	uint64_t n = left;

	if (b->next < b->promised)
		return MIN(b->promised - b->next, bulk_blocks_now(b));
	if (bulk_need(b, b->next, &n) != BULK_COPY)
		return MIN(n, left);
	n = MIN(MIN(n, left), PROMISE_BYTES / b->m->source->geo.block_bytes);
	if (b->promise && b->need && b->fresh) {
		b->promised = b->next + n;
		b->promise(b->user, b->next, b->promised);
	}
	return MIN(n, bulk_blocks_now(b));
}

/* The next one; false: the pass is over. */
static bool next_range(struct bulk *b, struct bulk_piece *p)
{
	struct mirror_range *r = &p->range;
	uint64_t left = bulk_from(b)->geo.blocks - b->next;

	p->promised = false;
	if (!b->linear)
		return cbt_take(b->m->cbt, &b->next, bulk_blocks_now(b), &r->from, &r->to);
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

/*
 * As far as they can; the first error counts. Once there is one the copy has ended: what is under
 * way is waited for, and nothing follows it.
 */
static int move_all(struct bulk *b, int err)
{
	for (unsigned bits; (bits = bulk_movable(b, err)) != 0;)
		for (unsigned i = 0; i < BULK_PIECES; i++) {
			if (!(bits & 1u << i))
				continue;
			if (err)
				bulk_release(b, &b->piece[i]);
			else
				err = bulk_move(b, &b->piece[i]);
		}
	return err;
}

int bulk_ends(struct bulk *b)
{
	int err = mirror_error(b->m);

	if (err) {
		b->fault = BULK_TARGET;
		return err;
	}
	err = b->asked ? b->asked(b->user) : 0;
	if (err)
		b->fault = BULK_ASKED;
	return err;
}

static void look(struct bulk *b)
{
	struct mirror_figures f;

	mirror_figures(b->m, &f);
	pace_look(&b->pace, time_ns(), f.requests, f.busy_ns);
}

/* Until a piece can move on, or another may begin. */
static void wait(struct bulk *b, bool more)
{
	uint64_t until = time_ns() + PACE_EVERY_NS, at = pace_at(&b->pace);

	(void)event_wait(&b->m->changed, more && at > time_ns() ? MIN(at, until) : until);
	b->wakes++;
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
		look(b);
		if (!err)
			err = bulk_ends(b);
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

static void put_buffers(struct bulk *b)
{
	for (unsigned i = 0; i < BULK_PIECES; i++) {
		if (b->piece[i].buf)
			page_put(ptr_hpa(b->piece[i].buf));
		b->piece[i].buf = NULL;
	}
}

/* All of one order, or none. */
static int take_buffers(struct bulk *b, unsigned order)
{
	for (unsigned i = 0; i < BULK_PIECES; i++) {
		hpa_t buf;
		int err = page_alloc(order, 0, FRAME_MIG, &buf);

		if (err) {
			put_buffers(b);
			return err;
		}
		b->piece[i].b = b;
		b->piece[i].buf = hpa_ptr(buf);
	}
	return 0;
}

int bulk_init(struct bulk *b, struct mirror *m)
{
	uint32_t most = MIN(m->source->geo.max_bytes, m->target->geo.max_bytes);
	unsigned order = BULK_ORDER;
	int err;

	memset(b, 0, sizeof(*b));
	b->m = m;
	b->piece_blocks = MIN(most, PACE_PIECE_MIN) / m->source->geo.block_bytes;
	if (!b->piece_blocks)
		return -EINVAL;
	/* Where memory is in pieces smaller ones do, down to the smallest that are ever copied. */
	while ((err = take_buffers(b, order)) == -ENOMEM && order > MIRROR_ORDER)
		order--;
	b->most_blocks = MIN(most, PAGE_SIZE << order) / m->source->geo.block_bytes;
	b->most_blocks -= b->most_blocks % b->piece_blocks;
	b->buffer_bytes = BULK_PIECES * (PAGE_SIZE << order);
	return err;
}

void bulk_fini(struct bulk *b)
{
	put_buffers(b);
	memset(b, 0, sizeof(*b));
}
