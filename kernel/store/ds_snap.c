/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots. The file keeps its name and becomes a delta, empty at first, whose
 * holes show what it was; that goes on under the snapshot's name and is not written any
 * more. Deltas have the datastore's extents as their grains, so one mechanism gives space
 * to holes in thin files and in deltas, and deleting a snapshot moves extents from one
 * file's block to another's: nothing is copied, whatever its size.
 *
 * All of it works while the file is written here: its requests wait for a moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

#define STEP_RUNS 64u /* moved in one transaction */

/* ---- taking one ---- */

static unsigned depth_of(struct datastore *ds, const struct ds_inode *n)
{
	unsigned depth = 1;

	while (n && n->parent && depth < DS_DEPTH_MAX) {
		uint32_t index;
		int err;

		n = ds_lookup_id(ds, n->parent, &index, &err);
		depth++;
	}
	return depth;
}

/* The transaction: the file at *old gets the snapshot's name, a delta its own. */
static int split(struct datastore *ds, const char *name, const char *as, struct ds_file *f,
		 uint32_t *old, uint32_t *top)
{
	struct ds_inode *n, *d;
	uint32_t taken;
	int err;

	if (ds_lookup(ds, as, &taken, &err))
		return -EEXIST;
	if (err != -ENOENT)
		return err;
	n = ds_edit_free(ds, name, old, &err);
	if (!n)
		return err;
	if (n->flags)
		return -EINVAL; /* several write it, or it is not whole */
	if (ds_open_writer(ds, n->id) != f)
		return -EBUSY; /* opened meanwhile */
	if (depth_of(ds, n) + 1 >= DS_DEPTH_MAX)
		return -EMLINK;
	memset(n->name, 0, sizeof(n->name));
	snprintf(n->name, sizeof(n->name), "%s", as);
	d = ds_inode_new(ds, name, DS_KIND_DELTA, n->size, 0, top, &err);
	if (!d)
		return err;
	d->parent = n->id;
	if (ds_lease_of(ds, n) == DS_LEASE_MINE)
		ds_lease_take(ds, d);
	/* A dead host's too: it must not find it when it comes back. */
	ds_lease_drop(n);
	return 0;
}

/* f, open and quiet, was the file; now it is the delta, and below is what the file was. */
static void become(struct ds_file *f, struct ds_file *below, const struct ds_inode *d, uint32_t top)
{
	unsigned long flags = spin_lock(&f->lock);

	below->runs = f->runs;
	below->id = f->id;
	below->index = f->index;
	below->size = f->size;
	below->below = f->below;
	f->runs = (struct ds_runs){ .run = NULL };
	f->id = d->id;
	f->index = top;
	f->generation = d->generation;
	f->below = below;
	spin_unlock(&f->lock, flags);
	ds_io_init(below);
	ds_file_enlist(below);
}

static int snapshot(struct datastore *ds, const char *name, const char *as, struct ds_file *f)
{
	struct ds_file *below = f ? ds_file_new(ds, DS_OPEN_READ) : NULL;
	uint32_t old, top;
	struct ds_inode d;
	int err = f && !below ? -ENOMEM : ds_begin(ds);

	if (err)
		goto out;
	err = split(ds, name, as, f, &old, &top);
	if (err) {
		ds_abort(ds);
		goto out;
	}
	d = *(const struct ds_inode *)ds_get(ds, ds_index_block(ds, top), DS_MAGIC_FILE, &err);
	if (below)
		snprintf(below->name, sizeof(below->name), "%s", as);
	err = ds_commit(ds);
	if (!err && f) {
		become(f, below, &d, top);
		return 0;
	}
	if (err && f)
		ds_file_doubt(f); /* it may have happened: the log says so later */
out:
	if (below)
		ds_file_free(below);
	return err;
}

int ds_snapshot(struct datastore *ds, const char *name, const char *as)
{
	struct ds_entry e;
	struct ds_file *f;
	int err = ds_name_ok(as) ? ds_stat(ds, name, &e) : -EINVAL;

	if (err)
		return err;
	f = ds_open_writer(ds, e.id);
	if (f)
		blk_quiesce(&f->blk);
	err = snapshot(ds, name, as, f);
	if (f)
		blk_resume(&f->blk);
	return err;
}

/* ---- going back to one ---- */

