/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move between hosts, with its home, that nobody has ended (docs/ownership.md "Disks that are
 * copied"). The lease of the description does not go along, and dies with its host. So that a third
 * host which has the datastore does not start the VM then, the description says `moving =
 * HOST,ID`: at the source from before GO on, at the destination until it owns the VM. With that key
 * a VM is registered, but not started. It goes when one of the two hosts knows how the move of this
 * id has ended, or the operator says so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "home_int.h"

int home_refuse_unsettled(const struct vm_desc *d, char *why, size_t len)
{
	if (!d->moving.host[0])
		return 0;
	snprintf(why, len,
		 "it was moving to or from %s, and may run there: the hosts settle that when they "
		 "are up; if it runs nowhere: 'migrate resolve %s here'",
		 d->moving.host, d->cfg.name);
	return -EAGAIN;
}

int home_check_settled(const struct vm *vm, char *why, size_t len)
{
	struct home_work *w = vm->cfg.home[0] ? home_begin(why, len) : NULL;
	struct home *h = w ? home_find(vm->cfg.name) : NULL;
	uint64_t file;
	int err = h ? home_read(h, &w->d, &file, why, len) : 0;

	if (!w && vm->cfg.home[0])
		err = -ENOMEM;
	if (w)
		home_end(w);
	return err;
}

/* ---- the mark ---- */

int home_leaves(const struct vm *vm, const struct home_mark *to, uint64_t *file, char *why,
		size_t len)
{
	struct home_work *w = home_begin(why, len);
	struct home *h = w ? home_find(vm->cfg.name) : NULL;
	int err = !w ? -ENOMEM : h ? home_read(h, &w->d, file, why, len) : -ESRCH;

	if (!err) {
		w->d.moving = *to;
		err = home_save(h, &w->d, why, len);
	}
	if (!err)
		*file = h->file;
	if (w)
		home_end(w);
	return err;
}

static int unmark(struct home *h, struct vm_desc *d, char *why, size_t len)
{
	d->moving = (struct home_mark){ .host = "" };
	return home_save(h, d, why, len);
}

static void say_marked(const char *name, const char *why)
{
	log_warn("home", "%s still says that it moves, see 'migrate resolve': %s", name, why);
}

void home_stays(const struct vm *vm)
{
	char why[192];
	struct home *h = home_find(vm->cfg.name);
	struct home_work *w = h && h->sent ? home_begin(why, sizeof(why)) : NULL;
	uint64_t file;
	int err;

	if (!w)
		return;
	err = home_read_text(h, &w->d, &file, why, sizeof(why));
	if (!err && w->d.moving.host[0])
		err = unmark(h, &w->d, why, sizeof(why));
	if (err)
		say_marked(h->name, why);
	home_end(w);
}

/* ---- what is learnt after a crash ---- */

void home_nobodys(struct home *h)
{
	struct vm_desc *d = malloc(sizeof(*d));

	if (d)
		home_claim_settled(h, d, "");
	free(d);
}

/* Another VM may have the name by now. */
static bool is_at(const struct home *h, const char *path)
{
	char now[VM_HOME_PATH];

	home_file_path(h->store, h->name, now);
	return !strcmp(now, path);
}

/* Not one of the same name that has been made, or has come, since. */
static void forget(const char *name, const char *path, uint64_t file)
{
	struct vm *vm = vm_find(name);
	struct home *h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	char why[192];

	if (h && (!is_at(h, path) || h->file != file))
		h = NULL;
	if (h && vm_delete(vm, why, sizeof(why)))
		log_warn("home", "%s has moved, and is still registered here: %s", name, why);
	else if (h)
		home_forget(h);
	if (vm)
		vm_put(vm);
}

void home_gone(const char *name, const char *path, uint64_t file)
{
	mutex_lock(&home_edit_lock);
	forget(name, path, file);
	mutex_unlock(&home_edit_lock);
}

/* The VM's at that place; one that is not registered here has `alone`. */
static struct home *home_at(const struct vm_desc *d, const char *path, struct home *alone)
{
	struct home *h = home_find(d->cfg.name);

	if (h && is_at(h, path))
		return h;
	mutex_init(&alone->lock, LOCK_HOME, "home");
	memcpy(alone->name, d->cfg.name, sizeof(alone->name));
	memcpy(alone->store, d->cfg.home, sizeof(alone->store));
	return alone;
}

static bool is_marked(const struct home_mark *now, const struct home_mark *m)
{
	static const uint8_t unsaid[sizeof(m->id)];

	if (!now->host[0])
		return false;
	return !memcmp(now->id, m->id, sizeof(m->id)) ||
	       (!memcmp(now->id, unsaid, sizeof(unsaid)) && !strcmp(now->host, m->host));
}

static int settle(struct vm_desc *d, const char *path, const struct home_mark *m, enum home_end end)
{
	struct home alone = { .name = "" }, *h = home_at(d, path, &alone);
	char why[192] = "";
	uint64_t file;
	int err = home_read_text(h, d, &file, why, sizeof(why));

	if (err == -ENOENT || err == -EINVAL)
		return 0; /* there is none that anybody could read */
	if (!err && !is_marked(&d->moving, m))
		return 0;
	if (end == HOME_NOBODYS)
		d->host[0] = '\0';
	if (!err && end == HOME_NOT_COME) {
		snprintf(why, sizeof(why), "its file could not be removed");
		err = -EBUSY;
	} else if (!err) {
		err = unmark(h, d, why, sizeof(why));
	}
	if (err)
		say_marked(h->name, why);
	return err;
}

int home_settled(const char *path, const struct home_mark *m, enum home_end end)
{
	char why[192];
	struct home_work *w = home_begin(why, sizeof(why));
	int err = 0;

	if (!w)
		return -ENOMEM;
	vm_desc_init(&w->d);
	if (home_take_path(path, w->d.cfg.home, w->d.cfg.name)) /* else it is a disk's */
		err = ds_find(w->d.cfg.home) ? settle(&w->d, path, m, end) : -ENODEV;
	home_end(w);
	return err;
}

/* ---- what the operator says ---- */

int home_resolve(const char *name, char *why, size_t len)
{
	struct home_work *w = home_begin(why, len);
	struct vm *vm = w ? home_vm(name, why, len) : NULL;
	struct home *h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	int err = !w ? -ENOMEM : h ? home_refuse_moving(h, vm, why, len) : -ENOENT;
	uint64_t file;

	if (!err)
		err = home_read_text(h, &w->d, &file, why, len);
	if (!err && !w->d.moving.host[0])
		err = -ENOENT;
	if (err == -ENOENT)
		snprintf(why, len, "no migration of '%s' is in doubt here", name);
	if (!err) {
		log_warn("home", "%s: the operator says that it runs nowhere else", name);
		snprintf(w->d.host, sizeof(w->d.host), "%s", home_own_name());
		err = unmark(h, &w->d, why, len);
	}
	if (vm)
		vm_put(vm);
	if (w)
		home_end(w);
	return err;
}
