/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A home that goes to another host with its VM, at the source (docs/ownership.md "Disks that are
 * copied"): what is sent of it, and its end here. Meanwhile it is carried: the description's lease
 * is held whatever the VM does, and nobody changes it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "home_int.h"

static int begin(struct home *h, const struct vm *vm, char *why, size_t len)
{
	int err = home_refuse_moving(h, vm, why, len);

	if (err)
		return err;
	mutex_lock(&h->lock);
	err = home_find_out_locked(h, why, len);
	if (!err) {
		h->carried = h->sent = h->held != NULL;
		h->keep = h->let_go = false;
		err = h->held ? 0 : -ESRCH;
	}
	mutex_unlock(&h->lock);
	if (err == -ESRCH)
		snprintf(why, len, "the VM ended by itself before it could move");
	return err;
}

/* What is not there is not sent: the VM runs without it. */
static int list_file(struct home *h, const char *path, unsigned i, struct home_sent *out)
{
	const char *file = home_file_in(path, h->store, h->name);
	struct home_file *f = &out->file[out->files];
	struct datastore *ds;
	struct ds_entry e;
	int err;

	h->part[i] = 0;
	for (unsigned k = 0; file && k < out->files; k++)
		if (!strcmp(out->file[k].name, file))
			file = NULL;
	err = file ? ds_path(path, &ds, &file) : -ENOENT;
	if (!err)
		err = ds_stat(ds, file, &e);
	if (err || !e.size)
		return err == -ENOENT ? 0 : err;
	h->part[i] = e.id;
	snprintf(f->name, sizeof(f->name), "%s", file);
	f->size = e.size;
	out->files++;
	return 0;
}

static int list_files(struct home *h, const struct vm_config *cfg, struct home_sent *out, char *why,
		      size_t len)
{
	const char *path;
	int err = 0;

	out->files = 0;
	for (unsigned i = 0; !err && (path = home_part(cfg, i)); i++) {
		err = list_file(h, path, i, out);
		if (err)
			snprintf(why, len, "%s: %s", path, ds_error_text(err));
	}
	return err;
}

/* The description, with its disks as cfg has them. */
static int write_text(struct home *h, struct vm_desc *d, const struct vm *vm,
		      const struct vm_config *cfg, struct home_sent *out, char *why, size_t len)
{
	uint64_t file;
	int err = home_read(h, d, &file, why, len);

	if (!err)
		err = home_former_gone(d, why, len);
	if (err)
		return err;
	for (unsigned i = 0; i < d->cfg.disks; i++)
		if (!strcmp(d->cfg.disk[i].path, vm->cfg.disk[i].path))
			memcpy(d->cfg.disk[i].path, cfg->disk[i].path, sizeof(cfg->disk[i].path));
	d->host[0] = '\0'; /* it is the destination's to say */
	err = home_rebase(&d->cfg, out->store);
	if (!err && vm_desc_write(d, out->text, sizeof(out->text)) < 0)
		err = -ENOSPC;
	if (err)
		snprintf(why, len, "its description would be too long at the destination");
	return err;
}

int home_send(struct vm *vm, struct vm_config *cfg, struct home_sent *out, char *why, size_t len)
{
	struct home *h = home_find(vm->cfg.name);
	struct home_work *w = home_begin(why, len);
	int err = w ? h ? begin(h, vm, why, len) : -ESRCH : -ENOMEM;

	if (!err)
		err = list_files(h, &vm->cfg, out, why, len);
	if (!err)
		err = write_text(h, &w->d, vm, cfg, out, why, len);
	if (!err)
		err = home_rebase(cfg, out->store);
	if (w)
		home_end(w);
	return err;
}

int home_held(const struct vm *vm, char *why, size_t len)
{
	struct home *h = home_find(vm->cfg.name);
	char path[VM_HOME_PATH];
	int err;

	if (!h)
		return 0;
	mutex_lock(&h->lock);
	err = h->sent && h->held ? ds_lease_held(h->held) : 0;
	mutex_unlock(&h->lock);
	home_file_path(h->store, h->name, path);
	if (err)
		snprintf(why, len, "%s: %s", path,
			 err == -ESTALE ? "another host has taken its lease" : ds_error_text(err));
	return err;
}

/* ---- the end ---- */

void home_keep(const struct vm *vm)
{
	struct home *h = home_find(vm->cfg.name);

	if (!h)
		return;
	mutex_lock(&h->lock);
	h->keep = true;
	mutex_unlock(&h->lock);
}

static bool is_kept(struct home *h)
{
	bool keep;

	mutex_lock(&h->lock);
	keep = h->keep;
	mutex_unlock(&h->lock);
	return keep;
}

/* It is carried no more; the lease, if it is to go. */
static struct ds_file *put_down(struct home *h, bool gone)
{
	struct ds_file *f = NULL;

	mutex_lock(&h->lock);
	if (gone || h->let_go) {
		f = h->held;
		if (h->maybe)
			ds_close(h->maybe);
		h->held = h->maybe = NULL;
	}
	h->carried = h->sent = h->let_go = false;
	mutex_unlock(&h->lock);
	return f;
}

void home_sent_stay(struct home *h)
{
	struct ds_file *f = put_down(h, false);

	if (f)
		ds_close(f);
}

void home_sent_left(struct home *h, const struct vm_config *cfg)
{
	bool keep = is_kept(h);
	uint64_t id = h->file;
	struct ds_file *f;
	const char *path;

	if (keep)
		home_nobodys(h);
	f = put_down(h, true);
	if (keep) {
		if (f)
			ds_close(f);
		return;
	}
	for (unsigned i = 0; (path = home_part(cfg, i)); i++) {
		int err = h->part[i] ? ds_remove_file(path, h->part[i]) : 0;

		if (err && err != -ENOENT)
			log_warn("home", "%s is left behind: %s", path, ds_error_text(err));
	}
	if (f)
		home_remove_held(h->store, h->name, f, id);
}
