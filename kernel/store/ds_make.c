/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files from their making until they are whole: a file that is not is its maker's, who holds its
 * lease, and goes when its host dies. A flat one gets its extents, zeroed unless its maker writes
 * all of it; several become whole in one transaction, one of them under another name, and another
 * file goes with it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

/* So many extents are given to a flat file in one transaction; if at all, they are zeroed after it.
 */
#define FLAT_STEP_EXTENTS 4096u

struct ds_inode *ds_inode_new(struct datastore *ds, const char *name, enum ds_kind kind,
			      uint64_t size, uint32_t flags, uint32_t *index, int *err)
{
	struct ds_inode *n = NULL;
	struct ds_root *root;

	if (ds_lookup(ds, name, index, err))
		*err = -EEXIST;
	if (*err != -ENOENT)
		return NULL;
	*err = ds_index_take(ds, index);
	if (*err)
		return NULL;
	root = ds_edit(ds, ds->super.root_block, DS_MAGIC_ROOT, err);
	if (root)
		n = ds_edit_new(ds, ds_index_block(ds, *index), DS_MAGIC_FILE, err);
	if (n && root->next_id == DS_ID_END)
		*err = -ENFILE;
	if (!n || *err)
		return NULL;
	n->id = root->next_id++;
	n->kind = kind;
	n->flags = flags;
	n->size = size;
	n->created = n->modified = wall_clock_s();
	n->owner_slot = n->next = DS_NONE;
	snprintf(n->name, sizeof(n->name), "%s", name);
	if (flags & DS_FILE_UNFINISHED)
		ds_lease_take(ds, n);
	return n;
}

/* One step of a flat file: more extents, the ones that were not zeroed yet told. */
static int flat_step(struct datastore *ds, const char *name, uint32_t most, struct ds_run *fresh,
		     uint64_t *epoch)
{
	const struct ds_inode *n;
	struct ds_runs r = { .run = NULL };
	uint32_t index = 0, have, filled = 0;
	int err = ds_begin(ds);
	if (err)
		return err;
	*epoch = ds->txn_epoch;
	n = ds_lookup(ds, name, &index, &err);
	if (n)
		err = ds_runs_load(ds, n, &r);
	have = (uint32_t)ds_runs_extents(&r);
	if (!err && have < most)
		err = ds_fill_hole(ds, index, &r, have, MIN(most - have, FLAT_STEP_EXTENTS), NULL,
				   &filled);
	*fresh = (struct ds_run){ .logical = have, .count = filled };
	if (!err && filled) {
		uint32_t row;

		(void)ds_runs_find(&r, have, &fresh->physical, &row);
	}
	ds_runs_fini(&r);
	if (!err)
		return ds_commit(ds);
	ds_abort(ds);
	return err;
}

/* Unfinished until all is zeroed, or written, so what is read of it was never anybody else's. */
static int fill_flat(struct datastore *ds, const char *name, uint64_t size, bool bare)
{
	uint32_t most = (uint32_t)((size + DS_EXTENT - 1) / DS_EXTENT), done = 0;

	while (done < most) {
		struct ds_run fresh;
		uint64_t epoch = 0;
		int err = flat_step(ds, name, most, &fresh, &epoch);

		if (!err && !bare)
			err = ds_zero_extents(ds, epoch, fresh.physical, fresh.count);
		if (err)
			return err;
		done = fresh.logical + fresh.count;
	}
	return 0;
}

