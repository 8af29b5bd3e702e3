/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O of an open file: the requests that come through its struct blkdev go to the
 * datastore's device, piece by piece where they cross a run's end, without a copy. What is
 * read of a hole is zeros; a write to one waits for ds_grow.c, and so do extents that are
 * given back (ds_free.c). Every write is behind the fence, but those to a multi-writer file; while
 * it is shut they wait (ds_fence.c).
 *
 * Each request has an op from the file's pool, or waits for one in order; nothing is
 * allocated on the way. Any context.
 */
#include <errno.h>
#include <string.h>

#include <tern/page.h>

#include "kernel/store/ds_int.h"

static bool changes(enum blk_op op)
{
	return op != BLK_READ && op != BLK_FLUSH;
}

static uint64_t bytes_of(const struct ds_op *op)
{
	return op->parent->blocks * op->file->blk.geo.block_bytes;
}

/* ---- the scatter list ---- */

/* The part of the parent's list from op->at, n bytes; its number of segments. */
static uint32_t cut_list(struct ds_op *op, uint64_t n)
{
	const struct blk_req *p = op->parent;
	uint64_t skip = op->at;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < p->nr_segs && n; i++) {
		uint64_t len = p->segs[i].len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		len = MIN(len - skip, n);
		op->segs[nr].addr = HPA(p->segs[i].addr.v + skip);
		op->segs[nr++].len = (uint32_t)len;
		skip = 0;
		n -= len;
	}
	return nr;
}

static void clear_list(struct ds_op *op, uint64_t n)
{
	uint32_t nr = cut_list(op, n);

	for (uint32_t i = 0; i < nr; i++)
		memset(hpa_ptr(op->segs[i].addr), 0, op->segs[i].len);
}

/* ---- pieces ---- */

static void ended(struct blk_req *child)
{
	struct ds_op *op = child->user;

	if (child->status)
		ds_io_end(op, child->status);
	else
		ds_io_go_on(op);
}

static void piece_done(struct blk_req *child)
{
	struct ds_op *op = child->user;
	struct ds_file *f = op->file;
	unsigned long flags = spin_lock(&f->lock);

	if (!--f->pieces[op->phase])
		waitq_wake_all(&f->drained);
	spin_unlock(&f->lock, flags);
	ended(child);
}

static uint64_t device_most(const struct blk_geometry *g, enum blk_op op)
{
	uint64_t blocks = op == BLK_DISCARD	   ? g->max_discard_blocks
			  : op == BLK_WRITE_ZEROES ? g->max_zeroes_blocks
						   : g->max_bytes / g->block_bytes;

	return blocks * g->block_bytes;
}

/* Zeros for n bytes, or as many as the list takes. */
static uint64_t list_zeros(struct ds_op *op, uint64_t n)
{
	uint64_t got = 0;

	n = MIN(n, op->file->ds->dev->geo.max_bytes);
	for (op->nr_segs = 0; got < n && op->nr_segs < op->file->ds->dev->geo.max_segs;
	     op->nr_segs++) {
		uint32_t len = (uint32_t)MIN(n - got, (uint64_t)DS_BLOCK);

		op->segs[op->nr_segs] =
			(struct blk_seg){ .addr = ptr_hpa(op->file->ds->zeros), .len = len };
		got += len;
	}
	return got;
}

/* n bytes from op->at, which are in one run, at byte `pos` of the device. */
static void submit_piece(struct ds_op *op, uint64_t pos, uint64_t n)
{
	const struct blk_geometry *g = &op->file->ds->dev->geo;
	struct blk_req *p = op->parent, *c = &op->child;
	bool lists = p->op == BLK_READ || p->op == BLK_WRITE;
	bool writes_zeros = p->op == BLK_WRITE_ZEROES && !g->max_zeroes_blocks;

	n = writes_zeros ? list_zeros(op, n) : MIN(n, device_most(g, p->op));
	*c = (struct blk_req){ .op = writes_zeros ? BLK_WRITE : p->op,
			       .block = pos / g->block_bytes,
			       .blocks = n / g->block_bytes,
			       .done = piece_done,
			       .user = op };
	if (writes_zeros) {
		c->segs = op->segs;
		c->nr_segs = op->nr_segs;
	} else if (lists && n == bytes_of(op)) {
		c->segs = p->segs;
		c->nr_segs = p->nr_segs;
	} else if (lists) {
		c->segs = op->segs;
		c->nr_segs = cut_list(op, n);
	}
	op->at += n;
	blk_submit(op->file->ds->dev, c);
}

