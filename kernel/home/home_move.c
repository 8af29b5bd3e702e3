/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs at home that move to another host (docs/ownership.md). The description stays where it is, on
 * a datastore that both hosts have; its lease goes, before those of the disks: who has it has
 * the VM. Until it is accepted the destination only knows the place, so a move that fails
 * leaves there what was registered, or nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "home_int.h"

static struct home *home_of(const struct vm *vm)
{
	return vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;
}

bool home_leased(const struct vm *vm)
{
	const struct home *h = home_of(vm);

	return h && h->moves;
}

/* ---- at the source ---- */

static int identify_locked(struct home *h, struct home_id *out, char *why, size_t len)
{
	struct ds_info ds;
	int err = home_find_out_locked(h, why, len);

	if (err)
		return err;
	err = h->held ? ds_info(ds_file_store(h->held), &ds) : -ESRCH;
	if (err) {
		snprintf(why, len, "%s",
			 h->held ? ds_error_text(err)
				 : "the VM ended by itself before it could move");
		return err;
	}
	ds_file_lease(h->held, &h->told);
	snprintf(out->store, sizeof(out->store), "%s", h->store);
	memcpy(out->ds, ds.id, sizeof(out->ds));
	out->lease = h->told;
	return 0;
}

/* A change of the description that is under way comes first; later ones are refused. */
int home_identify(struct vm *vm, bool goes, struct home_id *out, char *why, size_t len)
{
	struct home *h = home_of(vm);
	int err = 0;

	*out = (struct home_id){ .store = "" };
	if (!h)
		return 0;
	mutex_lock(&home_edit_lock);
	mutex_lock(&h->lock);
	if (goes)
		err = identify_locked(h, out, why, len);
	h->moves = goes && !err;
	mutex_unlock(&h->lock);
	mutex_unlock(&home_edit_lock);
	return err;
}

int home_give(struct vm *vm, const uint8_t host[16], char *why, size_t len)
{
	struct home *h = home_of(vm);
	char path[VM_HOME_PATH];
	int err;

	if (!h || !h->moves)
		return 0;
	mutex_lock(&h->lock);
	err = h->held ? ds_lease_give(h->held, host) : -ESTALE;
	mutex_unlock(&h->lock);
	home_file_path(h->store, h->name, path);
	if (err)
		snprintf(why, len, "the lease of %s cannot be given to the destination: %s", path,
			 err == -ENOENT ? "it has not mounted the datastore" : ds_error_text(err));
	return err;
}

int home_take_back(struct vm *vm)
{
	struct home *h = home_of(vm);
	int err;

	if (!h || !h->moves)
		return 0;
	mutex_lock(&h->lock);
	err = h->held ? ds_lease_take_back(h->held) : -ESTALE;
	mutex_unlock(&h->lock);
	return err;
}

void home_stay(const struct vm *vm)
{
	struct home *h = home_of(vm);

	if (!h)
		return;
	h->moves = false;
	if (h->sent)
		home_sent_stay(h);
}

void home_leave(const struct vm *vm)
{
	struct home *h = home_of(vm);

	if (!h)
		return;
	home_let_go(h); /* one that is sent as well goes with its files: home_left */
	h->moves = false;
}

void home_left(const struct vm *vm)
{
	struct home *h;
	struct vm *now;

	mutex_lock(&home_edit_lock);
	h = home_of(vm);
	now = vm_find(vm->cfg.name);
	if (now)
		vm_put(now); /* registered again meanwhile */
	if (h && h->sent)
		home_sent_left(h, &vm->cfg);
	if (!now && h)
		home_forget(h);
	mutex_unlock(&home_edit_lock);
}

/* ---- at the destination ---- */

static int refuse(const char *path, const char *text, char *why, size_t len)
{
	snprintf(why, len, "%s, the VM's description: %s", path, text);
	return -ENOENT;
}

