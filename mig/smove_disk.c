/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One disk that moves (smove.h): the file that it is in, the unfinished one that it will be in,
 * and the mirror between them. What fails here is said to the job with its remedy.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/vdev.h>

#include "journal.h"
#include "smove.h"

static struct mig_job *job(const struct smove_disk *d)
{
	return d->s->j;
}

static int store_error(struct smove_disk *d, const char *path, int err)
{
	job_error(job(d), ds_error_code(err), "%s: %s", path, ds_error_text(err));
	return err;
}

/* ---- the old one ---- */

static int old_whole(struct smove_disk *d, const char *path)
{
	d->source = blk_find(path);
	if (!d->source) {
		job_error(job(d), "not-found", "no disk '%s' here", path);
		return -ENOENT;
	}
	if (d->share)
		return 0;
	if (blk_claim(d->source, job(d)->st.vm, true)) {
		job_error(job(d), "busy", "%s is in use", path);
		return -EBUSY;
	}
	d->claimed = d->source;
	return 0;
}

static int old_file(struct smove_disk *d, const char *path)
{
	const char *name;
	int err = ds_path(path, &d->old_ds, &name);

	if (err)
		return store_error(d, path, err);
	snprintf(d->old_path, sizeof(d->old_path), "%s", path);
	d->old_name = d->old_path + (name - path);
	if (!d->share)
		err = ds_open(d->old_ds, name, DS_OPEN_WRITE, &d->old);
	if (err)
		return store_error(d, path, err);
	d->source = ds_file_blk(d->share ? vdisk_file(d->share) : d->old);
	return 0;
}

/* A running or suspended VM has it open; else it is opened, that nobody writes it meanwhile. */
static int open_old(struct smove_disk *d)
{
	struct vm *vm = job(d)->vm;
	const struct vm_disk *from = &vm->cfg.disk[d->index];

	d->share = vdisk_share(vm->cfg.name, d->index, from);
	return from->path[0] == '/' ? old_file(d, from->path) : old_whole(d, from->path);
}

/* ---- the new one ---- */

/* No snapshot of it is taken or deleted from here on. */
static int read_old(struct smove_disk *d, struct ds_entry *e)
{
	struct ds_file *f = d->share ? vdisk_file(d->share) : d->old;
	int err;

	ds_file_keep_chain(f, true);
	d->kept = f;
	err = ds_stat(d->old_ds, d->old_name, e);
	if (err)
		return store_error(d, d->old_name, err);
	if (e->flags) {
		job_error(job(d), "unsupported",
			  "%s is written by several or not whole: it does not move", d->old_name);
		return -ENOTSUP;
	}
	d->old_id = e->id;
	err = smove_chain_read(d);
	d->old_thin = !err && (d->chain ? d->chain->kind : e->kind) != DS_KIND_FLAT;
	return err;
}

/* Of the lowest file; what stands on it is deltas. */
static enum ds_kind kind_of_new(const struct smove_disk *d, const struct ds_entry *old)
{
	switch (job(d)->req.disks.kind) {
	case MIG_DISK_THIN:
		return DS_KIND_THIN;
	case MIG_DISK_FLAT:
		return DS_KIND_FLAT;
	default:
		return d->chain ? d->chain->kind : d->old_ds ? old->kind : DS_KIND_THIN;
	}
}

/* Where it is to be, and what it takes there: of a whole disk nobody knows what is zeros. */
static int plan_new(struct smove_disk *d)
{
	uint64_t bytes = smove_bytes(d, d->source->geo.blocks);
	struct ds_entry old = { .backed_bytes = bytes };
	int err = d->old_ds ? read_old(d, &old) : 0;

	if (err)
		return err;
	d->ds = ds_find(d->ds_name);
	if (!d->ds) {
		job_error(job(d), "not-found", "no datastore '%s' is mounted here", d->ds_name);
		return -ENOENT;
	}
	d->kind = kind_of_new(d, &old);
	d->space = chain_space(d->chain, d->kind == DS_KIND_FLAT, bytes, old.backed_bytes);
	return smove_chain_check(d);
}

static int make_new(struct smove_disk *d)
{
	uint64_t bytes = d->chain ? d->chain->most_bytes : smove_bytes(d, d->source->geo.blocks);
	int err;

	d->bare = d->kind == DS_KIND_FLAT;
	err = d->bare ? ds_create_bare(d->ds, d->name, bytes)
		      : ds_create(d->ds, d->name, d->kind, bytes, DS_FILE_UNFINISHED);
	if (err)
		return store_error(d, d->to.path, err);
	d->made = journal_file(d->to.path);
	err = ds_open(d->ds, d->name, DS_OPEN_WRITE, &d->file);
	return err ? store_error(d, d->to.path, err) : 0;
}

/* ---- between them ---- */

