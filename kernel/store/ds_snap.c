/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots. The file keeps its name and becomes a delta, empty at first, whose
 * holes show what it was; that goes on under the snapshot's name and is not written any
 * more. Deltas have the datastore's extents as their grains, so one mechanism gives space
 * to holes in thin files and in deltas, and deleting a snapshot (ds_merge.c) copies nothing.
 *
 * All of it works while the file is written here: its requests wait for a moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "kernel/store/ds_int.h"

/* ---- taking one ---- */

unsigned ds_depth(struct datastore *ds, const struct ds_inode *n)
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
static int split(const struct ds_snap *s, uint32_t *old, uint32_t *top)
{
	const char *name = s->name, *as = s->as;
	struct datastore *ds = s->ds;
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
	if (n->flags != (s->part ? DS_FILE_UNFINISHED : 0))
		return -EINVAL; /* several write it, or it is not whole */
	if (ds_open_writer(ds, n->id) != s->held)
		return -EBUSY; /* opened meanwhile */
	if (ds_depth(ds, n) + 1 >= DS_DEPTH_MAX)
		return -EMLINK;
	memset(n->name, 0, sizeof(n->name));
	snprintf(n->name, sizeof(n->name), "%s", as);
	d = ds_inode_new(ds, name, DS_KIND_DELTA, n->size, n->flags, top, &err);
	if (!d)
		return err;
	d->parent = n->id;
	if (s->part)
		return 0; /* both have this host's lease, as what is unfinished has */
	if (ds_lease_of(ds, n) == DS_LEASE_MINE)
		ds_lease_take(ds, d);
	/* A dead host's too: it must not find it when it comes back. */
	ds_lease_drop(n);
	return 0;
}

/* f, open and quiet, was the file; now it is the delta, and below is what the file was. */
static void become(struct ds_file *f, struct ds_file *below, const struct ds_inode *d, uint32_t top)
{
	unsigned long ds_flags = spin_lock(&f->ds->lock), flags = spin_lock(&f->lock);

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
	f->frees = true;
	spin_unlock(&f->lock, flags);
	spin_unlock(&f->ds->lock, ds_flags);
	ds_io_init(below);
	ds_file_enlist(below);
}

static int snapshot(const struct ds_snap *s)
{
	struct datastore *ds = s->ds;
	struct ds_file *f = s->held;
	struct ds_file *below = f ? ds_file_new(ds, DS_OPEN_READ) : NULL;
	uint32_t old, top;
	struct ds_inode d;
	int err = f && !below ? -ENOMEM : ds_begin(ds);

	if (err)
		goto out;
	err = split(s, &old, &top);
	if (err) {
		ds_abort(ds);
		goto out;
	}
	d = *(const struct ds_inode *)ds_get(ds, ds_index_block(ds, top), DS_MAGIC_FILE, &err);
	if (below)
		snprintf(below->name, sizeof(below->name), "%s", s->as);
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

static bool is_twice(const struct ds_snap *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (s[i].ds == s[n].ds && !strcmp(s[i].name, s[n].name))
			return true;
	return false;
}

/* Its requests wait from here on, if it is open. */
static int hold(struct ds_snap *s)
{
	struct ds_entry e;
	int err = ds_name_ok(s->as) ? ds_stat(s->ds, s->name, &e) : -EINVAL;

	s->held = err ? NULL : ds_writer_hold(s->ds, e.id, false);
	if (!s->held)
		return err;
	if (s->held->kept) {
		ds_writer_release(s->held);
		return -EALREADY;
	}
	blk_quiesce(&s->held->blk);
	return 0;
}

static void let_go(struct ds_snap *s)
{
	if (!s->held)
		return;
	blk_resume(&s->held->blk);
	ds_writer_release(s->held);
}

static void take_back(const struct ds_snap *s, unsigned n)
{
	while (n--)
		if (ds_snapshot_delete(s[n].ds, s[n].as))
			log_warn("store", "%s: snapshot %s is left: 'datastore merge' deletes it",
				 s[n].ds->super.name, s[n].as);
}

int ds_snapshot_all(struct ds_snap *s, unsigned n, unsigned *failed)
{
	unsigned held = 0, taken = 0;
	int err = 0;

	for (; held < n && !err; held++)
		err = is_twice(s, held) ? -EINVAL : hold(&s[held]);
	*failed = err ? held - 1 : 0;
	if (err)
		held--;
	for (; taken < n && !err; taken++)
		err = snapshot(&s[taken]);
	if (err && taken)
		*failed = --taken;
	while (held)
		let_go(&s[--held]);
	if (err)
		take_back(s, taken);
	return err;
}

int ds_snapshot(struct datastore *ds, const char *name, const char *as)
{
	struct ds_snap s = { .ds = ds, .name = name, .as = as };
	unsigned failed;

	return ds_snapshot_all(&s, 1, &failed);
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
