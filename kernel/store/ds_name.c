/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files' names change: one is renamed, one takes another's place, a delta is put upon one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/store/ds_int.h"

static int rename_file(struct datastore *ds, const char *from, const char *to, bool held)
{
	struct ds_inode *n = NULL;
	uint32_t index;
	int err;

	if (!ds_name_ok(to))
		return -EINVAL;
	err = ds_begin(ds);
	if (err)
		return err;
	if (ds_lookup(ds, to, &index, &err))
		err = -EEXIST;
	if (err == -ENOENT)
		n = ds_edit_free(ds, from, &index, &err);
	if (n && !held && ds_is_open(ds, n->id)) {
		err = -EBUSY;
		n = NULL;
	}
	if (n) {
		memset(n->name, 0, sizeof(n->name));
		snprintf(n->name, sizeof(n->name), "%s", to);
		return ds_commit(ds);
	}
	ds_abort(ds);
	return err;
}

int ds_rename(struct datastore *ds, const char *from, const char *to)
{
	return rename_file(ds, from, to, false);
}

int ds_rename_held(struct ds_file *f, const char *from, const char *to)
{
	return rename_file(f->ds, from, to, true);
}

/* ---- one in another's place ---- */

/* old, a file that nobody needs any more, gets the name that by had. */
static int change_places(struct datastore *ds, struct ds_inode *by, struct ds_inode *old)
{
	char name[DS_FILE_NAME];
	uint32_t child;
	int err;

	if (ds_children(ds, old->id, &child, &err))
		return err ? err : -EBUSY;
	memcpy(name, old->name, sizeof(name));
	memcpy(old->name, by->name, sizeof(name));
	memcpy(by->name, name, sizeof(name));
	ds_debris(ds, old);
	return err;
}

static int replace(struct datastore *ds, const char *by, const char *name)
{
	struct ds_inode *n, *old;
	uint32_t index;
	int err;

	n = ds_edit_free(ds, by, &index, &err);
	if (!n)
		return err;
	old = ds_edit_free(ds, name, &index, &err);
	if (old) {
		err = change_places(ds, n, old);
	} else if (err == -ENOENT) {
		memset(n->name, 0, sizeof(n->name));
		snprintf(n->name, sizeof(n->name), "%s", name);
		err = 0;
	}
	n->flags &= ~DS_FILE_UNFINISHED;
	if (!ds_is_open(ds, n->id))
		ds_lease_drop(n);
	return err;
}

int ds_replace(struct datastore *ds, const char *by, const char *name, const char *gone)
{
	int err = ds_name_ok(name) ? ds_flush(ds) : -EINVAL; /* its contents come first */

	if (!err)
		err = ds_begin(ds);
	if (err)
		return err;
	err = replace(ds, by, name);
	if (!err)
		err = ds_edit_gone(ds, gone);
	if (!err)
		return ds_commit(ds);
	ds_abort(ds);
	return err;
}

/* ---- a delta upon one ---- */

static int put_upon(struct datastore *ds, const char *name, const char *parent)
{
	struct ds_inode *p, *d;
	uint32_t index;
	uint64_t id, size;
	int err;

	p = ds_edit_free(ds, parent, &index, &err);
	if (!p)
		return err;
	if (p->flags)
		return -EINVAL; /* several write it, or it is not whole */
	if (ds_open_writer(ds, p->id))
		return -EBUSY;
	if (ds_depth(ds, p) + 1 >= DS_DEPTH_MAX)
		return -EMLINK;
	/* Who had it and is gone must not find it when it comes back. */
	if (ds_lease_of(ds, p) != DS_LEASE_NONE)
		ds_lease_drop(p);
	id = p->id;
	size = p->size;
	d = ds_inode_new(ds, name, DS_KIND_DELTA, size, DS_FILE_UNFINISHED, &index, &err);
	if (d)
		d->parent = id;
	return err;
}

int ds_delta(struct datastore *ds, const char *name, const char *parent)
{
	int err = ds_name_ok(name) ? ds_begin(ds) : -EINVAL;

	if (err)
		return err;
	err = put_upon(ds, name, parent);
	if (!err)
		return ds_commit(ds);
	ds_abort(ds);
	return err;
}