static bool stands_on(struct datastore *ds, const struct ds_inode *n, uint64_t id)
{
	for (unsigned depth = 0; n && n->parent && depth < DS_DEPTH_MAX; depth++) {
		uint32_t index;
		int err;

		if (n->parent == id)
			return true;
		n = ds_lookup_id(ds, n->parent, &index, &err);
	}
	return false;
}

static int swap(struct datastore *ds, const char *name, const char *snap, const char *aside)
{
	const struct ds_inode *s;
	struct ds_inode *n, *d;
	uint32_t index, at, child;
	uint64_t id, size;
	int err;

	s = ds_lookup(ds, snap, &at, &err);
	if (!s)
		return err;
	id = s->id;
	size = s->size;
	n = ds_edit_free(ds, name, &index, &err);
	if (!n)
		return err;
	if (n->id == id || ds_is_open(ds, n->id) || ds_children(ds, n->id, &child, &err))
		return err ? err : -EBUSY;
	if (!stands_on(ds, n, id))
		return -EINVAL; /* no snapshot of this file */
	if (s->flags & DS_FILE_MERGING)
		return -EBUSY;
	memset(n->name, 0, sizeof(n->name));
	snprintf(n->name, sizeof(n->name), "%s", aside);
	n->flags |= DS_FILE_UNFINISHED;
	ds_lease_take(ds, n);
	d = ds_inode_new(ds, name, DS_KIND_DELTA, size, 0, &index, &err);
	if (d)
		d->parent = id;
	return err;
}

int ds_snapshot_revert(struct datastore *ds, const char *name, const char *snap)
{
	char aside[DS_FILE_NAME];
	int err;

	if (snprintf(aside, sizeof(aside), "%s.old", name) >= (int)sizeof(aside))
		return -EINVAL;
	err = ds_begin(ds);
	if (err)
		return err;
	err = swap(ds, name, snap, aside);
	if (err) {
		ds_abort(ds);
		return err;
	}
	err = ds_commit(ds);
	return err ? err : ds_remove(ds, aside);
}

/* ---- deleting one ---- */

struct merge {
	struct ds_runs from, to; /* the snapshot's and its child's */
	uint32_t from_index, to_index;
	uint32_t end; /* extents of the child */
};

/* The last run of `from`: where `to` has a hole it goes there, else its extents are free. */
static int move_run(struct datastore *ds, struct merge *m, struct ds_run run)
{
	int err = 0;

	while (run.count && !err) {
		uint32_t physical, n;
		bool there = ds_runs_find(&m->to, run.logical, &physical, &n);

		n = MIN(n, run.count);
		if (run.logical >= m->end)
			there = true; /* the child is shorter */
		else
			n = MIN(n, m->end - run.logical);
		if (there)
			err = ds_extents_give(ds, run.physical, n);
		else
			err = ds_runs_add(&m->to, run.logical, run.physical, n);
		run.logical += n;
		run.physical += n;
		run.count -= n;
	}
	return err;
}

static int merge_some(struct datastore *ds, struct merge *m)
{
	/* Both chains of blocks, root, and maps for one more run. */
	unsigned keep = 8 + (m->from.nr + m->to.nr) / DS_MORE_RUNS;
	uint32_t before = m->from.nr;
	int err = 0;

	for (uint32_t i = 0; i < STEP_RUNS && m->from.nr && ds_room(ds) > keep && !err; i++)
		err = move_run(ds, m, m->from.run[--m->from.nr]);
	if (!err && before && m->from.nr == before)
		err = -EFBIG; /* the record has no room for both chains and a run */
	if (!err)
		err = ds_runs_store(ds, m->to_index, &m->to);
	return err ? err : ds_runs_store(ds, m->from_index, &m->from);
}

/* From its first step on the snapshot is not what it was, and is good for the rest of this alone.
 */
static int mark(struct datastore *ds, uint32_t index)
{
	struct ds_inode *n;
	int err;

	n = ds_edit(ds, ds_index_block(ds, index), DS_MAGIC_FILE, &err);
	if (n)
		n->flags |= DS_FILE_MERGING;
	return err;
}

/* The child takes the snapshot's place in the chain, and the snapshot goes. */
static int unlink_it(struct datastore *ds, const struct merge *m)
{
	const struct ds_inode *s;
	struct ds_inode *c;
	int err;

	s = ds_inode_at(ds, m->from_index, &err);
	c = s ? ds_edit(ds, ds_index_block(ds, m->to_index), DS_MAGIC_FILE, &err) : NULL;
	if (!c)
		return err ? err : -ENOENT;
	c->parent = s->parent;
	c->kind = s->kind;
	return ds_index_give(ds, m->from_index);
}