/*
 * A hole of n bytes at op->at shows the parent's contents: true when these are asked for, false
 * behind the parent's end.
 */
static bool submit_below(struct ds_op *op, uint64_t n)
{
	struct blkdev *d = &op->file->below->blk;
	uint64_t block = op->parent->block + op->at / d->geo.block_bytes;

	if (block >= d->geo.blocks)
		return false;
	n = MIN(n, (d->geo.blocks - block) * d->geo.block_bytes);
	n = MIN(n, device_most(&d->geo, BLK_READ));
	op->child = (struct blk_req){ .op = BLK_READ,
				      .block = block,
				      .blocks = n / d->geo.block_bytes,
				      .segs = op->segs,
				      .nr_segs = cut_list(op, n),
				      .done = ended,
				      .user = op };
	op->at += n;
	blk_submit(d, &op->child);
	return true;
}

/* A hint that the device has no use for does not reach it. */
static bool asks_device(const struct ds_op *op)
{
	return op->parent->op != BLK_DISCARD || op->file->ds->dev->geo.max_discard_blocks;
}

/* 0, -EAGAIN when the fence is shut, or what the request ends with. */
static int may_go(struct ds_op *op)
{
	struct ds_file *f = op->file;
	unsigned long flags;
	uint64_t epoch;
	bool given;

	if (!changes(op->parent->op) || f->mode == DS_OPEN_SHARED)
		return 0;
	if (f->mode == DS_OPEN_READ)
		return -EROFS;
	flags = spin_lock(&f->lock);
	given = f->given;
	epoch = f->epoch;
	spin_unlock(&f->lock, flags);
	if (given)
		return -ESTALE;
	return ds_may_write(f->ds, epoch) ? 0 : -EAGAIN;
}

/* Extents of the file's own; zeros that hide what is below; neither. */
enum place { AT_EXTENTS, AT_ZEROS, AT_HOLE };

/* Is it for ds_free.c from here on? Else *n is cut where it would be. */
static bool gives_back(const struct ds_op *op, enum place at, uint64_t from, uint64_t *n)
{
	bool hides = at == AT_HOLE && op->file->below && op->parent->op == BLK_WRITE_ZEROES;

	if (!ds_op_frees(op) || (at != AT_EXTENTS && !hides))
		return false;
	if (from % DS_EXTENT == 0 && from / DS_EXTENT < ds_op_whole_end(op))
		return true;
	*n = MIN(*n, DS_EXTENT - from % DS_EXTENT);
	return false;
}

/*
 * Where the rest of op begins, *n bytes that are alike: of extents, they are at byte *pos of the
 * device, and the piece is counted. op->frees is set when these are to be given back,
 * or when nobody knows whether they are there.
 */
static enum place find(struct ds_op *op, uint64_t *pos, uint64_t *n)
{
	struct ds_file *f = op->file;
	uint64_t from = op->parent->block * f->blk.geo.block_bytes + op->at;
	uint32_t physical = 0, count;
	unsigned long flags = spin_lock(&f->lock);
	bool run = ds_runs_find(&f->runs, (uint32_t)(from / DS_EXTENT), &physical, &count);
	enum place at = !run ? AT_HOLE : physical ? AT_EXTENTS : AT_ZEROS;

	*pos = (uint64_t)physical * DS_EXTENT + from % DS_EXTENT;
	*n = MIN((uint64_t)count * DS_EXTENT - from % DS_EXTENT, bytes_of(op) - op->at);
	op->frees = f->unsure ? changes(op->parent->op) : gives_back(op, at, from, n);
	op->phase = f->phase;
	if (at == AT_EXTENTS && !op->frees && asks_device(op))
		f->pieces[op->phase]++;
	spin_unlock(&f->lock, flags);
	return at;
}

