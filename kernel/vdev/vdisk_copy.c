/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's disk whose contents go to another host (vdisk.h): there a file is made, unfinished
 * until all of it has come; here the old one is removed once the VM is the other host's.
 * Whoever closes a disk that is to be dropped removes its file. Snapshots come one after the
 * other, the oldest first: what came is made one, and what comes then stands on it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "vdisk_int.h"

int vdisk_copy_identify(struct vdisk *d, struct vdisk_id *id, char *why, size_t len)
{
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

/* Of the lowest file. */
static uint64_t first_size(const struct vdisk_id *id)
{
	return id->chain ? id->chain->link[0].size : id->size;
}

static bool is_taken(struct datastore *ds, const char *name)
{
	struct ds_entry e;

	return !ds_stat(ds, name, &e);
}

/* Nothing has the name yet, nor those of its snapshots. */
static int check_names(const struct vm_disk *d, const struct vdisk_id *id, struct datastore *ds,
		       const char *name, char *why, size_t len)
{
	if (is_taken(ds, name))
		return refuse(d, -EEXIST, "the destination has a file of this name already", why,
			      len);
	for (unsigned i = 0; id->chain && i < id->chain->nr; i++) {
		if (!is_taken(ds, id->chain->link[i].name))
			continue;
		snprintf(why, len, "%s: a snapshot of it is to be %s, which the destination has",
			 d->path, id->chain->link[i].name);
		return -EEXIST;
	}
	return 0;
}

/* Where it is to be: the datastore and the name there. */
static int find_place(const struct vm_disk *d, const struct vdisk_id *id, struct datastore **ds,
		      const char **name, char *why, size_t len)
{
	struct ds_info info;
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
	return check_names(d, id, *ds, *name, why, len);
}

int vdisk_copy_check(const struct vm_disk *d, const struct vdisk_id *id, char *why, size_t len)
{
	struct datastore *ds;
	const char *name;

	return find_place(d, id, &ds, &name, why, len);
}

/* Of older sources only that is known which is taken at once. */
void vdisk_copy_room(const struct vm_disk *d, const struct vdisk_id *id, struct ds_room *room)
{
	uint64_t least = id->thin ? 0 : first_size(id);
	struct datastore *ds;
	const char *name;

	if (!ds_path(d->path, &ds, &name))
		ds_room_add(room, ds, MAX(id->space, least));
}

static int make(struct datastore *ds, const char *name, const struct vdisk_id *id,
		struct ds_file **out)
{
	enum ds_kind kind = id->thin ? DS_KIND_THIN : DS_KIND_FLAT;
	int rc = id->bare ? ds_create_bare(ds, name, first_size(id))
			  : ds_create(ds, name, kind, first_size(id), DS_FILE_UNFINISHED);

	if (rc)
		return rc;
	rc = ds_open(ds, name, DS_OPEN_WRITE, out);
	if (!rc)
		return 0;
	if (ds_remove(ds, name))
		log_warn("vm", "%s is left until the next mount", name);
	return rc;
}

/* What is to be made of it, link after link. */
static int note_chain(struct vdisk *d, const struct vdisk_id *id)
{
	d->size = id->size;
	d->bare = id->bare;
	if (!id->chain)
		return 0;
	d->chain = malloc(sizeof(*d->chain));
	if (!d->chain)
		return -ENOMEM;
	*d->chain = *id->chain;
	return 0;
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
	if (!rc) {
		vdisk_copy_set(*out, true, true);
		rc = note_chain(*out, id);
		if (rc)
			vdisk_close(*out);
	}
	if (rc)
		snprintf(why, len, "%s: at the destination: %s", d->path, ds_error_text(rc));
	return rc;
}

int vdisk_next_snapshot(struct vdisk *d)
{
	struct vdisk_chain *c = d->chain;
	struct ds_snap s = { .part = true };
	uint64_t size;
	unsigned failed;
	int rc;

	if (!c || d->links == c->nr)
		return -ENODATA;
	rc = ds_path(d->what.path, &s.ds, &s.name);
	s.as = c->link[d->links].name;
	if (!rc)
		rc = ds_snapshot_all(&s, 1, &failed);
	if (rc)
		return rc;
	size = ++d->links < c->nr ? c->link[d->links].size : d->size;
	return size == ds_file_size(d->file) ? 0 : ds_resize(d->file, size);
}

int vdisk_copy_finish(struct vdisk *d)
{
	struct datastore *ds;
	const char *name;
	int rc = ds_path(d->what.path, &ds, &name);

	if (!rc && d->chain && d->links < d->chain->nr)
		rc = -ENODATA;
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

bool vdisk_is_bare(const struct vdisk *d)
{
	return d->bare;
}
