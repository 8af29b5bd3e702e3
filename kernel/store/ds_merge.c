/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot is deleted: what stands on it takes over its extents where it has none of its
 * own, transaction after transaction, from one file's block to the other's. Nothing is
 * copied, whatever its size. While the file is written here its requests wait.
 */
#include <errno.h>

#include "kernel/store/ds_int.h"

#define STEP_RUNS 64u /* moved in one transaction */

struct merge {
	struct ds_runs from, to; /* the snapshot's and its child's */
	uint32_t from_index, to_index;
	uint32_t end; /* extents of the child */
	bool bottom;  /* nothing is below the snapshot */
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
		if (there && run.physical)
			err = ds_extents_give(ds, run.physical, n);
		else if (!there && (run.physical || !m->bottom))
			err = ds_runs_add(&m->to, run.logical, run.physical, n);
		run.logical += n;
		run.physical += run.physical ? n : 0;
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

/* Some of it was given back: it is flat no more. */
static bool has_zeros(const struct ds_runs *r)
{
	uint32_t i = 0;

	while (i < r->nr && r->run[i].physical)
		i++;
	return i < r->nr;
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
	c->kind = s->kind == DS_KIND_FLAT && has_zeros(&m->to) ? DS_KIND_THIN : s->kind;
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
	/* From the mark on it is opened by nobody; who has it open by itself would read on. */
	if (!err && !(s->flags & DS_FILE_MERGING) && ds_opens(ds, s->id) > (child ? 1u : 0u))
		err = -EBUSY;
	if (err)
		return err;
	m.end = (uint32_t)((c->size + DS_EXTENT - 1) / DS_EXTENT);
	m.bottom = !s->parent;
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
	unsigned long ds_flags, flags;
	int err;

	n = ds_inode_at(ds, f->index, &err);
	if (n) {
		f->frees = n->kind != DS_KIND_FLAT;
		err = ds_runs_load(ds, n, &fresh[0]);
	}
	n = err || gone ? NULL : ds_inode_at(ds, below->index, &err);
	if (n)
		err = ds_runs_load(ds, n, &fresh[1]);
	if (err) {
		ds_runs_fini(&fresh[0]);
		return err;
	}
	ds_flags = spin_lock(&ds->lock);
	flags = spin_lock(&f->lock);
	old = f->runs;
	f->runs = fresh[0];
	if (gone)
		f->below = below->below;
	spin_unlock(&f->lock, flags);
	spin_unlock(&ds->lock, ds_flags);
	ds_runs_fini(&old);
	old = below->runs; /* only f reads it, and f is quiet */
	below->runs = fresh[1];
	ds_runs_fini(&old);
	if (gone) {
		ds_file_forget(below);
		ds_file_put(below);
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
	f = ds_writer_hold(ds, e.id, true);
	if (f && f->kept) {
		ds_writer_release(f);
		return -EALREADY;
	}
	if (f)
		blk_quiesce(&f->blk);
	/* Else somebody reads it by itself. */
	err = ds_opens(ds, e.id) > (f ? 1u : 0u) ? -EBUSY : merge(ds, snap, f);
	if (!f)
		return err;
	blk_resume(&f->blk);
	ds_writer_release(f);
	return err;
}
