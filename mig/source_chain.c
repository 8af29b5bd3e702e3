/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The snapshots of a disk that goes to another host (source_disks_int.h, chain.h): what there is
 * of them, for the offer; their copy, before the disk's own contents, while what the guest writes
 * stays here. The other host makes each where the stream says that all of it has come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/store.h>

#include "source_disks_int.h"

/* Behind "/ds/NAME/". */
static const char *name_in(const char *path)
{
	const char *file = strchr(path + strlen("/ds/"), '/');

	return file ? file + 1 : "";
}

static int read_chain(struct source_disk *d)
{
	struct mig_job *j = d->s->j;
	const char *path = j->vm->cfg.disk[d->index].path, *name;
	struct datastore *ds;
	int err = ds_path(path, &ds, &name);

	if (!err)
		err = chain_read(ds, name, name_in(d->s->disk[d->index].to), false, &d->chain);
	if (err)
		chain_say_error(j, path, err);
	if (err || !d->chain || j->version >= WIRE_VERSION_CHAINS)
		return err;
	job_error(j, "version",
		  "%s has snapshots, and the destination speaks protocol %u: update it, or "
		  "'vm disk merge' them",
		  path, j->version);
	return -ENOTSUP;
}

int source_chain_open(struct source_disk *d)
{
	struct vdisk_id *id = &d->s->disk[d->index];
	enum mig_disk_kind kind = d->s->j->req.disks.kind;
	int err;

	if (!vdisk_file(d->share))
		return 0;
	ds_file_keep_chain(vdisk_file(d->share), true);
	err = read_chain(d);
	if (err || !d->chain)
		return err;
	id->chain = &d->chain->as;
	id->thin =
		kind == MIG_DISK_THIN || (kind == MIG_DISK_KEEP && d->chain->kind != DS_KIND_FLAT);
	return 0;
}

/* A link is copied: with --verify it is compared as well, before it is out of reach. */
static int next(void *user, unsigned link)
{
	struct source_disk *d = user;
	struct source_disks *all = d->s->disks;
	uint64_t at;
	int err = d->s->j->req.disks.verify ? digest_verify(&d->copy.digest, &at) : 0;

	(void)link;
	if (err)
		return err;
	d->copy.bulk.fault = BULK_TARGET;
	return blk_sender_snapshot(all->sender, (unsigned)(d - all->disk));
}

int source_chain_copy(struct source_disk *d)
{
	return d->chain ? chain_copy(d->chain, &d->copy, next, d) : 0;
}

void source_chain_close(struct source_disk *d)
{
	d->s->disk[d->index].chain = NULL;
	free(d->chain);
	d->chain = NULL;
	if (vdisk_file(d->share))
		ds_file_keep_chain(vdisk_file(d->share), false);
}
