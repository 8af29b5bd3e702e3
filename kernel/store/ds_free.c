/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extents that an open file gives back: where its user discards, or wants zeros that need no
 * space. In the grower's world, for whole extents; what is beside them goes to the device
 * (ds_io.c). Over a parent the place is marked as zeros, or else it would show what is below.
 *
 * The extents may be another file's as soon as the record holds. So, in this order: the file's
 * requests do not find them any more; those that found them before have ended; the device hears
 * that it may forget them; the commit. Nothing is taken back when the commit fails: whether it
 * holds, nobody knows. What the file does not show may be its own still, with what was there
 * before; so the next request that changes anything looks the runs up in the table first.
 */
#include <errno.h>

#include "kernel/store/ds_int.h"

#define FREE_RUNS 32u /* in one transaction */

struct freed {
	unsigned nr;
	struct ds_run run[FREE_RUNS];
};

static uint64_t begin_of(const struct ds_op *op)
{
	return op->parent->block * op->file->blk.geo.block_bytes;
}

static bool zeroes(const struct ds_op *op)
{
	return op->parent->op == BLK_WRITE_ZEROES;
}

bool ds_op_frees(const struct ds_op *op)
{
	return op->file->frees && !op->keeps &&
	       (op->parent->op == BLK_DISCARD || (zeroes(op) && op->parent->unmap));
}

/* Behind the last whole extent; the file's last one is whole when its end is asked for. */
uint32_t ds_op_whole_end(const struct ds_op *op)
{
	const struct ds_file *f = op->file;
	uint64_t end = begin_of(op) + op->parent->blocks * f->blk.geo.block_bytes;

	return (uint32_t)((end + (end >= f->size ? DS_EXTENT - 1 : 0)) / DS_EXTENT);
}

/* ---- the transaction ---- */

static int load(struct ds_file *f, struct ds_runs *r)
{
	const struct ds_inode *n;
	int err;

	n = ds_inode_at(f->ds, f->index, &err);
	if (!n || n->id != f->id || n->generation != f->generation)
		return err ? err : -EIO;
	return ds_runs_load(f->ds, n, r);
}

/* n extents that are alike, of a run (which may be one of zeros) or a hole of the delta. */
static int drop(struct ds_file *f, struct ds_runs *r, uint32_t logical, uint32_t physical,
		uint32_t n, struct freed *out)
{
	int err = physical ? ds_extents_give(f->ds, physical, n) : 0;

	if (!err && physical)
		err = ds_runs_cut_out(r, logical, n);
	if (!err && f->below)
		err = ds_runs_add(r, logical, DS_ZEROS, n);
	if (!err && physical)
		out->run[out->nr++] = (struct ds_run){ .physical = physical, .count = n };
	return err;
}

/* From extent *at to end, as much as the record takes; *at is where the rest begins. */
static int drop_some(struct ds_op *op, struct ds_runs *r, uint32_t *at, uint32_t end,
		     struct freed *out)
{
	struct ds_file *f = op->file;
	uint32_t start = *at;
	int err = 0;

	while (*at < end && !err) {
		uint32_t physical = 0, n;
		bool there = ds_runs_find(r, *at, &physical, &n);

		n = MIN(MIN(n, end - *at), DS_MAP_EXTENTS);
		if (physical || (!there && f->below && zeroes(op))) {
			if (out->nr == FREE_RUNS || ds_room(f->ds) < ds_room_for(r->nr + 2, n))
				break;
			err = drop(f, r, *at, physical, n, out);
		}
		*at += n;
	}
	return err || *at > start ? err : -EFBIG;
}

/* ---- requests of before ---- */

/* From now on requests find these runs; returns when nobody is at work by the old ones. */
static void show(struct ds_file *f, struct ds_runs *fresh)
{
	unsigned long flags = spin_lock(&f->lock);
	struct ds_runs old = f->runs;
	unsigned before = f->phase;

	f->runs = *fresh;
	f->phase = !before;
	while (f->pieces[before])
		(void)waitq_sleep(&f->drained, &f->lock, &flags, NEVER_NS);
	spin_unlock(&f->lock, flags);
	*fresh = old;
}

/* The device's own space; that it fails, or cannot, changes nothing. */
static void tell_device(struct datastore *ds, const struct freed *freed)
{
	uint64_t per_extent = DS_EXTENT / ds->dev->geo.block_bytes;
	uint64_t most = ds->dev->geo.max_discard_blocks;

	for (unsigned i = 0; i < freed->nr && most; i++) {
		uint64_t at = freed->run[i].physical * per_extent;
		uint64_t end = at + freed->run[i].count * per_extent;

		while (at < end && ds_may_write(ds, ds->txn_epoch)) {
			struct blk_req r = { .op = BLK_DISCARD,
					     .block = at,
					     .blocks = MIN(most, end - at) };

			at += r.blocks;
			if (blk_wait(ds->dev, &r))
				return;
		}
	}
}

static void set_unsure(struct ds_file *f, bool unsure)
{
	unsigned long flags = spin_lock(&f->lock);

	f->unsure = unsure;
	spin_unlock(&f->lock, flags);
}

/* A transaction that begins knows what became of the one before. */
static int look_up(struct ds_file *f)
{
	struct ds_runs r = { .run = NULL };
	int err = ds_begin(f->ds);

	if (err)
		return err;
	err = load(f, &r);
	ds_abort(f->ds);
	if (err) {
		ds_runs_fini(&r);
		return err;
	}
	ds_file_show(f, f->size, &r);
	set_unsure(f, false);
	return 0;
}

/* The record is full, or the runs of the file are: its extents stay, and are zeroed. */
static bool no_room(int err)
{
	return err == -EFBIG || err == -ENOBUFS || err == -ENFILE;
}

int ds_free(struct ds_op *op)
{
	struct ds_file *f = op->file;
	uint32_t at = (uint32_t)((begin_of(op) + op->at) / DS_EXTENT), end = ds_op_whole_end(op);
	struct ds_runs fresh = { .run = NULL };
	struct freed freed = { .nr = 0 };
	int err;

	if (f->unsure)
		return look_up(f);
	ds_file_promise(f, 0, 0); /* what was written may be a hole again */
	err = ds_begin(f->ds);
	if (err)
		return err;
	/* Who reads it here by itself has its runs too. */
	err = ds_opens(f->ds, f->id) > 1 ? -EFBIG : load(f, &fresh);
	if (!err)
		err = drop_some(op, &fresh, &at, end, &freed);
	if (!err)
		err = ds_runs_store(f->ds, f->index, &fresh);
	if (err) {
		ds_abort(f->ds);
	} else {
		show(f, &fresh);
		tell_device(f->ds, &freed);
		err = ds_commit(f->ds);
		set_unsure(f, err);
	}
	ds_runs_fini(&fresh);
	if (no_room(err)) {
		op->keeps = true;
		return 0;
	}
	if (!err)
		op->at = MIN((uint64_t)at * DS_EXTENT - begin_of(op),
			     op->parent->blocks * f->blk.geo.block_bytes);
	return err;
}
