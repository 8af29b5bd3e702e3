/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs at home made, registered, forgotten. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "kernel/lib/name.h"

#include "home_int.h"

/* ---- made and registered ---- */

static int create(struct vm_desc *d, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	struct datastore *ds;
	struct ds_entry e;
	const char *file;
	struct home *h;
	struct vm *vm;
	int err = home_store(d->cfg.home, &ds, why, len);

	if (err)
		return err;
	home_file_path(d->cfg.home, d->cfg.name, path);
	if (!ds_path(path, &ds, &file) && !ds_stat(ds, file, &e)) {
		snprintf(why, len, "there is %s already: 'vm register %s'", path, path);
		return -EEXIST;
	}
	err = vm_create(&d->cfg, &vm, why, len);
	if (err)
		return err;
	d->cfg = vm->cfg; /* with the addresses and serial numbers that were chosen */
	snprintf(d->host, sizeof(d->host), "%s", home_own_name());
	h = home_add(d->cfg.name);
	if (!h)
		snprintf(why, len, "too many VMs have a home here");
	err = h ? home_save(h, d, why, len) : -ENOSPC;
	if (err && vm_delete(vm, path, sizeof(path)))
		log_error("home", "%s has no description: %s", d->cfg.name, path);
	if (err && h)
		home_forget(h);
	vm_put(vm);
	return err;
}

int home_create(struct vm_desc *d, char *why, size_t len)
{
	int err;

	mutex_lock(&home_edit_lock);
	err = create(d, why, len);
	mutex_unlock(&home_edit_lock);
	return err;
}

int home_register_locked(struct vm_desc *d, uint64_t file, char *why, size_t len)
{
	struct home *h;
	struct vm *vm;
	int err = vm_create(&d->cfg, &vm, why, len);

	if (err)
		return err;
	h = home_add(d->cfg.name);
	if (h) {
		home_note(h, d, file);
		home_claim_host(h, d, home_own_name());
	} else {
		snprintf(why, len, "too many VMs have a home here");
		err = vm_delete(vm, why, len) ? -EBUSY : -ENOSPC;
	}
	vm_put(vm);
	return err;
}

int home_register(const char *path, char name[VM_NAME_MAX], char *why, size_t len)
{
	struct home_work *w = home_begin(why, len);
	uint64_t file;
	int err;

	if (!w)
		return -ENOMEM;
	vm_desc_init(&w->d);
	err = home_take_path(path, w->d.cfg.home, w->d.cfg.name) ? 0 : -EINVAL;
	if (err)
		snprintf(why, len, "%.80s is no description's path: /ds/DATASTORE/VM/VM.vm", path);
	if (!err)
		err = home_load(&w->d, &file, why, len);
	if (!err || (err == -EAGAIN && w->d.moving.host[0])) { /* to be resolved here */
		snprintf(name, VM_NAME_MAX, "%s", w->d.cfg.name);
		err = home_register_locked(&w->d, file, why, len);
	}
	home_end(w);
	return err;
}

/* ---- forgotten ---- */

static int no_home(const char *name, char *why, size_t len)
{
	snprintf(why, len, "VM %s has no home on a datastore", name);
	return -EINVAL;
}

int home_unregister(const char *name, char *why, size_t len)
{
	struct home_work *w = home_begin(why, len);
	struct vm *vm = w ? home_vm(name, why, len) : NULL;
	struct home *h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	int err = !w ? -ENOMEM : !vm ? -ENOENT : !h ? no_home(name, why, len) : 0;

	if (!err)
		err = vm_delete(vm, why, len);
	if (vm)
		vm_put(vm);
	if (!err) {
		home_let_go(h); /* of one that was suspended */
		if (!strcmp(h->host, home_own_name()))
			home_claim_host(h, &w->d, "");
		home_forget(h);
	}
	if (w)
		home_end(w);
	return err;
}

/* As long as there are some that go: a snapshot goes after what stands on it. */
static int remove_files(struct datastore *ds, const char *prefix, char *why, size_t len)
{
	unsigned gone, left;
	struct ds_entry e;
	int err = 0;

	do {
		gone = left = 0;
		for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);) {
			int rc =
				strncmp(e.name, prefix, strlen(prefix)) ? 1 : ds_remove(ds, e.name);

			gone += rc == 0;
			if (rc >= 0)
				continue;
			left++;
			err = rc;
			snprintf(why, len, "%s is left: %s", e.name, ds_error_text(rc));
		}
	} while (gone && left);
	return left ? err : 0;
}

/* Nobody runs the VM: this host has its description's lease until the file goes. */
static int remove_home(struct home *h, bool files, char *why, size_t len)
{
	char path[VM_HOME_PATH], prefix[VM_NAME_MAX + 2];
	struct datastore *ds;
	const char *file;
	int err;

	home_let_go(h);
	home_file_path(h->store, h->name, path);
	err = ds_path(path, &ds, &file);
	if (!err)
		err = ds_remove(ds, file);
	if (err)
		return home_say(err, ds, path, why, len);
	snprintf(prefix, sizeof(prefix), "%s/", h->name);
	return files ? remove_files(ds, prefix, why, len) : 0;
}

/* A description whose place this one has taken would count again. */
static int last_one(struct home *h, char *why, size_t len)
{
	struct vm_desc *d = malloc(sizeof(*d));
	uint64_t file;
	int err = d ? home_read(h, d, &file, why, len) : -ENOMEM;

	if (!err)
		err = home_former_gone(d, why, len);
	else if (err != -ENOMEM)
		err = 0; /* it cannot be read, but removed */
	free(d);
	return err;
}

int home_destroy(const char *name, bool files, char *why, size_t len)
{
	struct home *h;
	struct vm *vm;
	int err;

	mutex_lock(&home_edit_lock);
	vm = home_vm(name, why, len);
	h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	err = !vm ? -ENOENT : !h ? no_home(name, why, len) : home_refuse_moving(h, vm, why, len);
	if (!err)
		err = last_one(h, why, len);
	if (!err) {
		mutex_lock(&h->lock);
		err = home_hold_locked(h, why, len);
		mutex_unlock(&h->lock);
	}
	if (!err) {
		err = vm_delete(vm, why, len);
		if (err && home_vm_is_off(vm))
			home_let_go(h);
	}
	if (vm)
		vm_put(vm);
	if (!err) {
		err = remove_home(h, files, why, len);
		home_forget(h);
	}
	mutex_unlock(&home_edit_lock);
	return err;
}
