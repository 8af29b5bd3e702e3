/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's disk on its way to another host (vdisk.h): what it is, so that the other finds the
 * same; its lease given, taken back, accepted. The file stays where it is.
 *
 * Whoever has no lease to give, because the disk is read-only or several write it, has the file
 * open at both ends for a while.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdisk_int.h"

bool vdisk_leased(const struct vdisk *d)
{
	return d->file && !d->copied && (d->awaits || ds_file_leased(d->file));
}

int vdisk_identify(struct vdisk *d, struct vdisk_id *out, char *why, size_t len)
{
	struct ds_info ds;
	int rc;

	if (out->how == VDISK_COPIED)
		return vdisk_copy_identify(d, out, why, len);
	if (!d->file || d->run) {
		snprintf(why, len, "%s is %s", d->what.path,
			 d->run ? "nonpersistent: what it has written stays with this host"
				: "a whole disk of this host: only files of a datastore move");
		return -ENOTSUP;
	}
	rc = ds_info(ds_file_store(d->file), &ds);
	if (rc) {
		snprintf(why, len, "%s: %s", d->what.path, ds_error_text(rc));
		return rc;
	}
	ds_file_lease(d->file, &d->told);
	*out = (struct vdisk_id){ .how = VDISK_SHARED,
				  .leased = vdisk_leased(d),
				  .file = d->told.file,
				  .size = ds_file_size(d->file),
				  .generation = d->told.generation };
	memcpy(out->ds, ds.id, sizeof(out->ds));
	return 0;
}

/* A snapshot gives the name to another file: who waits for this one would wait for ever. */
static bool is_as_identified(const struct vdisk *d)
{
	struct ds_lease now;

	ds_file_lease(d->file, &now);
	return now.file == d->told.file && now.generation == d->told.generation;
}

int vdisk_give(struct vdisk *d, const uint8_t host[16])
{
	return is_as_identified(d) ? ds_lease_give(d->file, host) : -EBUSY;
}

int vdisk_take_back(struct vdisk *d)
{
	return ds_lease_take_back(d->file);
}

/* ---- at the destination ---- */

static int refuse(const struct vm_disk *d, const char *text, char *why, size_t len)
{
	snprintf(why, len, "%s: %s", d->path, text);
	return -ENOENT;
}

static bool wants_lease(const struct vm_disk *d, const struct ds_entry *e)
{
	return !d->read_only && !(e->flags & DS_FILE_MULTI_WRITER);
}

/* The datastore and the name there of the file that id means, if d's path leads to it. */
static int find_same(const struct vm_disk *d, const struct vdisk_id *id, struct datastore **ds,
		     const char **name, char *why, size_t len)
{
	struct ds_info info;
	struct ds_entry e;
	int rc = ds_path(d->path, ds, name);

	if (rc == -ENOENT)
		return refuse(d, "its datastore is not mounted at the destination: mount it there",
			      why, len);
	if (rc)
		return refuse(d, "this is no path of a datastore's file", why, len);
	rc = ds_info(*ds, &info);
	if (!rc && memcmp(info.id, id->ds, sizeof(info.id)))
		return refuse(d, "the destination has another datastore of this name", why, len);
	if (!rc && !d->read_only && !info.writable)
		return refuse(d, "its datastore cannot be written at the destination, see 'log'",
			      why, len);
	if (!rc)
		rc = ds_stat(*ds, *name, &e);
	if (rc) {
		snprintf(why, len, "%s: at the destination: %s", d->path, ds_error_text(rc));
		return rc;
	}
	if (e.id != id->file || e.size != id->size)
		return refuse(d, "it is another file at the destination", why, len);
	if (wants_lease(d, &e) != id->leased)
		return refuse(d, "one host says that several may write it, the other does not", why,
			      len);
	return 0;
}

int vdisk_id_check(const struct vm_disk *d, const struct vdisk_id *id, char *why, size_t len)
{
	struct datastore *ds;
	const char *name;

	if (id->how == VDISK_COPIED)
		return vdisk_copy_check(d, id, why, len);
	return find_same(d, id, &ds, &name, why, len);
}

int vdisk_await(const char *vm, unsigned index, const struct vm_disk *d, const struct vdisk_id *id,
		struct vdisk **out, char *why, size_t len)
{
	bool shared = !d->read_only && !id->leased;
	struct datastore *ds;
	struct ds_file *f;
	const char *name;
	int rc;

	if (id->how == VDISK_COPIED)
		return vdisk_copy_await(vm, index, d, id, out, why, len);
	rc = find_same(d, id, &ds, &name, why, len);
	if (rc)
		return rc;
	rc = ds_open(ds, name, shared ? DS_OPEN_SHARED : DS_OPEN_READ, &f);
	if (!rc) {
		rc = vdisk_adopt(vm, index, d, f, out);
		if (rc)
			ds_close(f);
	}
	if (rc) {
		snprintf(why, len, "%s: at the destination: %s", d->path, ds_error_text(rc));
		return rc;
	}
	(*out)->told = (struct ds_lease){ .file = id->file, .generation = id->generation };
	(*out)->awaits = id->leased;
	return 0;
}

int vdisk_accept(struct vdisk *d)
{
	struct ds_file *reader = d->file;
	int rc = ds_lease_accept(ds_file_store(reader), &d->told, &d->file);

	if (rc)
		return rc;
	d->blk = ds_file_blk(d->file);
	d->awaits = false;
	ds_close(reader);
	return 0;
}
