/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A home that comes with its VM from another host (docs/ownership.md "Disks that are copied"). The
 * files are made unfinished when the VM's skeleton is, the description among them, and become whole
 * in one transaction before READY. Who writes them may outlive the VM: they are closed by the
 * last user, and removed then unless the VM has become this host's. What the source says is
 * believed of nothing: names are below the VM's own, the description is that of the VM offered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "home_int.h"

struct home_coming {
	unsigned users;		 /* [atom] */
	bool here;		 /* the VM is this host's */
	char name[VM_NAME_MAX];	 /* [const] */
	char store[VM_NAME_MAX]; /* [const] */
	struct datastore *ds;	 /* [const] */
	unsigned files;		 /* [const] */
	struct {
		char name[VM_PATH_MAX];
		uint64_t id;
		struct ds_file *f;
	} file[HOME_FILES_MAX + 1]; /* the last one is the description */
	struct vm_desc d;
};

/* ---- is there a place? ---- */

static int refuse(const struct home_sent *s, const char *file, const char *text, char *why,
		  size_t len)
{
	snprintf(why, len, "/ds/%s/%s, of the VM's home: %s", s->store, file, text);
	return -EINVAL;
}

static int check_file(const struct vm_config *cfg, const struct home_sent *s, unsigned i,
		      struct datastore *ds, char *why, size_t len)
{
	const char *file = s->file[i].name;
	char own[VM_NAME_MAX + 2], description[2 * VM_NAME_MAX + 8];
	struct ds_entry e;

	snprintf(own, sizeof(own), "%s/", cfg->name);
	snprintf(description, sizeof(description), "%s%s.vm", own, cfg->name);
	if (strlen("/ds//") + strlen(s->store) + strlen(file) >= VM_PATH_MAX)
		return refuse(s, file, "its path would be too long", why, len);
	if (strncmp(file, own, strlen(own)) || !strncmp(file, description, strlen(description)))
		return refuse(s, file, "that is no file of the VM's", why, len);
	for (unsigned k = 0; k < i; k++)
		if (!strcmp(s->file[k].name, file))
			return refuse(s, file, "it is named twice", why, len);
	if (!ds_stat(ds, file, &e))
		return refuse(s, file, "the destination has a file of this name already", why, len);
	return 0;
}

static bool same_files(const struct vm_desc *d, const struct vm_config *cfg)
{
	const struct vm_config *is = &d->cfg;

	for (unsigned i = 0; i < HOME_PARTS_MAX; i++)
		if (strcmp(home_part(is, i), home_part(cfg, i)))
			return false;
	for (unsigned i = 0; i < cfg->disks; i++)
		if (strcmp(is->disk[i].path, cfg->disk[i].path))
			return false;
	return is->disks == cfg->disks && is->boot == cfg->boot && !d->moves_to[0] &&
	       !d->moved_from[0] && !d->moving.host[0];
}

/* Into d, which is to be of the VM that is offered. */
static int read_text(struct vm_desc *d, const struct vm_config *cfg, const struct home_sent *s,
		     char *why, size_t len)
{
	char what[160];
	int err;

	vm_desc_init(d);
	snprintf(d->cfg.name, sizeof(d->cfg.name), "%s", cfg->name);
	snprintf(d->cfg.home, sizeof(d->cfg.home), "%s", s->store);
	err = vm_desc_parse(d, s->text, strlen(s->text), what, sizeof(what));
	if (!err && same_files(d, cfg))
		return 0;
	snprintf(why, len, "the VM's description: %s", err ? what : "it is another VM's");
	return -EINVAL;
}

static int check_store(const struct home_sent *s, struct datastore **ds, char *why, size_t len)
{
	struct ds_info info;

	*ds = ds_find(s->store);
	if (!*ds)
		snprintf(why, len,
			 "no datastore '%s' is mounted at the destination: 'datastore list' there",
			 s->store);
	else if (ds_info(*ds, &info) || !info.writable)
		snprintf(why, len,
			 "datastore %s cannot be written at the destination, see 'log' there",
			 s->store);
	else
		return 0;
	return -EROFS;
}

