/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files by name: listing, removing. They are made in ds_make.c, renamed in ds_name.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/store/ds_int.h"

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
	ds_debris(ds, n);
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
