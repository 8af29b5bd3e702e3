/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening files: the lease that opening takes, the parents that a delta's holes show,
 * and the list of what is open. I/O is in ds_io.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/store/ds_int.h"

/* ---- the list ---- */

void ds_file_enlist(struct ds_file *f)
{
	unsigned long flags = spin_lock(&f->ds->lock);

	f->next = f->ds->files;
	f->ds->files = f;
	spin_unlock(&f->ds->lock, flags);
}

void ds_file_forget(struct ds_file *f)
{
	unsigned long flags = spin_lock(&f->ds->lock);
	struct ds_file **at = &f->ds->files;

	while (*at && *at != f)
		at = &(*at)->next;
	if (*at)
		*at = f->next;
	spin_unlock(&f->ds->lock, flags);
}

unsigned ds_opens(struct datastore *ds, uint64_t id)
{
	unsigned long flags = spin_lock(&ds->lock);
	unsigned count = 0;

	for (struct ds_file *f = ds->files; f; f = f->next)
		count += f->id == id;
	spin_unlock(&ds->lock, flags);
	return count;
}

bool ds_is_open(struct datastore *ds, uint64_t id)
{
	return ds_opens(ds, id);
}

struct ds_file *ds_open_writer(struct datastore *ds, uint64_t id)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct ds_file *f = ds->files;

	while (f && (f->id != id || f->mode != DS_OPEN_WRITE))
		f = f->next;
	spin_unlock(&ds->lock, flags);
	return f;
}

/* ---- references ---- */

static bool is_wanted(const struct ds_file *f, uint64_t id, bool above)
{
	const struct ds_file *which = above ? f->below : f;

	return f->mode == DS_OPEN_WRITE && which && which->id == id;
}

struct ds_file *ds_writer_hold(struct datastore *ds, uint64_t id, bool above)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct ds_file *f = ds->files;

	while (f && !is_wanted(f, id, above))
		f = f->next;
	if (f)
		f->refs++;
	spin_unlock(&ds->lock, flags);
	if (!f)
		return NULL;
	ds_turn_take(&f->turn);
	if (!f->closed)
		return f;
	ds_writer_release(f);
	return NULL;
}

void ds_writer_release(struct ds_file *f)
{
	ds_turn_end(&f->turn);
	ds_file_put(f);
}

void ds_file_put(struct ds_file *f)
{
	unsigned long flags = spin_lock(&f->ds->lock);
	bool last = --f->refs == 0;

	spin_unlock(&f->ds->lock, flags);
	if (last)
		ds_file_free(f);
}

void ds_file_end(struct ds_file *f)
{
	struct ds_file *each = f->below, *below;

	f->closed = true;
	ds_file_forget(f);
	for (; each; each = below) {
		below = each->below;
		ds_file_forget(each);
		ds_file_put(each);
	}
}

/* ---- memory ---- */

void ds_file_free(struct ds_file *f)
{
	ds_runs_fini(&f->runs);
	free(f->ops);
	free(f->segs);
	free(f);
}

struct ds_file *ds_file_new(struct datastore *ds, enum ds_open_mode mode)
{
	struct ds_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->ds = ds;
	f->mode = mode;
	f->refs = 1;
	ds_turn_init(&f->turn, "ds file turn");
	spin_init(&f->lock, LOCK_STORE_FILE, "ds file");
	waitq_init(&f->drained, "ds file");
	f->ops = calloc(DS_OP_POOL, sizeof(*f->ops));
	f->segs = calloc((size_t)DS_OP_POOL * ds->dev->geo.max_segs, sizeof(*f->segs));
	if (f->ops && f->segs)
		return f;
	ds_file_free(f);
	return NULL;
}

/* Not on the list yet: nobody uses it. */
static void drop_chain(struct ds_file *f)
{
	while (f) {
		struct ds_file *below = f->below;

		ds_file_free(f);
		f = below;
	}
}

/* ---- what a file is ---- */

static int open_below(struct ds_file *f, uint64_t id, unsigned depth)
{
	const struct ds_inode *n;
	uint32_t index;
	int err;

	if (depth >= DS_DEPTH_MAX)
		return -EBADMSG;
	n = ds_lookup_id(f->ds, id, &index, &err);
	if (!n)
		return err == -ENOENT ? -EBADMSG : err;
	f->below = ds_file_new(f->ds, DS_OPEN_READ);
	if (!f->below)
		return -ENOMEM;
	f->below->index = index;
	return ds_file_fill(f->below, n, depth + 1);
}

int ds_file_fill(struct ds_file *f, const struct ds_inode *n, unsigned depth)
{
	uint64_t parent = n->parent;
	int err = ds_runs_load(f->ds, n, &f->runs);

	if (err)
		return err;
	f->id = n->id;
	f->size = n->size;
	f->generation = n->generation;
	f->frees = f->mode == DS_OPEN_WRITE && n->kind != DS_KIND_FLAT;
	snprintf(f->name, sizeof(f->name), "%s", n->name);
	ds_io_init(f);
	return parent ? open_below(f, parent, depth) : 0;
}