/* Does it need an extent that is not there? Zeros do not, where there are zeros. */
static bool fills(const struct ds_op *op, enum place at)
{
	if (op->parent->op == BLK_WRITE)
		return at != AT_EXTENTS;
	return op->parent->op == BLK_WRITE_ZEROES && op->file->below && at == AT_HOLE;
}

void ds_io_go_on(struct ds_op *op)
{
	while (op->at < bytes_of(op)) {
		uint64_t pos, n;
		enum place at;
		int err = may_go(op);

		if (err == -EAGAIN) {
			ds_hold(op);
			return;
		}
		if (err) {
			ds_io_end(op, err);
			return;
		}
		at = find(op, &pos, &n);
		if (op->frees || fills(op, at)) {
			ds_grow_queue(op);
			return;
		}
		if (at == AT_EXTENTS && asks_device(op)) {
			submit_piece(op, pos, n);
			return;
		}
		if (op->parent->op == BLK_READ && at == AT_HOLE && op->file->below &&
		    submit_below(op, n))
			return;
		if (op->parent->op == BLK_READ)
			clear_list(op, n);
		op->at += n;
	}
	ds_io_end(op, 0);
}

static void flush_done(struct blk_req *child)
{
	ds_io_end(child->user, child->status);
}

static void start(struct ds_op *op, struct blk_req *r)
{
	op->parent = r;
	op->at = 0;
	op->frees = op->keeps = false;
	if (r->op != BLK_FLUSH) {
		ds_io_go_on(op);
		return;
	}
	op->child = (struct blk_req){ .op = BLK_FLUSH, .done = flush_done, .user = op };
	blk_submit(op->file->ds->dev, &op->child);
}

/* ---- the pool ---- */

/* The op goes to the next that waits, or back. */
void ds_io_end(struct ds_op *op, int status)
{
	struct ds_file *f = op->file;
	struct blk_req *r = op->parent, *next;
	unsigned long flags;

	/* The op is free before its request ends: from then on the file may be closed. */
	flags = spin_lock(&f->lock);
	next = f->waiting;
	if (next) {
		f->waiting = next->next;
	} else {
		op->next = f->op_free;
		f->op_free = op;
	}
	spin_unlock(&f->lock, flags);
	if (next) {
		next->next = NULL;
		start(op, next);
	}
	blk_complete(r, status);
}

static void submit(struct blkdev *d, struct blk_req *r)
{
	struct ds_file *f = container_of(d, struct ds_file, blk);
	unsigned long flags = spin_lock(&f->lock);
	struct ds_op *op = f->op_free;

	if (op) {
		f->op_free = op->next;
	} else {
		r->next = NULL;
		if (f->waiting)
			f->waiting_last->next = r;
		else
			f->waiting = r;
		f->waiting_last = r;
	}
	spin_unlock(&f->lock, flags);
	if (op)
		start(op, r);
}

static const struct blk_ops ops = { .submit = submit };

void ds_io_init(struct ds_file *f)
{
	const struct blk_geometry *g = &f->ds->dev->geo;

	f->blk.ops = &ops;
	f->blk.driver = "datastore";
	f->blk.geo = *g;
	f->blk.geo.blocks = (f->size + g->block_bytes - 1) / g->block_bytes;
	f->blk.geo.max_discard_blocks = f->blk.geo.max_zeroes_blocks = UINT32_MAX;
	f->blk.geo.queue_depth = DS_OP_POOL;
	f->blk.geo.read_only = f->mode == DS_OPEN_READ || g->read_only;
	blk_setup(&f->blk);
	for (uint32_t i = 0; i < DS_OP_POOL; i++) {
		f->ops[i].file = f;
		f->ops[i].segs = f->segs + (size_t)i * g->max_segs;
		f->ops[i].next = f->op_free;
		f->op_free = &f->ops[i];
	}
}
