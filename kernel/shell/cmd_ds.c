/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datastore list, df, create, mount, umount, hosts, and what is common to the commands about
 * datastores. Those about files are in cmd_ds_file.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/home.h>
#include <tern/mig.h>

#include "cmd_disk.h"
#include "cmd_ds.h"
#include "shell_int.h"

int cmd_ds_error(struct shell *sh, const char *what, int err)
{
	return shell_error(sh, ds_error_code(err), "%s: %s", what, ds_error_text(err));
}

struct datastore *cmd_find_ds(struct shell *sh, const char *name)
{
	struct datastore *ds = ds_find(name);

	if (!ds)
		shell_error(sh, "not-found", "no datastore '%s': see 'datastore list'", name);
	return ds;
}

void cmd_offer_ds(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	struct ds_info i;

	(void)argv;
	for (unsigned n = 0; argc == 2 && (ds = ds_at(n)); n++)
		if (!ds_info(ds, &i))
			shell_offer(sh, i.name);
}

/* ---- list ---- */

static void list_one(struct shell *sh, struct datastore *ds)
{
	struct ds_info i;
	int err = ds_info(ds, &i);

	if (err) {
		cmd_ds_error(sh, ds_device(ds)->name, err);
	} else if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "name", i.name);
		json_str(sh, "disk", ds_device(ds)->name);
		json_u64(sh, "total_bytes", i.total_bytes);
		json_u64(sh, "free_bytes", i.free_bytes);
		json_u64(sh, "lease_ms", i.lease_ms);
		json_u64(sh, "io_timeout_ms", i.io_timeout_ms);
		json_bool(sh, "writable", i.writable);
		json_end(sh);
	} else {
		shell_printf(sh, "%-20s %-8s %10llu %10llu  %s\n", i.name, ds_device(ds)->name,
			     (unsigned long long)(i.total_bytes >> 20),
			     (unsigned long long)(i.free_bytes >> 20), i.writable ? "yes" : "no");
	}
}

static int list_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;

	(void)argv;
	if (argc != 1)
		return shell_error(sh, "usage", "datastore list takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	else if (!ds_at(0))
		shell_printf(sh, "no datastore: 'datastore create DISK NAME' makes one\n");
	else
		shell_printf(sh, "%-20s %-8s %10s %10s  %s\n", "datastore", "disk", "MiB", "free",
			     "writable");
	for (unsigned i = 0; (ds = ds_at(i)); i++)
		list_one(sh, ds);
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

/* ---- df ---- */

static int df_one(struct shell *sh, struct datastore *ds)
{
	struct ds_usage u;
	struct ds_info i;
	int err = ds_info(ds, &i);

	if (!err)
		err = ds_usage(ds, &u);
	if (err)
		return cmd_ds_error(sh, ds_device(ds)->name, err);
	if (!shell_json(sh)) {
		shell_printf(sh, "%-20s %10llu %10llu %8llu %10llu %10llu %10llu\n", i.name,
			     (unsigned long long)(u.total_bytes >> 20),
			     (unsigned long long)(u.free_bytes >> 20), (unsigned long long)u.files,
			     (unsigned long long)(u.size_bytes >> 20),
			     (unsigned long long)(u.promised_bytes >> 20),
			     (unsigned long long)(u.over_bytes >> 20));
		return 0;
	}
	json_object(sh, NULL);
	json_str(sh, "name", i.name);
	json_u64(sh, "total_bytes", u.total_bytes);
	json_u64(sh, "free_bytes", u.free_bytes);
	json_u64(sh, "files", u.files);
	json_u64(sh, "size_bytes", u.size_bytes);
	json_u64(sh, "promised_bytes", u.promised_bytes);
	json_u64(sh, "over_bytes", u.over_bytes);
	json_end(sh);
	return 0;
}

static int df_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds, *only = NULL;
	int err = 0;

	if (argc > 2)
		return shell_error(sh, "usage", "datastore df [NAME]");
	if (argc == 2 && !(only = cmd_find_ds(sh, argv[1])))
		return 1;
	if (shell_json(sh))
		json_array(sh, NULL);
	else
		shell_printf(sh, "%-20s %10s %10s %8s %10s %10s %10s\n", "datastore", "MiB", "free",
			     "files", "sizes", "promised", "too much");
	for (unsigned i = 0; (ds = ds_at(i)); i++)
		if (!only || ds == only)
			err |= df_one(sh, ds);
	if (shell_json(sh))
		json_end(sh);
	return err;
}

/* ---- create, mount, umount ---- */

