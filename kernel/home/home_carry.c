/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs at home whose home, or whose disks alone, change their datastore on this host
 * (docs/ownership.md "A home that moves"). From begin to end the description's lease is held, and
 * nobody changes it. What takes time comes before the VM stands still: the files are copied, and
 * the new description is written beside its place, all unfinished; the old one says where to look.
 * The switch (home_carry_end.c) is one transaction on the new datastore.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "home_carry.h"

/* ---- begin ---- */

static int refuse_place(const char *store, const char *file, char *why, size_t len)
{
	snprintf(why, len, "there is /ds/%s/%s already: the home of a VM finds its place empty",
		 store, file);
	return -EEXIST;
}

/* What is not there has nothing to be carried: the VM runs without it. */
static int note_part(struct home_carry *c, const char *path, char *why, size_t len)
{
	struct home_carried *p = &c->part[c->parts];
	struct datastore *ds;
	struct ds_entry e;
	const char *file = home_file_in(path, c->from, c->h->name);
	int err;

	for (unsigned i = 0; file && i < c->parts; i++)
		if (!strcmp(c->part[i].from, path))
			file = NULL;
	err = file ? ds_path(path, &ds, &file) : -ENOENT;
	if (!err)
		err = ds_stat(ds, file, &e);
	if (err == -ENOENT)
		return 0;
	if (err) {
		snprintf(why, len, "%s: %s", path, ds_error_text(err));
		return err;
	}
	snprintf(p->from, sizeof(p->from), "%s", path);
	p->name = home_file_in(p->from, c->from, c->h->name);
	p->id = e.id;
	p->bytes = e.size;
	c->parts++;
	return ds_stat(c->ds, p->name, &e) ? 0 : refuse_place(c->to, p->name, why, len);
}

static int look_around(struct home_carry *c, struct vm_config *cfg, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	struct ds_entry e;
	const char *part;
	int err = home_store(c->to, &c->ds, why, len);

	if (err || !home_carry_goes(c))
		return err;
	home_file_path(c->to, c->h->name, path);
	part = home_file_in(path, c->to, c->h->name);
	if (!ds_stat(c->ds, part, &e))
		return refuse_place(c->to, part, why, len);
	for (unsigned i = 0; !err && (part = home_part(cfg, i)); i++)
		err = note_part(c, part, why, len);
	return err;
}

/* A VM that is off has no lease yet: then it goes again at the end. */
static int hold(struct home *h, char *why, size_t len)
{
	bool had;
	int err;

	mutex_lock(&h->lock);
	had = h->held;
	err = home_hold_locked(h, why, len);
	h->carried = !err;
	h->let_go = !had;
	mutex_unlock(&h->lock);
	return err;
}

/* As its description is now, and with no former one that would count again. */
static int read_now(struct home_carry *c, char *why, size_t len)
{
	struct vm_desc *d = &c->work->d;
	uint64_t file;
	int err = home_read(c->h, d, &file, why, len);

	if (!err && home_carry_goes(c))
		err = home_former_gone(d, why, len);
	return err ? err : look_around(c, &d->cfg, why, len);
}

void home_carry_free(struct home_carry *c)
{
	free(c->work);
	free(c);
}

static struct home_carry *new_carry(struct home *h, const char *store)
{
	struct home_carry *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->work = malloc(sizeof(*c->work));
	if (!c->work) {
		free(c);
		return NULL;
	}
	c->h = h;
	snprintf(c->from, sizeof(c->from), "%s", h->store);
	snprintf(c->to, sizeof(c->to), "%s", store[0] ? store : h->store);
	home_new_name(h->name, c->fresh);
	return c;
}

int home_carry_begin(struct vm *vm, const char *store, struct home_carry **out, char *why,
		     size_t len)
{
	struct home *h = vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;
	struct home_carry *c = h ? new_carry(h, store) : NULL;
	uint64_t file;
	int err;

	*out = NULL;
	if (!h)
		return 0;
	if (!c) {
		snprintf(why, len, "the host has no memory for it");
		return -ENOMEM;
	}
	mutex_lock(&home_edit_lock);
	err = home_refuse_moving(h, vm, why, len);
	if (!err) /* who holds it is not told of a move that is open */
		err = home_read(h, &c->work->d, &file, why, len);
	if (!err)
		err = hold(h, why, len);
	if (!err) {
		*out = c; /* which home_carry_end undoes, whatever comes */
		err = read_now(c, why, len);
	}
	mutex_unlock(&home_edit_lock);
	if (!*out)
		home_carry_free(c);
	return err;
}

