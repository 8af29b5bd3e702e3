/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots of VMs: of all disks that take part, at one moment. A disk's snapshot is a file
 * beside it, FILE.SNAP; which there are is found by following the files that FILE stands on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/name.h"

#include "home_int.h"

#define FILE_NAME_MAX sizeof(((struct ds_entry *)0)->name)

struct set {
	unsigned nr;
	struct ds_snap snap[VM_DISKS_MAX];
	char as[VM_DISKS_MAX][FILE_NAME_MAX];
};

static bool takes_part(const struct vm_disk *d)
{
	return d->mode == VM_DISK_NORMAL && !d->read_only && d->path[0] == '/';
}

static int say(int err, const char *what, char *why, size_t len)
{
	if (err)
		snprintf(why, len, "%s: %s", what, ds_error_text(err));
	return err;
}

static int add(struct set *s, const struct vm_disk *d, const char *snap, char *why, size_t len)
{
	struct ds_snap *to = &s->snap[s->nr];
	int err = ds_path(d->path, &to->ds, &to->name);

	if (!err &&
	    snprintf(s->as[s->nr], FILE_NAME_MAX, "%s.%s", to->name, snap) >= (int)FILE_NAME_MAX)
		err = -EINVAL;
	to->as = s->as[s->nr];
	if (!err)
		s->nr++;
	return say(err, d->path, why, len);
}

/* The disks of a VM and their snapshots' names. vm has a reference, for its paths. */
static int gather(struct set *s, const struct vm *vm, const char *snap, char *why, size_t len)
{
	int err = 0;

	if (!name_is_ok(snap, VM_NAME_MAX)) {
		snprintf(why, len, "'%.40s' is no snapshot's name: letters, digits, - _ .", snap);
		return -EINVAL;
	}
	for (unsigned i = 0; i < vm->cfg.disks && !err; i++)
		if (takes_part(&vm->cfg.disk[i]))
			err = add(s, &vm->cfg.disk[i], snap, why, len);
	if (!err && !s->nr) {
		snprintf(why, len, "VM %s has no disk that takes part in snapshots", vm->cfg.name);
		err = -ENOENT;
	}
	return err;
}

static int take(struct set *s, const struct vm *vm, char *why, size_t len)
{
	unsigned failed = 0;
	int err = ds_snapshot_all(s->snap, s->nr, &failed);

	(void)vm;
	return say(err, s->snap[failed].name, why, len);
}

/* Those that have it; -ENOENT when none has. */
static int keep_those_with(struct set *s, char *why, size_t len)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->nr; i++) {
		struct ds_entry e;

		if (ds_stat(s->snap[i].ds, s->snap[i].as, &e))
			continue;
		memmove(s->as[n], s->as[i], FILE_NAME_MAX);
		s->snap[n] = s->snap[i];
		s->snap[n].as = s->as[n];
		n++;
	}
	s->nr = n;
	if (n)
		return 0;
	snprintf(why, len, "no disk has that snapshot: 'vm disk list' shows those that are");
	return -ENOENT;
}

static int revert(struct set *s, const struct vm *vm, char *why, size_t len)
{
	int err = keep_those_with(s, why, len);

	if (err)
		return err;
	if (vm->state != VM_OFF && vm->state != VM_STOPPED_ERROR) {
		snprintf(why, len, "VM %s is %s: this needs it off ('vm stop %s')", vm->cfg.name,
			 vm_state_name(vm->state), vm->cfg.name);
		return -EBUSY;
	}
	for (unsigned i = 0; i < s->nr && !err; i++) {
		err = ds_snapshot_revert(s->snap[i].ds, s->snap[i].name, s->snap[i].as);
		(void)say(err, s->snap[i].name, why, len);
	}
	return err;
}

/*
 * Nothing stands on it: the disk was reverted to an earlier one, of which this is a delta. A disk
 * of another VM's may have such a name as well, and is none.
 */
static int remove_left(struct datastore *ds, const char *name)
{
	struct ds_entry e;
	int err = ds_stat(ds, name, &e);

	if (!err && e.kind != DS_KIND_DELTA)
		err = -ENOENT;
	return err ? err : ds_remove(ds, name);
}

static int merge(struct set *s, const struct vm *vm, char *why, size_t len)
{
	int err = keep_those_with(s, why, len);

	for (unsigned i = 0; i < s->nr && !err; i++) {
		err = ds_snapshot_delete(s->snap[i].ds, s->snap[i].as);
		if (err == -ENOTSUP)
			err = remove_left(s->snap[i].ds, s->snap[i].as);
		if (err == -EBUSY)
			snprintf(why, len,
				 "%s: while a VM uses the disk only its last snapshot can be "
				 "deleted, and never one on which several stand",
				 s->snap[i].as);
		else
			(void)say(err, s->snap[i].as, why, len);
	}
	(void)vm;
	return err;
}

/*
 * Who moves its disks has their snapshots in hand as well; and a move that nobody has ended knows
 * its disks as the files that they are.
 */
static int not_moving(const struct vm *vm, char *why, size_t len)
{
	if (!vm->mig)
		return home_check_settled(vm, why, len) == -EAGAIN ? -EAGAIN : 0;
	snprintf(why, len, "%s is %s: its snapshots stay as they are until then", vm->cfg.name,
		 vm->doing ? vm->doing : "being migrated ('tasks' shows it)");
	return -EBUSY;
}

static int act(const char *name, const char *snap,
	       int (*fn)(struct set *s, const struct vm *vm, char *why, size_t len), char *why,
	       size_t len)
{
	struct set *s = calloc(1, sizeof(*s));
	struct vm *vm = vm_find(name);
	int err = !s ? -ENOMEM : vm ? 0 : -ENOENT;

	snprintf(why, len, vm ? "the host has no memory for it" : "no VM '%s' here", name);
	if (!err)
		err = not_moving(vm, why, len);
	if (!err)
		err = gather(s, vm, snap, why, len);
	if (!err)
		err = fn(s, vm, why, len);
	if (vm)
		vm_put(vm);
	free(s);
	return err;
}

int home_snapshot(const char *name, const char *snap, char *why, size_t len)
{
	return act(name, snap, take, why, len);
}

int home_revert(const char *name, const char *snap, char *why, size_t len)
{
	return act(name, snap, revert, why, len);
}

int home_merge(const char *name, const char *snap, char *why, size_t len)
{
	return act(name, snap, merge, why, len);
}

int home_snap_at(const char *disk, unsigned index, char *snap, size_t room)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *file;
	size_t n;
	int err = ds_path(disk, &ds, &file);

	if (!err)
		err = ds_stat(ds, file, &e);
	if (err)
		return err;
	for (unsigned i = 0; i <= index; i++) {
		err = e.parent ? ds_stat_id(ds, e.parent, &e) : -ENOENT;
		if (err)
			return err;
	}
	n = strlen(file);
	if (!strncmp(e.name, file, n) && e.name[n] == '.')
		n++;
	else
		n = 0; /* not taken here: by its whole name */
	snprintf(snap, room, "%s", e.name + n);
	return 0;
}