static int mount_disk(struct shell *sh, struct blkdev *d)
{
	struct datastore *ds;
	int err = ds_mount(d, ds_host_self(), DS_MOUNT_WRITE, &ds);
	if (err == -EBUSY) {
		char who[BLK_OWNER];

		blk_owner(d, who);
		return shell_error(sh, "busy", "%s is in use: by %s", d->name,
				   who[0] ? who : "a host with this one's identity");
	}
	if (!err) {
		mig_recover();
		home_mounted();
	}
	return err ? cmd_ds_error(sh, d->name, err) : 0;
}

/* Of a disk that nobody uses; the error is said. */
static bool carries_something(struct shell *sh, struct blkdev *d)
{
	char there[sizeof(((struct ds_info *)NULL)->name)];
	int err = ds_probe(d, there);

	if (!err)
		shell_error(sh, "exists", "%s carries datastore %s: --force destroys it", d->name,
			    there);
	else if (err == -ENOENT && !cmd_disk_is_empty(d))
		shell_error(sh, "exists", "%s is not empty: --force destroys what is there",
			    d->name);
	else
		return false;
	return true;
}

static int create_cmd(struct shell *sh, int argc, char **argv)
{
	struct ds_format_options o = { .host = *ds_host_self() };
	bool force = shell_flag(&argc, argv, "--force");
	struct blkdev *d;
	int err;

	if (argc != 3 || strlen(argv[2]) >= sizeof(o.name))
		return shell_error(sh, "usage", "datastore create DISK NAME [--force]");
	d = cmd_find_disk(sh, argv[1]);
	if (!d)
		return 1;
	if (cmd_claim_disk(sh, d, "datastore create"))
		return 1;
	if (!force && carries_something(sh, d)) {
		blk_disclaim(d);
		return 1;
	}
	snprintf(o.name, sizeof(o.name), "%s", argv[2]);
	err = ds_format(d, &o);
	blk_disclaim(d);
	return err ? cmd_ds_error(sh, d->name, err) : mount_disk(sh, d);
}

static int mount_cmd(struct shell *sh, int argc, char **argv)
{
	struct blkdev *d;

	if (argc != 2)
		return shell_error(sh, "usage", "datastore mount DISK");
	d = cmd_find_disk(sh, argv[1]);
	return d ? mount_disk(sh, d) : 1;
}

static int umount_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	int err;

	if (argc != 2)
		return shell_error(sh, "usage", "datastore umount NAME");
	ds = cmd_find_ds(sh, argv[1]);
	if (!ds)
		return 1;
	err = ds_unmount(ds);
	if (err == -EBUSY)
		return cmd_ds_busy(sh, argv[1]);
	return err ? cmd_ds_error(sh, argv[1], err) : 0;
}

/* ---- hosts ---- */

static void host_line(struct shell *sh, unsigned slot, const struct ds_host_info *h)
{
	const char *state = !h->mounted ? "away"
			    : h->self	? "this host"
			    : h->alive	? "alive"
					: "dead";

	if (!shell_json(sh)) {
		shell_printf(sh, "%4u  %-32s %s\n", slot, h->name, state);
		return;
	}
	json_object(sh, NULL);
	json_u64(sh, "slot", slot);
	json_str(sh, "name", h->name);
	json_str(sh, "state", state);
	json_end(sh);
}

static int hosts_cmd(struct shell *sh, int argc, char **argv)
{
	struct ds_host_info h;
	struct datastore *ds;
	int err = 0;

	if (argc != 2)
		return shell_error(sh, "usage", "datastore hosts NAME");
	ds = cmd_find_ds(sh, argv[1]);
	if (!ds)
		return 1;
	if (shell_json(sh))
		json_array(sh, NULL);
	for (unsigned slot = 0; !(err = ds_host_at(ds, slot, &h)); slot++)
		if (h.name[0])
			host_line(sh, slot, &h);
	if (shell_json(sh))
		json_end(sh);
	return err == -ENOENT ? 0 : cmd_ds_error(sh, argv[1], err);
}

static const struct shell_cmd commands[] = {
	{ "datastore list", "", "datastores that are mounted", list_cmd, NULL },
	{ "datastore df", "[NAME]", "space, and what thin files may still ask for", df_cmd,
	  cmd_offer_ds },
	{ "datastore create", "DISK NAME [--force]", "make a datastore on a disk and mount it",
	  create_cmd, cmd_offer_disks },
	{ "datastore mount", "DISK", "mount the datastore on a disk", mount_cmd, cmd_offer_disks },
	{ "datastore umount", "NAME", "unmount; no file of it is open", umount_cmd, cmd_offer_ds },
	{ "datastore hosts", "NAME", "who shares it, and who is alive", hosts_cmd, cmd_offer_ds },
};

void cmd_ds_register(void)
{
	shell_register(commands, ARRAY_SIZE(commands));
}
