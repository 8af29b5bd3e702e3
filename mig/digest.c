/* SPDX-License-Identifier: BSD-2-Clause */
/* The comparison of a disk's two sides (digest.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/page.h>

#include "digest.h"
#include "kernel/lib/crc32c.h"

int digest_init(struct digest *d, struct bulk *b)
{
	const struct blk_geometry *g = &b->m->front.geo, *t = &b->m->target->geo;
	uint64_t blocks = t->blocks * t->block_bytes / g->block_bytes; /* snapshots may be larger */
	uint64_t pieces = blocks / b->piece_blocks + 1;
	int err;

	*d = (struct digest){ .b = b, .piece_blocks = b->piece_blocks };
	d->sum = calloc(pieces, sizeof(*d->sum));
	if (!d->sum)
		return -ENOMEM;
	err = cbt_init_each(&d->unknown, pieces);
	if (!err)
		err = cbt_init_each(&d->todo, pieces);
	if (!err)
		err = cbt_init(&d->undefined, blocks, g->block_bytes, PAGE_SIZE);
	if (err)
		digest_fini(d);
	return err;
}

void digest_fini(struct digest *d)
{
	free(d->sum);
	d->sum = NULL;
	cbt_fini(&d->unknown);
	cbt_fini(&d->todo);
	cbt_fini(&d->undefined);
}

void digest_copied(struct digest *d, uint64_t block, const void *buf, uint64_t bytes)
{
	uint64_t i = block / d->piece_blocks, end, blocks = bytes / d->b->m->front.geo.block_bytes;
	bool whole = block % d->piece_blocks == 0 &&
		     (blocks == d->piece_blocks || block + blocks == bulk_from(d->b)->geo.blocks);

	end = (block + blocks - 1) / d->piece_blocks + 1;
	if (buf && whole) {
		d->sum[i] = crc32c(0, buf, bytes);
		cbt_clear(&d->unknown, i);
	} else {
		cbt_mark(&d->unknown, i, end);
	}
	cbt_mark(&d->todo, i, end);
	cbt_unmark(&d->undefined, block, block + blocks);
}

void digest_touched(struct digest *d, enum blk_op op, uint64_t from, uint64_t to)
{
	uint64_t i = from / d->piece_blocks, end = (to - 1) / d->piece_blocks + 1;

	if (op == BLK_DISCARD)
		cbt_mark(&d->undefined, from, to);
	else
		cbt_unmark(&d->undefined, from, to);
	cbt_mark(&d->unknown, i, end);
	cbt_mark(&d->todo, i, end);
}

static uint64_t bytes_of(const struct digest *d, const struct mirror_range *r)
{
	return (r->to - r->from) * d->b->m->front.geo.block_bytes;
}

uint64_t digest_left(const struct digest *d)
{
	return MIN(cbt_marked(&d->todo) * d->piece_blocks, d->b->m->front.geo.blocks);
}

/* The sum of these blocks of a side now. */
static int sum_of(struct digest *d, struct blkdev *side, const struct mirror_range *r,
		  uint32_t *sum)
{
	void *buf = d->b->piece[0].buf;
	uint64_t bytes = bytes_of(d, r), at = r->from * d->b->m->front.geo.block_bytes;
	int err = blk_transfer(side, BLK_READ, at / side->geo.block_bytes,
			       bytes / side->geo.block_bytes, buf);

	if (err)
		d->b->fault = side == d->b->m->target ? BULK_TARGET : BULK_SOURCE;
	else
		*sum = crc32c(0, buf, bytes);
	return err;
}

static int compare_target(struct digest *d, const struct mirror_range *r, uint32_t here)
{
	uint32_t there = 0;
	int err;

	if (d->check) {
		err = d->check(d->b->user, r->from, r->to - r->from, here);
		if (err)
			d->b->fault = BULK_TARGET;
	} else {
		err = sum_of(d, d->b->m->target, r, &there);
		if (!err && here != there)
			err = -EILSEQ;
	}
	if (!err)
		d->compared_bytes += bytes_of(d, r);
	return err;
}

/* The next blocks of the piece, from run->to on, whose contents are anything's. */
static bool next_run(const struct digest *d, const struct mirror_range *piece,
		     struct mirror_range *run)
{
	uint64_t at = run->to;

	while (at < piece->to && cbt_marks(&d->undefined, at))
		at++;
	run->from = at;
	while (at < piece->to && !cbt_marks(&d->undefined, at))
		at++;
	run->to = at;
	return run->from < run->to;
}

/* Nothing is written to the piece meanwhile. An error: run is where. */
static int compare(struct digest *d, uint64_t i, const struct mirror_range *piece,
		   struct mirror_range *run)
{
	int err = 0;

	*run = (struct mirror_range){ .to = piece->from };
	while (!err && next_run(d, piece, run)) {
		bool whole = run->from == piece->from && run->to == piece->to;
		uint32_t here = d->sum[i];

		if (!whole || cbt_marks(&d->unknown, i))
			err = sum_of(d, bulk_from(d->b), run, &here);
		if (!err && whole) {
			d->sum[i] = here;
			cbt_clear(&d->unknown, i);
		}
		if (!err)
			err = compare_target(d, run, here);
	}
	return err;
}

/* What is cold nobody writes. */
static void hold(struct bulk *b, struct mirror_range *r)
{
	if (b->cold)
		return;
	mirror_claim(b->m, r);
	while (!mirror_clear(b->m, r))
		(void)event_wait(&b->m->changed, NEVER_NS);
}

static void let_go(struct bulk *b, struct mirror_range *r)
{
	if (!b->cold)
		mirror_release(b->m, r);
}

int digest_verify(struct digest *d, uint64_t *at)
{
	uint64_t pos = 0, i, end;
	int err = 0;

	while (!err && cbt_take(&d->todo, &pos, 1, &i, &end)) {
		struct mirror_range r = { .from = i * d->piece_blocks }, run;

		r.to = MIN(r.from + d->piece_blocks, bulk_from(d->b)->geo.blocks);
		hold(d->b, &r);
		err = compare(d, i, &r, &run);
		let_go(d->b, &r);
		*at = run.from;
		if (!err)
			err = bulk_ends(d->b);
		if (world_should_yield())
			world_yield();
	}
	return err;
}
