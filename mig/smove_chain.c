/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The snapshots of a disk that moves to another datastore of this host (smove.h, chain.h): what
 * there is of them, may they come, and their copy. The new ones are unfinished until the new disk
 * is whole, so what goes wrong removes them with it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "smove.h"

static bool to_same_store(const struct smove_disk *d)
{
	return d->old_ds == ds_find(d->ds_name);
}

int smove_chain_read(struct smove_disk *d)
{
	int err = chain_read(d->old_ds, d->old_name, d->name, to_same_store(d), &d->chain);

	if (err)
		chain_say_error(d->s->j, d->old_name, err);
	return err;
}

/* Before anything is made. */
int smove_chain_check(struct smove_disk *d)
{
	struct ds_entry e;

	for (unsigned i = 0; d->chain && i < d->chain->as.nr; i++) {
		const char *name = d->chain->as.link[i].name;

		if (ds_stat(d->ds, name, &e) == -ENOENT)
			continue;
		job_error(d->s->j, "exists",
			  "a snapshot of disk %u is to be /ds/%s/%s, which is there already",
			  d->index, d->ds_name, name);
		return -EEXIST;
	}
	return 0;
}

static int resize(struct smove_disk *d, uint64_t bytes)
{
	return ds_file_size(d->file) == bytes ? 0 : ds_resize(d->file, bytes);
}

static uint64_t size_after(const struct smove_disk *d, unsigned link)
{
	const struct vdisk_chain *c = &d->chain->as;

	return link + 1 < c->nr ? c->link[link + 1].size
				: d->source->geo.blocks * d->source->geo.block_bytes;
}

/* A link is copied: what was written becomes the snapshot. */
static int next(void *user, unsigned link)
{
	struct smove_disk *d = user;
	struct ds_snap snap = {
		.ds = d->ds, .name = d->name, .as = d->chain->as.link[link].name, .part = true
	};
	unsigned failed;
	int err = d->s->j->req.disks.verify ? smove_disk_verify(d) : 0;

	if (err)
		return err;
	d->copy.bulk.fault = BULK_TARGET;
	err = ds_snapshot_all(&snap, 1, &failed);
	return err ? err : resize(d, size_after(d, link));
}

int smove_chain_copy(struct smove_disk *d)
{
	int err;

	if (!d->chain)
		return 0;
	err = resize(d, d->chain->as.link[0].size);
	d->copy.bulk.fault = BULK_TARGET;
	return err ? err : chain_copy(d->chain, &d->copy, next, d);
}
