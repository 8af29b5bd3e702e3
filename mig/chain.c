/* SPDX-License-Identifier: BSD-2-Clause */
/* Snapshots that go along (chain.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"

/* ---- what there is ---- */

static int name_link(struct chain *c, unsigned i, const char *file, const char *to, bool same)
{
	char name[sizeof(c->as.link[0].name)];
	const char *was = c->name[i];
	size_t n = strlen(file);
	int len;

	if (!strncmp(was, file, n) && was[n] == '.')
		len = snprintf(name, sizeof(name), "%s%s", to, was + n);
	else
		len = snprintf(name, sizeof(name), "%s%s", was, same ? "-2" : "");
	if (len >= (int)sizeof(name))
		return -ENAMETOOLONG;
	memcpy(c->as.link[i].name, name, sizeof(name));
	return 0;
}

static int add(struct chain *c, const struct ds_entry *e)
{
	struct vdisk_link *l = &c->as.link[c->as.nr];

	if (e->flags & DS_FILE_MERGING)
		return -EBUSY;
	if (c->as.nr == VDISK_LINKS_MAX)
		return -EMLINK;
	snprintf(c->name[c->as.nr], sizeof(c->name[0]), "%s", e->name);
	l->size = e->size;
	c->as.nr++;
	c->bytes += e->size;
	c->most_bytes = MAX(c->most_bytes, e->size);
	c->between_bytes += c->lowest_bytes;
	c->lowest_bytes = e->backed_bytes;
	c->kind = e->kind;
	return 0;
}

/* They were found from above. */
static void turn_over(struct chain *c)
{
	for (unsigned i = 0, k = c->as.nr - 1; i < k; i++, k--) {
		char name[sizeof(c->name[0])];
		uint64_t size = c->as.link[i].size;

		memcpy(name, c->name[i], sizeof(name));
		memcpy(c->name[i], c->name[k], sizeof(name));
		memcpy(c->name[k], name, sizeof(name));
		c->as.link[i].size = c->as.link[k].size;
		c->as.link[k].size = size;
	}
}

static int fill(struct chain *c, struct ds_entry e, const char *to, bool same)
{
	char file[sizeof(e.name)];
	int err = 0;

	memcpy(file, e.name, sizeof(file));
	c->own_bytes = e.backed_bytes;
	c->most_bytes = e.size;
	while (e.parent && !err) {
		err = ds_stat_id(c->ds, e.parent, &e);
		if (!err)
			err = add(c, &e);
	}
	if (!err)
		turn_over(c);
	for (unsigned i = 0; i < c->as.nr && !err; i++)
		err = name_link(c, i, file, to, same);
	return err;
}

int chain_read(struct datastore *ds, const char *name, const char *to, bool same,
	       struct chain **out)
{
	struct ds_entry e;
	struct chain *c;
	int err = ds_stat(ds, name, &e);

	*out = NULL;
	if (err || !e.parent)
		return err;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->ds = ds;
	err = fill(c, e, to, same);
	if (err)
		free(c);
	else
		*out = c;
	return err;
}

uint64_t chain_space(const struct chain *c, bool flat, uint64_t size, uint64_t backed)
{
	if (!c)
		return flat ? size : backed;
	return c->own_bytes + c->between_bytes + (flat ? c->as.link[0].size : c->lowest_bytes);
}

void chain_say_error(struct mig_job *j, const char *path, int err)
{
	if (err == -EBUSY)
		job_error(j, "busy",
			  "a snapshot of %s is half deleted: 'datastore merge' it to its end first",
			  path);
	else if (err == -ENAMETOOLONG)
		job_error(j, "invalid", "the new path of a snapshot of %s is too long", path);
	else
		job_error(j, ds_error_code(err), "%s: %s", path, ds_error_text(err));
}

/* ---- the copy ---- */

static int copy_link(struct chain *c, unsigned i, struct disk_copy *copy,
		     int (*next)(void *user, unsigned link), void *user)
{
	struct ds_file *disk = copy->file;
	int err = ds_open(c->ds, c->name[i], DS_OPEN_READ, &copy->file);

	if (err) {
		copy->file = disk;
		copy->bulk.fault = BULK_SOURCE;
		return err;
	}
	copy->bulk.cold = ds_file_blk(copy->file);
	copy->bulk.fresh = i == 0 && !copy->bare;
	copy->bulk.bare = i == 0 && copy->bare;
	err = bulk_linear(&copy->bulk);
	if (!err)
		err = next(user, i);
	ds_close(copy->file);
	copy->file = disk;
	copy->bulk.cold = NULL;
	copy->bulk.fresh = copy->bulk.bare = false;
	return err;
}

int chain_copy(struct chain *c, struct disk_copy *copy, int (*next)(void *user, unsigned link),
	       void *user)
{
	int err = 0;

	for (unsigned i = 0; i < c->as.nr && !err; i++)
		err = copy_link(c, i, copy, next, user);
	return err;
}