int home_check(const char *name, const struct home_id *id, char *why, size_t len)
{
	struct datastore *ds = ds_find(id->store);
	char path[VM_HOME_PATH];
	struct ds_info info;
	struct ds_entry e;
	const char *file;
	int err;

	home_file_path(id->store, name, path);
	if (!ds)
		return refuse(path,
			      "its datastore is not mounted at the destination: mount it there",
			      why, len);
	err = ds_info(ds, &info);
	if (!err && memcmp(info.id, id->ds, sizeof(info.id)))
		return refuse(path, "the destination has another datastore of this name", why, len);
	if (!err && !info.writable)
		return refuse(path, "its datastore cannot be written at the destination, see 'log'",
			      why, len);
	if (!err)
		err = ds_path(path, &ds, &file);
	if (!err)
		err = ds_stat(ds, file, &e);
	if (err)
		return refuse(path, ds_error_text(err), why, len);
	if (e.id != id->lease.file)
		return refuse(path, "it is another file at the destination", why, len);
	return 0;
}

bool home_gives_way(const struct vm *vm, const struct home_id *id)
{
	return id->store[0] && !strcmp(vm->cfg.home, id->store) && !vm->mig &&
	       (vm->state == VM_OFF || vm->state == VM_STOPPED_ERROR);
}

static int await_locked(struct home *h, const struct home_id *id, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	struct datastore *ds;
	const char *file;
	int err;

	home_file_path(id->store, h->name, path);
	err = ds_path(path, &ds, &file);
	if (!err)
		err = ds_open(ds, file, DS_OPEN_READ, &h->awaits);
	if (err)
		return refuse(path, ds_error_text(err), why, len);
	h->told = id->lease;
	h->moves = true;
	return 0;
}

int home_await(const struct vm *vm, const struct home_id *id, char *why, size_t len)
{
	struct home *h;
	bool known;
	int err;

	if (!id->store[0])
		return 0;
	mutex_lock(&home_edit_lock);
	known = home_find(vm->cfg.name) != NULL;
	h = home_add(vm->cfg.name);
	mutex_unlock(&home_edit_lock);
	if (!h) {
		snprintf(why, len, "too many VMs have a home there");
		return -ENOSPC;
	}
	mutex_lock(&h->lock);
	if (!known) {
		snprintf(h->store, sizeof(h->store), "%s", id->store);
		h->host[0] = '\0';
		h->autostart = h->autostart_delay_s = 0;
	}
	h->comes = !known;
	err = await_locked(h, id, why, len);
	mutex_unlock(&h->lock);
	return err;
}

int home_accept(const struct vm *vm)
{
	struct home *h = home_of(vm);
	int err = 0;

	if (!h || !h->moves)
		return 0;
	mutex_lock(&h->lock);
	if (!h->held)
		err = ds_lease_accept(ds_file_store(h->awaits), &h->told, &h->held);
	if (!err) {
		h->file = h->told.file;
		h->moves = h->comes = false;
		ds_close(h->awaits);
		h->awaits = NULL;
	}
	mutex_unlock(&h->lock);
	return err;
}

void home_not_come(const struct vm *vm)
{
	struct home *h = home_of(vm);
	struct ds_file *f;

	if (!h)
		return;
	mutex_lock(&h->lock);
	f = h->awaits;
	h->awaits = NULL;
	h->moves = false;
	mutex_unlock(&h->lock);
	if (f)
		ds_close(f);
	if (h->coming)
		home_come_end(h);
	if (h->comes)
		home_forget(h);
	h->comes = false;
}

/* ---- it is here ---- */

static void note_host(void *arg)
{
	struct vm *vm = arg;

	home_claim(vm);
	vm_put(vm);
}

void home_arrived(struct vm *vm)
{
	struct world_opts o = { .name = "home", .prio = WORLD_NORMAL, .cpu = -1 };

	if (!vm->cfg.home[0])
		return;
	vm_get(vm);
	if (world_create(NULL, &o, note_host, vm))
		note_host(vm);
}