/* The description is written anew where it stays, too. */
void home_carry_room(const struct home_carry *c, struct ds_room *room)
{
	ds_room_add(room, c->ds, VM_DESC_BYTES_MAX);
	for (unsigned i = 0; i < c->parts; i++)
		ds_room_add(room, c->ds, c->part[i].bytes);
}

/* ---- what comes before the switch ---- */

struct reader {
	struct ds_file *f;
	int (*asked)(void *user);
	void *user;
};

/* In whole blocks; the room behind the last one's end is the importer's. */
static int read_piece(void *user, uint64_t at, size_t bytes, void *buf)
{
	struct reader *r = user;
	struct blkdev *d = ds_file_blk(r->f);
	uint32_t block = d->geo.block_bytes;
	int err = r->asked(r->user);

	return err ? err
		   : blk_transfer(d, BLK_READ, at / block, ALIGN_UP(bytes, block) / block, buf);
}

static int copy_part(struct home_carry *c, struct home_carried *p, struct reader *r)
{
	struct ds_source from = { .read = read_piece, .user = r };
	struct datastore *ds;
	const char *file;
	int err = ds_path(p->from, &ds, &file);

	if (!err)
		err = ds_open(ds, file, DS_OPEN_READ, &r->f);
	if (err)
		return err;
	from.size = ds_file_size(r->f);
	err = ds_import_unfinished(c->ds, p->name, DS_KIND_PLAIN, &from);
	ds_close(r->f);
	p->made = !err;
	return err;
}

int home_carry_files(struct home_carry *c, int (*asked)(void *user), void *user, char *why,
		     size_t len)
{
	struct reader r = { .asked = asked, .user = user };
	int err = 0;

	for (unsigned i = 0; i < c->parts && !err; i++) {
		err = copy_part(c, &c->part[i], &r);
		if (err && err != -ECANCELED)
			snprintf(why, len, "%s to datastore %s: %s", c->part[i].from, c->to,
				 ds_error_text(err));
	}
	return err;
}

/* A disk that the description names otherwise by now stays. */
static void set_disks(struct vm_config *cfg, const struct vm_config *was,
		      const struct vm_disk *disk)
{
	for (unsigned i = 0; i < cfg->disks; i++)
		if (!strcmp(cfg->disk[i].path, was->disk[i].path))
			memcpy(cfg->disk[i].path, disk[i].path, sizeof(disk[i].path));
}

static int identify(struct datastore *ds, uint8_t id[16])
{
	struct ds_info i;
	int err = ds_info(ds, &i);

	if (!err)
		memcpy(id, i.id, sizeof(i.id));
	return err;
}

static int write_fresh(struct home_carry *c, struct vm_desc *d, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	struct ds_lease l;
	int err = 0;

	if (home_carry_goes(c)) {
		err = home_rebase(&d->cfg, c->to);
		memcpy(d->moved_from, c->from, sizeof(d->moved_from));
	}
	if (!err && home_carry_goes(c))
		err = identify(ds_file_store(c->h->held), d->moved_from_id);
	home_file_path(c->to, c->h->name, path);
	if (err) {
		snprintf(why, len, "%s: %s", path,
			 err == -ENAMETOOLONG ? "the path of a file would be too long"
					      : ds_error_text(err));
		return err;
	}
	err = home_write_new(d, why, len);
	if (err)
		return err;
	err = ds_open(c->ds, c->fresh, DS_OPEN_WRITE, &c->file);
	if (err)
		return home_say(err, c->ds, path, why, len);
	ds_file_lease(c->file, &l);
	c->file_id = l.file;
	return 0;
}

int home_carry_mark(struct home_carry *c, const char *to, char *why, size_t len)
{
	struct vm_desc *d = &c->work->d;
	uint64_t file;
	int err = to[0] ? home_read(c->h, d, &file, why, len)
			: home_read_text(c->h, d, &file, why, len);

	if (err)
		return err;
	err = to[0] ? identify(c->ds, d->moves_to_id) : 0;
	if (err)
		return home_say(err, c->ds, to, why, len);
	snprintf(d->moves_to, sizeof(d->moves_to), "%s", to);
	return home_save(c->h, d, why, len);
}

int home_carry_prepare(struct home_carry *c, const struct vm *vm, const struct vm_disk *disk,
		       char *why, size_t len)
{
	struct vm_desc *d = &c->work->d;
	uint64_t file;
	int err;

	mutex_lock(&home_edit_lock);
	err = home_read(c->h, d, &file, why, len);
	if (!err) {
		set_disks(&d->cfg, &vm->cfg, disk);
		err = write_fresh(c, d, why, len);
	}
	if (!err && home_carry_goes(c)) {
		c->marked = true;
		err = home_carry_mark(c, c->to, why, len);
	}
	mutex_unlock(&home_edit_lock);
	return err;
}
