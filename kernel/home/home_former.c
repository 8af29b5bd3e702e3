/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of two descriptions counts while a home changes its datastore (docs/ownership.md "A home
 * that moves"). Before the switch the old one says `moves-to = NEW`; the switch puts one there that
 * says `moved-from = OLD`, from when on the old one does not count. After it the old one is
 * removed, and `moved-from` from the new one. So whoever reads a description that says `moves-to`
 * looks there; where he cannot, neither is used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "home_int.h"

/* The description of the same VM on another datastore; NULL: -ENOENT, or the error. */
static struct vm_desc *other(const struct vm_desc *d, const char *store, uint64_t *file, int *err,
			     char *why, size_t len)
{
	struct vm_desc *o = malloc(sizeof(*o));

	if (!o) {
		snprintf(why, len, "the host has no memory for it");
		*err = -ENOMEM;
		return NULL;
	}
	vm_desc_init(o);
	memcpy(o->cfg.name, d->cfg.name, sizeof(o->cfg.name));
	snprintf(o->cfg.home, sizeof(o->cfg.home), "%s", store);
	*err = home_load_text(o, file, why, len);
	if (!*err)
		return o;
	free(o);
	return NULL;
}

/* Is it that datastore that is mounted under its name? */
static bool is_mounted(const char *name, const uint8_t id[16])
{
	static const uint8_t any[16];
	struct datastore *ds = ds_find(name);
	struct ds_info i;

	return ds && (!memcmp(id, any, sizeof(any)) ||
		      (!ds_info(ds, &i) && !memcmp(i.id, id, sizeof(i.id))));
}

/* The one that has taken d's place; NULL and 0: none has. */
static struct vm_desc *successor(const struct vm_desc *d, int *err, char *why, size_t len)
{
	struct vm_desc *o;
	uint64_t file;

	if (!is_mounted(d->moves_to, d->moves_to_id)) {
		snprintf(why, len,
			 "its home was moving from datastore %s to %s: mount that, to see which "
			 "description counts",
			 d->cfg.home, d->moves_to);
		*err = -EAGAIN;
		return NULL;
	}
	o = other(d, d->moves_to, &file, err, why, len);
	if (o &&
	    (strcmp(o->moved_from, d->cfg.home) || !is_mounted(o->moved_from, o->moved_from_id))) {
		free(o);
		o = NULL;
	}
	if (*err == -ENOENT)
		*err = 0;
	return o;
}

/* Not if the one whose place it took says that it has not moved after all (home_carry_stay). */
static int took_its_place(const struct vm_desc *d, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	struct vm_desc *o;
	uint64_t file;
	int err;

	if (!d->moved_from[0] || !is_mounted(d->moved_from, d->moved_from_id))
		return 0;
	o = other(d, d->moved_from, &file, &err, why, len);
	if (o && strcmp(o->moves_to, d->cfg.home) != 0) {
		home_file_path(d->moved_from, d->cfg.name, path);
		snprintf(why, len,
			 "its home was moving here, and %s says that it stays: remove the wrong "
			 "one of the two ('datastore rm')",
			 path);
		err = -EAGAIN;
	}
	free(o);
	return err == -EAGAIN || err == -ENOMEM ? err : 0;
}

int home_counts(struct vm_desc *d, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	struct vm_desc *o;
	int err = 0;

	if (!d->moves_to[0])
		return took_its_place(d, why, len);
	o = successor(d, &err, why, len);
	if (o) {
		home_file_path(d->moves_to, d->cfg.name, path);
		snprintf(why, len, "its home has moved: it is %s now", path);
		err = -ESTALE;
	}
	free(o);
	if (!err)
		d->moves_to[0] = '\0';
	return err;
}

/* ---- what is left of it ---- */

static bool names(const struct vm_desc *d, const char *path)
{
	const char *part;

	for (unsigned i = 0; (part = home_part(&d->cfg, i)); i++)
		if (!strcmp(part, path))
			return true;
	for (unsigned i = 0; i < d->cfg.disks; i++)
		if (!strcmp(d->cfg.disk[i].path, path))
			return true;
	return false;
}

/* With the snapshots that it stands on, as far as nothing else does. */
static void remove_path(const char *path)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *file;
	int err = ds_path(path, &ds, &file);

	if (!err)
		err = ds_stat(ds, file, &e);
	if (!err)
		err = ds_remove_file(path, e.id);
	if (err && err != -ENOENT)
		log_warn("home", "%s is left behind: %s", path, ds_error_text(err));
}

/* Did it go along, with its home to that datastore? What was there already is not its old copy. */
static bool has_moved(const struct vm_disk *d, const char *to)
{
	size_t n = strlen(to);

	return !strncmp(d->path, "/ds/", 4) && !d->read_only && d->mode != VM_DISK_NONPERSISTENT &&
	       (strncmp(d->path + 4, to, n) || d->path[4 + n] != '/');
}

static void remove_files(const struct vm_desc *old, const struct vm_desc *now)
{
	const char *part;

	for (unsigned i = 0; (part = home_part(&old->cfg, i)); i++)
		if (home_file_in(part, old->cfg.home, old->cfg.name) && !names(now, part))
			remove_path(part);
	for (unsigned i = 0; i < old->cfg.disks; i++)
		if (has_moved(&old->cfg.disk[i], old->moves_to) &&
		    !names(now, old->cfg.disk[i].path))
			remove_path(old->cfg.disk[i].path);
}

void home_clear_former(const struct vm_desc *d)
{
	char path[VM_HOME_PATH], why[192];
	int err = 0;
	struct vm_desc *now = successor(d, &err, why, sizeof(why));

	if (!now)
		return;
	home_file_path(d->cfg.home, d->cfg.name, path);
	log_info("home", "%s: %s has taken its place: it is removed, with its files", path,
		 d->moves_to);
	remove_files(d, now);
	remove_path(path);
	free(now);
}

bool home_remove_left(struct datastore *ds, const struct ds_entry *e)
{
	size_t n = strcspn(e->name, "/");
	char name[VM_NAME_MAX], again[HOME_NEW_NAME];

	if (n >= sizeof(name) || e->flags & DS_FILE_UNFINISHED || e->lease == DS_LEASE_OTHER ||
	    e->lease == DS_LEASE_MINE)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)n, e->name);
	home_new_name(name, again);
	return !strcmp(again, e->name) && !ds_remove(ds, e->name);
}

int home_former_gone(struct vm_desc *d, char *why, size_t len)
{
	struct vm_desc *o;
	uint64_t file;
	int err = 0;

	if (!d->moved_from[0])
		return 0;
	if (!is_mounted(d->moved_from, d->moved_from_id)) {
		snprintf(why, len,
			 "its former description may still be on datastore %s: mount that first",
			 d->moved_from);
		return -EBUSY;
	}
	o = other(d, d->moved_from, &file, &err, why, len);
	if (o && !strcmp(o->moves_to, d->cfg.home)) {
		home_clear_former(o);
		free(o);
		o = other(d, d->moved_from, &file, &err, why, len);
	}
	if (o && !strcmp(o->moves_to, d->cfg.home))
		err = -EBUSY;
	else if (!err || err == -ENOENT)
		err = 0;
	free(o);
	if (!err)
		d->moved_from[0] = '\0';
	else
		snprintf(why, len, "its former description on datastore %s cannot be removed",
			 d->moved_from);
	return err;
}
