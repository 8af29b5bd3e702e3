/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of VMs (vdisk.h): datastore files and whole disks behind one face, and the list of
 * those that are open. Two instances of one VM, as a suspend has them, share theirs. A whole
 * disk is claimed; of a file its lease sees to that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/store.h>

#include "vdisk_int.h"

static struct vdisk *disks; /* [list_lock] open */
static struct spinlock list_lock = SPINLOCK_INIT(LOCK_STORE, "vdisks");

/* ---- what there is ---- */

static bool is_file(const struct vm_disk *d)
{
	return d->path[0] == '/';
}

/* The datastore on it is not a guest's to write, nor are its blocks to read. */
static int whole_disk(const struct vm_disk *d, struct blkdev **out, char *why, size_t len)
{
	*out = blk_find(d->path);
	if (!*out) {
		snprintf(why, len, "no disk '%s' here: 'disk list' shows those that are", d->path);
		return -ENOENT;
	}
	if ((*out)->geo.read_only && !d->read_only) {
		snprintf(why, len, "%s cannot be written: add ',ro'", d->path);
		return -EROFS;
	}
	return 0;
}

static int find_file(const struct vm_disk *d, struct datastore **ds, const char **name,
		     struct ds_entry *e, char *why, size_t len)
{
	int rc = ds_path(d->path, ds, name);

	if (rc) {
		snprintf(why, len,
			 rc == -ENOENT ? "%s: no such datastore is mounted here: 'datastore list'"
				       : "%s is no path of the form /ds/DATASTORE/FILE",
			 d->path);
		return rc;
	}
	rc = ds_stat(*ds, *name, e);
	if (rc)
		snprintf(why, len, "%s: %s", d->path, ds_error_text(rc));
	return rc;
}

static void say_owner(const char *path, struct blkdev *blk, char *why, size_t len)
{
	char who[BLK_OWNER];

	blk_owner(blk, who);
	snprintf(why, len, "%s is in use: by %s", path, who);
}

static int check_whole(const struct vm_disk *d, char *why, size_t len)
{
	struct blkdev *blk;
	int rc = whole_disk(d, &blk, why, len);

	if (!rc)
		rc = blk_claim(blk, "vm create", !d->read_only);
	if (rc == -EBUSY)
		say_owner(d->path, blk, why, len);
	else if (!rc)
		blk_disclaim(blk);
	return rc;
}

int vdisk_check(const struct vm_disk *d, char *why, size_t len)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *name;

	if (d->arriving)
		return 0;
	return is_file(d) ? find_file(d, &ds, &name, &e, why, len) : check_whole(d, why, len);
}

/* ---- the list ---- */

static void list_out_locked(const struct vdisk *v)
{
	struct vdisk **at = &disks;

	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
}

static void list_in(struct vdisk *v)
{
	unsigned long flags = spin_lock(&list_lock);

	v->next = disks;
	disks = v;
	spin_unlock(&list_lock, flags);
}

static bool is_same(const struct vdisk *i, const char *vm, unsigned index, const struct vm_disk *d)
{
	return !strcmp(i->vm, vm) && i->index == index && !strcmp(i->what.path, d->path) &&
	       i->what.read_only == d->read_only;
}

struct vdisk *vdisk_share(const char *vm, unsigned index, const struct vm_disk *d)
{
	unsigned long flags = spin_lock(&list_lock);
	struct vdisk *i = disks;

	while (i && !is_same(i, vm, index, d))
		i = i->next;
	if (i)
		i->refs++;
	spin_unlock(&list_lock, flags);
	return i;
}

/* ---- opening ---- */

static enum ds_open_mode mode_of(const struct vm_disk *d, const struct ds_entry *e)
{
	if (d->read_only)
		return DS_OPEN_READ;
	return e->flags & DS_FILE_MULTI_WRITER ? DS_OPEN_SHARED : DS_OPEN_WRITE;
}

/* Who is alive now is waited for when it dies: until then it may have writes under way. */
static void say_holder(const char *path, struct datastore *ds, const struct ds_entry *e, char *why,
		       size_t len)
{
	struct ds_info i;
	unsigned seconds = 0;

	if (!ds_info(ds, &i))
		seconds = (i.lease_ms + i.io_timeout_ms) * 65 / 64 / 1000 + 1;
	if (e->lease == DS_LEASE_OTHER)
		snprintf(why, len,
			 "%s: host '%s' has its lease and is alive; when it dies it is free after "
			 "%u s ('vm start --wait')",
			 path, e->holder, seconds);
	else
		snprintf(why, len, "%s is in use on this host", path);
}

/* Not even on the host that makes it: what is in its extents may be other files'. */
static int check_is_whole(const struct vm_disk *d, const struct ds_entry *e, char *why, size_t len)
{
	if (!(e->flags & DS_FILE_UNFINISHED))
		return 0;
	snprintf(why, len,
		 "%s is not whole: it is being made, or a host that is gone left it, and then a "
		 "mount removes it",
		 d->path);
	return -EBUSY;
}

