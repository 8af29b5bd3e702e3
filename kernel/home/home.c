/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which VMs of this host have a home, and the lease of each one's description while it is on.
 *
 * Homes are places of a table that is never freed, so whoever found one may wait for its lock.
 * Order: the edit lock, vm->lock, home->lock. The list lock is for finding alone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "home_int.h"

#define HOMES_MAX 64u

static struct home homes[HOMES_MAX];
static struct spinlock list_lock = SPINLOCK_INIT(LOCK_HOME, "homes");

/* ---- the table ---- */

static struct home *find_locked(const char *name)
{
	for (unsigned i = 0; i < HOMES_MAX; i++)
		if (!strcmp(homes[i].name, name))
			return &homes[i];
	return NULL;
}

struct home *home_find(const char *name)
{
	unsigned long flags = spin_lock(&list_lock);
	struct home *h = find_locked(name);

	spin_unlock(&list_lock, flags);
	return h;
}

struct home *home_add(const char *name)
{
	unsigned long flags = spin_lock(&list_lock);
	struct home *h = find_locked(name);

	if (!h)
		h = find_locked("");
	if (h)
		snprintf(h->name, sizeof(h->name), "%s", name);
	spin_unlock(&list_lock, flags);
	return h;
}

void home_forget(struct home *h)
{
	unsigned long flags = spin_lock(&list_lock);

	h->name[0] = '\0';
	spin_unlock(&list_lock, flags);
}

/* ---- what is known ---- */

void home_describe(const struct vm *vm, struct vm_desc *d)
{
	struct home *h = home_find(vm->cfg.name);

	vm_desc_init(d);
	d->cfg = vm->cfg;
	if (!h || !vm->cfg.home[0])
		return;
	snprintf(d->host, sizeof(d->host), "%s", h->host);
	d->autostart = h->autostart;
	d->autostart_delay_s = h->autostart_delay_s;
}

void home_note(struct home *h, const struct vm_desc *d, uint64_t file)
{
	snprintf(h->store, sizeof(h->store), "%s", d->cfg.home);
	snprintf(h->host, sizeof(h->host), "%s", d->host);
	h->autostart = d->autostart;
	h->autostart_delay_s = d->autostart_delay_s;
	h->file = file;
}

bool home_info(const char *name, struct home_info *out)
{
	struct home *h = home_find(name);

	if (!h)
		return false;
	home_file_path(h->store, h->name, out->path);
	out->autostart = h->autostart;
	out->autostart_delay_s = h->autostart_delay_s;
	return true;
}

/* ---- around a run ---- */

static const struct vm_platform *base;

int home_hold_locked(struct home *h, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	struct datastore *ds;
	struct ds_lease lease;
	struct ds_file *f;
	const char *file;
	int err;

	if (h->held)
		return home_find_out_locked(h, why, len);
	home_file_path(h->store, h->name, path);
	err = home_store(h->store, &ds, why, len);
	if (!err)
		err = ds_path(path, &ds, &file);
	if (err)
		return err;
	err = ds_open(ds, file, DS_OPEN_WRITE, &f);
	if (err)
		return home_say(err, ds, path, why, len);
	ds_file_lease(f, &lease);
	if (lease.file == h->file) {
		h->held = f;
		return 0;
	}
	ds_close(f);
	snprintf(why, len, "%s has changed: start it again", path);
	return -ESTALE;
}

void home_let_go(struct home *h)
{
	struct ds_file *f = NULL, *maybe = NULL;

	mutex_lock(&h->lock);
	h->let_go = h->carried;
	if (!h->carried) {
		f = h->held;
		maybe = h->maybe;
		h->held = h->maybe = NULL;
	}
	mutex_unlock(&h->lock);
	if (f)
		ds_close(f);
	if (maybe)
		ds_close(maybe);
}

static int acquire(struct vm *vm, char *why, size_t len)
{
	struct home *h = vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;
	int err = 0;

	if (h) {
		mutex_lock(&h->lock);
		err = home_hold_locked(h, why, len);
		mutex_unlock(&h->lock);
	}
	if (err)
		return err;
	err = base->acquire(vm, why, len);
	if (err && h)
		home_let_go(h);
	return err;
}

/* Another instance has taken this one's place, as a suspend makes one: then it is its. */
static bool is_anothers(const struct vm *vm)
{
	struct vm *now = vm_find(vm->cfg.name);

	if (now)
		vm_put(now);
	return now && now != vm;
}

static void release(struct vm *vm)
{
	struct home *h = vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;

	base->release(vm);
	if (h && !is_anothers(vm))
		home_let_go(h);
}

/* A suspended VM, and a source's copy of one that has moved, go without a release. */
static void destroy(struct vm *vm)
{
	struct home *h = vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;

	base->destroy(vm);
	if (h && !is_anothers(vm))
		home_let_go(h);
}

const struct vm_platform *home_platform(const struct vm_platform *b)
{
	static struct vm_platform mine;

	base = b;
	mine = *b;
	mine.acquire = acquire;
	mine.release = release;
	mine.destroy = destroy;
	mutex_init(&home_edit_lock, LOCK_HOME_EDIT, "home edit");
	for (unsigned i = 0; i < HOMES_MAX; i++)
		mutex_init(&homes[i].lock, LOCK_HOME, "home");
	return &mine;
}