void home_sent_room(const struct home_sent *s, struct ds_room *room)
{
	struct datastore *ds = ds_find(s->store);

	if (!ds)
		return;
	ds_room_add(room, ds, VM_DESC_BYTES_MAX);
	for (unsigned i = 0; i < s->files; i++)
		ds_room_add(room, ds, s->file[i].size);
}

int home_sent_check(const struct vm_config *cfg, const struct home_sent *s, char *why, size_t len)
{
	struct vm_desc *d = malloc(sizeof(*d));
	char path[VM_HOME_PATH];
	struct datastore *ds;
	struct ds_entry e;
	const char *file;
	int err = d ? check_store(s, &ds, why, len) : -ENOMEM;

	if (!err)
		err = read_text(d, cfg, s, why, len);
	free(d);
	for (unsigned i = 0; i < s->files && !err; i++)
		err = check_file(cfg, s, i, ds, why, len);
	home_file_path(s->store, cfg->name, path);
	file = home_file_in(path, s->store, cfg->name);
	if (!err && !ds_stat(ds, file, &e))
		err = refuse(s, file, "the destination has a file of this name already", why, len);
	return err;
}

/* ---- its files ---- */

static void remove_one(struct home_coming *c, unsigned i)
{
	char path[VM_HOME_PATH], aside[VM_PATH_MAX + VM_NAME_MAX + 8];

	snprintf(aside, sizeof(aside), "/ds/%s/%s", c->store, c->file[i].name);
	home_file_path(c->store, c->name, path);
	if (ds_remove_file(aside, c->file[i].id) && i == c->files)
		(void)!ds_remove_file(path, c->file[i].id);
}

void home_coming_put(struct home_coming *c)
{
	if (!c || __atomic_sub_fetch(&c->users, 1, __ATOMIC_ACQ_REL))
		return;
	for (unsigned i = 0; i <= c->files; i++) {
		if (c->file[i].f)
			ds_close(c->file[i].f);
		if (!c->here && c->file[i].id)
			remove_one(c, i);
	}
	free(c);
}

static int open_one(struct home_coming *c, unsigned i)
{
	struct ds_lease l;
	int err = ds_open(c->ds, c->file[i].name, DS_OPEN_WRITE, &c->file[i].f);

	if (err)
		return err;
	ds_file_lease(c->file[i].f, &l);
	c->file[i].id = l.file;
	return 0;
}

static int make_one(struct home_coming *c, unsigned i, const struct home_file *f)
{
	int err = ds_create(c->ds, f->name, DS_KIND_PLAIN, f->size, DS_FILE_UNFINISHED);

	snprintf(c->file[i].name, sizeof(c->file[i].name), "%s", f->name);
	return err ? err : open_one(c, i);
}

static int make_all(struct home_coming *c, const struct vm_config *cfg, const struct home_sent *s,
		    const struct home_mark *from, char *why, size_t len)
{
	int err = read_text(&c->d, cfg, s, why, len);

	if (err)
		return err;
	snprintf(c->d.host, sizeof(c->d.host), "%s", home_own_name());
	c->d.moving = *from;
	for (unsigned i = 0; i < s->files; i++) {
		err = make_one(c, i, &s->file[i]);
		if (err)
			return refuse(s, s->file[i].name, ds_error_text(err), why, len);
	}
	err = home_write_new(&c->d, why, len);
	if (err)
		return err;
	home_new_name(c->name, c->file[c->files].name);
	err = open_one(c, c->files);
	return err ? refuse(s, c->file[c->files].name, ds_error_text(err), why, len) : 0;
}

/* It is known by this alone. */
static struct home *new_home(const char *name, struct home_coming *c)
{
	struct home *h = NULL;

	mutex_lock(&home_edit_lock);
	if (!home_find(name))
		h = home_add(name);
	if (h) {
		snprintf(h->store, sizeof(h->store), "%s", c->store);
		h->host[0] = '\0';
		h->autostart = h->autostart_delay_s = 0;
		h->comes = true;
		h->coming = c;
	}
	mutex_unlock(&home_edit_lock);
	return h;
}

