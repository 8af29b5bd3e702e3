/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files that grow and shrink. What is beyond an old end reads as zeros from then on: what a
 * shrinking left in the last extent, or what broke off left behind it, goes before the file
 * grows; over a parent zeros hide what that has there.
 */
#include <errno.h>

#include "kernel/store/ds_int.h"

static uint32_t extents(uint64_t size)
{
	return (uint32_t)((size + DS_EXTENT - 1) / DS_EXTENT);
}

void ds_file_show(struct ds_file *f, uint64_t size, struct ds_runs *r)
{
	unsigned long flags = spin_lock(&f->lock);
	struct ds_runs old = f->runs;

	f->runs = *r;
	f->size = size;
	f->blk.geo.blocks = (size + f->blk.geo.block_bytes - 1) / f->blk.geo.block_bytes;
	spin_unlock(&f->lock, flags);
	ds_runs_fini(&old);
}

/*
 * A transaction by change(), which has the file's runs and gives the size that it comes to; -EAGAIN
 * when it has to come again.
 */
static int step(struct ds_file *f, uint64_t size,
		int (*change)(struct ds_file *f, struct ds_inode *n, struct ds_runs *r,
			      uint64_t size))
{
	struct ds_runs r = { .run = NULL };
	struct ds_inode *n = NULL;
	int err = ds_begin(f->ds), more;

	if (err)
		return err;
	n = ds_edit_mine(f, &err);
	if (n)
		err = ds_runs_load(f->ds, n, &r);
	more = err ? err : change(f, n, &r, size);
	if (more && more != -EAGAIN) {
		ds_abort(f->ds);
		ds_runs_fini(&r);
		return more;
	}
	size = n->size;
	err = ds_commit(f->ds);
	if (!err) {
		ds_file_show(f, size, &r);
		return more;
	}
	ds_runs_fini(&r);
	ds_file_doubt(f);
	return err;
}

static int shrink(struct ds_file *f, struct ds_inode *n, struct ds_runs *r, uint64_t size)
{
	n->size = size;
	return ds_cut(f->ds, f->index, r, extents(size));
}

/* ---- growing ---- */

/* The delta's last extent, where it is a hole whose rest the parent has. */
static int fill_last(struct ds_file *f, struct ds_inode *n, struct ds_runs *r, uint64_t size)
{
	uint32_t last = extents(f->size) - 1, physical, count;

	(void)n;
	(void)size;
	if (ds_runs_find(r, last, &physical, &count))
		return 0;
	return ds_fill_hole(f->ds, f->index, r, last, 1, f, &count);
}

/* What is behind the end in the last extent; durable before a size can show it. */
static int zero_tail(struct ds_file *f)
{
	uint32_t logical = (uint32_t)(f->size / DS_EXTENT), physical, count;
	uint64_t in = f->size % DS_EXTENT;
	int err;

	if (!in || !ds_runs_find(&f->runs, logical, &physical, &count) || !physical)
		return 0;
	err = ds_zero_blocks(f->ds, f->epoch, ((uint64_t)physical * DS_EXTENT + in) / DS_BLOCK,
			     (DS_EXTENT - in) / DS_BLOCK);
	return err ? err : ds_flush(f->ds);
}

static int enlarge(struct ds_file *f, struct ds_inode *n, struct ds_runs *r, uint64_t size)
{
	uint32_t from = extents(f->size), hidden = 0;
	int err = ds_cut(f->ds, f->index, r, from);

	if (err)
		return err;
	if (f->below)
		hidden = MIN(extents(size), extents(f->below->size));
	if (hidden > from)
		err = ds_runs_add(r, from, DS_ZEROS, hidden - from);
	n->size = size;
	return err ? err : ds_runs_store(f->ds, f->index, r);
}

/* Before the size grows: nothing behind the old end is to be seen. */
static int clear_behind(struct ds_file *f)
{
	int err = 0;

	if (f->below && f->size % DS_EXTENT)
		err = step(f, f->size, fill_last);
	if (!err)
		err = zero_tail(f);
	return err;
}

int ds_resize(struct ds_file *f, uint64_t size)
{
	bool grows;
	int err = 0;

	if (f->mode == DS_OPEN_READ || size / DS_EXTENT >= DS_NONE || size % DS_BLOCK ||
	    f->size % DS_BLOCK)
		return -EINVAL;
	ds_turn_take(&f->turn); /* another resizing may be under way */
	blk_quiesce(&f->blk);
	grows = size > f->size;
	if (grows)
		err = clear_behind(f);
	if (!err)
		do
			err = step(f, size, grows ? enlarge : shrink);
		while (err == -EAGAIN);
	blk_resume(&f->blk);
	ds_turn_end(&f->turn);
	return err;
}