static int say_not_open(const struct vm_disk *d, struct datastore *ds, const char *name, int rc,
			char *why, size_t len)
{
	struct ds_entry e;

	if (rc == -EBUSY && !ds_stat(ds, name, &e) &&
	    (e.lease == DS_LEASE_OTHER || e.lease == DS_LEASE_MINE))
		say_holder(d->path, ds, &e, why, len);
	else if (rc == -EBUSY)
		snprintf(why, len,
			 "%s: a file stands on it, as a snapshot's or a nonpersistent disk's",
			 d->path);
	else
		snprintf(why, len, "%s: %s", d->path, ds_error_text(rc));
	return rc;
}

/*
 * What the run writes goes to a delta of its own, named after disk and VM. One that a dead host
 * left goes first.
 */
static int put_delta(struct vdisk *v, struct datastore *ds, const char *name, char *run, size_t len)
{
	int rc;

	if (snprintf(run, len, "%s.%s.run", name, v->vm) >= (int)len)
		return -EINVAL;
	rc = ds_delta(ds, run, name);
	if (rc == -EEXIST) {
		rc = ds_remove(ds, run);
		if (!rc)
			rc = ds_delta(ds, run, name);
	}
	return rc;
}

static int open_delta(struct vdisk *v, struct datastore *ds, const char *name)
{
	char run[sizeof(((struct ds_entry *)0)->name)];
	int rc = put_delta(v, ds, name, run, sizeof(run));

	if (rc)
		return rc;
	rc = ds_open(ds, run, DS_OPEN_WRITE, &v->file);
	if (!rc) {
		v->run = strdup(run);
		if (v->run)
			return 0;
		ds_close(v->file);
		rc = -ENOMEM;
	}
	if (ds_remove(ds, run))
		log_warn("vm", "%s: %s is left until the next mount", v->vm, run);
	return rc;
}

static int open_file(struct vdisk *v, const struct vm_disk *d, char *why, size_t len)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *name;
	int rc = find_file(d, &ds, &name, &e, why, len);

	if (!rc)
		rc = check_is_whole(d, &e, why, len);
	if (rc)
		return rc;
	if (d->mode == VM_DISK_NONPERSISTENT)
		rc = open_delta(v, ds, name);
	else
		rc = ds_open(ds, name, mode_of(d, &e), &v->file);
	return rc ? say_not_open(d, ds, name, rc, why, len) : 0;
}

/* What the run has written is forgotten; so is a disk that has moved away. */
static void close_file(struct vdisk *v)
{
	struct datastore *ds = ds_file_store(v->file);
	struct ds_lease was;
	int rc;

	ds_file_lease(v->file, &was);
	ds_close(v->file);
	rc = v->run ? ds_remove(ds, v->run) : 0;
	if (rc)
		log_warn("vm", "%s: %s is left until the next mount: %s", v->vm, v->run,
			 ds_error_text(rc));
	free(v->run);
	rc = v->drop ? ds_remove_file(v->what.path, was.file) : 0;
	if (rc)
		log_warn("vm", "%s: %s is left behind: %s", v->vm, v->what.path, ds_error_text(rc));
}

static int open_whole(struct vdisk *v, const struct vm_disk *d, char *why, size_t len)
{
	char who[BLK_OWNER];
	struct blkdev *blk;
	int rc = whole_disk(d, &blk, why, len);

	if (rc)
		return rc;
	snprintf(who, sizeof(who), "VM %s", v->vm);
	rc = blk_claim(blk, who, !v->what.read_only);
	if (rc)
		say_owner(d->path, blk, why, len);
	else
		v->blk = blk;
	return rc;
}

static struct vdisk *new_vdisk(const char *vm, unsigned index, const struct vm_disk *d)
{
	struct vdisk *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	snprintf(v->vm, sizeof(v->vm), "%s", vm);
	v->index = index;
	v->what = *d;
	v->refs = 1;
	return v;
}

int vdisk_adopt(const char *vm, unsigned index, const struct vm_disk *d, struct ds_file *file,
		struct vdisk **out)
{
	struct vdisk *v = new_vdisk(vm, index, d);

	if (!v)
		return -ENOMEM;
	v->file = file;
	v->blk = ds_file_blk(file);
	list_in(v);
	*out = v;
	return 0;
}

int vdisk_open(const char *vm, unsigned index, const struct vm_disk *d, struct vdisk **out,
	       char *why, size_t len)
{
	struct vdisk *v = new_vdisk(vm, index, d);
	int rc;

	if (!v) {
		snprintf(why, len, "no memory to open %s", d->path);
		return -ENOMEM;
	}
	rc = is_file(d) ? open_file(v, d, why, len) : open_whole(v, d, why, len);
	if (rc) {
		free(v);
		return rc;
	}
	if (v->file)
		v->blk = ds_file_blk(v->file);
	list_in(v);
	*out = v;
	return 0;
}

struct blkdev *vdisk_blk(struct vdisk *d)
{
	return d->blk;
}

struct ds_file *vdisk_file(struct vdisk *d)
{
	return d->file;
}

void vdisk_close(struct vdisk *d)
{
	unsigned long flags = spin_lock(&list_lock);
	bool last = --d->refs == 0;

	if (last)
		list_out_locked(d);
	spin_unlock(&list_lock, flags);
	if (!last)
		return;
	if (d->file)
		close_file(d);
	else
		blk_disclaim(d->blk);
	free(d->chain);
	free(d);
}