/* ---- opening ---- */

/*
 * What is not whole may show what other files had in its extents before: whoever makes it has its
 * lease from the beginning, and opens it to write it; nobody else opens it, also when he is dead.
 */
static bool is_makers(struct datastore *ds, const struct ds_inode *n, enum ds_open_mode mode)
{
	return mode == DS_OPEN_WRITE && ds_lease_of(ds, n) == DS_LEASE_MINE;
}

static int may_open(struct datastore *ds, const struct ds_inode *n, enum ds_open_mode mode)
{
	bool shared = n->flags & DS_FILE_MULTI_WRITER;
	uint32_t child;
	int err;

	if (n->flags & DS_FILE_MERGING)
		return -EBUSY;
	if (n->flags & DS_FILE_UNFINISHED && !is_makers(ds, n, mode))
		return -EBUSY;
	if (mode == DS_OPEN_READ)
		return 0;
	if (ds->mode == DS_MOUNT_READ)
		return -EROFS;
	if ((mode == DS_OPEN_SHARED) != shared)
		return -EINVAL;
	if (shared)
		return 0;
	if (ds_open_writer(ds, n->id) || ds_children(ds, n->id, &child, &err))
		return -EBUSY;
	return err ? err : ds_lease_free(ds, n);
}

/* What is to be opened: by name, or a lease that is to be accepted. */
struct wanted {
	const char *name;
	const struct ds_lease *before;
};

/* As its holder of before said it was: may it be ours now? */
static int may_accept(struct datastore *ds, const struct ds_inode *n, const struct ds_lease *before)
{
	enum ds_lease_state lease = ds_lease_of(ds, n);
	bool given = n->flags & DS_FILE_GIVEN;

	if (n->generation == before->generation && lease == DS_LEASE_OTHER)
		return -EAGAIN;
	if (lease != DS_LEASE_MINE || ds_open_writer(ds, n->id))
		return -ESTALE;
	if (given && n->generation == before->generation + 1)
		return 0;
	/* Accepted, when nobody heard how that ended. */
	return !given && n->generation == before->generation + 2 ? 0 : -ESTALE;
}

static const struct ds_inode *find(struct ds_file *f, const struct wanted *w, int *err)
{
	const struct ds_inode *n;

	if (!w->before) {
		n = ds_lookup(f->ds, w->name, &f->index, err);
		if (n)
			*err = may_open(f->ds, n, f->mode);
		return n;
	}
	n = ds_lookup_id(f->ds, w->before->file, &f->index, err);
	if (n)
		*err = may_accept(f->ds, n, w->before);
	else if (*err == -ENOENT)
		*err = -ESTALE;
	return n;
}

/* In the transaction: what the file's block says, and the lease. */
static int open_inode(struct ds_file *f, const struct wanted *w)
{
	struct datastore *ds = f->ds;
	const struct ds_inode *n;
	struct ds_inode *mine;
	int err;

	n = find(f, w, &err);
	if (!err)
		err = ds_file_fill(f, n, 0);
	if (err || f->mode != DS_OPEN_WRITE)
		return err;
	mine = ds_edit(ds, ds_index_block(ds, f->index), DS_MAGIC_FILE, &err);
	if (!mine)
		return err;
	if (ds_lease_of(ds, mine) != DS_LEASE_MINE || mine->flags & DS_FILE_GIVEN)
		ds_lease_take(ds, mine);
	f->generation = mine->generation;
	f->epoch = ds->txn_epoch;
	return 0;
}

static int open_wanted(struct datastore *ds, const struct wanted *w, enum ds_open_mode mode,
		       struct ds_file **out)
{
	struct ds_file *f = ds_file_new(ds, mode);
	int err = f ? ds_begin(ds) : -ENOMEM;

	if (err)
		goto drop;
	err = open_inode(f, w);
	if (err) {
		ds_abort(ds);
		goto drop;
	}
	for (struct ds_file *each = f; each; each = each->below)
		ds_file_enlist(each);
	err = ds_commit(ds);
	if (!err) {
		*out = f;
		return 0;
	}
	ds_turn_take(&f->turn);
	ds_file_end(f);
	ds_writer_release(f);
	return err;
drop:
	drop_chain(f);
	return err;
}

int ds_open(struct datastore *ds, const char *name, enum ds_open_mode mode, struct ds_file **out)
{
	const struct wanted w = { .name = name };

	return open_wanted(ds, &w, mode, out);
}

int ds_lease_accept(struct datastore *ds, const struct ds_lease *before, struct ds_file **out)
{
	const struct wanted w = { .before = before };

	return ds->mode == DS_MOUNT_READ ? -EROFS : open_wanted(ds, &w, DS_OPEN_WRITE, out);
}
