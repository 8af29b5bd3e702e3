/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What commands do with VMs at home: made, registered, started, changed, forgotten. The
 * description is the truth: another host may have changed it since this one read it, so a
 * start and a change read it again, and a VM that is another one by now is made anew.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "kernel/lib/name.h"

#include "home_int.h"

struct mutex home_edit_lock;

/* Two descriptions do not fit a stack. */
struct work {
	struct vm_desc d, now;
	char text[2][VM_DESC_BYTES_MAX];
};

static struct work *begin(char *why, size_t len)
{
	struct work *w = malloc(sizeof(*w));

	if (w)
		mutex_lock(&home_edit_lock);
	else
		snprintf(why, len, "the host has no memory for it");
	return w;
}

static void end(struct work *w)
{
	mutex_unlock(&home_edit_lock);
	free(w);
}

static struct vm *find(const char *name, char *why, size_t len)
{
	struct vm *vm = vm_find(name);

	if (!vm)
		snprintf(why, len, "no VM '%s' here: 'vm list' shows those that are", name);
	return vm;
}

static bool is_off(const struct vm *vm)
{
	return !vm->mig && (vm->state == VM_OFF || vm->state == VM_STOPPED_ERROR);
}

/* Its description's lease may be on its way to another host, or from there. */
static int refuse_moving(const struct home *h, const struct vm *vm, char *why, size_t len)
{
	if (!h->moves)
		return 0;
	snprintf(why, len, "VM %s is %s: try again when that is over ('tasks')", vm->cfg.name,
		 vm->doing ? vm->doing : "being moved");
	return -EBUSY;
}

static const char *own_name(void)
{
	const char *name = ds_host_self()->name;

	return name_is_ok(name, sizeof(ds_host_self()->name)) ? name : "";
}

static int save(struct home *h, struct vm_desc *d, char *why, size_t len)
{
	int err;

	mutex_lock(&h->lock);
	err = home_save_locked(h, d, why, len);
	if (!err)
		home_note(h, d, h->file);
	mutex_unlock(&h->lock);
	return err;
}

static int load(const struct home *h, struct vm_desc *d, uint64_t *file, char *why, size_t len)
{
	vm_desc_init(d);
	snprintf(d->cfg.name, sizeof(d->cfg.name), "%s", h->name);
	snprintf(d->cfg.home, sizeof(d->cfg.home), "%s", h->store);
	return home_load(d, file, why, len);
}

/* Whose the VM is at that host's next boot. What fails, because another runs it, is no harm. */
static void claim_host(struct home *h, struct vm_desc *d, const char *host)
{
	char why[192];
	uint64_t file;

	if (load(h, d, &file, why, sizeof(why)) || !strcmp(d->host, host))
		return;
	snprintf(d->host, sizeof(d->host), "%s", host);
	if (save(h, d, why, sizeof(why)))
		log_info("home", "%s: its host is not noted: %s", h->name, why);
}

static bool is_this(const struct vm *vm)
{
	struct vm *now = vm_find(vm->cfg.name);

	if (now)
		vm_put(now);
	return now == vm;
}

void home_claim(struct vm *vm)
{
	char why[192];
	struct work *w = begin(why, sizeof(why));
	struct home *h = w && is_this(vm) ? home_find(vm->cfg.name) : NULL;
	uint64_t file;

	if (h && !load(h, &w->d, &file, why, sizeof(why))) {
		mutex_lock(&h->lock);
		home_note(h, &w->d, h->file);
		mutex_unlock(&h->lock);
		claim_host(h, &w->d, own_name());
	}
	if (w)
		end(w);
}

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
	snprintf(d->host, sizeof(d->host), "%s", own_name());
	h = home_add(d->cfg.name);
	if (!h)
		snprintf(why, len, "too many VMs have a home here");
	err = h ? save(h, d, why, len) : -ENOSPC;
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
		claim_host(h, d, own_name());
	} else {
		snprintf(why, len, "too many VMs have a home here");
		err = vm_delete(vm, why, len) ? -EBUSY : -ENOSPC;
	}
	vm_put(vm);
	return err;
}