/* One transaction; -EAGAIN while there is more. Without a child it is a removal. */
static int merge_step(struct datastore *ds, const char *snap, struct ds_file *child)
{
	struct merge m = { .from = { .run = NULL } };
	const struct ds_inode *s, *c;
	bool rest;
	int err;

	s = ds_lookup(ds, snap, &m.from_index, &err);
	if (!s)
		return err;
	if (ds_children(ds, s->id, &m.to_index, &err) != 1)
		return err ? err : -EBUSY;
	c = ds_inode_at(ds, m.to_index, &err);
	if (c)
		err = ds_lease_free(ds, c);
	if (c && !err && (child ? child->id != c->id : ds_is_open(ds, c->id)))
		err = -EBUSY;
	if (err)
		return err;
	m.end = (uint32_t)((c->size + DS_EXTENT - 1) / DS_EXTENT);
	err = mark(ds, m.from_index);
	s = err ? NULL : ds_inode_at(ds, m.from_index, &err);
	if (!s)
		return err;
	err = ds_runs_load(ds, s, &m.from);
	if (!err)
		err = ds_runs_load(ds, c, &m.to);
	if (!err)
		err = merge_some(ds, &m);
	rest = m.from.nr;
	if (!err && !rest)
		err = unlink_it(ds, &m);
	ds_runs_fini(&m.from);
	ds_runs_fini(&m.to);
	return err ? err : rest ? -EAGAIN : 0;
}

/* The child is open and quiet: what it and the file below it have, as the table says now. */
static int reload(struct ds_file *f, bool gone)
{
	struct datastore *ds = f->ds;
	struct ds_file *below = f->below;
	struct ds_runs fresh[2] = { { .run = NULL }, { .run = NULL } }, old;
	const struct ds_inode *n;
	unsigned long flags;
	int err;

	n = ds_inode_at(ds, f->index, &err);
	if (n)
		err = ds_runs_load(ds, n, &fresh[0]);
	n = err || gone ? NULL : ds_inode_at(ds, below->index, &err);
	if (n)
		err = ds_runs_load(ds, n, &fresh[1]);
	if (err) {
		ds_runs_fini(&fresh[0]);
		return err;
	}
	flags = spin_lock(&f->lock);
	old = f->runs;
	f->runs = fresh[0];
	if (gone)
		f->below = below->below;
	spin_unlock(&f->lock, flags);
	ds_runs_fini(&old);
	old = below->runs; /* only f reads it, and f is quiet */
	below->runs = fresh[1];
	ds_runs_fini(&old);
	if (gone) {
		ds_file_forget(below);
		ds_file_free(below);
	}
	return 0;
}

/* With f's requests held. */
static int merge(struct datastore *ds, const char *snap, struct ds_file *f)
{
	int more, err;

	do {
		err = ds_begin(ds);
		if (err)
			return err;
		more = merge_step(ds, snap, f);
		if (more && more != -EAGAIN) {
			ds_abort(ds);
			return more;
		}
		err = ds_commit(ds);
		if (!err && f)
			err = ds_begin(ds);
		if (!err && f) {
			err = reload(f, !more);
			ds_abort(ds);
		}
		if (err && f)
			ds_file_doubt(f);
	} while (!err && more);
	return err;
}

/* The file that has snap right below it and is written here. */
static struct ds_file *child_here(struct datastore *ds, uint64_t id)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct ds_file *f = ds->files;

	while (f && (!f->below || f->below->id != id))
		f = f->next;
	spin_unlock(&ds->lock, flags);
	return f && f->mode == DS_OPEN_WRITE ? f : NULL;
}

int ds_snapshot_delete(struct datastore *ds, const char *snap)
{
	struct ds_entry e;
	struct ds_file *f;
	uint32_t child;
	unsigned children;
	int err = ds_stat(ds, snap, &e);

	if (!err)
		err = ds_begin(ds);
	if (err)
		return err;
	children = ds_children(ds, e.id, &child, &err);
	ds_abort(ds);
	if (err || !children)
		return err ? err : -ENOTSUP; /* nothing stands on it: it is a file as others */
	f = child_here(ds, e.id);
	if (ds_opens(ds, e.id) > (f ? 1u : 0u))
		return -EBUSY; /* somebody reads it by itself */
	if (f)
		blk_quiesce(&f->blk);
	err = merge(ds, snap, f);
	if (f)
		blk_resume(&f->blk);
	return err;
}
