/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm disk`: the disks of a VM listed, added and removed while it is off, their snapshots
 * taken, gone back to and deleted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/home.h>
#include <tern/store.h>

#include "cmd_ds.h"
#include "shell_int.h"

#define WHY_MAX 224
#define ADD_ARGS                                                                                   \
	"NAME PATH[,ro][,iops=N][,mbps=N][,serial=TEXT][,mode=MODE] [--size SIZE] "                \
	"[--kind thin|flat]"

/* ---- list ---- */

static void list_snaps(struct shell *sh, const char *path)
{
	char snap[128];

	if (shell_json(sh))
		json_array(sh, "snapshots");
	for (unsigned i = 0; path[0] == '/' && !home_snap_at(path, i, snap, sizeof(snap)); i++) {
		if (shell_json(sh))
			json_str(sh, NULL, snap);
		else
			shell_printf(sh, "      snapshot %s\n", snap);
	}
	if (shell_json(sh))
		json_end(sh);
}

static void list_one(struct shell *sh, unsigned n, const struct vm_disk *d)
{
	if (!shell_json(sh)) {
		shell_printf(sh, "%4u  %-48s %-13s %s\n", n, d->path,
			     d->read_only ? "read-only" : vm_disk_mode_name(d->mode), d->serial);
		list_snaps(sh, d->path);
		return;
	}
	json_object(sh, NULL);
	json_str(sh, "path", d->path);
	json_str(sh, "serial", d->serial);
	json_bool(sh, "read_only", d->read_only);
	json_str(sh, "mode", vm_disk_mode_name(d->mode));
	list_snaps(sh, d->path);
	json_end(sh);
}

static int list_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm *vm = cmd_find_vm(sh, argc, argv);

	if (!vm)
		return 1;
	if (shell_json(sh))
		json_array(sh, NULL);
	for (unsigned i = 0; i < vm->cfg.disks; i++)
		list_one(sh, i, &vm->cfg.disk[i]);
	if (shell_json(sh))
		json_end(sh);
	vm_put(vm);
	return 0;
}

/* ---- add ---- */

struct addition {
	const char *value; /* as of --disk */
	uint64_t size;	   /* of a new file; 0: there is one */
	enum ds_kind kind;
	char made[VM_DISK_PATH_MAX]; /* the new file, to be removed when the rest fails */
};

static int make_file(struct addition *a, const char *path, char *why, size_t len)
{
	struct datastore *ds;
	const char *file;
	int err = ds_path(path, &ds, &file);

	if (!err)
		err = ds_create(ds, file, a->kind, a->size, 0);
	if (err)
		snprintf(why, len, "%s: %s", path, ds_error_text(err));
	else
		snprintf(a->made, sizeof(a->made), "%s", path);
	return err;
}

static int add_disk(struct vm_desc *d, void *arg, char *why, size_t len)
{
	struct addition *a = arg;
	int err = vm_desc_set(d, "disk", a->value, why, len);
	const char *path;

	if (err)
		return err;
	path = d->cfg.disk[d->cfg.disks - 1].path;
	for (unsigned i = 0; i + 1 < d->cfg.disks; i++)
		if (!strcmp(d->cfg.disk[i].path, path)) {
			snprintf(why, len, "%s is a disk of the VM already", path);
			return -EEXIST;
		}
	return a->size ? make_file(a, path, why, len) : 0;
}

static bool size_and_kind(struct shell *sh, const char *size, const char *kind, struct addition *a)
{
	if (size && (parse_size(size, &a->size) || !a->size || a->size % 4096)) {
		shell_error(sh, "invalid", "--size %s is not a size in steps of 4K", size);
		return false;
	}
	a->kind = DS_KIND_THIN;
	if (kind && !strcmp(kind, "flat"))
		a->kind = DS_KIND_FLAT;
	else if (kind && strcmp(kind, "thin")) {
		shell_error(sh, "invalid", "--kind %s: it is thin or flat", kind);
		return false;
	}
	return true;
}

static void unmake_file(const struct addition *a)
{
	struct datastore *ds;
	const char *file;

	if (a->made[0] && !ds_path(a->made, &ds, &file))
		(void)!ds_remove(ds, file);
}

static int add_cmd(struct shell *sh, int argc, char **argv)
{
	const char *size = shell_opt(&argc, argv, "--size");
	const char *kind = shell_opt(&argc, argv, "--kind");
	struct addition a = { .value = argv[MIN(argc, 2)] };
	char why[WHY_MAX] = "";
	int err;

	if (argc != 3 || (kind && !size))
		return shell_error(sh, "usage", "vm disk add " ADD_ARGS);
	if (!size_and_kind(sh, size, kind, &a))
		return 1;
	err = home_edit(argv[1], true, add_disk, &a, why, sizeof(why));
	if (!err)
		return 0;
	unmake_file(&a);
	return shell_error(sh, cmd_vm_code(err), "%s", why);
}

/* ---- remove ---- */

struct removal {
	const char *which;
	char path[VM_DISK_PATH_MAX]; /* what it was */
};

static int remove_disk(struct vm_desc *d, void *arg, char *why, size_t len)
{
	struct removal *r = arg;
	uint64_t n = VM_DISKS_MAX;

	if (parse_u64(r->which, &n))
		for (n = 0; n < d->cfg.disks && strcmp(d->cfg.disk[n].path, r->which);)
			n++;
	if (n >= d->cfg.disks) {
		snprintf(why, len, "the VM has no disk %s: 'vm disk list' shows those that are",
			 r->which);
		return -ENOENT;
	}
	snprintf(r->path, sizeof(r->path), "%s", d->cfg.disk[n].path);
	d->cfg.disks--;
	memmove(&d->cfg.disk[n], &d->cfg.disk[n + 1], (d->cfg.disks - n) * sizeof(d->cfg.disk[0]));
	d->cfg.disk[d->cfg.disks] = (struct vm_disk){ .read_only = false };
	return 0;
}

static int remove_cmd(struct shell *sh, int argc, char **argv)
{
	bool file = shell_flag(&argc, argv, "--file");
	struct removal r = { .which = argv[MIN(argc, 2)] };
	char why[WHY_MAX] = "";
	struct datastore *ds;
	const char *name;
	int err;

	if (argc != 3)
		return shell_error(sh, "usage", "vm disk remove NAME N|PATH [--file]");
	err = home_edit(argv[1], true, remove_disk, &r, why, sizeof(why));
	if (err)
		return shell_error(sh, cmd_vm_code(err), "%s", why);
	if (!file)
		return 0;
	if (cmd_ds_path(sh, r.path, &ds, &name))
		return 1;
	err = ds_remove(ds, name);
	return err ? cmd_ds_error(sh, r.path, err) : 0;
}

/* ---- snapshots ---- */

static int snap(struct shell *sh, int argc, char **argv,
		int (*fn)(const char *name, const char *snap, char *why, size_t why_len))
{
	char why[WHY_MAX] = "";
	int err;

	if (argc != 3)
		return shell_error(sh, "usage", "expected: NAME SNAPSHOT; got %d argument(s)",
				   argc - 1);
	err = fn(argv[1], argv[2], why, sizeof(why));
	if (err)
		return shell_error(sh, cmd_vm_code(err), "%s", why);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", argv[1]);
		json_str(sh, "snapshot", argv[2]);
		json_end(sh);
	}
	return 0;
}

static int snapshot_cmd(struct shell *sh, int argc, char **argv)
{
	return snap(sh, argc, argv, home_snapshot);
}

static int revert_cmd(struct shell *sh, int argc, char **argv)
{
	return snap(sh, argc, argv, home_revert);
}

static int merge_cmd(struct shell *sh, int argc, char **argv)
{
	return snap(sh, argc, argv, home_merge);
}

static const struct shell_cmd cmds[] = {
	{ "vm disk list", "NAME", "a VM's disks and their snapshots", list_cmd, cmd_offer_vms },
	{ "vm disk add", ADD_ARGS, "one more disk for a VM that is off; --size: of a new file",
	  add_cmd, cmd_offer_vms },
	{ "vm disk remove", "NAME N|PATH [--file]",
	  "take a disk from a VM that is off; --file: and remove it", remove_cmd, cmd_offer_vms },
	{ "vm disk snapshot", "NAME SNAPSHOT", "keep all disks of a VM as they are now",
	  snapshot_cmd, cmd_offer_vms },
	{ "vm disk revert", "NAME SNAPSHOT", "a VM's disks as they were; it is off", revert_cmd,
	  cmd_offer_vms },
	{ "vm disk merge", "NAME SNAPSHOT", "delete a snapshot of a VM's disks", merge_cmd,
	  cmd_offer_vms },
};

void cmd_vm_disk_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