static int make_mirror(struct smove_disk *d)
{
	struct ds_file *f = d->share ? vdisk_file(d->share) : d->old;
	enum mirror_mode mode = job(d)->req.disks.cbt ? MIRROR_MARK : MIRROR_BOTH;
	int err = disk_copy_init(&d->copy, f, d->source, ds_file_blk(d->file), mode);

	if (err == -EINVAL)
		job_error(job(d), "unsupported",
			  "%s: blocks of %u bytes there are larger than the disk's of %u",
			  d->to.path, ds_file_blk(d->file)->geo.block_bytes,
			  d->source->geo.block_bytes);
	else if (err)
		job_error(job(d), "no-memory", "no memory for the copy of a disk");
	if (err)
		return err;
	if (d->bare)
		disk_copy_bare(&d->copy);
	else if (d->old_thin)
		disk_copy_into(&d->copy, d->file);
	d->copy.bulk.asked = smove_asked;
	err = job(d)->req.disks.verify ? disk_copy_digest(&d->copy) : 0;
	if (err)
		job_error(job(d), "no-memory", "no memory for the digests of a disk");
	return err;
}

int smove_disk_open(struct smove_disk *d)
{
	int err = open_old(d);

	return err ? err : plan_new(d);
}

int smove_disk_make(struct smove_disk *d)
{
	int err = make_new(d);

	return err ? err : make_mirror(d);
}

/* A VM that is off, or has ended meanwhile, has no requests. */
int smove_disk_filter(struct smove_disk *d)
{
	int err = d->share ? vdisk_filter(job(d)->vm, d->index, &d->copy.m->front) : 0;

	d->filtered = d->share && !err;
	return err == -ENODEV ? 0 : err;
}

void smove_disk_failed(struct smove_disk *d, int err)
{
	const char *from = job(d)->vm->cfg.disk[d->index].path;

	if (d->copy.bulk.fault == BULK_SOURCE)
		job_error(job(d), ds_error_code(err), "%s cannot be read (%s); the VM stays on it",
			  from, ds_error_text(err));
	else if (d->copy.bulk.fault == BULK_TARGET)
		job_error(job(d), ds_error_code(err), "%s: %s; the VM stays on %s", d->to.path,
			  ds_error_text(err), from);
}

int smove_disk_verify(struct smove_disk *d)
{
	uint64_t at = 0;
	int err = digest_verify(&d->copy.digest, &at), lost = mirror_error(d->copy.m);

	if (err == -EILSEQ && lost) { /* what the target did not take it does not have */
		err = lost;
		d->copy.bulk.fault = BULK_TARGET;
	}
	if (err == -EILSEQ)
		job_error(job(d), "differs", "%s is not what was written to it, near byte %llu",
			  d->to.path, (unsigned long long)at * d->source->geo.block_bytes);
	else if (err)
		smove_disk_failed(d, err);
	return err;
}

/* ---- the end ---- */

int smove_disk_adopt(struct smove_disk *d)
{
	int err = vdisk_adopt(job(d)->st.vm, d->index, &d->to, d->file, &d->adopted);

	if (err)
		job_error(job(d), "no-memory", "no memory for the new disk");
	return err;
}

uint64_t smove_disk_bytes(const struct smove_disk *d)
{
	return smove_bytes(d, d->source->geo.blocks) + (d->chain ? d->chain->bytes : 0);
}

/* A chain's uppermost file is not the one that was made. */
static void close_new(struct smove_disk *d)
{
	struct ds_lease l;

	if (d->file) {
		ds_file_lease(d->file, &l);
		d->made = l.file;
	}
	if (d->adopted)
		vdisk_close(d->adopted);
	else if (d->file)
		ds_close(d->file);
	d->adopted = NULL;
	d->file = NULL;
}

static void close_old(struct smove_disk *d)
{
	if (d->kept)
		ds_file_keep_chain(d->kept, false);
	if (d->share)
		vdisk_close(d->share);
	else if (d->old)
		ds_close(d->old);
	if (d->claimed)
		blk_disclaim(d->claimed);
	d->share = NULL;
	d->old = d->kept = NULL;
	d->claimed = NULL;
}

static void remove_file(struct smove_disk *d, const char *path, uint64_t id)
{
	int err = ds_remove_file(path, id);

	if (err && err != -ENOENT)
		log_warn("mig", "job %u: %s is left behind: %s", (unsigned)job(d)->st.id, path,
			 ds_error_text(err));
}

void smove_disk_close(struct smove_disk *d, bool moved)
{
	if (d->filtered && !moved && vdisk_filter(job(d)->vm, d->index, NULL))
		log_error("mig", "job %u: a disk's filter stays", (unsigned)job(d)->st.id);
	disk_copy_fini(&d->copy);
	close_new(d);
	close_old(d);
	free(d->chain);
	if (d->made && !moved)
		remove_file(d, d->to.path, d->made);
	if (d->old_ds && moved)
		remove_file(d, d->old_path, d->old_id);
}