int home_come(struct vm *vm, const struct home_sent *s, const struct home_mark *from, char *why,
	      size_t len)
{
	struct home_coming *c;

	if (!s->store[0])
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c) {
		snprintf(why, len, "the destination has no memory for it");
		return -ENOMEM;
	}
	c->users = 1;
	c->files = s->files;
	c->ds = ds_find(s->store);
	snprintf(c->store, sizeof(c->store), "%s", s->store);
	snprintf(c->name, sizeof(c->name), "%s", vm->cfg.name);
	if (!c->ds || !new_home(vm->cfg.name, c)) {
		snprintf(why, len, "a VM of this name has a home at the destination already");
		free(c);
		return -EEXIST;
	}
	return make_all(c, &vm->cfg, s, from, why, len);
}

/* ---- until it is here, or will not come ---- */

static struct home_coming *coming_of(const struct vm *vm)
{
	struct home *h = home_find(vm->cfg.name);

	return h ? h->coming : NULL;
}

unsigned home_come_files(const struct vm *vm, struct home_coming **out,
			 struct blkdev *file[HOME_FILES_MAX])
{
	struct home *h = home_find(vm->cfg.name);
	struct home_coming *c = NULL;
	unsigned n = 0;

	if (h) {
		mutex_lock(&h->lock);
		c = h->coming;
		if (c)
			__atomic_add_fetch(&c->users, 1, __ATOMIC_RELAXED);
		mutex_unlock(&h->lock);
	}
	for (; c && n < c->files; n++)
		file[n] = ds_file_blk(c->file[n].f);
	*out = c;
	return n;
}

bool home_come_at(const struct vm *vm, unsigned i, char path[VM_PATH_MAX], uint64_t *id)
{
	struct home_coming *c = coming_of(vm);

	if (!c || i > c->files)
		return false;
	*id = c->file[i].id;
	if (i < c->files) /* it fits: check_file */
		return snprintf(path, VM_PATH_MAX, "/ds/%s/%s", c->store, c->file[i].name) <
		       VM_PATH_MAX;
	home_file_path(c->store, c->name, path);
	return true;
}

int home_come_finish(const struct vm *vm, char *why, size_t len)
{
	struct home_coming *c = coming_of(vm);
	const char *name[HOME_FILES_MAX + 1];
	char path[VM_HOME_PATH];
	int err;

	if (!c)
		return 0;
	for (unsigned i = 0; i <= c->files; i++)
		name[i] = c->file[i].name;
	home_file_path(c->store, c->name, path);
	err = ds_finish_all(c->ds, name, c->files + 1, home_file_in(path, c->store, c->name), NULL);
	if (err)
		snprintf(why, len, "%s, with the VM's home: %s", path, ds_error_text(err));
	return err;
}

void home_here(const struct vm *vm)
{
	struct home *h = vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;
	struct home_coming *c = h ? h->coming : NULL;

	if (!c)
		return;
	mutex_lock(&h->lock);
	home_note(h, &c->d, c->file[c->files].id);
	h->held = c->file[c->files].f;
	c->file[c->files].f = NULL;
	h->coming = NULL;
	h->comes = false;
	mutex_unlock(&h->lock);
	c->here = true;
	home_coming_put(c);
}

/* Whoever writes its files may still do so. The description is nobody's to write, and would start
 * the VM here after a crash: it goes at once. */
static void remove_description(struct home_coming *c)
{
	if (c->file[c->files].f)
		ds_close(c->file[c->files].f);
	c->file[c->files].f = NULL;
	if (c->file[c->files].id)
		remove_one(c, c->files);
	c->file[c->files].id = 0;
}

void home_come_end(struct home *h)
{
	struct home_coming *c;

	mutex_lock(&h->lock);
	c = h->coming;
	h->coming = NULL;
	mutex_unlock(&h->lock);
	if (c)
		remove_description(c);
	home_coming_put(c);
}
