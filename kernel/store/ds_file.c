/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files (ds_open.c): what they have where, and giving the lease up.
 */
#include <errno.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

/* ---- the lease ---- */

struct ds_inode *ds_edit_mine(struct ds_file *f, int *err)
{
	struct datastore *ds = f->ds;
	const struct ds_inode *n = ds_inode_at(ds, f->index, err);

	if (!n || n->id != f->id || n->generation != f->generation) {
		*err = *err ? *err : -ESTALE;
		return NULL;
	}
	return ds_edit(ds, ds_index_block(ds, f->index), DS_MAGIC_FILE, err);
}

static int drop_lease(struct ds_file *f)
{
	struct ds_inode *n;
	int err = ds_begin(f->ds);

	if (err)
		return err;
	n = ds_edit_mine(f, &err);
	if (!n) {
		ds_abort(f->ds);
		return err;
	}
	n->modified = wall_clock_s();
	if (!(n->flags & DS_FILE_UNFINISHED))
		ds_lease_drop(n);
	return ds_commit(f->ds);
}

void ds_close(struct ds_file *f)
{
	struct datastore *ds = f->ds;
	int err;

	ds_turn_take(&f->turn); /* a snapshot may be under way */
	blk_quiesce(&f->blk);
	err = f->mode == DS_OPEN_WRITE && !f->given ? drop_lease(f) : 0;
	if (err)
		log_warn("store",
			 "%s: lease of %s is not given up (error %d): it ends with this mount",
			 ds->super.name, f->name, -err);
	ds_turn_take(&ds->turn); /* ds_revalidate may be looking at it */
	ds_file_end(f);
	ds_turn_end(&ds->turn);
	ds_writer_release(f);
}

void ds_file_doubt(struct ds_file *f)
{
	unsigned long flags = spin_lock(&f->lock);

	f->given = true;
	spin_unlock(&f->lock, flags);
	log_error("store",
		  "%s: a change of %s broke off: it is not written before it is opened anew",
		  f->ds->super.name, f->name);
}

/* ---- what there is ---- */

struct blkdev *ds_file_blk(struct ds_file *f)
{
	return &f->blk;
}

uint64_t ds_file_size(const struct ds_file *f)
{
	return f->size;
}

struct datastore *ds_file_store(const struct ds_file *f)
{
	return f->ds;
}

void ds_file_promise(struct ds_file *f, uint64_t from, uint64_t to)
{
	unsigned long flags = spin_lock(&f->lock);

	f->promise_from = (from + DS_EXTENT - 1) / DS_EXTENT;
	f->promise_to = to >= f->size ? (f->size + DS_EXTENT - 1) / DS_EXTENT : to / DS_EXTENT;
	spin_unlock(&f->lock, flags);
}

enum ds_own ds_file_own(struct ds_file *f, uint64_t at, uint64_t *bytes)
{
	uint64_t left = at < f->size ? f->size - at : 0;
	unsigned long flags = spin_lock(&f->lock);
	uint32_t physical, count;
	bool found = ds_runs_find(&f->runs, (uint32_t)(at / DS_EXTENT), &physical, &count);

	spin_unlock(&f->lock, flags);
	*bytes = MIN(left, (uint64_t)count * DS_EXTENT - at % DS_EXTENT);
	return !found ? DS_OWN_NOTHING : physical ? DS_OWN_EXTENTS : DS_OWN_ZEROS;
}

void ds_file_keep_chain(struct ds_file *f, bool keep)
{
	ds_turn_take(&f->turn);
	f->kept = keep;
	ds_turn_end(&f->turn);
}