/* "/ds/DATASTORE/VM/VM.vm" */
static int take_path(const char *path, struct vm_desc *d, char *why, size_t len)
{
	char again[VM_HOME_PATH];
	const char *store = path + 4, *name = strncmp(path, "/ds/", 4) ? NULL : strchr(store, '/');
	size_t n = name ? (size_t)(name - store) : 0, m = name ? strcspn(name + 1, "/") : 0;

	if (n && n < sizeof(d->cfg.home) && m && m < sizeof(d->cfg.name)) {
		snprintf(d->cfg.home, n + 1, "%s", store);
		snprintf(d->cfg.name, m + 1, "%s", name + 1);
		home_file_path(d->cfg.home, d->cfg.name, again);
		if (!strcmp(again, path) && name_is_ok(d->cfg.name, VM_NAME_MAX))
			return 0;
	}
	snprintf(why, len, "%.80s is no description's path: /ds/DATASTORE/VM/VM.vm", path);
	return -EINVAL;
}

int home_register(const char *path, char name[VM_NAME_MAX], char *why, size_t len)
{
	struct work *w = begin(why, len);
	uint64_t file;
	int err;

	if (!w)
		return -ENOMEM;
	vm_desc_init(&w->d);
	err = take_path(path, &w->d, why, len);
	if (!err)
		err = home_load(&w->d, &file, why, len);
	if (!err) {
		snprintf(name, VM_NAME_MAX, "%s", w->d.cfg.name);
		err = home_register_locked(&w->d, file, why, len);
	}
	end(w);
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
	struct work *w = begin(why, len);
	struct vm *vm = w ? find(name, why, len) : NULL;
	struct home *h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	int err = !w ? -ENOMEM : !vm ? -ENOENT : !h ? no_home(name, why, len) : 0;

	if (!err)
		err = vm_delete(vm, why, len);
	if (vm)
		vm_put(vm);
	if (!err) {
		home_let_go(h); /* of one that was suspended */
		if (!strcmp(h->host, own_name()))
			claim_host(h, &w->d, "");
		home_forget(h);
	}
	if (w)
		end(w);
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

int home_destroy(const char *name, bool files, char *why, size_t len)
{
	struct home *h;
	struct vm *vm;
	int err;

	mutex_lock(&home_edit_lock);
	vm = find(name, why, len);
	h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	err = !vm ? -ENOENT : !h ? no_home(name, why, len) : refuse_moving(h, vm, why, len);
	if (!err) {
		mutex_lock(&h->lock);
		err = home_hold_locked(h, why, len);
		mutex_unlock(&h->lock);
	}
	if (!err) {
		err = vm_delete(vm, why, len);
		if (err && is_off(vm))
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

/* ---- made anew ---- */

/* The VM as d says; what cannot be made leaves the one that was. */
static int make_anew(struct vm *vm, const struct vm_desc *d, char *why, size_t len)
{
	struct vm_config was = vm->cfg;
	char text[96];
	struct vm *fresh;
	int err = vm_delete(vm, why, len);

	if (err)
		return err;
	err = vm_create(&d->cfg, &fresh, why, len);
	if (err && vm_create(&was, &fresh, text, sizeof(text))) {
		log_error("home", "%s is forgotten: %s", was.name, text);
		return err;
	}
	vm_put(fresh);
	return err;
}

static bool is_same(struct work *w)
{
	snprintf(w->now.host, sizeof(w->now.host), "%s", w->d.host);
	w->now.autostart = w->d.autostart;
	w->now.autostart_delay_s = w->d.autostart_delay_s;
	return vm_desc_write(&w->d, w->text[0], VM_DESC_BYTES_MAX) > 0 &&
	       vm_desc_write(&w->now, w->text[1], VM_DESC_BYTES_MAX) > 0 &&
	       !strcmp(w->text[0], w->text[1]);
}

/* The VM, which is off, as its description is now. */
static int refresh(struct work *w, struct vm *vm, struct home *h, char *why, size_t len)
{
	uint64_t file;
	int err = load(h, &w->d, &file, why, len);

	if (err)
		return err;
	home_describe(vm, &w->now);
	if (!is_same(w)) {
		log_info("home", "%s: its description has changed", h->name);
		memcpy(w->d.cfg.sched.cpus, vm->cfg.sched.cpus, sizeof(w->d.cfg.sched.cpus));
		err = make_anew(vm, &w->d, why, len);
	}
	if (!err) {
		mutex_lock(&h->lock);
		home_note(h, &w->d, file);
		mutex_unlock(&h->lock);
	}
	return err;
}

/* ---- started ---- */

static int start_once(struct work *w, const char *name, char *why, size_t len)
{
	struct vm *vm = find(name, why, len);
	struct home *h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	int err = vm ? 0 : -ENOENT;

	if (h && is_off(vm)) {
		err = refresh(w, vm, h, why, len);
		vm_put(vm);
		vm = err ? NULL : find(name, why, len);
	}
	if (!err)
		err = vm ? vm_start(vm, why, len) : -ENOENT;
	if (vm)
		vm_put(vm);
	if (!err && h)
		claim_host(h, &w->d, own_name());
	return err;
}

int home_start(const char *name, char *why, size_t len)
{
	int err = -ESTALE;

	for (unsigned tries = 0; tries < 3 && err == -ESTALE; tries++) {
		struct work *w = begin(why, len);

		if (!w)
			return -ENOMEM;
		err = start_once(w, name, why, len);
		end(w);
	}
	return err;
}

/* ---- changed ---- */

static int edit(struct work *w, struct vm *vm, bool anew,
		int (*fn)(struct vm_desc *d, void *arg, char *why, size_t why_len), void *arg,
		char *why, size_t len)
{
	struct home *h = vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;
	uint64_t file;
	int err = 0;

	if (anew && !is_off(vm)) {
		snprintf(why, len, "VM %s is %s: this needs it off ('vm stop %s')", vm->cfg.name,
			 vm_state_name(vm->state), vm->cfg.name);
		return -EBUSY;
	}
	if (h)
		err = refuse_moving(h, vm, why, len);
	if (h && !err)
		err = load(h, &w->d, &file, why, len);
	else if (!h)
		home_describe(vm, &w->d);
	if (!err)
		err = fn(&w->d, arg, why, len);
	if (!err && anew)
		err = vm_check(&w->d.cfg, why, len);
	if (!err && h)
		err = save(h, &w->d, why, len);
	if (!err && anew)
		err = make_anew(vm, &w->d, why, len);
	return err;
}

int home_edit(const char *name, bool anew,
	      int (*fn)(struct vm_desc *d, void *arg, char *why, size_t why_len), void *arg,
	      char *why, size_t len)
{
	struct work *w = begin(why, len);
	struct vm *vm = w ? find(name, why, len) : NULL;
	int err = !w ? -ENOMEM : vm ? 0 : -ENOENT;

	if (!err)
		err = edit(w, vm, anew, fn, arg, why, len);
	if (vm)
		vm_put(vm);
	if (w)
		end(w);
	return err;
}

/* ---- moved ---- */

struct moved {
	const struct vm_disk *from, *to;
};

/* Somebody may have changed the description since: what names another disk by now stays. */
static int set_disks(struct vm_desc *d, void *arg, char *why, size_t len)
{
	const struct moved *m = arg;

	(void)why;
	(void)len;
	for (unsigned i = 0; i < d->cfg.disks; i++)
		if (!strcmp(d->cfg.disk[i].path, m->from[i].path))
			memcpy(d->cfg.disk[i].path, m->to[i].path, sizeof(m->to[i].path));
	return 0;
}

int home_moved(struct vm *vm, const struct vm_disk *disk, char *why, size_t len)
{
	struct moved m = { vm->cfg.disk, disk };

	return vm->cfg.home[0] ? home_edit(vm->cfg.name, false, set_disks, &m, why, len) : 0;
}
