/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a datastore's space is used for, and what its files may still ask for: a file
 * takes extents for its holes as they are written, and a snapshot, which is never written,
 * takes none.
 */
#include <errno.h>
#include <stdlib.h>

#include "kernel/store/ds_int.h"

struct parents {
	uint64_t *id; /* ascending, once all are there */
	size_t nr;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Calls fn for each file; damaged blocks are ds_check's affair. */
static int each_file(struct datastore *ds, uint32_t high,
		     int (*fn)(struct datastore *ds, const struct ds_inode *n, void *arg),
		     void *arg)
{
	int err = 0;

	for (uint32_t i = 0; i < high && !err; i++) {
		const struct ds_inode *n = ds_inode_at(ds, i, &err);

		if (err == -EBADMSG)
			err = 0;
		if (n)
			err = fn(ds, n, arg);
	}
	return err;
}

static int note_parent(struct datastore *ds, const struct ds_inode *n, void *arg)
{
	struct parents *p = arg;

	(void)ds;
	if (n->parent)
		p->id[p->nr++] = n->parent;
	return 0;
}

struct sum {
	const struct parents *parents;
	struct ds_usage *out;
};

static int add_file(struct datastore *ds, const struct ds_inode *n, void *arg)
{
	const struct sum *s = arg;
	uint64_t extents = n->size / DS_EXTENT + (n->size % DS_EXTENT != 0), backed;
	struct ds_runs r;
	int err = ds_runs_load(ds, n, &r);

	if (err == -EBADMSG)
		return 0;
	if (err)
		return err;
	backed = ds_runs_extents(&r);
	ds_runs_fini(&r);
	s->out->files++;
	s->out->size_bytes += n->size;
	if (backed < extents &&
	    !bsearch(&n->id, s->parents->id, s->parents->nr, sizeof(n->id), compare))
		s->out->promised_bytes += (extents - backed) * DS_EXTENT;
	return 0;
}

static int usage(struct datastore *ds, struct ds_usage *out)
{
	struct parents p = { .nr = 0 };
	struct sum s = { &p, out };
	const struct ds_root *root;
	uint32_t high = 0;
	int err;

	root = ds_get(ds, ds->super.root_block, DS_MAGIC_ROOT, &err);
	if (!err) {
		out->free_bytes = root->free_extents * DS_EXTENT;
		high = ds_table_high(ds, &err);
	}
	p.id = err ? NULL : calloc((size_t)high + 1, sizeof(*p.id));
	if (!err && !p.id)
		err = -ENOMEM;
	if (!err)
		err = each_file(ds, high, note_parent, &p);
	if (!err) {
		qsort(p.id, p.nr, sizeof(*p.id), compare);
		err = each_file(ds, high, add_file, &s);
	}
	free(p.id);
	return err;
}

int ds_usage(struct datastore *ds, struct ds_usage *out)
{
	int err = ds_begin(ds);

	if (err)
		return err;
	*out = (struct ds_usage){ .total_bytes = ds->super.nr_extents * DS_EXTENT };
	err = usage(ds, out);
	out->over_bytes =
		out->promised_bytes > out->free_bytes ? out->promised_bytes - out->free_bytes : 0;
	ds_abort(ds);
	return err;
}
