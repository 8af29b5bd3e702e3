/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch of a home that changes its datastore, and its end (home_carry.h). The old
 * description's lease is let go only when nobody finds it by its name any more: who has read it
 * before, on another host, must not start the VM from it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "home_carry.h"

#define FINISH_MAX (VM_DISKS_MAX + HOME_PARTS_MAX + 1)

/* ---- the switch ---- */

int home_carry_config(const struct home_carry *c, struct vm_config *cfg)
{
	return home_carry_goes(c) ? home_rebase(cfg, c->to) : 0;
}

/* What does not fit one transaction becomes whole before, if `gone` names it for a crash. */
static int put_there(struct home_carry *c, const char *const *also, unsigned n, const char *gone)
{
	const char *all[FINISH_MAX], *name;
	char path[VM_HOME_PATH];
	unsigned count = 0;
	int err;

	for (unsigned i = 0; i < n; i++)
		all[count++] = also[i];
	for (unsigned i = 0; i < c->parts; i++)
		all[count++] = c->part[i].name;
	all[count++] = c->fresh;
	home_file_path(c->to, c->h->name, path);
	name = home_file_in(path, c->to, c->h->name);
	err = ds_finish_all(c->ds, all, count, name, gone);
	if (err != -ENOBUFS || !gone)
		return err;
	for (unsigned i = 0; i < n; i++) {
		err = ds_finish(c->ds, all[i]);
		if (err)
			return err;
	}
	return ds_finish_all(c->ds, all + n, count - n, name, gone);
}

static int put_here(struct home_carry *c, const char *gone)
{
	char path[VM_HOME_PATH];

	home_file_path(c->to, c->h->name, path);
	return ds_replace(c->ds, c->fresh, home_file_in(path, c->to, c->h->name), gone);
}

/* Who was taken for dead, and lost the lease, has no say: the VM may run elsewhere. */
static int still_ours(const struct home_carry *c, char *why, size_t len)
{
	struct ds_file *f = c->h->held;
	char path[VM_HOME_PATH];
	int err = ds_lease_held(f);

	home_file_path(c->from, c->h->name, path);
	return err ? home_say(err, ds_file_store(f), path, why, len) : 0;
}

/* A transaction that broke off may have been done. */
static int find_out(const struct home_carry *c, int broke_off)
{
	char path[VM_HOME_PATH];
	int err;

	home_file_path(c->to, c->h->name, path);
	err = home_is_named(c->ds, home_file_in(path, c->to, c->h->name), c->file_id);
	return err == -ENOENT ? broke_off : err;
}

/* From now on it is held instead of the old one, which is held until it is removed. */
static void take_place_locked(struct home_carry *c)
{
	struct home *h = c->h;

	c->was = h->held;
	c->was_id = h->file;
	h->held = c->file;
	h->file = c->file_id;
	c->file = NULL;
	memcpy(h->store, c->to, sizeof(h->store));
}

static int decide_locked(struct home_carry *c, int broke_off, char *why, size_t len)
{
	int err = broke_off ? find_out(c, broke_off) : 0;
	char path[VM_HOME_PATH];

	c->doubt = err == -EINPROGRESS ? broke_off : 0;
	home_file_path(c->to, c->h->name, path);
	if (!err)
		take_place_locked(c);
	else if (err == -ENOBUFS)
		snprintf(why, len,
			 "%s: its files and its disks' are too many for one moment: "
			 "merge some snapshots",
			 path);
	else if (err != -EINPROGRESS)
		home_say(err, c->ds, path, why, len);
	else
		snprintf(why, len, "datastore %s does not say whether %s counts", c->to, path);
	return err;
}

int home_carry_switch(struct home_carry *c, const char *const *also, unsigned n, const char *gone,
		      char *why, size_t len)
{
	struct home *h = c->h;
	int err;

	mutex_lock(&h->lock);
	err = still_ours(c, why, len);
	if (!err)
		err = decide_locked(
			c, home_carry_goes(c) ? put_there(c, also, n, gone) : put_here(c, gone),
			why, len);
	mutex_unlock(&h->lock);
	return err;
}

