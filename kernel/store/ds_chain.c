/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Removing a file with what it stands on. All that is to go is marked as unfinished by one
 * transaction, with this host's lease; then the files go one by one, the upper ones first. A host
 * that dies meanwhile leaves debris, as any that is making files.
 */
#include <errno.h>

#include "kernel/store/ds_int.h"

struct doomed {
	unsigned nr;
	uint64_t id[DS_DEPTH_MAX]; /* the uppermost first */
};

/* Nobody needs it: none stands on it but the one that is doomed already. */
static int may_go(struct datastore *ds, const struct ds_inode *n, const struct doomed *d)
{
	uint32_t child;
	unsigned children;
	int err;

	children = ds_children(ds, n->id, &child, &err);
	if (!err && (children > (d->nr ? 1u : 0u) || ds_is_open(ds, n->id)))
		err = -EBUSY;
	return err ? err : ds_lease_free(ds, n);
}

static int doom(struct datastore *ds, uint32_t index, struct doomed *d)
{
	struct ds_inode *n;
	int err;

	n = ds_edit(ds, ds_index_block(ds, index), DS_MAGIC_FILE, &err);
	if (!n)
		return err;
	n->flags |= DS_FILE_UNFINISHED;
	ds_lease_take(ds, n);
	d->id[d->nr++] = n->id;
	return 0;
}

/* The transaction. What cannot go stays, with all that is below it. */
static int doom_chain(struct datastore *ds, const char *name, uint64_t id, struct doomed *d)
{
	const struct ds_inode *n;
	uint32_t index;
	int err;

	n = ds_lookup(ds, name, &index, &err);
	if (n && n->id != id)
		return -ENOENT;
	while (n && d->nr < DS_DEPTH_MAX) {
		uint64_t parent = n->parent;

		err = may_go(ds, n, d);
		if (!err)
			err = doom(ds, index, d);
		if (err)
			return d->nr && err == -EBUSY ? 0 : err;
		n = parent ? ds_lookup_id(ds, parent, &index, &err) : NULL;
	}
	return err;
}

int ds_remove_file(const char *path, uint64_t id)
{
	struct doomed d = { .nr = 0 };
	struct datastore *ds;
	struct ds_entry e;
	const char *name;
	int err = ds_path(path, &ds, &name);

	if (!err)
		err = ds_begin(ds);
	if (err)
		return err;
	err = doom_chain(ds, name, id, &d);
	if (err) {
		ds_abort(ds);
		return err;
	}
	err = ds_commit(ds);
	for (unsigned i = 0; i < d.nr && !err; i++) {
		err = ds_stat_id(ds, d.id[i], &e);
		if (!err)
			err = ds_remove(ds, e.name);
	}
	return err;
}
