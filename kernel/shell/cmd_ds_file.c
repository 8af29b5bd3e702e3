/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datastore ls, rm, mv, cp and snapshots: files by path, "/ds/NAME/FILE"; cp also takes those that
 * came with the host, "/boot/FILE".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/page.h>

#include "cmd_ds.h"
#include "shell_int.h"

#define BOOT_PREFIX "/boot/"

int cmd_ds_path(struct shell *sh, const char *path, struct datastore **ds, const char **file)
{
	int err = ds_path(path, ds, file);

	if (err == -ENOENT)
		return shell_error(sh, "not-found", "the datastore of %s is not mounted", path);
	if (err)
		return shell_error(sh, "invalid", "%s is no path: /ds/NAME/FILE", path);
	return 0;
}

/* ---- ls ---- */

static const char *const leases[] = { "free", "here", "held", "dead" };

static void file_line(struct shell *sh, const struct ds_entry *e)
{
	if (!shell_json(sh)) {
		shell_printf(sh, "%-40s %-5s %14llu %14llu  %s%s%s%s\n", e->name,
			     ds_kind_text(e->kind), (unsigned long long)e->size,
			     (unsigned long long)e->backed_bytes, leases[e->lease],
			     e->lease == DS_LEASE_OTHER ? " by " : "",
			     e->lease == DS_LEASE_OTHER ? e->holder : "",
			     e->flags & DS_FILE_UNFINISHED ? ", unfinished" : "");
		return;
	}
	json_object(sh, NULL);
	json_str(sh, "name", e->name);
	json_str(sh, "kind", ds_kind_text(e->kind));
	json_u64(sh, "size", e->size);
	json_u64(sh, "backed_bytes", e->backed_bytes);
	json_str(sh, "lease", leases[e->lease]);
	json_str(sh, "holder", e->holder);
	json_u64(sh, "generation", e->generation);
	json_bool(sh, "unfinished", e->flags & DS_FILE_UNFINISHED);
	json_end(sh);
}

static int ls_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *prefix;
	uint32_t cursor = 0;
	int err;

	if (argc != 2)
		return shell_error(sh, "usage", "datastore ls /ds/NAME[/PREFIX]");
	if (cmd_ds_path(sh, argv[1], &ds, &prefix))
		return 1;
	if (shell_json(sh))
		json_array(sh, NULL);
	while (!(err = ds_list(ds, &cursor, &e)))
		if (!strncmp(e.name, prefix, strlen(prefix)))
			file_line(sh, &e);
	if (shell_json(sh))
		json_end(sh);
	return err == -ENOENT ? 0 : cmd_ds_error(sh, argv[1], err);
}

/* ---- rm, mv ---- */

static int rm_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	const char *file;
	int err;

	if (argc != 2)
		return shell_error(sh, "usage", "datastore rm /ds/NAME/FILE");
	if (cmd_ds_path(sh, argv[1], &ds, &file))
		return 1;
	err = ds_remove(ds, file);
	return err ? cmd_ds_error(sh, argv[1], err) : 0;
}

static int mv_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *from, *to;
	const char *old, *new;
	int err;

	if (argc != 3)
		return shell_error(sh, "usage", "datastore mv /ds/NAME/FILE /ds/NAME/NEW");
	if (cmd_ds_path(sh, argv[1], &from, &old) || cmd_ds_path(sh, argv[2], &to, &new))
		return 1;
	if (from != to)
		return shell_error(sh, "invalid", "two datastores: 'datastore cp', then rm");
	err = ds_rename(from, old, new);
	return err ? cmd_ds_error(sh, argv[1], err) : 0;
}

/* ---- snapshots ---- */

/* Two files of one datastore; 0, or 1 with the error said. */
static int two_files(struct shell *sh, char **argv, struct datastore **ds, const char **a,
		     const char **b)
{
	struct datastore *other;

	if (cmd_ds_path(sh, argv[1], ds, a) || cmd_ds_path(sh, argv[2], &other, b))
		return 1;
	if (*ds != other)
		return shell_error(sh, "invalid", "a snapshot is on the datastore of its file");
	return 0;
}

static int snapshot_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	const char *file, *snap;
	int err;

	if (argc != 3)
		return shell_error(sh, "usage",
				   "datastore snapshot /ds/NAME/FILE /ds/NAME/SNAPSHOT");
	if (two_files(sh, argv, &ds, &file, &snap))
		return 1;
	err = ds_snapshot(ds, file, snap);
	return err ? cmd_ds_error(sh, argv[1], err) : 0;
}

static int revert_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	const char *file, *snap;
	int err;

	if (argc != 3)
		return shell_error(sh, "usage", "datastore revert /ds/NAME/FILE /ds/NAME/SNAPSHOT");
	if (two_files(sh, argv, &ds, &file, &snap))
		return 1;
	err = ds_snapshot_revert(ds, file, snap);
	return err ? cmd_ds_error(sh, argv[1], err) : 0;
}

static int merge_cmd(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	const char *snap;
	int err;

	if (argc != 2)
		return shell_error(sh, "usage", "datastore merge /ds/NAME/SNAPSHOT");
	if (cmd_ds_path(sh, argv[1], &ds, &snap))
		return 1;
	err = ds_snapshot_delete(ds, snap);
	return err ? cmd_ds_error(sh, argv[1], err) : 0;
}