int home_carry_look(struct home_carry *c, char *why, size_t len)
{
	int err;

	mutex_lock(&c->h->lock);
	err = decide_locked(c, c->doubt, why, len);
	mutex_unlock(&c->h->lock);
	return err;
}

int home_carry_stay(struct home_carry *c, char *why, size_t len)
{
	int err;

	if (!home_carry_goes(c)) {
		snprintf(why, len, "only datastore %s knows what its description says", c->to);
		return -EBUSY;
	}
	mutex_lock(&home_edit_lock);
	err = home_carry_mark(c, "", why, len);
	if (!err)
		c->marked = false;
	mutex_unlock(&home_edit_lock);
	return err;
}

/* ---- the end ---- */

static void say_left(const struct home_carry *c, const char *store, const char *file, int err)
{
	if (err && err != -ENOENT)
		log_warn("home", "%s: /ds/%s/%s is left behind: %s", c->h->name, store, file,
			 ds_error_text(err));
}

static void remove_in(const struct home_carry *c, const char *store, const char *file, uint64_t id)
{
	char path[VM_PATH_MAX];

	snprintf(path, sizeof(path), "/ds/%s/%s", store, file);
	say_left(c, store, file, ds_remove_file(path, id));
}

/*
 * What it names goes first: a crash finds the list of the rest in it. It is found by its name no
 * more when its lease goes.
 */
static void remove_old(struct home_carry *c)
{
	struct ds_file *was = c->was;

	for (unsigned i = 0; i < c->parts; i++)
		remove_in(c, c->from, c->part[i].name, c->part[i].id);
	c->was = NULL;
	if (home_carry_goes(c)) {
		home_remove_held(c->from, c->h->name, was, c->was_id);
		return;
	}
	ds_close(was);
	remove_in(c, c->from, c->fresh, c->was_id);
}

/* Nothing of the former one is there: the new one need not say so any more. */
static void forget_former(struct home_carry *c)
{
	struct vm_desc *d = &c->work->d;
	char why[192];
	uint64_t file;
	int err = home_read(c->h, d, &file, why, sizeof(why));

	if (!err)
		err = home_former_gone(d, why, sizeof(why));
	if (!err)
		err = home_save(c->h, d, why, sizeof(why));
	if (err)
		log_warn("home", "%s: %s", c->h->name, why);
}

/* A switch that broke off may have given it its name after all. */
static void remove_fresh(struct home_carry *c)
{
	char path[VM_HOME_PATH];
	int err;

	ds_close(c->file);
	err = ds_remove(c->ds, c->fresh);
	home_file_path(c->to, c->h->name, path);
	if (err == -ENOENT)
		err = ds_remove_file(path, c->file_id);
	say_left(c, c->to, c->fresh, err);
}

static void undo(struct home_carry *c)
{
	char why[192];

	if (c->file)
		remove_fresh(c);
	for (unsigned i = 0; i < c->parts; i++)
		if (c->part[i].made)
			say_left(c, c->to, c->part[i].name, ds_remove(c->ds, c->part[i].name));
	if (c->marked && home_carry_mark(c, "", why, sizeof(why)))
		log_warn("home", "%s still says that it moves, which is no harm: %s", c->h->name,
			 why);
}

void home_carry_end(struct home_carry *c, bool moved)
{
	struct home *h;
	bool let_go;

	if (!c)
		return;
	h = c->h;
	mutex_lock(&home_edit_lock);
	if (moved && c->was) {
		remove_old(c);
		if (home_carry_goes(c))
			forget_former(c);
	} else {
		undo(c);
	}
	mutex_lock(&h->lock);
	h->carried = false;
	let_go = h->let_go;
	h->let_go = false;
	mutex_unlock(&h->lock);
	if (let_go)
		home_let_go(h);
	mutex_unlock(&home_edit_lock);
	home_carry_free(c);
}
