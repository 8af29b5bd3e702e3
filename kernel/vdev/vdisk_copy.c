/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's disk whose contents go to another host (vdisk.h): there a file is made, unfinished
 * until all of it has come; here the old one is removed once the VM is the other host's.
 * Whoever closes a disk that is to be dropped removes its file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "vdisk_int.h"

static bool has_snapshots(const struct vdisk *d)
{
	struct ds_lease l;
	struct ds_entry e;

	if (!d->file)
		return false;
	ds_file_lease(d->file, &l);
	return !ds_stat_id(ds_file_store(d->file), l.file, &e) && e.parent;
}

int vdisk_copy_identify(struct vdisk *d, struct vdisk_id *id, char *why, size_t len)
{
	if (has_snapshots(d)) {
		snprintf(why, len, "%s has snapshots: 'vm disk merge' them first", d->what.path);
		return -ENOTSUP;
	}
	if (d->run || d->what.read_only) {
		snprintf(why, len, "%s is %s: it is not copied", d->what.path,
			 d->run ? "nonpersistent" : "only read, and others may be reading it");
		return -ENOTSUP;
	}
	id->leased = false;
	id->file = id->generation = 0;
	memset(id->ds, 0, sizeof(id->ds));
	id->size = d->blk->geo.blocks * d->blk->geo.block_bytes;
	return 0;
}

static int refuse(const struct vm_disk *d, int rc, const char *text, char *why, size_t len)
{
	snprintf(why, len, "%s: %s", d->path, text);
	return rc;
}

/* Where it is to be: the datastore and the name there, which nothing has yet. */
static int find_place(const struct vm_disk *d, const struct vdisk_id *id, struct datastore **ds,
		      const char **name, char *why, size_t len)
{
	struct ds_info info;
	struct ds_entry e;
	int rc = ds_path(d->path, ds, name);

	if (rc == -ENOENT)
		return refuse(d, rc,
			      "no datastore of this name is mounted at the destination: "
			      "'datastore list' there",
			      why, len);
	if (!rc)
		rc = ds_info(*ds, &info);
	if (rc)
		return refuse(d, rc, "this is no path of a datastore's file", why, len);
	if (!info.writable)
		return refuse(d, -EROFS,
			      "its datastore cannot be written at the destination, see 'log' there",
			      why, len);
	if (!ds_stat(*ds, *name, &e))
		return refuse(d, -EEXIST, "the destination has a file of this name already", why,
			      len);
	if (id->thin || id->size <= info.free_bytes)
		return 0;
	snprintf(why, len, "%s takes %u MiB, its datastore has %u MiB free at the destination",
		 d->path, (unsigned)(id->size >> 20), (unsigned)(info.free_bytes >> 20));
	return -ENOSPC;
}

int vdisk_copy_check(const struct vm_disk *d, const struct vdisk_id *id, char *why, size_t len)
{
	struct datastore *ds;
	const char *name;

	return find_place(d, id, &ds, &name, why, len);
}

static int make(struct datastore *ds, const char *name, const struct vdisk_id *id,
		struct ds_file **out)
{
	int rc = ds_create(ds, name, id->thin ? DS_KIND_THIN : DS_KIND_FLAT, id->size,
			   DS_FILE_UNFINISHED);

	if (rc)
		return rc;
	rc = ds_open(ds, name, DS_OPEN_WRITE, out);
	if (!rc)
		return 0;
	if (ds_remove(ds, name))
		log_warn("vm", "%s is left until the next mount", name);
	return rc;
}

int vdisk_copy_await(const char *vm, unsigned index, const struct vm_disk *d,
		     const struct vdisk_id *id, struct vdisk **out, char *why, size_t len)
{
	struct datastore *ds;
	struct ds_file *f;
	const char *name;
	int rc = find_place(d, id, &ds, &name, why, len);

	if (rc)
		return rc;
	rc = make(ds, name, id, &f);
	if (!rc) {
		rc = vdisk_adopt(vm, index, d, f, out);
		if (rc)
			ds_close(f);
	}
	if (rc)
		snprintf(why, len, "%s: at the destination: %s", d->path, ds_error_text(rc));
	else
		vdisk_copy_set(*out, true, true);
	return rc;
}

int vdisk_copy_finish(struct vdisk *d)
{
	struct datastore *ds;
	const char *name;
	int rc = ds_path(d->what.path, &ds, &name);

	return rc ? rc : ds_finish(ds, name);
}

void vdisk_copy_set(struct vdisk *d, bool copied, bool drop)
{
	d->copied = copied;
	d->drop = drop && d->file;
}

bool vdisk_is_copied(const struct vdisk *d)
{
	return d->copied;
}