/* ---- cp ---- */

/* Where bytes come from: a file of /boot/ or an open file of a datastore. */
struct source {
	struct shell *sh;
	const struct boot_file *boot;
	struct ds_file *file;
	uint64_t size;
};

static int source_open(struct shell *sh, const char *path, struct source *s)
{
	struct datastore *ds;
	const char *name;
	int err;

	*s = (struct source){ .sh = sh };
	if (!strncmp(path, BOOT_PREFIX, strlen(BOOT_PREFIX))) {
		s->boot = bootfs_find(path);
		if (!s->boot)
			return shell_error(sh, "not-found", "no file %s: see 'host files'", path);
		s->size = s->boot->size;
		return 0;
	}
	if (cmd_ds_path(sh, path, &ds, &name))
		return 1;
	err = ds_open(ds, name, DS_OPEN_READ, &s->file);
	if (err)
		return cmd_ds_error(sh, path, err);
	s->size = ds_file_size(s->file);
	return 0;
}

static int copy_bytes(const struct source *s, uint64_t at, size_t bytes, void *buf)
{
	uint32_t block;

	if (s->boot) {
		memcpy(buf, (uint8_t *)hpa_ptr(HPA(s->boot->start)) + at, bytes);
		return 0;
	}
	block = ds_file_blk(s->file)->geo.block_bytes;
	return blk_transfer(ds_file_blk(s->file), BLK_READ, at / block,
			    ALIGN_UP(bytes, block) / block, buf);
}

static int source_read(void *user, uint64_t at, size_t bytes, void *buf)
{
	const struct source *s = user;

	if (shell_interrupted(s->sh))
		return -EINTR;
	if (!shell_json(s->sh))
		shell_progress(s->sh, "%3llu %%  %llu MiB",
			       (unsigned long long)((at + bytes) * 100 / s->size),
			       (unsigned long long)((at + bytes) >> 20));
	return copy_bytes(s, at, bytes, buf);
}

int cmd_ds_kind(struct shell *sh, const char *word, enum ds_kind *kind)
{
	*kind = DS_KIND_THIN;
	if (!word || !ds_kind_of(word, kind))
		return 0;
	return shell_error(sh, "invalid", "no kind '%s': plain, flat or thin", word);
}

static int cp_cmd(struct shell *sh, int argc, char **argv)
{
	const char *word = shell_opt(&argc, argv, "--kind");
	struct datastore *ds;
	const char *name;
	enum ds_kind kind;
	struct source s;
	struct ds_source from = { .read = source_read, .user = &s };
	int err;

	if (argc != 3)
		return shell_error(sh, "usage",
				   "datastore cp FROM /ds/NAME/FILE [--kind plain|flat|thin]");
	if (cmd_ds_kind(sh, word, &kind) || cmd_ds_path(sh, argv[2], &ds, &name) ||
	    source_open(sh, argv[1], &s))
		return 1;
	from.size = s.size;
	err = ds_import(ds, name, kind, &from);
	if (s.file)
		ds_close(s.file);
	if (err == -EINTR)
		return shell_error(sh, "interrupted", "%s is not copied", argv[1]);
	return err ? cmd_ds_error(sh, argv[2], err) : 0;
}

/* ---- the table ---- */

void cmd_ds_offer_paths(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	struct ds_info i;
	char path[64];

	(void)argc;
	(void)argv;
	for (unsigned n = 0; (ds = ds_at(n)); n++)
		if (!ds_info(ds, &i)) {
			snprintf(path, sizeof(path), "/ds/%s/", i.name);
			shell_offer(sh, path);
		}
}

static const struct shell_cmd commands[] = {
	{ "datastore ls", "/ds/NAME[/PREFIX]", "files, and who may write them", ls_cmd,
	  cmd_ds_offer_paths },
	{ "datastore cp", "FROM /ds/NAME/FILE [--kind plain|flat|thin]",
	  "copy a file of /boot/ or a datastore", cp_cmd, cmd_ds_offer_paths },
	{ "datastore mv", "/ds/NAME/FILE /ds/NAME/NEW", "rename a file", mv_cmd,
	  cmd_ds_offer_paths },
	{ "datastore snapshot", "/ds/NAME/FILE /ds/NAME/SNAPSHOT",
	  "keep a file as it is now; it may be in use here", snapshot_cmd, cmd_ds_offer_paths },
	{ "datastore revert", "/ds/NAME/FILE /ds/NAME/SNAPSHOT",
	  "a file as it was; what was written since is lost", revert_cmd, cmd_ds_offer_paths },
	{ "datastore merge", "/ds/NAME/SNAPSHOT",
	  "delete a snapshot: what stands on it keeps what it needs", merge_cmd,
	  cmd_ds_offer_paths },
	{ "datastore rm", "/ds/NAME/FILE", "remove a file", rm_cmd, cmd_ds_offer_paths },
};

void cmd_ds_file_register(void)
{
	shell_register(commands, ARRAY_SIZE(commands));
}
