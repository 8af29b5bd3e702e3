/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files by name: listing, making, removing, renaming.
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

static int describe(struct datastore *ds, const struct ds_inode *n, struct ds_entry *out)
{
	struct ds_runs r;
	int err = ds_runs_load(ds, n, &r);

	if (err)
		return err;
	ds_describe(ds, n, &r, out);
	ds_runs_fini(&r);
	return 0;
}

int ds_list(struct datastore *ds, uint32_t *cursor, struct ds_entry *out)
{
	uint32_t high;
	int err = ds_begin(ds);

	if (err)
		return err;
	high = ds_table_high(ds, &err);
	while (!err && *cursor < high) {
		const struct ds_inode *n = ds_inode_at(ds, (*cursor)++, &err);

		if (err == -EBADMSG)
			err = 0; /* ds_check tells of it */
		if (n) {
			err = describe(ds, n, out);
			ds_abort(ds);
			return err;
		}
	}
	ds_abort(ds);
	return err ? err : -ENOENT;
}

static int stat_found(struct datastore *ds, const char *name, uint64_t id, struct ds_entry *out)
{
	const struct ds_inode *n;
	uint32_t index;
	int err = ds_begin(ds);

	if (err)
		return err;
	n = name ? ds_lookup(ds, name, &index, &err) : ds_lookup_id(ds, id, &index, &err);
	if (n)
		err = describe(ds, n, out);
	ds_abort(ds);
	return err;
}

int ds_stat(struct datastore *ds, const char *name, struct ds_entry *out)
{
	return stat_found(ds, name, 0, out);
}

int ds_stat_id(struct datastore *ds, uint64_t id, struct ds_entry *out)
{
	return stat_found(ds, NULL, id, out);
}

int ds_info(struct datastore *ds, struct ds_info *out)
{
	const struct ds_root *root;
	int err = ds_begin(ds);

	if (err)
		return err;
	root = ds_get(ds, ds->super.root_block, DS_MAGIC_ROOT, &err);
	*out = (struct ds_info){ .total_bytes = ds->super.nr_extents * DS_EXTENT,
				 .free_bytes = root ? root->free_extents * DS_EXTENT : 0,
				 .files_most = ds->super.table_blocks,
				 .slots_most = ds->super.nr_slots,
				 .lease_ms = ds->super.lease_ms,
				 .io_timeout_ms = ds->super.io_timeout_ms,
				 .writable = ds_may_write(ds, ds_epoch(ds)) };
	snprintf(out->name, sizeof(out->name), "%s", ds->super.name);
	memcpy(out->id, ds->super.head.ds, sizeof(out->id));
	ds_abort(ds);
	return err;
}

struct blkdev *ds_device(struct datastore *ds)
{
	return ds->dev;
}

int ds_host_at(struct datastore *ds, unsigned slot, struct ds_host_info *out)
{
	const struct ds_slot *s;
	int err;

	if (slot >= ds->super.nr_slots)
		return -ENOENT;
	err = ds_begin(ds);
	if (err)
		return err;
	s = ds_slot_in(ds->slots, slot);
	*out = (struct ds_host_info){ .mounted = s->state == DS_SLOT_MOUNTED,
				      .alive = ds_slot_alive(ds, slot, s->incarnation),
				      .self = slot == ds->slot };
	memcpy(out->name, s->name, sizeof(out->name) - 1);
	ds_abort(ds);
	return 0;
}

/* ---- making ---- */

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

/* ---- changing ---- */

/* A file that no other host writes, to change in the transaction that is open. */
struct ds_inode *ds_edit_free(struct datastore *ds, const char *name, uint32_t *index, int *err)
{
	const struct ds_inode *n = ds_lookup(ds, name, index, err);

	if (!n)
		return NULL;
	*err = ds_lease_free(ds, n);
	return *err ? NULL : ds_edit(ds, ds_index_block(ds, *index), DS_MAGIC_FILE, err);
}

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

void ds_debris(struct datastore *ds, struct ds_inode *n)
{
	n->flags |= DS_FILE_UNFINISHED;
	if (ds_lease_of(ds, n) != DS_LEASE_MINE)
		ds_lease_take(ds, n);
}

int ds_edit_gone(struct datastore *ds, const char *name)
{
	uint32_t index;
	int err = 0;
	struct ds_inode *n = name ? ds_edit_free(ds, name, &index, &err) : NULL;

	if (n)
		ds_debris(ds, n);
	return err;
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

/* One transaction of a removal; -EAGAIN while there is more. */
static int remove_step(struct datastore *ds, const char *name)
{
	struct ds_runs r = { .run = NULL };
	struct ds_inode *n;
	uint32_t index, child;
	int err, more;

	n = ds_edit_free(ds, name, &index, &err);
	if (!n)
		return err;
	if (ds_is_open(ds, n->id) || ds_children(ds, n->id, &child, &err))
		return err ? err : -EBUSY;
	n->flags |= DS_FILE_UNFINISHED;
	if (ds_lease_of(ds, n) != DS_LEASE_MINE)
		ds_lease_take(ds, n);
	err = ds_runs_load(ds, n, &r);
	more = err ? err : ds_cut(ds, index, &r, 0);
	ds_runs_fini(&r);
	return more ? more : ds_index_give(ds, index);
}

int ds_remove(struct datastore *ds, const char *name)
{
	int more, err;

	do {
		err = ds_begin(ds);
		if (err)
			return err;
		more = remove_step(ds, name);
		if (more && more != -EAGAIN) {
			ds_abort(ds);
			return more;
		}
		err = ds_commit(ds);
	} while (!err && more);
	return err;
}