static int create(struct datastore *ds, const char *name, enum ds_kind kind, uint64_t size,
		  uint32_t flags, bool bare)
{
	bool flat = kind == DS_KIND_FLAT;
	uint32_t index;
	int err;

	if (!ds_name_ok(name) || size / DS_EXTENT >= DS_NONE || kind == DS_KIND_DELTA)
		return -EINVAL;
	if (flat && size / DS_EXTENT > ds->super.nr_extents)
		return -ENOSPC;
	err = ds_begin(ds);
	if (err)
		return err;
	if (!ds_inode_new(ds, name, kind, size, flags | (flat ? DS_FILE_UNFINISHED : 0), &index,
			  &err)) {
		ds_abort(ds);
		return err;
	}
	err = ds_commit(ds);
	if (err || !flat)
		return err;
	err = fill_flat(ds, name, size, bare);
	if (!err)
		return flags & DS_FILE_UNFINISHED ? 0 : ds_finish(ds, name);
	if (ds_remove(ds, name))
		log_warn("store", "%s: %s is left unfinished until the next mount", ds->super.name,
			 name);
	return err;
}

int ds_create(struct datastore *ds, const char *name, enum ds_kind kind, uint64_t size,
	      uint32_t flags)
{
	return create(ds, name, kind, size, flags, false);
}

int ds_create_bare(struct datastore *ds, const char *name, uint64_t size)
{
	return create(ds, name, DS_KIND_FLAT, size, DS_FILE_UNFINISHED, true);
}

/* ---- whole ---- */

/* What n stands on, as far as it is not whole; as snapshots are, without a lease. */
static int finish_below(struct datastore *ds, const struct ds_inode *n)
{
	struct ds_inode *below;
	uint32_t index;
	int err = 0;

	while (n && n->parent && !err) {
		n = ds_lookup_id(ds, n->parent, &index, &err);
		if (!n || !(n->flags & DS_FILE_UNFINISHED))
			return err;
		below = ds_edit(ds, ds_index_block(ds, index), DS_MAGIC_FILE, &err);
		if (below) {
			below->flags &= ~DS_FILE_UNFINISHED;
			ds_lease_drop(below);
		}
	}
	return err;
}

/* In the transaction: who has it open here, has he its lease still? */
static bool is_writers(struct datastore *ds, const struct ds_inode *n)
{
	const struct ds_file *f = ds_open_writer(ds, n->id);

	return !f || f->generation == n->generation;
}

static struct ds_inode *finish(struct datastore *ds, const char *name, int *err)
{
	uint32_t index;
	const struct ds_inode *is = ds_lookup(ds, name, &index, err);
	struct ds_inode *n;

	if (is && !is_writers(ds, is))
		*err = -ESTALE;
	n = *err ? NULL : ds_edit_free(ds, name, &index, err);
	if (!n)
		return NULL;
	n->flags &= ~DS_FILE_UNFINISHED;
	if (!ds_is_open(ds, n->id))
		ds_lease_drop(n);
	*err = finish_below(ds, n);
	return *err ? NULL : n;
}

static int finish_all(struct datastore *ds, const char *const *name, unsigned n, const char *as)
{
	struct ds_inode *last = NULL;
	uint32_t index;
	int err = 0;

	if (as && ds_lookup(ds, as, &index, &err))
		return -EEXIST;
	if (err && err != -ENOENT)
		return err;
	err = 0;
	for (unsigned i = 0; i < n && !err; i++)
		last = finish(ds, name[i], &err);
	if (last && as) {
		memset(last->name, 0, sizeof(last->name));
		snprintf(last->name, sizeof(last->name), "%s", as);
	}
	return err;
}

int ds_finish_all(struct datastore *ds, const char *const *name, unsigned n, const char *as,
		  const char *gone)
{
	int err = as && !ds_name_ok(as) ? -EINVAL : 0;

	if (!err)
		err = ds_flush(ds); /* their contents, before they can be seen */
	if (!err)
		err = ds_begin(ds);
	if (err)
		return err;
	err = finish_all(ds, name, n, as);
	if (!err)
		err = ds_edit_gone(ds, gone);
	if (!err)
		return ds_commit(ds);
	ds_abort(ds);
	return err;
}

int ds_finish(struct datastore *ds, const char *name)
{
	return ds_finish_all(ds, &name, 1, NULL, NULL);
}
